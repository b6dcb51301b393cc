"""house: gansmith's own recipe, for good pictures in minutes of a laptop.

What it takes from where: the relativistic game with R1 and R2 at both players' images from R3GAN (Huang et al. 2024);
kinds of images, found in the data, told to both players from Liu et al. 2020; pairs of one kind that the discriminator
judges together, so that a kind drawn in few ways is seen, from PacGAN (Lin et al. 2018); four pixels a place at the
finest level, so that no convolution runs at the full size, from sub-pixel convolution (Shi et al. 2016); one pass of
the discriminator for both players; the generator averaged over the last tenth of the run, whatever its length (Karras
et al. 2024). Our own: what D learns of a kind holds for kinds near it too. What was tried and dropped is in
benchmarks/quality/log.md. Comments name the maps of 28x28 images.
"""

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from gansmith.recipe import Average, Network, Noise, Optimizer, Penalty, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import nn

PLAYER = Optimizer(kind="adam", lr=1e-3, beta1=0.0, beta2=0.99, eps=1e-8, decay=2e-4, warm_up=0.1)

RECIPE = Recipe(
    name="house",
    pixels=(-1.0, 1.0),
    noise=Noise(size=64, distribution="normal"),
    generator=Network(slope=0.2),
    discriminator=Network(slope=0.2),
    generator_optimizer=PLAYER.model_copy(update={"lr": 2e-3, "decay": 4e-4}),  # twice as fast at first, as fast later
    discriminator_optimizer=PLAYER,
    batch_size=32,
    steps=3_000,
    loss="relativistic",
    penalty=Penalty(kind="r1-r2", gamma=2.0, gamma_end=0.2, every=4),
    average=Average(span=0.1),
    one_pass=True,
    pack=2,
    kinds=300,
    shared_kinds=True,
    condition_length=4.0,
)


def generator(recipe: Recipe) -> "nn.Sequential":
    """z (N, Z) -> images (N, C, S, S) in [-1, 1]."""
    from torch import nn

    from gansmith.nn import Crop, DepthToSpace, Reshape, Residual, initialise

    def activation() -> nn.Module:
        return nn.LeakyReLU(recipe.generator.slope)

    levels, side = _levels(recipe.size), _side(recipe.size)
    widths = [recipe.generator.scaled(min(32 * 2**level, 256)) for level in reversed(range(levels))]  # 64, 32
    layers: list[nn.Module] = [
        *(nn.Linear(recipe.noise.size, recipe.generator.scaled(256)), activation()),
        *(nn.Linear(recipe.generator.scaled(256), side * side * widths[0]), Reshape(widths[0], side, side)),  # 7x7x64
    ]
    for level, width in enumerate(widths):
        if level:
            layers += [nn.Conv2d(widths[level - 1], 4 * width, 1), DepthToSpace()]  # 14x14x32
        layers += [Residual(activation(), nn.Conv2d(width, width, 3, padding=1))]
    layers += [activation(), nn.Conv2d(widths[-1], 4 * recipe.channels, 3, padding=1)]  # four pixels a place
    network = nn.Sequential(*layers, DepthToSpace(), nn.Tanh(), Crop(recipe.size))  # 28x28
    initialise(network, lambda weight: nn.init.kaiming_uniform_(weight, a=math.sqrt(5)))
    return network


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> logits (N, 1)."""
    from torch import nn

    from gansmith.nn import SpaceToDepth, initialise

    def activation() -> nn.Module:
        return nn.LeakyReLU(recipe.discriminator.slope)

    levels, side = _levels(recipe.size), _side(recipe.size)
    widths = [recipe.discriminator.scaled(min(32 * 2**level, 256)) for level in range(levels + 1)]  # 32, 64, 128
    layers: list[nn.Module] = [SpaceToDepth(), nn.Conv2d(4 * recipe.channels, widths[0], 3, padding=1), activation()]
    for before, width in pairwise(widths):  # 14x14x32 -> 7x7x64 -> 4x4x128
        layers += [SpaceToDepth(), nn.Conv2d(4 * before, width, 1), activation()]
        layers += [nn.Conv2d(width, width, 3, padding=1), activation()]
    last = math.ceil(side / 2)
    hidden = recipe.discriminator.scaled(256)
    layers += [nn.Flatten(), nn.Linear(last * last * widths[-1], hidden), activation(), nn.Linear(hidden, 1)]
    network = nn.Sequential(*layers)
    initialise(network, lambda weight: nn.init.kaiming_uniform_(weight, a=math.sqrt(5)))
    return network


def _levels(size: int) -> int:
    """How often maps double: the smallest is about 8x8, and 7x7 for 28x28."""
    return max(1, round(math.log2(size / 8)))


def _side(size: int) -> int:
    """Of the smallest map."""
    return math.ceil(size / (1 << _levels(size)))


ENTRY = Entry(
    title="gansmith's own",
    author="gansmith",
    year="2026",
    note="told the kinds of images that the data hold: clean digits in two minutes",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(913_828, 828_449),
    operations=(10_150_912, 11_683_328),
)
