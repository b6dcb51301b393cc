"""Recorded steps: the same arithmetic as plain ones. A GPU records them; without one, works are simply run again."""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gansmith import recipes
from gansmith.recipe import Recipe
from gansmith.training import loop, optim
from gansmith.training.cuda_graph import WARM_UP, Replay, Work, record
from gansmith.training.step import Players, step, teach_discriminator, teach_generator

CPU = torch.device("cpu")
CHANGES: dict[str, Any] = {"generator.width": 0.1, "discriminator.width": 0.1, "batch_size": 8}


def run_again(works: Sequence[Work], device: torch.device, precision: str) -> list[Work]:
    """What a recorder does, but for recording."""

    def under_autocast(work: Work) -> Work:
        def run() -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                work()

        return run

    runs = [under_autocast(work) for work in works]
    for _ in range(WARM_UP):
        for run in runs:
            run()
    return runs


def small(name: str, **more: Any) -> Recipe:
    recipe = recipes.get(name).override({**CHANGES, **more})
    return recipe.override(classes=10) if recipe.conditional != "none" else recipe


def everything(players: Players) -> list[torch.Tensor]:
    networks = [players.generator.state_dict(), players.discriminator.state_dict()]
    optimizers = [optim.state_of(players.generator_optimizer), optim.state_of(players.discriminator_optimizer)]
    return [value.clone() for each in (*networks, *optimizers) for value in each.values()]


def after(recipe: Recipe, precision: str, device: torch.device, *, recorder: Any) -> list[torch.Tensor]:
    """All that moves after four steps, and the last outcome; without a recorder, by plain steps."""
    players = loop.new_players(recipe, seed=0, device=device)
    replay = Replay(players, recipe, precision, device, recorder) if recorder else None
    images = torch.rand(4, 8, 1, 28, 28, generator=torch.Generator().manual_seed(1)).to(device)
    labels = torch.arange(32, device=device).reshape(4, 8) % 10 if recipe.classes else None
    for number, real in enumerate(images):
        torch.manual_seed(number)
        known = None if labels is None else labels[number]
        if replay is not None:
            outcome = replay(real, known)
            continue
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            outcome = step(players, recipe, real, known)
    assert players.step == 4
    seen = [outcome.discriminator_loss, outcome.generator_loss, outcome.discriminator_accuracy, outcome.fake]
    return [*everything(players), *seen]


CASES = [(name, {}) for name in recipes.names()]
CASES += [("mlp-bn", {"conditional": head}) for head in ("projection", "auxiliary")]
CASES += [("mlp", {"discriminator_optimizer": {"kind": "rmsprop", "clip_value": 0.01}})]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("name", "more"), CASES)
def test_a_replayed_step_is_a_step(name: str, more: dict[str, Any], precision: str) -> None:
    recipe = small(name, **more)
    plain, replayed = (after(recipe, precision, CPU, recorder=recorder) for recorder in (None, run_again))
    assert all(torch.equal(a, b) for a, b in zip(plain, replayed, strict=True))


def test_recording_leaves_the_players_as_they_were() -> None:
    recipe = small("mlp-bn")
    players = loop.new_players(recipe, seed=0, device=CPU)
    before = everything(players)
    Replay(players, recipe, "fp32", CPU, run_again)
    assert players.step == 0
    assert all(torch.equal(a, b) for a, b in zip(before, everything(players), strict=True))


def test_players_survive_a_recording_that_fails() -> None:
    def fails_halfway(works: Sequence[Work], device: torch.device, precision: str) -> list[Work]:
        works[0]()
        players.generator.eval()
        players.discriminator.requires_grad_(False)
        raise RuntimeError("operation failed due to a previous error during capture")

    recipe, ends = small("mlp-bn"), []
    for fails in (False, True):
        players = loop.new_players(recipe, seed=0, device=CPU)
        if fails:
            with pytest.raises(RuntimeError, match="previous error"):
                Replay(players, recipe, "fp32", CPU, fails_halfway)
        torch.manual_seed(0)
        step(players, recipe, torch.ones(8, 1, 28, 28))
        ends.append(everything(players))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_a_step_that_cannot_be_recorded_is_made_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(loop, "Replay", fails)
    recipe = small("mlp")
    parameter = SimpleNamespace(device=torch.device("cuda"))
    players: Any = SimpleNamespace(generator=SimpleNamespace(parameters=lambda: iter([parameter])))
    with pytest.warns(
        UserWarning, match=r"could not be recorded.*\(operation not permitted when stream is capturing\)"
    ):
        assert callable(loop.stepper(players, recipe, precision="fp32"))


class Crossings(TorchDispatchMode):
    """Notes what reads or writes an array of the host's, or waits for a number: none of it can be recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = call(*args, **(kwargs or {}))
        tensors = [each for each in tree_leaves((args, kwargs, result)) if isinstance(each, torch.Tensor)]
        if any(tensor.dim() and tensor.device.type == "cpu" for tensor in tensors):
            self.found.append(str(call))
        return result


@pytest.mark.parametrize(("name", "more"), CASES)
def test_nothing_of_a_step_crosses_to_the_host(
    name: str, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the device that computes nothing, and so raises where a number is read; as a GPU, it is not the CPU."""
    monkeypatch.setattr(torch, "autocast", lambda *arguments, **named: nullcontext())  # which it does not know
    recipe, device = small(name, **more), torch.device("meta")
    players = loop.new_players(recipe, seed=0, device=device)
    real = torch.empty(8, 1, 28, 28, device=device)
    labels = torch.empty(8, dtype=torch.long, device=device) if recipe.classes else None
    teach_generator(players, recipe, teach_discriminator(players, recipe, real, labels))  # makes what is kept
    with Crossings() as crossings:
        teach_generator(players, recipe, teach_discriminator(players, recipe, real, labels))
    assert crossings.found == []
    with crossings:
        real.copy_(torch.zeros(8, 1, 28, 28))
    assert crossings.found


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("name", "more"), CASES)
def test_a_gpu_records_and_replays(name: str, more: dict[str, Any], precision: str) -> None:
    device = torch.device("cuda")
    torch.backends.cudnn.deterministic = True
    recipe = small(name, **more)
    plain, replayed = (after(recipe, precision, device, recorder=recorder) for recorder in (None, record))
    for found, expected in zip(replayed, plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpus_replays_call_little() -> None:
    """The updates are all that is still called one by one: a sixth of `mlp-bn`'s step on a CPU."""
    device, recipe = torch.device("cuda"), small("mlp-bn")
    players = loop.new_players(recipe, seed=0, device=device)
    real = torch.rand(8, 1, 28, 28, device=device)
    calls = []
    for advance in (partial(step, players, recipe), Replay(players, recipe, "fp32", device)):
        advance(real)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
            advance(real)
        calls.append(sum(event.count for event in profiled.key_averages() if event.key.startswith("aten::")))
    assert calls[1] < calls[0] / 3
