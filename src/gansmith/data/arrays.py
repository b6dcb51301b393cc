"""Arrays of images in any common layout -> blocks of uint8 (n, C, H, W), read a block at a time."""

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


def index_labels(
    raw: NDArray[Any], others: NDArray[Any] | None, count: int, where: str
) -> tuple[Labels | None, tuple[str, ...]]:
    """Labels of any common kind -> indices (N,) and the classes' names in order.

    `raw`: integers or strings (N,) or (N, 1), or one-hot (N, K). `others`: the other split's, so that both splits
    number the classes alike. (None, ()) if an image may have several labels. UserError if they do not match.
    """
    if raw.ndim == 0 or len(raw) != count:
        have = "one value" if raw.ndim == 0 else f"{len(raw):,} labels"
        raise UserError(f"{where}: {have} for {count:,} images; there must be one label for each image")
    values = _clean(raw, where)
    if values is None:
        return None, ()
    pool = values
    if others is not None and others.ndim:
        more = _clean(others, where)
        if more is not None and more.dtype.kind == values.dtype.kind:
            pool = np.concatenate([values, more])
    known = np.unique(pool)
    names = tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in known.tolist())
    return np.searchsorted(known, values).astype(np.int64), names


def _clean(raw: NDArray[Any], where: str) -> NDArray[Any] | None:
    """Labels as int64, text or bytes (N,); None if images have several labels each."""
    values = _one_column(raw)
    if values is None or values.dtype.kind in "US":
        return values
    if values.dtype.kind == "f" and not bool(np.all(np.isfinite(values) & (values == np.floor(values)))):
        raise UserError(f"{where}: labels that are not whole numbers; save them as integers")
    if values.dtype.kind not in "iubf":
        raise UserError(f"{where}: labels of type {raw.dtype}; save them as integers or strings")
    return values.astype(np.int64)


def _one_column(raw: NDArray[Any]) -> NDArray[Any] | None:
    """(N,) from (N,), (N, 1) or one-hot (N, K); None if rows hold several labels."""
    if raw.ndim == 1:
        return raw
    flat = raw.reshape(len(raw), -1)
    if flat.shape[1] == 1:
        return flat[:, 0]
    if raw.ndim == 2 and raw.dtype.kind in "iubf" and bool(np.all((flat == 0) | (flat == 1))):
        hot: NDArray[Any] = np.argmax(flat, axis=1)
        return hot if bool(np.all(flat.sum(axis=1) == 1)) else None
    return None
