"""Penalties on the discriminator's slope: the gradient of its logit by the image's pixels.

Always in float32, as second derivatives of bfloat16 products are noise.
"""

import torch
from torch import Tensor

from gansmith.nn import rows
from gansmith.recipe import Penalty
from gansmith.training import parts
from gansmith.training.losses import wide
from gansmith.training.parts import Answer


def slope(logits: Tensor, images: Tensor) -> Tensor:
    """The gradient (N, C, S, S) of each image's logit by its pixels, itself differentiable.

    ``logits`` (N, 1) come from ``images``, which require gradients; each logit depends on its own image alone. Where
    images of a pack share one, the slope is of its sum over the pack: as long as where each has its own.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return wide(gradient)


def zero_centred(slopes: Tensor, count: int) -> Tensor:
    """Half the mean squared length: sum |slope|^2 / (2 count) of rows (M, C, S, S), M a multiple of ``count``.

    With real images alone this is R1 of Mescheder et al. 2018, equation 10; with real and generated ones R1 + R2.
    """
    result: Tensor = slopes.square().sum() / (2 * count)
    return result


def one_centred(slopes: Tensor) -> Tensor:
    """Mean of (|slope| - 1)^2: the gradient penalty of Gulrajani et al. 2017, equation 3."""
    lengths: Tensor = slopes.flatten(1).norm(dim=1)
    result: Tensor = (lengths - 1).square().mean()
    return result


def finite_difference(answer: Answer, images: Tensor, length: float, pack: int = 1) -> Tensor:
    """Slopes along a random direction u: ((d(x + length u) - d(x)) / length) u √P, P pixels: equal to R1 on average.

    The directions are unit vectors drawn evenly from the global random stream, so E[(s·u)²] is |s|²/P. Images of a
    ``pack`` change each other's logits: the change of the sum c of these has E[c²] = Σ |s|²/P over them, as
    :func:`slope` does, and each image gets an equal share of that.
    """
    u = rows.draw(len(images), lambda count, generator: rows.empty(images, count).normal_(generator=generator))
    u = u / u.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
    change = wide(answer(images + length * u) - answer(images)).flatten() / length
    if pack > 1:
        change = (change.view(-1, pack).sum(dim=1) / pack**0.5).repeat_interleave(pack)
    slopes: Tensor = change[:, None, None, None] * u * images[0].numel() ** 0.5
    return slopes


def penalty(numbers: Penalty, answer: Answer, real: Tensor, fake: Tensor, *, pack: int = 1) -> Tensor:
    """The penalty of real and generated images (N, C, S, S), without its weight gamma.

    Args:
        numbers: which penalty, and how it is taken.
        answer: images (M, C, S, S) -> logits (M, 1), M being N or 2 N: the first N are, or become, ``real``, the next
            ``fake``.
        real: real images.
        fake: as many generated ones, without gradients.
        pack: images of which the discriminator judges so many in a row together.
    """
    with torch.autocast(real.device.type, enabled=False):
        if numbers.kind in parts.PENALTIES:
            return parts.PENALTIES[numbers.kind](answer, real, fake)
        if numbers.kind == "gradient":
            share = rows.draw(
                len(real), lambda count, generator: torch.rand(count, 1, 1, 1, device=real.device, generator=generator)
            )
            between = (share * real + (1 - share) * fake).requires_grad_()
            return one_centred(slope(answer(between), between))
        images = real if numbers.kind == "r1" else torch.cat([real, fake])
        if numbers.difference:
            return zero_centred(finite_difference(answer, images, numbers.difference, pack), len(real))
        images = images.detach().requires_grad_()
        return zero_centred(slope(answer(images), images), len(real))
