"""Findings: what is wrong with a run, by the numbers; pure functions of a table of looks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gansmith.doctor.table import Looks
from gansmith.recipe import Recipe

Mask = NDArray[np.bool_]
Severity = Literal["ill", "warning"]

IN_A_ROW = 3  # looks that show something before it is called a finding, and that do not before it is called over
WARM_UP_IMAGES = 64_000
WARM_UP_SHARE = 0.2  # of the planned steps, where that is less


@dataclass(frozen=True)
class Facts:
    """What else is known of a run.

    Args:
        recipe: it trains.
        steps: it is planned for; None where time ends it.
        diverged: whether it ended because a number was no longer finite.
        last_step: the last one known.
        pixel_std: of the data, black being 0 and white 1; None if not known.
        labelled: whether the data have labels.
        seed: it was started with.
    """

    recipe: Recipe
    steps: int | None = None
    diverged: bool = False
    last_step: int = 0
    pixel_std: float | None = None
    labelled: bool = False
    seed: int = 0

    @property
    def warm_up(self) -> float:
        """Steps before which no look counts: untrained players show anything."""
        steps = WARM_UP_IMAGES / self.recipe.batch_size
        return min(steps, WARM_UP_SHARE * self.steps) if self.steps else steps


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or was."""

    name: str
    severity: Severity
    what: str
    evidence: str
    cause: str
    remedy: str
    """Flags of `gansmith train` that change what probably causes it."""
    step: int
    """The look from which on it showed."""
    until: int | None = None
    """The last look that showed it, if it is over."""
    watched: Mapping[str, float | None] = field(default_factory=dict)
    """The signals it rests on, with the value beyond which they count."""
    follows: tuple[str, ...] = ()
    """Other failures that show too and probably follow from this one."""

    @property
    def ill(self) -> bool:
        """Whether the run is ill with this now."""
        return self.severity == "ill" and self.until is None

    @property
    def when(self) -> str:
        """`since step 350`, or `from step 350 to 1,050, over`."""
        if self.until is None:
            return f"since step {self.step:,}"
        return f"from step {self.step:,} to {self.until:,}, over"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def line(self) -> str:
        """In one line, for a log."""
        if self.until is not None:
            return f"doctor: no longer {self.name}, last seen at step {self.until:,}"
        return f"doctor: {self.severity}, {self.name} since step {self.step:,}: {self.evidence}; try {self.remedy}"


@dataclass(frozen=True)
class Rule:
    """How one failure shows.

    Args:
        name: of the failure.
        what: it means for the run, in plain words.
        cause: the likely one.
        hits: which looks show it, (looks,) bool.
        evidence: of a look, in words with numbers.
        remedy: the flags to try, given a look that shows it.
        watched: signals it rests on, with the threshold to draw.
        ill: which looks show it so strongly that the run is ill; None for those that `hits`, all-False for a warning.
        patience: steps that it has to last, beside three looks.
        explains: failures that show while this one makes a run ill, and are not findings of their own then.
    """

    name: str
    what: str
    cause: str
    hits: Callable[[Looks, Facts], Mask]
    evidence: Callable[[Looks, int], str]
    remedy: Callable[[Facts, Looks, int], str]
    watched: Mapping[str, float | None]
    ill: Callable[[Looks, Facts], Mask] | None = None
    patience: int = 0
    explains: tuple[str, ...] = ()


def diagnose(looks: Looks, facts: Facts, rules: Sequence[Rule]) -> list[Finding]:
    """What the rules find: what makes the run ill first, then warnings, then what is over; else in the rules' order."""
    with np.errstate(invalid="ignore", divide="ignore"):  # what was not measured is NaN, and no hit
        found = [finding for rule in rules if (finding := _apply(rule, looks, facts)) is not None]
    for rule in rules:
        if not any(finding.ill and finding.name == rule.name for finding in found):
            continue
        explained = [each for each in found if each.name in rule.explains and each.until is None]
        names = tuple(each.name for each in explained)
        found = [replace(f, follows=names) if f.name == rule.name else f for f in found if f not in explained]
    return sorted(found, key=lambda finding: (finding.until is not None, finding.severity != "ill"))


def _apply(rule: Rule, looks: Looks, facts: Facts) -> Finding | None:
    if not len(looks):
        return None
    warm = looks.steps > facts.warm_up
    hits = rule.hits(looks, facts) & warm
    span = last_span(hits, looks.steps, rule.patience)
    if span is None:
        return None
    first, last = span
    strong = hits if rule.ill is None else rule.ill(looks, facts) & hits
    over = last < len(looks) - IN_A_ROW
    is_ill = bool(strong[first : last + 1][hits[first : last + 1]][-IN_A_ROW:].all())
    return Finding(
        name=rule.name,
        severity="ill" if is_ill and not over else "warning",
        what=rule.what,
        evidence=rule.evidence(looks, last),
        cause=rule.cause,
        remedy=rule.remedy(facts, looks, first),
        step=int(looks.steps[first]),
        until=int(looks.steps[last]) if over else None,
        watched=rule.watched,
    )


def last_span(hits: Mask, steps: NDArray[np.float64], patience: int = 0) -> tuple[int, int] | None:
    """First and last hit of the newest stretch that begins with three hits in a row and has no three misses in a row.

    With `patience`, the three and more hits must also span so many steps.
    """
    spans: list[tuple[int, int]] = []
    start: int | None = None
    row = misses = last = 0
    for index, hit in enumerate(hits.tolist()):
        row, misses = (row + 1, 0) if hit else (0, misses + 1)
        if start is not None and misses >= IN_A_ROW:
            start = None
        if start is None and row >= IN_A_ROW and steps[index] - steps[index - row + 1] >= patience:
            start = index - row + 1
            spans.append((start, index))
        if start is not None and hit:
            last = index
            spans[-1] = (start, last)
    return spans[-1] if spans else None
