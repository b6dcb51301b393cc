"""The verdict: near real, healthy, learning, too early to say, or problems, by what was measured of the images."""

from dataclasses import replace

import pytest
from signal_rows import SICK, Row, healthy, sick

from gansmith import doctor, recipes
from gansmith.doctor import Facts
from gansmith.doctor.verdict import ENOUGH, Verdict, conclude
from gansmith.runs.quality import Quality

COLUMNS = (
    "step",
    "distance",
    "sensitivity",
    "gap",
    "contrast",
    "white",
    "greys",
    "total_variation",
    "high_frequency",
    "checkerboard",
    "logit_spread",
    "logit_fake",
    "generator_gradient",
)
CONFETTI = (
    (100, 1.86, 1.9, 1.21, 1.78, -0.262, 1.26, 7.68, 8.26, 1.38, 0.112, 0.136, 0.123),
    (200, 1.78, 1.81, 1.09, 1.7, -0.29, 1.32, 7.42, 8.49, 1.37, 0.104, 0.181, 0.0778),
    (300, 1.73, 1.77, 0.914, 1.66, -0.304, 1.36, 7.11, 8.18, 1.28, 0.162, 0.263, 0.0668),
    (400, 1.72, 1.71, 0.72, 1.64, -0.306, 1.37, 6.79, 8.38, 1.3, 0.14, 0.0818, 0.0794),
    (500, 1.65, 1.63, 0.395, 1.6, -0.308, 1.37, 5.44, 8.47, 1.47, 0.0487, -0.345, 0.085),
    (600, 1.55, 1.53, 0.274, 1.57, -0.298, 1.35, 4.53, 7.92, 1.57, 0.0723, -0.0881, 0.0565),
)
"""Signals of `mlp-bn` after 100 to 600 steps on 356 colour icons of 32 x 32: coloured noise, still getting better."""
FAR = Quality("FD-control@6b250b", 134.3, 3.819, 175, 600, variance=150.0)
"""Measured of the same run at its end."""
ICONS = Facts(recipes.get("mlp-bn"), steps=600, pixel_std=0.35)
MLP = Facts(recipes.get("mlp"), steps=10_000, labelled=True, pixel_std=0.3)


def confetti(count: int = len(CONFETTI)) -> list[Row]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in CONFETTI[:count]]


def verdict(
    signals: list[Row], quality: Quality | None = None, facts: Facts = MLP, metrics: list[Row] | None = None
) -> Verdict:
    table = doctor.tabulate(metrics or [], signals)
    return conclude(table, facts, doctor.findings(table, facts), quality)


def measured(beyond: float, samples: int = 2000) -> Quality:
    """A distance so far beyond real images, as a share of their variance."""
    bias = 500 / samples
    return Quality("FD-mnist@b0dc9d", bias + 97 * beyond, bias, samples, 600, variance=97.0, noise=0.05 * bias)


@pytest.mark.parametrize("quality", [FAR, None])
def test_confetti_is_learning_not_healthy(quality: Quality | None) -> None:
    said = verdict(confetti(), quality, ICONS)
    assert said.word == "learning"
    assert "neighbouring pixels differ 5.4 x as much" in said.reason
    assert ("FD-control@6b250b 134 at step 600, where as many" in said.reason) is (quality is not None)


def test_four_rows_after_warming_up_are_too_few() -> None:
    assert verdict(confetti(5), FAR, ICONS).word == "too early to say"


def test_rows_before_the_warm_up_do_not_count() -> None:
    signals = healthy(every=100)[1]
    warm = int(MLP.warm_up // 100)
    assert verdict(signals[: warm + ENOUGH - 1]).word == "too early to say"
    assert verdict(signals[: warm + ENOUGH]).word == "healthy"


@pytest.mark.parametrize(
    ("beyond", "word"),
    [(0.0, "near real"), (0.009, "near real"), (0.011, "healthy"), (0.09, "healthy"), (0.11, "learning")],
)
@pytest.mark.parametrize("samples", [500, 2000, 10_000])
def test_a_measured_distance_grades_what_shows_no_problem(beyond: float, word: str, samples: int) -> None:
    said = verdict(healthy()[1], measured(beyond, samples))
    assert said.word == word
    assert "FD-mnist@b0dc9d" in said.reason


def test_near_real_is_said_of_measured_distances_only() -> None:
    assert verdict(healthy()[1]).word == "healthy"


def test_too_few_samples_are_not_near_real() -> None:
    quality = Quality("FD-mnist@b0dc9d", 2.6, 2.6, 200, 600, variance=97.0, noise=0.7)
    assert quality.words == "too few images to tell"
    assert verdict(healthy()[1], quality).word == "healthy"


def test_what_an_earlier_version_measured_is_learning_or_healthy_by_its_floor() -> None:
    for times, word in ((1.0, "healthy"), (59, "healthy"), (61, "learning")):
        quality = Quality("FD-mnist@b0dc9d", 0.25 * times, 0.25, 2000, 600)
        assert (quality.words, verdict(healthy()[1], quality).word) == ("", word)


@pytest.mark.parametrize(("signal", "value"), [("gap", 0.07), ("total_variation", 2.5), ("high_frequency", 5.5)])
def test_one_signal_far_from_real_is_enough_for_learning(signal: str, value: float) -> None:
    falling = {signal: lambda row: value * (1 + 2 * 0.9**row), "gap": lambda row: 0.05 + 2 * 0.9**row}
    if signal == "gap":
        falling["gap"] = lambda row: value + 2 * 0.8**row
    said = verdict(sick(falling)[1][:30], measured(0.005))
    assert said.word == "learning"


def test_problems_come_first() -> None:
    metrics, signals = sick(SICK["total collapse"])
    said = verdict(signals, measured(0), metrics=metrics)
    assert (said.word, said.reason) == ("problems found", "total collapse")
    assert verdict(confetti(1), facts=replace(ICONS, diverged=True)).word == "problems found"


def test_without_images_nothing_is_known() -> None:
    metrics = healthy()[0]
    assert verdict([], metrics=metrics).word == "not known"
    assert verdict([], measured(0.005), metrics=metrics).word == "near real"
    assert verdict([]).word == "too early to say"
