"""Losses, penalties, augmentations and steps of the user's own: the same as ours where they compute the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import gansmith as gs
from gansmith import data, own
from gansmith.errors import UserError
from gansmith.training import augment, loop, penalties
from gansmith.training.step import step

SMALL = {"generator.width": 0.1, "discriminator.width": 0.1, "batch_size": 8, "steps": 4}


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    images = data.load("mnist").take(range(64))
    return data.from_arrays(images, np.arange(64) % 2)


def trained(recipe: gs.Recipe, digits: data.Dataset, steps: int = 3) -> list[Tensor]:
    """The weights of both players after some steps."""
    device = torch.device("cpu")
    with torch.random.fork_rng():
        state = loop.new_state(recipe, seed=0, device=device)
        advance = loop.stepper(state, recipe, precision="fp32")
        batches = data.Batches(digits, recipe.batch_images, seed=0)
        for _ in range(steps):
            loop.seed_all(loop.stream(0, state.step), device)
            advance(*loop.batch_at(batches, state.step, recipe, device))
    assert state.step == steps
    return [*state.generator.parameters(), *state.discriminator.parameters()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_loss_that_is_ours_trains_as_ours(digits: data.Dataset) -> None:
    @own.loss("my-hinge")
    def hinge(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2, -fake.mean()

    @own.loss("my-pairs", paired=True)
    def pairs(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        return F.softplus(fake - real).mean(), F.softplus(real - fake).mean()

    for name, ours in (("my-hinge", "hinge"), ("my-pairs", "relativistic")):
        base = gs.recipes.get("mlp").override(SMALL)
        mine, theirs = trained(base.override(loss=name), digits), trained(base.override(loss=ours), digits)
        assert same(mine, theirs)
        assert not same(mine, trained(base, digits))


def test_a_penalty_that_is_ours_trains_as_ours(digits: data.Dataset) -> None:
    @own.penalty("my-r1-r2")
    def both(discriminate: penalties.Answer, real: Tensor, fake: Tensor) -> Tensor:
        images = torch.cat([real, fake]).requires_grad_()
        return penalties.zero_centred(penalties.slope(discriminate(images), images), len(real))

    @own.penalty("my-r1")
    def r1(discriminate: penalties.Answer, real: Tensor, fake: Tensor) -> Tensor:
        images = real.clone().requires_grad_()
        return penalties.zero_centred(penalties.slope(discriminate(images), images), len(real))

    told = gs.recipes.get("mlp").override(SMALL, conditional="projection", classes=2)
    for base in (gs.recipes.get("mlp").override(SMALL), told):
        for name, ours in (("my-r1-r2", "r1-r2"), ("my-r1", "r1")):
            numbers = {"gamma": 3.0, "every": 2, "share": 0.5}
            mine = trained(base.override(penalty={"kind": name, **numbers}), digits)
            assert same(mine, trained(base.override(penalty={"kind": ours, **numbers}), digits))
            assert not same(mine, trained(base, digits))


def test_an_augmentation_that_is_ours_trains_as_ours(digits: data.Dataset) -> None:
    @own.augmentation("my-shift")
    def shift(images: Tensor) -> Tensor:
        return augment.shifted(images, 0.1)

    base = gs.recipes.get("mlp").override(SMALL)
    mine = trained(base.override({"augment.own": "my-shift"}), digits)
    assert same(mine, trained(base.override({"augment.shift": 0.1}), digits))
    assert not same(mine, trained(base, digits))


def test_a_step_that_is_ours_trains_as_ours(digits: data.Dataset) -> None:
    def uncounted(
        state: own.TrainState, recipe: gs.Recipe, real: Tensor, labels: Tensor | None = None
    ) -> own.StepOutput:
        first = own.discriminator_gradients(state, recipe, real, labels)
        own.update_discriminator(state, recipe)
        output = own.generator_gradients(state, recipe, first, labels, real=real)
        own.update_generator(state, recipe)
        return output

    base = gs.recipes.get("mlp-bn").override(SMALL, average={"half_life": 20})
    for number, each in enumerate((uncounted, step)):
        recipe = own.recipe(f"stepped-{number}", base=base, step=each)(lambda recipe: None)
        assert same(trained(recipe, digits), trained(base, digits))


def test_a_step_that_gives_no_output(digits: data.Dataset, tmp_path: Path) -> None:
    recipe = own.recipe("silent", base="mlp", step=lambda *given: None)(lambda recipe: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(UserError, match="its step returns NoneType; return a StepOutput"):
        gs.train(digits, recipe=recipe, steps=1, out=tmp_path)


def test_a_step_that_raises_is_named_by_its_line(digits: data.Dataset, tmp_path: Path) -> None:
    begun: list[Any] = []

    def late(state: own.TrainState, recipe: gs.Recipe, real: Tensor, labels: Tensor | None = None) -> own.StepOutput:
        return step(state, recipe, real, begun[0]["labels"] if begun else labels)

    at = late.__code__.co_firstlineno + 1
    options = {"evaluate_every": 0, "signals_every": 0, "out": tmp_path, "overrides": SMALL, "progress": False}
    for how in ("before training starts", "while it trains"):
        trying = [{}] if how.startswith("before") else []
        begun[:] = trying
        recipe = own.recipe("late", base="mlp", step=late)(lambda recipe: None)
        with pytest.raises(UserError, match=rf"test_parts\.py, line {at}: KeyError: 'labels'$") as caught:
            gs.train(digits, recipe=recipe, observers=[lambda event: begun.append({})], **options)
        assert len(getattr(caught.value, "details", "").splitlines()) <= 4, "its traceback is that of the file alone"
        assert bool(list(tmp_path.iterdir())) == (how == "while it trains")


@pytest.mark.parametrize("given", [3, lambda state, recipe, real: None])
def test_a_step_that_cannot_be_called_is_refused(given: Any) -> None:
    with pytest.raises(UserError, match=r"its step .*; give a function of \(state, recipe, real, labels\)"):
        own.recipe("uncalled", base="mlp", step=given)(lambda recipe: None)


def test_one_pass_is_given_up_for_losses_and_penalties_of_ones_own() -> None:
    own.loss("other")(lambda real, fake: (real.mean(), fake.mean()))
    recipe = own.recipe("unlike-house", loss="other")(lambda recipe: None)
    assert gs.recipes.get("house").one_pass
    assert not recipe.one_pass
    with pytest.raises(UserError, match="one_pass: goes with the losses and penalties that come with gansmith"):
        recipe.override(one_pass=True)


Wrong = Callable[..., Any]


@pytest.mark.parametrize(
    ("register", "field", "function", "said"),
    [
        (own.loss, "loss", lambda real, fake: real.mean(), "loss wrong: return two losses"),
        (own.loss, "loss", lambda real, fake: (real, fake.mean()), r"that of the discriminator is a tensor \(4, 1\)"),
        (own.loss, "loss", lambda real, fake: (real.mean(), 1.0), "that of the generator is float"),
        (own.loss, "loss", lambda real, fake: (real.mean(), fake.detach().mean()), "no gradient flows"),
        (own.loss, "loss", lambda real, fake: ((real - fake).mean(), real.mean()), "must depend on the logits of its"),
        (own.loss, "loss", lambda real, fake: (real.log().mean(), fake.mean()), "discriminator is nan of ordinary"),
        (own.loss, "loss", lambda real, fake: real @ fake, "RuntimeError: mat1 and mat2"),
        (own.penalty, "penalty.kind", lambda d, real, fake: d(real), r"penalty wrong is a tensor \(4, 1\)"),
        (own.augmentation, "augment.own", lambda images: images[:2], r"gives \(2, 1, 28, 28\) of torch"),
        (own.augmentation, "augment.own", lambda images: images.double(), "return what it is given"),
        (own.augmentation, "augment.own", lambda images: images.detach(), "no gradient flows through it"),
    ],
)
def test_what_does_not_give_what_it_must(
    register: Any, field: str, function: Wrong, said: str, digits: data.Dataset, tmp_path: Path
) -> None:
    register("wrong")(function)
    with pytest.raises(UserError, match=said):
        gs.train(digits, recipe="mlp", overrides={field: "wrong"}, steps=1, out=tmp_path)


@pytest.mark.parametrize("field", ["loss", "penalty.kind", "augment.own"])
def test_unknown_names_are_refused(field: str) -> None:
    with pytest.raises(UserError, match=f"{field} = 'nonsense'"):
        gs.recipes.get("mlp").override({field: "nonsense"})
    with pytest.raises(UserError, match="comes with gansmith"):
        own.loss("hinge")(lambda real, fake: (real, fake))
