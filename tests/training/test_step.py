"""The method: losses against closed forms, optimisers against Keras' equations, and which network learns when."""

import math

import pytest
import torch
from torch import nn

from gansmith import recipes
from gansmith.recipe import Optimizer, Recipe
from gansmith.training import loop, losses, optim
from gansmith.training import step as method
from gansmith.training.step import (
    TrainState,
    discriminator_gradients,
    generator_gradients,
    sample_latents,
    step,
    update_discriminator,
    update_generator,
)
from helpers import ARTICLES

CPU = torch.device("cpu")


def test_losses_at_known_logits() -> None:
    zero = torch.zeros(4, 1)
    assert losses.discriminator_loss(zero, zero).item() == pytest.approx(math.log(2))
    assert losses.discriminator_loss(zero, zero, reduction="sum").item() == pytest.approx(2 * math.log(2))
    assert losses.generator_loss(zero).item() == pytest.approx(math.log(2))
    sure = torch.full((4, 1), 100.0)
    assert losses.discriminator_loss(sure, -sure).item() == pytest.approx(0)
    assert losses.generator_loss(-sure).item() == pytest.approx(100)
    best = torch.full((4, 1), math.log(9.0))  # where D(x) = 0.9
    smooth = losses.discriminator_loss(best, -sure, real_label=0.9, reduction="sum").item()
    assert smooth == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1), rel=1e-5)


def test_accuracies_count_sides() -> None:
    real, fake = torch.tensor([1.0, 1, -1, 1]), torch.tensor([-1.0, -1, 1, 1])
    assert losses.discriminator_accuracy(real, fake).item() == pytest.approx((0.75 + 0.5) / 2)
    assert losses.generator_accuracy(fake).item() == 0.5


@pytest.mark.parametrize("kind", ["adam", "rmsprop"])
def test_optimisers_follow_keras_equations(kind: str) -> None:
    numbers = Optimizer(kind=kind, lr=0.01, beta2=0.9, eps=1e-3, clip_value=0.5, decay=0.1)  # large eps shows
    torch.manual_seed(0)
    parameter = nn.Parameter(torch.randn(50, dtype=torch.float64))
    optimizer = optim.build([parameter], numbers)
    value, m, v = parameter.detach().clone(), torch.zeros(50).double(), torch.zeros(50).double()
    for index in range(6):
        gradient = torch.randn(50, dtype=torch.float64)
        parameter.grad = gradient.clone()
        optim.update(optimizer, numbers, updates=index)
        clipped = gradient.clamp(-0.5, 0.5)
        lr = 0.01 / (1 + 0.1 * index)
        m = 0.9 * m + 0.1 * clipped
        v = 0.9 * v + 0.1 * clipped**2
        if kind == "adam":
            lr *= math.sqrt(1 - 0.9 ** (index + 1)) / (1 - 0.9 ** (index + 1))
            value = value - lr * m / (v.sqrt() + 1e-3)
        else:
            value = value - lr * clipped / (v.sqrt() + 1e-3)
        torch.testing.assert_close(parameter.detach(), value, rtol=1e-9, atol=1e-12)


def test_channels_last_weights_move_as_torch_moves_them() -> None:
    """The fused kernel gets dense rows in the place of copies, and gives the same bytes."""
    ends = []
    for build in (optim.build, lambda parameters, numbers: torch.optim.Adam(parameters, 0.01, eps=1e-7, fused=True)):
        torch.manual_seed(0)
        shapes = [(8, 3, 5, 5), (7,), (4, 6), (2, 1, 3, 3)]
        parameters = [nn.Parameter(torch.randn(shape)) for shape in shapes]
        parameters[0].data = parameters[0].data.to(memory_format=torch.channels_last)
        optimizer = build(parameters, Optimizer(kind="adam", lr=0.01))
        for _ in range(3):
            for parameter in parameters:
                parameter.grad = torch.randn_like(parameter)
            optimizer.step()
        ends.append([*parameters, *optim.state_of(optimizer).values()])
    for found, expected in zip(*ends, strict=True):
        assert torch.equal(found, expected)
        assert found.stride() == expected.stride()


def test_optimiser_state_round_trip() -> None:
    numbers = Optimizer(kind="adam", lr=0.01)
    parameters = [nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.ones(4))]
    optimizer = optim.build(parameters, numbers)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optim.update(optimizer, numbers, updates=0)
    state = {name: tensor.clone() for name, tensor in optim.state_of(optimizer).items()}
    other = optim.build(parameters, numbers)
    optim.restore(other, state)
    assert state.keys() == optim.state_of(other).keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in optim.state_of(other).items())
    with pytest.raises(ValueError, match="another network"):
        optim.restore(other, {"7.exp_avg": torch.ones(2)})
    with pytest.raises(ValueError, match="shape"):
        optim.restore(other, {"0.exp_avg": torch.ones(2)})


def small(name: str) -> tuple[TrainState, Recipe, torch.Tensor]:
    recipe = recipes.get(name).override({"generator.width": 0.1, "discriminator.width": 0.1, "batch_size": 8})
    state = loop.new_state(recipe, seed=0, device=CPU)
    return state, recipe, torch.rand(8, 1, 28, 28)


def weights(network: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def moved(before: list[torch.Tensor], network: nn.Module) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize("name", ARTICLES)
def test_each_update_moves_one_network(name: str) -> None:
    state, recipe, real = small(name)
    g, d = weights(state.generator), weights(state.discriminator)
    first = discriminator_gradients(state, recipe, real)
    assert all(parameter.grad is None for parameter in state.generator.parameters())  # detached
    update_discriminator(state, recipe)
    assert moved(d, state.discriminator)
    assert not moved(g, state.generator)
    d = weights(state.discriminator)
    state.discriminator_optimizer.zero_grad()
    generator_gradients(state, recipe, first)
    update_generator(state, recipe)
    assert moved(g, state.generator)
    assert not moved(d, state.discriminator)
    assert all(parameter.requires_grad for parameter in state.discriminator.parameters())
    assert all(parameter.grad is None for parameter in state.discriminator.parameters())  # no work for frozen weights


def test_inference_fakes_use_averages_and_leave_them_alone() -> None:
    state, recipe, real = small("dcgan-upsample")
    averages = [buffer.clone() for buffer in state.generator.buffers()]
    first = discriminator_gradients(state, recipe, real)
    assert all(torch.equal(a, b) for a, b in zip(averages, state.generator.buffers(), strict=True))
    assert state.generator.training
    with torch.no_grad():
        assert torch.equal(first.fake, state.generator.eval()(first.z))  # no dropout, no batch statistics
    state.generator.train()
    varied = discriminator_gradients(state, recipe.override(fakes="training"), real)
    assert not all(torch.equal(a, b) for a, b in zip(averages, state.generator.buffers(), strict=True))
    with torch.no_grad():
        assert not torch.equal(varied.fake, state.generator.eval()(varied.z))


def written_out(state: TrainState, recipe: Recipe, real: torch.Tensor) -> None:
    """A step without labels as a textbook has it: latents are drawn, and images made, when they are used."""
    z = sample_latents(recipe.noise, len(real), CPU)
    with torch.no_grad():
        fake = state.generator.train(recipe.fakes == "training")(z).float()
    state.generator.train()
    on_real, on_fake = state.discriminator(torch.cat([real, fake])).chunk(2)
    state.discriminator_optimizer.zero_grad()
    loss = losses.discriminator_loss(on_real, on_fake, real_label=recipe.real_label, reduction=recipe.reduction)
    loss.backward()
    update_discriminator(state, recipe)
    if not recipe.share_noise:
        z = sample_latents(recipe.noise, len(real), CPU)
    state.discriminator.requires_grad_(False)
    state.generator_optimizer.zero_grad()
    losses.generator_loss(state.discriminator(state.generator(z))).backward()
    state.discriminator.requires_grad_(True)
    update_generator(state, recipe)
    state.step += 1


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("name", ARTICLES)
def test_a_step_is_the_method_written_out(name: str, bf16: bool) -> None:
    """Networks and optimisers end in the same bytes; `deconv` gets there with one forward pass of the generator."""
    ends = []
    for one in (step, written_out):
        state, recipe, _ = small(name)
        torch.manual_seed(0)
        real = torch.rand(8, 1, 28, 28)
        for _ in range(3):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                one(state, recipe, real)
        optimizers = (state.generator_optimizer, state.discriminator_optimizer)
        states = [value for optimizer in optimizers for value in optim.state_of(optimizer).values()]
        ends.append([*weights(state.generator), *weights(state.discriminator), *states])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_shared_noise_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(method, "sample_latents", lambda *a: drawn.append(1) or sample_latents(*a))
    for name, times in (("deconv", 1), ("mlp", 2)):
        state, recipe, real = small(name)
        drawn.clear()
        step(state, recipe, real)
        assert len(drawn) == times
        assert state.step == 1


@pytest.mark.parametrize(("distribution", "mean", "std"), [("uniform", 1.0, 2 / math.sqrt(3)), ("normal", 1.0, 2.0)])
def test_noise_has_its_moments(distribution: str, mean: float, std: float) -> None:
    noise = recipes.get("mlp").override(noise={"distribution": distribution, "center": 1.0, "scale": 2.0}).noise
    torch.manual_seed(0)
    z = sample_latents(noise, 2000, CPU)
    assert z.shape == (2000, 100)
    assert z.mean().item() == pytest.approx(mean, abs=0.02)
    assert z.std().item() == pytest.approx(std, abs=0.02)
