"""The registry of recipes: each published system by name, with its source, its value and its networks."""

import difflib
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gansmith.errors import UserError
from gansmith.nn import EMBEDDING, ConditionalDiscriminator, ConditionalGenerator
from gansmith.recipe import Recipe
from gansmith.recipes import dcgan_transpose, dcgan_upsample, deconv, mlp, mlp_bn

__all__ = ["Entry", "Row", "Summary", "discriminator", "entry", "generator", "get", "names", "step_gflop", "summary"]


@dataclass(frozen=True)
class Entry:
    """A published system: where it comes from, the complete recipe, and how to build its networks."""

    title: str
    author: str
    year: str
    note: str
    recipe: Recipe
    generator: Callable[[Recipe], nn.Module]
    discriminator: Callable[[Recipe], nn.Module]


_ENTRIES = {
    "dcgan-upsample": Entry(
        "Getting started with generative adversarial networks",
        "W. Bulten",
        "2017",
        "upsampling and convolutions: the sharpest digits, the longest wait",
        dcgan_upsample.RECIPE,
        dcgan_upsample.generator,
        dcgan_upsample.discriminator,
    ),
    "dcgan-transpose": Entry(
        "GAN by Example using Keras on TensorFlow backend",
        "R. Atienza",
        "2017",
        "the same with transposed convolutions and RMSprop on both sides",
        dcgan_transpose.RECIPE,
        dcgan_transpose.generator,
        dcgan_transpose.discriminator,
    ),
    "deconv": Entry(
        "Generative adversarial networks",
        "A. Deshpande, O'Reilly",
        "2017",
        "a small convolutional pair, batches of 16: quick, and quick to collapse",
        deconv.RECIPE,
        deconv.generator,
        deconv.discriminator,
    ),
    "mlp": Entry(
        "Understanding Generative Adversarial Networks",
        "N. Shibuya",
        "2017",
        "one hidden layer each: the smallest pair that works",
        mlp.RECIPE,
        mlp.generator,
        mlp.discriminator,
    ),
    "mlp-bn": Entry(
        "Implementation of Generative Adversarial Networks",
        "anonymous tutorial",
        "2018-2020",
        "perceptrons with batch norm: readable digits in two minutes, Fashion-MNIST too",
        mlp_bn.RECIPE,
        mlp_bn.generator,
        mlp_bn.discriminator,
    ),
}


def names() -> tuple[str, ...]:
    """The names of all recipes."""
    return tuple(_ENTRIES)


def entry(name: str) -> Entry:
    """The registered system. Raises UserError, with near names, for one that is not."""
    if name not in _ENTRIES:
        near = difflib.get_close_matches(name, _ENTRIES, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(_ENTRIES)}"
        raise UserError(f"no recipe is called {name!r}; {hint}")
    return _ENTRIES[name]


def get(name: str) -> Recipe:
    """The complete published recipe. Raises UserError as :func:`entry` does."""
    return entry(name).recipe


def generator(recipe: Recipe) -> nn.Module:
    """A new generator: latents (N, recipe.noise.size) -> images (N, C, S, S) in the range of its last layer.

    A conditional recipe's takes labels (N,) too: see :class:`gansmith.nn.ConditionalGenerator`.
    """
    build = entry(recipe.name).generator
    if recipe.conditional == "none":
        return build(recipe)
    _check_classes(recipe)
    wider = recipe.noise.model_copy(update={"size": recipe.noise.size + EMBEDDING})
    return ConditionalGenerator(build(recipe.model_copy(update={"noise": wider})), recipe.classes)


def discriminator(recipe: Recipe) -> nn.Module:
    """A new discriminator: images (N, C, S, S) -> logits (N, 1), positive for real.

    A conditional recipe's takes labels (N,) too: see :class:`gansmith.nn.ConditionalDiscriminator`.
    """
    body = entry(recipe.name).discriminator(recipe)
    if recipe.conditional == "none":
        return body
    _check_classes(recipe)
    assert isinstance(body, nn.Sequential)
    return ConditionalDiscriminator(body, recipe.classes, recipe.conditional)


def _check_classes(recipe: Recipe) -> None:
    if recipe.classes < 2:
        raise UserError(f"classes = {recipe.classes}: a conditional recipe needs 2 or more, which training counts")


@dataclass(frozen=True)
class Row:
    """One layer: its kind, output shape without N, and parameters as Keras counts them (moving averages included)."""

    layer: str
    output: tuple[int, ...]
    parameters: int
    trainable: int


@dataclass(frozen=True)
class Summary:
    """The layer tables of both players."""

    generator: tuple[Row, ...]
    discriminator: tuple[Row, ...]


def summary(recipe: Recipe) -> Summary:
    """Builds both networks and runs two images through, noting each layer's output shape and parameters.

    A conditional generator's table begins with its labels' embedding, a conditional discriminator's ends with its head.
    """
    latent = torch.zeros(2, recipe.noise.size)
    image = torch.zeros(2, recipe.channels, recipe.size, recipe.size)
    with torch.random.fork_rng(devices=[]):
        forger, judge = generator(recipe), discriminator(recipe)
        if not isinstance(forger, ConditionalGenerator) or not isinstance(judge, ConditionalDiscriminator):
            return Summary(_rows(forger.children(), latent), _rows(judge.children(), image))
        label, wider = torch.zeros(2, dtype=torch.long), torch.zeros(2, recipe.noise.size + EMBEDDING)
        features = torch.zeros(2, judge.logit.in_features)
        head = _rows([judge.projection], label) if judge.projection else _rows([judge.classifier], features)
        return Summary(
            _rows([forger.embedding], label) + _rows(forger.body.children(), wider),
            _rows([*judge.features, judge.logit], image) + head,
        )


@torch.no_grad()
def _rows(layers: Iterable[nn.Module | None], value: torch.Tensor) -> tuple[Row, ...]:
    rows = []
    for layer in filter(None, layers):
        value = layer(value)
        trainable = sum(parameter.numel() for parameter in layer.parameters())
        averages = sum(buffer.numel() for buffer in layer.buffers() if buffer.is_floating_point())
        rows.append(Row(type(layer).__name__, tuple(value.shape[1:]), trainable + averages, trainable))
    return tuple(rows)


def step_gflop(recipe: Recipe) -> float:
    """Arithmetic of one training step in 1e9 operations: a multiplication and an addition for each product.

    The generator runs forward for both players and backward once (4 forward passes' worth, or 3 where one forward pass
    serves both); the discriminator forward and backward on real and fake, then forward and half backward on fake (8).
    """
    passes = 3 if recipe.share_noise and recipe.fakes == "training" else 4
    generated, judged = forward_gflop(recipe)
    return recipe.batch_size * (passes * generated + 8 * judged)


def image_gflop(recipe: Recipe) -> float:
    """Arithmetic of making one image, in 1e9 operations."""
    return forward_gflop(recipe)[0]


@functools.lru_cache(maxsize=64)
def forward_gflop(recipe: Recipe) -> tuple[float, float]:
    """Arithmetic of generating one image, and of judging one, in 1e9 operations; networks are built to count them."""
    image = torch.zeros(2, recipe.channels, recipe.size, recipe.size)
    return _gflop(generator, recipe, torch.zeros(2, recipe.noise.size)), _gflop(discriminator, recipe, image)


def _gflop(build: Callable[[Recipe], nn.Module], recipe: Recipe, value: torch.Tensor) -> float:
    """Of one row of a forward pass."""
    with torch.random.fork_rng(devices=[]):
        network = build(recipe)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(value)
    return float(counter.get_total_flops()) / len(value) / 1e9
