"""Frechet distance and KID: closed forms, invariances, sizes, and input that they cannot use."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gansmith.metrics.frechet import Gaussian, frechet, frechet_infinity
from gansmith.metrics.kid import kid

Array = NDArray[np.float64]

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None)


def normal(count: int, width: int = 6, *, seed: int = 0) -> Array:
    """Standard normal features."""
    return np.random.default_rng(seed).standard_normal((count, width))


def skewed(seed: int, *, count: int = 60, width: int = 5) -> tuple[Array, Array]:
    """Two sets of features, neither normal nor centred."""
    random = np.random.default_rng(seed)
    first = np.exp(random.standard_normal((count, width))) @ random.standard_normal((width, width))
    return first, random.standard_normal((count, width)) * random.uniform(0.1, 3, width) + random.uniform(-2, 2, width)


def rotation(seed: int, width: int) -> Array:
    """A random orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0]


def test_frechet_of_diagonal_gaussians_is_the_closed_form() -> None:
    means = np.array([0.0, 1, -2, 0.5]), np.array([1.0, 1, 0, -0.5])
    deviations = np.array([1.0, 2, 0.5, 0]), np.array([2.0, 0.3, 0.5, 1])  # one of them constant
    a, b = (Gaussian(math.inf, mean, np.diag(d**2)) for mean, d in zip(means, deviations, strict=True))
    expected = sum((means[0] - means[1]) ** 2 + (deviations[0] - deviations[1]) ** 2)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-12)
    turn = rotation(0, 4)
    turned = [Gaussian(math.inf, turn @ g.mean, turn @ g.covariance @ turn.T) for g in (a, b)]
    assert frechet(*turned) == pytest.approx(expected, rel=1e-12)


@given(seeds)
@quick
def test_frechet_keeps_its_laws(seed: int) -> None:
    a, b = skewed(seed)
    distance = frechet(a, b)
    assert frechet(a, a) <= 1e-12 * float(np.trace(np.cov(a.T)))
    assert distance > 0
    assert frechet(b, a) == pytest.approx(distance, rel=1e-9)
    assert frechet(3 * a, 3 * b) == pytest.approx(9 * distance, rel=1e-9)
    turn, shift = rotation(seed, 5), np.arange(5.0)
    assert frechet(a @ turn + shift, b @ turn + shift) == pytest.approx(distance, rel=1e-8)
    assert frechet(a[::-1], b) == pytest.approx(distance, rel=1e-9)


@given(seeds, st.integers(1, 70), st.lists(st.integers(1, 59), max_size=4, unique=True))
@quick
def test_a_gaussian_is_the_same_in_any_pieces(seed: int, chunk: int, cuts: list[int]) -> None:
    features = skewed(seed)[0] + 1e4  # an offset that a sum of squares would not survive
    whole = Gaussian.of(features)
    pieces = Gaussian.of_pieces(np.split(features, sorted(cuts)), chunk=chunk)
    assert pieces.count == whole.count == 60
    assert np.allclose(pieces.mean, whole.mean, rtol=1e-12)
    scale = np.abs(whole.covariance).max()
    assert np.allclose(pieces.covariance, whole.covariance, rtol=0, atol=1e-10 * scale)
    assert np.allclose(whole.covariance, np.cov(features - 1e4, rowvar=False), rtol=0, atol=1e-7 * scale)


def test_constant_features_have_a_distance() -> None:
    real, generated = normal(50), normal(50, seed=1)
    real[:, 2], generated[:, 2] = 3, 5
    collapsed = np.tile(generated[:1], (50, 1))
    rest = [0, 1, 3, 4, 5]
    assert frechet(real, generated) == pytest.approx(4 + frechet(real[:, rest], generated[:, rest]), rel=1e-9)
    assert frechet(real, collapsed) == pytest.approx(
        float(np.square(real.mean(axis=0) - collapsed[0]).sum() + np.trace(np.cov(real.T))), rel=1e-9
    )
    assert frechet(collapsed, collapsed) == 0


def test_infinity_takes_the_bias_away() -> None:
    known = Gaussian(math.inf, np.zeros(32), np.eye(32))
    random = np.random.default_rng(0)
    plain, extrapolated = [], []
    for seed in range(8):
        generated = random.standard_normal((4000, 32))
        line = frechet_infinity(known, generated, seed=seed)
        plain.append(frechet(known, generated))
        extrapolated.append(line.value)
        assert line.measured[0] == pytest.approx(plain[-1], rel=1e-9)
        assert line.slope > 0
    assert np.mean(plain) > 0.06  # of a perfect sampler
    assert abs(np.mean(extrapolated)) < 0.01
    shifted = frechet_infinity(known, random.standard_normal((4000, 32)) + 0.1)
    assert shifted.value == pytest.approx(32 * 0.01, abs=0.05)


def test_infinity_names_its_sizes_and_obeys_its_seed() -> None:
    real, generated = normal(100), normal(100, seed=1)
    line = frechet_infinity(real, generated, seed=3)
    assert line.sizes == (100, 50, 33, 25, 20, 16, 14)  # parts keep 2 (6 + 1) samples
    assert frechet_infinity(real, generated, seed=3) == line
    assert frechet_infinity(real, generated, seed=4).value != line.value
    assert len(frechet_infinity(Gaussian.of(real), generated, most_parts=3).sizes) == 3


def test_kid_of_halves_is_about_0_and_of_other_data_is_not() -> None:
    features = normal(2400, 16)
    halves = kid(features[:1200], features[1200:], size=300)
    assert abs(halves.value) < 0.01
    assert halves.spread > abs(halves.value) / 3
    assert (halves.subsets, halves.size) == (100, 300)
    assert kid(features[:1200], features[1200:] + 0.5, subsets=10).value > 0.3


def test_the_spread_of_kid_is_that_of_single_subsets() -> None:
    a, b = normal(2000, 4), normal(2000, 4, seed=1)
    singles = [kid(a, b, subsets=1, size=50, seed=seed).value for seed in range(200)]
    together = kid(a, b, subsets=200, size=50)
    assert together.spread == pytest.approx(np.std(singles), rel=0.25)
    assert together.value == pytest.approx(np.mean(singles), abs=together.spread / 3)
    assert kid(a, b, subsets=1).spread == 0


def test_kid_is_unbiased_at_small_sizes() -> None:
    values = [
        kid(normal(12, 3, seed=2 * i), normal(12, 3, seed=2 * i + 1), subsets=1, size=12).value for i in range(800)
    ]
    standard_error = np.std(values) / math.sqrt(800)
    assert abs(np.mean(values)) < 4 * standard_error
    assert standard_error < 0.1
    assert min(values) < 0


def test_kid_is_the_mean_of_the_kernel_over_pairs() -> None:
    x, y = normal(7, 3), normal(7, 3, seed=1) + 1

    def kernel(a: Array, b: Array) -> float:
        return float((a @ b / 3 + 1) ** 3)

    others = [(i, j) for i in range(7) for j in range(7) if i != j]
    expected = np.mean([kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in others])
    expected -= 2 * np.mean([kernel(a, b) for a in x for b in y])
    assert kid(x, y, subsets=1, size=7).value == pytest.approx(expected, rel=1e-12)


@given(seeds)
@quick
def test_kid_keeps_its_laws(seed: int) -> None:
    a, b = skewed(seed, count=40)
    value = kid(a, b, subsets=1, size=40).value
    scale = 1e-9 * (np.square(a).sum(axis=1).max() + np.square(b).sum(axis=1).max() + 1) ** 3
    assert kid(b, a, subsets=1, size=40).value == pytest.approx(value, abs=scale)
    assert kid(a[::-1], b, subsets=1, size=40).value == pytest.approx(value, abs=scale)
    turn = rotation(seed, 5)
    assert kid(a @ turn, b @ turn, subsets=1, size=40).value == pytest.approx(value, abs=scale)


def test_kid_draws_by_its_seed_and_shrinks_for_small_sets() -> None:
    a, b = normal(300), normal(120, seed=1)
    assert kid(a, b).size == 60
    assert kid(a, b, seed=1) == kid(a, b, seed=1) != kid(a, b, seed=2)
    assert kid(a[:2], b[:2], subsets=3).size == 2


BROKEN = normal(20)
BROKEN[3, 1], BROKEN[7, 0], BROKEN[7, 1] = np.nan, np.inf, np.nan


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: frechet(normal(6), normal(50)),
            "covariance of 6 features needs 7 real samples or more, got 6: use KID",
        ),
        (lambda: frechet(normal(50), normal(1)), "needs 7 generated samples or more, got 1: use KID"),
        (lambda: frechet(normal(50), np.zeros((0, 6))), "needs 1 generated samples or more, got 0"),
        (lambda: frechet(normal(50), BROKEN), "2 of 20 generated samples have features that are NaN or infinite"),
        (lambda: frechet(normal(50), normal(50, 4)), "features of 6 and of 4 dimensions cannot be compared"),
        (lambda: frechet(normal(50), normal(50)[0]), r"shape \(samples, dimensions\), got float64 \(6,\)"),
        (lambda: frechet(np.full((5, 5), "a"), normal(50)), "must be numbers"),
        (lambda: Gaussian.of_pieces([]), "needs 1 real sample or more, got 0"),
        (lambda: Gaussian.of_pieces([normal(5), normal(5, 4)]), "features of 6 and of 4 dimensions"),
        (lambda: frechet(Gaussian(9, np.zeros(2), np.eye(3)), normal(5, 2)), r"covariance of shape \(3, 3\)"),
        (lambda: frechet(Gaussian(9, np.zeros(2), np.eye(2) * np.nan), normal(5, 2)), "real mean or covariance is NaN"),
        (
            lambda: frechet_infinity(normal(50), normal(27)),
            "FD∞ needs 28 generated samples of 6 features or more, got 27",
        ),
        (lambda: kid(normal(50), BROKEN), "KID: 2 of 20 generated samples"),
        (lambda: kid(normal(50), normal(1)), "KID needs 2 generated samples or more, got 1"),
        (lambda: kid(normal(50), normal(30), size=40), "KID needs 40 generated samples or more, got 30"),
        (lambda: kid(normal(50), normal(50, 4)), "features of 6 and of 4 dimensions"),
        (lambda: kid(normal(50), normal(50), subsets=0), "KID needs 1 subset or more"),
    ],
)
def test_bad_input_is_named_in_one_line(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
