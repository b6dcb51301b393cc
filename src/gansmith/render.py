"""Arrays to pictures: sheets of samples, animations, plots, and previews made of characters.

Every function is pure: plain arrays and numbers in, a picture or a file out, the same bytes for the same input. Images
are uint8 of shape (N, C, H, W) with C 1 (grey) or 3 (RGB) and values 0 to 255.
"""

import functools
import io
import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ImageDraw, ImageFont
from PIL.Image import Dither, Image, Quantize, Resampling, fromarray, new
from PIL.Image import open as open_image

from gansmith.errors import UserError
from gansmith.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Image", "animation", "beside", "blocks", "caption", "mix", "picture", "plot", "png", "sheet"]

Images = np.ndarray[Any, np.dtype[np.uint8]]

# A contact sheet's dark mount: it lies as well on a white page as on a black one, and lets neither eat the edges.
MOUNT = (42, 44, 48)
TEXT = (232, 232, 236)
RED = (235, 52, 42)
WIDEST = 800  # pixels: what a sheet may measure when the caller names no scale
TALLEST = 1200
SHADES = " ░▒▓█"

# Okabe and Ito's colours (2008), told apart by colour-blind readers and in grey print.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


def png(image: Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


def picture(image: np.ndarray[Any, np.dtype[np.uint8]]) -> Image:
    """One image (C, H, W) as it is: a grey picture for one channel, RGB for three."""
    return sheet(image[None], scale=1, gap=0)


def sheet(
    images: Images,
    *,
    columns: int | None = None,
    scale: int | None = None,
    gap: int = 2,
    marked: Collection[int] = (),
    captions: Sequence[str] | None = None,
) -> Image:
    """Lay images (N, C, H, W) out in rows of `columns`, enlarged `scale` times with crisp pixels.

    Without `columns` the sheet is about as wide as high; without `scale` it is 500 to 800 pixels wide where that is
    possible. `gap` is the separator in pixels of the sheet. Images whose index is in `marked` are outlined in red;
    `captions` (one an image) are written below them. UserError for images of another kind or unmatched captions.
    """
    images = _checked(images)
    count, channels, height, width = images.shape
    columns = min(columns or _columns(count), count)
    rows = -(-count // columns)
    scale = scale or _scale(columns * width, rows * height, columns * gap + gap, WIDEST)
    if columns < 1 or scale < 1 or gap < 0:
        raise UserError(
            f"a sheet needs columns and scale of 1 or more and a gap of 0 or more, not {columns, scale, gap}"
        )
    if captions is not None and len(captions) != count:
        raise UserError(f"{len(captions)} captions for {count} images: give one an image")
    font = _font(max(10, min(15, width * scale // 5)))
    band = _line_height(font) if captions is not None else 0
    cell_width, cell_height = width * scale + gap, height * scale + gap + band
    cells = images.repeat(scale, axis=2).repeat(scale, axis=3)
    mount = np.array(MOUNT if channels == 3 else MOUNT[1:2], dtype=np.uint8)
    canvas = np.empty((rows * cell_height + gap, columns * cell_width + gap, channels), dtype=np.uint8)
    canvas[:] = mount
    corners = [(gap + i % columns * cell_width, gap + i // columns * cell_height) for i in range(count)]
    for cell, (x, y) in zip(cells, corners, strict=True):
        canvas[y : y + height * scale, x : x + width * scale] = cell.transpose(1, 2, 0)
    picture = fromarray(canvas if channels == 3 else canvas[:, :, 0])
    if marked or captions is not None:
        picture = picture.convert("RGB")
    draw = ImageDraw.Draw(picture)
    for index, (x, y) in enumerate(corners):
        right, bottom = x + width * scale, y + height * scale
        if index in marked:
            draw.rectangle(
                (x - gap, y - gap, right + gap - 1, bottom + gap - 1), outline=RED, width=gap + max(1, scale // 2)
            )
        if captions is not None:
            text = _shortened(captions[index], font, width * scale)
            draw.text(((x + right) / 2, bottom + band / 2), text, font=font, fill=TEXT, anchor="mm")
    return picture


def beside(left: Images, right: Images, *, left_title: str, right_title: str) -> Image:
    """Two sheets of one scale side by side, each under its title: real (N, C, H, W) beside generated (M, C, H, W)."""
    left, right = _checked(left), _checked(right)
    count, _, height, width = left.shape
    columns = _columns(count)
    scale = _scale(columns * width, -(-count // columns) * height, 2 * columns + 2, 600)
    halves = [sheet(images, columns=columns, scale=scale).convert("RGB") for images in (left, right)]
    font = _font(18)
    band, between = _line_height(font) + 10, 14
    size = (halves[0].width + between + halves[1].width, band + max(half.height for half in halves))
    picture = new("RGB", size, MOUNT)
    draw = ImageDraw.Draw(picture)
    x = 0
    for half, title in zip(halves, (left_title, right_title), strict=True):
        picture.paste(half, (x, band))
        text = _shortened(title, font, half.width)
        draw.text((x + half.width / 2, band / 2), text, font=font, fill=TEXT, anchor="mm")
        x += half.width + between
    return picture


def mix(real: Images, generated: Images, *, seed: int) -> tuple[Images, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Shuffle real (N, C, H, W) and generated (M, C, H, W) together; also returns, for each, whether it is generated.

    UserError unless both have the same C, H and W.
    """
    real, generated = _checked(real), _checked(generated)
    if real.shape[1:] != generated.shape[1:]:
        raise UserError(
            f"real images are {real.shape[1:]}, generated ones {generated.shape[1:]}: only equals can be mixed"
        )
    order = np.random.default_rng(seed).permutation(len(real) + len(generated))
    return np.concatenate([real, generated])[order], order >= len(real)


def caption(image: Image, text: str) -> Image:
    """The image with a line of text on a band below it: "step 500" on a frame."""
    font = _font(max(12, min(20, image.width // 36)))
    band = _line_height(font) + 6
    mode = image.mode if image.mode in {"L", "RGB"} else "RGB"
    ground, ink = (MOUNT[1], TEXT[0]) if mode == "L" else (MOUNT, TEXT)
    picture = new(mode, (image.width, image.height + band), ground)
    picture.paste(image, (0, 0))
    middle = (image.width / 2, image.height + band / 2 - 1)
    ImageDraw.Draw(picture).text(middle, _shortened(text, font, image.width), font=font, fill=ink, anchor="mm")
    return picture


def animation(frames: Sequence[Image], path: Path, *, seconds_per_frame: float = 0.25, hold_last: float = 1.5) -> None:
    """Write frames of one size as an endless animation: crisp WebP or GIF, by the suffix of `path`, in one piece.

    Each frame is shown for `seconds_per_frame`, the last one for `hold_last` seconds longer. UserError for another
    suffix, for no frames, or frames of different sizes.
    """
    suffix = path.suffix.lower()
    if suffix not in {".webp", ".gif"}:
        raise UserError(f"{path.name}: an animation is a .webp or a .gif; choose one of these endings")
    if not frames or len({frame.size for frame in frames}) != 1:
        raise UserError(f"{path.name}: an animation needs one or more frames, all of one size")
    # Rounded to 32 of 256 levels, which nobody sees and which halves the file; then without loss: the coder finds
    # that enlarged pixels repeat, while a lossy one blurs every edge of them into more bytes.
    mode = "L" if all(frame.mode == "L" for frame in frames) else "RGB"
    levels = [round(round(value * 31 / 255) * 255 / 31) for value in range(256)] * len(mode)
    pictures = [frame.convert(mode).point(levels) for frame in frames]
    durations = [round(1000 * seconds_per_frame)] * len(pictures)
    durations[-1] += round(1000 * hold_last)
    if suffix == ".gif" and mode == "RGB":
        pictures = _one_palette(pictures)
    options: dict[str, Any] = (
        {"lossless": True, "quality": 70, "method": 4} if suffix == ".webp" else {"optimize": False}
    )
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, suffix[1:], save_all=True, append_images=pictures[1:], duration=durations, loop=0, **options
    )
    write_bytes(path, buffer.getvalue())


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
    """Write curves (name: x values, y values) as a PNG of 1280 x 576 pixels, in one piece.

    A curve of 40 points or more is drawn faintly, and its moving average over that. `levels` are dashed horizontals; as
    many levels as curves means one each, in the colour of its curve. Values that are not finite are left out, and a few
    extreme ones may lie outside the picture, which then says so. With ``logarithmic``, y has a logarithmic scale that
    shows all values above 0.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    figure = Figure(figsize=(8, 3.6), dpi=160, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    drawn = [_curve(axes, name, *values, LINES[i % len(LINES)]) for i, (name, values) in enumerate(curves.items())]
    levels = levels or {}
    for i, (name, level) in enumerate(levels.items()):
        colour = LINES[i % len(LINES)] if len(levels) == len(curves) else "#666666"
        axes.axhline(level, color=colour, linestyle=(0, (5, 4)), linewidth=1.2, label=name, zorder=1.5)
    points = [pair for pair in drawn if len(pair[0])]
    if points and logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.4g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.01, y=0.06)
    elif points:
        _frame_values(axes, points, list(levels.values()))
    else:
        axes.text(0.5, 0.5, "nothing measured yet", transform=axes.transAxes, ha="center", va="center", color="#666666")
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color="#222222", parse_math=False)
    axes.set_xlabel(x_label, color="#333333", parse_math=False)
    axes.set_ylabel(y_label, color="#333333", parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors="#444444", length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    entries = len(points) + len(levels)
    if 0 < entries <= 2:  # beside the title, else below
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=9, borderaxespad=0.3)
    elif entries:
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    drawn_rgb = io.BytesIO()
    figure.savefig(drawn_rgb, format="png")
    buffer = io.BytesIO()
    open_image(drawn_rgb).convert("RGB").quantize(96, method=Quantize.MEDIANCUT, dither=Dither.NONE).save(
        buffer, "png", optimize=True
    )
    write_bytes(path, buffer.getvalue())


def blocks(images: Images, *, columns: int, colour: bool, width: int | None = None) -> str:
    """Images (N, C, H, W) as lines of text, `columns` images a row, within `width` characters (80 when not given).

    With `colour`, each character is an upper half block in 24-bit ANSI colours: two pixels. Without, it is one of five
    shades of grey for those two pixels. Images are made smaller to fit, never larger. No newline at the end.
    """
    images = _checked(images)
    count, _, height, wide = images.shape
    columns = max(1, min(columns, count))
    across = max(1, min(wide, ((width or 80) - (columns - 1)) // columns))
    down = max(1, round(across * height / wide / 2))
    tiles = [_tile(image, across, 2 * down) for image in images]
    lines: list[str] = []
    for start in range(0, count, columns):
        row = tiles[start : start + columns]
        if start:
            lines.append("")
        for y in range(down):
            parts = [_half_blocks(t[2 * y], t[2 * y + 1]) if colour else _shades(t[2 * y], t[2 * y + 1]) for t in row]
            lines.append(" ".join(parts) if colour else " ".join(parts).rstrip())
    return "\n".join(lines)


def _checked(images: Images) -> Images:
    images = np.asarray(images)
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[1] not in {1, 3} or not images.size:
        raise UserError(f"images must be uint8 (N, 1 or 3, H, W), not {images.dtype} {images.shape}")
    return images


def _columns(count: int) -> int:
    """About the square root, a little more where that fills the last row: 8 for 64 and for 40."""
    least = math.isqrt(count - 1) + 1
    return next((c for c in range(least, math.ceil(1.6 * math.sqrt(count)) + 1) if count % c == 0), least)


def _scale(width: int, height: int, gaps: int, widest: int) -> int:
    return max(1, min((widest - gaps) // width, TALLEST // height, 16))


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _line_height(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    _, top, _, bottom = font.getbbox("Ågjy|")
    return math.ceil(bottom - top) + 4


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text on one line, with its end cut off if it would be wider than `width` pixels."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    cuts = (text[:end].rstrip() + "…" for end in range(len(text) - 1, 0, -1))
    return next((cut for cut in cuts if font.getlength(cut) <= width), "")


def _one_palette(pictures: list[Image]) -> list[Image]:
    """RGB frames in one palette of 256 colours, taken from the first, middle and last: no flicker between frames."""
    some = [pictures[0], pictures[len(pictures) // 2], pictures[-1]]
    width, height = some[0].size
    montage = new("RGB", (width, 3 * height))
    for i, picture in enumerate(some):
        montage.paste(picture, (0, i * height))
    palette = montage.quantize(256)
    return [picture.quantize(palette=palette, dither=Dither.NONE) for picture in pictures]


def _curve(
    axes: "Axes", name: str, x: Sequence[float], y: Sequence[float], colour: str
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Draw one curve; its finite values and the smooth ones."""
    if len(x) != len(y):
        raise UserError(f"curve {name}: {len(x)} x values but {len(y)} y values")
    steps, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    finite = np.isfinite(steps) & np.isfinite(values)
    steps, values = steps[finite], values[finite]
    smooth = values
    if len(values) >= 40:
        axes.plot(steps, values, color=colour, alpha=0.22, linewidth=0.8)
        # A median of five first: a lone spike stays in the faint line and does not become a hill in the other.
        neighbours = np.lib.stride_tricks.sliding_window_view(np.pad(values, 2, mode="edge"), 5)
        reach = max(1, len(values) // 100)
        smooth = _moving_average(_moving_average(np.median(neighbours, axis=1), reach=reach), reach=reach)
    if len(values):
        marker = "o" if len(values) < 12 else ""
        axes.plot(steps, smooth, color=colour, linewidth=1.8, label=name, marker=marker, markersize=3.5)
    return values, smooth


def _moving_average(values: np.ndarray[Any, Any], *, reach: int) -> np.ndarray[Any, Any]:
    """The mean of each value and its neighbours up to `reach` away, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first, last = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(values))
    return np.asarray((sums[last] - sums[first]) / (last - first))


def _frame_values(
    axes: "Axes", points: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]], levels: list[float]
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
        axes.text(0.995, 0.97, note, transform=axes.transAxes, ha="right", va="top", fontsize=8, color="#666666")
    axes.margins(x=0.01)


def _tile(image: Images, width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(C, H, W) to RGB rows (height, width, 3), averaged over areas."""
    rgb = np.broadcast_to(image.transpose(1, 2, 0), (*image.shape[1:], 3))
    small = fromarray(np.ascontiguousarray(rgb)).resize((width, height), Resampling.BOX)
    return np.asarray(small)


def _half_blocks(upper: np.ndarray[Any, Any], lower: np.ndarray[Any, Any]) -> str:
    pairs = [(tuple(a), tuple(b)) for a, b in zip(upper.tolist(), lower.tolist(), strict=True)]
    parts = []
    for (above, below), run in itertools.groupby(pairs):
        ink, ground = ";".join(map(str, above)), ";".join(map(str, below))
        parts.append(f"\x1b[38;2;{ink}m\x1b[48;2;{ground}m" + "▀" * len(list(run)))
    return "".join(parts) + "\x1b[0m"


def _shades(upper: np.ndarray[Any, Any], lower: np.ndarray[Any, Any]) -> str:
    # Rec. 601 luma, lifted a little: thin strokes are averaged with what is around them.
    luma = (np.stack([upper, lower]).mean(axis=0) @ np.array([0.299, 0.587, 0.114])) / 256
    return "".join(SHADES[int(value**0.7 * len(SHADES))] for value in luma)
