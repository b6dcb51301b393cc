"""Membership inference: how well records that a model was trained on can be told from records that it was not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gansmith.metrics.confidence import Interval, bootstrap, of_share
from gansmith.metrics.prdc import nearest
from gansmith.metrics.validate import Array, checked, parts, same_width

METRIC = "membership inference"
RATES = (0.01, 0.001)
"""False positives that an attacker is allowed: of those who are accused wrongly, the share."""
AXES = 16
"""Dimensions at most in which densities are estimated."""


@dataclass(frozen=True)
class Told:
    """How well scores tell members from others.

    Attributes:
        auc: the chance that a member scores above another record, ties counted half; 0.5 is guessing, with its 95 %
            interval over records, the release being what it is.
        caught: for each of :data:`RATES`, the share of members above a threshold that no larger share of others is
            above (TPR at FPR), with its interval; None where there are too few others for one of them to be that share.
        count: records on each side.
    """

    auc: Interval
    caught: tuple[Interval | None, ...]
    count: int


def told(
    members: ArrayLike, others: ArrayLike, *, rates: Sequence[float] = RATES, seed: int = 0, looks: int = 1
) -> Told:
    """What an attacker gains who takes the records that score highest for members.

    The share caught at a low rate of false accusations is what counts: an attack may find a few records surely and
    know nothing of the rest, which an average hides (Carlini et al. 2022, "Membership inference attacks from first
    principles"). Intervals are the wider of the bootstrap over records, both sides drawn anew, and Wilson's.

    Args:
        members: scores (N,) of records that were trained on.
        others: scores (N,) of as many that were not, from the same source.
        rates: of false positives.
        seed: of the bootstrap.
        looks: figures that are looked at together; the intervals of all of them hold at once in 95 % of cases.

    Raises:
        ValueError: different counts, fewer than 8, NaN or infinity.
    """
    inside, outside = np.asarray(members, np.float64), np.asarray(others, np.float64)
    if inside.ndim != 1 or inside.shape != outside.shape or len(inside) < 8:
        raise ValueError(f"{METRIC}: give 8 or more scores of each, equally many, not {inside.shape}, {outside.shape}")
    if not (np.isfinite(inside).all() and np.isfinite(outside).all()):
        raise ValueError(f"{METRIC}: scores are NaN or infinite")
    count = len(inside)

    def caught(rate: float) -> Interval | None:
        if rate * count < 1:
            return None
        drawn = bootstrap(lambda a, b: share_above(a, b, rate), inside, outside, seed=seed)
        drawn = drawn.among(looks)
        wilson = of_share(round(drawn.value * count), count, level=drawn.level)
        return Interval(drawn.value, min(max(drawn.low, 0.0), wilson.low), max(min(drawn.high, 1.0), wilson.high))

    return Told(bootstrap(auc, inside, outside, seed=seed).among(looks), tuple(map(caught, rates)), count)


def auc(members: Array, others: Array) -> float:
    """The area under the curve of true against false positives: Mann and Whitney's U, divided by N times M."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, members, "left") + np.searchsorted(ordered, members, "right")
    return float(below.mean() / (2 * len(others)))


def share_above(members: Array, others: Array, rate: float) -> float:
    """The share of members above the lowest threshold that at most ``rate`` of the others are above."""
    threshold = np.sort(others)[::-1][math.floor(rate * len(others))]
    return float((members > threshold).mean())


def distance_ratio(records: ArrayLike, published: ArrayLike, reference: ArrayLike) -> Array:
    """Scores (N,): how much nearer a record lies to a release than to other images of its kind.

    The logarithm of the distance to the nearest of the reference over that to the nearest published image. The distance
    alone says how common a record is; set against a reference it is the calibrated attack of Chen et al. 2020
    ("GAN-Leaks", section 4.4), here as a ratio.

    Args:
        records: (N, D).
        published: (M, D), what was released.
        reference: (R, D), real records that were not trained on and are none of ``records``.

    Raises:
        ValueError: no rows, NaN, infinity, different widths.
    """
    rows, release, others = _checked(records, published, reference)
    near, far = (nearest(rows, side).squares[:, 0] for side in (release, others))
    least = 1e-12 * max(float(np.median(far)), 1e-300)  # a copy's score is large, and finite
    ratio: Array = (np.log(far + least) - np.log(near + least)) / 2
    return ratio


def density_ratio(records: ArrayLike, published: ArrayLike, reference: ArrayLike) -> Array:
    """Scores (N,): the logarithm of the density of a release at a record over that of other images of its kind.

    DOMIAS (van Breugel et al. 2023, equation 2): a generator that overfits is denser at what it was trained on than the
    population is. Densities are Gaussian kernels, of Scott's width, on the main axes of reference and release together,
    each scaled to one. Arguments and errors are those of :func:`distance_ratio`.
    """
    rows, release, others = _checked(records, published, reference)
    both = np.concatenate([release, others])
    middle = both.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(both - middle, rowvar=False).reshape(both.shape[1], -1))
    kept = np.argsort(values)[::-1][:AXES]
    kept = kept[values[kept] > 1e-9 * max(float(values.max()), 1e-300)]
    if not len(kept):
        return np.zeros(len(rows))
    axes = vectors[:, kept] / np.sqrt(values[kept])
    points, release, others = ((side - middle) @ axes for side in (rows, release, others))
    density: Array = _log_density(points, release) - _log_density(points, others)
    return density


def _log_density(points: Array, centres: Array) -> Array:
    """Of Gaussian kernels about the centres, (N,); the shared constant is left out where only ratios count."""
    count, dimensions = centres.shape
    width = count ** (-1 / (dimensions + 4))
    found = np.empty(len(points))
    lengths = (centres**2).sum(axis=1)
    for block in parts(len(points), 512):
        some = points[block]
        squares = np.maximum((some**2).sum(axis=1)[:, None] + lengths - 2 * some @ centres.T, 0.0)
        powers = -squares / (2 * width**2)
        most = powers.max(axis=1, keepdims=True)
        found[block] = np.log(np.exp(powers - most).sum(axis=1)) + most[:, 0]
    found -= math.log(count) + dimensions * math.log(width)
    return found


def _checked(records: ArrayLike, published: ArrayLike, reference: ArrayLike) -> tuple[Array, Array, Array]:
    rows, release, others = (
        checked(side, METRIC, who)
        for side, who in ((records, "record"), (published, "published"), (reference, "reference"))
    )
    same_width(METRIC, rows, release)
    same_width(METRIC, rows, others)
    return rows, release, others
