"""Losses and accuracies: pure functions from logits (N,) or (N, 1) to a scalar tensor. D(x) is sigmoid(logit)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def discriminator_loss(real: Tensor, fake: Tensor, *, real_label: float = 1.0, reduction: str = "mean") -> Tensor:
    """-log D(x) - log(1 - D(G(z))): binary cross-entropy with labels 1 and 0 (Goodfellow et al. 2014, eq. 1).

    Args:
        real: logits of real images.
        fake: logits of as many generated images.
        real_label: label of real images; below 1 is one-sided label smoothing (Salimans et al. 2016, section 3.4).
        reduction: "mean" over all images, or "sum" of the means over real and over fake.

    Returns:
        A float32 scalar, computed from logits: it is finite for any finite logit.
    """
    real, fake = real.float(), fake.float()
    on_real = F.binary_cross_entropy_with_logits(real, torch.full_like(real, real_label))
    on_fake = F.softplus(fake).mean()  # -log(1 - sigmoid(fake))
    return on_real + on_fake if reduction == "sum" else (on_real + on_fake) / 2


def generator_loss(fake: Tensor) -> Tensor:
    """-log D(G(z)): the non-saturating loss (Goodfellow et al. 2014, section 3), in float32."""
    return F.softplus(-fake.float()).mean()  # -log(sigmoid(fake))


def discriminator_accuracy(real: Tensor, fake: Tensor) -> Tensor:
    """Share of images that the discriminator classifies correctly, in [0, 1]: real where the logit is above 0."""
    return ((real > 0).float().mean() + (fake <= 0).float().mean()) / 2


def generator_accuracy(fake: Tensor) -> Tensor:
    """Share of generated images that the discriminator classifies as real, in [0, 1]."""
    return (fake > 0).float().mean()
