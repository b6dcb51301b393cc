"""Private training: what it refuses, and that D learns from data by clipped and noised gradients alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gansmith as gs
from gansmith import data, own, recipes
from gansmith.errors import UserError
from gansmith.training import guarantee, loop, private
from gansmith.training.guarantee import Privacy

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the libraries beneath
    pytest.mark.filterwarnings("ignore:Full backward hook is firing"),  # in parts of a step, made here alone
]


def made(noise: float, clip: float = 1e-3, rate: float = 0.005) -> tuple[private.PrivateStep, private.Drawn]:
    """A step of the smallest recipe on MNIST."""
    dataset = data.load("mnist")
    recipe = recipes.get("mlp").override(conditional="projection", classes=10, batch_size=32)
    promise = Privacy(
        epsilon=1, delta=1e-5, noise=noise, clip=clip, rate=rate, updates=1, accountant="none: a test sets the noise"
    )
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
    images = private.Drawn(dataset, recipe, promise)
    return private.PrivateStep(state, recipe, images, promise), images


def gradients(step: private.PrivateStep, real: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(0)
    step._discriminator_gradients(real, labels, torch.arange(32) % 10)
    found = [weight.grad.flatten() for weight in step.state.discriminator.parameters() if weight.grad is not None]
    return torch.cat(found).clone()


def test_one_image_moves_the_gradient_by_no_more_than_the_clipping_norm() -> None:
    step, _ = made(noise=0.0, clip=1e-3)
    images = torch.rand(8, 1, 28, 28) * 2 - 1
    labels = torch.arange(8)
    with_it, without = gradients(step, images, labels), gradients(step, images[1:], labels[1:])
    loud = gradients(step, torch.cat([100 * images[:1], images[1:]]), labels)
    for other in (with_it, loud):
        assert 0 < float((other - without).norm()) <= 1e-3 / 32 * 1.001
    nobody = gradients(step, images[:0], labels[:0])
    assert torch.isfinite(nobody).all(), "an empty batch is one that may be drawn"


def test_the_gradient_is_the_sum_of_those_of_each_image_alone_clipped() -> None:
    step, _ = made(noise=0.0, clip=0.5)
    images, labels = torch.rand(6, 1, 28, 28) * 2 - 1, torch.arange(6)
    together = gradients(step, images, labels) - gradients(step, images[:0], labels[:0])
    discriminator = step.state.discriminator
    expected = torch.zeros_like(together)
    for image, label in zip(images, labels, strict=True):
        discriminator.zero_grad()
        smoothed = torch.full((1, 1), step.recipe.real_label)
        torch.autograd.backward(
            torch.nn.functional.binary_cross_entropy_with_logits(discriminator(image[None], label[None]), smoothed)
        )
        alone = torch.cat([weight.grad.flatten() for weight in discriminator.parameters() if weight.grad is not None])
        expected += alone * min(1.0, 0.5 / float(alone.norm()))
    assert float(expected.norm()) > 0.5
    torch.testing.assert_close(together, expected / 32, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("r3gan", {}),
        ("house", {"kinds": 0, "pack": 1, "one_pass": False, "shared_kinds": False}),
        ("deconv", {}),
        ("wgan-gp", {}),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_convolutions_clip_each_image_by_its_own_length(name: str, changes: dict[str, Any], channels: int) -> None:
    asked = {"loss": "non-saturating", "penalty.kind": "none", "channels": channels, **changes}
    recipe = recipes.get(name).override(asked)
    private.check(recipe)
    promise = Privacy(epsilon=1, delta=1e-5, noise=0, clip=1e-6, rate=0.1, updates=1, accountant="none")
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
    step = private.PrivateStep(state, recipe, None, promise)  # type: ignore[arg-type]
    batch = (np.random.default_rng(0).random((5, channels, 28, 28)) * 255).astype(np.uint8)
    images = loop.to_pixels(batch, recipe, torch.device("cpu"))
    for row in range(5):
        step._real_gradients(images[row : row + 1], None)
        found = torch.cat([weight.grad.flatten() for weight in state.discriminator.parameters()])  # type: ignore
        assert float(found.norm()) == pytest.approx(1e-6, rel=1e-3), "all are longer than the clip"


def test_a_discriminator_in_which_images_meet_is_refused() -> None:
    class Meeting(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            flat = images.flatten(1)
            return flat - 0.5 * flat.mean(0)

    @own.recipe("meeting", base="mlp")
    def networks(recipe: Any) -> Any:
        """Images meet before the first layer."""
        pixels = recipe.channels * recipe.size**2
        unflatten = torch.nn.Unflatten(1, (recipe.channels, recipe.size, recipe.size))
        generator = torch.nn.Sequential(torch.nn.Linear(recipe.noise.size, pixels), torch.nn.Tanh(), unflatten)
        return generator, torch.nn.Sequential(Meeting(), torch.nn.Linear(pixels, 1))

    recipe = recipes.get("meeting")
    promise = Privacy(epsilon=1, delta=1e-5, noise=0, clip=1, rate=0.1, updates=1, accountant="none")
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
    with pytest.raises(UserError, match="cannot be told apart by image"):
        private.PrivateStep(state, recipe, None, promise)  # type: ignore[arg-type]


def test_the_noise_is_as_large_as_it_is_said_and_not_decided_by_the_seed() -> None:
    noise, clip = 2.0, 0.5
    (step, images), (again, _) = made(noise, clip), made(noise, clip)
    real, labels = torch.rand(4, 1, 28, 28), torch.arange(4)
    first, second = gradients(step, real, labels), gradients(again, real, labels)
    difference = (first - second) * 32 / (noise * clip)
    assert float(difference.std()) == pytest.approx(2**0.5, rel=0.02)
    sizes = [len(images.at(0)) for _ in range(10)]
    assert len(set(sizes)) > 5, "each image is drawn by itself"
    assert np.mean(sizes) == pytest.approx(0.005 * len(images.dataset), rel=0.1)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        ({"recipe": "house"}, "loss relativistic"),
        ({"recipe": "dcgan"}, "batch norm"),
        ({"penalty.kind": "r1"}, "penalty r1"),
        ({"delta": 1e-3}, "`delta` 0.001"),
        ({"epsilon": None}, "give `epsilon` too"),
        ({"evaluate_every": 5}, "`evaluate_every`"),
        ({"private": False}, "give `private` too"),
    ],
)
def test_what_would_touch_data_otherwise_is_refused_in_a_line(ask: dict[str, Any], says: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"recipe": "mlp", "private": True, "epsilon": 10.0, "steps": 2, "out": tmp_path}
    with pytest.raises(UserError, match=says):
        gs.train("mnist", **(options | ask))
    assert not list(tmp_path.iterdir())


def test_batches_are_no_two_runs_the_same() -> None:
    """The operating system decides them: a run's seed is published."""
    (_, images), (_, others) = made(noise=1.0, rate=0.01), made(noise=1.0, rate=0.01)
    images.at(0), others.at(0)
    assert images._rows.tolist() != others._rows.tolist()


def test_each_update_of_the_discriminator_is_paid_for() -> None:
    recipe = recipes.get("mlp").override(steps=200)
    once, thrice = (
        guarantee.plan(recipe.override(discriminator_updates=updates), 60_000, 1.0, 1e-5) for updates in (1, 3)
    )
    assert (once.updates, thrice.updates) == (200, 600)
    assert thrice.noise > once.noise


def test_less_epsilon_takes_more_noise_until_none_is_enough() -> None:
    recipe = recipes.get("mlp").override(steps=100)
    few, many = (guarantee.plan(recipe, 60_000, epsilon, 1e-5).noise for epsilon in (1.0, 10.0))
    assert few > 1.5 * many > 0
    with pytest.raises(UserError, match="no noise gives that"):
        guarantee.plan(recipe.override(steps=10_000_000), 64, 1e-4, 1e-9)


def test_the_generator_says_what_it_promises(tmp_path: Path) -> None:
    run = gs.train(
        "mnist", recipe="mlp", conditional=True, private=True, epsilon=10.0, steps=2, out=tmp_path, progress=False
    )
    assert run.settings.privacy is not None
    assert run.settings.privacy.updates == 2
    assert "(10, 1e-05)-differential privacy" in str(gs.load(run.generator).about["privacy"])
    assert sum(run.data.class_counts) == 60_000
    assert gs.load(run.generator).class_counts == (), "exact counts of private data would be told"
    with pytest.raises(UserError, match="noise was chosen for the steps"):
        gs.resume(run.path, steps=4)
