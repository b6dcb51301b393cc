"""compare: reports side by side, and no ranking inside the noise."""

from collections.abc import Sequence
from dataclasses import dataclass

from gansmith.errors import UserError
from gansmith.evaluation.report import Figure, Report, deviation
from gansmith.evaluation.scores import METRICS

NO_DIFFERENCE = "no significant difference"
RANKED = ("fd", "fd_control", "kid", "precision", "recall", "density", "coverage", "recognised", "modes", "kl")


@dataclass(frozen=True)
class Group:
    """Runs that differ in their training seed alone, or a single report."""

    name: str
    reports: tuple[Report, ...]

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


@dataclass(frozen=True)
class Comparison:
    """Groups of reports, a line for each metric, and notes."""

    groups: tuple[Group, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """What the first metric, the Frechet distance, says."""
        return self.lines[0].verdict if self.lines else NO_DIFFERENCE


def compare(reports: Sequence[Report]) -> Comparison:
    """Puts reports side by side; a difference counts when it exceeds twice the larger noise of the two.

    Reports of the same recipe, data and length but different training seeds are one group.

    Raises UserError for fewer than two reports, or measured by different protocols.
    """
    if len(reports) < 2:
        raise UserError("compare needs two runs or more")
    first = reports[0]
    for other in reports[1:]:
        if not first.protocol.same_as(other.protocol):
            raise UserError(
                f"{first.subject.name} and {other.subject.name} were measured differently, and cannot be compared: "
                f"{_difference(first, other)}"
            )
    groups = _groups(reports)
    keys = [each.key for each in METRICS if all(each.key in report for report in reports)]
    lines = tuple(_line(first[key], groups) for key in keys)
    return Comparison(groups, lines, tuple(_notes(groups, lines)))


def _groups(reports: Sequence[Report]) -> tuple[Group, ...]:
    found: dict[str, list[Report]] = {}
    for number, report in enumerate(reports):
        key = report.subject.group or f"alone {number}"
        if report.subject.seed in [other.subject.seed for other in found.get(key, [])]:
            key = f"{key} again {number}"  # the same seed twice is no second training
        found.setdefault(key, []).append(report)
    return tuple(Group(_name(members), tuple(members)) for members in found.values())


def _name(members: Sequence[Report]) -> str:
    if len(members) == 1:
        return members[0].subject.name
    return f"{members[0].subject.recipe} ({len(members)} seeds: {', '.join(each.subject.name for each in members)})"


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
    best = tuple(groups[i].name for i in tied)
    if key not in RANKED:
        verdict = ""
    elif len(tied) == len(groups):
        verdict = NO_DIFFERENCE
    elif len(tied) == 1:
        verdict = f"{_short(groups[leader])} is better" if len(groups) == 2 else f"{_short(groups[leader])} is best"
    else:
        verdict = f"{' and '.join(_short(groups[i]) for i in tied)} lead; between them {NO_DIFFERENCE}"
    return Line(figure, tuple(means), tuple(noise), best, verdict)


def _short(group: Group) -> str:
    return group.name.split(" (")[0]


def _notes(groups: tuple[Group, ...], lines: tuple[Line, ...]) -> list[str]:
    notes = []
    single = [
        _short(group) for group in groups if len(group.reports) == 1 and group.reports[0].subject.kind != "images"
    ]
    if single:
        notes.append(
            f"one training each of {', '.join(single)}: another training seed may differ by more than this; compare "
            "recipes with three seeds each"
        )
    by_key = {line.figure.key: line for line in lines}
    trained, plain = by_key.get("fd"), by_key.get("fd_control")
    if trained and plain and len(trained.best) < len(groups) and not set(trained.best) & set(plain.best):
        notes.append("the trained encoder and the untrained control do not agree on the better one: be careful")
    return notes


def _difference(first: Report, other: Report) -> str:
    mine, theirs = first.protocol.model_dump(), other.protocol.model_dump()
    names = [name for name in mine if mine[name] != theirs[name] and name not in {"seeds", "gansmith"}]
    return "; ".join(f"{name}: {mine[name]} and {theirs[name]}" for name in names[:2])
