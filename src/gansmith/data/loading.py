"""load: a name or a path -> a Dataset ready for training."""

from pathlib import Path
from typing import Any

import numpy as np

from gansmith.data import cache, derived, naming, sharded, sources
from gansmith.data.build import Source, entry_of
from gansmith.data.cache import Entry
from gansmith.data.dataset import Dataset, MappedStore, statistics
from gansmith.data.images import is_made
from gansmith.data.types import MINIMUM_IMAGES, Fit, Images, Split, check_request
from gansmith.errors import UserError
from gansmith.progress import Progress
from gansmith.text import printable


def load(
    source: Images,
    *,
    split: Split = "train",
    size: int | None = None,
    fit: Fit = "crop",
    seed: int = 0,
    progress: Progress | None = None,
) -> Dataset:
    """Open a data set, decoding it into the cache the first time.

    `source`: a built-in name (mnist, fashion-mnist, colour-mnist, stacked-mnist); the path of a folder of images
    (class sub-folders become labels), a .zip of one, an .npz archive, or IDX files; shards, in a folder or at an
    address such as s3://bucket/folder, whose pixels stay there until they are wanted; or images, as in
    :data:`Images`: an array or tensor, a pair (images, labels), a data set of torch or Hugging Face, an iterable of
    pictures. `size`: height and width in pixels, 8 to 1024; None keeps the images' own if they are all squares of one
    size. `fit`: crop images that are not square about their centre, or pad them. `seed` is read by the derived sets
    alone. Files that cannot be used are skipped and named in `Dataset.problems`. UserError, in one line, if there is
    nothing usable or fewer than 8 images.
    """
    size, seed = check_request(split, size, fit, seed)
    source = reloadable(naming.named(source))
    if naming.is_derived(source):
        base = load("mnist", split=split, size=size, fit=fit, progress=progress)
        return derived.derive(str(source), base, seed)
    if shards := sharded.find(source):
        return sharded.load(*shards, split, size)
    found = sources.find(source, split, progress)
    entry = entry_of(found, size, fit, progress)
    return dataset_of(found, entry)


def reloadable(source: Any) -> Any:
    """In the place of a Dataset that was loaded from a name or a path, and is what that holds now: the name or path."""
    if not isinstance(source, Dataset) or source.split != "train" or source.shape[1] != source.shape[2]:
        return source
    try:
        again = load(source.source, size=source.shape[1])
    except UserError:
        return source
    same = again.fingerprint == source.fingerprint and again.classes == source.classes
    return source.source if same else source


def dataset_of(found: Source, entry: Entry) -> Dataset:
    """The Dataset of an opened entry; UserError if too few images are left."""
    count, channels, height, width = entry.meta.shape
    problems = (*found.problems, *entry.meta.problems)
    if count < MINIMUM_IMAGES:
        first = f" (first trouble: {problems[0]})" if problems else ""
        raise UserError(
            f"{found.origin}: only {count} of {entry.meta.found + len(found.problems):,} images can be used, "
            f"{MINIMUM_IMAGES} are needed{first}; `gansmith data` lists what is wrong, or add images"
        )
    return Dataset(
        name=found.name,
        source=found.origin,
        split=found.split,
        shape=(channels, height, width),
        classes=found.classes,
        fingerprint=entry.meta.fingerprint,
        problems=problems,
        labels=entry.labels,
        store=entry.store,
        exact_statistics=statistics(np.array(entry.meta.histogram, np.int64)),
    )


def changes(dataset: Dataset, fingerprint: str) -> str:
    """Which files are new, gone or changed since it had this fingerprint: " (1 new: a.png)", or "" if unknown."""
    kinds = _changes(dataset, fingerprint)
    if kinds is None:
        return ""
    parts = [
        f"{len(found):,} {kind}: " + ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        for kind, found in kinds.items()
    ]
    return f" ({'; '.join(parts) or 'the same files, read otherwise'})"


def only_grew(dataset: Dataset, fingerprint: str) -> bool:
    """Whether it is known that nothing but new files came since it had this fingerprint."""
    return (_changes(dataset, fingerprint) or {}).keys() == {"new"}


def _changes(dataset: Dataset, fingerprint: str) -> dict[str, list[str]] | None:
    store = dataset.store
    return cache.changes(fingerprint, store.path.parent if isinstance(store, MappedStore) else None)


def check_sheet(source: str | Path, path: Path) -> None:
    """Raise UserError if a picture written to `path` would take the place of a file of this data set."""
    remote = naming.is_remote(source)
    if str(source) in naming.names() or remote or naming.is_given(source) or not path.exists():
        return
    home, target = Path(naming.existing(source)), path.resolve()
    if target == home or (home in target.parents and not is_made(target.read_bytes())):
        raise UserError(f"`sheet` {printable(str(path))}: is a file of the data; name a new file")


def test_count(source: Images) -> int | None:
    """How many test images a data set has, skipped ones included; None if it has no test split. Decodes nothing."""
    source = reloadable(naming.named(source))
    if naming.is_derived(source):
        return derived.STACKED_COUNTS["test"] if source == "stacked-mnist" else 10_000
    if shards := sharded.find(source):
        return None if shards[1].test is None else shards[1].test.total
    return sources.find(source, "train", None).test_count
