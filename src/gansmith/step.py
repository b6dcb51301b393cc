"""One discriminator step and one generator step: the method itself, with no file, console or process group."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gansmith import losses, optim
from gansmith.recipe import Noise, Recipe


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


def draw(noise: Noise, count: int, device: torch.device) -> Tensor:
    """Latents (count, noise.size) float32 from the global random stream."""
    z = torch.empty(count, noise.size, device=device)
    if noise.distribution == "uniform":
        return z.uniform_(noise.center - noise.scale, noise.center + noise.scale)
    return z.normal_(noise.center, noise.scale)


def step(players: Players, recipe: Recipe, real: Tensor) -> Outcome:
    """One update of each player.

    Args:
        players: changed in place.
        recipe: decides losses, optimisers, noise and how fakes are made.
        real: images (N, C, S, S) within recipe.pixels.
    """
    z = draw(recipe.noise, len(real), real.device)
    fake = make_fakes(players.generator, z, recipe)
    d_loss, d_accuracy = discriminator_step(players, recipe, real, fake)
    if not recipe.share_noise:
        z = draw(recipe.noise, len(real), real.device)
    g_loss, g_accuracy = generator_step(players, recipe, z)
    players.step += 1
    return Outcome(d_loss, g_loss, d_accuracy, g_accuracy, fake)


def discriminator_step(players: Players, recipe: Recipe, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Teaches the discriminator to tell real from fake; returns its loss and accuracy."""
    logits = players.discriminator(torch.cat([real, fake]))
    on_real, on_fake = logits.chunk(2)
    loss = losses.discriminator_loss(on_real, on_fake, real_label=recipe.real_label, reduction=recipe.reduction)
    players.discriminator_optimizer.zero_grad()
    torch.autograd.backward(loss)
    optim.update(players.discriminator_optimizer, recipe.discriminator_optimizer, updates=players.step)
    return loss.detach(), losses.accuracy(on_real.detach(), on_fake.detach())


def generator_step(players: Players, recipe: Recipe, z: Tensor) -> tuple[Tensor, Tensor]:
    """Teaches the generator to pass for real; the discriminator is frozen. Returns its loss and accuracy."""
    players.discriminator.requires_grad_(False)
    on_fake = players.discriminator(players.generator(z))
    loss = losses.generator_loss(on_fake)
    players.generator_optimizer.zero_grad()
    torch.autograd.backward(loss)
    players.discriminator.requires_grad_(True)
    optim.update(players.generator_optimizer, recipe.generator_optimizer, updates=players.step)
    return loss.detach(), losses.deceived(on_fake.detach())


@torch.no_grad()
def make_fakes(generator: nn.Module, z: Tensor, recipe: Recipe) -> Tensor:
    """Images (N, C, S, S) for the discriminator, made in the mode that the recipe asks for."""
    generator.train(recipe.fakes == "training")
    fake: Tensor = generator(z)
    generator.train()
    return fake.float()
