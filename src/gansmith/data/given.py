"""Images that Python code gives in the place of a name or a path: arrays, tensors, data sets, iterators -> a Source.

What was given is known by its content: a name such as `arrays@0123456789abcdef`, under which the cache finds what it
decoded, in a later process too. A card in the cache tells the classes and splits that belong to that name.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from gansmith.data import cache
from gansmith.data.annotations import LABEL_COLUMNS
from gansmith.data.arrays import (
    UNIT,
    Arrays,
    as_array,
    as_pixels,
    image_layout,
    recognised,
    rows_per_block,
    sides,
    unfolded,
)
from gansmith.data.build import Source, key_of
from gansmith.data.dataset import Dataset
from gansmith.data.folders import Files, Member
from gansmith.data.labels import distinct, index_labels
from gansmith.data.naming import given_name, own_name
from gansmith.data.parquet import IMAGE_COLUMNS, MORE_LABELS
from gansmith.data.spool import Spool
from gansmith.data.types import MAX_SIDE, MIN_SIDE, Fit, Labels, Pixels, Split
from gansmith.errors import UserError
from gansmith.files import cache_dir, write_text
from gansmith.progress import Progress, Ticker

KIND = "images given in Python"
SPLITS: dict[str, Split] = {"train": "train", "test": "test", "validation": "test", "valid": "test", "val": "test"}
"""The keys of a mapping of splits; the first that is there counts."""
FORMS = "an array, a tensor, (images, labels), a data set of torch or Hugging Face, or an iterable of pictures"
_cards: dict[str, dict[str, Any]] = {}
"""Those of this process, for where the cache cannot be written."""


@dataclass(frozen=True)
class Part:
    """One split of what was given: its images with these labels, a digest of the images, labels as they came."""

    content: Callable[[Labels | None], Arrays | Files]
    count: int
    digest: str
    labels: NDArray[Any] | None
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ..., where they are known."""


def find(given: Any, split: Split, progress: Progress | None) -> Source:
    """One split of what was given, with the other beside it. Raises UserError for what holds no images."""
    if isinstance(given, Source):
        return given
    name, parts = _name(given), _splits(given)
    found = {
        role: _part(each, f"{name} ({role})" if len(parts) > 1 else name, progress) for role, each in parts.items()
    }
    if split not in found:
        raise UserError(f'{name}: has no {split} images; give {{"train": images, "test": images}}')
    labelled = {role: _labelled(found, role, name) for role in found}
    digests = {role: _digest(found[role], *labelled[role]) for role in found}
    whole = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
    origin = given_name(name, whole)
    _note(origin, {role: (digests[role], found[role].count, labelled[role][1]) for role in found}, name)
    sources = {
        role: Source(
            name=name,
            origin=origin,
            kind=KIND,
            split=role,
            classes=labelled[role][1],
            content=found[role].content(labelled[role][0]),
            test_count=found["test"].count if "test" in found else None,
            digest=digests[role],
        )
        for role in found
    }
    return replace(sources[split], beside=tuple(each for role, each in sources.items() if role != split))


def recall(origin: str, split: Split) -> Source:
    """One split of what was given before, which the cache may still hold. UserError where its card is gone."""
    card = _cards.get(origin) or _read(origin)
    if card is None:
        raise UserError(_gone(origin))
    if split not in card["splits"]:
        raise UserError(f'{origin}: has no {split} images; give {{"train": images, "test": images}}')
    digest, count, classes = card["splits"][split]
    source = Source(
        name=card["name"],
        origin=origin,
        kind=KIND,
        split=split,
        classes=tuple(classes),
        content=Arrays(count, 0, 0, lambda: iter(()), lambda: None),
        test_count=card["splits"]["test"][1] if "test" in card["splits"] else None,
        digest=digest,
    )

    def refuse() -> Iterator[Pixels]:
        held = [f"`size` {size}" for size in range(MIN_SIDE, MAX_SIDE + 1) if _held(source, size)]
        raise UserError(_gone(origin) if not held else f"{origin}: is kept at another size; give {' or '.join(held)}")

    return replace(source, content=Arrays(count, 0, 0, refuse, lambda: None))


def _gone(origin: str) -> str:
    return (
        f"{origin}: these images were given in Python, and are no longer in the cache; give the same again, as in "
        "gs.resume(run, source=images) and gs.evaluate(run, data=images)"
    )


def _held(source: Source, size: int) -> bool:
    keys = [key_of(source, size, fit) for fit in get_args(Fit)]
    return any(cache.open_entry(cache.entry_folder(key), key) is not None for key in keys)


def _name(given: Any) -> str:
    """A name for run folders: what the data set calls itself, never that of built-in data."""
    train = next((given[key] for key in SPLITS if key in given), given) if isinstance(given, Mapping) else given
    about = getattr(train, "info", None)
    own = getattr(train, "name", None) if isinstance(train, Dataset) else getattr(about, "dataset_name", None)
    if not isinstance(own, str):
        plain = isinstance(train, tuple | list) or as_array(train) is not None or isinstance(train, Iterator)
        own = "arrays" if plain else _inner(train).__class__.__name__
    return own_name(own)


def _inner(given: Any) -> Any:
    """The data set that torch's Subset and the like wrap."""
    while hasattr(given, "dataset") and given.dataset is not None:
        given = given.dataset
    return given


def _splits(given: Any) -> dict[Split, Any]:
    """What was given for each split: {"train": ..., "test": ...}, or ((x, y), (x_test, y_test)) as Keras loads data."""
    if isinstance(given, Mapping):
        found: dict[Split, Any] = {}
        for key, split in SPLITS.items():
            if key in given:
                found.setdefault(split, given[key])
        if "train" not in found:
            keys = ", ".join(map(str, list(given)[:6])) or "none"
            raise UserError(f'data: a mapping with the keys {keys}; give {{"train": images, "test": images}}')
        return found
    if (
        isinstance(given, tuple)
        and len(given) == 2
        and all(isinstance(each, tuple) and len(each) == 2 for each in given)
    ):
        return {"train": given[0], "test": given[1]}
    return {"train": given}


def _part(given: Any, where: str, progress: Progress | None) -> Part:
    """One split, read if it comes one by one."""
    if isinstance(given, Dataset):
        return _of_dataset(given)
    labels: Any = None
    if isinstance(given, tuple) and len(given) == 2 and _many(given[0]):
        given, labels = given
    values = as_array(given)
    if values is not None:
        part = _of_array(values, where)
    elif hasattr(given, "batch_size") and hasattr(given, "dataset"):
        raise UserError(f"{where}: is a loader of batches; give the data set itself, its `.dataset`")
    elif isinstance(given, str | bytes | Path) or not (isinstance(given, Iterable) or hasattr(given, "__getitem__")):
        raise UserError(f"data {' '.join(repr(given).split())[:60]}: give a name, a path, or images: {FORMS}")
    else:
        part = _one_by_one(given, where, progress)
    return part if labels is None else replace(part, labels=_label_array(labels, where))


def _many(given: Any) -> bool:
    """Whether it holds images rather than being one."""
    values = as_array(given)
    return values.ndim > 1 if values is not None else isinstance(given, Sequence) and not isinstance(given, str | bytes)


def _of_array(values: NDArray[Any], where: str) -> Part:
    if values.dtype.kind not in "uifb" or values.dtype.names is not None:
        raise UserError(f"{where}: holds values of type {values.dtype}; give a plain array of uint8 or floats")
    shape = unfolded(values.shape)
    layout = image_layout(shape, where)
    values = values.reshape(shape)
    span = (
        recognised(float(values.min()), float(values.max()), where)
        if values.dtype.kind == "f" and len(values)
        else UNIT
    )
    step = rows_per_block(shape, values.dtype.itemsize)
    digest = hashlib.sha256(f"{shape} {layout} {values.dtype.str} {span}".encode())
    for start in range(0, len(values), step):
        digest.update(np.ascontiguousarray(values[start : start + step]).data)

    def blocks() -> Iterator[Pixels]:
        for start in range(0, len(values), step):
            yield as_pixels(values[start : start + step], layout, where, span)

    bits = 16 if values.dtype.newbyteorder("=") == np.uint16 else 8
    return Part(
        lambda labels: Arrays(len(values), *sides(shape, layout), blocks, lambda: labels, bits),
        len(values),
        digest.hexdigest(),
        None,
    )


def _of_dataset(given: Dataset) -> Part:
    step = rows_per_block((len(given), *given.shape), 1)

    def blocks() -> Iterator[Pixels]:
        for start in range(0, len(given), step):
            yield given.take(np.arange(start, min(len(given), start + step)))

    _, height, width = given.shape
    return Part(
        lambda labels: Arrays(len(given), height, width, blocks, lambda: labels),
        len(given),
        given.fingerprint,
        given.labels,
        given.classes,
    )


def _one_by_one(given: Any, where: str, progress: Progress | None) -> Part:
    """Images that come one by one, each with its label or alone, kept in a temporary file."""
    spool, labels = Spool(where), []
    items, image_key, label_key, classes = _items(given, where)
    total = len(given) if hasattr(given, "__len__") else 0
    ticker = Ticker(progress, f"reading {where}", total)
    for item in items:
        image, label = _told_apart(item, image_key, label_key, where)
        spool.add(image)
        labels.append(label)
        ticker(len(spool))
    spool.close()
    none = [label is None for label in labels]
    if any(none) and not all(none):
        raise UserError(
            f"{where}: item {none.index(True):,} has no label, and others do; give all of them one, or none"
        )

    def content(numbers: Labels | None) -> Files:
        known = [-1] * len(spool) if numbers is None else numbers.tolist()
        members = (Member(f"{number:07d}", label) for number, label in enumerate(known))
        return Files(tuple(members), spool.read)

    found = None if not labels or all(none) else _label_array(labels, where)
    return Part(content, len(spool), spool.digest, found, classes)


def _items(given: Any, where: str) -> tuple[Iterable[Any], str, str, tuple[str, ...]]:
    """The items of a data set, the columns of image and label where items are mappings, and the classes' names."""
    features = getattr(given, "features", None)
    if isinstance(features, Mapping):  # Hugging Face's
        image, label = _columns(list(features), where)
        encoded = hasattr(features[image], "decode")
        given = given.with_format(None)
        if encoded:  # the files as they are: Pillow's pictures would have to be encoded again
            given = given.cast_column(image, type(features[image])(decode=False))
        return given, image, label, tuple(getattr(features.get(label), "names", None) or ())
    classes = getattr(_inner(given), "classes", None)
    known = tuple(map(str, classes)) if isinstance(classes, list | tuple) else ()
    if hasattr(given, "__len__") and hasattr(given, "__getitem__"):
        return (given[index] for index in range(len(given))), "", "", known
    return given, "", "", known


def _columns(columns: list[str], where: str) -> tuple[str, str]:
    image = next((name for name in IMAGE_COLUMNS if name in columns), None)
    if image is None:
        raise UserError(f"{where}: has the columns {', '.join(columns[:8])}; call the one that holds the images image")
    return image, next((name for name in (*LABEL_COLUMNS, *MORE_LABELS) if name in columns), "")


def _told_apart(item: Any, image: str, label: str, where: str) -> tuple[Any, Any]:
    """(image, label) of an item: a mapping of columns, (image, label, ...), or an image alone."""
    if isinstance(item, Mapping) and not {"bytes", "path"} <= item.keys():
        if not image:
            image, label = _columns(list(map(str, item)), where)
        found = item.get(label)
        return item[image], None if isinstance(found, Mapping | list) or found == -1 else found
    if isinstance(item, tuple | list) and item and not np.isscalar(item[0]) and not isinstance(item[0], list):
        return item[0], item[1] if len(item) > 1 else None
    return item, None


def _label_array(labels: Any, where: str) -> NDArray[Any]:
    """Labels of any library, or one by one, as an array."""
    values = as_array(labels)
    if values is not None:
        return values
    plain = [each.item() if hasattr(each, "item") and getattr(each, "ndim", 1) == 0 else each for each in labels]
    try:
        return np.array([value if as_array(value) is None else as_array(value) for value in plain])
    except ValueError:
        raise UserError(f"{where}: labels of several lengths; give one label for each image") from None


def _labelled(found: Mapping[Split, Part], role: Split, where: str) -> tuple[Labels | None, tuple[str, ...]]:
    """Labels (N,) as numbers, and the classes' names, the same for both splits."""
    part = found[role]
    others = next((each.labels for other, each in found.items() if other != role), None)
    if part.labels is None:
        return None, ()
    named = part.classes and part.labels.shape == (part.count,) and part.labels.dtype.kind in "iu"
    if named and bool(np.all((part.labels >= 0) & (part.labels < len(part.classes)))):
        return part.labels.astype(np.int64), distinct(part.classes)
    numbers, classes, _ = index_labels(part.labels, others, part.count, where)
    if numbers is None:
        text = f"{where}: labels of shape {part.labels.shape} are several for an image, and left out"
        warnings.warn(text, stacklevel=2)
    return numbers, classes


def _digest(part: Part, labels: Labels | None, classes: tuple[str, ...]) -> str:
    told = b"" if labels is None else labels.astype("<i8").tobytes()
    return hashlib.sha256(f"{part.digest} {json.dumps(classes)}".encode() + told).hexdigest()


def _note(origin: str, splits: Mapping[Split, tuple[str, int, tuple[str, ...]]], name: str) -> None:
    """Writes the card of what was given. A failure costs later processes only."""
    card = _cards[origin] = {"name": name, "splits": splits}
    try:
        write_text(_card(origin), json.dumps(card))
    except OSError:
        return


def _card(origin: str) -> Path:
    return cache_dir() / "given" / f"{origin}.json"


def _read(origin: str) -> dict[str, Any] | None:
    """The card of what an earlier process was given; None if there is none that can be read."""
    try:
        card = json.loads(_card(origin).read_text("utf-8"))
        fits = all(len(each) == 3 and len(each[0]) == 64 and int(each[1]) >= 0 for each in card["splits"].values())
        return card if fits and isinstance(card["name"], str) and "train" in card["splits"] else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
