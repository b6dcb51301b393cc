"""The registry of recipes: our own, each published system and the user's by name, with source, value and networks.

torch is imported only when networks are built or counted, so that the list of recipes is there at once.
"""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gansmith import markup
from gansmith.errors import UserError
from gansmith.recipe import SHOWN_BY, Recipe
from gansmith.recipes import (
    acgan,
    dcgan,
    dcgan_transpose,
    dcgan_upsample,
    deconv,
    house,
    infogan,
    lsgan,
    mlp,
    mlp_bn,
    own,
    r3gan,
    sngan,
    wgan_gp,
)
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Entry", "Row", "Summary", "discriminator", "entry", "generator", "get", "names", "step_gflop", "summary"]


@dataclass(frozen=True)
class Row:
    """One layer: its kind, output shape without N, and parameters as Keras counts them (moving averages included)."""

    layer: str
    output: tuple[int, ...]
    parameters: int
    trainable: int


@dataclass(frozen=True)
class Summary:
    """The layer tables of both networks."""

    generator: tuple[Row, ...]
    discriminator: tuple[Row, ...]


_ENTRIES: dict[str, Entry] = {
    "house": Entry(
        "gansmith's own",
        "gansmith",
        "2026",
        "told the kinds of images that the data hold: clean digits in two minutes",
        house.RECIPE,
        house.generator,
        house.discriminator,
        parameters=(913_828, 828_449),
        operations=(10_150_912, 11_683_328),
    ),
    "dcgan-upsample": Entry(
        "Getting started with generative adversarial networks",
        "W. Bulten",
        "2017",
        "upsampling and convolutions: the sharpest digits, the longest wait",
        dcgan_upsample.RECIPE,
        dcgan_upsample.generator,
        dcgan_upsample.discriminator,
        parameters=(2_394_241, 4_311_553),
        operations=(315_255_808, 151_785_984),
    ),
    "dcgan-transpose": Entry(
        "GAN by Example using Keras on TensorFlow backend",
        "R. Atienza",
        "2017",
        "the same with transposed convolutions and RMSprop on both sides",
        dcgan_transpose.RECIPE,
        dcgan_transpose.generator,
        dcgan_transpose.discriminator,
        parameters=(2_394_241, 4_311_553),
        operations=(315_255_808, 151_785_984),
    ),
    "deconv": Entry(
        "Generative adversarial networks",
        "A. Deshpande, O'Reilly",
        "2017",
        "a small convolutional pair, batches of 16: quick, and quick to collapse",
        deconv.RECIPE,
        deconv.generator,
        deconv.discriminator,
        parameters=(1_187_841, 28_577),
        operations=(31_232_000, 1_618_240),
    ),
    "mlp": Entry(
        "Understanding Generative Adversarial Networks",
        "N. Shibuya",
        "2017",
        "one hidden layer each: the smallest pair that works",
        mlp.RECIPE,
        mlp.generator,
        mlp.discriminator,
        parameters=(114_064, 100_609),
        operations=(226_304, 200_960),
    ),
    "mlp-bn": Entry(
        "Implementation of Generative Adversarial Networks",
        "anonymous tutorial",
        "2018-2020",
        "perceptrons with batch norm: readable digits in two minutes, Fashion-MNIST too",
        mlp_bn.RECIPE,
        mlp_bn.generator,
        mlp_bn.discriminator,
        parameters=(1_493_520, 533_505),
        operations=(2_967_552, 1_065_472),
    ),
    "dcgan": Entry(
        "Unsupervised representation learning with deep convolutional GANs",
        "A. Radford et al.",
        "2015",
        "the rules that most later networks kept: strides, batch norm, no dense layers",
        dcgan.RECIPE,
        dcgan.generator,
        dcgan.discriminator,
        parameters=(4_930_561, 4_111_361),
        operations=(188_032_000, 186_409_984),
    ),
    "infogan": Entry(
        "InfoGAN: interpretable representation learning",
        "X. Chen et al.",
        "2016",
        "finds ten kinds, mostly digits, without being told any label",
        infogan.RECIPE,
        infogan.generator,
        infogan.discriminator,
        parameters=(6_667_201, 6_694_733),
        operations=(26_243_072, 26_093_568),
    ),
    "lsgan": Entry(
        "Least squares generative adversarial networks",
        "X. Mao et al.",
        "2017",
        "squares in the place of logarithms: fakes far from real ones pull harder",
        lsgan.RECIPE,
        lsgan.generator,
        lsgan.discriminator,
        parameters=(13_228_801, 4_308_993),
        operations=(84_396_032, 73_130_496),
    ),
    "wgan-gp": Entry(
        "Improved training of Wasserstein GANs",
        "I. Gulrajani et al.",
        "2017",
        "a critic with slopes near 1, updated five times a step: slow and steady",
        wgan_gp.RECIPE,
        wgan_gp.generator,
        wgan_gp.discriminator,
        parameters=(1_554_177, 1_030_145),
        operations=(47_960_576, 46_920_192),
    ),
    "acgan": Entry(
        "Conditional image synthesis with auxiliary classifier GANs",
        "A. Odena et al.",
        "2017",
        "labels: the discriminator names the class too",
        acgan.RECIPE,
        acgan.generator,
        acgan.discriminator,
        parameters=(2_989_825, 1_666_571),
        operations=(106_433_280, 58_096_768),
    ),
    "sngan": Entry(
        "Spectral normalization for generative adversarial networks",
        "T. Miyato et al.",
        "2018",
        "weights held to a norm of 1 in the place of a penalty",
        sngan.RECIPE,
        sngan.generator,
        sngan.discriminator,
        parameters=(3_812_097, 2_934_721),
        operations=(172_869_632, 181_405_696),
    ),
    "r3gan": Entry(
        "The GAN is dead; long live the GAN! A modern baseline GAN",
        "Y. Huang et al.",
        "2024",
        "pairs, R1 and R2, residual blocks without any norm, at a CPU's width",
        r3gan.RECIPE,
        r3gan.generator,
        r3gan.discriminator,
        parameters=(110_112, 108_096),
        operations=(55_698_432, 55_695_424),
    ),
}


BUILT_IN = tuple(_ENTRIES)
"""The names of those that come with gansmith."""


def names() -> tuple[str, ...]:
    """The names of all recipes: those that come with gansmith, and those of the user that were loaded."""
    return (*BUILT_IN, *own.ENTRIES)


def entry(name: str) -> Entry:
    """The registered system. Raises UserError, with near names, for one that is not.

    Installed packages that bring recipes are loaded when a name is not known without them.
    """
    if name in _ENTRIES:
        return _ENTRIES[name]
    if name not in own.ENTRIES:
        own.load_installed()
    if name not in own.ENTRIES:
        near = difflib.get_close_matches(name, names(), n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}."
        likely = own.ENTRIES or difflib.get_close_matches(name, near, cutoff=0.6)
        needed = "" if likely else " One of your own needs its file: `recipes` FILE"
        raise UserError(f"no recipe is called {name!r}; {hint.removesuffix('.') if likely else hint}{needed}")
    return own.ENTRIES[name]


def get(name: str) -> Recipe:
    """The complete recipe. Raises UserError as :func:`entry` does."""
    return entry(name).recipe


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


def summary(recipe: Recipe) -> Summary:
    """The layers of both networks, with output shapes and parameters."""
    from gansmith.recipes import count

    return count.summary(recipe)


def parameters(recipe: Recipe) -> tuple[int, int]:
    """How many the generator and the discriminator have, moving averages included."""
    both = summary(recipe)
    return sum(row.parameters for row in both.generator), sum(row.parameters for row in both.discriminator)


def counted(name: str) -> tuple[Recipe, tuple[int, int] | None, float | None]:
    """A recipe as it trains where nothing else is asked for, the parameters of both networks, GFLOP of a step.

    None for the numbers where networks of the user's own do not work at the recipe's size and channels, which a
    training may change.
    """
    found = entry(name)
    if name in _ENTRIES:
        return found.recipe, found.parameters, step_gflop(found.recipe)
    try:
        recipe = own.fitting(found.recipe, {})
        return recipe, parameters(recipe), step_gflop(recipe)
    except Exception:  # any, of the user's own code: a list is no place for it, and a training says it
        return found.recipe, None, None


def step_gflop(recipe: Recipe) -> float:
    """Arithmetic of one training step in 1e9 operations: a multiplication and an addition for each product.

    The generator runs forward for both updates and backward once (4 forward passes' worth, or 3 where one forward pass
    serves both); the discriminator forward and backward on real and fake, then forward and half backward on fake (8).
    """
    generating, discriminating = _operations(recipe)
    if recipe.one_pass:  # forward and backward: G on fakes, D on real and fake; a penalty goes twice as far
        penalised = 4 / recipe.penalty.every if recipe.penalty.kind != "none" else 0
        return recipe.batch_size * (3 * generating + (6 + penalised) * discriminating) / 1e9
    passes = 3 if recipe.share_noise and recipe.fakes == "training" else 4
    penalised = {"none": 0, "r1-r2": 6}.get(recipe.penalty.kind, 3) * recipe.penalty.share
    by_d = recipe.discriminator_updates * ((6 + penalised / recipe.penalty.every) * discriminating + generating)
    by_g = recipe.generator_updates * (2 * discriminating + (passes - 1) * generating)
    return recipe.batch_size * (by_d + by_g) / 1e9


def image_gflop(recipe: Recipe) -> float:
    """Arithmetic of generating one image, in 1e9 operations."""
    return _operations(recipe)[0] / 1e9


def _operations(recipe: Recipe) -> tuple[int, int]:
    """Operations of the recipe's networks, as in :class:`Entry`: looked up for published ones, counted for others."""
    published = entry(recipe.name)
    if published.operations is not None and _networks(recipe) == _networks(published.recipe):
        return published.operations
    from gansmith.recipes import count

    return count.operations(recipe)


def _networks(recipe: Recipe) -> tuple[object, ...]:
    """The values that decide the layers."""
    numbers = (recipe.generator.width, recipe.discriminator.width, recipe.noise.size)
    told = (
        recipe.conditional,
        recipe.classes,
        recipe.kinds,
        recipe.condition,
        recipe.information > 0,
        recipe.codes,
        recipe.pack,
    )
    return recipe.size, recipe.channels, *told, *numbers


def _html(recipe: Recipe) -> str:
    """The layers of both networks."""
    found, parts = summary(own.fitting(recipe, {})), [markup.line(repr(recipe), strong=True)]
    for player, rows in (("generator", found.generator), ("discriminator", found.discriminator)):
        shapes = [(row.layer, " x ".join(map(str, row.output)), f"{row.parameters:,}", "") for row in rows]
        parts += [markup.line(player), markup.table(("layer", "output", "parameters", ""), shapes)]
    return markup.block(*parts)


SHOWN_BY[:] = [_html]
