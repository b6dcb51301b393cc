"""The reference: which real images generated ones are measured against, and what is computed of them once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gansmith.data import Dataset
from gansmith.encoders.encoder import Encoded, Encoder
from gansmith.evaluation import cache
from gansmith.evaluation.features import Features, joined
from gansmith.metrics.frechet import Gaussian
from gansmith.metrics.ndb import BINS, Bins
from gansmith.metrics.prdc import Cloud
from gansmith.metrics.validate import Array
from gansmith.progress import Progress, Ticker

BLOCK = 1024
"""Images decoded and encoded at a time."""
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
    """One to three disjoint sets of training images, each of as many as are generated."""
    held_out: bool
    """Whether training has never seen ``real``: it is a test split."""

    @property
    def count(self) -> int:
        """How many images each of the others has, and so how many are to be generated."""
        return len(self.others[0])

    @property
    def description(self) -> str:
        """What ``real`` is: "mnist test"."""
        return f"{self.real.dataset.name} {'test' if self.held_out else 'train (one half; there is no test split)'}"

    @property
    def training(self) -> str:
        """What the others are of: "training images of mnist"."""
        return f"training images of {self.others[0].dataset.name}" + ("" if self.held_out else " in one half")


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


@dataclass(frozen=True, eq=False)
class Reference:
    """Features of the real images, and of training images, with what metrics compute of them once."""

    real: Features
    """Of the images that generated ones are measured against."""
    train: Array
    """Features of as many training images as are generated."""
    all_train: Array | None
    """Features of all training images, or of 60,000; None where nothing is held out to compare with."""
    held_out: bool
    """Whether training has never seen ``real``."""
    bins: Bins | None
    """Of ``train``; None where they are too few."""
    cloud: Cloud
    """``real`` with the distances to neighbours."""
    control: Gaussian | None = None
    """Of the control's features of the same images; None where there is no control."""
    gaussian: Gaussian = field(init=False)
    """Of ``real``."""
    train_gaussian: Gaussian = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "gaussian", Gaussian.of(self.real.features))
        object.__setattr__(self, "train_gaussian", Gaussian.of(self.train))


def bins_of(train: Array) -> Bins | None:
    """The bins of training features; None where there are under 1,000, or fewer distinct ones than bins."""
    enough = len(train) >= 10 * BINS and len(np.unique(train, axis=0)) >= BINS
    return Bins.of(train) if enough else None


class Counter:
    """Counts images that pass through it, over several sets."""

    def __init__(self, progress: Progress | None, what: str, total: int) -> None:
        self._ticker, self._done = Ticker(progress, what, total), 0

    def count(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The blocks, counted."""
        for block in blocks:
            yield block
            self._done += len(block)
            self._ticker(self._done)


def encode(part: Part, encoder: Encoder, *, progress: Progress | None = None) -> Encoded:
    """Features and logits of real images, a block at a time."""
    counter = Counter(progress, "encoding real images", len(part))
    return joined(encoder.encode(block) for block in counter.count(part.blocks()))


def features_of_all(dataset: Dataset, encoder: Encoder, *, progress: Progress | None = None) -> Array:
    """An encoder's features (N, D) of all images of a data set, kept in the cache."""
    key = cache.key_of(kind="features of all", data=dataset.fingerprint, encoder=encoder.card.digest)
    stored = cache.read(key)
    if stored is not None and stored[0].get("features", np.empty(0)).shape == (len(dataset), encoder.dimensions):
        return stored[0]["features"]
    features = encode(Part(dataset, np.arange(len(dataset))), encoder, progress=progress).features
    cache.write(key, {"features": features}, {})
    return features
