"""IDX, the format of MNIST and its relatives, plain or gzipped: images read a block at a time, labels at once."""

import gzip
import io
import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from gansmith.data import beside
from gansmith.data.arrays import Arrays, as_pixels, image_layout, rows_per_block, sides
from gansmith.data.build import Source
from gansmith.data.labels import index_labels, one_hot
from gansmith.data.naming import own_name
from gansmith.data.types import MAX_IMAGE_PIXELS, Labels, Pixels, Split
from gansmith.errors import UserError
from gansmith.text import one_line, printable

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_STEMS: dict[Split, str] = {"train": "train", "test": "t10k"}
MAX_BYTES = 256 << 30
MAX_FLAT_BYTES = 2 << 30
MAX_RATIO = 200
"""What shrank by more than this, and has more than MAX_FLAT_BYTES, is taken for a decompression bomb."""
GZIP_RATIO = 1100
"""No gzip file unpacks to more than this many times its size."""


@dataclass(frozen=True)
class Pair:
    """An images file and, if there is one, the labels file beside it."""

    images: Path
    labels: Path | None
    notes: tuple[str, ...] = ()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's content, unzipped if need be. Whatever goes wrong inside becomes a UserError naming the file."""
    where = printable(str(path))
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
        raise UserError(f"{where}: its gzip data is damaged or cut short ({one_line(error)}); fetch it again") from None
    except OSError as error:
        raise UserError(f"{where}: cannot be read ({one_line(error)}); check the file and its permissions") from None


def read_header(file: BinaryIO, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The type and shape in an IDX header; the file is left at the first value. Raises UserError.

    Source: the format's description on the home page of MNIST: 0, 0, type, number of dimensions, then each dimension as
    a big-endian 32-bit integer.
    """
    where = printable(str(path))
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or magic[3] == 0:
        raise UserError(
            f"{where}: does not begin as an IDX file does (found {magic.hex() or 'nothing'}, expected 0000 08 and the "
            "number of dimensions); give an IDX file of images, such as train-images-idx3-ubyte.gz"
        )
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise UserError(f"{where}: ends inside its header; fetch it again")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    dtype = np.dtype(_TYPES[magic[2]])
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > MAX_BYTES or math.prod(shape[1:]) > 4 * MAX_IMAGE_PIXELS:
        raise UserError(f"{where}: its header claims the absurd shape {shape}; fetch it again")
    size = path.stat().st_size
    flat = claimed > GZIP_RATIO * size or (claimed > MAX_FLAT_BYTES and claimed > MAX_RATIO * size)
    if flat and not isinstance(file, io.BufferedReader):
        raise UserError(
            f"{where}: {size:,} bytes claim to unpack to {claimed:,}, as a decompression bomb does; fetch it again, or "
            "unpack it yourself if you trust it"
        )
    return dtype, shape


def image_shape(path: Path) -> tuple[int, ...]:
    """The shape of an IDX file of images: 3 or 4 dimensions of unsigned bytes. Raises UserError."""
    where = printable(str(path))
    with opened(path) as file:
        dtype, shape = read_header(file, path)
        there = path.stat().st_size - file.tell() if isinstance(file, io.BufferedReader) else None
    if len(shape) == 1:
        raise UserError(f"{where}: holds labels, not images; give the images file, the labels are found beside it")
    if dtype != np.uint8:
        raise UserError(f"{where}: holds {dtype.name}; only images of unsigned bytes are read, convert it")
    image_layout(shape, where)
    if there is not None and there < math.prod(shape):
        whole = there // math.prod(shape[1:])
        raise UserError(f"{where}: is cut short, {whole:,} of {shape[0]:,} images are there; fetch it again")
    return shape


def image_blocks(path: Path) -> Iterator[Pixels]:
    """All images of an IDX file in order, as uint8 blocks (n, C, H, W). UserError if it is shorter or longer."""
    shape, where = image_shape(path), printable(str(path))
    with opened(path) as file:
        read_header(file, path)
        layout = image_layout(shape, where)
        each, step, done = math.prod(shape[1:]), rows_per_block(shape, 1), 0
        while done < shape[0]:
            count = min(step, shape[0] - done)
            raw = file.read(count * each)
            if len(raw) < count * each:
                whole = done + len(raw) // each
                raise UserError(f"{where}: is cut short, {whole:,} of {shape[0]:,} images are there; fetch it again")
            done += count
            yield as_pixels(np.frombuffer(raw, np.uint8).reshape(count, *shape[1:]), layout, where)
        if file.read(1):
            raise UserError(f"{where}: goes on after the {shape[0]:,} images of its header; fetch it again")


def read_labels(path: Path, count: int) -> NDArray[Any]:
    """The labels of an IDX file: (count,), or (count, K), of any type. UserError if there are not `count`."""
    where = printable(str(path))
    with opened(path) as file:
        dtype, shape = read_header(file, path)
        if len(shape) > 2:
            raise UserError(f"{where}: has {len(shape)} dimensions where labels have one; give a file of labels")
        if shape[0] != count:
            raise UserError(
                f"{where}: {shape[0]:,} labels for {count:,} images; there must be one label for each image"
            )
        size = math.prod(shape) * dtype.itemsize
        raw = file.read(size + 1)
    if len(raw) != size:
        how = "is cut short" if len(raw) < size else "goes on after its end"
        raise UserError(f"{where}: {how}, its header says {shape[0]:,} labels; fetch it again")
    return np.frombuffer(raw, dtype).reshape(shape)


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
                    pairs[split] = pair_of(images)
    return pairs


def find_by_file(images: Path) -> dict[Split, Pair]:
    """The pair of an images file given by name, as "train"; and of its relative for testing beside it, as "test"."""
    pairs: dict[Split, Pair] = {"train": pair_of(images)}
    if test := beside.test_beside(images):
        pairs["test"] = pair_of(test)
    return pairs


def find_anywhere(root: Path, names: list[str]) -> dict[Split, Pair]:
    """The only IDX set among files, whatever its names and sub-folders (`raw`, `gzip`); empty if there is none.

    UserError, naming the files of images to choose from, if there are several.
    """
    sets: dict[str, Path] = {}
    for name in sorted(names):
        folder, _, last = name.lower().rpartition("/")
        test = re.search(r"t10k|(?<![a-z])(test|val)", last)
        if re.search(r"images?|imgs?|idx[34]", last) and not test and _holds_images(root / name):
            home = re.sub(r"(^|/)(raw|gzip|gz)$", "", folder)
            sets.setdefault(f"{home}/{beside.stem(last)}", root / name)
    if len(sets) > 1:
        some = ", ".join(printable(str(path)) for path in list(sets.values())[:8])
        raise UserError(f"{printable(str(root))}: holds {len(sets)} sets of IDX files; give the images of one: {some}")
    return find_by_file(next(iter(sets.values()))) if sets else {}


def _holds_images(path: Path) -> bool:
    try:
        return len(image_shape(path)) > 2
    except UserError:
        return False


def pair_of(images: Path) -> Pair:
    """An images file with the labels beside it."""
    labels, notes = beside.labels_beside(images)
    return Pair(images, labels, notes)


def on_its_side(name: str) -> bool:
    """Whether a file, by its official name, is one of EMNIST's, which hold every image on its side."""
    return bool(re.search(r"emnist-(byclass|bymerge|balanced|letters|digits|mnist)-", name.lower()))


def upright(blocks: Iterator[Pixels], turned: bool) -> Iterator[Pixels]:
    """Blocks with rows and columns of each image swapped, if they are turned."""
    for block in blocks:
        yield np.ascontiguousarray(block.transpose(0, 1, 3, 2)) if turned else block


def idx_source(origin: Path, pairs: dict[Split, Pair], split: Split) -> Source:
    """One split of IDX files, its classes numbered alike in both. Raises UserError."""
    if split not in pairs:
        if split == "test":
            hint = "has no test images; put t10k-images-idx3-ubyte beside the training images"
        else:
            hint = "has no training images; put train-images-idx3-ubyte beside the test images"
        raise UserError(f"{printable(str(origin))}: {hint}")
    pair = pairs[split]
    shape = image_shape(pair.images)
    height, width = sides(shape, image_layout(shape, printable(str(pair.images))))
    labels: Labels | None = None
    classes: tuple[str, ...] = ()
    special = ""
    notes = list(pair.notes)
    if pair.labels is not None:
        others = [_column(other)[0] for role, other in pairs.items() if role != split and other.labels]
        raw, more = _column(pair)
        where = printable(str(pair.labels))
        labels, classes, special = index_labels(raw, others[0] if others else None, shape[0], where)
        notes += more
        if labels is None:
            notes.append(f"{printable(pair.labels.name)} gives several labels an image: not used")
    elif not notes:
        notes.append("no labels file lies beside the images: there are no classes")
    turned = on_its_side(pair.images.name)
    if turned:
        height, width, special = width, height, f"upright {special}".strip()
        notes.append("EMNIST lies on its side in its files: the images are turned upright")
    files = [file for each in pairs.values() for file in (each.images, each.labels) if file is not None]
    test = pairs.get("test")
    return Source(
        name=own_name(origin.name.split(".")[0]),
        origin=printable(str(origin)),
        kind="IDX files",
        split=split,
        classes=classes,
        content=Arrays(shape[0], height, width, lambda: upright(image_blocks(pair.images), turned), lambda: labels),
        test_count=None if test is None else image_shape(test.images)[0],
        parts=tuple((file.name, file) for file in files),
        notes=tuple(notes),
        reading=special,
    )


def _column(pair: Pair) -> tuple[NDArray[Any], list[str]]:
    """A pair's labels; of several columns that are not one-hot the first, as in QMNIST, and a note that says so."""
    assert pair.labels is not None
    raw = read_labels(pair.labels, image_shape(pair.images)[0])
    if raw.ndim == 1 or raw.shape[1] == 1 or one_hot(raw):
        return raw, []
    return raw[:, 0], [f"of the {raw.shape[1]} columns of {printable(pair.labels.name)}, the first holds the labels"]
