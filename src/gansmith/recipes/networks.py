"""Networks of a recipe, with what tells them labels, kinds and packs.

torch is imported only when networks are built.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from gansmith.errors import UserError
from gansmith.recipe import Recipe
from gansmith.recipes import own
from gansmith.recipes.registry import entry

if TYPE_CHECKING:
    from torch import nn


def generator(recipe: Recipe) -> "nn.Module":
    """A new generator: latents (N, recipe.noise.size) -> images (N, C, S, S) in the range of its last layer.

    A conditional recipe's takes labels (N,) too: see :class:`gansmith.nn.ConditionalGenerator`.
    """
    build = entry(recipe.name).generator
    if not conditioned(recipe):
        return build(recipe)
    from gansmith.nn import ConditionalGenerator

    _check_classes(recipe)
    wider = recipe.noise.model_copy(update={"size": recipe.noise.size + condition_size(recipe)})
    body = build(recipe.model_copy(update={"noise": wider}))
    one_hot = recipe.condition == "one-hot"
    return ConditionalGenerator(body, recipe.conditions, recipe.condition_length, one_hot=one_hot)


def condition_size(recipe: Recipe) -> int:
    """Coordinates that tell a generator its class or kind, beside the noise."""
    from gansmith.nn import EMBEDDING

    return recipe.conditions if recipe.condition == "one-hot" else EMBEDDING


def discriminator(recipe: Recipe) -> "nn.Module":
    """A new discriminator: images (N, C, S, S) -> logits (N, 1), positive for real.

    A conditional recipe's takes labels (N,) too: see :class:`gansmith.nn.ConditionalDiscriminator`.
    """
    body = entry(recipe.name).discriminator(recipe)
    _check_layers(recipe, body)
    network: nn.Module = body
    if conditioned(recipe) or recipe.pack > 1:
        from gansmith.nn import ConditionalDiscriminator

        _check_classes(recipe)
        chain = own.chain(body)
        if chain is None:
            raise UserError(
                f"recipe {recipe.name}: to be told labels or kinds, or to judge packs, its discriminator must be an "
                "nn.Sequential that ends in nn.Linear(..., 1); give it one, or leave `conditional`, `kinds`, `pack` out"
            )
        network = ConditionalDiscriminator(
            chain,
            recipe.conditions,
            _head(recipe),
            numbers=recipe.codes,
            pack=recipe.pack,
            shared=recipe.shared_kinds and recipe.kinds > 0,
        )
    if recipe.spectral_norm:
        from gansmith.nn import spectral

        spectral.normalise(network)
    return network


def _check_layers(recipe: Recipe, body: "nn.Module") -> None:
    """Raises UserError for layers of a discriminator with which parts of the method do not hold."""
    from torch import nn

    from gansmith.nn.batch_norm import has_batch_norm

    if recipe.one_pass and has_batch_norm(body):
        raise UserError(
            f"one_pass: takes each image alone, and the discriminator of {recipe.name} has batch norm; leave it out"
        )
    if recipe.penalty.kind == "none" or not recipe.penalty.difference:
        return
    dropouts = (layer for layer in body.modules() if isinstance(layer, nn.modules.dropout._DropoutNd))
    if recipe.spectral_norm or any(layer.p > 0 for layer in dropouts):
        raise UserError(
            "penalty.difference: compares two passes, and dropout or spectral_norm changes the discriminator between "
            "them; leave penalty.difference out"
        )


def _head(recipe: Recipe) -> Literal["projection", "auxiliary", "information"] | None:
    """How the discriminator takes conditions into account; None without any."""
    if not conditioned(recipe):
        return None
    if recipe.information:
        return "information"
    return "projection" if recipe.conditional == "none" else recipe.conditional


@contextmanager
def unfilled(recipe: Recipe) -> Iterator[None]:
    """Networks of the recipe built inside the block draw nothing from torch's random stream, and wait for weights.

    Those that come with gansmith take no memory either: see :func:`gansmith.nn.unfilled.without_memory`.
    """
    import torch

    from gansmith.nn.unfilled import without_memory

    with torch.random.fork_rng(devices=[]) if recipe.name in own.ENTRIES else without_memory():
        yield


def conditioned(recipe: Recipe) -> bool:
    """Whether the networks are told a class or a kind of each image."""
    return recipe.conditional != "none" or recipe.kinds > 0


def _check_classes(recipe: Recipe) -> None:
    if recipe.conditional != "none" and recipe.classes < 2:
        raise UserError(f"classes = {recipe.classes}: a conditional recipe needs 2 or more, which training counts")
