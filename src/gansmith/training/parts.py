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
            logits = torch.linspace(-1, 1, 4)[:, None].requires_grad_()
            with blaming(OWN["loss", recipe.loss]):
                found: Any = LOSSES[recipe.loss].terms(logits, logits + 0.5)
                if not isinstance(found, tuple) or len(found) != 2:
                    raise UserError(f"loss {recipe.loss}: return two losses, the discriminator's and the generator's")
                for player, value in zip(("discriminator", "generator"), found, strict=True):
                    _scalar(f"loss {recipe.loss}: that of the {player}", value)
        if recipe.penalty.kind in PENALTIES:
            with blaming(OWN["penalty.kind", recipe.penalty.kind]):
                real, fake = torch.rand(shape), torch.rand(shape)
                weight = torch.ones((), requires_grad=True)
                value = PENALTIES[recipe.penalty.kind](lambda x: weight * x.flatten(1).sum(1, keepdim=True), real, fake)
                _scalar(f"penalty {recipe.penalty.kind}", value)
        if recipe.augment.own in AUGMENTATIONS:
            with blaming(OWN["augment.own", recipe.augment.own]):
                images: Any = AUGMENTATIONS[recipe.augment.own](torch.rand(shape).requires_grad_())
                if not isinstance(images, Tensor) or images.shape != shape or not images.requires_grad:
                    what = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
                    raise UserError(
                        f"augmentation {recipe.augment.own}: gives {what} of images {shape}; return images of the same "
                        "shape, through which gradients flow"
                    )


def _scalar(who: str, found: Any) -> None:
    if not isinstance(found, Tensor) or found.shape != ():
        what = f"a tensor {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise UserError(f"{who} is {what}; it must be a scalar, such as the mean over images")
    if not found.requires_grad:
        raise UserError(f"{who} does not depend on the logits that it is given; no gradient flows")
