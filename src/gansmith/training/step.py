"""One step of training a GAN: D learns D(x) -> 1 and D(G(z)) -> 0, then G learns D(G(z)) -> 1.

Goodfellow et al. 2014, algorithm 1 with one discriminator update for each generator update. Both halves end with
gradients in place and leave the update to the optimiser, so that each can be recorded as a CUDA graph.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansmith.generator import generate
from gansmith.recipe import Noise, Recipe
from gansmith.training import losses, optim


@dataclass
class TrainState:
    """What training changes: two networks, their optimisers, and the number of steps made."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    step: int = 0


@dataclass(frozen=True)
class StepOutput:
    """Losses and accuracies of a step, as scalar tensors on the device, and its generated images (N, C, S, S)."""

    discriminator_loss: Tensor
    generator_loss: Tensor
    discriminator_accuracy: Tensor
    generator_accuracy: Tensor
    fake: Tensor


@dataclass(frozen=True)
class DiscriminatorPass:
    """Values of the discriminator update that the generator update reuses."""

    z: Tensor
    labels: Tensor | None
    """Classes (N,) that the fakes were generated with."""
    generated: Tensor | None
    """G(z) with its graph, for recipes in which both updates see the same images."""
    fake: Tensor
    loss: Tensor
    accuracy: Tensor


def step(state: TrainState, recipe: Recipe, real: Tensor, labels: Tensor | None = None) -> StepOutput:
    """One update of the discriminator, then one of the generator.

    Args:
        state: changed in place.
        recipe: decides losses, optimisers, noise and how fakes are made.
        real: images (N, C, S, S) within recipe.pixels.
        labels: their classes (N,), for a conditional recipe.
    """
    first = discriminator_gradients(state, recipe, real, labels)
    update_discriminator(state, recipe)
    output = generator_gradients(state, recipe, first, labels)
    update_generator(state, recipe)
    state.step += 1
    return output


def discriminator_gradients(
    state: TrainState, recipe: Recipe, real: Tensor, labels: Tensor | None = None
) -> DiscriminatorPass:
    """Back-propagates the discriminator loss of real images and as many generated ones."""
    # Sample latents z, and for a conditional recipe a class for each
    z = sample_latents(recipe.noise, len(real), real.device)
    fake_labels = sample_labels(labels)

    # Generate G(z); the graph is kept only where the generator update reuses it
    training = recipe.fakes == "training"  # else moving averages and no dropout, as Keras' `predict`
    reuse = training and recipe.share_noise
    state.generator.train(training)
    with torch.set_grad_enabled(reuse):
        generated = generate(state.generator, z, fake_labels)
    state.generator.train()
    fake = generated.detach().float()

    # Discriminate: logits of D(x) and D(G(z))
    all_labels = None if labels is None or fake_labels is None else torch.cat([labels, fake_labels])
    logits, class_loss = discriminate(state.discriminator, torch.cat([real, fake]), all_labels)
    on_real, on_fake = logits.chunk(2)

    # L_D = -log D(x) - log(1 - D(G(z)))
    adversarial = losses.discriminator_loss(on_real, on_fake, real_label=recipe.real_label, reduction=recipe.reduction)
    loss = adversarial + class_loss
    state.discriminator_optimizer.zero_grad()
    torch.autograd.backward(loss)

    accuracy = losses.discriminator_accuracy(on_real.detach(), on_fake.detach())
    return DiscriminatorPass(z, fake_labels, generated if reuse else None, fake, loss.detach(), accuracy)


def generator_gradients(
    state: TrainState, recipe: Recipe, first: DiscriminatorPass, labels: Tensor | None = None
) -> StepOutput:
    """Back-propagates the generator loss through the discriminator, whose own weights are frozen.

    Args:
        state: after the update of the discriminator.
        recipe: as in :func:`step`.
        first: of the same step's :func:`discriminator_gradients`.
        labels: classes (N,) of the real images, for a conditional recipe.
    """
    # Sample latents z, or take those of the discriminator update
    z, fake_labels = first.z, first.labels
    if not recipe.share_noise:
        z, fake_labels = sample_latents(recipe.noise, len(z), z.device), sample_labels(labels)

    # Generate G(z)
    generated = first.generated
    if generated is None:
        generated = generate(state.generator, z, fake_labels)

    # Discriminate: logits of D(G(z))
    state.discriminator.requires_grad_(False)
    on_fake, class_loss = discriminate(state.discriminator, generated, fake_labels)

    # L_G = -log D(G(z)), which does not saturate where D is sure
    loss = losses.generator_loss(on_fake) + class_loss
    state.generator_optimizer.zero_grad()
    torch.autograd.backward(loss)
    state.discriminator.requires_grad_(True)

    accuracy = losses.generator_accuracy(on_fake.detach())
    return StepOutput(first.loss, loss.detach(), first.accuracy, accuracy, first.fake)


def update_discriminator(state: TrainState, recipe: Recipe) -> None:
    """One update of the discriminator from its gradients."""
    optim.update(state.discriminator_optimizer, recipe.discriminator_optimizer, updates=state.step)


def update_generator(state: TrainState, recipe: Recipe) -> None:
    """One update of the generator from its gradients."""
    optim.update(state.generator_optimizer, recipe.generator_optimizer, updates=state.step)


def sample_latents(noise: Noise, count: int, device: torch.device) -> Tensor:
    """Latents (count, noise.size) float32 from the global random stream."""
    z = torch.empty(count, noise.size, device=device)
    if noise.distribution == "uniform":
        return z.uniform_(noise.center - noise.scale, noise.center + noise.scale)
    return z.normal_(noise.center, noise.scale)


def sample_labels(labels: Tensor | None) -> Tensor | None:
    """As many labels, drawn from ``labels`` by the global random stream, so that classes keep their frequencies."""
    return None if labels is None else labels[torch.randint(len(labels), labels.shape, device=labels.device)]


def discriminate(discriminator: nn.Module, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | float]:
    """Logits (N, 1), and the cross-entropy of an auxiliary classifier (Odena et al. 2017); 0 where there is none."""
    if labels is None:
        return discriminator(images), 0.0
    output = discriminator(images, labels)
    return (output, 0.0) if isinstance(output, Tensor) else (output[0], F.cross_entropy(output[1].float(), labels))
