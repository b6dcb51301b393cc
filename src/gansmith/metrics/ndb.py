"""NDB: bins of the training set whose share of generated samples differs more than chance allows."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from gansmith.metrics.classes import xlogx
from gansmith.metrics.validate import Array, Labels, checked, parts, same_width

METRIC = "NDB"
BINS = 100
ALPHA = 0.05
FITTED = 20_000
ROUNDS = 50


@dataclass(frozen=True, eq=False)
class Bins:
    """Voronoi cells of k-means centres.

    Attributes:
        centres: float64 (K, D).
        counts: float64 (K,), training samples in each.
    """

    centres: Array
    counts: Array

    @classmethod
    def of(cls, training: ArrayLike, *, bins: int = BINS, seed: int = 0) -> "Bins":
        """k-means of training features (N, D): k-means++ seeds, then Lloyd's steps (Arthur & Vassilvitskii 2007).

        Centres are fitted to 20,000 random samples at most, in 50 steps at most; all samples are counted. A centre
        that loses its last sample moves to the sample farthest from its centre. Raises ValueError for under 10
        samples a bin, fewer distinct samples than bins, NaN or infinity.
        """
        if bins < 2:
            raise ValueError(f"{METRIC} needs 2 bins or more, got {bins}")
        values = checked(
            training, METRIC, "training", at_least=10 * bins, otherwise=f"ask for fewer bins than {bins}, or use KID"
        )
        random = np.random.default_rng(seed)
        some = values
        if len(values) > FITTED:
            some = values[np.sort(random.choice(len(values), FITTED, replace=False))]
        centres = _kmeans(some, bins, random)
        return cls(centres, _counts(assigned(values, centres), bins))


@dataclass(frozen=True, eq=False)
class Ndb:
    """Number of statistically different bins.

    Attributes:
        different: bins whose shares differ by the two-sided two-proportion z-test.
        bins: how many there are.
        by_chance: how many would differ between equal distributions: alpha · bins, 5 of 100.
        jsd: Jensen-Shannon divergence of the two histograms in nats, 0 to ln 2; biased up by about bins / (8 N') with
            1/N' = 1/N + 1/M.
        z: float64 (K,), the test's statistic: positive where too many were generated.
    """

    different: int
    bins: int
    by_chance: float
    jsd: float
    z: Array

    @property
    def share(self) -> float:
        """different / bins, which Richardson & Weiss 2018 publish as NDB/K."""
        return self.different / self.bins


def ndb(training: Bins | ArrayLike, generated: ArrayLike, *, alpha: float = ALPHA, seed: int = 0) -> Ndb:
    """How many bins of the training set hold a different share of the generated samples (Richardson & Weiss 2018).

    Args:
        training: its :class:`Bins`, or features (N, D) to make them of with `seed`.
        generated: features (M, D).
        alpha: significance of each test, without correction for their number.
        seed: of the bins, where they are made here.

    Raises:
        ValueError: no generated samples, alpha outside 0 to 1, NaN, infinity, different widths; as of `Bins.of`.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"{METRIC}: alpha lies between 0 and 1, got {alpha}")
    bins = training if isinstance(training, Bins) else Bins.of(training, seed=seed)
    values = checked(generated, METRIC, "generated")
    same_width(METRIC, bins.centres, values)
    own = _counts(assigned(values, bins.centres), len(bins.centres))
    n, m = bins.counts.sum(), own.sum()
    p, q = bins.counts / n, own / m
    pooled = (bins.counts + own) / (n + m)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    z = np.divide(q - p, error, out=np.zeros_like(p), where=error > 0)
    different = int((np.abs(z) > NormalDist().inv_cdf(1 - alpha / 2)).sum())
    return Ndb(different, len(z), alpha * len(z), jensen_shannon(p, q), z)


def jensen_shannon(p: Array, q: Array) -> float:
    """The Jensen-Shannon divergence of two histograms of shares, in nats: 0 to ln 2."""
    return min(math.log(2), max(0.0, (xlogx(p) + xlogx(q)) / 2 - xlogx((p + q) / 2)))


def assigned(features: Array, centres: Array) -> Labels:
    """The nearest centre of each sample: int64 (N,)."""
    norms = np.square(centres).sum(axis=1)
    result = np.empty(len(features), np.int64)
    for part in parts(len(features)):
        result[part] = (norms - 2 * (features[part] @ centres.T)).argmin(axis=1)
    return result


def _counts(labels: Labels, bins: int) -> Array:
    counts: Array = np.bincount(labels, minlength=bins).astype(np.float64)
    return counts


def _kmeans(values: Array, bins: int, random: np.random.Generator) -> Array:
    """k-means centres (bins, D), computed about the mean so that a common offset costs no digits."""
    middle = values.mean(axis=0)
    values = values - middle
    centres = _plus_plus(values, bins, random)
    labels = np.full(len(values), -1)
    for _ in range(ROUNDS):
        moved = assigned(values, centres)
        if (moved == labels).all():
            break
        labels = moved
        sizes = _counts(labels, bins)
        chosen = np.zeros((bins, len(values)))
        chosen[labels, np.arange(len(values))] = 1
        centres = chosen @ values / np.maximum(sizes, 1)[:, None]
        for empty in np.flatnonzero(sizes == 0):
            distances = np.square(values - centres[labels]).sum(axis=1)
            centres[empty] = values[distances.argmax()]
            labels[distances.argmax()] = empty
    moved_back: Array = centres + middle
    return moved_back


def _plus_plus(values: Array, bins: int, random: np.random.Generator) -> Array:
    """Samples to begin with, each drawn in proportion to its squared distance from those before it."""
    centres = [values[random.integers(len(values))]]
    norms = np.square(values).sum(axis=1)
    closest = np.full(len(values), np.inf)
    for _ in range(bins - 1):
        last = centres[-1]
        closest = np.minimum(closest, np.clip(norms - 2 * (values @ last) + last @ last, 0, None))
        total = closest.sum()
        if not total > 0:
            raise ValueError(f"{METRIC}: the training features have only {len(centres)} distinct values: fewer bins")
        centres.append(values[random.choice(len(values), p=closest / total)])
    return np.stack(centres)
