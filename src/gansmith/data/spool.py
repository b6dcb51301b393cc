"""Images that come one by one from Python, kept in a temporary file until they are decoded: each is asked for once."""

import hashlib
import io
import tempfile
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from gansmith.data.arrays import UNIT, Span, as_array, as_pixels, image_layout, recognised
from gansmith.errors import UserError
from gansmith.files import cache_dir

STORED = {"1": "PNG", "L": "PNG", "LA": "PNG", "P": "PNG", "RGB": "PNG", "RGBA": "PNG", "I": "PNG", "I;16": "PNG"}
"""Pillow's modes that PNG holds; others are written as TIFF."""


@dataclass(frozen=True)
class Record:
    """Where an image is in the file, and its shape and type if it is an array and no encoded image."""

    start: int
    length: int
    shape: tuple[int, ...] | None = None
    dtype: str = ""


class Spool:
    """Images as they were given, in order: encoded ones by their bytes, arrays by their values."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._file = _temporary()
        weakref.finalize(self, self._file.close)
        self._records: list[Record] = []
        self._hash = hashlib.sha256()
        self._lock = threading.Lock()
        self._low, self._high = 0.0, 0.0
        self._floats = False

    def __len__(self) -> int:
        return len(self._records)

    def add(self, image: Any) -> None:
        """Keep one image: Pillow's, an array or a tensor, the bytes of an image file, or its path.

        UserError for anything else, and for an array of a shape that is no image's.
        """
        place = f"{self.where}, item {len(self):,}"
        if isinstance(image, dict) and {"bytes", "path"} <= image.keys():  # as Hugging Face's library keeps them
            image = image["bytes"] or Path(image["path"])
        if isinstance(image, Path):
            image = image.read_bytes()
        if isinstance(image, Image.Image):
            image = _encoded(image)
        if isinstance(image, bytes):
            self._put(image, None, "")
            return
        values = as_array(image)
        if values is None or values.dtype.kind not in "uifb":
            kind = type(image).__name__ if values is None else f"{type(image).__name__} of {values.dtype}"
            raise UserError(f"{place}: is {kind}; give images of Pillow, arrays or tensors, alone or as (image, label)")
        image_layout((1, *values.shape), place)
        if values.dtype.kind == "f":
            self._floats = True
            self._low, self._high = min(self._low, float(values.min())), max(self._high, float(values.max()))
            if not np.isfinite(values).all():
                recognised(float("nan"), 0.0, place)
            values = values.astype(np.float32)
        self._put(np.ascontiguousarray(values).tobytes(), values.shape, values.dtype.str)

    def _put(self, content: bytes, shape: tuple[int, ...] | None, dtype: str) -> None:
        self._records.append(Record(self._file.tell(), len(content), shape, dtype))
        self._file.write(content)
        self._hash.update(f"{len(content)} {shape} {dtype}\n".encode() + content)

    def close(self) -> Span:
        """No more images come: what black and white are where these are floats. UserError for a strange range."""
        self._file.flush()
        self._span = recognised(self._low, self._high, self.where) if self._floats else UNIT
        self._hash.update(str(self._span).encode())
        return self._span

    @property
    def digest(self) -> str:
        """SHA-256 over all images and their range."""
        return self._hash.hexdigest()

    def read(self, name: str) -> bytes:
        """The image of this number as an image file's bytes; :meth:`close` was called before."""
        record = self._records[int(name)]
        with self._lock:
            self._file.seek(record.start)
            content = bytes(self._file.read(record.length))
        if record.shape is None:
            return content
        values = np.frombuffer(content, record.dtype).reshape(1, *record.shape)
        place = f"{self.where}, item {int(name):,}"
        pixels = as_pixels(values, image_layout(values.shape, place), place, self._span)[0]
        channels, height, width = pixels.shape
        rows = bytes(pixels.transpose(1, 2, 0).tobytes())
        return f"P{5 if channels == 1 else 6} {width} {height} 255\n".encode() + rows


def _encoded(image: Image.Image) -> bytes:
    """A picture in memory, turned upright, as a file without loss."""
    upright = ImageOps.exif_transpose(image)
    buffer = io.BytesIO()
    upright.save(buffer, STORED.get(upright.mode, "TIFF"), **({"compress_level": 1} if upright.mode in STORED else {}))
    return buffer.getvalue()


def _temporary() -> Any:
    """A file that goes when it is no longer used: where the cache is, if that can be written."""
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=cache_dir())
    except OSError:
        return tempfile.TemporaryFile()
