"""Quality in words: the same for the same images, however many of them are measured."""

import numpy as np
import pytest

from gansmith.metrics import grade
from gansmith.metrics.frechet import Gaussian, frechet

WIDTH = 24
COUNTS = (200, 500, 2000, 10_000)


def said(shift: float, count: int, *, scale: float = 1.0, seed: int = 0) -> tuple[str, float]:
    """Words and share for Gaussian features whose mean is off by so many standard deviations of one dimension."""
    random = np.random.default_rng(seed)
    spreads = np.geomspace(3, 0.1, WIDTH) * scale
    real, fakes, *others = (random.standard_normal((count, WIDTH)) * spreads for _ in range(5))
    fakes[:, 0] += shift * spreads[0]
    reference = Gaussian.of(real)
    floors = [frechet(reference, other) for other in others]
    floor, noise = float(np.mean(floors)), float(np.std(floors, ddof=1))
    distance, variance = frechet(reference, fakes), float(np.trace(reference.covariance))
    words = grade.words(distance, floor=floor, variance=variance, noise=noise)
    return words, grade.beyond(distance, floor=floor, variance=variance)


@pytest.mark.parametrize(("shift", "word"), [(0.3, grade.SOME), (0.45, grade.FAR), (1.5, grade.VERY_FAR)])
def test_the_word_is_the_same_at_any_count_that_can_tell(shift: float, word: str) -> None:
    words = [said(shift, count)[0] for count in COUNTS]
    assert words[-1] == words[-2] == word
    scale = [grade.VERY_CLOSE, grade.CLOSE, grade.SOME, grade.FAR, grade.VERY_FAR]
    told = [scale.index(each) for each in words if each != grade.TOO_FEW]
    assert max(told) - min(told) <= 1  # few images may be taken for those of the next word
    assert said(shift, 10_000, scale=100.0)[0] == word  # whatever the unit of the features


def test_real_images_are_very_close_or_too_few() -> None:
    words = [said(0.0, count)[0] for count in COUNTS]
    assert set(words) <= {grade.VERY_CLOSE, grade.TOO_FEW}
    assert words[0] == grade.TOO_FEW
    assert words[-1] == grade.VERY_CLOSE


def test_the_share_hardly_moves() -> None:
    shares = [np.mean([said(1.0, count, seed=seed)[1] for seed in range(4)]) for count in COUNTS]
    assert max(shares) < 1.25 * min(shares)


def test_an_unknown_noise_is_taken_for_a_quarter_of_the_floor() -> None:
    assert grade.words(2.0, floor=2.0, variance=100.0) == grade.TOO_FEW
    assert grade.words(0.2, floor=0.2, variance=100.0) == grade.VERY_CLOSE
    assert grade.words(60.0, floor=2.0, variance=100.0, noise=0.0) == grade.VERY_FAR
