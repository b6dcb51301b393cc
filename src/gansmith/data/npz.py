"""NumPy's .npz archives of images, MedMNIST's layout too: never unpickled, read a block at a time."""

import ast
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data.arrays import Arrays, as_pixels, image_layout, index_labels, rows_per_block, sides
from gansmith.data.folders import open_zip
from gansmith.data.types import Labels, Pixels, Split
from gansmith.errors import UserError
from gansmith.text import amount, one_line

KEYS: dict[Split, tuple[tuple[str, str], ...]] = {
    "train": (
        ("train_images", "train_labels"),
        ("x_train", "y_train"),
        ("images", "labels"),
        ("x", "y"),
        ("arr_0", "arr_1"),
    ),
    "test": (("test_images", "test_labels"), ("x_test", "y_test")),
}
"""Pairs of keys that are looked for, in this order, whatever the case of their letters."""
MAX_RATIO = 500
MAX_HEADER_BYTES = 10_000
MAX_LABEL_BYTES = 1 << 30
MAX_FORTRAN_BYTES = 4 << 30


@dataclass(frozen=True)
class Header:
    """What an array inside an archive says of itself."""

    member: str
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


def read_npz(path: Path, split: Split) -> tuple[Arrays, tuple[str, ...], tuple[str, ...], int | None]:
    """One split of an archive: its arrays, the classes' names, notes, and the number of test images if there are any.

    Raises UserError if there is nothing that can be used.
    """
    with open_zip(path, MAX_RATIO) as archive:
        headers = _headers(archive, path)
        pairs = {key: _pair(headers, key) for key in KEYS}
        images, labels = pairs[split]
        if images is None:
            have = ", ".join(sorted(headers)[:8]) or "nothing"
            wanted = " or ".join(f"{x}/{y}" for x, y in KEYS[split][:4])
            what = "no test images" if split == "test" and pairs["train"][0] else "no images"
            raise UserError(f"{path}: holds {what}, it has the keys {have}; name the arrays {wanted}")
        header = headers[images]
        where = f"{path}, {images}"
        _check_dtype(header, where)
        layout = image_layout(header.shape, where)
        notes = []
        numbers: Labels | None = None
        classes: tuple[str, ...] = ()
        if labels is not None:
            other = pairs["test" if split == "train" else "train"][1]
            raw = _read_whole(archive, headers[labels], f"{path}, {labels}")
            others = None if other is None else _read_whole(archive, headers[other], f"{path}, {other}")
            numbers, classes = index_labels(raw, others, header.shape[0], f"{path}, {labels}")
            if numbers is None:
                notes.append(f"{labels} of shape {headers[labels].shape} gives several labels an image: not used")
    unused = [key for key in headers if key.lower() in ("val_images", "x_val", "x_valid")]
    if unused:
        notes.append(f"{unused[0]} ({amount(headers[unused[0]].shape[0], 'image')}) is not used")
    height, width = sides(header.shape, layout)
    arrays = Arrays(header.shape[0], height, width, lambda: _blocks(path, header), lambda: numbers)
    test = pairs["test"][0]
    return arrays, classes, tuple(notes), None if test is None else headers[test].shape[0]


def read_arrays(path: Path, keys: Collection[str], max_bytes: int) -> dict[str, NDArray[Any]]:
    """Those arrays of an archive whose names are in `keys`, of at most `max_bytes` each; others are not looked into.

    Raises UserError in one line for what is no archive, damaged, larger, or would have to be unpickled.
    """
    with open_zip(path, MAX_RATIO) as archive:
        arrays = {}
        for key, header in _headers(archive, path).items():
            if key in keys and header.nbytes > max_bytes:
                raise UserError(f"{path}, {key}: has shape {header.shape}, more than {max_bytes >> 20:,} MiB")
            if key in keys:
                arrays[key] = _read_whole(archive, header, f"{path}, {key}")
    return arrays


def _pair(headers: dict[str, Header], split: Split) -> tuple[str | None, str | None]:
    by_lower = {key.lower(): key for key in headers}
    for images, labels in KEYS[split]:
        if images in by_lower:
            return by_lower[images], by_lower.get(labels)
    return None, None


def _headers(archive: zipfile.ZipFile, path: Path) -> dict[str, Header]:
    headers = {}
    for info in archive.infolist():
        if info.filename.endswith(".npy"):
            key = info.filename[:-4]
            with _member(archive, info.filename, f"{path}, {key}") as file:
                header = _read_header(file, info.filename, f"{path}, {key}")
            if not header.dtype.hasobject and header.nbytes >= info.file_size:
                raise UserError(
                    f"{path}, {key}: its header claims shape {header.shape}, more than its {info.file_size:,} bytes; "
                    "save it again"
                )
            headers[key] = header
    if not headers:
        raise UserError(f"{path}: holds no NumPy arrays; give an archive that numpy.savez made")
    return headers


def _read_header(file: IO[bytes], member: str, where: str) -> Header:
    """Read the header of an .npy file (NEP 1): a magic, a length, and a dict with exactly three keys."""
    start = file.read(8)
    length_bytes = 2 if start[6:7] == b"\x01" else 4
    length = int.from_bytes(file.read(length_bytes), "little")
    try:
        if start[:6] != b"\x93NUMPY" or start[6] not in (1, 2, 3) or length > MAX_HEADER_BYTES:
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
        return Header(member, shape, fortran, np.dtype(descr))
    except (ValueError, TypeError, KeyError, IndexError, SyntaxError, RecursionError, MemoryError) as error:
        raise UserError(f"{where}: its header cannot be read ({one_line(error)[:100]}); save it again") from None


def _check_dtype(header: Header, where: str) -> None:
    if header.dtype.hasobject:
        raise UserError(f"{where}: holds Python objects, which are never unpickled; save it as a plain uint8 array")
    if header.dtype.kind not in "uifb" or header.dtype.names is not None:
        raise UserError(f"{where}: holds values of type {header.dtype}; save it as a plain uint8 array")


def _read_whole(archive: zipfile.ZipFile, header: Header, where: str) -> NDArray[Any]:
    if header.dtype.hasobject:
        raise UserError(f"{where}: holds Python objects, which are never unpickled; save it as integers or strings")
    if header.nbytes > MAX_LABEL_BYTES:
        raise UserError(f"{where}: has the absurd shape {header.shape} for labels; save one label for each image")
    with _member(archive, header.member, where) as file:
        _read_header(file, header.member, where)
        raw = file.read(header.nbytes)
    if len(raw) < header.nbytes:
        raise UserError(f"{where}: is cut short; save it again")
    return np.ndarray(header.shape, header.dtype, raw, order="F" if header.fortran else "C")


def _blocks(path: Path, header: Header) -> Iterator[Pixels]:
    where = f"{path}, {header.member[:-4]}"
    layout = image_layout(header.shape, where)
    count, each = header.shape[0], header.nbytes // max(1, header.shape[0])
    step = rows_per_block(header.shape, header.dtype.itemsize)
    with open_zip(path, MAX_RATIO) as archive, _member(archive, header.member, where) as file:
        _read_header(file, header.member, where)
        whole: NDArray[Any] | None = None
        if header.fortran:
            if header.nbytes > MAX_FORTRAN_BYTES:
                raise UserError(f"{where}: is too large in Fortran order; save it with numpy.ascontiguousarray")
            whole = np.ndarray(header.shape, header.dtype, file.read(header.nbytes), order="F")
        for start in range(0, count, step):
            rows = min(step, count - start)
            if whole is not None:
                block = np.ascontiguousarray(whole[start : start + rows])
            else:
                raw = file.read(rows * each)
                if len(raw) < rows * each:
                    raise UserError(f"{where}: is cut short, {start:,} of {count:,} images are there; save it again")
                block = np.frombuffer(raw, header.dtype).reshape(rows, *header.shape[1:])
            yield as_pixels(block, layout, where)
        if file.read(1):  # also makes the zip check the member's checksum
            raise UserError(f"{where}: goes on after the {count:,} images of its header; save it again")


@contextmanager
def _member(archive: zipfile.ZipFile, member: str, where: str) -> Iterator[IO[bytes]]:
    """Opens a member of a zip; whatever goes wrong while reading becomes a UserError that names the array."""
    try:
        with archive.open(member) as file:
            yield file
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise UserError(f"{where}: is damaged ({one_line(error)}); fetch or save it again") from None
