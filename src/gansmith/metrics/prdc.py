"""Precision, recall, density and coverage: how generated and real samples lie among each other's nearest neighbours.

Exact at the speed of single precision. All pairs are screened with float32 products of centred, scaled features, whose
error has a proven bound; what the bound leaves open (the last of the nearest, pairs almost at a radius) is measured
again in float64 as ∑(x−y)², which has no cancellation and gives x, y and y, x, or copies of them, the same bits. So
d <= r also holds where it should be an equality. Memory is a block of the distances, never all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from gansmith.metrics.validate import Array, Labels, checked, parts, same_width
from gansmith.nn import shares

Screened = NDArray[np.floating[Any]]

BLOCK = 2**21
"""Distances held at a time: 8 MB of float32, 16 MB of float64."""
SPARE = 4
"""How many more candidates than neighbours are measured in float64."""
UNSURE = 0.02
"""The largest error of screening, in typical squared radii: above it, pairs are screened in float64."""
RECALL_K = 3
DENSITY_K = 5


@dataclass(frozen=True, eq=False)
class Cloud:
    """Samples with the distances to their nearest neighbours among themselves: measured once, used by every metric.

    Attributes:
        features: float64 (N, D).
        squares: float64 (N, K): squared distances to the K nearest others, rising.
    """

    features: Array
    squares: Array

    @classmethod
    def of(cls, features: ArrayLike, *, k: int = DENSITY_K, who: str = "real") -> "Cloud":
        """Of features (N, D) for neighbours up to the k-th. Raises ValueError for k < 1, N <= k, NaN or infinity."""
        if k < 1:
            raise ValueError(f"the k-th neighbour needs k of 1 or more, got {k}")
        metric = f"the {k}-th nearest neighbour"
        values = checked(features, metric, who, at_least=k + 1, otherwise="ask for a smaller k, or use KID")
        return cls(values, nearest(values, values, k=k, among_themselves=True).squares)

    def radii2(self, k: int) -> Array:
        """Squared distances (N,) to the k-th neighbours. Raises ValueError where so many were not measured."""
        if not 1 <= k <= self.squares.shape[1]:
            raise ValueError(f"neighbours 1 to {self.squares.shape[1]} were measured, not the {k}-th")
        return self.squares[:, k - 1]


@dataclass(frozen=True)
class Support:
    """How two sets of samples cover each other.

    Attributes:
        precision: share of generated samples inside the real manifold, in [0, 1]: fidelity.
        recall: share of real samples inside the generated manifold, in [0, 1]: diversity.
        density: how many real balls a generated sample lies in, over k: about 1 for equal distributions, may exceed 1.
        coverage: share of real balls that hold a generated sample, in [0, 1]; see :func:`expected_coverage`.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def support(
    real: Cloud | ArrayLike, generated: Cloud | ArrayLike, *, recall_k: int = RECALL_K, density_k: int = DENSITY_K
) -> Support:
    """All four in one pass over the pairs, which costs little more than one of them.

    The ball of a sample reaches to its k-th nearest neighbour in its own set, itself not counted; a point on the
    boundary is inside (<=, as Kynkäänniemi et al. 2019, eq. 1; Naeem et al. 2020 publish <, which differs only where
    a distance equals a radius, as it does for copies).

    Args:
        real: features (N, D), or their :class:`Cloud` to use the radii again.
        generated: the same of (M, D).
        recall_k: k of precision and recall.
        density_k: k of density and coverage.

    Raises:
        ValueError: no more samples than k, all samples of a side in one point, NaN, infinity, different widths.
    """
    k = max(recall_k, density_k)
    a = real if isinstance(real, Cloud) else Cloud.of(real, k=k)
    b = generated if isinstance(generated, Cloud) else Cloud.of(generated, k=k, who="generated")
    same_width("precision and recall", a.features, b.features)
    if not np.ptp(a.features, axis=0).any():
        raise ValueError(
            "precision, recall, density and coverage: all real samples have the same features, so no neighbourhood "
            "has a size: check the images and their encoder"
        )
    return _Tally(a, b, recall_k, density_k).support()


def expected_coverage(real: int, generated: int, *, k: int = DENSITY_K) -> float:
    """The coverage of a perfect sampler: 1 − ∏ (N−i)/(N+M−i), i = 1..k, with N real and M generated samples.

    Around a real sample, the other N − 1 real ones and M generated ones are in random order of distance; its ball is
    missed when the first k are all real (Naeem et al. 2020, lemma 1). 0.96877 for 10,000 of each and k = 5.
    """
    if not 1 <= k < real or generated < 1:
        raise ValueError(f"coverage needs 1 <= k < real and a generated sample, got k={k}, {real} and {generated}")
    missed = 1.0
    for i in range(1, k + 1):
        missed *= (real - i) / (real + generated - i)
    return 1 - missed


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest points of each query, nearest first.

    Attributes:
        squares: float64 (N, k), squared Euclidean distances.
        indices: int64 (N, k), which points; equal distances in order of index, where among the candidates.
    """

    squares: Array
    indices: Labels


def nearest(queries: Array, points: Array, *, k: int = 1, among_themselves: bool = False) -> Nearest:
    """The k nearest points of each query, exact to float64.

    Args:
        queries: (N, D), checked features.
        points: (M, D), checked features.
        k: how many.
        among_themselves: queries are points; a sample is not its own neighbour.

    Raises:
        ValueError: not so many points.
    """
    others = len(points) - among_themselves
    if not 1 <= k <= others:
        raise ValueError(f"{k} nearest neighbours need as many other samples, got {others}")
    own = np.arange(len(queries)) if among_themselves else None
    if shares.held() is not None:
        return _nearest_together(queries, points, own, k)
    return _nearest(queries, points, own, k)


def _nearest_together(queries: Array, points: Array, own: Labels | None, k: int) -> Nearest:
    """As :func:`nearest`, of which each process looks at some queries."""
    found = Nearest(np.empty((len(queries), k)), np.empty((len(queries), k), np.int64))
    some = shares.starts(len(queries), 1)
    if len(some):
        rows = slice(some.start, some.stop)
        part = _nearest(queries[rows], points, None if own is None else own[rows], k)
        found.squares[rows], found.indices[rows] = part.squares, part.indices
    shares.complete([found.squares, found.indices], 1)
    return found


def _nearest(queries: Array, points: Array, own: Labels | None, k: int) -> Nearest:
    found, certain = _screened(queries, points, own, k, np.float32)
    rows = np.flatnonzero(~certain)  # ties and near copies
    if len(rows):
        again, _ = _screened(queries[rows], points, None if own is None else own[rows], k, np.float64)
        found.squares[rows], found.indices[rows] = again.squares, again.indices
    return found


def _screened(
    queries: Array, points: Array, own: Labels | None, k: int, dtype: type[np.float32] | type[np.float64]
) -> tuple[Nearest, NDArray[np.bool_]]:
    """The k nearest, chosen exactly among the few that screening in a precision finds; where that proves them right.

    `own` are the points that the queries are, never their own neighbours.
    """
    pairs = _Pairs(queries, points, dtype)
    wanted = min(k + SPARE, len(points) - (own is not None))
    found = Nearest(np.empty((len(queries), k)), np.empty((len(queries), k), np.int64))
    certain = np.ones(len(queries), bool)
    for rows, distances in pairs.blocks():
        if own is not None:
            distances[np.arange(len(distances)), own[rows]] = np.inf
        lowest, columns = torch.from_numpy(distances).topk(wanted, dim=1, largest=False)
        candidates = np.sort(columns.numpy(), axis=1)
        row = np.repeat(np.arange(rows.start, rows.stop), wanted)
        exact = squared(queries, points, row, candidates.ravel()).reshape(candidates.shape)
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        found.squares[rows] = np.take_along_axis(exact, order, axis=1)
        found.indices[rows] = np.take_along_axis(candidates, order, axis=1)
        if wanted < len(points) - (own is not None):
            # Whatever is no candidate was screened at lowest[-1] or beyond.
            certain[rows] = found.squares[rows, -1] * pairs.scale < lowest[:, -1].numpy() - pairs.error
    return found, certain


def squared(a: Array, b: Array, rows: Labels, columns: Labels) -> Array:
    """∑(a[row] − b[column])² of pairs, float64 (n,); symmetric to the bit."""
    result = np.empty(len(rows))
    for part in parts(len(rows)):
        difference = a[rows[part]] - b[columns[part]]
        np.square(difference, out=difference)
        result[part] = difference.sum(axis=1)
    return result


class _Pairs:
    """Squared distances of all pairs, approximately, block by block.

    Features are centred on the points' mean and scaled to norms of 1 at most; one product of widened features
    [−2x, ‖x‖², 1] · [y, 1, ‖y‖²] gives the distances. Rounding the D + 2 factors and summing as many terms in float32
    errs by (D + 6) u (‖x‖ + ‖y‖)² at most (Higham 2002, section 3.1), where the last factor is 4 or less here and
    the unit roundoff u is 2⁻²⁴, or 2⁻⁵³ in float64.

    Attributes:
        scale: from squared distances of the features to screened ones.
        error: bound on that of a screened distance.
    """

    def __init__(self, queries: Array, points: Array, dtype: type[np.float32] | type[np.float64]) -> None:
        centre = points.mean(axis=0)
        largest = max(self._norms2(queries, centre).max(), self._norms2(points, centre).max())
        self.scale = 1 / float(largest) if largest > 0 else 1.0
        self.error = 4 * (queries.shape[1] + 6) * float(np.finfo(dtype).eps) / 2
        self._dtype = dtype
        self._left = self._widened(queries, centre, first=True)
        self._right = self._widened(points, centre, first=False)

    @staticmethod
    def _norms2(features: Array, centre: Array) -> Array:
        return np.concatenate([np.square(features[part] - centre).sum(axis=1) for part in parts(len(features))])

    def _widened(self, features: Array, centre: Array, *, first: bool) -> Screened:
        count, width = features.shape
        wide = np.ones((count, width + 2), self._dtype)
        for part in parts(count):
            scaled = (features[part] - centre) * np.sqrt(self.scale)
            wide[part, :width] = -2 * scaled if first else scaled
            wide[part, width if first else width + 1] = np.square(scaled).sum(axis=1)
        return wide

    def blocks(self) -> Iterator[tuple[slice, Screened]]:
        """Slices of the queries with their screened distances (n, M); the block may be written on."""
        height = max(1, BLOCK // len(self._right))
        buffer = np.empty((min(height, len(self._left)), len(self._right)), self._dtype)
        for rows in parts(len(self._left), height):
            block = buffer[: rows.stop - rows.start]
            np.matmul(self._left[rows], self._right.T, out=block)
            yield rows, block


class _Tally:
    """One pass over the pairs of generated (rows) and real (columns) samples."""

    def __init__(self, real: Cloud, generated: Cloud, recall_k: int, density_k: int) -> None:
        self.real, self.generated = real, generated
        self.recall_k, self.density_k = recall_k, density_k
        self.near = real.radii2(recall_k)
        self.wide = real.radii2(density_k)
        self.reach = generated.radii2(recall_k)
        self.pairs = _Pairs(generated.features, real.features, np.float32)
        typical = min(float(np.median(limits)) for limits in (self.near, self.wide, self.reach))
        if self.pairs.error > UNSURE * typical * self.pairs.scale:  # outliers: float32 would leave too many pairs open
            self.pairs = _Pairs(generated.features, real.features, np.float64)

    def support(self) -> Support:
        """Counts and divides."""
        n, m = len(self.real.features), len(self.generated.features)
        precise, recalled, covered, inside = 0, np.zeros(n, bool), np.zeros(n, bool), 0
        for rows, distances in self.pairs.blocks():
            wide = self._within(rows, distances, self.wide[None])
            near = wide if self.recall_k == self.density_k else self._within(rows, distances, self.near[None])
            reached = self._within(rows, distances, self.reach[rows, None])
            precise += int(near.any(axis=1).sum())
            inside += int(np.count_nonzero(wide))
            covered |= wide.any(axis=0)
            recalled |= reached.any(axis=0)
        return Support(precise / m, float(recalled.mean()), inside / (self.density_k * m), float(covered.mean()))

    def _within(self, rows: slice, distances: Screened, limits: Array) -> NDArray[np.bool_]:
        """Where d² <= limit, for limits (1, N) of the columns or (n, 1) of the rows."""
        scaled = limits * self.pairs.scale
        inside: NDArray[np.bool_] = distances <= (scaled + self.pairs.error).astype(distances.dtype)
        certain = distances < (scaled - self.pairs.error).astype(distances.dtype)
        if np.count_nonzero(inside) != np.count_nonzero(certain):
            row, column = np.nonzero(inside & ~certain)
            exact = squared(self.generated.features, self.real.features, row + rows.start, column)
            inside[row, column] = exact <= np.broadcast_to(limits, inside.shape)[row, column]
        return inside
