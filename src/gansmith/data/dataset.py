"""Dataset: uint8 images by index; Batches: an endless seeded stream of them that can be entered anywhere."""

import hashlib
import json
import math
import mmap
import os
import sys
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gansmith.data.arrays import UNIT, Span, as_array, as_pixels, image_layout, recognised
from gansmith.data.naming import LABELS, own_name
from gansmith.data.types import Labels, Pixels, Problem, Split
from gansmith.errors import UserError

Indices = NDArray[np.int64]

SAMPLE_FOR_STATISTICS = 10_000
PREFETCH_FROM_BYTES = 1 << 30
"""Files from this size on may not stay in memory: pages of the next batch are asked for ahead of time."""

BATCHES_AHEAD = 2


class Store(Protocol):
    """Where a data set's pixels are."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""

    def take(self, indices: NDArray[np.int64]) -> Pixels:
        """The images at `indices` (n,), each in 0..N-1: uint8 (n, C, H, W), a fresh C-contiguous array."""

    def prefetch(self, indices: NDArray[np.int64]) -> None:
        """A hint that these images are wanted soon. Cheap; changes no result."""


class MemoryStore:
    """Pixels in memory: uint8 (N, C, H, W)."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        count, channels, height, width = self._pixels.shape
        return count, channels, height, width

    def take(self, indices: NDArray[np.int64]) -> Pixels:
        """The images at `indices`, copied."""
        return np.take(self._pixels, indices, axis=0)

    def flat(self) -> Pixels:
        """All values in order, in one row, not copied."""
        return self._pixels.reshape(-1)

    def prefetch(self, indices: NDArray[np.int64]) -> None:
        """Nothing to do: the pixels are in memory."""


class MappedStore(MemoryStore):
    """Pixels in a memory-mapped file, paged in and out by the system: uint8 (N, C, H, W) in C order from `offset`."""

    def __init__(self, path: Path, shape: tuple[int, int, int, int], offset: int) -> None:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, **_NO_DESCRIPTOR)
            self._reader = None
            if len(mapped) >= PREFETCH_FROM_BYTES and hasattr(os, "posix_fadvise"):
                # without this, a page fault reads 128 kB around its page, nearly all of it for nothing
                mapped.madvise(mmap.MADV_RANDOM)
                self._reader = _ReadAhead(os.dup(file.fileno()), offset, int(np.prod(shape[1:])))
        self.path = path
        super().__init__(np.frombuffer(mapped, np.uint8, offset=offset).reshape(shape))

    def prefetch(self, indices: NDArray[np.int64]) -> None:
        """Ask the system to read these images in the background, many at a time; only for large files."""
        if self._reader is not None:
            self._reader(indices)


_NO_DESCRIPTOR: dict[str, bool] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
_mapped: "weakref.WeakValueDictionary[tuple[object, ...], MappedStore]" = weakref.WeakValueDictionary()


def mapped(path: Path, shape: tuple[int, int, int, int], offset: int) -> MappedStore:
    """The pixels of a file, mapped once however often it is opened: a mapping may hold a file descriptor."""
    status = path.stat()
    key = (path, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size, shape, offset)
    store = _mapped.get(key)
    if store is None:
        store = _mapped[key] = MappedStore(path, shape, offset)
    return store


class _ReadAhead:
    """Asks for rows of a file from a thread of its own: asking may wait for the disk, and training must not."""

    def __init__(self, descriptor: int, offset: int, row_bytes: int) -> None:
        self._descriptor, self._offset, self._bytes = descriptor, offset, row_bytes
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="gansmith-read-ahead")
        self._last: Future[None] | None = None
        weakref.finalize(self, _close, self._pool, descriptor)

    def __call__(self, indices: NDArray[np.int64]) -> None:
        if self._last is None or self._last.done():  # a disk that cannot follow is not asked for more
            self._last = self._pool.submit(_will_need, self._descriptor, self._offset, self._bytes, indices.tolist())


def _will_need(descriptor: int, offset: int, row_bytes: int, rows: list[int]) -> None:
    for row in rows:
        os.posix_fadvise(descriptor, offset + row * row_bytes, row_bytes, os.POSIX_FADV_WILLNEED)


def _close(pool: ThreadPoolExecutor, descriptor: int) -> None:
    pool.shutdown(wait=True)
    os.close(descriptor)


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images of one size, by index, with their labels. Made by :func:`gansmith.data.load` or :func:`from_arrays`."""

    name: str
    """Safe as a file name: a built-in name, or the folder's or file's own."""
    source: str
    """What to load again: a built-in name or an absolute path."""
    split: Split
    shape: tuple[int, int, int]
    """(C, H, W); C is 1 for grey, 3 for RGB."""
    classes: tuple[str, ...]
    """Names of the classes, by label; empty if there are no labels."""
    fingerprint: str
    """SHA-256 in hex over pixels, labels and shape (for derived sets: over the base's, the scheme and the seed)."""
    problems: tuple[Problem, ...]
    """Files that were skipped."""
    labels: Labels | None
    """(N,) indices into `classes`, or None."""
    store: Store
    exact_statistics: tuple[float, float] | None = None

    def __len__(self) -> int:
        return self.store.shape[0]

    @property
    def class_counts(self) -> tuple[int, ...]:
        """How many images of each class; empty if there are no labels."""
        return () if self.labels is None else tuple(np.bincount(self.labels, minlength=len(self.classes)).tolist())

    def __repr__(self) -> str:
        channels, height, width = self.shape
        colour = "grey" if channels == 1 else "RGB"
        classes = f"{len(self.classes):,} classes" if self.classes else "no classes"
        return f"<Dataset {self.name} ({self.split}): {len(self):,} images, {width}x{height} {colour}, {classes}>"

    def _repr_png_(self) -> bytes:
        """The first 40 images, for a notebook."""
        from gansmith import render

        return render.png(render.sheet(self.take(np.arange(min(40, len(self)))), columns=8))

    def take(self, indices: ArrayLike) -> Pixels:
        """The images at `indices` (n,): uint8 (n, C, H, W), C-contiguous, freshly made. IndexError if out of range."""
        wanted = np.asarray(indices)
        if wanted.size == 0:
            wanted = wanted.astype(np.int64)
        if wanted.ndim != 1 or wanted.dtype.kind not in "iu":
            raise UserError(f"take: indices of shape {wanted.shape} and type {wanted.dtype}; give a list of integers")
        wanted = wanted.astype(np.int64, copy=False)
        if wanted.size and not (int(wanted.min()) >= 0 and int(wanted.max()) < len(self)):
            raise IndexError(f"take: index outside 0..{len(self) - 1} of {self.name}")
        return self.store.take(wanted)

    def mean_and_std(self) -> tuple[float, float]:
        """Mean and standard deviation over all pixels, black being 0 and white 1.

        Exact for everything that comes from the cache; for derived sets (colour-mnist, stacked-mnist) over 10,000
        images chosen with a fixed seed.
        """
        if self.exact_statistics is not None:
            return self.exact_statistics
        count = min(len(self), SAMPLE_FOR_STATISTICS)
        chosen = np.sort(np.random.default_rng(0).permutation(len(self))[:count])
        histogram = np.zeros(256, np.int64)
        for start in range(0, count, 256):
            histogram += np.bincount(self.take(chosen[start : start + 256]).ravel(), minlength=256)
        return statistics(histogram)


class Batches:
    """An endless stream of images: one seeded permutation of the data set after another, cut anywhere.

    What :meth:`at` returns is a function of the data, the seed and the position alone, so training that resumes at a
    position sees exactly what it would have seen. Raises UserError if a batch is larger than the data set.

    ``own`` picks, from the indices of a batch, those of the images that :meth:`at` is to return; None for all. Each
    ``pack`` images in a row belong together, and are of one label where ``alike``; the few of a label that are left
    over wait for the next permutation.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        seed: int,
        own: Callable[[Indices], Indices] | None = None,
        *,
        pack: int = 1,
        alike: bool = False,
    ) -> None:
        if batch_size < 1:
            raise UserError(f"batch size {batch_size}: use 1 or more")
        if seed < 0:
            raise UserError(f"seed {seed}: use 0 or more")
        if batch_size > len(dataset):
            raise UserError(
                f"{dataset.name}: a batch of {batch_size:,} is larger than the data set of {len(dataset):,} images; "
                f"use `batch_size` {len(dataset)} or less"
            )
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self._own, self._pack = own, pack
        self._groups = dataset.labels if alike and pack > 1 else None
        sizes = np.array([len(dataset)]) if self._groups is None else np.bincount(self._groups)
        self._lap = int((sizes // pack).sum()) * pack
        if batch_size > self._lap:
            raise UserError(
                f"{dataset.name}: {self._lap:,} images are in packs of {pack} of one class or kind, fewer than a batch "
                f"of {batch_size:,}; use a smaller `batch_size` or `pack`"
            )
        self._orders: dict[int, Indices] = {}

    def at(self, position: int) -> Pixels:
        """Images `position` .. `position + batch_size` of the stream: uint8 (batch_size, C, H, W), C-contiguous."""
        pixels = self.dataset.store.take(self.own_at(position))
        self.dataset.store.prefetch(self.own_at(position + BATCHES_AHEAD * self.batch_size))
        return pixels

    def own_at(self, position: int) -> Indices:
        """Which images of the data set :meth:`at` returns."""
        indices = self.indices_at(position)
        return indices if self._own is None else self._own(indices)

    def labels_at(self, position: int) -> Labels:
        """The labels (batch_size,) of the images of a whole batch. UserError if the data has no labels."""
        if self.dataset.labels is None:
            raise UserError(f"{self.dataset.name}: has no labels; {LABELS}")
        return self.dataset.labels[self.indices_at(position)]

    def indices_at(self, position: int) -> NDArray[np.int64]:
        """Which images (batch_size,) of the data set are a whole batch."""
        if position < 0:
            raise UserError(f"position {position}: use 0 or more")
        lap, start = divmod(position, self._lap)
        first = self._order(lap)[start : start + self.batch_size]
        missing = self.batch_size - len(first)
        return first if missing == 0 else np.concatenate([first, self._order(lap + 1)[:missing]])

    def _order(self, lap: int) -> NDArray[np.int64]:
        if lap not in self._orders:
            random = np.random.default_rng([self.seed, lap])
            order = random.permutation(len(self.dataset))
            if self._pack > 1:
                packs = _packs(order, self._pack, self._groups)
                order = packs[random.permutation(len(packs))].ravel()
            self._orders = {key: value for key, value in self._orders.items() if abs(key - lap) <= 1}
            self._orders[lap] = order
        return self._orders[lap]


def _packs(order: Indices, pack: int, groups: Labels | None) -> Indices:
    """(packs, pack) of a permutation (N,), each of one group, where images have groups (N,)."""
    if groups is None:
        return order[: len(order) // pack * pack].reshape(-1, pack)
    order = order[np.argsort(groups[order], kind="stable")]
    ends = np.cumsum(np.bincount(groups))
    parts = [part[: len(part) // pack * pack] for part in np.split(order, ends[:-1])]
    return np.concatenate(parts).reshape(-1, pack)


def statistics(histogram: NDArray[np.int64]) -> tuple[float, float]:
    """Mean and standard deviation, white being 1, of pixels; `histogram` (256,): how often each value occurs."""
    counts = [int(count) for count in histogram]
    total = max(1, sum(counts))
    mean = sum(value * count for value, count in enumerate(counts)) / total
    mean_of_squares = sum(value * value * count for value, count in enumerate(counts)) / total
    return mean / 255, max(0.0, mean_of_squares - mean * mean) ** 0.5 / 255


def fingerprint_end(labels: Labels | None, shape: Sequence[int]) -> bytes:
    """What follows the pixels in the hash of a fingerprint: labels (N,) as little-endian int64, then [N, C, H, W]."""
    raw = b"" if labels is None else np.ascontiguousarray(labels, "<i8").tobytes()
    return raw + json.dumps([int(side) for side in shape]).encode()


def from_arrays(
    images: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    classes: Sequence[str] = (),
    name: str = "arrays",
    pixels: Span | None = None,
) -> Dataset:
    """A data set from arrays in memory, copied.

    `images`: (N, H, W), (N, H, W, C) or (N, C, H, W), C 1, 3 or 4, at least one image; uint8, or floats. `labels`:
    integers (N,), indices into `classes`, whose names default to "0", "1", ... `pixels`: what black and white are where
    images are floats, and values beyond become these; [0, 1], [-1, 1] and [0, 255] need not be said. UserError if
    anything else is given.
    """
    stored = _pixels(images, name, pixels)
    numbers: Labels | None = None
    names = tuple(classes)
    if labels is not None:
        told = as_array(labels)
        given = np.asarray(labels) if told is None else told
        if given.shape != (len(stored),) or given.dtype.kind not in "iu" or int(given.min()) < 0:
            raise UserError(f"{name}: labels are {given.dtype} {given.shape}; give {len(stored)} integers from 0 up")
        numbers = np.array(given, np.int64)
        names = names or tuple(str(number) for number in range(int(numbers.max()) + 1))
        if int(numbers.max()) >= len(names):
            raise UserError(f"{name}: label {int(numbers.max())} has no name among {len(names)} classes; name them all")
    digest = hashlib.sha256(stored.tobytes() + fingerprint_end(numbers, stored.shape)).hexdigest()
    exact = statistics(np.bincount(stored.ravel(), minlength=256))
    _, channels, height, width = stored.shape
    return Dataset(
        name=own_name(name),
        source=name,
        split="train",
        shape=(channels, height, width),
        classes=names,
        fingerprint=digest,
        problems=(),
        labels=numbers,
        store=MemoryStore(stored),
        exact_statistics=exact,
    )


def _pixels(images: ArrayLike, name: str, span: Span | None) -> Pixels:
    """Images in any layout as a fresh uint8 (N, C, H, W); floats from `span`, or from a range that is recognised."""
    given = as_array(images)
    values = np.asarray(images) if given is None else given
    if values.dtype.kind not in "uifb" or values.size == 0:
        raise UserError(f"{name}: images are {values.dtype} {values.shape}; give uint8 or floats (N, H, W)")
    layout = image_layout(values.shape, name)
    if span is not None:
        span = _black_and_white(span, name)
    if values.dtype.kind == "f":
        span = span or recognised(float(values.min()), float(values.max()), name)
        values = np.clip(values, *span) if np.isfinite(values).all() else values
    return np.array(as_pixels(values, layout, name, span or UNIT))


def _black_and_white(span: object, name: str) -> Span:
    try:
        black, white = (float(value) for value in span)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        given = repr(span)[:60]
        raise UserError(f"{name}: pixels {given}: give two numbers, black and white, such as (0, 1)") from None
    if not -math.inf < black < white < math.inf:
        raise UserError(f"{name}: pixels {span}: black must be below white, such as (0, 1) or (-1, 1)")
    return black, white
