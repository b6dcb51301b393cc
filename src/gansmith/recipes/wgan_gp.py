"""wgan-gp: "Improved Training of Wasserstein GANs" (Gulrajani et al. 2017).

Algorithm 1: a critic without a final sigmoid, five updates of it for one of G, and a penalty of 10 that holds the
length of its slope, at points between real and generated images, at 1; Adam at 1e-4 with betas 0.5 and 0.9 (the
code's, for images; the paper's text has 0 and 0.9). The networks are those of the authors' code for MNIST, without
batch norm, for the penalty is of each image alone; its batches are of 50. Sizes other than 28 halve down to 4 or less;
comments name the maps of 28x28, where the code crops an 8x8 map to the 7x7. Published length: 200,000 steps; here a
tenth.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

from gansmith.recipe import Network, Noise, Optimizer, Penalty, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import Tensor, nn

RECIPE = Recipe(
    name="wgan-gp",
    pixels=(0.0, 1.0),
    noise=Noise(size=128, distribution="normal"),
    discriminator=Network(slope=0.2),
    generator_optimizer=Optimizer(kind="adam", lr=1e-4, beta1=0.5, beta2=0.9, eps=1e-8),
    discriminator_optimizer=Optimizer(kind="adam", lr=1e-4, beta1=0.5, beta2=0.9, eps=1e-8),
    batch_size=50,
    steps=20_000,
    loss="wasserstein",
    penalty=Penalty(kind="gradient", gamma=10.0),
    discriminator_updates=5,
    reduction="sum",
)


def generator(recipe: Recipe) -> "nn.Sequential":
    """z (N, Z) -> images (N, C, S, S) in [0, 1]. The authors' code for MNIST: 1,554,177 parameters."""
    from torch import nn

    from gansmith.nn import Reshape, SameConvTranspose2d, halves, initialise

    sides = halves(recipe.size, 4)  # 4, 7, 14, 28
    widths = [recipe.generator.scaled(64 << level) for level in reversed(range(len(sides) - 1))]  # 256, 128, 64
    layers: list[nn.Module] = [
        *(nn.Linear(recipe.noise.size, widths[0] * sides[0] ** 2), nn.LeakyReLU(recipe.generator.slope)),
        Reshape(widths[0], sides[0], sides[0]),  # 4x4x256
    ]
    for (before, width), side in zip(pairwise(widths), sides[1:], strict=False):  # 7x7x128, 14x14x64
        layers += [SameConvTranspose2d(before, width, 5, 2, out_size=side), nn.LeakyReLU(recipe.generator.slope)]
    layers += [SameConvTranspose2d(widths[-1], recipe.channels, 5, 2, out_size=recipe.size), nn.Sigmoid()]  # 28x28x1
    network = nn.Sequential(*layers)
    initialise(network, _he)
    return network


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> the critic's values (N, 1). The authors' code for MNIST: 1,030,145 parameters."""
    from torch import nn

    from gansmith.nn import SameConv2d, halves, initialise

    sides = halves(recipe.size, 4)
    widths = [recipe.discriminator.scaled(64 << level) for level in range(len(sides) - 1)]
    layers: list[nn.Module] = []
    for before, width in pairwise([recipe.channels, *widths]):  # 14x14x64, 7x7x128, 4x4x256
        layers += [SameConv2d(before, width, 5, stride=2), nn.LeakyReLU(recipe.discriminator.slope)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * sides[0] ** 2, 1))
    initialise(network, _he)
    return network


def _he(weight: "Tensor") -> None:
    from torch import nn

    nn.init.kaiming_uniform_(weight, nonlinearity="relu")


ENTRY = Entry(
    title="Improved training of Wasserstein GANs",
    author="I. Gulrajani et al.",
    year="2017",
    note="a critic with slopes near 1, updated five times a step: slow and steady",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(1_554_177, 1_030_145),
    operations=(47_960_576, 46_920_192),
)
