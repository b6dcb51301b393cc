"""Training with differential privacy: only the discriminator touches data, by clipped and noised gradients (DP-SGD).

Abadi et al. 2016, for GANs as Bie et al. 2023 ("Private GANs, Revisited") have it: many updates of D to one of G. Each
update of D draws a batch of its own, each image with the same probability, whose gradients are clipped one by one and
summed with normal noise, by Opacus. The term of generated images, and all that G learns, follow from D's weights, so
they cost nothing. Batches and noise come from the operating system's randomness, not from the run's seed: who knows
the seed would know the noise.
"""

import math
import secrets
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansmith.data import Dataset
from gansmith.errors import UserError
from gansmith.generator import generate
from gansmith.nn import set_fast
from gansmith.recipe import Recipe
from gansmith.recipes import entry
from gansmith.training import losses
from gansmith.training.guarantee import Privacy
from gansmith.training.losses import wide
from gansmith.training.step import (
    DiscriminatorPass,
    StepOutput,
    TrainState,
    discriminate,
    end_step,
    generator_gradients,
    partners,
    sample_latents,
    update_discriminator,
    update_generator,
)

TRIED = 4  # images whose gradients' lengths are checked
NEAR = 3e-3  # as a share of them; products in TF32 round by a third of that
OTHER_NORMS = (nn.modules.batchnorm._BatchNorm, nn.InstanceNorm1d, nn.InstanceNorm2d)


def check(recipe: Recipe) -> None:
    """Raises UserError, in one line, for a recipe whose players touch data in other ways than :class:`PrivateStep`."""
    if recipe.loss != "non-saturating":
        raise UserError(
            f"`private`: recipe {recipe.name}, loss {recipe.loss}: takes real and generated images together; choose "
            "a recipe with the loss non-saturating and without penalty, such as mlp"
        )
    if entry(recipe.name).step is not None:
        raise UserError(f"`private`: recipe {recipe.name} has a step of its own, which may do anything with the data")
    if recipe.penalty.kind != "none":
        raise UserError(f"`private`: penalty {recipe.penalty.kind}: touches real images; give `penalty.kind` none")
    if recipe.one_pass:
        raise UserError("`private`: one_pass: both players learn from real images at once; leave it out")
    if recipe.pack > 1:
        raise UserError("`private`: pack: images judged together have no gradient each of their own; give `pack` 1")
    if recipe.kinds or recipe.information or recipe.conditional == "auxiliary":
        raise UserError("`private`: kinds and an auxiliary head learn from the data in ways that are not counted")
    if recipe.augment.on:
        raise UserError("`private`: augmented images are not counted for; leave augment out")
    if recipe.spectral_norm:
        raise UserError("`private`: spectral_norm: its gradients cannot be told apart by image; leave it out")


def check_layers(recipe: Recipe, discriminator: nn.Module) -> None:
    """Raises UserError, in one line, where one image changes another's gradient."""
    for module in discriminator.modules():
        if isinstance(module, OTHER_NORMS):
            raise UserError(
                f"`private`: recipe {recipe.name}: its discriminator has batch norm, by which images change each "
                "other's gradients; choose a recipe without, such as mlp"
            )


class Drawn:
    """Batches by Poisson sampling: each image with the same probability, for each update of D anew."""

    def __init__(self, dataset: Dataset, recipe: Recipe, privacy: Privacy) -> None:
        self.dataset, self.rate, self.updates = dataset, privacy.rate, recipe.discriminator_updates
        self.sizes: Sequence[int] = ()
        """Images of each update's batch, of the last call of :meth:`at`."""
        self._rows = np.empty(0, np.int64)
        self._random = np.random.default_rng(secrets.randbits(128))

    def at(self, position: int) -> np.ndarray:
        """uint8 (N, C, H, W): the batches of one step, whatever its position; N differs."""
        batches = [np.flatnonzero(self._random.random(len(self.dataset)) < self.rate) for _ in range(self.updates)]
        self.sizes = [len(each) for each in batches]
        self._rows = np.concatenate(batches)
        return self.dataset.take(self._rows)

    def labels_at(self, position: int) -> np.ndarray:
        """The classes (N,) of the images of the last :meth:`at`."""
        assert self.dataset.labels is not None
        return self.dataset.labels[self._rows]


class PrivateStep:
    """(real, labels) -> StepOutput, as :func:`gansmith.training.step.step`, with noise on all that D learns from data.

    Args:
        state: changed in place.
        recipe: that :func:`check` let pass.
        images: where the batches come from.
        privacy: of :func:`gansmith.training.guarantee.plan`.
    """

    def __init__(self, state: TrainState, recipe: Recipe, images: Drawn, privacy: Privacy) -> None:
        from opacus.grad_sample import GradSampleModuleFastGradientClipping
        from opacus.optimizers import DPOptimizerFastGradientClipping

        self.state, self.recipe, self.images = state, recipe, images
        set_fast(state.discriminator, False)  # the plain layers, whose gradients can be told apart by image
        for layer in state.discriminator.modules():
            if isinstance(layer, nn.Conv2d):  # of images that lie otherwise Opacus gets the lengths wrong
                layer.register_forward_pre_hook(_laid_out)
        self.watched = GradSampleModuleFastGradientClipping(
            state.discriminator, loss_reduction="sum", max_grad_norm=privacy.clip
        )
        self.watched.disable_hooks()
        device = next(state.discriminator.parameters()).device
        self.noised: Any = DPOptimizerFastGradientClipping(
            state.discriminator_optimizer,
            noise_multiplier=privacy.noise,
            max_grad_norm=privacy.clip,
            expected_batch_size=recipe.batch_size,
            loss_reduction="mean",
            generator=torch.Generator(device).manual_seed(secrets.randbits(63)),
        )
        self._check_lengths()

    def __call__(self, real: Tensor, labels: Tensor | None = None) -> StepOutput:
        """One step: as many updates of D as the recipe says, each from a batch of its own, then G's."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Full backward hook is firing")  # images need no gradient
            return self._step(real, labels)

    def _step(self, real: Tensor, labels: Tensor | None) -> StepOutput:
        state, recipe = self.state, self.recipe
        sizes = list(self.images.sizes)
        batches = torch.split(real, sizes)
        told = [None] * len(sizes) if labels is None else torch.split(labels, sizes)
        anything = None if labels is None else torch.arange(recipe.batch_size, device=real.device) % recipe.classes
        for turn, (batch, classes) in enumerate(zip(batches, told, strict=True)):
            first = self._discriminator_gradients(batch, classes, anything)
            update_discriminator(state, recipe, turn)
        for turn in range(recipe.generator_updates):
            output = generator_gradients(state, recipe, first, anything)
            update_generator(state, recipe, turn)
        end_step(state, recipe)
        return output

    def _discriminator_gradients(
        self, real: Tensor, labels: Tensor | None, anything: Tensor | None
    ) -> DiscriminatorPass:
        """Puts D's gradients in place: of real images clipped and noised, of generated ones as they are.

        Classes to generate are drawn from ``anything``, evenly, and not from the labels of real images.
        """
        state, recipe = self.state, self.recipe
        weights = list(state.discriminator.parameters())
        z = sample_latents(recipe.noise, recipe.batch_size, real.device)
        asked = partners(recipe, anything, z)
        state.generator.train(recipe.fakes == "training")
        with torch.no_grad():
            fake = wide(generate(state.generator, z, asked))
        state.generator.train()

        # -log D(x), for each image alone; the sum of its gradients is divided by the batch's expected size
        on_real, loss_real = self._real_gradients(real, labels)
        self.noised.accumulate()
        self.noised.add_noise()
        self.noised.scale_grad()

        # -log(1 - D(G(z)))
        on_fake, _ = discriminate(state.discriminator, fake, asked)
        loss_fake = F.softplus(wide(on_fake)).mean()
        for weight, slope in zip(weights, torch.autograd.grad(loss_fake, weights, allow_unused=True), strict=True):
            assert weight.grad is not None
            both = torch.empty_like(weight).copy_(weight.grad)  # as its weight lies in memory, for fused optimisers
            weight.grad = both if slope is None else both + slope
            weight.summed_grad = None  # type: ignore[attr-defined]
        loss = (loss_real + loss_fake).detach() / 2
        accuracy = losses.discriminator_accuracy(on_real, on_fake.detach())
        return DiscriminatorPass(z, asked, None, fake, loss, accuracy)

    def _real_gradients(self, real: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Puts the sum of the images' clipped gradients in place; their logits, and their mean loss.

        Twice backwards (ghost clipping, Li et al. 2022): the first time for each image's gradient's length, which of a
        linear layer is known without the gradient, then with each image's loss times what its gradient is clipped by.
        """
        for weight in self.state.discriminator.parameters():
            weight.grad = None
        if not len(real):  # as Poisson sampling may have it
            for weight in self.state.discriminator.parameters():
                weight.grad = torch.zeros_like(weight)
            return real.new_zeros(0, 1), real.new_zeros(())
        self.watched.enable_hooks()
        try:
            logits, loss = self._losses(real, labels)
            torch.autograd.backward(loss.sum(), retain_graph=True)
            share = self.watched.get_clipping_coef()
        finally:
            self.watched.disable_hooks()
        for weight in self.state.discriminator.parameters():
            weight.grad = None
        torch.autograd.backward((share[:, None] * loss).sum())
        return logits.detach(), loss.detach().mean()

    def _losses(self, real: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits (N, 1) of real images, and -log D(x) of each."""
        logits = wide(self.watched(real) if labels is None else self.watched(real, labels))
        target = torch.full_like(logits, self.recipe.real_label)
        return logits, F.binary_cross_entropy_with_logits(logits, target, reduction="none")

    def _check_lengths(self) -> None:
        """Compares the lengths that gradients are clipped by with those of each image's gradient when it is alone.

        The guarantee rests on them. Raises UserError where they differ, as where an image changes another's logit.
        """
        recipe, weights = self.recipe, list(self.state.discriminator.parameters())
        device = weights[0].device
        dropouts = [m for m in self.watched.modules() if isinstance(m, nn.Dropout | nn.Dropout2d) and m.training]
        with torch.random.fork_rng(), torch.autocast(device.type, enabled=False), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Full backward hook is firing")
            torch.manual_seed(0)
            shape = (TRIED, recipe.channels, recipe.size, recipe.size)
            images = torch.empty(shape, device=device, memory_format=torch.channels_last).uniform_(*recipe.pixels)
            labels = torch.arange(TRIED, device=device) % recipe.classes if recipe.classes else None
            for layer in dropouts:
                layer.eval()
            self._real_gradients(images, labels)
            found = self.watched.get_norm_sample()
            for row, length in enumerate(found.tolist()):
                loss = self._losses(images[row : row + 1], None if labels is None else labels[row : row + 1])[1]
                slopes = torch.autograd.grad(loss.sum(), weights, allow_unused=True)
                alone = math.sqrt(sum(float(each.square().sum()) for each in slopes if each is not None))
                if abs(alone - length) > NEAR * max(alone, length):
                    raise UserError(
                        f"`private`: recipe {recipe.name}: gradients of its discriminator cannot be told apart by "
                        "image, as where an image changes another's; choose a recipe such as mlp"
                    )
            for layer in dropouts:
                layer.train()
            for weight in weights:
                weight.grad = weight.summed_grad = None  # type: ignore[attr-defined]


def _laid_out(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The inputs of a layer, one channel after another in memory."""
    return tuple(each.clone(memory_format=torch.contiguous_format) for each in inputs)
