"""doctor.png: the signals that findings rest on, with their thresholds and the steps that count, beside samples."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

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
TITLES = {
    "discriminator_loss": "discriminator loss",
    "generator_loss": "generator loss",
    "discriminator_accuracy": "discriminator accuracy",
    "generator_accuracy": "generator accuracy: share of its images taken for real",
    "fd": "Frechet distance to real images",
    "contrast": "standard deviation of generated pixels over that of real ones",
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
    """Signals to plot, those of the findings first, with their thresholds."""
    wanted: dict[str, float | None] = {}
    for finding in examination.findings:
        for name, threshold in finding.watched.items():
            wanted.setdefault(name, threshold)
    for name in ALWAYS:
        wanted.setdefault(name, None)
    return dict([(name, limit) for name, limit in wanted.items() if examination.table.has(name)][:PLOTS])


def _drawn(examination: Examination, watched: dict[str, float | None]) -> bytes:
    """Two columns of signals, and beside them the newest sheet of samples, as PNG."""
    rows = -(-len(watched) // 2)
    sheets = [(step, path) for step, path in examination.run.sheets() if path.is_file()]
    width, height = (9.6 if sheets else 6.4), 0.4 + 1.55 * max(rows, 2)
    figure = render.figure(width, height, pixels=1440 if sheets else 960)
    grid = figure.add_gridspec(rows, 3 if sheets else 2, width_ratios=(9, 9, 8) if sheets else (1, 1))
    grid.update(left=0.45 / width, right=1 - 0.1 / width, top=1 - 0.68 / height, bottom=0.22 / height)
    grid.update(wspace=0.18, hspace=0.62)
    for index, (name, threshold) in enumerate(watched.items()):
        _plot(figure.add_subplot(grid[index // 2, index % 2]), examination, name, threshold)
    if sheets:
        step, path = sheets[-1]
        axes = figure.add_subplot(grid[:, 2])
        with Image.open(path) as sheet:
            axes.imshow(np.asarray(sheet.convert("RGB")))
        axes.set_title(f"samples at step {step:,}", fontsize=8, loc="left", y=1.0)
        axes.set_axis_off()
        axes.set_anchor("N")
    now = [finding for finding in examination.findings if finding.until is None]
    names = ", ".join(finding.name + ("" if finding.is_problem else " (warning)") for finding in now)
    title = f"{examination.verdict}: {names}" if names else examination.verdict
    figure.text(0.06 / width, 1 - 0.06 / height, title, fontsize=10, fontweight="bold", va="top", parse_math=False)
    return render.figure_png(figure)


def _plot(axes: "Axes", examination: Examination, name: str, threshold: float | None) -> None:
    table = examination.table
    values = table[name]
    known = np.isfinite(values)
    for finding in examination.findings:
        if name in finding.watched:
            end = table.steps[-1] if finding.until is None else finding.until
            axes.axvspan(finding.step, float(max(end, finding.step)), color=HIT, linewidth=0, zorder=0)
    marker = "." if known.sum() < 30 else ""
    axes.plot(table.steps[known], values[known], color=LINE, linewidth=1.1, marker=marker, markersize=5)
    if threshold is not None:
        axes.axhline(threshold, color=THRESHOLD, linestyle=(0, (5, 4)), linewidth=1)
    if known.any() and values[known].max() > 100 * (1 + float(np.median(np.abs(values[known])))):
        axes.set_yscale("symlog")
    else:
        axes.locator_params(axis="y", nbins=5)
    render.style(axes)
    title = textwrap.fill(TITLES.get(name) or signals.MEANINGS.get(name, name), 48)
    axes.set_title(title, fontsize=8, loc="left", y=1.0, pad=4, parse_math=False)
