"""The real side of a measurement: which real images stand for the data, their features, and both kept in the cache.

Cache entries are safetensors files with a SHA-256 over their content; one that is damaged is made again.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from gansmith import data, files
from gansmith.data import Dataset, Fit
from gansmith.encoders.encoder import Encoded, Encoder
from gansmith.files import writing
from gansmith.progress import Progress

FORMAT = 1
BLOCK = 1024  # images decoded and encoded at a time
ENOUGH = 1000  # test images from which on a test split is used, however large the training split is
FLOOR_SETS = 3


@dataclass(frozen=True)
class Part:
    """Images of a data set, by index."""

    dataset: Dataset
    indices: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indices)

    def blocks(self) -> Iterator[np.ndarray]:
        """The images in order, uint8 (n, C, H, W), n at most BLOCK."""
        for start in range(0, len(self.indices), BLOCK):
            yield self.dataset.take(self.indices[start : start + BLOCK])


@dataclass(frozen=True)
class Split:
    """Real images, divided: those that generated ones are measured against, and others for the floor."""

    real: Part
    others: tuple[Part, ...]
    """One to three sets of real images, as many in each as are generated, and disjoint; of the training images."""
    held_out: bool
    """Whether training has never seen ``real``: it is a test split."""

    @property
    def count(self) -> int:
        """How many images each of the others has, and so how many are to be generated."""
        return len(self.others[0])

    @property
    def told(self) -> str:
        """What ``real`` is, in words: "mnist test"."""
        return f"{self.real.dataset.name} {'test' if self.held_out else 'train (one half; there is no test split)'}"


def load(
    source: str | Path, *, size: int | None, fit: Fit = "crop", progress: Progress | None = None
) -> tuple[Dataset, Dataset | None]:
    """A data set's training images, and its test images if there are enough to measure against."""
    train = data.load(source, size=size, fit=fit, progress=progress)
    return train, heldout(train, fit=fit, progress=progress)


def heldout(train: Dataset, *, fit: Fit = "crop", progress: Progress | None = None) -> Dataset | None:
    """The test images beside these training images, if there are enough to measure against."""
    count = data.test_count(train.source)
    if not count or count < min(ENOUGH, len(train) // 8):
        return None
    test = data.load(train.source, split="test", size=train.shape[1], fit=fit, progress=progress)
    return test if test.shape == train.shape else None


def divide(train: Dataset, test: Dataset | None, samples: int, *, against: int | None = None) -> Split:
    """Chooses real images to measure against, and up to three sets of ``samples`` others, always the same ones.

    Args:
        train: the others are of these.
        test: to measure against; where it is None, halves of the training images stand against each other.
        samples: how many in each set, if there are so many.
        against: how many to measure against; ``samples`` if not given.
    """
    most = against or samples
    order = np.random.default_rng(0).permutation(len(train))
    if test is not None:
        real = Part(test, np.sort(np.random.default_rng(0).permutation(len(test))[:most]))
    else:
        half = len(train) // 2
        real, order = Part(train, np.sort(order[: min(most, half)])), order[half:]
    count = min(samples, len(order))
    sets = min(FLOOR_SETS, len(order) // count)
    others = tuple(Part(train, np.sort(order[i * count : (i + 1) * count])) for i in range(sets))
    return Split(real, others, held_out=test is not None)


def encode(part: Part, encoder: Encoder, *, progress: Progress | None = None) -> Encoded:
    """Features and logits of real images, a block at a time."""
    return join(encoder.encode(block) for block in told(part.blocks(), len(part), "encoding real images", progress))


def told(blocks: Iterator[np.ndarray], count: int, what: str, progress: Progress | None) -> Iterator[np.ndarray]:
    """The blocks, and how far they are to ``progress``."""
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        if progress is not None:
            progress(what, done, count)


def join(parts: Iterator[Encoded]) -> Encoded:
    """What was encoded block by block, as one."""
    found = list(parts)
    logits = [part.logits for part in found if part.logits is not None]
    return Encoded(np.concatenate([part.features for part in found]), np.concatenate(logits) if logits else None)


def key_of(**about: object) -> str:
    """A cache key for what decides an entry's content."""
    return hashlib.sha256(json.dumps({"format": FORMAT, **about}, sort_keys=True, default=str).encode()).hexdigest()


def remember(key: str, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
    """Keeps arrays and plain values under a key. Failing is harmless: they are computed again next time."""
    small = {name: _smallest(array) for name, array in arrays.items()}
    about = json.dumps(values, sort_keys=True)
    metadata = {"values": about, "sha256": _digest(small, about)}
    try:
        with writing(_place(key)) as fresh:
            save_file(small, fresh, metadata=metadata)
    except (OSError, SafetensorError):
        return


def recall(key: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
    """What :func:`remember` kept under a key: floating point as float64; None if it is not there, or damaged."""
    try:
        with safe_open(_place(key), "numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
        if metadata.get("sha256") != _digest(arrays, metadata["values"]):
            return None
        values = json.loads(metadata["values"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    wide = {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in arrays.items()}
    return wide, values


def _place(key: str) -> Path:
    return files.cache_dir() / "references" / f"{key[:40]}.safetensors"


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    """float64 that came from float32 as float32; all else as it is."""
    if array.dtype == np.float64 and np.array_equal(array, array.astype(np.float32)):
        array = array.astype(np.float32)
    return np.ascontiguousarray(array)


def _digest(arrays: Mapping[str, NDArray[Any]], about: str) -> str:
    found = hashlib.sha256(about.encode())
    for name in sorted(arrays):
        found.update(f"\n{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        found.update(np.ascontiguousarray(arrays[name]).data)
    return found.hexdigest()
