"""inspect: everything worth knowing about a data set before training on it, as a value and as text."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gansmith.data import derived, kept_shards, naming, sharded, sources
from gansmith.data.build import SizeNeededError, Source, entry_of
from gansmith.data.builtin import CREDITS
from gansmith.data.cache import Entry, Meta
from gansmith.data.dataset import Dataset
from gansmith.data.loading import dataset_of, load, reloadable
from gansmith.data.types import MINIMUM_IMAGES, Fit, Images, Problem, Split, check_request
from gansmith.progress import Progress
from gansmith.text import amount

DARK = 127
"""Pixels of which none is brighter are worth a note, and pixels whose range is narrower than the next number."""
NARROW = 64
SIZE_TO_LOOK_AT = 64
"""Where images differ in size and no size is asked for, they are looked at in this one."""


@dataclass(frozen=True)
class Inspection:
    """What is in a data set and what is wrong with it."""

    name: str
    source: str
    kind: str
    """"image folder", "zip of images", "NumPy archive", "IDX files", "built in", "derived" and the like."""
    split: Split
    credit: str | None
    """Who made it, and its licence, for the data sets that are built in."""
    found: int
    """Images that are there, usable or not."""
    count: int
    """Images that can be used."""
    test_count: int | None
    """Images in the test split, usable or not; None if there is none."""
    shape: tuple[int, int, int] | None
    """(C, H, W) as used for the numbers here; None if no image can be used."""
    sizes: tuple[tuple[int, int, int], ...]
    """(width, height, how many) as found in the files, the most common first."""
    modes: dict[str, int]
    """Pillow's names of the pixel formats found, and how many."""
    classes: tuple[tuple[str, int], ...]
    """(name, usable images), in the order of the labels; empty if there are none."""
    pixel_mean: float | None
    pixel_std: float | None
    fingerprint: str | None
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]
    cache_path: Path | None
    cache_bytes: int
    dataset: Dataset | None = field(repr=False, compare=False)
    """To take a sample sheet from; None if too few images are usable to train."""

    @property
    def usable(self) -> bool:
        """Whether training would accept it."""
        return self.dataset is not None

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON values, but for the data set itself."""
        return {
            "name": self.name,
            "source": self.source,
            "kind": self.kind,
            "split": self.split,
            "credit": self.credit,
            "usable": self.usable,
            "found": self.found,
            "count": self.count,
            "test_count": self.test_count,
            "shape": None if self.shape is None else list(self.shape),
            "sizes": [{"width": width, "height": height, "count": count} for width, height, count in self.sizes],
            "modes": dict(self.modes),
            "classes": [{"name": name, "count": count} for name, count in self.classes],
            "pixel_mean": self.pixel_mean,
            "pixel_std": self.pixel_std,
            "fingerprint": self.fingerprint,
            "notes": list(self.notes),
            "problems": [{"file": each.file, "kind": each.kind, "what": each.what} for each in self.problems],
            "cache": {"path": None if self.cache_path is None else str(self.cache_path), "bytes": self.cache_bytes},
        }


def inspect(
    source: Images,
    *,
    split: Split = "train",
    size: int | None = None,
    fit: Fit = "crop",
    seed: int = 0,
    progress: Progress | None = None,
) -> Inspection:
    """Look at a data set: arguments as for :func:`load`, but `size` may be left out for any images.

    Does not refuse what is too little to train on: it reports it. UserError if there is nothing to look at.
    """
    size, seed = check_request(split, size, fit, seed)
    source = reloadable(naming.named(source))
    if naming.is_derived(source):
        return _inspect_derived(load(source, split=split, size=size, fit=fit, seed=seed, progress=progress))
    if shards := sharded.find(source):
        return _inspect_shards(shards[1], sharded.load(*shards, split, size))
    found = sources.find(source, split, progress)
    looked_at: tuple[str, ...] = ()
    try:
        entry = entry_of(found, size, fit, progress)
    except SizeNeededError:
        size = SIZE_TO_LOOK_AT
        looked_at = (f"images are not all squares of one size: looked at in {size}x{size}, choose a size for training",)
        entry = entry_of(found, size, fit, progress)
    meta = entry.meta
    count, channels, height, width = meta.shape
    labels = np.zeros(0, np.int64) if entry.labels is None else entry.labels
    counts = np.bincount(labels, minlength=len(found.classes)).tolist()
    classes = tuple(zip(found.classes, counts, strict=True)) if found.classes else ()
    dataset = dataset_of(found, entry) if count >= MINIMUM_IMAGES else None
    mean, std = dataset.mean_and_std() if dataset is not None else (None, None)
    return Inspection(
        name=found.name,
        source=found.origin,
        kind=found.kind,
        split=found.split,
        credit=CREDITS.get(found.origin),
        found=meta.found + len(found.problems),
        count=count,
        test_count=found.test_count,
        shape=(channels, height, width) if count else None,
        sizes=meta.sizes,
        modes=meta.modes,
        classes=classes,
        pixel_mean=mean,
        pixel_std=std,
        fingerprint=meta.fingerprint if count else None,
        notes=(*found.notes, *looked_at, *meta.notes, *_observations(found, entry, size, fit, classes)),
        problems=(*found.problems, *meta.problems),
        cache_path=entry.path,
        cache_bytes=int(np.prod(meta.shape)),
        dataset=dataset,
    )


def _observations(
    found: Source, entry: Entry, size: int | None, fit: Fit, classes: tuple[tuple[str, int], ...]
) -> list[str]:
    """What is not wrong but worth knowing."""
    meta = entry.meta
    count = meta.shape[0]
    notes = []
    if 0 < meta.coloured < count:
        notes.append(f"in colour: {meta.coloured:,} of {amount(count, 'image')}, so all are kept as RGB")
    oblong = sum(number for width, height, number in meta.sizes if width != height)
    if oblong:
        notes.append(
            f"not square: {amount(oblong, 'image')}, {'cropped' if fit == 'crop' else 'padded'} about the centre"
        )
    if size is not None:
        side = min if fit == "crop" else max
        small = sum(number for width, height, number in meta.sizes if side(width, height) < size)
        if small:
            notes.append(f"smaller than {size} pixels: {amount(small, 'image')}, enlarged")
    if meta.copies and not any(problem.kind == "duplicate" for problem in meta.problems):
        notes.append(f"exact copies of others: {amount(meta.copies, 'image')}, kept, as arrays are taken as they are")
    notes += _range(meta)
    empty = [name for name, number in classes if number == 0]
    if empty:
        notes.append(f"no usable image in this split: {amount(len(empty), 'class')}, such as {empty[0]}")
    return notes


def _range(meta: Meta) -> list[str]:
    """A note where the pixels use only a part of the range: then the values were meant otherwise, or all is dark."""
    used = np.flatnonzero(meta.histogram)
    if not used.size or (used[-1] > DARK and used[-1] - used[0] >= NARROW):
        return []
    low, high = int(used[0]), int(used[-1])
    deep = any(mode.endswith(";16") or mode.startswith("I") for mode in meta.modes)
    if high <= 1:
        meant = "0 to 255 must be saved as 8-bit" if deep else "0 to 1 must be saved as floats"
        return [f"no pixel is brighter than {high} of 255: values meant as {meant}"]
    found = f"from {low} to {high} of 255"
    if deep:  # 16 bits became 8 by v / 257
        bits = max(1, 257 * high - 128).bit_length()
        found += f" (about {257 * low:,} to {257 * high:,} of 65,535, as {bits} bits in 16 are)"
    kind = "dark" if high <= DARK else "of little contrast"
    return [f"{kind}: the range of the pixels is {found}; if white is meant to be {high}, multiply and save them again"]


def _inspect_derived(dataset: Dataset) -> Inspection:
    test = 10_000 if dataset.name == "colour-mnist" else derived.STACKED_COUNTS["test"]
    notes = (derived.NOTES[dataset.name],)
    return _undecoded(dataset, kind="derived", credit=CREDITS["mnist"], test_count=test, notes=notes, cache_path=None)


def _inspect_shards(index: sharded.Index, dataset: Dataset) -> Inspection:
    part = index.test if dataset.split == "test" and index.test else index.train
    size = sum(shard.bytes for shard in part.shards)
    note = (
        f"{amount(len(part.shards), 'shard')} of {size / 1e6:,.1f} MB together; decoded ones may take "
        f"{kept_shards.budget() / 1e9:g} GB of a machine's disk ({kept_shards.BUDGET})"
    )
    return _undecoded(
        dataset,
        kind=f"{index.format} shards",
        credit=None,
        test_count=None if index.test is None else index.test.total,
        notes=(note,),
        cache_path=kept_shards.folder(),
    )


def _undecoded(dataset: Dataset, **more: Any) -> Inspection:
    """An inspection of images that have no entry in the cache, all of one size and without problems."""
    mean, std = dataset.mean_and_std()
    counts = [] if dataset.labels is None else np.bincount(dataset.labels, minlength=len(dataset.classes)).tolist()
    channels, height, width = dataset.shape
    return Inspection(
        name=dataset.name,
        source=dataset.source,
        split=dataset.split,
        found=len(dataset),
        count=len(dataset),
        shape=dataset.shape,
        sizes=((width, height, len(dataset)),),
        modes={"L" if channels == 1 else "RGB": len(dataset)},
        classes=tuple(zip(dataset.classes, counts, strict=True)),
        pixel_mean=mean,
        pixel_std=std,
        fingerprint=dataset.fingerprint,
        problems=(),
        cache_bytes=0,
        dataset=dataset,
        **more,
    )


def describe(inspection: Inspection, *, most: int = 10) -> str:
    """An inspection as plain text, a few lines; of sizes, classes and problems at most `most` are named."""
    each = inspection
    lines = [f"{each.name}: {each.kind}, {each.split} split" + (f" ({each.credit})" if each.credit else "")]
    left = "" if each.count == each.found else f" of {each.found:,} found"
    tested = "" if each.test_count is None or each.split == "test" else f"; {each.test_count:,} test images"
    lines.append(f"  images   {each.count:,}{left}{tested}")
    if each.shape is not None:
        channels, height, width = each.shape
        lines.append(f"  used as  {width}x{height} {'grey' if channels == 1 else 'RGB'}")
    sizes = [f"{width}x{height} ({number:,})" for width, height, number in each.sizes]
    lines.append(
        f"  found    {_some(sizes, most)}; pixels {_some([f'{k} ({v:,})' for k, v in each.modes.items()], most)}"
    )
    classes = [f"{name} ({number:,})" for name, number in each.classes]
    lines.append(f"  classes  {f'{len(classes):,}: {_some(classes, most)}' if classes else 'none'}")
    if each.pixel_mean is not None and each.pixel_std is not None:
        lines.append(
            f"  pixels   mean {each.pixel_mean:.4f}, standard deviation {each.pixel_std:.4f} (black 0, white 1)"
        )
    lines.extend(f"  note     {note}" for note in each.notes)
    if each.problems:
        kinds = Counter(problem.kind for problem in each.problems)
        lines.append(f"  skipped  {', '.join(f'{number:,} {kind}' for kind, number in kinds.most_common())}:")
        lines.extend(f"    {problem}" for problem in each.problems[:most])
        if len(each.problems) > most:
            lines.append(f"    ... and {len(each.problems) - most:,} more")
    if not each.usable:
        lines.append(f"  too few images to train on: {each.count} usable, {MINIMUM_IMAGES} needed")
    return "\n".join(lines)


def _some(items: list[str], most: int) -> str:
    if not items:
        return "none"
    return ", ".join(items[:most]) + (f", ... ({len(items) - most:,} more)" if len(items) > most else "")
