"""The verdict: what can be said of a run as a whole, and why, beside how far its images are from real ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gansmith.doctor.findings import Facts, Finding, measured
from gansmith.doctor.table import SignalTable
from gansmith.metrics.grade import CLOSE, VERY_CLOSE, VERY_FAR
from gansmith.runs.quality import Quality
from gansmith.text import amount

Word = Literal["problems found", "not known", "too early to say", "learning", "healthy", "near real"]

ENOUGH = 5  # rows after warming up, below which nothing is said of a run without problems
UNGRADED_FAR = 60.0
"""Times the floor beyond which images are far from real ones, where an earlier version measured."""
FAR_SIGNALS = {"gap": 0.05, "total_variation": 2.0, "high_frequency": 5.0}  # of real images: 0, 1, 1


@dataclass(frozen=True)
class Verdict:
    """One word, or a few, on a run; and in a sentence what it rests on."""

    word: Word
    reason: str


def conclude(table: SignalTable, facts: Facts, findings: Sequence[Finding], quality: Quality | None) -> Verdict:
    """The verdict on a run.

    Problems come first. Without any, images decide: a run whose images are far from real ones is learning, however
    calm its losses. Near real is said only of a distance that was measured.
    """
    problems = [finding.name for finding in findings if finding.is_problem]
    if problems:
        return Verdict("problems found", ", ".join(problems))
    rows = int((table.steps > facts.warm_up).sum())
    if rows < ENOUGH:
        after = f" after step {facts.warm_up:,.0f}, before which nothing counts"
        return Verdict("too early to say", f"{amount(rows, 'measurement')}{after}; it takes {ENOUGH}")
    signs = far_from_real(table)
    if quality is None and not any(table.has(name) for name in FAR_SIGNALS):
        return Verdict("not known", "nothing measured the images")
    if quality is not None and (quality.words == VERY_FAR or (not quality.words and quality.times > UNGRADED_FAR)):
        signs = ", ".join(filter(None, [quality.figure, signs]))
    if signs:
        return Verdict("learning", f"images are still far from real ones: {signs}")
    if quality is None:
        return Verdict("healthy", "no problem, and by their signals images are not far from real ones")
    near = quality.words in {CLOSE, VERY_CLOSE}
    return Verdict("near real" if near else "healthy", f"no problem, and {quality.sentence}")


def far_from_real(table: SignalTable) -> str:
    """The signals by which the newest images are far from real ones, in words; empty where they are not."""
    recent = SignalTable(table.steps[-1:], {name: _recent(table, name) for name in FAR_SIGNALS})
    return measured(recent, 0, *(name for name, limit in FAR_SIGNALS.items() if recent[name][0] > limit))


def _recent(table: SignalTable, name: str) -> np.ndarray:
    """The median of a signal's last three values, as a column of one."""
    values = table[name][np.isfinite(table[name])][-3:]
    return np.array([np.median(values) if len(values) else np.nan])
