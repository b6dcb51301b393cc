"""One discriminator step and one generator step: the method itself, with no file, console or process group."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansmith.generator import generate
from gansmith.recipe import Noise, Recipe
from gansmith.training import losses, optim


@dataclass
class Players:
    """What training moves: two networks, their optimisers, and how many steps they have made."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    step: int = 0


@dataclass(frozen=True)
class Outcome:
    """What one step showed, as scalar tensors on the device; reading them is the caller's choice."""

    discriminator_loss: Tensor
    generator_loss: Tensor
    discriminator_accuracy: Tensor
    generator_accuracy: Tensor
    fake: Tensor


@dataclass(frozen=True)
class Lesson:
    """What the discriminator's lesson leaves for the generator's."""

    z: Tensor
    asked: Tensor | None
    images: Tensor | None
    """Of z and asked, with their gradients, where both players see the same."""
    fake: Tensor
    loss: Tensor
    accuracy: Tensor


def draw(noise: Noise, count: int, device: torch.device) -> Tensor:
    """Latents (count, noise.size) float32 from the global random stream."""
    z = torch.empty(count, noise.size, device=device)
    if noise.distribution == "uniform":
        return z.uniform_(noise.center - noise.scale, noise.center + noise.scale)
    return z.normal_(noise.center, noise.scale)


def draw_like(labels: Tensor | None) -> Tensor | None:
    """As many labels, drawn from ``labels`` by the global random stream: each class as often as the data have it."""
    return None if labels is None else labels[torch.randint(len(labels), labels.shape, device=labels.device)]


def step(players: Players, recipe: Recipe, real: Tensor, labels: Tensor | None = None) -> Outcome:
    """One update of each player.

    Args:
        players: changed in place.
        recipe: decides losses, optimisers, noise and how fakes are made.
        real: images (N, C, S, S) within recipe.pixels.
        labels: their classes (N,), for a conditional recipe.
    """
    lesson = teach_discriminator(players, recipe, real, labels)
    update_discriminator(players, recipe)
    outcome = teach_generator(players, recipe, lesson)
    update_generator(players, recipe)
    players.step += 1
    return outcome


def teach_discriminator(players: Players, recipe: Recipe, real: Tensor, labels: Tensor | None = None) -> Lesson:
    """Draws noise, makes fakes, and leaves the discriminator its gradients."""
    z, asked = draw(recipe.noise, len(real), real.device), draw_like(labels)
    once = recipe.share_noise and recipe.fakes == "training"  # then both updates see the same images
    images = generate(players.generator, z, asked) if once else None
    fake = make_fakes(players.generator, z, recipe, asked) if images is None else images.detach().float()
    known = None if labels is None or asked is None else torch.cat([labels, asked])
    loss, accuracy = discriminator_gradients(players, recipe, real, fake, known)
    if not recipe.share_noise:
        z, asked = draw(recipe.noise, len(real), real.device), draw_like(labels)
    return Lesson(z, asked, images, fake, loss, accuracy)


def teach_generator(players: Players, recipe: Recipe, lesson: Lesson) -> Outcome:
    """Leaves the generator its gradients, by what the discriminator has learnt from the lesson."""
    loss, accuracy = generator_gradients(players, lesson.z, lesson.asked, lesson.images)
    return Outcome(lesson.loss, loss, lesson.accuracy, accuracy, lesson.fake)


def discriminator_gradients(
    players: Players, recipe: Recipe, real: Tensor, fake: Tensor, labels: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The slope of the loss of telling real from fake (labels (2N,): of both); returns that loss and the accuracy."""
    logits, misread = judge(players.discriminator, torch.cat([real, fake]), labels)
    on_real, on_fake = logits.chunk(2)
    loss = misread + losses.discriminator_loss(
        on_real, on_fake, real_label=recipe.real_label, reduction=recipe.reduction
    )
    players.discriminator_optimizer.zero_grad()
    torch.autograd.backward(loss)
    return loss.detach(), losses.accuracy(on_real.detach(), on_fake.detach())


def generator_gradients(
    players: Players, z: Tensor, labels: Tensor | None = None, images: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The slope of the loss of passing for real, with the discriminator frozen; returns that loss and the accuracy.

    ``images`` are those of ``z``, with their gradients, where they were made before.
    """
    images = generate(players.generator, z, labels) if images is None else images
    players.discriminator.requires_grad_(False)
    on_fake, misread = judge(players.discriminator, images, labels)
    loss = misread + losses.generator_loss(on_fake)
    players.generator_optimizer.zero_grad()
    torch.autograd.backward(loss)
    players.discriminator.requires_grad_(True)
    return loss.detach(), losses.deceived(on_fake.detach())


def update_discriminator(players: Players, recipe: Recipe) -> None:
    """One update of the discriminator from its gradients."""
    optim.update(players.discriminator_optimizer, recipe.discriminator_optimizer, updates=players.step)


def update_generator(players: Players, recipe: Recipe) -> None:
    """One update of the generator from its gradients."""
    optim.update(players.generator_optimizer, recipe.generator_optimizer, updates=players.step)


@torch.no_grad()
def make_fakes(generator: nn.Module, z: Tensor, recipe: Recipe, labels: Tensor | None = None) -> Tensor:
    """Images (N, C, S, S) for the discriminator, made in the mode that the recipe asks for."""
    generator.train(recipe.fakes == "training")
    fake = generate(generator, z, labels)
    generator.train()
    return fake.float()


def judge(discriminator: nn.Module, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | float]:
    """Logits (N, 1), and how wrong the discriminator's naming of classes is (Odena et al. 2017); 0 if it names none."""
    if labels is None:
        return discriminator(images), 0.0
    output = discriminator(images, labels)
    return (output, 0.0) if isinstance(output, Tensor) else (output[0], F.cross_entropy(output[1].float(), labels))
