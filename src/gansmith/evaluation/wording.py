"""Figures in plain words: how far from real each value is, notes on classes, and the table of a report."""

from collections.abc import Iterator, Sequence

from gansmith.evaluation.report import Figure, Report, Share, Subject

AS_REAL, CLOSE, SOME, FAR, VERY = (
    "as close as real images are",
    "close to real",
    "some way from real",
    "far from real",
    "very far from real",
)
DISTANCES = ((2.0, "very close to real"), (6.0, CLOSE), (20.0, SOME), (60.0, FAR))  # value over floor, up to
SHORTFALLS = ((0.03, "very close to real"), (0.1, CLOSE), (0.25, SOME), (0.5, FAR))  # share of the floor missing
COPYING = {"closer", "authentic"}
NO_COPYING, COPIES = 0.03, 0.15
"""How much more than real images: a share up to which there is no sign of copying, and from which it is certain."""
FAR_OFF = 0.5
"""Share of the floor's precision below which the neighbours of generated images say nothing."""
MISSING = 0.1
"""Share of a class's real share below which it is nearly missing."""


def graded(figures: Sequence[Figure]) -> list[Figure]:
    """The figures, each with its words."""
    precision = next((each for each in figures if each.key == "precision" and each.floor), None)
    far = precision is not None and precision.value < FAR_OFF * (precision.floor or 0.0)
    return [each.model_copy(update={"words": verdict(each, far_off=far)}) for each in figures]


def verdict(figure: Figure, *, far_off: bool = False) -> str:
    """How far from real a figure is, against its floor. ``far_off``: the images are not near enough to be copies."""
    if figure.floor is None:
        return ""
    excess = figure.value - figure.floor if figure.better == "lower" else figure.floor - figure.value
    if figure.key in COPYING:
        return "says nothing: too far from real" if far_off else _copying(figure, excess)
    if excess <= 2 * figure.noise:
        return AS_REAL
    if figure.key in {"fd_infinity", "kid"}:
        return ""
    if figure.key == "ndb":
        return _graded(excess, ((5, "very close to real"), (15, CLOSE), (35, SOME), (60, FAR)))
    if figure.better == "lower":
        return _graded(figure.value / figure.floor, DISTANCES) if figure.floor > 0 else VERY
    return _graded(excess / figure.floor, SHORTFALLS) if figure.floor > 0 else ""


def _copying(figure: Figure, excess: float) -> str:
    """The verdict on a share of copies, by what it exceeds that of real images."""
    if excess <= max(2 * figure.noise, NO_COPYING):
        return "no sign of copying"
    return "leans to training images" if excess < COPIES else "copies training images"


def _graded(value: float, steps: Sequence[tuple[float, str]]) -> str:
    return next((word for limit, word in steps if value <= limit), VERY)


def named(subject: Subject) -> str:
    """`mnist-mlp-001`, with the step where that is known."""
    if subject.step is None:
        return subject.name
    return f"{subject.name} at {subject.which} step {subject.step:,}"


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
        for figure in report.figures
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


def headline(report: Report) -> str:
    """One sentence: what was measured, and how far from real it is."""
    first = report.figures[0] if report.figures else None
    verdict = "nothing could be measured" if first is None or not first.words else first.words
    return f"{named(report.subject)}, against {report.protocol.against}: {verdict}"
