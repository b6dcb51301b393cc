"""Losses, penalties and augmentations of the user's own, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gansmith.errors import UserError
from gansmith.recipe import OWN, Recipe
from gansmith.recipes.own import blaming

Terms = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Answer = Callable[[Tensor], Tensor]
PenaltyTerm = Callable[[Answer, Tensor, Tensor], Tensor]
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Game:
    """Both players' losses as one function of logits (N, 1) of real and generated images, and what a logit means."""

    terms: Terms
    paired: bool
    """Whether a logit means something only beside another."""


LOSSES: dict[str, Game] = {}
PENALTIES: dict[str, PenaltyTerm] = {}
AUGMENTATIONS: dict[str, Change] = {}


def check(recipe: Recipe) -> None:
    """Tries a recipe's own loss, penalty and augmentation on four images.

    Raises UserError, in one line, where one of them does not give what it must.
    """
    shape = (4, recipe.channels, recipe.size, recipe.size)
    with torch.random.fork_rng(devices=[]):
        if recipe.loss in LOSSES:
            real, fake = (torch.linspace(start, start + 2, 4)[:, None].requires_grad_() for start in (-1, -0.5))
            with blaming(OWN["loss", recipe.loss]):
                found: Any = LOSSES[recipe.loss].terms(real, fake)
                if not isinstance(found, tuple) or len(found) != 2:
                    raise UserError(f"loss {recipe.loss}: return two losses, the discriminator's and the generator's")
                for player, value in zip(("discriminator", "generator"), found, strict=True):
                    _scalar(f"loss {recipe.loss}: that of the {player}", value)
                if torch.autograd.grad(found[1], fake, allow_unused=True)[0] is None:
                    raise UserError(
                        f"loss {recipe.loss}: that of the generator must depend on the logits of its images"
                    )
        if recipe.penalty.kind in PENALTIES:
            with blaming(OWN["penalty.kind", recipe.penalty.kind]):
                weight = torch.ones((), requires_grad=True)
                value = PENALTIES[recipe.penalty.kind](
                    lambda x: weight * x.flatten(1).sum(1, keepdim=True), torch.rand(shape), torch.rand(shape)
                )
                _scalar(f"penalty {recipe.penalty.kind}", value)
        if recipe.augment.own in AUGMENTATIONS:
            with blaming(OWN["augment.own", recipe.augment.own]):
                images: Any = AUGMENTATIONS[recipe.augment.own](torch.rand(shape).requires_grad_())
                who, what = f"augmentation {recipe.augment.own}", type(images).__name__
                if isinstance(images, Tensor):
                    what = f"{tuple(images.shape)} of {images.dtype}"
                if what != f"{shape} of torch.float32":
                    raise UserError(f"{who}: gives {what}; return what it is given, {shape} of torch.float32")
                if not images.requires_grad:
                    raise UserError(f"{who}: no gradient flows through it; the generator would learn nothing")


def _scalar(who: str, found: Any) -> None:
    if not isinstance(found, Tensor) or found.shape != ():
        what = f"a tensor {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise UserError(f"{who} is {what}; it must be a scalar, such as the mean over images")
    if not found.requires_grad:
        raise UserError(f"{who} does not depend on the logits that it is given; no gradient flows")
    if not found.isfinite():
        raise UserError(f"{who} is {found.item()} of ordinary values; it must be finite")
