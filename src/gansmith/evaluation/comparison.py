"""compare: reports side by side, and no ranking inside the noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gansmith import markup
from gansmith.errors import UserError
from gansmith.evaluation.report import Figure, Report, deviation
from gansmith.evaluation.scores import METRICS

NO_DIFFERENCE = "no significant difference"
RANKED = ("fd", "fd_control", "kid", "precision", "recall", "density", "coverage", "recognised", "modes", "kl")


@dataclass(frozen=True)
class Group:
    """Runs that differ in their training seed alone, or a single report."""

    name: str
    """No other group has it: where subjects are named alike, with as much of their paths as tells them apart."""
    reports: tuple[Report, ...]
    letter: str
    """By its position: A, B, ...; after Z a number."""
    short: str
    """The name without the list of seeds; no other group has it either."""

    def values(self, key: str) -> tuple[float, ...]:
        """A figure of each report."""
        return tuple(report[key].value for report in self.reports)

    def mean(self, key: str) -> float:
        """The mean over its reports."""
        return sum(self.values(key)) / len(self.reports)

    def noise(self, key: str) -> float:
        """The largest standard deviation known: over real images, latent seeds, and training seeds."""
        return max(*(report[key].noise for report in self.reports), deviation(self.values(key)))


@dataclass(frozen=True)
class Line:
    """One metric over all groups, and what can be said of it."""

    figure: Figure
    values: tuple[float, ...]
    noise: tuple[float, ...]
    best: tuple[str, ...]
    """The groups that none is better than beyond the noise; all of them where no difference is significant."""
    verdict: str
    lettered: str
    """The verdict with the groups' letters in the place of their names."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """Groups of reports, a line for each metric, and notes."""

    groups: tuple[Group, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Comparison({' against '.join(group.name for group in self.groups)}: {self.verdict})"

    def _repr_html_(self) -> str:
        """Groups side by side, each figure with its noise."""
        from gansmith.evaluation.wording import number

        rows = [
            [
                line.figure.name,
                *(
                    f"{number(v, line.figure.key)} ± {number(n, line.figure.key)}"
                    for v, n in zip(line.values, line.noise, strict=True)
                ),
                line.lettered,
            ]
            for line in self.lines
        ]
        names = [markup.line(f"{group.letter}  {group.name}") for group in self.groups]
        head = ["metric", *(group.letter for group in self.groups), "in words"]
        return markup.block(*names, markup.table(head, rows), markup.line(self.verdict, strong=True))

    @property
    def verdict(self) -> str:
        """What the first metric, the Frechet distance, says."""
        return self.lines[0].verdict if self.lines else NO_DIFFERENCE


def compare(reports: Sequence[Report], places: Sequence[str | Path] | None = None) -> Comparison:
    """Puts reports side by side; a difference counts when it exceeds twice the larger noise of the two.

    Reports of the same recipe, data and length but different training seeds are one group.

    Args:
        reports: two or more.
        places: the path that each is of or was read from, to tell subjects of one name apart; numbered if not given.

    Raises UserError for fewer than two reports, the same place twice, or reports measured by different protocols.
    """
    if len(reports) < 2:
        raise UserError("compare needs two runs or more")
    paths = [Path(place).resolve() for place in places] if places is not None else []
    check_places(paths)
    names = _told_apart([report.subject.name for report in reports], paths)
    first = reports[0]
    for other, name in zip(reports[1:], names[1:], strict=True):
        if not first.protocol.same_as(other.protocol):
            raise UserError(
                f"{names[0]} and {name} were measured differently, and cannot be compared: {_difference(first, other)}"
            )
    groups = _groups(reports, names)
    keys = [each.key for each in METRICS if all(each.key in report for report in reports)]
    lines = tuple(_line(first[key], groups) for key in keys)
    return Comparison(groups, lines, tuple(_notes(groups, lines)))


def check_places(places: Sequence[str | Path]) -> None:
    """Raises UserError where one path is given twice, by whatever name."""
    paths = [Path(place).resolve() for place in places]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            raise UserError(f"{path.name}: is given twice; name another one to compare it with")


def _told_apart(names: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """Names of which no two are equal: of those that were, the end of the path that no other has, or a number."""
    found = []
    for number, name in enumerate(names):
        if names.count(name) == 1:
            found.append(name)
        elif paths:
            found.append(_own_end(paths[number], [path for path in paths if path != paths[number]]))
        else:
            found.append(f"{name} ({names[: number + 1].count(name)})")
    return found


def _own_end(path: Path, others: Sequence[Path]) -> str:
    """The shortest end of a path, in whole folders, that none of the others ends in."""
    ends = (path.parts[-length:] for length in range(1, len(path.parts)))
    own = (end for end in ends if not any(other.parts[-len(end) :] == end for other in others))
    return str(Path(*next(own, path.parts)))


def _groups(reports: Sequence[Report], names: Sequence[str]) -> tuple[Group, ...]:
    found: dict[str, list[int]] = {}
    for number, report in enumerate(reports):
        key = report.subject.group or f"alone {number}"
        if report.subject.seed in [reports[other].subject.seed for other in found.get(key, [])]:
            key = f"{key} again {number}"  # the same seed twice is no second training
        found.setdefault(key, []).append(number)
    groups = list(found.values())
    shorts = [names[members[0]] if len(members) == 1 else str(reports[members[0]].subject.recipe) for members in groups]
    named = []
    for place, (members, short) in enumerate(zip(groups, shorts, strict=True)):
        seeds = f" ({len(members)} seeds: {', '.join(names[member] for member in members)})"
        name = short if len(members) == 1 else short + seeds
        letter = chr(ord("A") + place) if place < 26 else str(place + 1)
        own = short if shorts.count(short) == 1 else name
        named.append(Group(name, tuple(reports[member] for member in members), letter, own))
    return tuple(named)


def _line(figure: Figure, groups: tuple[Group, ...]) -> Line:
    key = figure.key
    means, noise = [group.mean(key) for group in groups], [group.noise(key) for group in groups]
    sign = 1 if figure.better == "lower" else -1
    leader = min(range(len(groups)), key=lambda i: sign * means[i])
    tied = [
        i
        for i in range(len(groups))
        if abs(means[i] - means[leader]) <= 2 * max(noise[i], noise[leader]) or i == leader
    ]
    best = [groups[i] for i in tied]
    verdict, lettered = (
        _verdict(names, len(groups)) if key in RANKED else ""
        for names in ([group.short for group in best], [group.letter for group in best])
    )
    return Line(figure, tuple(means), tuple(noise), tuple(group.name for group in best), verdict, lettered)


def _verdict(best: Sequence[str], count: int) -> str:
    """What is said where these, of so many groups, are the ones that none is better than."""
    if len(best) == count:
        return NO_DIFFERENCE
    if len(best) == 1:
        return f"{best[0]} is {'better' if count == 2 else 'best'}"
    return f"{' and '.join(best)} lead; between them {NO_DIFFERENCE}"


def _notes(groups: tuple[Group, ...], lines: tuple[Line, ...]) -> list[str]:
    notes = []
    single = [group.short for group in groups if len(group.reports) == 1 and group.reports[0].subject.kind != "images"]
    if single:
        notes.append(
            f"one training each of {', '.join(single)}: another training seed may differ by more than this; compare "
            "recipes with three seeds each"
        )
    for number, group in enumerate(groups):
        twins = [other.letter for other in groups[:number] if _same_images(group, other)]
        if twins:
            notes.append(f"{twins[0]} and {group.letter} score the same in everything: they are the same images")
    by_key = {line.figure.key: line for line in lines}
    trained, plain = by_key.get("fd"), by_key.get("fd_control")
    if trained and plain and len(trained.best) < len(groups) and not set(trained.best) & set(plain.best):
        notes.append("the trained encoder and the untrained control do not agree on the better one: be careful")
    return notes


def _same_images(one: Group, other: Group) -> bool:
    """Whether all figures of two single reports are equal to the last digit, as those of a copy are."""
    return len(one.reports) == len(other.reports) == 1 and [
        (figure.key, figure.values) for figure in one.reports[0].figures
    ] == [(figure.key, figure.values) for figure in other.reports[0].figures]


def _difference(first: Report, other: Report) -> str:
    mine, theirs = first.protocol.model_dump(), other.protocol.model_dump()
    names = [name for name in mine if mine[name] != theirs[name] and name not in {"seeds", "gansmith"}]
    return "; ".join(f"{name}: {mine[name]} and {theirs[name]}" for name in names[:2])
