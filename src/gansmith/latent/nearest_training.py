"""The training images nearest to a sample, by pixels and by an encoder's features: does the generator copy?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gansmith import markup
from gansmith.errors import NEIGHBOURS, UserError
from gansmith.evaluation import pixels
from gansmith.evaluation.pixels import Stored
from gansmith.generator import Generator
from gansmith.latent import vectors
from gansmith.latent.shown import Shown
from gansmith.latent.vectors import Images, Labels, Points, Vectors
from gansmith.metrics import prdc
from gansmith.progress import Progress

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Close:
    """Each sample's nearest training images in one space, nearest first."""

    indices: Labels
    """(N, K)."""
    distances: Matrix
    """(N, K). Of pixels: root mean square, in grey levels; of features: Euclidean."""
    usual: Matrix
    """(N,): from the nearest training image to its own nearest other one. A copy is far nearer than this."""


@dataclass(frozen=True, eq=False, repr=False)
class Neighbours(Shown):
    """Samples beside the training images nearest to them."""

    images: Images
    """(N, C, S, S): the samples."""
    vectors: Vectors
    pixels: Close
    features: Close | None
    """None without an encoder."""

    def _repr_html_(self) -> str:
        """The nearest training image of each sample, and how near it is beside what is usual."""
        near = self.pixels
        rows = [
            (name, int(where[0]), f"{distance[0]:.1f}", f"{usual:.1f}", "")
            for name, where, distance, usual in zip(
                self.vectors.names, near.indices, near.distances, near.usual, strict=True
            )
        ]
        head = ("sample", "nearest training image", "distance in grey levels", "from that to its nearest", "")
        return markup.block(markup.picture(self._repr_png_(), alt=repr(self)), markup.table(head, rows))


def neighbours(
    generator: Generator,
    points: Points,
    real: Stored,
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
        progress: called with how many training images are compared.

    Raises UserError in one line: images of another shape, an absurd count, or points as they are refused.
    """
    own = (generator.recipe.channels, generator.recipe.size, generator.recipe.size)
    if real.shape != own:
        raise UserError(f"the data's images are {real.shape}, the generator's {own}: they cannot be compared")
    NEIGHBOURS._replace(high=min(NEIGHBOURS.high, len(real) - 1)).check("count", count)
    given = vectors.points(generator, points, seed=seed)
    made = vectors.images(generator, given)
    by_pixels = _by_pixels(made, real, count, progress)
    by_features = None
    if encode is not None and features is not None:
        by_features = _by_features(np.asarray(encode(made), np.float64), features, count)
    return Neighbours(made, given, by_pixels, by_features)


def _by_pixels(made: Images, real: Stored, count: int, progress: Progress | None) -> Close:
    found = pixels.nearest(made, real, k=count, progress=progress)
    first = found.indices[:, 0]
    usual = pixels.nearest(real.take(first), real, k=1, own=first, progress=progress)
    values = made[0].size
    return Close(found.indices, np.sqrt(found.squares / values), np.sqrt(usual.squares[:, 0] / values))


def _by_features(made: Matrix, features: Matrix, count: int) -> Close:
    found = prdc.nearest(made, features, k=count)
    first = found.indices[:, 0]
    usual = prdc.nearest(features[first], features, k=2)  # itself, or a copy of it, is one of the two
    itself = usual.indices == first[:, None]
    other = np.where(itself[:, 0], usual.squares[:, 1], usual.squares[:, 0])
    return Close(found.indices, np.sqrt(found.squares), np.sqrt(other))
