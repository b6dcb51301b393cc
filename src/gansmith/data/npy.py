"""NumPy's .npy format, in a file or inside an archive: never unpickled, read a block at a time."""

import ast
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data.arrays import Arrays, as_pixels, image_layout, rows_per_block, sides, unfolded
from gansmith.data.types import Labels, Pixels
from gansmith.errors import UserError
from gansmith.text import one_line, printable

MAGIC = b"\x93NUMPY"
MAX_HEADER_BYTES = 10_000
MAX_LABEL_BYTES = 1 << 30
MAX_FORTRAN_BYTES = 4 << 30


@dataclass(frozen=True)
class Header:
    """What an array says of itself."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of its values."""
        size = self.dtype.itemsize
        for side in self.shape:
            size *= side
        return size


@dataclass(frozen=True)
class Array:
    """An array that is stored somewhere: its header, where it is in words, and how to open it."""

    header: Header
    where: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]


def open_file(path: Path) -> Array:
    """The array of an .npy file. Raises UserError."""
    where = printable(str(path))

    @contextmanager
    def opener() -> Iterator[IO[bytes]]:
        with reading(where), path.open("rb") as file:
            yield file

    with opener() as file:
        return Array(read_header(file, where, path.stat().st_size), where, opener)


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Whatever goes wrong while reading becomes a UserError that names the array."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise UserError(f"{where}: is damaged ({one_line(error)}); fetch or save it again") from None


def read_header(file: IO[bytes], where: str, size: int | None = None) -> Header:
    """Read the header of an .npy file (NEP 1): a magic, a length, and a dict with exactly three keys.

    UserError if it is none, or claims as many values as cannot be in `size` bytes.
    """
    start = file.read(8)
    length_bytes = 2 if start[6:7] == b"\x01" else 4
    length = int.from_bytes(file.read(length_bytes), "little")
    try:
        if start[:6] != MAGIC or start[6] not in (1, 2, 3) or length > MAX_HEADER_BYTES:
            raise UserError("it is not one of NumPy's")
        header = ast.literal_eval(file.read(length).decode("utf-8" if start[6] == 3 else "latin-1").strip())
        shape, fortran, descr = header["shape"], header["fortran_order"], header["descr"]
        if not isinstance(shape, tuple) or not all(type(side) is int and 0 <= side < 2**48 for side in shape):
            raise UserError(f"shape {shape!r}")
        if (
            type(fortran) is not bool
            or not isinstance(descr, str)
            or not re.fullmatch(r"[<>|=][biufcSUOVmM]\d*.*", descr)
        ):
            raise UserError(f"type {descr!r}")
        result = Header(shape, fortran, np.dtype(descr))
    except (ValueError, TypeError, KeyError, IndexError, SyntaxError, RecursionError, MemoryError) as error:
        raise UserError(f"{where}: its header cannot be read ({one_line(error)[:100]}); save it again") from None
    if size is not None and not result.dtype.hasobject and result.nbytes >= size:
        raise UserError(f"{where}: its header claims shape {shape}, more than its {size:,} bytes; save it again")
    return result


def images_of(array: Array, labels: Labels | None) -> tuple[Arrays, tuple[str, ...]]:
    """An array as images, and notes on how it is read. UserError if its shape or type is none of images."""
    header, where = array.header, array.where
    if header.dtype.hasobject:
        raise UserError(f"{where}: holds Python objects, which are never unpickled; save it as a plain uint8 array")
    if header.dtype.kind not in "uifb" or header.dtype.names is not None:
        raise UserError(f"{where}: holds values of type {header.dtype}; save it as a plain uint8 array")
    shape = unfolded(header.shape)
    layout = image_layout(shape, where)
    height, width = sides(shape, layout)
    notes: tuple[str, ...] = ()
    if shape != header.shape:
        notes = (f"rows of {header.shape[1]:,} values are read as images of {'x'.join(map(str, shape[1:]))}",)
    bits = 16 if header.dtype.newbyteorder("=") == np.uint16 else 8
    return Arrays(shape[0], height, width, lambda: _blocks(array), lambda: labels, bits), notes


def _blocks(array: Array) -> Iterator[Pixels]:
    header, where = array.header, array.where
    shape = unfolded(header.shape)
    layout = image_layout(shape, where)
    count, each = shape[0], header.nbytes // max(1, shape[0])
    step = rows_per_block(shape, header.dtype.itemsize)
    with array.open() as file:
        read_header(file, where)
        whole: NDArray[Any] | None = None
        if header.fortran:
            if header.nbytes > MAX_FORTRAN_BYTES:
                raise UserError(f"{where}: is too large in Fortran order; save it with numpy.ascontiguousarray")
            whole = _values(file, header, where)
        for start in range(0, count, step):
            rows = min(step, count - start)
            if whole is not None:
                block = np.ascontiguousarray(whole[start : start + rows])
            else:
                raw = file.read(rows * each)
                if len(raw) < rows * each:
                    raise UserError(f"{where}: is cut short, {start:,} of {count:,} images are there; save it again")
                block = np.frombuffer(raw, header.dtype)
            yield as_pixels(block.reshape(rows, *shape[1:]), layout, where)
        if file.read(1):  # also makes a zip check the member's checksum
            raise UserError(f"{where}: goes on after the {count:,} images of its header; save it again")


def _values(file: IO[bytes], header: Header, where: str) -> NDArray[Any]:
    """All values of an array whose header was read. UserError if there are too few."""
    raw = file.read(header.nbytes)
    if len(raw) < header.nbytes:
        raise UserError(f"{where}: is cut short; save it again")
    return np.ndarray(header.shape, header.dtype, raw, order="F" if header.fortran else "C")


def read_whole(array: Array) -> NDArray[Any]:
    """A small array, such as labels. Raises UserError."""
    header, where = array.header, array.where
    if header.dtype.hasobject:
        raise UserError(f"{where}: holds Python objects, which are never unpickled; save it as integers or strings")
    if header.nbytes > MAX_LABEL_BYTES:
        raise UserError(f"{where}: has the absurd shape {header.shape} for labels; save one label for each image")
    with array.open() as file:
        read_header(file, where)
        return _values(file, header, where)
