"""The report's part on quality: the curve of training with its best step, and the table of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

from gansmith.errors import UserError
from gansmith.evaluation import online, wording
from gansmith.evaluation.report import FILE, GALLERY, Figure, Report, Share
from gansmith.report.pictures import Picture, embed
from gansmith.runs import Run

MOST_CLASSES = 40
"""The shares of more classes than this are not shown."""


@dataclass(frozen=True)
class Curve:
    """Quality as measured while training."""

    picture: Picture | None
    protocol: online.Protocol
    last: str
    """The newest measurement, in a sentence."""
    words: str
    best: tuple[int, float] | None
    best_is_better: bool
    """Whether the best checkpoint is notably better than the newest."""


@dataclass(frozen=True)
class Evaluation:
    """The newest evaluation of a run."""

    headline: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: str
    """How far from real its first figure is, with that figure."""
    classes: Sequence[Share]
    notes: Sequence[str]
    gallery: Picture | None
    protocol: str

    @property
    def largest_share(self) -> float:
        """The largest share of a class, for the scale of the bars."""
        return max((max(each.real, each.generated) for each in self.classes), default=0.0) or 1.0


@dataclass(frozen=True)
class Quality:
    """What is known of a run's quality; at least one of the two."""

    curve: Curve | None
    evaluation: Evaluation | None

    @property
    def words(self) -> str:
        """How far from real the images are, by the evaluation if there is one."""
        return (self.evaluation and self.evaluation.words) or (self.curve and self.curve.words) or ""


def read(run: Run) -> Quality | None:
    """The quality of a run; None where it was neither measured while training nor evaluated."""
    curve, evaluation = _curve(run), _evaluation(run)
    return Quality(curve, evaluation) if curve or evaluation else None


def _curve(run: Run) -> Curve | None:
    measured, protocol = run.quality(), online.protocol(run)
    if not measured or protocol is None:
        return None
    step, distance = int(measured[-1]["step"]), float(measured[-1]["fd"])
    times = distance / protocol.floor if protocol.floor else float("inf")
    last = f"At step {step:,}: {distance:.3g}, {times:,.1f} times the score of real images."
    figure = Figure(
        key="fd",
        name=protocol.metric,
        better="lower",
        value=distance,
        values=(distance,),
        floor=protocol.floor,
        spread=protocol.spread,
    )
    return Curve(
        picture=embed(run.path / "quality.png", f"Plot of {protocol.metric} over the steps. {last}"),
        protocol=protocol,
        last=last,
        words=f"{_words(figure)}, measured while training",
        best=run.best(),
        best_is_better=online.better(run) is not None,
    )


def _evaluation(run: Run) -> Evaluation | None:
    try:
        report = Report.read(run.path / FILE)
    except UserError:
        return None
    return Evaluation(
        headline=wording.headline(report),
        headers=wording.HEADERS,
        rows=wording.rows(report),
        words=_words(report.figures[0]) if report.figures else "",
        classes=report.classes if len(report.classes) <= MOST_CLASSES else (),
        notes=report.notes,
        gallery=embed(run.path / GALLERY, "Generated images, outlined, each beside the training images nearest to it"),
        protocol=report.protocol.line,
    )


def _words(figure: Figure) -> str:
    """`far from real: FD-mnist@b0dc9d 12.3, 25 x the score of real images`."""
    times = wording.times(figure)
    score = f"{figure.name} {wording.number(figure.value, figure.key)}"
    score += f", {times} the score of real images" if times else ""
    words = wording.verdict(figure) or figure.words
    return f"{words}: {score}" if words else score
