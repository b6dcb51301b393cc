"""dcgan: "Unsupervised Representation Learning with Deep Convolutional GANs" (Radford, Metz & Chintala, 2015).

The paper's rules (section 3): strided convolutions in the place of pooling, batch norm in both players but for G's
last layer and D's first, no hidden dense layers, ReLU and a final tanh in G, LeakyReLU 0.2 in D; Adam at 2e-4 with
beta1 0.5, batches of 128, weights drawn with std 0.02. Its network for 64x64 (figure 1) has maps of 4x4x1024, 8x8x512,
16x16x256 and 32x32x128, and D mirrors it. Other sizes halve down to 4 or less; comments name the maps of 28x28. Real
and generated images have batches of their own, as in the authors' code, for D has batch norm. The length is ours: 15
passes over MNIST.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

from gansmith.recipe import Network, Noise, Optimizer, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import Tensor, nn

RECIPE = Recipe(
    name="dcgan",
    pixels=(-1.0, 1.0),
    noise=Noise(size=100, distribution="uniform"),
    discriminator=Network(slope=0.2),
    generator_optimizer=Optimizer(kind="adam", lr=2e-4, beta1=0.5, eps=1e-8),
    discriminator_optimizer=Optimizer(kind="adam", lr=2e-4, beta1=0.5, eps=1e-8),
    batch_size=128,
    steps=7_000,
    reduction="sum",
    apart=True,
)


def generator(recipe: Recipe) -> "nn.Sequential":
    """z (N, Z) -> images (N, C, S, S) in [-1, 1]."""
    from torch import nn

    from gansmith.nn import Reshape, SameConvTranspose2d, halves, initialise

    sides = halves(recipe.size, 4)  # 4, 7, 14, 28
    widths = [recipe.generator.scaled(128 << level) for level in reversed(range(len(sides) - 1))]  # 512, 256, 128
    layers: list[nn.Module] = [
        *(nn.Linear(recipe.noise.size, widths[0] * sides[0] ** 2), Reshape(widths[0], sides[0], sides[0])),  # 4x4x512
        *(nn.BatchNorm2d(widths[0]), nn.LeakyReLU(recipe.generator.slope)),
    ]
    for (before, width), side in zip(pairwise(widths), sides[1:], strict=False):  # 7x7x256, 14x14x128
        layers += [SameConvTranspose2d(before, width, 5, 2, out_size=side)]
        layers += [nn.BatchNorm2d(width), nn.LeakyReLU(recipe.generator.slope)]
    layers += [SameConvTranspose2d(widths[-1], recipe.channels, 5, 2, out_size=recipe.size), nn.Tanh()]  # 28x28x1
    network = nn.Sequential(*layers)
    initialise(network, _normal)
    return network


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> logits (N, 1)."""
    from torch import nn

    from gansmith.nn import SameConv2d, halves, initialise

    sides = halves(recipe.size, 4)
    widths = [recipe.discriminator.scaled(128 << level) for level in range(len(sides) - 1)]  # 128, 256, 512
    layers: list[nn.Module] = [SameConv2d(recipe.channels, widths[0], 5, stride=2)]  # 14x14x128
    layers += [nn.LeakyReLU(recipe.discriminator.slope)]
    for before, width in pairwise(widths):  # 7x7x256, 4x4x512
        layers += [SameConv2d(before, width, 5, stride=2), nn.BatchNorm2d(width)]
        layers += [nn.LeakyReLU(recipe.discriminator.slope)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * sides[0] ** 2, 1))
    initialise(network, _normal)
    return network


def _normal(weight: "Tensor") -> None:
    from torch import nn

    nn.init.normal_(weight, std=0.02)


ENTRY = Entry(
    title="Unsupervised representation learning with deep convolutional GANs",
    author="A. Radford et al.",
    year="2015",
    note="the rules that most later networks kept: strides, batch norm, no dense layers",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(4_930_561, 4_111_361),
    operations=(188_032_000, 186_409_984),
)
