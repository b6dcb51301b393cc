"""Classes, bins, modes and intervals: closed forms, floors, and input that they cannot use."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gansmith.metrics.classes import class_shares, classifier_score, entropy, predicted, recognised
from gansmith.metrics.confidence import bootstrap, of_share, over_seeds
from gansmith.metrics.ndb import Bins, jensen_shannon, ndb
from gansmith.metrics.stacked_mnist import combined, floor, modes_and_kl

Array = NDArray[np.float64]

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None)


def sure_of(labels: list[int], classes: int) -> Array:
    """Logits of a classifier without doubt."""
    return 1000 * np.eye(classes)[labels]


def test_the_classifier_score_runs_from_1_to_the_number_of_classes() -> None:
    assert classifier_score(sure_of(list(range(7)) * 3, 7)) == pytest.approx(7, rel=1e-12)
    assert classifier_score(sure_of([4] * 20, 7)) == pytest.approx(1, rel=1e-12)
    assert classifier_score(np.zeros((20, 7))) == pytest.approx(1, rel=1e-12)
    assert classifier_score(sure_of([0, 0, 0, 1], 3)) == pytest.approx(
        math.exp(0.75 * math.log(4 / 3) + 0.25 * math.log(4))
    )


@given(seeds)
@quick
def test_the_classifier_score_is_in_range_and_shift_invariant(seed: int) -> None:
    logits = 4 * np.random.default_rng(seed).standard_normal((50, 6))
    score = classifier_score(logits)
    assert 1 <= score <= 6
    assert classifier_score(logits[::-1] + 500) == pytest.approx(score, rel=1e-9)


def test_the_classifier_score_is_the_same_across_chunks() -> None:
    logits = np.random.default_rng(0).standard_normal((100, 5))
    assert classifier_score(np.tile(logits, (200, 1))) == pytest.approx(classifier_score(logits), rel=1e-12)


def test_shares_and_entropy() -> None:
    shares = class_shares(predicted(sure_of([2, 0, 2, 2], 4)), 4)
    assert shares.tolist() == [0.25, 0, 0.75, 0]
    assert entropy(shares) == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))
    assert entropy([1, 0, 0]) == 0
    assert entropy(np.full(10, 0.1)) == pytest.approx(math.log(10))


def test_recognised_is_sure_agreement() -> None:
    a, b = sure_of([0, 1, 2, 2], 3), sure_of([0, 1, 1, 2], 3)
    both = recognised(a, b)
    assert both.share == 0.75
    assert both.agrees.tolist() == [True, True, False, True]
    assert both.chance == pytest.approx((1 * 1 + 1 * 2 + 2 * 1) / 16)
    noise = np.random.default_rng(0).standard_normal((2, 5000, 10))
    assert recognised(*noise).share < 0.01
    bare = recognised(*noise, confidence=0)
    assert bare.share == pytest.approx(bare.chance, abs=0.02)
    assert recognised(sure_of([1] * 9, 3), sure_of([1] * 9, 3)).chance == 1
    unsure = np.array([[0.0, 0.1], [0, 5]])
    assert recognised(unsure, unsure, confidence=0).share == 1
    assert recognised(unsure, unsure).share == 0.5
    assert recognised(unsure, 10 * unsure, confidence=0.6).agrees.tolist() == [False, True]


def clusters(count: int, *, seed: int, dropped: int = 0) -> Array:
    """Samples around 12 far points of a plane, without the last few."""
    random = np.random.default_rng(seed)
    which = random.integers(0, 12 - dropped, count)
    angle = 2 * math.pi * which / 12
    return 20 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + random.standard_normal((count, 2))


def test_ndb_finds_what_is_missing_and_little_else() -> None:
    bins = Bins.of(clusters(4000, seed=0), bins=60)
    fair = ndb(bins, clusters(2000, seed=1))
    lacking = ndb(bins, clusters(2000, seed=1, dropped=4))
    assert fair.by_chance == 3
    assert fair.different <= 9
    assert lacking.different >= 40
    assert lacking.share == lacking.different / 60
    turns = np.arctan2(bins.centres[:, 1], bins.centres[:, 0]) / (2 * math.pi) % 1
    gone = (turns > 7.5 / 12) & (turns < 11.5 / 12)  # clusters 8 to 11
    assert (lacking.z[gone] < 0).all()
    assert lacking.z[~gone].mean() > 1
    assert fair.jsd < 0.01 < 0.1 < lacking.jsd <= math.log(2)
    assert ndb(bins, clusters(2000, seed=1), alpha=0.5).different > fair.different
    false_alarms = [ndb(bins, clusters(2000, seed=seed)).different for seed in range(2, 22)]
    assert np.mean(false_alarms) == pytest.approx(3, abs=1.5)


def test_bins_are_seeded_and_care_for_no_offset() -> None:
    training = clusters(1200, seed=0)
    bins = Bins.of(training, bins=12, seed=1)
    moved = Bins.of(training + 1e6, bins=12, seed=1)
    assert np.allclose(moved.centres - 1e6, bins.centres, atol=1e-6)
    assert (moved.counts == bins.counts).all()
    assert bins.counts.sum() == 1200
    assert (Bins.of(training, bins=12, seed=1).centres == bins.centres).all()
    assert (Bins.of(training, bins=12, seed=2).centres != bins.centres).any()


def test_k_means_keeps_all_bins_even_where_values_repeat() -> None:
    values = np.repeat(np.arange(20.0)[:, None], 20, axis=0)
    bins = Bins.of(values, bins=20)
    assert sorted(bins.counts) == [20] * 20
    assert Bins.of(values, bins=15).counts.min() > 0


def test_k_means_moves_a_centre_that_lost_all_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    far_off = np.array([[-20.0], [20], [500], [600]])
    monkeypatch.setattr("gansmith.metrics.ndb._plus_plus", lambda *_: far_off)
    values = np.random.default_rng(0).standard_normal((600, 1)) + np.repeat([[-20.0], [20.0]], 300, axis=0)
    assert Bins.of(values, bins=4).counts.min() > 0


def test_jensen_shannon_has_its_ends() -> None:
    p, q = np.array([0.5, 0.5, 0]), np.array([0, 0, 1.0])
    assert jensen_shannon(p, q) == pytest.approx(math.log(2))
    assert jensen_shannon(p, p) == 0


def test_modes_and_kl_of_known_samples() -> None:
    every = np.arange(1000)
    digits = np.stack([every // 100, every // 10 % 10, every % 10], axis=1)
    assert (combined(digits) == every).all()
    perfect = modes_and_kl(np.tile(digits, (26, 1)))
    assert (perfect.modes, perfect.kl, perfect.samples) == (1000, pytest.approx(0, abs=1e-12), 26_000)
    assert modes_and_kl(np.arange(100)).kl == pytest.approx(math.log(10))
    assert modes_and_kl(np.full(50, 207)).kl == pytest.approx(math.log(1000))
    reference = np.arange(1, 1001) / 500_500
    once = modes_and_kl(every, reference=reference)
    assert once.kl == pytest.approx(float(np.mean(np.log(0.001 / reference))))


def test_the_floor_is_what_a_perfect_sampler_scores() -> None:
    plain = floor(26_000)
    assert plain.kl == pytest.approx(999 / 52_000, rel=0.03)  # 0.0192 to first order
    assert plain.modes == pytest.approx(1000, abs=0.01)
    assert 0.0005 < plain.kl_spread < 0.0015
    few = floor(1000)
    assert few.modes == pytest.approx(1000 * (1 - 0.999**1000), abs=2)
    assert few.modes_spread > 5
    one = np.random.default_rng(9).integers(0, 1000, 26_000)
    assert modes_and_kl(one).kl == pytest.approx(plain.kl, abs=4 * plain.kl_spread)


def test_the_floor_knows_truth_from_reference() -> None:
    skewed = np.full(1000, 0.5 / 999)
    skewed[0] = 0.5
    expected = 0.5 * math.log(500) + 0.5 * math.log(500 / 999)
    assert floor(10**7, truth=skewed, draws=2).kl == pytest.approx(expected, rel=1e-3)
    assert floor(10**7, reference=skewed, draws=2).kl != pytest.approx(expected, rel=0.1)


def test_the_floor_of_mnists_digits_against_uniform() -> None:
    from gansmith import data

    labels = data.load("mnist").labels
    assert labels is not None
    share = class_shares(labels, 10)
    truth = np.einsum("i,j,k->ijk", share, share, share).ravel()
    assert floor(26_000, truth=truth).kl == pytest.approx(0.0235, abs=0.0005)
    assert floor(26_000, truth=truth, reference=truth).kl == pytest.approx(0.0194, abs=0.0005)


def test_the_floor_against_the_stacks_that_training_shows() -> None:
    from gansmith import data

    stacks = data.load("stacked-mnist")
    labels = stacks.labels
    assert labels is not None
    reference = class_shares(np.asarray(labels, np.int64), 1000)
    assert floor(26_000, truth=reference, reference=reference).kl == pytest.approx(0.0194, abs=0.0005)
    assert modes_and_kl(np.asarray(labels, np.int64), reference=reference).kl == 0


def test_intervals_over_seeds() -> None:
    random = np.random.default_rng(0)
    held = [over_seeds(list(random.normal(5, 2, 3))) for _ in range(2000)]
    assert np.mean([one.low <= 5 <= one.high for one in held]) == pytest.approx(0.95, abs=0.02)
    same = over_seeds([1.0, 1.0, 1.0])
    assert same.low == same.high == 1
    assert over_seeds([0.0, 2.0]).high == pytest.approx(1 + 12.7062, abs=1e-3)  # t of one degree of freedom


def test_intervals_of_shares_stay_inside_and_hold_what_they_promise() -> None:
    none, every = of_share(0, 50), of_share(50, 50)
    assert (none.low, every.high) == (0, 1)
    assert 0.05 < none.high < 0.1
    assert none.high == pytest.approx(1 - every.low)
    random = np.random.default_rng(0)
    held = [of_share(int(random.binomial(200, 0.3)), 200) for _ in range(2000)]
    assert np.mean([one.low <= 0.3 <= one.high for one in held]) == pytest.approx(0.95, abs=0.02)


def test_resampling_takes_rows_together() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal(400)
    tight = bootstrap(lambda a, b: float((a - b).mean()), x, x + 1)
    assert (tight.low, tight.high) == (pytest.approx(-1), pytest.approx(-1))
    loose = bootstrap(lambda a: float(a.mean()), x)
    assert (loose.high - loose.low) / 2 == pytest.approx(1.96 / 20, rel=0.2)
    assert bootstrap(lambda a: float(a.mean()), x, seed=1) == bootstrap(lambda a: float(a.mean()), x, seed=1) != loose


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: classifier_score(np.array([[0.0, np.nan]])), "the classifier score: 1 of 1 generated samples have"),
        (lambda: classifier_score(np.zeros((0, 10))), "needs 1 generated samples or more"),
        (lambda: class_shares([], 10), "class shares need whole-number labels"),
        (lambda: class_shares([0.5, 1], 10), "without labels or a classifier, use precision, recall"),
        (lambda: class_shares([0, 10], 10), "labels lie in 0 to 9, got 0 to 10"),
        (lambda: entropy([0.5, 0.6]), "sum to 1"),
        (lambda: recognised(np.zeros((3, 4)), np.zeros((3, 5))), "logits of the same images and classes"),
        (lambda: Bins.of(np.zeros((500, 3))), "NDB needs 1000 training samples or more, got 500: ask for fewer bins"),
        (lambda: Bins.of(np.zeros((5000, 3))), "training features have only 1 distinct values"),
        (lambda: Bins.of(np.zeros((50, 3)), bins=1), "NDB needs 2 bins or more"),
        (lambda: ndb(clusters(2000, seed=0), np.zeros((5, 3))), "features of 2 and of 3 dimensions"),
        (lambda: ndb(clusters(2000, seed=0), np.full((5, 2), np.nan)), "NDB: 5 of 5 generated samples"),
        (lambda: ndb(clusters(2000, seed=0), clusters(5, seed=1), alpha=1), "alpha lies between 0 and 1"),
        (lambda: combined(np.zeros((4, 2), int)), r"whole digits of shape \(images, 3\)"),
        (lambda: modes_and_kl(np.full((4, 3), 10)), "digits lie in 0 to 9, got 10 to 10"),
        (lambda: modes_and_kl([1000]), "labels lie in 0 to 999"),
        (lambda: modes_and_kl([1], reference=np.eye(1000)[0]), "1000 numbers above 0 that sum to 1"),
        (lambda: floor(0), "the floor needs 1 sample or more"),
        (lambda: over_seeds([1.0]), "figures of 2 seeds or more"),
        (lambda: over_seeds([1.0, math.nan]), "finite figures"),
        (lambda: of_share(3, 2), "0 <= successes <= count"),
        (lambda: of_share(1, 2, level=1), "confidence level lies between 0 and 1"),
        (lambda: bootstrap(np.mean, np.zeros(3), np.zeros(4)), "arrays with equally many rows"),
    ],
)
def test_bad_input_is_named_in_one_line(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
