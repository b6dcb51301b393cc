"""Pictures of latent tools: rows of images with titles, strips of frames, animations and videos."""

import io
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gansmith import render
from gansmith.errors import UserError
from gansmith.evaluation.pixels import Stored
from gansmith.files import EXIF, writing
from gansmith.latent.nearest_training import Neighbours
from gansmith.latent.truncation import Trade, Truncated
from gansmith.render import MOUNT, TEXT

FILMS = (".webp", ".gif", ".mp4", ".webm")
SHEETS = (".png", ".jpg")
FILM_SIDE = 224
"""Pixels to which the sides of an animation are enlarged, as far as whole multiples allow."""
GAP = 2

Images = NDArray[np.uint8]


def check_target(path: Path, suffixes: Sequence[str]) -> None:
    """Checks that a picture can be written as ``path``, before it is made.

    Raises UserError for another suffix, a folder, or a video without PyAV.
    """
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise UserError(
            f"{path}: cannot write {suffix or 'a folder'}; use {', '.join(suffixes[:-1])} or {suffixes[-1]}"
        )
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file in it")
    if suffix in (".mp4", ".webm"):
        _video_library(path)


def save(path: Path, picture: render.Image) -> Path:
    """Writes a picture whole or not at all; the suffix decides the format."""
    with writing(path) as fresh:
        picture.convert("RGB" if path.suffix.lower() == ".jpg" else picture.mode).save(fresh, exif=EXIF)
    return path


def rows(
    titles: Sequence[str],
    images: Sequence[Images],
    *,
    captions: Sequence[str] | None = None,
    scale: int | None = None,
) -> render.Image:
    """Rows of images, each with a title of one or more lines at its left.

    Args:
        titles: R titles.
        images: R rows uint8 (n, C, H, W), n the same in all.
        captions: n captions, one above each column.
        scale: times that images are enlarged; as far as the picture fits a slide, if not given.
    """
    count, (_, height, width) = len(images[0]), images[0].shape[1:]
    font = ImageFont.load_default(size=13)
    if scale is None:
        across, down = (render.SLIDE - 200) // (count * width), render.TALLEST // (len(images) * height)
        scale = max(1, min(16, across, down))
    sheets = [render.sheet(row, columns=count, scale=scale, gap=GAP).convert("RGB") for row in images]
    line = 16
    left = 8 + max(int(font.getlength(part)) for title in titles for part in title.split("\n")) + 8
    tall = max(sheets[0].height, line * max(title.count("\n") + 1 for title in titles))
    top = line + 2 if captions else 0
    whole = Image.new("RGB", (left + sheets[0].width, top + tall * len(sheets)), MOUNT)
    draw = ImageDraw.Draw(whole)
    for column, text in enumerate(captions or ()):
        x = left + GAP + column * (width * scale + GAP) + width * scale / 2
        draw.text((x, top / 2), text, font=font, fill=TEXT, anchor="mm")
    for index, (title, sheet) in enumerate(zip(titles, sheets, strict=True)):
        y = top + index * tall
        whole.paste(sheet, (left, y + (tall - sheet.height) // 2))
        draw.multiline_text((8, y + tall / 2), title, font=font, fill=TEXT, anchor="lm", spacing=3)
    return whole


def strip(
    images: Images, *, captions: Sequence[str], keys: Sequence[int], loop: bool, scale: int | None = None
) -> render.Image:
    """Frames uint8 (N, C, H, W) of a path as a picture: a row from each key to the next, both ends included.

    Where rows would differ in length or exceed 24 frames, all frames follow each other, with captions below.
    """
    ends = [*keys[1:], len(images)] if loop else keys[1:]
    lengths = {end - start for start, end in zip(keys, ends, strict=False)}
    if len(ends) == 1 or len(lengths) > 1 or lengths.pop() > 24:
        return render.sheet(
            images,
            columns=min(len(images), 12),
            captions=captions if any(captions) else None,
            scale=scale,
            widest=render.SLIDE,
        )
    whole = np.concatenate([images, images[:1]]) if loop else images
    names = [captions[key] for key in keys]
    titles = [f"{a} to {b}" for a, b in zip(names, names[1:] + names[:1], strict=True)]
    parts = [whole[start : end + 1] for start, end in zip(keys, ends, strict=False)]
    return rows(titles[: len(ends)], parts, scale=scale)


def film(images: Images, path: Path, *, seconds: float, hold: float = 0.0, scale: int | None = None) -> Path:
    """Writes frames as an endless animation (.webp, .gif) or as a video (.mp4, .webm).

    Args:
        images: the frames, uint8 (N, C, H, W).
        path: the file; its suffix decides the format.
        seconds: how long each frame is shown.
        hold: by how many seconds the last frame of an animation is shown longer.
        scale: times that frames are enlarged; to FILM_SIDE pixels, if not given.

    Raises UserError as :func:`check_target` does.
    """
    check_target(path, FILMS)
    path.parent.mkdir(parents=True, exist_ok=True)
    scale = scale or max(1, FILM_SIDE // images.shape[2])
    if path.suffix.lower() in (".webp", ".gif"):
        frames = [render.sheet(image[None], scale=scale, gap=0) for image in images]
        render.animation(frames, path, seconds_per_frame=seconds, hold_last=hold)
    else:
        _video(images.repeat(scale, axis=2).repeat(scale, axis=3), path, seconds=seconds)
    return path


def terms(images: Images, names: Sequence[str], *, scale: int | None = None) -> render.Image:
    """The terms of an expression and its result, uint8 (N, C, H, W), with names; a long expression on a line below."""
    sheet = render.sheet(images, columns=min(len(images), 8), captions=names, scale=scale, widest=render.SLIDE)
    return render.caption(sheet, names[-1].removeprefix("= ")) if len(names[-1]) > 20 else sheet


def groups(
    titles: Sequence[str], parts: Sequence[Sequence[Images]], captions: Sequence[str], *, scale: int | None = None
) -> render.Image:
    """Rows of several groups of images, with an empty cell between groups and a caption above each group.

    Args:
        titles: R titles, one at the left of each row.
        parts: R rows of G groups uint8 (n, C, H, W); a group has the same n in all rows.
        captions: G captions.
        scale: as of :func:`rows`.
    """
    first = parts[0][0]
    blank = np.empty((1, *first.shape[1:]), np.uint8)
    blank[:] = np.array(MOUNT if first.shape[1] == 3 else MOUNT[1:2], np.uint8)[:, None, None]
    lines = [np.concatenate([each for group in row for each in (blank, group)][1:]) for row in parts]
    above = [""] * len(lines[0])
    start = 0
    for group, text in zip(parts[0], captions, strict=True):
        above[start + (len(group) - 1) // 2] = text
        start += len(group) + 1
    return rows(titles, lines, captions=above, scale=scale)


def trade(found: Truncated, measured: Trade | None, *, scale: int | None = None) -> render.Image:
    """A row for each strength of truncation; precision and recall, if measured, beside each and as a curve below."""
    titles = [f"psi {psi:g}" for psi in found.psis]
    if measured is None:
        return rows(titles, list(found.images), scale=scale)
    points = [(psi, one.precision, one.recall) for psi, one in zip(found.psis, measured.supports, strict=True)]
    lines = [f"psi {psi:g}\nprecision {precision:.2f}\nrecall {recall:.2f}" for psi, precision, recall in points]
    above = rows(lines, list(found.images), scale=scale)
    return beneath(above, trade_curve(points, (measured.floor.precision, measured.floor.recall), width=above.width))


def nearest(found: Neighbours, real: Stored, *, scale: int | None = None) -> render.Image:
    """A row for each sample: the sample, the training images nearest in pixels, and those nearest in features."""
    spaces = [each for each in (found.pixels, found.features) if each is not None]
    names = ["sample", "nearest by pixels", "nearest by features"][: len(spaces) + 1]
    parts = [
        [found.images[row : row + 1], *(real.take(space.indices[row]) for space in spaces)]
        for row in range(len(found.images))
    ]
    return groups(found.vectors.names, parts, names, scale=scale)


def beneath(upper: render.Image, lower: render.Image) -> render.Image:
    """Two pictures, one below the other, centred."""
    whole = Image.new("RGB", (max(upper.width, lower.width), upper.height + GAP + lower.height), MOUNT)
    for picture, y in ((upper, 0), (lower, upper.height + GAP)):
        whole.paste(picture.convert("RGB"), ((whole.width - picture.width) // 2, y))
    return whole


def trade_curve(
    points: Sequence[tuple[float, float, float]], floor: tuple[float, float], *, width: int
) -> render.Image:
    """A plot of recall across and precision up, with psi at each point (psi, precision, recall), and real images'."""
    width = max(width, 420)
    figure = render.figure(width / 100, 3.2, pixels=width)
    axes = figure.add_axes((58 / width, 0.16, 1 - 70 / width, 0.81))
    axes.plot([point[2] for point in points], [point[1] for point in points], color=render.LINES[0], marker="o")
    axes.plot([floor[1]], [floor[0]], color="#666666", marker="*", markersize=11, linestyle="none")
    axes.set(xlim=(-0.03, 1.08), ylim=(-0.03, 1.12), xlabel="recall: variety", ylabel="precision: quality")
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    names = [f"{psi:g}" for psi, _, _ in points] + ["real"]
    places = axes.transData.transform([*((recall, precision) for _, precision, recall in points), floor[::-1]])
    line = {"arrowstyle": "-", "color": "#666666", "linewidth": 0.7}
    for name, place, label in zip(names, places, label_places(names, places, np.array(axes.bbox.extents)), strict=True):
        axes.annotate(
            name,
            place,
            label,
            xycoords="figure pixels",
            textcoords="figure pixels",
            ha="center",
            va="center",
            fontsize=9,
            arrowprops=line if np.hypot(*(label - place)) > 20 else None,
        )
    return Image.open(io.BytesIO(render.figure_png(figure))).convert("RGB")


def label_places(names: Sequence[str], points: NDArray[np.float64], frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middles (N, 2) of labels near their points (N, 2) so that none covers another or a point, in pixels.

    Args:
        names: N of them, of 8 x 13 pixels a letter at most.
        points: what they stand beside.
        frame: left, bottom, right, top, within which labels lie.
    """
    halves = np.array([(4 * len(name) + 2, 7) for name in names], dtype=float)
    taken = [(point, np.array([4.0, 4.0])) for point in points]
    angles = np.radians([50, 90, 130, 0, 180, -50, -90, -130])
    found = []
    for point, half in zip(points, halves, strict=True):
        ways = [np.array([np.cos(angle), np.sin(angle)]) for angle in angles]
        places = [point + way * (half + 6) * reach for reach in (1, 1.8, 2.8, 4, 5.5, 7, 9) for way in ways]
        inside = [p for p in places if (p - half >= frame[:2]).all() and (p + half <= frame[2:]).all()] or places
        free = [p for p in inside if all((np.abs(p - other) >= half + size).any() for other, size in taken)]
        found.append(free[0] if free else inside[-1])
        taken.append((found[-1], half))
    return np.array(found)


def _video(images: Images, path: Path, *, seconds: float) -> None:
    """Writes frames uint8 (N, C, H, W) as a video, each shown for ``seconds``; odd sides lose a row or column."""
    video = _video_library(path)
    sides = [side - side % 2 for side in images.shape[2:]]  # coders of 4:2:0 take even sides only
    with writing(path) as fresh, video.open(str(fresh), "w") as container:
        codec = "libx264" if path.suffix.lower() == ".mp4" else "libvpx-vp9"
        stream = container.add_stream(codec, rate=max(1, round(1 / seconds)))
        stream.height, stream.width, stream.pix_fmt = *sides, "yuv420p"
        for image in images:
            rgb = np.broadcast_to(image.transpose(1, 2, 0), (*image.shape[1:], 3))[: sides[0], : sides[1]]
            for packet in stream.encode(video.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def _video_library(path: Path) -> Any:
    """PyAV. Raises UserError when it is not installed."""
    try:
        return import_module("av")
    except ImportError:
        raise UserError(f"{path}: videos need PyAV (pip install av); or write a .webp or .gif") from None
