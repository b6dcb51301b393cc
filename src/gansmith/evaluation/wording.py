"""Figures in plain words: how far from real the images are, notes on classes, and the table of a report."""

from collections.abc import Iterator, Sequence

from gansmith.evaluation.report import Figure, Report, Share, Subject
from gansmith.metrics import grade

AS_REAL = "within the noise of real images"
UNGRADED = "measured by an earlier gansmith; evaluate it again"
COPYING = {"closer", "authentic"}
NO_COPYING, COPIES = 0.03, 0.15
"""How much more than real images: a share up to which there is no sign of copying, and from which it is certain."""
FAR_OFF = 0.5
"""Share of the floor's precision below which the neighbours of generated images say nothing."""
MISSING = 0.1
"""Share of a class's real share below which it is nearly missing."""


def graded(figures: Sequence[Figure], variance: float | None) -> list[Figure]:
    """The figures, each with its words. ``variance``: of the real images' features, as of :class:`Report`."""
    precision = next((each for each in figures if each.key == "precision" and each.floor), None)
    far = precision is not None and precision.value < FAR_OFF * (precision.floor or 0.0)
    return [each.model_copy(update={"words": verdict(each, variance, far_off=far)}) for each in figures]


def verdict(figure: Figure, variance: float | None = None, *, far_off: bool = False) -> str:
    """What a figure says beside its floor: quality in words for the Frechet distance, a share for those that have one.

    Args:
        figure: of a report.
        variance: of the real images' features; None where an earlier version measured.
        far_off: the images are not near enough to real ones to be copies.
    """
    if figure.floor is None:
        return ""
    if figure.key == "fd":
        if variance is None:
            return ""
        return grade.words(figure.value, floor=figure.floor, variance=variance, noise=figure.noise)
    excess = figure.value - figure.floor if figure.better == "lower" else figure.floor - figure.value
    if figure.key in COPYING:
        return "says nothing: too far from real" if far_off else _copying(figure, excess)
    if excess <= 2 * figure.noise:
        return AS_REAL
    return f"{excess / figure.floor:.0%} below real images" if figure.better == "higher" and figure.floor > 0 else ""


def _copying(figure: Figure, excess: float) -> str:
    """The verdict on a share of copies, by what it exceeds that of real images."""
    if excess <= max(2 * figure.noise, NO_COPYING):
        return "no sign of copying"
    return "leans to training images" if excess < COPIES else "copies training images"


def named(subject: Subject) -> str:
    """`mnist-mlp-001`, with the step where that is known."""
    if subject.step is None:
        return subject.name
    return f"{subject.name} at {'best ' if subject.which == 'best' else ''}step {subject.step:,}"


def class_notes(classes: Sequence[Share]) -> Iterator[str]:
    """A note about classes that hardly occur."""
    rare = [each for each in classes if each.real > 0.001 and each.generated < MISSING * each.real]
    if rare and len(rare) <= 12:
        names = ", ".join(
            f"{each.name} ({each.generated:.1%} of the images, {each.real:.1%} of real ones)" for each in rare
        )
        yield f"nearly missing: {names}"
    elif rare:
        yield f"nearly missing: {len(rare)} of {len(classes)} classes"


def number(value: float | None, key: str = "") -> str:
    """A figure to a sensible number of digits."""
    if value is None:
        return ""
    if key in {"ndb", "modes"}:
        return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
    if key == "kid":
        return f"{value:.5f}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def times(figure: Figure) -> str:
    """`12 x`: the value over its floor."""
    ratio = figure.times
    return "" if ratio is None else f"{ratio:,.0f} x" if ratio >= 10 else f"{ratio:.2f} x"


def between(figure: Figure) -> str:
    """`12.1 to 12.9`: the interval."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{number(figure.low, figure.key)} to {number(figure.high, figure.key)}"


HEADERS = ("metric", "value", "95 % interval", "floor", "x floor", "in words")


def rows(report: Report) -> list[list[str]]:
    """The table of a report, a row for each figure under :data:`HEADERS`."""
    return [
        [
            figure.name,
            number(figure.value, figure.key),
            between(figure),
            number(figure.floor, figure.key),
            times(figure),
            figure.words,
        ]
        for figure in graded(report.figures, report.variance)
    ]


def class_rows(report: Report, width: int = 24) -> list[list[str]]:
    """Class, share of real and of generated images, and a bar for the latter with a mark at the former."""
    most = max((max(each.real, each.generated) for each in report.classes), default=0) or 1
    lines = []
    for each in report.classes:
        bar = "█" * round(width * each.generated / most)
        mark = min(width - 1, round(width * each.real / most))
        drawn = bar.ljust(width)
        lines.append(
            [each.name, f"{each.real:.1%}", f"{each.generated:.1%}", (drawn[:mark] + "│" + drawn[mark + 1 :]).rstrip()]
        )
    return lines


def quality(report: Report) -> str:
    """How far from real the images are, in words; why that cannot be said, where it cannot."""
    if "fd" not in report:
        return grade.TOO_FEW
    return verdict(report["fd"], report.variance) or UNGRADED


def headline(report: Report) -> str:
    """One sentence: what was measured, and how far from real it is."""
    return f"{named(report.subject)}, against {report.protocol.against}: {quality(report)}"
