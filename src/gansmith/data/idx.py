"""IDX, the format of MNIST and its relatives, plain or gzipped: images read a block at a time, labels at once."""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from gansmith.data.arrays import Arrays, as_pixels, image_layout, index_labels, rows_per_block
from gansmith.data.types import MAX_IMAGE_PIXELS, Labels, Pixels, Split
from gansmith.errors import UserError
from gansmith.text import one_line

UBYTE = 0x08
_TYPES = {0x08: "unsigned bytes", 0x09: "signed bytes", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_STEMS: dict[Split, str] = {"train": "train", "test": "t10k"}
MAX_BYTES = 256 << 30


@dataclass(frozen=True)
class Pair:
    """An images file and, if there is one, the labels file beside it."""

    images: Path
    labels: Path | None


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's content, unzipped if need be. Whatever goes wrong inside becomes a UserError naming the file."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if zipped:
                with gzip.GzipFile(fileobj=file) as unzipped:
                    yield cast(BinaryIO, unzipped)
            else:
                yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: its gzip data is damaged or cut short ({one_line(error)}); fetch it again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)}); check the file and its permissions") from None


def read_shape(file: BinaryIO, path: Path) -> tuple[int, ...]:
    """The shape in an IDX header of unsigned bytes; the file is left at the first value. Raises UserError.

    Source: the format's description on the home page of MNIST: 0, 0, type, number of dimensions, then each dimension as
    a big-endian 32-bit integer.
    """
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or magic[3] == 0:
        raise UserError(
            f"{path}: does not begin as an IDX file does (found {magic.hex() or 'nothing'}, expected 0000 08 and the "
            "number of dimensions); give an IDX file of images, such as train-images-idx3-ubyte.gz"
        )
    if magic[2] != UBYTE:
        raise UserError(f"{path}: holds {_TYPES[magic[2]]}; only IDX files of unsigned bytes are read, convert it")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise UserError(f"{path}: ends inside its header; fetch it again")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    if math.prod(shape) > MAX_BYTES or math.prod(shape[1:]) > 4 * MAX_IMAGE_PIXELS:
        raise UserError(f"{path}: its header claims the absurd shape {shape}; fetch it again")
    return shape


def image_shape(path: Path) -> tuple[int, ...]:
    """The shape of an IDX file of images: 3 or 4 dimensions. Raises UserError."""
    with opened(path) as file:
        shape = read_shape(file, path)
    if len(shape) == 1:
        raise UserError(f"{path}: holds labels, not images; give the images file, the labels are found beside it")
    image_layout(shape, str(path))
    return shape


def image_blocks(path: Path) -> Iterator[Pixels]:
    """All images of an IDX file in order, as uint8 blocks (n, C, H, W). UserError if it is shorter or longer."""
    with opened(path) as file:
        shape = read_shape(file, path)
        layout = image_layout(shape, str(path))
        each, step, done = math.prod(shape[1:]), rows_per_block(shape, 1), 0
        while done < shape[0]:
            count = min(step, shape[0] - done)
            raw = file.read(count * each)
            if len(raw) < count * each:
                whole = done + len(raw) // each
                raise UserError(f"{path}: is cut short, {whole:,} of {shape[0]:,} images are there; fetch it again")
            done += count
            yield as_pixels(np.frombuffer(raw, np.uint8).reshape(count, *shape[1:]), layout, str(path))
        if file.read(1):
            raise UserError(f"{path}: goes on after the {shape[0]:,} images of its header; fetch it again")


def read_labels(path: Path) -> NDArray[np.uint8]:
    """The labels (N,) of an IDX file of labels. Raises UserError."""
    with opened(path) as file:
        shape = read_shape(file, path)
        if len(shape) != 1:
            raise UserError(f"{path}: has {len(shape)} dimensions where labels have one; give a file of labels")
        raw = file.read(shape[0] + 1)
    if len(raw) != shape[0]:
        how = "is cut short" if len(raw) < shape[0] else "goes on after its end"
        raise UserError(f"{path}: {how}, its header says {shape[0]:,} labels; fetch it again")
    return np.frombuffer(raw, np.uint8)


def is_idx(path: Path) -> bool:
    """Whether the file begins as an IDX file of images or labels does."""
    try:
        with opened(path) as file:
            magic = file.read(4)
    except UserError:
        return bool(re.search(r"idx\d", path.name))
    return len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _TYPES and 1 <= magic[3] <= 4


def find_in_folder(folder: Path) -> dict[Split, Pair]:
    """The pairs in a folder that holds files of the four standard names, gzipped or not; empty if there are none."""
    pairs: dict[Split, Pair] = {}
    for split, stem in _STEMS.items():
        for dot in ("-", "."):
            for ending in ("", ".gz"):
                images = folder / f"{stem}-images{dot}idx3-ubyte{ending}"
                if split not in pairs and images.is_file():
                    pairs[split] = Pair(images, labels_beside(images))
    return pairs


def find_by_file(images: Path) -> dict[Split, Pair]:
    """The pair of an images file given by name, as "train"; and of its relative for testing beside it, as "test"."""
    pairs: dict[Split, Pair] = {"train": Pair(images, labels_beside(images))}
    for test in ("t10k", "test"):
        name = re.sub(r"train", test, images.name, count=1)
        for other in _with_and_without_gz(images.with_name(name)):
            if other.name != images.name and "test" not in pairs and other.is_file():
                pairs["test"] = Pair(other, labels_beside(other))
    return pairs


def labels_beside(images: Path) -> Path | None:
    """The labels file that goes with an images file: "labels" for "images", idx1 for idx3, gzipped or not."""
    name = re.sub(r"idx[34]", "idx1", images.name.replace("images", "labels").replace("Images", "Labels"))
    found = [path for path in _with_and_without_gz(images.with_name(name)) if path.name != images.name]
    return next((path for path in found if path.is_file()), None)


def _with_and_without_gz(path: Path) -> tuple[Path, Path]:
    return path, (path.with_suffix("") if path.suffix == ".gz" else path.with_name(path.name + ".gz"))


def read_pairs(pairs: dict[Split, Pair], split: Split) -> tuple[Arrays, tuple[str, ...]]:
    """One split's images with its labels, and the classes, numbered alike in both splits. Raises UserError."""
    pair = pairs[split]
    shape = image_shape(pair.images)
    layout = image_layout(shape, str(pair.images))
    height, width = (shape[2], shape[3]) if layout == "NCHW" else (shape[1], shape[2])
    labels: Labels | None = None
    classes: tuple[str, ...] = ()
    if pair.labels is not None:
        other = next((other.labels for key, other in pairs.items() if key != split), None)
        labels, classes = index_labels(
            read_labels(pair.labels), None if other is None else read_labels(other), shape[0], str(pair.labels)
        )
    return Arrays(shape[0], height, width, lambda: image_blocks(pair.images), lambda: labels), classes
