"""Arrays of images in any common layout -> blocks of uint8 (n, C, H, W), read a block at a time."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gansmith.data.types import MAX_IMAGE_PIXELS, MIN_SIDE, Labels, Pixels
from gansmith.errors import UserError

Layout = Literal["NHW", "NHWC", "NCHW"]
Span = tuple[float, float]
UNIT: Span = (0.0, 1.0)
SPANS: tuple[Span, ...] = (UNIT, (-1.0, 1.0), (0.0, 255.0))
"""Black and white of floats that are recognised by their range."""
BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class Arrays:
    """Images in one array: their number, height and width, and how to read them and their labels."""

    count: int
    height: int
    width: int
    blocks: Callable[[], Iterator[Pixels]]
    """Reads all images in order: uint8 (n, C, H, W), C 1 or 3. Raises UserError."""
    labels: Callable[[], Labels | None]
    """Reads the labels (N,), if there are any. Raises UserError."""
    bits: int = 8
    """Of a value as it is stored: 16 if 0 to 65,535 become 0 to 255."""


def as_array(given: Any) -> NDArray[Any] | None:
    """What a tensor, or an array of any library, holds, in this process's memory; None for anything else."""
    if isinstance(given, np.ndarray):
        return given
    if hasattr(given, "detach") and hasattr(given, "cpu"):  # torch's, which need not be imported for it
        given = given.detach().cpu()
        return np.asarray(given.float() if "bfloat16" in str(given.dtype) else given)
    if hasattr(given, "__array__") and hasattr(given, "shape"):
        return np.asarray(given)
    return None


def unfolded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of images that are stored as rows: (N, 784) -> (N, 28, 28), (N, 3072) -> (N, 3, 32, 32).

    Any other shape as it is.
    """
    if len(shape) != 2 or shape[0] == shape[1]:  # as many rows as columns are rather one picture
        return shape
    for channels in (1, 3):
        side = math.isqrt(shape[1] // channels)
        if side >= MIN_SIDE and channels * side * side == shape[1]:
            return (shape[0], side, side) if channels == 1 else (shape[0], 3, side, side)
    return shape


def image_layout(shape: tuple[int, ...], where: str) -> Layout:
    """How an array of this shape holds images; UserError if it cannot be told or the images are unusable."""
    layout: Layout
    if len(shape) == 3:
        layout = "NHW"
    elif len(shape) == 4 and shape[3] in (1, 3, 4):
        layout = "NHWC"
    elif len(shape) == 4 and shape[1] in (1, 3, 4):
        layout = "NCHW"
    else:
        axes = ""
        if len(shape) == 4:
            axes = f": axis 0 counts {shape[0]:,}, neither axis 3 ({shape[3]}) nor axis 1 ({shape[1]}) is of channels"
        raise UserError(
            f"{where}: images of shape {shape}{axes}; reshape them to (N, H, W), (N, H, W, C) or (N, C, H, W), "
            "C being 1, 3 or 4"
        )
    height, width = sides(shape, layout)
    if min(height, width) < MIN_SIDE or height * width > MAX_IMAGE_PIXELS:
        raise UserError(
            f"{where}: images of shape {shape}, read as ({', '.join(layout)}), are {width}x{height} pixels; both sides "
            f"must have at least {MIN_SIDE} "
            f"and the image at most {MAX_IMAGE_PIXELS // 10**6} million"
        )
    return layout


def sides(shape: tuple[int, ...], layout: Layout) -> tuple[int, int]:
    """(H, W) of an array of images."""
    return (shape[2], shape[3]) if layout == "NCHW" else (shape[1], shape[2])


def rows_per_block(shape: tuple[int, ...], itemsize: int) -> int:
    """How many images to read at a time."""
    return max(1, BLOCK_BYTES // max(1, itemsize * int(np.prod(shape[1:], dtype=np.int64))))


def as_pixels(block: NDArray[Any], layout: Layout, where: str, span: Span = UNIT) -> Pixels:
    """A block of an array of images -> uint8 (n, C, H, W), C 1 or 3.

    Taken: 8-bit as it is; booleans as black and white; 16-bit unsigned by v / 257; other integers if all are in 0..255;
    floats if all are in `span`, (black, white). A fourth channel is opacity, laid on white. UserError otherwise.
    """
    values = _eight_bits(block, where, span)
    if layout == "NHW":
        values = values[:, None]
    elif layout == "NHWC":
        values = values.transpose(0, 3, 1, 2)
    if values.shape[1] == 4:
        opacity = values[:, 3:].astype(np.uint16)
        values = ((values[:, :3] * opacity + (255 - opacity) * 255 + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(values)


def recognised(low: float, high: float, where: str) -> Span:
    """(black, white) of floats from `low` to `high`: the first of [0, 1], [-1, 1] and [0, 255] that holds them all.

    UserError for any other range, and for values that are not finite.
    """
    for black, white in SPANS:
        if black <= low and high <= white:  # never true of NaN
            return black, white
    if not math.isfinite(high - low):
        raise _not_finite(where)
    raise UserError(
        f"{where}: pixels from {low:.4g} to {high:.4g} are in none of the ranges [0, 1], [-1, 1] and [0, 255]; say "
        "what black and white are: data.from_arrays(images, pixels=(black, white))"
    )


def _not_finite(where: str) -> UserError:
    return UserError(f"{where}: has pixels that are not finite; replace them, for instance by numpy.nan_to_num")


def _eight_bits(block: NDArray[Any], where: str, span: Span) -> Pixels:
    kind = block.dtype
    if kind == np.uint8:
        return block
    if kind == np.bool_:
        return block.astype(np.uint8) * np.uint8(255)
    if kind.newbyteorder("=") == np.uint16:
        return ((block.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if kind.kind in "iu":
        low, high = int(block.min()), int(block.max())
        if low < 0 or high > 255:
            raise UserError(f"{where}: {kind} pixels from {low} to {high}; save them as uint8, 0 to 255")
        return block.astype(np.uint8)
    if kind.kind == "f":
        (black, white), smallest, largest = span, float(block.min()), float(block.max())
        if not np.isfinite((smallest, largest)).all():
            raise _not_finite(where)
        if not (smallest >= black and largest <= white):
            raise UserError(
                f"{where}: {kind} pixels from {smallest:.4g} to {largest:.4g}; save them as floats in "
                f"[{black:g}, {white:g}] or uint8"
            )
        return np.rint((block.astype(np.float64) - black) / (white - black) * 255).astype(np.uint8)
    raise UserError(f"{where}: pixels of type {kind}; save them as uint8")
