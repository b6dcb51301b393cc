"""One step of training a GAN: D learns to tell x from G(z), then G learns to make D take G(z) for x.

Goodfellow et al. 2014, algorithm 1. Each half ends with gradients in place and leaves the update to the optimiser, so
that it can be recorded as a CUDA graph.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansmith.generator import generate
from gansmith.nn import rows
from gansmith.recipe import Noise, Recipe
from gansmith.training import average, losses, optim, penalties, schedule
from gansmith.training.augment import changes
from gansmith.training.losses import wide
from gansmith.training.parallel import ALONE, Group


@dataclass
class TrainState:
    """What training changes: two networks, their optimisers, the number of steps made, and the generator's average."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    step: int = 0
    length: int = 1
    """Steps of the whole run, as far as it is known: what schedules are stretched over."""
    average: nn.Module | None = None
    """The moving average of the generator, where the recipe has one."""
    group: Group = ALONE
    """The processes that train together."""
    gamma: Tensor | None = None
    """The penalty's weight where steps are replayed, set before each; else it follows from the schedule."""

    @property
    def share(self) -> float:
        """How much of the run is over, in [0, 1]."""
        return min(1.0, self.step / self.length)

    @property
    def shown(self) -> nn.Module:
        """The generator that makes the images people see: the average, where there is one."""
        return self.generator if self.average is None else self.average


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
    """One step: an update of the discriminator, then one of the generator, or as many of each as the recipe says.

    Args:
        state: changed in place.
        recipe: decides losses, optimisers, noise and how fakes are made.
        real: images (N, C, S, S) within recipe.pixels: a batch for each update of the discriminator. Where several
            processes share batches, the rows held here.
        labels: classes (N,), for a conditional recipe; of whole batches.
    """
    if recipe.one_pass:
        output = _summed_output(state, gradients_of_both(state, recipe, real, labels), both=True)
        update_discriminator(state, recipe)
        update_generator(state, recipe)
    else:
        held = rows.held()
        batches = torch.split(real, recipe.batch_size if held is None else held.count)
        told = [None] * len(batches) if labels is None else torch.split(labels, recipe.batch_size)
        for turn, (batch, classes) in enumerate(zip(batches, told, strict=True)):
            first = _summed_pass(state, discriminator_gradients(state, recipe, batch, classes))
            update_discriminator(state, recipe, turn)
        for turn in range(recipe.generator_updates):
            output = _summed_output(state, generator_gradients(state, recipe, first, classes, real=batch))
            update_generator(state, recipe, turn)
    end_step(state, recipe)
    return output


def discriminator_gradients(
    state: TrainState, recipe: Recipe, real: Tensor, labels: Tensor | None = None
) -> DiscriminatorPass:
    """Back-propagates the discriminator loss of real images and as many generated ones."""
    # Sample latents z, and for a conditional recipe a class for each
    z = sample_latents(recipe.noise, len(real), real.device)
    fake_labels = partners(recipe, labels, z)
    labels = None if labels is None else rows.own(labels)

    # Generate G(z); the graph is kept only where the generator update reuses it
    training = recipe.fakes == "training"  # else moving averages and no dropout, as Keras' `predict`
    reuse = training and recipe.share_noise
    state.generator.train(training)
    with torch.set_grad_enabled(reuse):
        generated = generate(state.generator, z, fake_labels)
    state.generator.train()
    fake = wide(generated.detach())

    # Discriminate: logits of D(x) and D(G(z))
    change = changes(recipe, state.share)
    seen, seen_fake = change(real), change(fake)
    on_real, on_fake, class_loss = _discriminate_both(state, recipe, seen, seen_fake, labels, fake_labels, z)

    # L_D, such as -log D(x) - log(1 - D(G(z)))
    adversarial = losses.discriminator_loss(
        on_real, on_fake, kind=recipe.loss, real_label=recipe.real_label, reduction=recipe.reduction
    )
    loss = rows.part(adversarial + class_loss) + _penalty(state, recipe, seen, seen_fake, labels, fake_labels)
    weights = list(state.discriminator.parameters())
    _assign(weights, torch.autograd.grad(loss, weights, allow_unused=True))

    accuracy = losses.discriminator_accuracy(on_real.detach(), on_fake.detach(), kind=recipe.loss)
    return DiscriminatorPass(z, fake_labels, generated if reuse else None, fake, loss.detach(), rows.part(accuracy))


def generator_gradients(
    state: TrainState,
    recipe: Recipe,
    first: DiscriminatorPass,
    labels: Tensor | None = None,
    *,
    real: Tensor | None = None,
) -> StepOutput:
    """Back-propagates the generator loss through the discriminator, whose own weights are frozen.

    Args:
        state: after the update of the discriminator.
        recipe: as in :func:`step`.
        first: of the same step's :func:`discriminator_gradients`.
        labels: classes (N,) of the real images, for a conditional recipe.
        real: the real images, for a game of pairs.
    """
    # Sample latents z, or take those of the discriminator update
    z, fake_labels = first.z, first.labels
    if not recipe.share_noise:
        z, fake_labels = sample_latents(recipe.noise, len(z), z.device), partners(recipe, labels, z)
    labels = None if labels is None else rows.own(labels)

    # Generate G(z)
    generated = first.generated
    if generated is None:
        generated = generate(state.generator, z, fake_labels)

    # Discriminate: logits of D(G(z)), and in a game of pairs of D(x)
    change = changes(recipe, state.share)
    state.discriminator.requires_grad_(False)
    on_fake, class_loss = discriminate(state.discriminator, change(generated), fake_labels, z[:, : recipe.codes])
    class_loss = (recipe.information or 1.0) * class_loss
    on_real = None
    if losses.needs_real(recipe.loss):
        assert real is not None
        with torch.no_grad():
            on_real = discriminate(state.discriminator, change(real), labels)[0]

    # L_G, such as -log D(G(z)), which does not saturate where D is sure
    loss = rows.part(losses.generator_loss(on_fake, kind=recipe.loss, real=on_real) + class_loss)
    state.generator_optimizer.zero_grad()
    torch.autograd.backward(loss)
    state.discriminator.requires_grad_(True)

    accuracy = losses.generator_accuracy(on_fake.detach(), kind=recipe.loss, real=on_real)
    return StepOutput(first.loss, loss.detach(), first.accuracy, rows.part(accuracy), first.fake)


def gradients_of_both(state: TrainState, recipe: Recipe, real: Tensor, labels: Tensor | None = None) -> StepOutput:
    """The gradients of both players from one pass of the discriminator.

    D judges each image alone, or a pack by one logit, so the gradients of both losses by a generated image x are
    multiples of the same slope dd(x)/dx: dL_G/dx = dL_D/dx (dL_G/dd) / (dL_D/dd). Both updates are then made from the
    same point, where algorithm 1 updates D first.
    """
    # Sample latents z and generate G(z)
    z = sample_latents(recipe.noise, len(real), real.device)
    fake_labels = partners(recipe, labels, z)
    labels = None if labels is None else rows.own(labels)
    generated = wide(generate(state.generator, z, fake_labels))

    # Discriminate: logits of D(x) and D(G(z))
    seen = changes(recipe, state.share)(torch.cat([real, generated]))
    images = seen.detach().requires_grad_()
    with_penalty = penalised(state, recipe)
    with torch.autocast(real.device.type, enabled=torch.is_autocast_enabled(real.device.type) and not with_penalty):
        logits = wide(discriminate(state.discriminator, images, _both(labels, fake_labels))[0])
    on_real, on_fake = logits.chunk(2)

    # L_D, and its gradients by D's weights and by the images
    loss = rows.part(
        losses.discriminator_loss(
            on_real, on_fake, kind=recipe.loss, real_label=recipe.real_label, reduction=recipe.reduction
        )
    )
    slopes = None
    if with_penalty:
        slopes = penalties.slope(logits, images)
        where = slopes[: len(real)] if recipe.penalty.kind == "r1" else slopes
        weight = _gamma(state, recipe)
        loss = loss + rows.part(weight * penalties.zero_centred(where, len(real)))
    weights = list(state.discriminator.parameters())
    *gradients, by_images = torch.autograd.grad(loss, [*weights, images], allow_unused=True)
    _assign(weights, gradients)

    # L_G, whose gradient by G(z) follows from the slopes, and by G's weights from that
    g_loss, by_d, by_g = _derivatives(recipe, on_real.detach(), on_fake.detach())
    if slopes is not None:
        by_generated = slopes.detach()[len(real) :] * by_g[..., None, None]
    else:
        by_generated = by_images[len(real) :] * (by_g / by_d.where(by_d.abs() > 1e-35, torch.inf))[..., None, None]
    state.generator_optimizer.zero_grad()
    torch.autograd.backward(seen[len(real) :], by_generated)

    accuracy = losses.discriminator_accuracy(on_real.detach(), on_fake.detach(), kind=recipe.loss)
    fooled = losses.generator_accuracy(on_fake.detach(), kind=recipe.loss, real=on_real.detach())
    return StepOutput(loss.detach(), g_loss, rows.part(accuracy), rows.part(fooled), generated.detach())


def update_discriminator(state: TrainState, recipe: Recipe, turn: int = 0) -> None:
    """One update of the discriminator from its gradients, the ``turn``-th of this step, from 0."""
    updates = state.step * recipe.discriminator_updates + turn
    optim.update(state.discriminator_optimizer, recipe.discriminator_optimizer, updates=updates, share=state.share)


def update_generator(state: TrainState, recipe: Recipe, turn: int = 0) -> None:
    """One update of the generator from its gradients, the ``turn``-th of this step, from 0."""
    updates = state.step * recipe.generator_updates + turn
    optim.update(state.generator_optimizer, recipe.generator_optimizer, updates=updates, share=state.share)


def end_step(state: TrainState, recipe: Recipe) -> None:
    """Counts the step, and moves the generator's average."""
    state.step += 1
    if state.average is not None:
        average.follow(state.average, state.generator, recipe.average, step=state.step, batch_size=recipe.batch_size)


def sample_latents(noise: Noise, count: int, device: torch.device) -> Tensor:
    """Latents (count, noise.size) float32 from the global random stream."""

    def make(count: int, generator: torch.Generator | None) -> Tensor:
        z = torch.empty(count, noise.size, device=device)
        if noise.distribution == "uniform":
            return z.uniform_(noise.center - noise.scale, noise.center + noise.scale, generator=generator)
        return z.normal_(noise.center, noise.scale, generator=generator)

    return rows.draw(count, make)


def partners(recipe: Recipe, labels: Tensor | None, z: Tensor) -> Tensor | None:
    """The conditions to generate with latents z (N, Z): those of the real images, one by one in a game of pairs or of
    packs, else drawn from among them; kinds that the game makes up are drawn evenly. ``labels`` are of the whole
    batch."""
    if recipe.information:
        return rows.draw(
            len(z), lambda count, random: torch.randint(recipe.conditions, (count,), device=z.device, generator=random)
        )
    if labels is not None and (recipe.loss == "relativistic" or recipe.pack > 1):
        return rows.own(labels)
    return sample_labels(labels)


def sample_labels(labels: Tensor | None) -> Tensor | None:
    """A label for each row, drawn from those of the whole batch, so that classes keep their frequencies."""
    if labels is None:
        return None
    held = rows.held()
    drawn = rows.draw(
        len(labels) if held is None else held.count,
        lambda count, random: torch.randint(len(labels), (count,), device=labels.device, generator=random),
    )
    return labels[drawn]


def discriminate(
    discriminator: nn.Module, images: Tensor, labels: Tensor | None, codes: Tensor | None = None
) -> tuple[Tensor, Tensor | float]:
    """Logits (N, 1), and the loss of a classifier that reads from the images what they were made with; 0 without one.

    That is the cross-entropy of the labels (Odena et al. 2017), and for codes (N, C) half their squared errors: minus
    the logarithm, but for a constant, of a normal density of std 1 (Chen et al. 2016).
    """
    if labels is None:
        return discriminator(images), 0.0
    output = discriminator(images, labels)
    if isinstance(output, Tensor):
        return output, 0.0
    logits, read = output[0], wide(output[1])
    numbers = 0 if codes is None else codes.shape[1]
    loss = F.cross_entropy(read[:, : read.shape[1] - numbers], labels)
    if codes is not None and numbers:
        loss = loss + (read[:, -numbers:] - codes).square().sum(dim=1).mean() / 2
    return logits, loss


def _discriminate_both(
    state: TrainState,
    recipe: Recipe,
    real: Tensor,
    fake: Tensor,
    labels: Tensor | None,
    fake_labels: Tensor | None,
    z: Tensor,
) -> tuple[Tensor, Tensor, Tensor | float]:
    """Logits of real and of generated images, and the loss of :func:`discriminate`: in one batch, or apart."""
    if not recipe.apart and not recipe.information:
        logits, loss = discriminate(state.discriminator, torch.cat([real, fake]), _both(labels, fake_labels))
        on_real, on_fake = logits.chunk(2)
        return on_real, on_fake, loss
    on_real, of_real = discriminate(state.discriminator, real, labels)
    on_fake, of_fake = discriminate(state.discriminator, fake, fake_labels, z[:, : recipe.codes])
    return on_real, on_fake, recipe.information * of_fake if recipe.information else (of_real + of_fake) / 2


def penalised(state: TrainState, recipe: Recipe) -> bool:
    """Whether this step takes the penalty on the discriminator's slope."""
    return recipe.penalty.kind != "none" and state.step % recipe.penalty.every == 0


def _penalty(
    state: TrainState, recipe: Recipe, real: Tensor, fake: Tensor, labels: Tensor | None, fake_labels: Tensor | None
) -> Tensor | float:
    """The weighted penalty of this step, at a share of the batch: its first rows; 0 where it takes none."""
    if not penalised(state, recipe):
        return 0.0
    numbers, held = recipe.penalty, rows.held()
    first = held and held.beginning(recipe.pack * math.ceil(numbers.share * held.total / recipe.pack))
    count = recipe.pack * math.ceil(numbers.share * len(real) / recipe.pack) if first is None else first.count
    told = None if labels is None else labels[:count]
    both = _both(told, None if fake_labels is None else fake_labels[:count])

    def answer(images: Tensor) -> Tensor:
        return discriminate(state.discriminator, images, told if len(images) == count else both)[0]

    weight = _gamma(state, recipe)
    with rows.holding(first):
        taken = penalties.penalty(numbers, answer, real[:count], fake[:count], pack=recipe.pack)
        return rows.part(weight * taken)


def _gamma(state: TrainState, recipe: Recipe) -> Tensor | float:
    """The penalty's weight in this step."""
    return schedule.gamma(recipe.penalty, share=state.share) if state.gamma is None else state.gamma


def _both(labels: Tensor | None, fake_labels: Tensor | None) -> Tensor | None:
    return None if labels is None or fake_labels is None else torch.cat([labels, fake_labels])


def _derivatives(recipe: Recipe, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L_G, and the derivatives of L_D and L_G by the logits (N, 1) of generated images."""
    fake = fake.requires_grad_()
    d_loss = losses.discriminator_loss(
        real, fake, kind=recipe.loss, real_label=recipe.real_label, reduction=recipe.reduction
    )
    d_loss, g_loss = rows.part(d_loss), rows.part(losses.generator_loss(fake, kind=recipe.loss, real=real))
    (by_d,) = torch.autograd.grad(d_loss, fake)
    (by_g,) = torch.autograd.grad(g_loss, fake)
    return g_loss.detach(), by_d, by_g


def _assign(weights: list[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
    """Puts gradients in place, each in its weight's memory format: the fused optimisers read memory as it lies."""
    for weight, gradient in zip(weights, gradients, strict=True):
        if gradient is not None and gradient.stride() != weight.stride():
            gradient = torch.empty_like(weight).copy_(gradient)
        weight.grad = gradient


def _summed_pass(state: TrainState, first: DiscriminatorPass) -> DiscriminatorPass:
    """Adds up the discriminator's gradients, its loss and accuracy over all processes."""
    if not state.group.shared:
        return first
    loss, accuracy = state.group.add_gradients([state.discriminator], [first.loss, first.accuracy], player=1)
    return replace(first, loss=loss, accuracy=accuracy)


def _summed_output(state: TrainState, output: StepOutput, *, both: bool = False) -> StepOutput:
    """Adds up the generator's gradients, its loss and accuracy over all processes; with ``both``, the other's too."""
    if not state.group.shared:
        return output
    if not both:
        loss, accuracy = state.group.add_gradients(
            [state.generator], [output.generator_loss, output.generator_accuracy], player=2
        )
        return replace(output, generator_loss=loss, generator_accuracy=accuracy)
    told = [output.discriminator_loss, output.generator_loss, output.discriminator_accuracy, output.generator_accuracy]
    d_loss, g_loss, d_right, g_right = state.group.add_gradients([state.discriminator, state.generator], told)
    return StepOutput(d_loss, g_loss, d_right, g_right, output.fake)
