"""Precision, recall, density, coverage and memorisation: closed forms, exactness at ties, and what each is blind to."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gansmith.metrics import prdc
from gansmith.metrics.memorisation import memorisation
from gansmith.metrics.prdc import (
    Cloud,
    Support,
    expected_coverage,
    nearest,
    support,
)

Array = NDArray[np.float64]

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=20, deadline=None)


def normal(count: int, width: int = 6, *, seed: int = 0) -> Array:
    """Standard normal features."""
    return np.random.default_rng(seed).standard_normal((count, width))


def by_definition(real: Array, generated: Array, recall_k: int, density_k: int) -> Support:
    """The four, straight from their definitions with <=."""

    def squares(a: Array, b: Array) -> Array:
        return np.square(a[:, None] - b[None]).sum(axis=2)

    def radii(points: Array, k: int) -> Array:
        return np.sort(squares(points, points), axis=1)[:, k]  # the first is the point itself

    between = squares(generated, real)
    inside = between <= radii(real, density_k)
    return Support(
        precision=float((between <= radii(real, recall_k)).any(axis=1).mean()),
        recall=float((between <= radii(generated, recall_k)[:, None]).any(axis=0).mean()),
        density=float(inside.sum() / (density_k * len(generated))),
        coverage=float(inside.any(axis=0).mean()),
    )


@given(seeds, st.integers(1, 5), st.integers(1, 5))
@quick
def test_all_four_are_as_defined(seed: int, recall_k: int, density_k: int) -> None:
    real, generated = normal(70, 3, seed=seed), 1.3 * normal(60, 3, seed=seed + 1)
    assert support(real, generated, recall_k=recall_k, density_k=density_k) == by_definition(
        real, generated, recall_k, density_k
    )


@given(seeds, st.integers(1, 4))
@quick
def test_ties_are_decided_exactly(seed: int, k: int) -> None:
    """On a grid nearly every distance occurs many times, and points coincide."""
    random = np.random.default_rng(seed)
    real, generated = random.integers(0, 4, (80, 3)) / 7, random.integers(0, 4, (50, 3)) / 7
    generated[:10] = generated[0]
    expected = by_definition(real, generated, k, k)
    assert support(real, generated, recall_k=k, density_k=k) == expected
    offset = 1000.0 + np.arange(3)  # whole numbers, so that grid points stay where they are
    real, generated = np.round(7 * real) + offset, np.round(7 * generated) + offset
    assert support(real, generated, recall_k=k, density_k=k) == by_definition(real, generated, k, k)


def test_outliers_and_near_copies_are_decided_exactly() -> None:
    real, generated = normal(150, 4), normal(120, 4, seed=1)
    generated[:60] = real[:60] + 1e-9 * normal(60, 4, seed=2)  # far below what float32 tells apart
    generated[100], real[100] = 1e6, -1e5
    assert support(real, generated) == by_definition(real, generated, 3, 5)
    found = nearest(generated, real, k=2)
    every = np.square(generated[:, None] - real[None]).sum(axis=2)
    assert (found.squares == np.sort(every, axis=1)[:, :2]).all()
    assert (found.indices[:60, 0] == np.arange(60)).all()


def test_float32_alone_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the error bound buys: believed blindly, the screening picks wrong neighbours among near copies."""
    real = normal(150, 4) * 1e-4 + 3
    real[0] = 100.0
    monkeypatch.setattr(prdc, "SPARE", 0)
    expected = np.sort(np.square(real[:, None] - real[None]).sum(axis=2), axis=1)[:, 1:4]
    assert (Cloud.of(real, k=3).squares == expected).all()
    real_init = prdc._Pairs.__init__

    def trusting(self: prdc._Pairs, *arguments: object) -> None:
        real_init(self, *arguments)  # type: ignore[arg-type]
        self.error = -math.inf

    monkeypatch.setattr(prdc._Pairs, "__init__", trusting)
    assert (Cloud.of(real, k=3).squares != expected).any()


@given(seeds)
@quick
def test_all_four_are_invariant(seed: int) -> None:
    real, generated = normal(60, 4, seed=seed), normal(50, 4, seed=seed + 1) + 0.5
    turn = np.linalg.qr(normal(4, 4, seed=seed))[0]
    once = support(real, generated)
    assert support(real[::-1], generated[::-1]) == once
    assert support(1e-3 * real @ turn + 5, 1e-3 * generated @ turn + 5) == once
    swapped = support(generated, real)
    assert (swapped.precision, swapped.recall) == (once.recall, once.precision)


def test_the_block_size_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, generated = normal(300, 8), normal(200, 8, seed=1)
    grid, other_grid = np.round(real[:, :3]), np.round(generated[:, :3])  # full of ties
    once, near = support(real, generated), nearest(generated, real, k=3)
    tied = support(grid, other_grid)
    for block in (1, 1000, 10**9):
        monkeypatch.setattr(prdc, "BLOCK", block)
        assert support(real, generated) == once
        assert support(grid, other_grid) == tied
        again = nearest(generated, real, k=3)
        assert (again.squares == near.squares).all()
        assert (again.indices == near.indices).all()


def test_memory_stays_far_below_all_pairs() -> None:
    real, generated = normal(6000, 4), normal(6000, 4, seed=1)
    tracemalloc.start()
    support(real, generated)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6000 * 6000 * 4 / 4  # bytes: a quarter of one float32 matrix of the distances


def test_the_boundary_belongs_to_the_ball() -> None:
    """Equal sets: each ball holds its centre and k neighbours, one of them on its boundary. With < it would be k."""
    features = normal(40, 3)
    both = support(features, features.copy(), recall_k=3, density_k=5)
    assert both == Support(precision=1, recall=1, density=6 / 5, coverage=1)


def test_clouds_share_their_radii() -> None:
    real, generated = normal(80), normal(60, seed=1)
    a, b = Cloud.of(real), Cloud.of(generated)
    both = support(real, generated)
    assert support(a, b) == both
    assert support(a, generated) == support(real, b) == both
    assert support(a, b, recall_k=5) == support(real, generated, recall_k=5) != both


def test_expected_coverage_is_the_closed_form_and_what_is_measured() -> None:
    assert expected_coverage(10_000, 10_000) == pytest.approx(0.96877, abs=5e-6)
    assert expected_coverage(10_000, 10_000, k=1) == pytest.approx(1 - 9999 / 19999)
    measured = [support(normal(80, 3, seed=2 * i), normal(50, 3, seed=2 * i + 1)).coverage for i in range(60)]
    assert np.mean(measured) == pytest.approx(expected_coverage(80, 50), abs=0.01)


def test_each_sees_what_it_is_for() -> None:
    real = np.concatenate([normal(300, seed=1), normal(300, seed=2) + 8])
    good = np.concatenate([normal(300, seed=3), normal(300, seed=4) + 8])
    dropped = np.concatenate([normal(300, seed=3), normal(300, seed=4)])
    wide = good + 3 * normal(600, seed=5)
    fair, lacking, noisy = (support(real, generated) for generated in (good, dropped, wide))
    assert lacking.recall < 0.6 < 0.8 < fair.recall
    assert lacking.coverage < 0.6 < 0.9 < fair.coverage
    assert lacking.precision > 0.8
    assert noisy.precision < 0.5 < 0.8 < fair.precision
    assert noisy.density < 0.3 < 0.8 < fair.density
    collapsed = support(real, np.tile(real[:1] + 0.01, (600, 1)))
    assert (collapsed.precision, collapsed.recall) == (1, 0)
    assert collapsed.coverage < 0.05


def test_a_copy_of_train_drives_the_closer_share_to_1() -> None:
    source = normal(1200, 5)
    train, heldout, fresh = source[:400], source[400:800], source[800:]
    copied = memorisation(train[::2], train, heldout)
    assert copied.closer.value == 1
    assert copied.closer.low > 0.97
    assert copied.authentic == 0
    assert (copied.nearest == np.arange(0, 400, 2)).all()
    assert (copied.distance == 0).all()
    independent = memorisation(fresh, train, heldout)
    assert independent.closer.low < 0.5 < independent.closer.high
    assert independent.authentic == pytest.approx(independent.authentic_heldout, abs=0.1)
    half = memorisation(np.concatenate([train[:200], fresh[:200]]), train, heldout)
    assert half.closer.low > 0.5
    assert set(half.closest(200)) == set(range(200))
    assert (np.diff(half.distance[half.closest(400)]) >= 0).all()


def test_ties_count_half_and_sides_are_made_equal() -> None:
    source = normal(500, 5)
    same = memorisation(normal(50, 5, seed=1), source, source.copy())
    assert same.closer.value == 0.5
    # Against all of a larger training set, everything would be nearer to it.
    uneven = memorisation(normal(400, 5, seed=1), normal(4000, 5, seed=2), normal(200, 5, seed=3))
    assert uneven.compared == 200
    assert uneven.closer.low < 0.5 < uneven.closer.high
    assert uneven.distance.shape == (400,)
    assert uneven.nearest.max() > 1000
    assert uneven.heldout_distance.shape == (200,)


def test_authenticity_is_as_defined() -> None:
    train = np.array([[0.0, 0], [1, 0], [10, 0], [10, 5]])
    # Distances to the nearest training sample against that one's own: 2 > 1, 0.5 < 1, 4 < 5, and 1 = 1.
    generated = np.array([[-2.0, 0], [1.5, 0], [14, 0], [-1, 0]])
    panel = memorisation(generated, train, np.array([[0.0, 9], [3, 3]]))
    assert panel.authentic == 1 / 4
    assert panel.authentic_heldout == 1
    assert panel.nearest.tolist() == [0, 1, 2, 0]


def test_collapse_and_explosion_have_finite_values() -> None:
    real = normal(1000, 16)
    nowhere = support(real, np.full((1000, 16), 9.0))
    assert nowhere == Support(precision=0, recall=0, density=0, coverage=0)
    point = support(real, np.tile(real[:1], (1000, 1)))
    assert (point.precision, point.recall) == (1, 1 / 1000)
    # Recall alone is fooled by samples that lie far out: their balls hold everything.
    exploded = support(real, 1e8 * normal(1000, 16, seed=1))
    assert (exploded.precision, exploded.density, exploded.coverage) == (0, 0, 0)
    assert exploded.recall > 0.9


BROKEN = normal(20)
BROKEN[3, 1] = np.nan


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: support(normal(5), normal(50)), "5-th nearest neighbour needs 6 real samples or more, got 5"),
        (
            lambda: support(normal(50), normal(5)),
            "needs 6 generated samples or more, got 5: ask for a smaller k, or use KID",
        ),
        (lambda: support(normal(50), normal(3), density_k=3), "3-th nearest neighbour needs 4 generated"),
        (lambda: support(normal(50), BROKEN), "1 of 20 generated samples have features that are NaN"),
        (lambda: support(normal(50), normal(50, 4)), "features of 6 and of 4 dimensions"),
        (lambda: support(np.ones((50, 6)), normal(50)), "all real samples have the same features"),
        (lambda: support(Cloud.of(normal(50), k=3), normal(50)), "neighbours 1 to 3 were measured, not the 5-th"),
        (lambda: Cloud.of(normal(50), k=0), "k of 1 or more, got 0"),
        (lambda: expected_coverage(5, 5), "coverage needs 1 <= k < real"),
        (lambda: memorisation(normal(5), normal(1), normal(5)), "memorisation needs 2 training samples or more, got 1"),
        (
            lambda: memorisation(normal(5), normal(9), normal(5)[:0]),
            "needs 1 held-out samples or more, got 0: hold some",
        ),
        (lambda: memorisation(BROKEN, normal(9), normal(5)), "memorisation: 1 of 20 generated samples"),
        (lambda: memorisation(normal(5, 4), normal(9), normal(5)), "features of 6 and of 4 dimensions"),
    ],
)
def test_bad_input_is_named_in_one_line(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
