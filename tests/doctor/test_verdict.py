"""The verdict: near real, healthy, learning, too early to say, or problems, by what was measured of the images."""

from dataclasses import replace

import pytest
from signal_rows import SICK, Row, healthy, sick

from gansmith import doctor, recipes
from gansmith.doctor import Facts
from gansmith.doctor.verdict import ENOUGH, Quality, Verdict, conclude

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
FAR = Quality("FD-control@6b250b", 134.3, 3.819, 175, 600)
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


def measured(times: float, samples: int = 2000) -> Quality:
    """A distance of so many times its floor."""
    return Quality("FD-mnist@b0dc9d", 0.25 * times, 0.25, samples, 600)


@pytest.mark.parametrize("quality", [FAR, None])
def test_confetti_is_learning_not_healthy(quality: Quality | None) -> None:
    said = verdict(confetti(), quality, ICONS)
    assert said.word == "learning"
    assert "neighbouring pixels differ 5.4 x as much" in said.reason
    assert ("FD-control@6b250b 134 at step 600, 35 x" in said.reason) is (quality is not None)


def test_four_rows_after_warming_up_are_too_few() -> None:
    assert verdict(confetti(5), FAR, ICONS).word == "too early to say"


def test_rows_before_the_warm_up_do_not_count() -> None:
    signals = healthy(every=100)[1]
    warm = int(MLP.warm_up // 100)
    assert verdict(signals[: warm + ENOUGH - 1]).word == "too early to say"
    assert verdict(signals[: warm + ENOUGH]).word == "healthy"


@pytest.mark.parametrize(
    ("times", "word"), [(1.0, "near real"), (5.9, "near real"), (6.1, "healthy"), (59, "healthy"), (61, "learning")]
)
def test_a_measured_distance_grades_what_shows_no_problem(times: float, word: str) -> None:
    said = verdict(healthy()[1], measured(times))
    assert said.word == word
    assert "FD-mnist@b0dc9d" in said.reason


def test_near_real_is_said_of_measured_distances_only() -> None:
    assert verdict(healthy()[1]).word == "healthy"


@pytest.mark.parametrize("samples", [200, 2000, 10_000])
def test_the_number_of_samples_does_not_change_the_verdict(samples: int) -> None:
    for distance, word in ((0.3, "near real"), (5.0, "healthy"), (40.0, "learning")):  # beyond the bias of few samples
        bias = 500 / samples
        quality = Quality("FD-mnist@b0dc9d", distance + bias, bias, samples, 600)
        assert verdict(healthy()[1], quality).word == word


@pytest.mark.parametrize(("signal", "value"), [("gap", 0.07), ("total_variation", 2.5), ("high_frequency", 5.5)])
def test_one_signal_far_from_real_is_enough_for_learning(signal: str, value: float) -> None:
    falling = {signal: lambda row: value * (1 + 2 * 0.9**row), "gap": lambda row: 0.05 + 2 * 0.9**row}
    if signal == "gap":
        falling["gap"] = lambda row: value + 2 * 0.8**row
    said = verdict(sick(falling)[1][:30], measured(3))
    assert said.word == "learning"


def test_problems_come_first() -> None:
    metrics, signals = sick(SICK["total collapse"])
    said = verdict(signals, measured(1), metrics=metrics)
    assert (said.word, said.reason) == ("problems found", "total collapse")
    assert verdict(confetti(1), facts=replace(ICONS, diverged=True)).word == "problems found"


def test_without_images_nothing_is_known() -> None:
    metrics = healthy()[0]
    assert verdict([], metrics=metrics).word == "not known"
    assert verdict([], measured(3), metrics=metrics).word == "near real"
    assert verdict([]).word == "too early to say"
