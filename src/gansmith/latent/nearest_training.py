"""The training images nearest to a sample, by pixels and by an encoder's features: does the generator copy?"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import UserError
from gansmith.generator import Generator
from gansmith.latent import vectors
from gansmith.latent.vectors import Images, Labels, Points, Vectors
from gansmith.metrics import prdc as pairs
from gansmith.progress import Progress, Ticker

BLOCK = 1024
MAX_COUNT = 50

Matrix = NDArray[np.float64]


class Real(Protocol):
    """Training images by index, such as a :class:`gansmith.data.Dataset`."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        ...

    def __len__(self) -> int: ...

    def take(self, indices: NDArray[np.int64]) -> Images:
        """The images at ``indices``, uint8 (n, C, H, W)."""
        ...


@dataclass(frozen=True, eq=False)
class Close:
    """Each sample's nearest training images in one space, nearest first."""

    indices: Labels
    """(N, K)."""
    distances: Matrix
    """(N, K). Of pixels: root mean square, in grey levels; of features: Euclidean."""
    usual: Matrix
    """(N,): from the nearest training image to the nearest other one: a copy is far nearer than this."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Samples beside the training images nearest to them."""

    images: Images
    """(N, C, S, S): the samples."""
    vectors: Vectors
    pixels: Close
    features: Close | None
    """None without an encoder."""


def neighbours(
    generator: Generator,
    points: Points,
    real: Real,
    *,
    count: int = 5,
    encode: Callable[[Images], Matrix] | None = None,
    features: Matrix | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Neighbours:
    """The ``count`` training images nearest to each point's image.

    Args:
        generator: makes the images.
        points: which, as :func:`gansmith.latent.points` takes them.
        real: the training images.
        count: how many neighbours.
        encode: an encoder, images -> features (N, D).
        features: its features of all of ``real``, in order.
        seed: that image numbers belong to.
        progress: told how many training images are compared.

    Raises UserError in one line: images of another shape, an absurd count, or points as they are refused.
    """
    own = (generator.recipe.channels, generator.recipe.size, generator.recipe.size)
    if real.shape != own:
        raise UserError(f"the data's images are {real.shape}, the generator's {own}: they cannot be compared")
    check(count, len(real))
    given = vectors.points(generator, points, seed=seed)
    made = vectors.images(generator, given)
    by_pixels = _by_pixels(made, real, count, progress)
    by_features = None
    if encode is not None and features is not None:
        by_features = _by_features(np.asarray(encode(made), np.float64), features, count)
    return Neighbours(made, given, by_pixels, by_features)


def check(count: int, images: int = MAX_COUNT + 1) -> None:
    """Raises UserError for a number of neighbours that makes no sense among so many ``images``."""
    if not 1 <= count <= min(MAX_COUNT, images - 1):
        raise UserError(f"`count` {count}: give 1 to {min(MAX_COUNT, images - 1)} neighbours")


def _by_pixels(made: Images, real: Real, count: int, progress: Progress | None) -> Close:
    squares, indices = _pixels(made, real, count, progress, None)
    first = indices[:, 0]
    usual, _ = _pixels(real.take(first), real, 1, progress, first)
    pixels = made[0].size
    return Close(indices, np.sqrt(squares / pixels), np.sqrt(usual[:, 0] / pixels))


def _by_features(made: Matrix, features: Matrix, count: int) -> Close:
    found = pairs.nearest(made, features, k=count)
    first = found.indices[:, 0]
    usual = pairs.nearest(features[first], features, k=2)  # itself, or a copy of it, is one of the two
    itself = usual.indices == first[:, None]
    other = np.where(itself[:, 0], usual.squares[:, 1], usual.squares[:, 0])
    return Close(found.indices, np.sqrt(found.squares), np.sqrt(other))


def _pixels(
    queries: Images, real: Real, count: int, progress: Progress | None, own: NDArray[np.int64] | None
) -> tuple[Matrix, Labels]:
    """Squared distances and indices (N, count), exact: sums of whole numbers below 2^53, a block at a time.

    ``own`` are the training images that the queries are, never their own neighbours.
    """
    flat = queries.reshape(len(queries), -1).astype(np.float64)
    lengths = (flat**2).sum(axis=1)[:, None]
    best: list[list[tuple[float, int]]] = [[] for _ in queries]
    tick = Ticker(progress, "comparing training images", len(real))
    for start in range(0, len(real), BLOCK):
        where = np.arange(start, min(start + BLOCK, len(real)))
        block = real.take(where).reshape(len(where), -1).astype(np.float64)
        apart = lengths - 2 * flat @ block.T + (block**2).sum(axis=1)
        if own is not None:
            apart[own[:, None] == where] = np.inf
        for row, (distances, kept) in enumerate(zip(apart, best, strict=True)):
            near = np.argsort(distances, kind="stable")[:count]
            best[row] = heapq.nsmallest(count, [*kept, *((float(distances[i]), int(where[i])) for i in near)])
        tick(int(where[-1]) + 1)
    return (
        np.array([[distance for distance, _ in row] for row in best]),
        np.array([[index for _, index in row] for row in best], np.int64),
    )
