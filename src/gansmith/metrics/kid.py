"""The kernel distance (KID): unbiased at any number of samples, so also for small sets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gansmith.metrics.validate import Array, checked, same_width

METRIC = "KID"
SIZE = 1000


@dataclass(frozen=True)
class Kid:
    """A kernel distance.

    Attributes:
        value: mean over the subsets; 0 for equal distributions, slightly negative values are valid.
        spread: standard deviation over the subsets. No standard error: it does not shrink with more subsets, and
            subsets overlap.
        subsets: how many.
        size: samples of each side in one.
    """

    value: float
    spread: float
    subsets: int
    size: int


def kid(real: ArrayLike, generated: ArrayLike, *, subsets: int = 100, size: int | None = None, seed: int = 0) -> Kid:
    """The squared maximum mean discrepancy, unbiased, with the kernel (x·y/D + 1)³ (Binkowski et al. 2018).

    Args:
        real: features (N, D).
        generated: features (M, D).
        subsets: how many random subsets the mean is over.
        size: samples drawn from each side for one, without replacement; by default 1,000, or half of the smaller
            side where that is less (2 at least). Name it beside the value.
        seed: of the draws.

    Raises:
        ValueError: fewer than `size` samples on a side, a size under 2, no subsets, NaN or infinity, different widths.
    """
    if subsets < 1 or (size is not None and size < 2):
        raise ValueError(f"{METRIC} needs 1 subset or more of 2 samples or more, got {subsets} of {size}")
    x = checked(real, METRIC, "real", at_least=size or 2, otherwise="ask for smaller subsets")
    y = checked(generated, METRIC, "generated", at_least=size or 2, otherwise="ask for smaller subsets")
    same_width(METRIC, x, y)
    size = size or min(SIZE, max(2, min(len(x), len(y)) // 2))
    x, y = _augmented(x), _augmented(y)
    random = np.random.default_rng(seed)
    values = [
        _mmd2(x[random.choice(len(x), size, replace=False)], y[random.choice(len(y), size, replace=False)])
        for _ in range(subsets)
    ]
    return Kid(float(np.mean(values)), float(np.std(values)), subsets, size)


def _augmented(features: Array) -> Array:
    """Features whose plain products are x·y/D + 1."""
    count, width = features.shape
    wide = np.ones((count, width + 1))
    np.divide(features, np.sqrt(width), out=wide[:, :-1])
    return wide


def _mmd2(x: Array, y: Array) -> float:
    """The U-statistic of equally many samples: the mean kernel within each side, without the diagonal, less twice
    that between the sides (Gretton et al. 2012, eq. 3).
    """
    count = len(x)
    within = _cubes(x, x) + _cubes(y, y) - sum(float((np.square(side).sum(axis=1) ** 3).sum()) for side in (x, y))
    return within / (count * (count - 1)) - 2 * _cubes(x, y) / count**2


def _cubes(x: Array, y: Array) -> float:
    """The sum of (x_i · y_j)³ over all pairs."""
    products = x @ y.T
    return float(np.vdot(products * products, products))
