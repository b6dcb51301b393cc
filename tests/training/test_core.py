"""Losses, penalties, averages, schedules and augmentation: closed forms, float64 gradients, equal ways to one end."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gansmith import recipes
from gansmith.errors import UserError
from gansmith.recipe import Augment, Average, Optimizer, Penalty, Recipe
from gansmith.training import augment, average, loop, losses, penalties, schedule
from gansmith.training.step import (
    discriminator_gradients,
    generator_gradients,
    gradients_of_both,
    partners,
    sample_latents,
    step,
)

CPU = torch.device("cpu")
KINDS = ("non-saturating", "relativistic", "hinge", "wasserstein", "least-squares")


def house(**changes: object) -> Recipe:
    small = {"generator.width": 0.25, "discriminator.width": 0.25, "batch_size": 8, "kinds": 4}
    return recipes.get("house").override({**small, **changes})


def state_of(recipe: Recipe) -> loop.TrainState:
    return loop.new_state(recipe, seed=0, device=CPU)


def test_games_at_known_logits() -> None:
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 3.0])
    expected = {  # of D, of G
        "relativistic": (_mean(_softplus(-3), _softplus(3)), _mean(_softplus(3), _softplus(-3))),
        "hinge": ((_mean(0, 1) + _mean(0, 4)) / 2, -1.0),
        "wasserstein": ((-1.0 + 1.0) / 2, -1.0),
        "least-squares": ((_mean(1, 1) + _mean(1, 9)) / 2, _mean(4, 4)),
        "non-saturating": (
            (_mean(_softplus(-2), _softplus(0)) + _mean(_softplus(-1), _softplus(3))) / 2,
            _mean(_softplus(1), _softplus(-3)),
        ),
    }
    assert expected.keys() == {*losses.GAMES, "relativistic"} == set(KINDS)
    for kind, (of_d, of_g) in expected.items():
        assert float(losses.discriminator_loss(real, fake, kind=kind)) == pytest.approx(of_d, abs=1e-6)
        assert float(losses.generator_loss(fake, kind=kind, real=real)) == pytest.approx(of_g, abs=1e-6)


def _softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def _mean(*values: float) -> float:
    return sum(values) / len(values)


def test_accuracies_know_their_game() -> None:
    real, fake = torch.tensor([5.0, 7.0]), torch.tensor([4.0, 8.0])
    assert float(losses.discriminator_accuracy(real, fake, kind="relativistic")) == 0.5
    assert float(losses.generator_accuracy(fake, kind="wasserstein", real=real)) == 0.5
    assert float(losses.discriminator_accuracy(real / 5, fake / 100, kind="least-squares")) == 1.0
    assert float(losses.generator_accuracy(fake)) == 1.0


def quadratic(images: torch.Tensor) -> torch.Tensor:
    """d(x) = |x|²/2, whose slope is x itself."""
    return images.flatten(1).square().sum(1, keepdim=True) / 2


def test_penalties_of_a_known_slope() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(6, 1, 4, 4, dtype=torch.float64), torch.randn(6, 1, 4, 4, dtype=torch.float64)
    r1 = real.square().sum() / 12
    assert penalties.penalty(Penalty(kind="r1"), quadratic, real, fake).item() == pytest.approx(r1.item())
    both = r1 + fake.square().sum() / 12
    assert penalties.penalty(Penalty(kind="r1-r2"), quadratic, real, fake).item() == pytest.approx(both.item())
    for size in (1.0, 0.1):  # slopes longer than 1, and shorter
        images = size * real
        same = penalties.penalty(Penalty(kind="gradient"), quadratic, images, images)
        assert same.item() == pytest.approx((images.flatten(1).norm(dim=1) - 1).square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_finite_difference_is_r1_on_average(channels: int) -> None:
    torch.manual_seed(0)
    real = torch.randn(2000, channels, 4, 4)
    exact = float(penalties.penalty(Penalty(kind="r1"), quadratic, real, real).detach())
    near = float(penalties.penalty(Penalty(kind="r1", difference=0.01), quadratic, real, real).detach())
    assert near == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize("pack", [2, 4])
def test_a_finite_difference_is_r1_on_average_where_a_pack_shares_a_logit(pack: int) -> None:
    torch.manual_seed(0)
    real = torch.randn(4000, 1, 4, 4)

    def together(images: torch.Tensor) -> torch.Tensor:
        """A part of its own for each image, and one that its pack shares."""
        alone = quadratic(images)
        return 0.5 * alone + alone.view(-1, pack).mean(1).repeat_interleave(pack)[:, None]

    exact, near = (
        float(penalties.penalty(Penalty(kind="r1", difference=length), together, real, real, pack=pack).detach())
        for length in (0.0, 0.01)
    )
    assert near == pytest.approx(exact, rel=0.15)


@pytest.mark.parametrize(
    ("name", "changes"),
    [("sngan", {}), ("dcgan-upsample", {}), ("mlp", {"discriminator.dropout": 0.3}), ("mlp", {"spectral_norm": True})],
)
def test_a_finite_difference_is_refused_where_the_discriminator_changes_between(
    name: str, changes: dict[str, Any]
) -> None:
    asked = recipes.get(name).override({"penalty.kind": "r1", "penalty.difference": 0.1, **changes})
    with pytest.raises(UserError, match=r"penalty.difference: .* leave penalty.difference out"):
        recipes.discriminator(asked)
    recipes.discriminator(asked.override({"penalty.difference": 0.0}))


def test_the_penaltys_own_gradient() -> None:
    """Of a smooth discriminator, in float64, against differences of the penalty."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    real, fake = (torch.randn(3, 1, 4, 4, dtype=torch.float64) for _ in range(2))
    weight = network[1].weight

    def value(changed: torch.Tensor) -> torch.Tensor:
        def answer(images: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(network, {"1.weight": changed}, (images,))

        images = torch.cat([real, fake]).requires_grad_()
        (slopes,) = torch.autograd.grad(answer(images).sum(), images, create_graph=True)
        return penalties.zero_centred(slopes, 3)

    assert torch.autograd.gradcheck(value, (weight.detach().clone().requires_grad_(),))


@pytest.mark.parametrize("pack", [1, 4])
@pytest.mark.parametrize("penalty", ["none", "r1", "r1-r2"])
@pytest.mark.parametrize("loss", ["relativistic", "non-saturating", "wasserstein", "least-squares"])
def test_one_pass_gives_the_gradients_of_two(loss: str, penalty: str, pack: int) -> None:
    """Against the plain way: two losses, each back-propagated through networks of the same weights."""
    recipe = house(loss=loss, pack=pack, **{"penalty.kind": penalty, "penalty.every": 1})
    state = state_of(recipe)
    torch.manual_seed(1)
    real, told = torch.rand(8, 1, 28, 28) * 2 - 1, torch.arange(8) // pack % 4
    other = copy.deepcopy(state)
    torch.manual_seed(2)
    gradients_of_both(state, recipe, real, told)

    torch.manual_seed(2)
    z = sample_latents(recipe.noise, 8, CPU)
    fake_told = partners(recipe, told, z)
    generated = other.generator(z, fake_told)
    images = torch.cat([real, generated.detach()]).requires_grad_()
    logits = other.discriminator(images, torch.cat([told, fake_told]))
    of_d = losses.discriminator_loss(*logits.chunk(2), kind=loss, real_label=recipe.real_label)
    if penalty != "none":
        slopes = penalties.slope(logits, images)
        of_d = of_d + recipe.penalty.gamma * penalties.zero_centred(slopes if penalty == "r1-r2" else slopes[:8], 8)
    of_d.backward(inputs=list(other.discriminator.parameters()))
    with torch.no_grad():
        on_real = other.discriminator(real, told)
    on_fake = other.discriminator(generated, fake_told)
    losses.generator_loss(on_fake, kind=loss, real=on_real).backward(inputs=list(other.generator.parameters()))
    for network in ("generator", "discriminator"):
        pairs = zip(getattr(state, network).parameters(), getattr(other, network).parameters(), strict=True)
        for mine, plain in pairs:
            scale = float(plain.grad.abs().max()) + 1e-8
            assert torch.allclose(mine.grad, plain.grad, atol=1e-3 * scale), network


def test_a_penalty_is_taken_every_so_many_steps_and_as_much_stronger() -> None:
    recipe = house(**{"penalty.every": 3, "penalty.gamma": 0.5, "penalty.gamma_end": 0.1})
    assert schedule.gamma(recipe.penalty, share=0.0) == pytest.approx(1.5)
    assert schedule.gamma(recipe.penalty, share=1.0) == pytest.approx(0.3)
    plain = house(**{"penalty.kind": "none"})
    ends = []
    for each in (recipe, plain):
        state = state_of(each)
        state.step = 1  # no multiple of 3
        torch.manual_seed(0)
        step(state, each, torch.rand(8, 1, 28, 28), torch.arange(8) % 4)
        ends.append([p.clone() for p in state.discriminator.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_rates_over_a_run() -> None:
    numbers = Optimizer(kind="adam", lr=1.0, warm_up=0.1, cool_from=0.5, cool_to=0.02, beta2=0.9, beta2_end=0.99)
    rates = [schedule.rate(numbers, updates=0, share=share) for share in np.linspace(0, 1, 101)]
    assert 0 < rates[0] < 0.02
    assert rates[10] == rates[50] == 1.0
    assert rates[75] == pytest.approx(0.51)
    assert rates[100] == pytest.approx(0.02)
    assert rates[50:] == sorted(rates[50:], reverse=True)
    assert schedule.beta2(numbers, share=0.5) == pytest.approx(0.945)
    published = recipes.get("dcgan-transpose").generator_optimizer
    assert schedule.rate(published, updates=1000, share=0.9) == published.lr / (1 + published.decay * 1000)


def test_averages() -> None:
    """Of weights 1, 2, ..., 100: by the power function their mean lies a tenth of the run behind the newest."""
    network, numbers = nn.Linear(1, 1, bias=False), Average(span=0.1)
    follower = average.start(network, numbers)
    assert follower is not None
    for count in range(1, 101):
        network.weight.data.fill_(count)
        average.follow(follower, network, numbers, step=count, batch_size=32)
    assert float(follower.weight) == pytest.approx(100 * 10 / 11, abs=1)
    half = Average(half_life=320)
    follower = average.start(network, half)
    assert follower is not None
    network.weight.data.fill_(0)
    average.follow(follower, network, half, step=1000, batch_size=320)
    assert float(follower.weight) == pytest.approx(50)  # 100, and half a life of 0
    assert average.start(network, Average()) is None


def test_augmentation() -> None:
    torch.manual_seed(0)
    recipe = house()
    images = torch.rand(64, 3, 16, 16) * 2 - 1
    assert augment.changes(recipe, 0.5)(images) is images
    shifting = augment.changes(recipe.override({"augment.shift": 0.25}), 1.0)(images)
    assert not torch.equal(shifting, images)
    assert set(shifting[0, 0].flatten().tolist()) <= set(images[0, 0].flatten().tolist())  # the same pixels, moved
    ramped = recipe.override(augment=Augment(cutout=0.5, ramp=0.5))
    assert torch.equal(augment.changes(ramped, 0.0)(images), images)
    half = augment.changes(ramped, 0.25)(images)
    touched = (half != images).flatten(1).any(dim=1).float().mean()
    assert 0.25 < float(touched) < 0.75
    leaf = images.clone().requires_grad_()
    augment.changes(recipe.override(augment=Augment(colour=1, shift=0.2, cutout=0.3)), 1.0)(leaf).sum().backward()
    assert bool(torch.isfinite(leaf.grad).all())
    assert float(leaf.grad.abs().sum()) > 0


@pytest.mark.parametrize("loss", KINDS)
@pytest.mark.parametrize("penalty", ["none", "r1", "r1-r2", "gradient"])
def test_every_game_and_penalty_makes_steps(loss: str, penalty: str) -> None:
    changes = {"one_pass": False, "discriminator_updates": 2, "generator_updates": 2, "penalty.share": 0.5}
    recipe = house(loss=loss, **{"penalty.kind": penalty, "augment.shift": 0.1, **changes})
    state = state_of(recipe)
    torch.manual_seed(0)
    for _ in range(2):
        output = step(state, recipe, torch.rand(16, 1, 28, 28), torch.arange(16) % 4)
    assert state.step == 2
    assert np.isfinite([float(output.discriminator_loss), float(output.generator_loss)]).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "hinge"},
        {"generator_updates": 2},
        {"conditional": "auxiliary", "classes": 3},
        {"penalty.kind": "gradient"},
        {"penalty.share": 0.5},
        {"kinds": 1},
    ],
)
def test_what_cannot_go_together_is_refused_in_a_line(changes: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"^[^\n]+$"):
        house(**changes)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_a_second_update_starts_from_the_weights_of_the_first_in_bf16_too(player: str) -> None:
    """Autocast keeps what it made of a weight, which an update in place then leaves behind."""
    recipe = recipes.get("mlp-bn").override({"batch_size": 16, f"{player}_updates": 2, f"{player}_optimizer.lr": 0.01})
    real = torch.rand(16 * recipe.discriminator_updates, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    ends = []
    for cast_anew in (False, True):
        state = loop.new_state(recipe, seed=0, device=CPU)
        if cast_anew:
            with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
                torch.manual_seed(0)
                output = step(state, recipe, real)
        else:
            advance = loop.stepper(state, recipe, precision="bf16")
            torch.manual_seed(0)
            output = advance(real, None)
        ends.append([*state.generator.parameters(), *state.discriminator.parameters(), output.discriminator_loss])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_a_rate_falls_as_half_a_cosine() -> None:
    numbers = Optimizer(kind="adam", lr=1.0, cool_from=0.2, cool_to=0.1)
    for over, share in ((0.0, 1.0), (0.25, 0.5 + 0.125**0.5), (0.5, 0.5), (1.0, 0.0)):
        found = schedule.rate(numbers, updates=0, share=0.2 + 0.8 * over)
        assert found == pytest.approx(0.1 + 0.9 * share, abs=1e-9)


def test_a_half_life_forgets_the_untrained_network() -> None:
    network = nn.Linear(3, 2)
    follower = average.start(network, Average(half_life=1e6))
    assert follower is not None
    with torch.no_grad():
        network.weight += 1
    average.follow(follower, network, Average(half_life=1e6), step=1, batch_size=8)
    assert torch.equal(follower.weight, network.weight)


def test_an_average_lags_behind_a_ramp_by_its_span() -> None:
    """Weights t^(1/s - 1) over the run so far: of a ramp that is 1 / (1 + s) of where it is."""
    network, numbers = nn.Linear(1, 1, bias=False).double(), Average(span=0.25)
    follower = average.start(network, numbers)
    assert follower is not None
    for now in range(1, 4001):
        nn.init.constant_(network.weight, now / 4000)
        average.follow(follower, network, numbers, step=now, batch_size=1)
    assert float(follower.weight.detach()) == pytest.approx(1 / 1.25, abs=1e-3)


def test_colours_change_alike_in_every_range_of_pixels() -> None:
    images = torch.rand(6, 3, 8, 8)
    torch.manual_seed(0)
    small = augment.recoloured(images, 0.5, 1.0)
    torch.manual_seed(0)
    assert torch.allclose(augment.recoloured(2 * images - 1, 0.5, 2.0), 2 * small - 1, atol=1e-5)


def test_a_square_is_cut_out_of_all_places_alike() -> None:
    torch.manual_seed(0)
    cut = augment.cut_out(torch.ones(20_000, 1, 6, 6), 0.5, 0.0)
    share = 1 - cut.mean(dim=(0, 1))
    assert float((share - share.mean()).abs().max()) < 0.02, "corners as often as the middle"
    assert float(share.mean()) == pytest.approx(9 / 64, abs=0.01), "3 of 8 places in each direction"


@pytest.mark.parametrize("loss", ["non-saturating", "hinge"])
def test_fakes_of_a_pack_are_of_the_kind_of_their_real_images(loss: str) -> None:
    recipe = house(loss=loss, pack=4, one_pass=False)
    told, z = torch.arange(8) // 4 + 1, torch.zeros(8, recipe.noise.size)
    for seed in range(5):
        torch.manual_seed(seed)
        assert torch.equal(partners(recipe, told, z), told)  # type: ignore[arg-type]


def test_a_share_of_a_penalty_is_of_whole_packs() -> None:
    recipe = house(pack=2, one_pass=False, **{"penalty.share": 0.3, "penalty.every": 1})
    state = state_of(recipe)
    seen = []
    state.discriminator.register_forward_hook(lambda layer, inputs, output: seen.append(len(inputs[0])))
    torch.manual_seed(0)
    discriminator_gradients(state, recipe, torch.rand(8, 1, 28, 28), torch.arange(8) // 2 % 4)
    assert seen == [16, 8], "8 real and 8 generated, then 2 packs of each"


def test_the_weight_of_information_is_the_generators_too() -> None:
    def gradient(weight: float) -> torch.Tensor:
        recipe = recipes.get("infogan").override(
            {"information": weight, "generator.width": 0.1, "discriminator.width": 0.1, "batch_size": 8}
        )
        state = state_of(recipe)
        torch.manual_seed(0)
        first = discriminator_gradients(state, recipe, torch.rand(8, 1, 28, 28))
        generator_gradients(state, recipe, first)
        found = [each.grad.flatten() for each in state.generator.parameters() if each.grad is not None]
        return torch.cat(found).double()

    one, two, four = map(gradient, (1.0, 2.0, 4.0))
    assert float((two - one).norm()) > 1e-4
    assert torch.allclose(four - two, 2 * (two - one), atol=1e-3 * float((four - two).abs().max()))
