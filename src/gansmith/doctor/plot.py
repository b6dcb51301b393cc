"""doctor.png: the signals that findings rest on, with their thresholds and the stretch that counts, beside samples."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from gansmith import render
from gansmith.doctor import signals
from gansmith.doctor.examination import Examination
from gansmith.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOTS = 6
ALWAYS = ("gap", "distance", "discriminator_accuracy", "generator_loss", "entropy", "generator_gradient", "contrast")
TOLD = {
    "discriminator_loss": "the discriminator's loss",
    "generator_loss": "the generator's loss",
    "discriminator_accuracy": "share of a step's images that the discriminator tells apart",
    "generator_accuracy": "share of generated images taken for real",
    "fd": "Frechet distance to real images",
    "contrast": "spread of generated pixels over real ones",
}
LINE, THRESHOLD, HIT = "#0072B2", "#D55E00", "#F6D9C8"


def draw(examination: Examination) -> Path | None:
    """Writes doctor.png into the run's folder, in one piece; None, and no file, where there is nothing to show."""
    watched = _watched(examination)
    path = examination.run.path / "doctor.png"
    if not watched:
        path.unlink(missing_ok=True)
        return None
    write_bytes(path, _drawn(examination, watched))
    return path


def _watched(examination: Examination) -> dict[str, float | None]:
    """Signals to plot with their thresholds: those of the findings first."""
    wanted: dict[str, float | None] = {}
    for finding in examination.findings:
        for name, threshold in finding.watched.items():
            wanted.setdefault(name, threshold)
    for name in ALWAYS:
        wanted.setdefault(name, None)
    return dict([(name, limit) for name, limit in wanted.items() if examination.looks.has(name)][:PLOTS])


def _drawn(examination: Examination, watched: dict[str, float | None]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(watched) // 2)
    sheets = [(step, path) for step, path in examination.run.sheets() if path.is_file()]
    figure = Figure(figsize=(13 if sheets else 9, 1.0 + 2.2 * max(rows, 2)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(rows, 3 if sheets else 2, width_ratios=(9, 9, 8) if sheets else (1, 1))
    places = [figure.add_subplot(grid[row, column]) for row in range(rows) for column in range(2)]
    for place, (name, threshold) in zip(places, watched.items(), strict=False):
        _plot(place, examination, name, threshold)
    for place in places[len(watched) :]:
        place.set_axis_off()
    if sheets:
        step, path = sheets[-1]
        place = figure.add_subplot(grid[:, 2])
        with Image.open(path) as sheet:
            place.imshow(np.asarray(sheet.convert("RGB")))
        place.set_title(f"samples at step {step:,}", fontsize=10)
        place.set_axis_off()
    now = [finding for finding in examination.findings if finding.until is None]
    names = ", ".join(finding.name + ("" if finding.ill else " (warning)") for finding in now)
    figure.suptitle(f"{examination.verdict}: {names}" if names else examination.verdict, fontsize=12, fontweight="bold")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    with Image.open(drawn) as picture:
        return render.png(picture.convert("RGB").quantize(128, dither=Image.Dither.NONE))


def _plot(place: "Axes", examination: Examination, name: str, threshold: float | None) -> None:
    looks = examination.looks
    values = looks[name]
    known = np.isfinite(values)
    for finding in examination.findings:
        if name in finding.watched:
            end = looks.steps[-1] if finding.until is None else finding.until
            place.axvspan(finding.step, float(max(end, finding.step)), color=HIT, linewidth=0, zorder=0)
    many = {"marker": "."} if known.sum() < 30 else {}
    place.plot(looks.steps[known], values[known], color=LINE, linewidth=1.3, **many)  # type: ignore[arg-type]
    if threshold is not None:
        place.axhline(threshold, color=THRESHOLD, linestyle=(0, (5, 4)), linewidth=1.2)
    if known.any() and values[known].max() > 100 * (1 + float(np.median(np.abs(values[known])))):
        place.set_yscale("symlog")
    place.set_title(_wrapped(TOLD.get(name) or signals.MEANINGS.get(name, name)), fontsize=8.5, loc="left")
    place.xaxis.set_major_formatter(_thousands)
    place.tick_params(labelsize=8)
    place.locator_params(axis="x", nbins=5)
    place.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    place.spines[["top", "right"]].set_visible(False)


def _thousands(value: float, position: Any) -> str:
    return f"{value:,.0f}"


def _wrapped(text: str) -> str:
    """On two lines where it is long."""
    if len(text) < 55:
        return text
    cut = text.rfind(" ", 0, len(text) // 2 + 8)
    return f"{text[:cut]}\n{text[cut + 1 :]}"
