"""The report's part on quality: the curve of training with its best step, and the table of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

from gansmith.evaluation import online, stored, wording
from gansmith.evaluation.report import GALLERY, Report, Share
from gansmith.report.pictures import Picture, embed
from gansmith.runs import Run, quality

MOST_CLASSES = 40
"""The shares of more classes than this are not shown."""


@dataclass(frozen=True)
class Curve:
    """Quality as measured while training."""

    picture: Picture | None
    protocol: quality.Protocol
    last: str
    """The newest measurement, in a sentence."""
    best: tuple[int, float] | None
    best_is_better: bool
    """Whether the best checkpoint is notably better than the newest."""


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of a run."""

    headline: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    classes: Sequence[Share]
    notes: Sequence[str]
    protocol: str

    @property
    def largest_share(self) -> float:
        """The largest share of a class, for the scale of the bars."""
        return max((max(each.real, each.generated) for each in self.classes), default=0.0) or 1.0


@dataclass(frozen=True)
class Quality:
    """What is known of a run's quality; a curve, evaluations, or both."""

    curve: Curve | None
    evaluations: Sequence[Evaluation]
    words: str
    """How far from real the images are, with the distance; by the evaluation, unless training went on since."""
    gallery: Picture | None


def read(run: Run) -> Quality | None:
    """The quality of a run; None where it was neither measured while training nor evaluated."""
    curve, evaluations = _curve(run), [_evaluation(report) for report in stored.every(run)]
    if not (curve or evaluations):
        return None
    known = quality.known(run)
    words = "evaluated, with too few images for a distance" if evaluations else ""
    return Quality(
        curve=curve,
        evaluations=evaluations,
        words=known.sentence if known else words,
        gallery=embed(run.path / GALLERY, "Generated images, outlined, each beside the training images nearest to it"),
    )


def _curve(run: Run) -> Curve | None:
    measured, protocol = run.quality(), quality.protocol(run)
    if not measured or protocol is None:
        return None
    newest = protocol.at(float(measured[-1]["fd"]), int(measured[-1]["step"]))
    last = f"{newest.sentence[0].upper()}{newest.sentence[1:]}."
    return Curve(
        picture=embed(run.path / "quality.png", f"Plot of {protocol.metric} over the steps. {last}"),
        protocol=protocol,
        last=last,
        best=run.best(),
        best_is_better=online.better(run) is not None,
    )


def _evaluation(report: Report) -> Evaluation:
    return Evaluation(
        headline=wording.headline(report),
        headers=wording.HEADERS,
        rows=wording.rows(report),
        classes=report.classes if len(report.classes) <= MOST_CLASSES else (),
        notes=report.notes,
        protocol=report.protocol.line,
    )
