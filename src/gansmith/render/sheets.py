"""Sheets: images in rows on a dark mount, with outlines and captions, or two sheets side by side."""

import functools
import io
import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont
from PIL.Image import Image, fromarray, new

from gansmith.errors import UserError
from gansmith.files import EXIF

Images = NDArray[np.uint8]

# A contact sheet's dark mount: it lies as well on a white page as on a black one, and lets neither eat the edges.
MOUNT = (42, 44, 48)
TEXT = (232, 232, 236)
RED = (235, 52, 42)
GAP = 2
"""Pixels of the mount between images."""
WIDEST, TALLEST = 800, 1200
"""Pixels that a sheet may be wide and high when the caller names no scale."""
SLIDE = 1600
"""The same width for pictures that people ask for: they fill a slide."""
LARGEST = 16_383
"""Pixels along a side of what is enlarged on demand: WebP holds no more."""


def png(image: Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "png", exif=EXIF)
    return buffer.getvalue()


def picture(image: Images) -> Image:
    """One image (C, H, W) as it is: a grey picture for one channel, RGB for three."""
    return sheet(image[None], scale=1, gap=0)


def sheet(
    images: Images,
    *,
    columns: int | None = None,
    scale: int | None = None,
    widest: int = WIDEST,
    gap: int = GAP,
    marked: Collection[int] = (),
    captions: Sequence[str] | None = None,
) -> Image:
    """Lay images (N, C, H, W) out in rows of `columns`, enlarged `scale` times with crisp pixels.

    Without `columns` the sheet is about as wide as high; without `scale` the images are enlarged as far as the sheet
    stays within `widest` pixels, but never made smaller. `gap` is the separator in pixels of the sheet. Images whose
    index is in `marked` are outlined in red; `captions` (one an image) are written below them. UserError for images of
    another kind or unmatched captions.
    """
    images = checked(images)
    count, channels, height, width = images.shape
    columns = min(columns or _columns(count), count)
    rows = -(-count // columns)
    scale = scale or _scale(columns * width, rows * height, columns * gap + gap, widest)
    if columns < 1 or scale < 1 or gap < 0:
        raise UserError(
            f"a sheet needs columns and scale of 1 or more and a gap of 0 or more, not {columns, scale, gap}"
        )
    if scale > 1 and max(columns * width, rows * height) * scale > LARGEST:
        raise UserError(
            f"`scale` {scale}: the picture would be {columns * width * scale:,} x {rows * height * scale:,} pixels; a "
            f"side has at most {LARGEST:,}"
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


def cells(sheet: Image, height: int, width: int) -> tuple[Images, int] | None:
    """The images (N, C, H, W) of a :func:`sheet` without captions, empty places included, and its number of columns.

    None for a picture that is no sheet of images of this size.
    """
    pixels = np.asarray(sheet if sheet.mode in {"L", "RGB"} else sheet.convert("RGB"))
    pixels = pixels.reshape(*pixels.shape[:2], -1)[GAP:, GAP:]
    for scale in range(16, 0, -1):
        down, across = height * scale + GAP, width * scale + GAP
        (rows, rest), (columns, more) = divmod(len(pixels), down), divmod(pixels.shape[1], across)
        if rest or more or not rows or not columns:
            continue
        grid = pixels.reshape(rows, down, columns, across, -1)
        mount = MOUNT if grid.shape[-1] == 3 else MOUNT[1:2]
        if (grid[:, -GAP:] == mount).all() and (grid[:, :, :, -GAP:] == mount).all():
            images = grid[:, :-GAP:scale, :, :-GAP:scale].transpose(0, 2, 4, 1, 3)
            return images.reshape(rows * columns, -1, height, width), columns
    return None


def beside(left: Images, right: Images, *, left_title: str, right_title: str) -> Image:
    """Two sheets of one scale side by side, each under its title: real (N, C, H, W) beside generated (M, C, H, W)."""
    left, right = checked(left), checked(right)
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


def mix(real: Images, generated: Images, *, seed: int) -> tuple[Images, NDArray[np.bool_]]:
    """Shuffle real (N, C, H, W) and generated (M, C, H, W) together; also returns, for each, whether it is generated.

    UserError unless both have the same C, H and W.
    """
    real, generated = checked(real), checked(generated)
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


def checked(images: Images) -> Images:
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
