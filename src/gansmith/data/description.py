"""What an image looks like in some hundred numbers: its pixels, and which way edges run in each small part of it.

In pixels alone a 4 may be nearer to a 9 than to another 4. Edges, summed over cells as in histograms of oriented
gradients (Dalal & Triggs 2005), tell them apart.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gansmith.data.dataset import Dataset

Rows = NDArray[np.float32]

MOST_PIXELS = 1024
"""Larger images are shrunk by a whole factor."""
CELL = 4
"""Pixels, along each side, over which edges are summed."""
CHUNK = 512


def describe(dataset: Dataset, indices: NDArray[np.int64]) -> Iterator[Rows]:
    """Chunks (n, P) of images: pixels in [0, 1], then the edges of each cell, a vector of length 1 before its root."""
    channels, side, _ = dataset.shape
    factor = _factor(dataset.shape)
    small = side // factor
    for start in range(0, len(indices), CHUNK):
        images = dataset.take(indices[start : start + CHUNK])[:, :, : small * factor, : small * factor]
        blocks = images.reshape(len(images), channels, small, factor, small, factor)
        pixels = blocks.mean(axis=(3, 5), dtype=np.float32) / np.float32(255)
        yield np.concatenate([pixels.reshape(len(images), -1), edges(pixels)], axis=1)


def pixels_of(shape: tuple[int, int, int]) -> int:
    """How many numbers of a description are pixels."""
    channels, side, _ = shape
    return channels * (side // _factor(shape)) ** 2


def _factor(shape: tuple[int, int, int]) -> int:
    """How many times an image is shrunk along each side."""
    channels, side, _ = shape
    return next(factor for factor in range(1, side + 1) if channels * (side // factor) ** 2 <= MOST_PIXELS)


def edges(images: Rows) -> Rows:
    """(n, C, S, S) -> (n, 4 K): how much edge runs upright, flat and along each diagonal in each of K cells.

    The gradient (x, y) of a pixel, its angle doubled so that dark to light counts as light to dark, is
    (x^2 - y^2, 2 x y) / |(x, y)|; its four half-axes are summed over cells and channels.
    """
    across, down = np.zeros_like(images), np.zeros_like(images)
    across[..., 1:-1] = images[..., 2:] - images[..., :-2]
    down[..., 1:-1, :] = images[..., 2:, :] - images[..., :-2, :]
    strength = np.sqrt(across * across + down * down) + np.float32(1e-6)
    straight = np.asarray((across * across - down * down) / strength, np.float32)
    slanted = np.asarray(2 * across * down / strength, np.float32)
    cells = images.shape[-1] // CELL
    fitting = cells * CELL

    def summed(values: Rows) -> Rows:
        blocks = np.maximum(values, 0)[..., :fitting, :fitting].reshape(*images.shape[:2], cells, CELL, cells, CELL)
        result: Rows = blocks.sum(axis=(1, 3, 5)).reshape(len(images), -1)
        return result

    found = np.concatenate([summed(straight), summed(-straight), summed(slanted), summed(-slanted)], axis=1)
    length = np.linalg.norm(found, axis=1, keepdims=True) + np.float32(1e-6)
    return np.asarray(np.sqrt(found / length), np.float32)
