"""Modes and KL of Stacked-MNIST: how many of 1,000 classes are generated, and how unevenly; with their floor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gansmith.metrics.classes import class_shares, xlogx
from gansmith.metrics.validate import Array, Labels

MODES = 1000
SAMPLES = 26_000


@dataclass(frozen=True)
class Modes:
    """What was generated of the 1,000 modes.

    Attributes:
        modes: how many occur, from 0 to 1,000.
        kl: KL(generated ‖ reference) in nats.
        samples: of how many images; neither figure means anything without it.
    """

    modes: int
    kl: float
    samples: int


@dataclass(frozen=True)
class Floor:
    """What a perfect sampler would score with as many samples: mean and standard deviation over draws.

    Attributes:
        modes: mean number of modes.
        kl: mean KL in nats.
        modes_spread: standard deviation of the modes from draw to draw.
        kl_spread: standard deviation of the KL.
        samples: how many samples a draw has.
    """

    modes: float
    kl: float
    modes_spread: float
    kl_spread: float
    samples: int


def combined(digits: ArrayLike) -> Labels:
    """Mode numbers int64 (N,), 0 to 999, of digits (N, 3): red 2, green 0, blue 7 is mode 207."""
    values = np.asarray(digits)
    if values.ndim != 2 or values.shape[1] != 3 or values.dtype.kind not in "iu":
        raise ValueError(f"modes are of whole digits of shape (images, 3), got {values.dtype} {values.shape}")
    if values.size and (values.min() < 0 or values.max() > 9):
        raise ValueError(f"digits lie in 0 to 9, got {values.min()} to {values.max()}")
    modes: Labels = values.astype(np.int64) @ np.array([100, 10, 1])
    return modes


def modes_and_kl(labels: ArrayLike, *, reference: ArrayLike | None = None) -> Modes:
    """The modes that occur and how far their shares are from a reference (Metz et al. 2017; Lin et al. 2018).

    Both depend on the number of samples, usually 26,000; :func:`floor` says how much.

    Args:
        labels: digits (N, 3), or mode numbers (N,) from 0 to 999.
        reference: shares (1000,) above 0; by default all are 1/1000. `class_shares(labels_of_the_training_stacks,
            1000)` holds the generator against what it was shown.

    Raises:
        ValueError: no labels, not whole numbers or out of range; a reference of another shape or with zeros.
    """
    values = np.asarray(labels)
    numbers = combined(values) if values.ndim == 2 else values
    shares = class_shares(numbers, MODES)
    return Modes(int((shares > 0).sum()), _divergence(shares, _reference(reference)), len(numbers))


def floor(
    samples: int = SAMPLES,
    *,
    truth: ArrayLike | None = None,
    reference: ArrayLike | None = None,
    draws: int = 200,
    seed: int = 0,
) -> Floor:
    """What a perfect sampler of `truth`, read without error, scores against `reference` (Monte Carlo).

    From uniform to uniform at 26,000 samples the KL is 0.0193, about (1000 − 1) / (2 · 26,000): what finite
    samples cost alone. MNIST's digits are not equally frequent, so a perfect sampler of them is at 0.0236 against
    uniform; one of the 128,000 stacks of `stacked-mnist` at 0.0278, and at 0.0194 against the stacks themselves.

    Args:
        samples: how many images would be generated.
        truth: shares (1000,) that the perfect sampler draws from; uniform by default.
        reference: as of :func:`modes_and_kl`.
        draws: how many such samplers.
        seed: of the draws.

    Raises:
        ValueError: fewer than 1 sample or 2 draws; shares of another shape or with zeros.
    """
    if samples < 1 or draws < 2:
        raise ValueError(f"the floor needs 1 sample or more and 2 draws or more, got {samples} and {draws}")
    wanted, held_against = _reference(truth), _reference(reference)
    drawn = np.random.default_rng(seed).multinomial(samples, wanted, size=draws)
    kls = [_divergence(row / samples, held_against) for row in drawn]
    modes = (drawn > 0).sum(axis=1)
    return Floor(
        float(modes.mean()), float(np.mean(kls)), float(modes.std(ddof=1)), float(np.std(kls, ddof=1)), samples
    )


def _reference(shares: ArrayLike | None) -> Array:
    if shares is None:
        return np.full(MODES, 1 / MODES)
    values = np.asarray(shares, np.float64)
    if values.shape != (MODES,) or not np.isfinite(values).all() or values.min() <= 0 or abs(values.sum() - 1) > 1e-6:
        raise ValueError(f"shares of the modes must be {MODES} numbers above 0 that sum to 1")
    normalised: Array = values / values.sum()
    return normalised


def _divergence(shares: Array, reference: Array) -> float:
    """KL(shares ‖ reference) in nats."""
    some = shares > 0
    return max(0.0, xlogx(shares) - float(shares[some] @ np.log(reference[some])))
