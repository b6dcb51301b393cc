"""The verdict: what can be said of a run as a whole, and why, beside how far its images are from real ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gansmith.doctor.findings import Facts, Finding, measured
from gansmith.doctor.table import SignalTable
from gansmith.evaluation import online
from gansmith.runs import Run
from gansmith.text import amount

Word = Literal["problems found", "not known", "too early to say", "learning", "healthy", "near real"]

ENOUGH = 5  # rows after warming up, below which nothing is said of a run without problems
FAR_SIGNALS = {"gap": 0.05, "total_variation": 2.0, "high_frequency": 5.0}  # of real images: 0, 1, 1
FAR, NEAR = 60.0, 6.0  # times the floor at REFERENCE_SAMPLES: very far from real, close to real
REFERENCE_SAMPLES = 2000


@dataclass(frozen=True)
class Quality:
    """The newest Frechet distance that training measured, beside its floor: that of as many real images."""

    metric: str
    distance: float
    floor: float
    samples: int
    step: int

    @property
    def times(self) -> float:
        """The distance over the floor, which fewer samples raise: the same images come nearer to it then."""
        return self.distance / self.floor

    @property
    def comparable_times(self) -> float:
        """What :attr:`times` would be with 2,000 samples.

        Floor and distance are too large by about the same amount, which falls as 1 / samples.
        """
        return 1 + (self.distance - self.floor) / (self.floor * self.samples / REFERENCE_SAMPLES)

    @property
    def words(self) -> str:
        """`FD-mnist@b0dc9d 5.1 at step 15,000, 20 x that of as many real images`."""
        times = f"{self.times:,.0f}" if self.times >= 10 else f"{self.times:.1f}"
        return f"{self.metric} {self.distance:.3g} at step {self.step:,}, {times} x that of as many real images"


@dataclass(frozen=True)
class Verdict:
    """One word, or a few, on a run; and in a sentence what it rests on."""

    word: Word
    reason: str


def newest_quality(run: Run) -> Quality | None:
    """What quality.jsonl and quality.json say of a run; None where nothing was measured."""
    measurements, protocol = run.quality(), online.protocol(run)
    if not measurements or protocol is None or not protocol.floor > 0:
        return None
    newest = measurements[-1]
    return Quality(protocol.metric, float(newest["fd"]), protocol.floor, protocol.samples, int(newest["step"]))


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
    if quality is not None and quality.comparable_times > FAR:
        signs = ", ".join(filter(None, [quality.words, signs]))
    if signs:
        return Verdict("learning", f"images are still far from real ones: {signs}")
    if quality is None:
        return Verdict("healthy", "no problem, and by their signals images are not far from real ones")
    return Verdict("near real" if quality.comparable_times <= NEAR else "healthy", f"no problem, and {quality.words}")


def far_from_real(table: SignalTable) -> str:
    """The signals by which the newest images are far from real ones, in words; empty where they are not."""
    recent = SignalTable(table.steps[-1:], {name: _recent(table, name) for name in FAR_SIGNALS})
    return measured(recent, 0, *(name for name, limit in FAR_SIGNALS.items() if recent[name][0] > limit))


def _recent(table: SignalTable, name: str) -> np.ndarray:
    """The median of a signal's last three values, as a column of one."""
    values = table[name][np.isfinite(table[name])][-3:]
    return np.array([np.median(values) if len(values) else np.nan])
