"""infogan: "InfoGAN: Interpretable Representation Learning by Information Maximizing GANs" (Chen et al. 2016).

Nobody tells the classes: G gets a code beside 62 numbers of noise, one of ten kinds (a one-hot vector) and two numbers
in [-1, 1], and a network Q that shares D's layers reads the code from the image. Both players make Q's loss small too,
with weight 1 (equation 6), so the kinds come to mean what images differ in most: on MNIST, mostly digits. The networks
are the paper's for MNIST (table 1), with Adam at 2e-4 for D and 1e-3 for G, beta1 0.5 and batches of 128, as in the
authors' code. Sizes other than 28 halve down to 8 or less. Published length: 5,000 steps.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

from gansmith.recipe import Network, Noise, Optimizer, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import Tensor, nn

RECIPE = Recipe(
    name="infogan",
    pixels=(0.0, 1.0),
    noise=Noise(size=64, distribution="uniform"),
    discriminator=Network(slope=0.1),
    generator_optimizer=Optimizer(kind="adam", lr=1e-3, beta1=0.5, eps=1e-8),
    discriminator_optimizer=Optimizer(kind="adam", lr=2e-4, beta1=0.5, eps=1e-8),
    batch_size=128,
    steps=5_000,
    share_noise=True,
    reduction="sum",
    apart=True,
    kinds=10,
    condition="one-hot",
    information=1.0,
    codes=2,
)


def generator(recipe: Recipe) -> "nn.Sequential":
    """z and the kind (N, Z + K) -> images (N, C, S, S) in [0, 1]."""
    from torch import nn

    from gansmith.nn import Reshape, SameConvTranspose2d, halves, initialise

    slope, hidden = recipe.generator.slope, recipe.generator.scaled(1024)
    sides = halves(recipe.size, 8)  # 7, 14, 28
    widths = [recipe.generator.scaled(64 << level) for level in reversed(range(len(sides) - 1))]  # 128, 64
    start = widths[0] * sides[0] ** 2
    layers: list[nn.Module] = [
        *(nn.Linear(recipe.noise.size, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(slope)),
        *(nn.Linear(hidden, start), nn.BatchNorm1d(start), nn.LeakyReLU(slope)),
        Reshape(widths[0], sides[0], sides[0]),  # 7x7x128
    ]
    for (before, width), side in zip(pairwise(widths), sides[1:], strict=False):  # 14x14x64
        layers += [SameConvTranspose2d(before, width, 4, 2, out_size=side), nn.BatchNorm2d(width), nn.LeakyReLU(slope)]
    layers += [SameConvTranspose2d(widths[-1], recipe.channels, 4, 2, out_size=recipe.size), nn.Sigmoid()]  # 28x28x1
    network = nn.Sequential(*layers)
    initialise(network, _normal)
    return network


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> logits (N, 1). Q is the head "information" of its last features."""
    from torch import nn

    from gansmith.nn import SameConv2d, halves, initialise

    slope, hidden = recipe.discriminator.slope, recipe.discriminator.scaled(1024)
    sides = halves(recipe.size, 8)
    widths = [recipe.discriminator.scaled(64 << level) for level in range(len(sides) - 1)]  # 64, 128
    layers: list[nn.Module] = [SameConv2d(recipe.channels, widths[0], 4, stride=2), nn.LeakyReLU(slope)]  # 14x14x64
    for before, width in pairwise(widths):  # 7x7x128
        layers += [SameConv2d(before, width, 4, stride=2), nn.BatchNorm2d(width), nn.LeakyReLU(slope)]
    layers += [nn.Flatten(), nn.Linear(widths[-1] * sides[0] ** 2, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(slope)]
    network = nn.Sequential(*layers, nn.Linear(hidden, 1))
    initialise(network, _normal)
    return network


def _normal(weight: "Tensor") -> None:
    from torch import nn

    nn.init.normal_(weight, std=0.02)


ENTRY = Entry(
    title="InfoGAN: interpretable representation learning",
    author="X. Chen et al.",
    year="2016",
    note="finds ten kinds, mostly digits, without being told any label",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(6_667_201, 6_694_733),
    operations=(26_243_072, 26_093_568),
)
