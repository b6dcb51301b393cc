"""NumPy's .npz archives and .npy files of images: which arrays are images, labels and tests, whatever their names."""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from gansmith.data import beside
from gansmith.data.build import Source
from gansmith.data.labels import index_labels
from gansmith.data.naming import own_name
from gansmith.data.npy import Array, images_of, open_file, read_header, read_whole, reading
from gansmith.data.own import MADE_HERE
from gansmith.data.types import Labels, Split
from gansmith.data.zips import open_zip
from gansmith.errors import UserError
from gansmith.text import amount, printable

KEYS: dict[Split, tuple[tuple[str, str], ...]] = {
    "train": (
        ("train_images", "train_labels"),
        ("x_train", "y_train"),
        ("images", "labels"),
        ("x", "y"),
        ("image", "label"),
        ("data", "target"),
        ("arr_0", "arr_1"),
    ),
    "test": (("test_images", "test_labels"), ("x_test", "y_test")),
}
"""Pairs of keys that are looked for, in this order, whatever the case of their letters."""
LIKE_LABELS = re.compile(r"label|target|class|categor|digit|truth|(^|_)y(_|$)")
OTHER_SPLIT = {"train": re.compile("test|val"), "test": re.compile("train|val")}
MAX_FLAT_BYTES = 2 << 30
"""What arrays that shrank more than any pictures do may unpack to: they are copied into the cache."""


@dataclass(frozen=True)
class Pair:
    """The arrays of one split: images, and labels if there are any."""

    images: Array
    labels: Array | None = None
    notes: tuple[str, ...] = ()


def npz_source(path: Path, split: Split) -> Source:
    """One split of an archive. Raises UserError if there is nothing that can be used."""
    where = printable(str(path))
    arrays = _arrays(path)
    pairs = {role: pair for role in KEYS if (pair := _pair(arrays, role)) is not None}
    if split not in pairs:
        have = ", ".join(sorted(map(printable, arrays))[:8]) or "nothing"
        wanted = " or ".join(f"{x}/{y}" for x, y in KEYS[split][:4])
        what = "no test images" if split == "test" and "train" in pairs else "no images"
        raise UserError(f"{where}: holds {what}, it has the keys {have}; name the arrays {wanted}")
    notes = [
        f"{key} ({amount(arrays[key].header.shape[0], 'image')}) is not used"
        for key in arrays
        if key.lower() in ("val_images", "x_val", "x_valid") and arrays[key].header.shape
    ][:1]
    if "generator" in arrays and {"latents", "index"} & set(arrays):
        notes.append(MADE_HERE)
    parts = [path]
    if pairs[split].labels is None and len(pairs) == 1:
        pairs[split], extra = _with_labels_beside(path, pairs[split])
        parts += extra
    return _source(path, "NumPy archive", split, pairs, notes, parts)


def npy_source(path: Path, split: Split) -> Source:
    """One split of .npy files: images, with the labels and the test images beside them. Raises UserError."""
    pairs: dict[Split, Pair] = {}
    parts = []
    roles: tuple[tuple[Split, Path | None], ...] = (("train", path), ("test", beside.test_beside(path)))
    for role, images in roles:
        if images is not None:
            pairs[role], extra = _with_labels_beside(images, Pair(open_file(images)))
            parts += [images, *extra]
    if split not in pairs:
        raise UserError(f"{printable(str(path))}: has no test images; put x_test.npy beside x_train.npy")
    return _source(path, "NumPy array", split, pairs, [], parts)


def _source(
    path: Path, kind: str, split: Split, pairs: dict[Split, Pair], notes: list[str], parts: list[Path]
) -> Source:
    pair = pairs[split]
    count = pair.images.header.shape[0] if pair.images.header.shape else 0
    numbers: Labels | None = None
    classes: tuple[str, ...] = ()
    special = ""
    images_of(pair.images, None)  # complains about images before labels
    if pair.labels is not None:
        others = [other.labels for role, other in pairs.items() if role != split and other.labels is not None]
        numbers, classes, special = index_labels(
            read_whole(pair.labels), read_whole(others[0]) if others else None, count, pair.labels.where
        )
        if numbers is None:
            key, shape = pair.labels.where.rsplit(", ", 1)[-1], pair.labels.header.shape
            notes = [*notes, f"{key} of shape {shape} gives several labels an image: not used"]
    elif any(other.labels for other in pairs.values()):
        notes = [*notes, f"the {split} images have no labels"]
    arrays, more = images_of(pair.images, numbers)
    test = pairs.get("test")
    return Source(
        name=own_name(path.stem),
        origin=printable(str(path)),
        kind=kind,
        split=split,
        classes=classes,
        content=arrays,
        test_count=None if test is None or not test.images.header.shape else test.images.header.shape[0],
        parts=tuple(("" if each == path else each.name, each) for each in parts),
        notes=(*pair.notes, *notes, *more),
        reading=special,
    )


def _pair(arrays: dict[str, Array], split: Split) -> Pair | None:
    """The images of a split by the names of their keys, with their labels by name, or by length and a likely name."""
    by_lower = {key.lower(): key for key in arrays}
    images, labels = next(((x, y) for x, y in KEYS[split] if x in by_lower), ("", ""))
    if not images:
        return None
    found = arrays[by_lower[images]]
    if labels in by_lower:
        return Pair(found, arrays[by_lower[labels]])
    count = found.header.shape[:1]
    fitting = [
        key
        for key, array in arrays.items()
        if key != by_lower[images] and not OTHER_SPLIT[split].search(key.lower()) and _one_each(array, count)
    ]
    likely = [key for key in fitting if LIKE_LABELS.search(key.lower())]
    if len(likely) == 1:
        return Pair(found, arrays[likely[0]], (f"the labels are those of {printable(likely[0])}",))
    single = [key for key in fitting if arrays[key].header.shape[1:] in ((), (1,))]
    return Pair(found, None, _unused(likely or single, count))


def _unused(keys: list[str], count: tuple[int, ...]) -> tuple[str, ...]:
    """A note on arrays that may be labels."""
    if not keys:
        return ()
    shown = ", ".join(map(printable, keys[:6]))
    return (f"not used: {shown}, {amount(count[0], 'value')} each; call one of them labels to train on it",)


def _one_each(array: Array, count: tuple[int, ...]) -> bool:
    """Whether an array has one value, or a row that may be one-hot, for each image."""
    shape, dtype = array.header.shape, array.header.dtype
    plain = dtype.kind in "iubfUS" and not dtype.hasobject
    return plain and shape[:1] == count and (len(shape) == 1 or (len(shape) == 2 and 1 <= shape[1] <= 1000))


def _with_labels_beside(path: Path, pair: Pair) -> tuple[Pair, list[Path]]:
    """A pair with the labels in a file of its own whose name goes with `path`, and that file."""
    other, notes = beside.labels_beside(path)
    if other is None:
        return Pair(pair.images, None, (*pair.notes, *notes)), []
    arrays = [open_file(other)] if other.suffix.lower() == ".npy" else list(_arrays(other).values())
    fitting = [array for array in arrays if _one_each(array, pair.images.header.shape[:1])]
    if len(arrays) == 1 or len(fitting) == 1:  # of another length, it is refused with both numbers
        labels = (fitting or arrays)[0]
        return Pair(pair.images, labels, (*pair.notes, f"the labels are those of {printable(other.name)}")), [other]
    note = f"{printable(other.name)} holds {amount(len(arrays), 'array')}, none clearly labels: it is not used"
    return Pair(pair.images, None, (*pair.notes, note)), []


def read_arrays(path: Path, keys: Collection[str], max_bytes: int) -> dict[str, NDArray[Any]]:
    """Those arrays of an archive whose names are in `keys`, of at most `max_bytes` each; others are not looked into.

    Raises UserError in one line for what is no archive, damaged, larger, or would have to be unpickled.
    """
    wanted = {key: array for key, array in _arrays(path).items() if key in keys}
    for array in wanted.values():
        if array.header.nbytes > max_bytes:
            raise UserError(f"{array.where}: has shape {array.header.shape}, more than {max_bytes >> 20:,} MiB")
    return {key: read_whole(array) for key, array in wanted.items()}


def _arrays(path: Path) -> dict[str, Array]:
    """All arrays of an archive by their names; of members of one name the last counts. Raises UserError."""
    where = printable(str(path))
    arrays = {}
    with open_zip(path, MAX_FLAT_BYTES) as archive:
        infos = {info.filename: info for info in archive.infolist() if info.filename.endswith(".npy")}
        for name, info in infos.items():
            place = f"{where}, {printable(name[:-4])}"
            with reading(place), archive.open(info) as file:
                header = read_header(file, place, info.file_size)
            arrays[name[:-4]] = Array(header, place, _opener(path, name, place))
    if not arrays:
        raise UserError(f"{where}: holds no NumPy arrays; give an archive that numpy.savez made")
    return arrays


def _opener(path: Path, member: str, where: str) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    @contextmanager
    def opener() -> Iterator[IO[bytes]]:
        with open_zip(path, MAX_FLAT_BYTES) as archive, reading(where), archive.open(member) as file:
            yield file

    return opener
