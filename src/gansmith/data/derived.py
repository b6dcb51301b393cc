"""Data sets made from MNIST while they are read: colour-mnist and stacked-mnist. An index is always the same image.

Random numbers are a hash of (seed, index, draw), SplitMix64 (Steele, Lea, Flood 2014): any image can be made alone.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gansmith.data.dataset import Dataset, Store
from gansmith.data.types import Labels, Pixels

STACKED_COUNTS = {"train": 128_000, "test": 26_000}
"""As in PacGAN (Lin et al. 2018), section 4.1: 128,000 stacked images, 26,000 to count modes with."""
CONTRAST = 0.35
"""Backgrounds keep every channel in [0, 0.35] or [0.65, 1], so the inverted digit stands out by 0.3 or more."""
_SCHEME = 1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

NOTES = {
    "colour-mnist": (
        "derived from mnist: each digit inverts a random smooth colour background (a 4-corner blend), as in "
        "Bulten's colour MNIST, which inverts crops of a photograph"
    ),
    "stacked-mnist": "derived from mnist: three random digits are the red, green and blue of an image",
}


def random_bits(seed: int, indices: NDArray[np.int64], draws: int) -> NDArray[np.uint64]:
    """`draws` random 64-bit numbers for each index: (n, draws); a function of seed, index and the draw's number."""
    start = _mix(np.array([seed], np.uint64) + _GOLDEN)
    keys = _mix(_mix(indices.astype(np.uint64) + _GOLDEN) ^ start)
    return _mix(keys[:, None] + np.arange(1, draws + 1, dtype=np.uint64) * _GOLDEN)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@dataclass(frozen=True)
class DerivedStore:
    """Images computed from those of another store. `needs`: (n,) -> base indices (n * k,); `make` combines them."""

    base: Store
    shape: tuple[int, int, int, int]
    needs: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    make: Callable[[NDArray[np.int64], Pixels], Pixels]

    def take(self, indices: NDArray[np.int64]) -> Pixels:
        """The images at `indices`: uint8 (n, C, H, W)."""
        return self.make(indices, self.base.take(self.needs(indices)))

    def prefetch(self, indices: NDArray[np.int64]) -> None:
        """Ask for the base's images."""
        self.base.prefetch(self.needs(indices))


def derive(name: str, mnist: Dataset, seed: int) -> Dataset:
    """The derived data set of this name from `mnist` (grey, labelled, any size)."""
    assert mnist.labels is not None
    _, height, width = mnist.shape
    store: DerivedStore
    labels: Labels
    if name == "colour-mnist":
        store, labels, classes = _colour(mnist, seed), mnist.labels, mnist.classes
    else:
        store, labels = _stacked(mnist, mnist.labels, seed)
        classes = tuple(f"{number:03d}" for number in range(1000))
    about = f"{name} scheme {_SCHEME} seed {seed} count {store.shape[0]} of {mnist.fingerprint}"
    return Dataset(
        name=name,
        source=name,
        split=mnist.split,
        shape=(3, height, width),
        classes=classes,
        fingerprint=hashlib.sha256(about.encode()).hexdigest(),
        problems=(),
        labels=labels,
        store=store,
    )


def _colour(mnist: Dataset, seed: int) -> DerivedStore:
    """RGB digits: with background b and digit m in [0, 1], a pixel is b (1 - m) + (1 - b) m.

    b blends four random corner colours bilinearly. For each image and channel a coin decides whether b is dark (at most
    0.35) or bright (at least 0.65), so that the digit can be read in every channel.
    """
    _, height, width = mnist.shape
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    right = np.linspace(0, 1, width, dtype=np.float32)

    at_once = max(1, 24_000 // (3 * height * width))  # floats that stay in the CPU's cache: several times faster

    def make(indices: NDArray[np.int64], digits: Pixels) -> Pixels:
        bits = random_bits(seed, indices, 15)
        uniform = ((bits >> np.uint64(40)).astype(np.float32) / np.float32(2**24)).reshape(-1, 5, 3, 1, 1)
        low = uniform[:, :4] * np.float32(CONTRAST)
        corners = np.where(uniform[:, 4:] < 0.5, low, 1 - low) * np.float32(255)  # (n, 4, 3, 1, 1)
        left = corners[:, 0] + (corners[:, 2] - corners[:, 0]) * down  # (n, 3, H, 1)
        across = corners[:, 1] + (corners[:, 3] - corners[:, 1]) * down - left
        result = np.empty((len(indices), 3, height, width), np.uint8)
        for start in range(0, len(indices), at_once):
            some = slice(start, start + at_once)
            pixels = left[some] + across[some] * right  # (n, 3, H, W)
            pixels += (255 - 2 * pixels) * (digits[some] / np.float32(255))
            result[some] = np.rint(pixels)
        return result

    return DerivedStore(mnist.store, (len(mnist), 3, height, width), lambda indices: indices, make)


def _stacked(mnist: Dataset, digits: Labels, seed: int) -> tuple[DerivedStore, Labels]:
    """Three digits as RGB and the labels (N,): 100 * red's digit + 10 * green's + blue's."""
    _, height, width = mnist.shape
    count = STACKED_COUNTS[mnist.split]

    def needs(indices: NDArray[np.int64]) -> NDArray[np.int64]:
        return (random_bits(seed, indices, 3) % np.uint64(len(mnist))).astype(np.int64).ravel()

    def make(indices: NDArray[np.int64], three: Pixels) -> Pixels:
        return three.reshape(len(indices), 3, height, width)

    labels = digits[needs(np.arange(count))].reshape(count, 3) @ np.array([100, 10, 1])
    return DerivedStore(mnist.store, (count, 3, height, width), needs, make), labels
