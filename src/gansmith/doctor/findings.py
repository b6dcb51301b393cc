"""Findings: what a run, its rules and what they find are; and when what shows in a table counts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from gansmith.doctor.table import SignalTable
from gansmith.recipe import Recipe

Mask = NDArray[np.bool_]
Severity = Literal["problem", "warning"]

IN_A_ROW = 3  # rows that show a failure before it is found, and that do not before it is over
WARM_UP_IMAGES = 64_000
WARM_UP_SHARE = 0.2  # of the planned steps, where that is less

PHRASES: Mapping[str, str] = {
    "sensitivity": "for a change of noise images change by {:.2g} of the distance of real ones",
    "distance": "generated images lie {:.2g} x as far apart as real ones",
    "gap": "their gap to real images is {:.2g}",
    "fd": "Frechet distance {:.3g}",
    "generator_gradient": "the generator's gradient is {:.2g}",
    "discriminator_gradient": "the discriminator's gradient is {:.2g}",
    "discriminator_accuracy": "the discriminator is right in {:.0%}",
    "generator_accuracy": "{:.0%} of generated images pass for real",
    "discriminator_loss": "D loss {:.3g}",
    "generator_loss": "G loss {:.3g}",
    "total_variation": "neighbouring pixels differ {:.2g} x as much as in real images",
    "high_frequency": "fine detail has {:.2g} x its share of the power",
    "checkerboard": "a pattern of every second pixel is {:.2g} x as strong as in real images",
    "closer_to_train": "{:.0%} of generated images lie nearer to a training image than to any test image",
    "logit_train": "its answer is {:.2g} to training images",
    "logit_holdout": "{:.2g} to test images",
    "logit_fake": "{:.2g} to generated ones",
    "kind_purity": "{:.0%} of the training images are of the commonest class of their kind",
    "label_accuracy": "generated images are of the requested class {:.0%} as often as real ones look it",
}
"""How a sentence of evidence says a signal's value."""


@dataclass(frozen=True)
class Facts:
    """What rules need to know of a run beside its table.

    Args:
        recipe: the one it trains.
        steps: its planned length; None where time ends it.
        diverged: whether it ended because a number was no longer finite.
        last_step: the last one in its logs.
        pixel_std: of the data, black being 0 and white 1; None if not known.
        labelled: whether the data have labels.
        seed: of the run.
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
        """Steps before which nothing counts: untrained networks show any failure."""
        steps = WARM_UP_IMAGES / self.recipe.batch_size
        return min(steps, WARM_UP_SHARE * self.steps) if self.steps else steps


@dataclass(frozen=True)
class Finding:
    """A failure that a run shows, or showed."""

    name: str
    severity: Severity
    what: str
    evidence: str
    cause: str
    remedy: str
    """Flags of `gansmith train` that change what probably causes it."""
    step: int
    """The first step of the stretch that shows it."""
    until: int | None = None
    """The last step that showed it, if it is over."""
    watched: Mapping[str, float | None] = field(default_factory=dict)
    """The signals it rests on, with the value beyond which they count."""
    follows: tuple[str, ...] = ()
    """Other failures that show too and probably follow from this one."""

    @property
    def is_problem(self) -> bool:
        """Whether it is serious and not over."""
        return self.severity == "problem" and self.until is None

    @property
    def when(self) -> str:
        """`since step 350`, or `from step 350 to 1,050, over`."""
        if self.until is None:
            return f"since step {self.step:,}"
        return f"from step {self.step:,} to {self.until:,}, over"

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    def line(self) -> str:
        """One line for a log."""
        if self.until is not None:
            return f"doctor: no longer {self.name}, last seen at step {self.until:,}"
        return f"doctor: {self.severity}, {self.name} since step {self.step:,}: {self.evidence}; try {self.remedy}"


class Rule:
    """One failure: what it means, how it shows, its evidence, its likely cause and the remedy to try.

    A subclass is a failure. Its docstring says in words what :meth:`shows` says in code.
    """

    name: ClassVar[str]
    what: ClassVar[str]
    """What it means for the run, in plain words."""
    cause: ClassVar[str]
    """The likely one."""
    watched: ClassVar[Mapping[str, float | None]]
    """The signals it rests on, with the threshold to draw."""
    evidence_from: ClassVar[tuple[str, ...]] = ()
    """The signals that its evidence gives, in this order."""
    explains: ClassVar[tuple[str, ...]] = ()
    """Failures that follow from it: while it is a problem, they are no findings of their own."""
    patience: ClassVar[int] = 0
    """Steps that it has to last, beside three rows."""

    def shows(self, table: SignalTable, facts: Facts) -> Mask:
        """Which rows show it: (rows,) bool."""
        raise NotImplementedError

    def severe(self, table: SignalTable, facts: Facts) -> Mask:
        """Which of the rows that show it make it a problem, not a warning: (rows,) bool."""
        return np.ones(len(table), dtype=bool)

    def evidence(self, table: SignalTable, row: int) -> str:
        """What a row shows, in words with numbers."""
        return measured(table, row, *self.evidence_from)

    def remedy(self, facts: Facts, table: SignalTable, row: int) -> str:
        """The flags of `gansmith train` to try, given the first row that shows it."""
        raise NotImplementedError


def measured(table: SignalTable, row: int, *names: str) -> str:
    """The values of signals in a row, in words; those that were not measured are left out."""
    return ", ".join(PHRASES[name].format(table[name][row]) for name in names if np.isfinite(table[name][row]))


def diagnose(table: SignalTable, facts: Facts, rules: Sequence[Rule]) -> list[Finding]:
    """What the rules find: problems first, then warnings, then what is over; within these in the rules' order."""
    with np.errstate(invalid="ignore", divide="ignore"):  # what was not measured is NaN, and shows nothing
        found = [finding for rule in rules if (finding := _apply(rule, table, facts)) is not None]
    for rule in rules:
        if not any(finding.is_problem and finding.name == rule.name for finding in found):
            continue
        explained = [each for each in found if each.name in rule.explains and each.until is None]
        names = tuple(each.name for each in explained)
        found = [replace(f, follows=names) if f.name == rule.name else f for f in found if f not in explained]
    return sorted(found, key=lambda finding: (finding.until is not None, finding.severity != "problem"))


def _apply(rule: Rule, table: SignalTable, facts: Facts) -> Finding | None:
    if not len(table):
        return None
    hits = rule.shows(table, facts) & (table.steps > facts.warm_up)
    span = last_span(hits, table.steps, rule.patience)
    if span is None:
        return None
    first, last = span
    is_over = last < len(table) - IN_A_ROW
    severe = rule.severe(table, facts)[first : last + 1][hits[first : last + 1]]
    return Finding(
        name=rule.name,
        severity="problem" if severe[-IN_A_ROW:].all() and not is_over else "warning",
        what=rule.what,
        evidence=rule.evidence(table, last),
        cause=rule.cause,
        remedy=rule.remedy(facts, table, first),
        step=int(table.steps[first]),
        until=int(table.steps[last]) if is_over else None,
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
