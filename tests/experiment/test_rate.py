"""How long a step takes is measured before a training, and tells what fits its time."""

from types import SimpleNamespace

import pytest
import torch

from gansmith import hardware, recipes
from gansmith.experiment import beginning


@pytest.mark.parametrize(
    ("first", "later", "expected", "steps", "calls"),
    [(3.0, 0.02, 0.02, None, 17), (0.01, 0.1, 0.1, 1000, 4), (0.01, 0.02, 0.02, 30, 4)],
)
def test_a_first_step_that_compiles_is_not_the_rate_and_a_short_training_is_timed_briefly(
    monkeypatch: pytest.MonkeyPatch, first: float, later: float, expected: float, steps: int | None, calls: int
) -> None:
    now, made = [0.0], []

    def advance(*_: object) -> SimpleNamespace:
        now[0] += later if made else first
        made.append(now[0])
        return SimpleNamespace(generator_loss=torch.tensor(0.0))

    monkeypatch.setattr(beginning.loop, "stepper", lambda *_, **__: advance)
    monkeypatch.setattr(beginning.time, "perf_counter", lambda: now[0])
    recipe = recipes.get("mlp").override(batch_size=2)
    assert beginning.time_step(recipe, hardware.choose("cpu", "fp32", 1, gflop=0.1), steps) == pytest.approx(expected)
    assert abs(len(made) - calls) <= 1


def test_steps_with_a_penalty_count_as_often_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    now, made = [0.0], []

    def advance(*_: object) -> SimpleNamespace:
        now[0] += 0.02 if len(made) % 4 else 0.06
        made.append(now[0])
        return SimpleNamespace(generator_loss=torch.tensor(0.0))

    monkeypatch.setattr(beginning.loop, "stepper", lambda *_, **__: advance)
    monkeypatch.setattr(beginning.time, "perf_counter", lambda: now[0])
    recipe = recipes.get("house").override(kinds=4)
    assert beginning.time_step(recipe, hardware.choose("cpu", "fp32", 1, gflop=0.1)) == pytest.approx(0.03)
