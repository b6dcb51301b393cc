"""The metrics on real digits: what each says of halves, dropped classes, noise, blur, collapse and copies."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from gansmith import data
from gansmith.metrics.frechet import frechet, frechet_infinity
from gansmith.metrics.kid import kid
from gansmith.metrics.memorisation import memorisation
from gansmith.metrics.ndb import ndb
from gansmith.metrics.prdc import expected_coverage, support

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]
COUNT = 1500


@dataclass(frozen=True)
class Digits:
    """Digits of the training and test split, as images and as features by one projection."""

    train: Pixels
    labels: NDArray[np.int64]
    fresh: Pixels
    test: Pixels
    features: Callable[[Pixels], Array]


@pytest.fixture(scope="module")
def digits() -> Digits:
    """Features are the first 32 principal components of the pixels."""
    train, test = data.load("mnist"), data.load("mnist", split="test")
    assert train.labels is not None
    images = train.take(np.arange(3 * COUNT))
    flat = images.reshape(len(images), -1) / 255
    middle = flat.mean(axis=0)
    axes = np.linalg.eigh(np.cov(flat, rowvar=False))[1][:, -32:]

    def features(pixels: Pixels) -> Array:
        projected: Array = (pixels.reshape(len(pixels), -1) / 255 - middle) @ axes
        return projected

    return Digits(
        train=images[:COUNT],
        labels=np.asarray(train.labels[COUNT : 2 * COUNT], np.int64),
        fresh=images[COUNT : 2 * COUNT],
        test=test.take(np.arange(COUNT)),
        features=features,
    )


def spoiled(images: Pixels, labels: NDArray[np.int64], how: str) -> Pixels:
    """As many images, with one thing wrong."""
    random = np.random.default_rng(0)
    if how == "dropped":  # two classes, replaced by others
        kept = images[labels > 1]
        return kept[random.integers(0, len(kept), len(images))]
    if how == "noisy":
        return np.clip(images + random.normal(0, 60, images.shape), 0, 255).astype(np.uint8)
    if how == "collapsed":
        return np.repeat(images[:15], len(images) // 15, axis=0)
    return images


def test_frechet_and_kid_rank_the_spoiled_behind_the_good(digits: Digits) -> None:
    real = digits.features(digits.train)
    good = digits.features(digits.fresh)
    floor = frechet(real, good), kid(real, good, subsets=10).value
    for how in ("dropped", "noisy", "collapsed"):
        bad = digits.features(spoiled(digits.fresh, digits.labels, how))
        assert frechet(real, bad) > 2 * floor[0], how
        assert kid(real, bad, subsets=10).value > 2 * floor[1], how
    assert frechet_infinity(real, good).value < floor[0]


def test_precision_sees_noise_and_recall_and_coverage_see_dropped_classes(digits: Digits) -> None:
    real = digits.features(digits.test)
    good = support(real, digits.features(digits.fresh))
    dropped = support(real, digits.features(spoiled(digits.fresh, digits.labels, "dropped")))
    collapsed = support(real, digits.features(spoiled(digits.fresh, digits.labels, "collapsed")))
    assert good.coverage == pytest.approx(expected_coverage(COUNT, COUNT), abs=0.1)
    assert dropped.recall < good.recall - 0.1
    assert dropped.coverage < good.coverage - 0.1
    assert dropped.precision > good.precision - 0.05
    assert collapsed.recall < 0.1
    assert collapsed.coverage < 0.2


def test_precision_and_density_see_noise_where_the_features_show_it(digits: Digits) -> None:
    """Pixels do. The projection filters noise out and calls it fine: no metric is better than its encoder."""

    def pixels(images: Pixels) -> Array:
        return images.reshape(len(images), -1) / 255

    noise = spoiled(digits.fresh, digits.labels, "noisy")
    good, noisy = (support(pixels(digits.test), pixels(images)) for images in (digits.fresh, noise))
    assert good.precision > 0.7
    assert noisy.precision < 0.3
    assert noisy.density < good.density / 2
    assert support(digits.features(digits.test), digits.features(noise)).precision > 0.8


def test_ndb_sees_dropped_classes(digits: Digits) -> None:
    train = digits.features(digits.train)
    good = ndb(train, digits.features(digits.fresh))
    dropped = ndb(train, digits.features(spoiled(digits.fresh, digits.labels, "dropped")))
    assert good.different < 20
    assert dropped.different > good.different + 15


def test_a_copied_training_set_is_found_out(digits: Digits) -> None:
    train, heldout = digits.features(digits.train), digits.features(digits.test)
    copies = memorisation(digits.features(spoiled(digits.train, digits.labels, "copied")), train, heldout)
    assert copies.closer.value == 1
    assert copies.authentic < 0.01
    near_copies = np.clip(
        digits.train.astype(np.int64) + np.random.default_rng(0).integers(-9, 10, digits.train.shape), 0, 255
    )
    assert memorisation(digits.features(near_copies.astype(np.uint8)), train, heldout).closer.low > 0.98
    honest = memorisation(digits.features(digits.fresh), train, heldout)
    assert honest.closer.value == pytest.approx(0.5, abs=0.06)
    assert honest.authentic == pytest.approx(honest.authentic_heldout, abs=0.06)
    # And what the other metrics say of the copies: nothing is wrong.
    assert frechet(train, copies_features := digits.features(digits.train)) < 1e-9
    assert support(train, copies_features).coverage == 1
