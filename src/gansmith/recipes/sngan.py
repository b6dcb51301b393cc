"""sngan: "Spectral Normalization for Generative Adversarial Networks" (Miyato et al. 2018).

Each weight of D is divided by its largest singular value (`spectral_norm`), which bounds the slope of D without a
penalty. The networks are the paper's standard CNN for CIFAR-10 (table 3: batch norm in G only, LeakyReLU 0.1 in D),
the game is the hinge (equations 16 and 17), the optimiser its setting C: Adam at 2e-4, betas 0.5 and 0.999, one update
of D for one of G, batches of 64. Published for 32x32, with maps of 4, 8, 16 and 32; other sizes halve down to 4 or
less. Comments name the maps of 28x28. Published length: 100,000 steps; here a fifth.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

from gansmith.recipe import Network, Noise, Optimizer, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import Tensor, nn

RECIPE = Recipe(
    name="sngan",
    pixels=(-1.0, 1.0),
    noise=Noise(size=128, distribution="normal"),
    discriminator=Network(slope=0.1),
    generator_optimizer=Optimizer(kind="adam", lr=2e-4, beta1=0.5, eps=1e-8),
    discriminator_optimizer=Optimizer(kind="adam", lr=2e-4, beta1=0.5, eps=1e-8),
    batch_size=64,
    steps=20_000,
    loss="hinge",
    reduction="sum",
    spectral_norm=True,
)


def generator(recipe: Recipe) -> "nn.Sequential":
    """z (N, Z) -> images (N, C, S, S) in [-1, 1]."""
    from torch import nn

    from gansmith.nn import Reshape, SameConv2d, SameConvTranspose2d, halves, initialise

    sides = halves(recipe.size, 4)  # 4, 7, 14, 28
    widths = [recipe.generator.scaled(64 << level) for level in reversed(range(len(sides)))]  # 512, 256, 128, 64
    layers: list[nn.Module] = [
        *(nn.Linear(recipe.noise.size, widths[0] * sides[0] ** 2), Reshape(widths[0], sides[0], sides[0])),  # 4x4x512
    ]
    for (before, width), side in zip(pairwise(widths), sides[1:], strict=True):  # 7x7x256, 14x14x128, 28x28x64
        layers += [SameConvTranspose2d(before, width, 4, 2, out_size=side)]
        layers += [nn.BatchNorm2d(width), nn.LeakyReLU(recipe.generator.slope)]
    network = nn.Sequential(*layers, SameConv2d(widths[-1], recipe.channels, 3), nn.Tanh())  # 28x28x1
    initialise(network, _normal)
    return network


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> values (N, 1), whose slope by the image is bounded."""
    from torch import nn

    from gansmith.nn import SameConv2d, halves, initialise

    sides, slope = halves(recipe.size, 4), recipe.discriminator.slope
    widths = [recipe.discriminator.scaled(64 << level) for level in range(len(sides))]  # 64, 128, 256, 512
    layers: list[nn.Module] = [SameConv2d(recipe.channels, widths[0], 3), nn.LeakyReLU(slope)]  # 28x28x64
    for before, width in pairwise(widths):
        layers += [SameConv2d(before, before, 4, stride=2), nn.LeakyReLU(slope)]  # 14x14x64, 7x7x128, 4x4x256
        layers += [SameConv2d(before, width, 3), nn.LeakyReLU(slope)]  # 14x14x128, 7x7x256, 4x4x512
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * sides[0] ** 2, 1))
    initialise(network, _normal)
    return network


def _normal(weight: "Tensor") -> None:
    from torch import nn

    nn.init.normal_(weight, std=0.02)


ENTRY = Entry(
    title="Spectral normalization for generative adversarial networks",
    author="T. Miyato et al.",
    year="2018",
    note="weights held to a norm of 1 in the place of a penalty",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(3_812_097, 2_934_721),
    operations=(172_869_632, 181_405_696),
)
