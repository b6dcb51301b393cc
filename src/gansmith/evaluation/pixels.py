"""The training images nearest to given ones in pixels, exactly."""

import heapq
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gansmith.metrics.prdc import Nearest
from gansmith.metrics.validate import Labels
from gansmith.progress import Progress, Ticker

BLOCK = 1024
Images = NDArray[np.uint8]


class Stored(Protocol):
    """Images by index, such as a :class:`gansmith.data.Dataset`."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        ...

    def __len__(self) -> int: ...

    def take(self, indices: Labels) -> Images:
        """The images at ``indices``, uint8 (n, C, H, W)."""
        ...


def nearest(
    queries: Images, stored: Stored, *, k: int, own: Labels | None = None, progress: Progress | None = None
) -> Nearest:
    """The k stored images with the least squared difference of pixels, nearest first, the first of equals.

    Distances are sums of whole numbers below 2^53 and so exact. A block of the stored images is held at a time.

    Args:
        queries: uint8 (N, C, H, W).
        stored: the images to search.
        k: how many.
        own: (N,) the stored images that the queries are, never their own neighbours.
        progress: called with how many stored images are compared.
    """
    flat = queries.reshape(len(queries), -1).astype(np.float64)
    lengths = (flat**2).sum(axis=1)[:, None]
    best: list[list[tuple[float, int]]] = [[] for _ in queries]
    tick = Ticker(progress, "comparing training images", len(stored))
    for start in range(0, len(stored), BLOCK):
        where = np.arange(start, min(start + BLOCK, len(stored)))
        block = stored.take(where).reshape(len(where), -1).astype(np.float64)
        apart = lengths - 2 * flat @ block.T + (block**2).sum(axis=1)
        if own is not None:
            apart[own[:, None] == where] = np.inf
        for row, (distances, found) in enumerate(zip(apart, best, strict=True)):
            near = np.argsort(distances, kind="stable")[:k]
            best[row] = heapq.nsmallest(k, [*found, *((float(distances[i]), int(where[i])) for i in near)])
        tick(int(where[-1]) + 1)
    return Nearest(
        np.array([[distance for distance, _ in row] for row in best]),
        np.array([[index for _, index in row] for row in best], np.int64),
    )
