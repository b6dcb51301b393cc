"""The gallery: generated images beside the training images nearest to them."""

import numpy as np
from numpy.typing import NDArray

from gansmith import render
from gansmith.data import Dataset
from gansmith.evaluation import reference
from gansmith.evaluation.inputs import Images, Made

ROWS = 8
NEIGHBOURS = 7


def draw(
    given: Made | Images, closest: NDArray[np.int64] | None, train: Dataset, count: int, seed: int
) -> render.Image:
    """Rows: a generated image, outlined, and the training images nearest to it in pixels; half of them the nearest
    to the training set, the others the first ones.

    Args:
        given: what was evaluated.
        closest: which generated images have the features nearest to training images; None where that is not known.
        train: the training images.
        count: how many images were measured with a seed.
        seed: the first latent seed.
    """
    first = np.arange(min(ROWS, count))
    chosen = first
    if closest is not None and len(first) == ROWS:
        half = ROWS // 2
        chosen = np.concatenate([closest[:half], first[:half]])
    if isinstance(given, Made):
        images = given.pick(chosen, seed)
    else:
        images = given.images[np.sort(np.random.default_rng(seed).permutation(len(given.images))[:count])][chosen]
    near = nearest_in_pixels(images, train, k=min(NEIGHBOURS, len(train)))
    rows = [np.concatenate([image[None], train.take(indices)]) for image, indices in zip(images, near, strict=True)]
    width = len(rows[0])
    marked = range(0, width * len(rows), width)
    picture = render.sheet(np.concatenate(rows), columns=width, marked=marked)
    return render.caption(picture, "red: generated; beside it the training images nearest in pixels")


def nearest_in_pixels(images: np.ndarray, train: Dataset, *, k: int) -> np.ndarray:
    """The k training images with the least squared difference of pixels, nearest first: int64 (n, k)."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    distances = np.empty((len(images), len(train)), np.float32)
    for start in range(0, len(train), reference.BLOCK):
        indices = np.arange(start, min(start + reference.BLOCK, len(train)))
        block = train.take(indices).reshape(len(indices), -1).astype(np.float32)
        distances[:, indices] = np.square(block).sum(axis=1) - 2 * flat @ block.T
    return np.argsort(distances, axis=1, kind="stable")[:, :k]
