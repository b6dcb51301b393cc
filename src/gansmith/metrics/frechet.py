"""The Frechet distance between Gaussians fitted to features, and its value for infinitely many samples."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from gansmith.metrics.validate import CHUNK, Array, checked, parts, same_width

METRIC = "Frechet distance"


@dataclass(frozen=True, eq=False)
class Gaussian:
    """The mean and covariance of features.

    Attributes:
        count: how many samples they are of; math.inf for a distribution that is known.
        mean: float64 (D,).
        covariance: float64 (D, D), unbiased (divided by count - 1); zeros for a single sample.
    """

    count: float
    mean: Array
    covariance: Array

    @classmethod
    def of(cls, features: ArrayLike, *, who: str = "real", chunk: int = CHUNK) -> "Gaussian":
        """Of features (N, D). Raises ValueError for no samples, NaN or infinity."""
        return cls.of_pieces([features], who=who, chunk=chunk)

    @classmethod
    def of_pieces(cls, pieces: Iterable[ArrayLike], *, who: str = "real", chunk: int = CHUNK) -> "Gaussian":
        """Of features that come in pieces (n, D), which need not fit into memory together.

        Any split gives the same result up to rounding: blocks of `chunk` samples are centred on their own mean and
        merged (Chan, Golub & LeVeque 1979). Raises ValueError for no samples, NaN, infinity or differing widths.
        """
        total = None
        for piece in pieces:
            values = checked(piece, METRIC, who)
            for part in parts(len(values), chunk):
                block = _of_block(values[part])
                total = block if total is None else total.merged(block)
        if total is None:
            raise ValueError(f"{METRIC} needs 1 {who} sample or more, got 0")
        return total

    @cached_property
    def root(self) -> Array:
        """F with covariance = F Fᵀ, from the symmetric eigendecomposition.

        Eigenvalues that are rounding errors of the largest, negative ones too, count as 0: their roots would not be
        small.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        noise = len(values) * np.finfo(np.float64).eps * values[-1]
        scaled: Array = vectors * np.sqrt(np.where(values > noise, values, 0))
        return scaled

    def merged(self, other: "Gaussian") -> "Gaussian":
        """Of this one's samples and another's together. Both counts must be finite."""
        same_width(METRIC, self.mean[None], other.mean[None])
        count = self.count + other.count
        shift = other.mean - self.mean
        scatter = (self.count - 1) * self.covariance + (other.count - 1) * other.covariance
        scatter += np.outer(shift, shift) * (self.count * other.count / count)
        return Gaussian(count, self.mean + shift * (other.count / count), scatter / (count - 1))


def frechet(real: Gaussian | ArrayLike, generated: Gaussian | ArrayLike) -> float:
    """The squared Frechet distance ‖μ1−μ2‖² + Tr(Σ1 + Σ2 − 2 (Σ1 Σ2)^½), 0 or more, symmetric (Dowson & Landau 1982).

    Heusel et al. 2017 compare images so; call it FID only of Inception's features. It is biased upwards by about
    C/N: compare only values of the same N, or see :func:`frechet_infinity`. Constant features are no problem (a
    covariance may be singular); with no more samples than dimensions it always is, and the value says nothing.

    Args:
        real: features (N, D) or their Gaussian.
        generated: the same.

    Raises:
        ValueError: no more samples than dimensions on a side, NaN or infinity, different widths.
    """
    a = _fitted(real, "real")
    b = _fitted(generated, "generated")
    same_width(METRIC, a.mean[None], b.mean[None])
    # Tr (Σ1 Σ2)^½ is the sum of the singular values of Σ1^½ Σ2^½: no root of a nearly singular product is taken.
    common = np.linalg.svd(a.root.T @ b.root, compute_uv=False).sum()
    shift = a.mean - b.mean
    distance = shift @ shift + np.trace(a.covariance) + np.trace(b.covariance) - 2 * common
    return max(0.0, float(distance))


@dataclass(frozen=True)
class Extrapolated:
    """A line fitted to a metric over 1/N.

    Attributes:
        value: the line at 1/N = 0.
        slope: its slope: the bias at N samples is about slope / N.
        sizes: the N that were measured, falling.
        measured: the metric at each size.
    """

    value: float
    slope: float
    sizes: tuple[int, ...]
    measured: tuple[float, ...]


def frechet_infinity(
    real: Gaussian | ArrayLike, generated: ArrayLike, *, seed: int = 0, most_parts: int = 8
) -> Extrapolated:
    """The Frechet distance as if infinitely many samples had been generated (Chong & Forsyth 2020): FD∞.

    The generated samples are shuffled once and cut into 1, 2, 3, ... equal parts; the mean distance over the parts is
    the value at that N, so that each point of the fit uses every sample. A least-squares line in 1/N is read off at 0.
    The bias of the finite real side stays: it is the same for all generators, and part of the floor. The value may be
    slightly negative.

    Args:
        real: features (N, D) or their Gaussian.
        generated: features (M, D), at least 4 (D + 1) of them.
        seed: of the shuffle.
        most_parts: cuts go up to this many parts, while parts keep twice as many samples as dimensions.

    Raises:
        ValueError: as of :func:`frechet`, or too few generated samples.
    """
    fakes = checked(generated, "FD∞", "generated")
    reference = _fitted(real, "real")
    same_width(METRIC, reference.mean[None], fakes)
    count, width = fakes.shape
    cuts = [cut for cut in range(1, most_parts + 1) if count // cut >= 2 * (width + 1)]
    if len(cuts) < 2:
        raise ValueError(
            f"FD∞ needs {4 * (width + 1)} generated samples of {width} features or more, got {count}: use KID, "
            "which is unbiased at any size"
        )
    order = np.random.default_rng(seed).permutation(count)
    sizes, values = [], []
    for cut in cuts:
        size = count // cut
        blocks = [Gaussian.of(fakes[order[part * size : (part + 1) * size]]) for part in range(cut)]
        sizes.append(size)
        values.append(float(np.mean([frechet(reference, block) for block in blocks])))
    slope, value = np.polyfit(1 / np.array(sizes), values, 1)
    return Extrapolated(float(value), float(slope), tuple(sizes), tuple(values))


def _of_block(values: Array) -> Gaussian:
    mean = values.mean(axis=0)
    centred = values - mean
    return Gaussian(len(values), mean, centred.T @ centred / max(1, len(values) - 1))


def _fitted(side: Gaussian | ArrayLike, who: str) -> Gaussian:
    """A side as a Gaussian whose covariance can be trusted."""
    fitted = side if isinstance(side, Gaussian) else Gaussian.of(side, who=who)
    width = len(fitted.mean)
    if fitted.covariance.shape != (width, width):
        raise ValueError(f"{METRIC}: a covariance of shape {fitted.covariance.shape} with a mean of {width} dimensions")
    if fitted.count <= width:
        raise ValueError(
            f"{METRIC}: the covariance of {width} features needs {width + 1} {who} samples or more, got "
            f"{fitted.count:.0f}: use KID, which needs few"
        )
    if not (math.isfinite(fitted.mean.sum()) and math.isfinite(fitted.covariance.sum())):
        raise ValueError(f"{METRIC}: the {who} mean or covariance is NaN or infinite")
    return fitted
