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
        raise UserError(
            f"{where}: images of shape {shape}; reshape them to (N, H, W), (N, H, W, C) or (N, C, H, W), "
            "C being 1, 3 or 4"
        )
    height, width = sides(shape, layout)
    if min(height, width) < MIN_SIDE or height * width > MAX_IMAGE_PIXELS:
        raise UserError(
            f"{where}: images of shape {shape} are {width}x{height} pixels; both sides must have at least {MIN_SIDE} "
            f"and the image at most {MAX_IMAGE_PIXELS // 10**6} million"
        )
    return layout


def sides(shape: tuple[int, ...], layout: Layout) -> tuple[int, int]:
    """(H, W) of an array of images."""
    return (shape[2], shape[3]) if layout == "NCHW" else (shape[1], shape[2])


def rows_per_block(shape: tuple[int, ...], itemsize: int) -> int:
    """How many images to read at a time."""
    return max(1, BLOCK_BYTES // max(1, itemsize * int(np.prod(shape[1:], dtype=np.int64))))


def as_pixels(block: NDArray[Any], layout: Layout, where: str) -> Pixels:
    """A block of an array of images -> uint8 (n, C, H, W), C 1 or 3.

    Taken: 8-bit as it is; booleans as black and white; 16-bit unsigned by v / 257; other integers if all are in 0..255;
    floats if all are in [0, 1]. A fourth channel is opacity, laid on white. UserError otherwise.
    """
    values = _eight_bits(block, where)
    if layout == "NHW":
        values = values[:, None]
    elif layout == "NHWC":
        values = values.transpose(0, 3, 1, 2)
    if values.shape[1] == 4:
        opacity = values[:, 3:].astype(np.uint16)
        values = ((values[:, :3] * opacity + (255 - opacity) * 255 + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(values)


def _eight_bits(block: NDArray[Any], where: str) -> Pixels:
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
        smallest, largest = float(block.min()), float(block.max())
        if not (smallest >= 0 and largest <= 1):  # also true of NaN
            raise UserError(
                f"{where}: {kind} pixels from {smallest:.4g} to {largest:.4g}; save them as floats in [0, 1] or uint8"
            )
        return np.rint(block.astype(np.float64) * 255).astype(np.uint8)
    raise UserError(f"{where}: pixels of type {kind}; save them as uint8")
