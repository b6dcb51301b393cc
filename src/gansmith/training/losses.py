"""Losses and accuracies: pure functions from logits (N,) or (N, 1) to a scalar tensor, in float32.

A logit d(x) is what the discriminator answers. In the first game of all, D(x) is sigmoid(d(x)).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from gansmith.training import parts


def wide(tensor: Tensor) -> Tensor:
    """In float32, or in float64 where it is that already."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def discriminator_loss(
    real: Tensor, fake: Tensor, *, kind: str = "non-saturating", real_label: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """What the discriminator makes small.

    Args:
        real: logits of real images.
        fake: logits of as many generated images; in "relativistic" row i of both is a pair.
        kind: which game, a key of :data:`GAMES` or the name of a loss of the user's own.
        real_label: label of real images in "non-saturating"; below 1 is one-sided label smoothing (Salimans et al.
            2016, section 3.4).
        reduction: "mean" over all images, or "sum" of the means over real and over fake.

    Returns:
        A float32 scalar, finite for any finite logits of ordinary size.
    """
    real, fake = wide(real), wide(fake)
    if kind in parts.LOSSES:
        return parts.LOSSES[kind].terms(real, fake)[0]
    if kind == "relativistic":
        return F.softplus(fake - real).mean()
    if kind == "non-saturating":
        on_real = F.binary_cross_entropy_with_logits(real, torch.full_like(real, real_label))
    else:
        on_real = GAMES[kind][0](real).mean()
    on_fake = GAMES[kind][1](fake).mean()
    return on_real + on_fake if reduction == "sum" else (on_real + on_fake) / 2


def generator_loss(fake: Tensor, *, kind: str = "non-saturating", real: Tensor | None = None) -> Tensor:
    """What the generator makes small, of the logits of its images, and of real ones where :func:`needs_real`."""
    fake = wide(fake)
    if kind in parts.LOSSES:
        assert real is not None
        return parts.LOSSES[kind].terms(wide(real), fake)[1]
    if kind == "relativistic":
        assert real is not None
        return F.softplus(wide(real) - fake).mean()
    return GAMES[kind][2](fake).mean()


Term = Callable[[Tensor], Tensor]

GAMES: dict[str, tuple[Term, Term, Term]] = {
    # -log D(x), -log(1 - D(G(z))), -log D(G(z)): Goodfellow et al. 2014, equation 1 and section 3
    "non-saturating": (lambda real: F.softplus(-real), F.softplus, lambda fake: F.softplus(-fake)),
    # Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17
    "hinge": (lambda real: F.relu(1 - real), lambda fake: F.relu(1 + fake), torch.neg),
    # Arjovsky et al. 2017: the critic's means; to be used with a gradient penalty
    "wasserstein": (torch.neg, lambda fake: fake, torch.neg),
    # Mao et al. 2017, equation 9: a = 0, b = c = 1
    "least-squares": (lambda real: (real - 1).square(), torch.square, lambda fake: (fake - 1).square()),
}
"""Each game's terms for a real image, a generated one, and the generator's for it. "relativistic" is of pairs instead:
softplus(d(G(z)) - d(x)), and the same with the roles changed (Jolicoeur-Martineau 2018; Huang et al. 2024)."""


def discriminator_accuracy(real: Tensor, fake: Tensor, *, kind: str = "non-saturating") -> Tensor:
    """Share of images that the discriminator classifies correctly, in [0, 1]; of pairs in a relativistic game.

    The boundary is the logit 0; for "least-squares" it is 0.5, and a critic of "wasserstein" has none: there too the
    pairs count.
    """
    if is_paired(kind):
        return (real > fake).float().mean()
    middle = 0.5 if kind == "least-squares" else 0.0
    return ((real > middle).float().mean() + (fake <= middle).float().mean()) / 2


def generator_accuracy(fake: Tensor, *, kind: str = "non-saturating", real: Tensor | None = None) -> Tensor:
    """Share of generated images that the discriminator classifies as real, or prefers to their partners, in [0, 1]."""
    if is_paired(kind) and real is not None:
        return (fake > real).float().mean()
    return (fake > (0.5 if kind == "least-squares" else 0.0)).float().mean()


PAIRED = ("relativistic", "wasserstein")
"""Games in which a logit means something only beside another."""


def is_paired(kind: str) -> bool:
    """Whether in a game a logit means something only beside another."""
    return kind in PAIRED or (kind in parts.LOSSES and parts.LOSSES[kind].paired)


def needs_real(kind: str) -> bool:
    """Whether the generator's loss depends on the logits of real images too."""
    return kind == "relativistic" or kind in parts.LOSSES
