"""Plots: curves over steps as PNG files, legible on a phone; matplotlib is imported when the first one is drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Dither, Quantize, fromarray

from gansmith.errors import UserError
from gansmith.files import write_bytes
from gansmith.render.sheets import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours (2008), told apart by colour-blind readers and in grey print.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


def plot(
    path: Path,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    levels: Mapping[str, float] | None = None,
    logarithmic: bool = False,
) -> None:
    """Write curves (name: x values, y values) as a PNG of 1280 x 640 pixels, in one piece.

    A curve of 40 points or more is drawn faintly, and its moving average over that. `levels` are dashed horizontals; as
    many levels as curves means one each, in the colour of its curve. Values that are not finite are left out, and a few
    extreme ones may lie outside the picture, which then says so. With ``logarithmic``, y has a logarithmic scale that
    shows all values above 0.
    """
    empty = figure(4, 2)
    axes = empty.add_subplot()
    drawn = [_curve(axes, name, *values, LINES[i % len(LINES)]) for i, (name, values) in enumerate(curves.items())]
    levels = levels or {}
    for i, (name, level) in enumerate(levels.items()):
        colour = LINES[i % len(LINES)] if len(levels) == len(curves) else "#666666"
        axes.axhline(level, color=colour, linestyle=(0, (5, 4)), linewidth=0.9, label=name, zorder=1.5)
    points = [pair for pair in drawn if len(pair[0])]
    if points and logarithmic:
        _logarithmic(axes)
    elif points:
        _frame_values(axes, points, list(levels.values()))
    else:
        axes.text(0.5, 0.5, "nothing measured yet", transform=axes.transAxes, ha="center", va="center", color="#666666")
    axes.set_title(title, loc="left", y=1.0, fontsize=9, fontweight="bold", color="#222222", parse_math=False)
    axes.set_xlabel(x_label, color="#333333", fontsize=8, labelpad=1, parse_math=False)
    axes.set_ylabel(y_label, color="#333333", fontsize=8, labelpad=2, parse_math=False)
    style(axes)
    entries = len(points) + len(levels)
    columns = 3 if entries == 3 else 2
    legend_rows = -(-entries // columns)
    empty.subplots_adjust(left=0.135, right=0.96, top=0.89, bottom=0.19 + 0.08 * legend_rows)
    if legend_rows:
        empty.legend(loc="lower center", ncols=columns, frameon=False, fontsize=8, borderpad=0.1, labelspacing=0.2)
    write_bytes(path, figure_png(empty))


def figure(width: float, height: float, *, pixels: int = 1280) -> "Figure":
    """An empty matplotlib figure `width` x `height` inches large that :func:`figure_png` draws `pixels` wide.

    Text has its size in points of these inches: a figure 4 inches wide is legible on a phone.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    empty = Figure(figsize=(width, height), dpi=pixels / width, facecolor="white")
    FigureCanvasAgg(empty)
    return empty


def figure_png(figure: "Figure") -> bytes:
    """A figure as a PNG of few colours. Its layout is the caller's: nothing is moved to make room."""
    canvas: Any = figure.canvas
    canvas.draw()
    rgb = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
    return png(fromarray(rgb).quantize(128, method=Quantize.FASTOCTREE, dither=Dither.NONE))


def style(axes: "Axes") -> None:
    """The look that all plots share: few ticks, faint horizontal lines, no box."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors="#444444", labelsize=8, length=2, pad=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")


def _curve(
    axes: "Axes", name: str, x: Sequence[float], y: Sequence[float], colour: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw one curve; its finite values and the smooth ones."""
    if len(x) != len(y):
        raise UserError(f"curve {name}: {len(x)} x values but {len(y)} y values")
    steps, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    finite = np.isfinite(steps) & np.isfinite(values)
    steps, values = steps[finite], values[finite]
    smooth = values
    if len(values) >= 40:
        axes.plot(steps, values, color=colour, alpha=0.22, linewidth=0.5)
        # A median of five first: a lone spike stays in the faint line and does not become a hill in the other.
        neighbours = np.lib.stride_tricks.sliding_window_view(np.pad(values, 2, mode="edge"), 5)
        reach = max(1, len(values) // 100)
        smooth = _moving_average(_moving_average(np.median(neighbours, axis=1), reach=reach), reach=reach)
    if len(values):
        marker = "o" if len(values) < 12 else ""
        axes.plot(steps, smooth, color=colour, linewidth=1.3, label=name, marker=marker, markersize=2.5)
    return values, smooth


def _moving_average(values: NDArray[np.float64], *, reach: int) -> NDArray[np.float64]:
    """The mean of each value and its neighbours up to `reach` away, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first, last = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(values))
    return np.asarray((sums[last] - sums[first]) / (last - first))


def _logarithmic(axes: "Axes") -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.4g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.01, y=0.06)


def _frame_values(
    axes: "Axes", points: list[tuple[NDArray[np.float64], NDArray[np.float64]]], levels: list[float]
) -> None:
    """Limits that show all smooth values and nearly all raw ones: one spike must not flatten everything else."""
    raw = np.concatenate([values for values, _ in points])
    nearly_all = np.quantile(raw, 0.005, method="higher"), np.quantile(raw, 0.995, method="lower")
    kept = np.concatenate([*(smooth for _, smooth in points), nearly_all, levels])
    low, high = float(kept.min()), float(kept.max())
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    if raw.max() <= high + 5 * room and raw.min() >= low - 5 * room:
        low, high = min(low, float(raw.min())), max(high, float(raw.max()))
    axes.set_ylim(low - room, high + room)
    outside = int(np.sum((raw < low - room) | (raw > high + room)))
    if outside:
        note = f"{outside} of {len(raw):,} values lie outside (from {raw.min():.3g} to {raw.max():.3g})"
        axes.text(0.995, 0.97, note, transform=axes.transAxes, ha="right", va="top", fontsize=7, color="#666666")
    axes.margins(x=0.01)
