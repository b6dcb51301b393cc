"""The gallery: generated images beside the training images nearest to them."""

import numpy as np
from numpy.typing import NDArray

from gansmith import render
from gansmith.data import Dataset
from gansmith.evaluation import pixels
from gansmith.evaluation.inputs import Generated

ROWS = 8
NEIGHBOURS = 7


def draw(given: Generated, closest: NDArray[np.int64] | None, train: Dataset, count: int, seed: int) -> render.Image:
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
    images = given.pick(chosen, count, seed)
    near = pixels.nearest(images, train, k=min(NEIGHBOURS, len(train))).indices
    rows = [np.concatenate([image[None], train.take(indices)]) for image, indices in zip(images, near, strict=True)]
    width = len(rows[0])
    marked = range(0, width * len(rows), width)
    picture = render.sheet(np.concatenate(rows), columns=width, marked=marked)
    return render.caption(picture, "red: generated; beside it the training images nearest in pixels")
