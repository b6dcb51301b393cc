"""Captured steps do the arithmetic of eager ones. A GPU captures them; without one, the halves are simply run again."""

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
from gansmith.training.cuda_graph import WARM_UP, CapturedStep, Work, capture
from gansmith.training.parallel import ALONE
from gansmith.training.step import TrainState, step
from helpers import ARTICLES

CPU = torch.device("cpu")
CHANGES: dict[str, Any] = {"generator.width": 0.1, "discriminator.width": 0.1, "batch_size": 8}


def run_again(works: Sequence[Work], device: torch.device, precision: str) -> list[Work]:
    """What :func:`capture` does, but for capturing."""

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


def everything(state: TrainState) -> list[torch.Tensor]:
    networks = [state.generator.state_dict(), state.discriminator.state_dict()]
    optimizers = [optim.state_of(state.generator_optimizer), optim.state_of(state.discriminator_optimizer)]
    return [value.clone() for each in (*networks, *optimizers) for value in each.values()]


def after(recipe: Recipe, precision: str, device: torch.device, *, capture: Any) -> list[torch.Tensor]:
    """All that moves after six steps, and the last output; without ``capture``, by eager steps."""
    state = loop.new_state(recipe, seed=0, device=device)
    advance = (
        CapturedStep(state, recipe, precision, device, capture)
        if capture
        else loop.stepper(state, recipe, precision=precision, fast=False)
    )
    count, state.length = recipe.batch_images, 6
    images = torch.rand(6, count, 1, 28, 28, generator=torch.Generator().manual_seed(1)).to(device)
    labels = torch.arange(6 * count, device=device).reshape(6, count) // recipe.pack % max(1, recipe.conditions)
    for number, real in enumerate(images):
        torch.manual_seed(number)
        output = advance(real, labels[number] if recipe.labelled else None)
    assert state.step == 6
    seen = [output.discriminator_loss, output.generator_loss, output.discriminator_accuracy, output.fake]
    return [*everything(state), *seen]


CASES = [(name, {}) for name in (*ARTICLES, "dcgan", "infogan", "sngan")]
CASES += [("mlp-bn", {"conditional": head}) for head in ("projection", "auxiliary")]
CASES += [("mlp", {"discriminator_optimizer": {"kind": "rmsprop", "clip_value": 0.01}})]
CASES += [("house", {"kinds": 4}), ("house", {"kinds": 4, "one_pass": False, "penalty.every": 2}), ("r3gan", {})]
CASES += [("wgan-gp", {"discriminator_updates": 3}), ("mlp-bn", {"generator_updates": 2})]
CASES += [("deconv", {"penalty": {"kind": "r1", "gamma": 0.1, "every": 3}})]  # and one pass of G serves both updates


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("name", "more"), CASES)
def test_a_replayed_step_is_a_step(name: str, more: dict[str, Any], precision: str) -> None:
    recipe = small(name, **more)
    plain, replayed = (after(recipe, precision, CPU, capture=how) for how in (None, run_again))
    assert all(torch.equal(a, b) for a, b in zip(plain, replayed, strict=True))


@pytest.mark.parametrize(("name", "more"), [("house", {"kinds": 4}), CASES[-1]])
def test_a_replay_hands_over_what_its_own_graph_wrote(
    name: str, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph writes where it wrote when it was captured, and moves no attribute of a weight."""
    recipe = small(name, **more)
    expected, state = after(recipe, "fp32", CPU, capture=None), loop.new_state(recipe, seed=0, device=CPU)
    monkeypatch.setattr(loop, "new_state", lambda *arguments, **named: state)
    weights = [*state.generator.parameters(), *state.discriminator.parameters()]

    def as_graphs(works: Sequence[Work], device: torch.device, precision: str) -> list[Work]:
        written = []
        for work in works:
            work()
            written.append([weight.grad for weight in weights])
        monkeypatch.setattr(CapturedStep, "_note", lambda *arguments: None)

        def replay(number: int) -> None:
            before = [weight.grad for weight in weights]
            works[number]()
            for weight, place, old in zip(weights, written[number], before, strict=True):
                if weight.grad is not None and weight.grad is not old and place is not None:
                    place.copy_(weight.grad)
                weight.grad = old

        return [partial(replay, number) for number in range(len(works))]

    replayed = after(recipe, "fp32", CPU, capture=as_graphs)
    assert all(torch.equal(a, b) for a, b in zip(expected, replayed, strict=True))


def test_capturing_leaves_the_state_as_it_was() -> None:
    recipe = small("mlp-bn")
    state = loop.new_state(recipe, seed=0, device=CPU)
    before = everything(state)
    CapturedStep(state, recipe, "fp32", CPU, run_again)
    assert state.step == 0
    assert all(torch.equal(a, b) for a, b in zip(before, everything(state), strict=True))


def test_the_state_survives_a_capture_that_fails() -> None:
    def fails_halfway(works: Sequence[Work], device: torch.device, precision: str) -> list[Work]:
        works[0]()
        state.generator.eval()
        state.discriminator.requires_grad_(False)
        raise RuntimeError("operation failed due to a previous error during capture")

    recipe, ends = small("mlp-bn"), []
    for fails in (False, True):
        state = loop.new_state(recipe, seed=0, device=CPU)
        if fails:
            with pytest.raises(RuntimeError, match="previous error"):
                CapturedStep(state, recipe, "fp32", CPU, fails_halfway)
        torch.manual_seed(0)
        step(state, recipe, torch.ones(8, 1, 28, 28))
        ends.append(everything(state))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_a_step_that_cannot_be_captured_runs_eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(loop, "CapturedStep", fails)
    recipe = small("mlp")
    parameter = SimpleNamespace(device=torch.device("cuda"))
    state: Any = SimpleNamespace(generator=SimpleNamespace(parameters=lambda: iter([parameter])), group=ALONE)
    with pytest.warns(UserWarning, match=r"running eagerly \(operation not permitted when stream is capturing\)"):
        assert callable(loop.stepper(state, recipe, precision="fp32"))


class Crossings(TorchDispatchMode):
    """Notes what reads or writes an array of the host's, or waits for a number: none of it can be captured."""

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
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *arguments: False)
    recipe, device, crossings = small(name, **more), torch.device("meta"), Crossings()
    state = loop.new_state(recipe, seed=0, device=device)

    def watched(works: Sequence[Work], device: torch.device, precision: str) -> list[Work]:
        for work in works:  # makes what is kept
            work()
        with crossings:
            for work in works:
                work()
        return list(works)

    CapturedStep(state, recipe, "fp32", device, watched)
    assert crossings.found == []
    with crossings:
        torch.empty(8, 1, 28, 28, device=device).copy_(torch.zeros(8, 1, 28, 28))
    assert crossings.found


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("name", "more"), CASES)
def test_a_gpu_captures_and_replays(name: str, more: dict[str, Any], precision: str) -> None:
    device = torch.device("cuda")
    torch.backends.cudnn.deterministic = True
    recipe = small(name, **more)
    plain, replayed = (after(recipe, precision, device, capture=how) for how in (None, capture))
    for found, expected in zip(replayed, plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpus_replays_call_little() -> None:
    """The updates are all that is still called one by one: a sixth of `mlp-bn`'s step on a CPU."""
    device, recipe = torch.device("cuda"), small("mlp-bn")
    state = loop.new_state(recipe, seed=0, device=device)
    real = torch.rand(8, 1, 28, 28, device=device)
    calls = []
    for advance in (partial(step, state, recipe), CapturedStep(state, recipe, "fp32", device)):
        advance(real)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
            advance(real)
        calls.append(sum(event.count for event in profiled.key_averages() if event.key.startswith("aten::")))
    assert calls[1] < calls[0] / 3
