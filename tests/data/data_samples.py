"""Small arrays and files that the data room's tests are made of."""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.uint8]


def noise(seed: int, *shape: int) -> Array:
    """Random pixels: never twice the same."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def idx_bytes(array: Array) -> bytes:
    """An array as an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def png_bytes(array: Array) -> bytes:
    """A picture as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()
