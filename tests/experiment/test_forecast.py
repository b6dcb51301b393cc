"""Forecasts: what stored curves give, what they do not pretend to know, and how `--plan` says it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from gansmith import recipes
from gansmith.cli import main
from gansmith.experiment import forecast

HOUSE = recipes.get("house")


def curve(noise: float, steps: tuple[int, ...] = (200, 400, 800, 1600)) -> list[tuple[int, float]]:
    """A distance that falls as 1 / steps, a factor off."""
    return [(at, 1600 / at * math.exp(noise)) for at in steps]


def test_a_straight_fall_is_forecast_between_its_points() -> None:
    found = forecast.predict([curve(-0.1), curve(0.1)], 600)
    assert found is not None
    assert found.middle == pytest.approx(1600 / 600, rel=0.02)
    assert found.low < found.middle < found.high
    assert found.high / found.middle == pytest.approx(math.exp(forecast.EIGHT_OF_TEN * forecast.LEAST_SPREAD))


def test_eight_of_ten_new_runs_lie_inside() -> None:
    random = np.random.default_rng(0)
    inside = []
    for _ in range(200):
        found = forecast.predict([curve(random.normal() * 0.5) for _ in range(8)], 1000)
        assert found is not None
        inside.append(found.low <= 1.6 * math.exp(random.normal() * 0.5) <= found.high)
    assert 0.7 <= np.mean(inside) <= 0.9


def test_what_was_not_tried_is_not_known() -> None:
    curves = [curve(0.0)]
    beyond = forecast.predict(curves, 2200)
    assert beyond is not None
    assert beyond.middle == pytest.approx(1.0)  # more time is not said to bring more than was seen
    assert forecast.predict(curves, 2600) is None
    assert forecast.predict(curves, 100) is None
    assert forecast.predict([], 100) is None
    assert forecast.forecast(HOUSE.override({"generator.width": 0.5}), "mnist", 1600) is None
    assert forecast.forecast(HOUSE, "no such data", 1600) is None
    assert forecast.as_published(HOUSE.override(steps=7, kinds=30, conditional="projection", classes=10))


def test_the_stored_curves_are_of_recipes_and_measure_what_can_be() -> None:
    for name, curves in forecast.stored().items():
        assert name.split(", ")[0] in recipes.names()
        for each in curves:
            assert each == sorted(each)
            assert each[0][0] > 0.1 * each[-1][0], "rates still warm up"
            assert all(step > 0 and 0 < distance < 1e4 for step, distance in each)


def test_a_plan_trains_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "mnist", "--recipe", "mlp", "--steps", "300", "--out", str(tmp_path / "runs"), "--plan"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "images     19,200, about 0.32 passes over the data" in said
    assert "expected" not in said  # no runs of mlp are stored
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["steps"], document["images"], document["expected"]) == (300, 19_200, None)
    assert not (tmp_path / "runs").exists()
