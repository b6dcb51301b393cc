"""How far from real a run's images are, as its folder says: by its evaluation, or by what it measured while it trained.

Reads small files alone and imports no torch, for lists of many runs.
"""

import math
from dataclasses import dataclass
from typing import Any

from gansmith.errors import UserError
from gansmith.files import read_json
from gansmith.metrics import grade
from gansmith.runs.run import Run
from gansmith.text import finite

CURVE, EVALUATION = "quality.json", "evaluation.json"


@dataclass(frozen=True)
class Protocol:
    """What a figure of the quality curve means: quality.json."""

    metric: str
    samples: int
    against: str
    real: int
    fingerprint: str
    floor: float
    """What real training images score, as many as are generated."""
    spread: float
    """Standard deviation of the floor over three sets; differences under twice this mean nothing."""
    variance: float | None = None
    """Of the real images' features, summed over dimensions; None in runs of earlier versions."""

    def at(self, distance: float, step: int) -> "Quality":
        """A distance that was measured so."""
        return Quality(self.metric, distance, self.floor, self.samples, step, self.variance, self.spread)


@dataclass(frozen=True)
class Quality:
    """A Frechet distance beside its floor: that of as many real images."""

    metric: str
    distance: float
    floor: float
    samples: int
    step: int
    variance: float | None = None
    """Of the real images' features; None where an earlier version measured."""
    noise: float = 0.0
    """Standard deviation of distance or floor; 0 if not known."""

    @property
    def times(self) -> float:
        """The distance over the floor, which fewer samples raise: the same images come nearer to it then."""
        return self.distance / self.floor if self.floor > 0 else float("inf")

    @property
    def beyond(self) -> float | None:
        """How far the images are beyond real ones, as a share of these's variance; None where that is not known."""
        if not self.variance:
            return None
        return grade.beyond(self.distance, floor=self.floor, variance=self.variance)

    @property
    def words(self) -> str:
        """`far from real`; empty where an earlier version measured."""
        if not self.variance:
            return ""
        return grade.words(self.distance, floor=self.floor, variance=self.variance, noise=self.noise)

    @property
    def figure(self) -> str:
        """`FD-mnist@b0dc9d 5.1 at step 15,000, where as many real images have 0.25`."""
        measured = f"{self.metric} {self.distance:.3g} at step {self.step:,}"
        return f"{measured}, where as many real images have {self.floor:.3g}"

    @property
    def sentence(self) -> str:
        """The figure, after what it means in words if that is known: `far from real: FD-mnist@b0dc9d 5.1 ...`."""
        return f"{self.words}: {self.figure}" if self.words else self.figure

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**vars(self), "times": finite(self.times), "beyond": finite(self.beyond), "words": self.words}


def protocol(run: Run) -> Protocol | None:
    """What a run's quality curve means; None if it has none, or one that cannot be read."""
    try:
        found = Protocol(**read_json(run.path / CURVE))
        math.isfinite(found.floor + found.spread + (found.variance or 0.0))  # TypeError for what is no number
    except (UserError, TypeError):
        return None
    return found


def measured(run: Run) -> Quality | None:
    """The newest measurement while training; None where there is none."""
    rows, meaning = run.quality(), protocol(run)
    if not rows or meaning is None or not meaning.floor > 0:
        return None
    return meaning.at(float(rows[-1]["fd"]), int(rows[-1]["step"]))


def evaluated(run: Run) -> Quality | None:
    """What evaluation.json says of the distance; None where it says nothing, or cannot be read."""
    try:
        report = read_json(run.path / EVALUATION)
        figure = next(each for each in report["figures"] if each["key"] == "fd")
        return Quality(
            str(figure["name"]),
            float(figure["value"]),
            float(figure["floor"]),
            int(report["protocol"]["generated"]),
            int(report["subject"]["step"]),
            None if report.get("variance") is None else float(report["variance"]),
            float(figure["spread"] or 0.0),
        )
    except (UserError, LookupError, TypeError, ValueError, StopIteration):
        return None


def known(run: Run) -> Quality | None:
    """The evaluation, unless the run was measured at a later step since; None where neither is there."""
    evaluation, curve = evaluated(run), measured(run)
    if evaluation is None or curve is None:
        return evaluation or curve
    return curve if curve.step > evaluation.step else evaluation
