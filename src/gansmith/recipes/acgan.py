"""acgan: "Conditional Image Synthesis with Auxiliary Classifier GANs" (Odena, Olah & Shlens, 2017).

G is told a class by a one-hot vector beside 100 numbers of noise; D says whether an image is real, and a second layer
on the same features names its class, and both players are taught by both answers. The networks are the paper's for
CIFAR-10 (appendix A, table 2: 384, 192 and 96 channels; six convolutions of 3x3 from 16 to 512 channels, with batch
norm and half of the units dropped), with Adam at 2e-4 and beta1 0.5, batches of 100 and weights drawn with std 0.02.
Published for 32x32, with maps of 4, 8, 16 and 32; other sizes halve down to 4 or less. Comments name the maps of
28x28. Published length: 50,000 steps; here less.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

from gansmith.recipe import Network, Noise, Optimizer, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import Tensor, nn

RECIPE = Recipe(
    name="acgan",
    pixels=(-1.0, 1.0),
    noise=Noise(size=100, distribution="normal"),
    discriminator=Network(slope=0.2, dropout=0.5),
    generator_optimizer=Optimizer(kind="adam", lr=2e-4, beta1=0.5, eps=1e-8),
    discriminator_optimizer=Optimizer(kind="adam", lr=2e-4, beta1=0.5, eps=1e-8),
    batch_size=100,
    steps=18_000,
    apart=True,
    conditional="auxiliary",
    classes=10,
    condition="one-hot",
)


def generator(recipe: Recipe) -> "nn.Sequential":
    """z and the class (N, Z + K) -> images (N, C, S, S) in [-1, 1]."""
    from torch import nn

    from gansmith.nn import Reshape, SameConvTranspose2d, halves, initialise

    sides, slope = halves(recipe.size, 4), recipe.generator.slope  # 4, 7, 14, 28
    widths = [recipe.generator.scaled(96 << level) for level in reversed(range(len(sides) - 1))]  # 384, 192, 96
    layers: list[nn.Module] = [
        *(nn.Linear(recipe.noise.size, widths[0] * sides[0] ** 2), nn.LeakyReLU(slope)),
        Reshape(widths[0], sides[0], sides[0]),  # 4x4x384
    ]
    for (before, width), side in zip(pairwise(widths), sides[1:], strict=False):  # 7x7x192, 14x14x96
        layers += [SameConvTranspose2d(before, width, 5, 2, out_size=side), nn.BatchNorm2d(width), nn.LeakyReLU(slope)]
    layers += [SameConvTranspose2d(widths[-1], recipe.channels, 5, 2, out_size=recipe.size), nn.Tanh()]  # 28x28x1
    network = nn.Sequential(*layers)
    initialise(network, _normal)
    return network


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> logits (N, 1)."""
    from torch import nn

    from gansmith.nn import Dropout, SameConv2d, halves, initialise

    numbers, sides = recipe.discriminator, halves(recipe.size, 4)
    published = [min(16 << layer, 512) for layer in range(2 * (len(sides) - 1))]  # 16, 32, 64, 128, 256, 512
    layers: list[nn.Module] = []
    for layer, (before, width) in enumerate(pairwise([recipe.channels, *map(numbers.scaled, published)])):
        layers += [SameConv2d(before, width, 3, stride=1 + (layer + 1) % 2)]  # sides 14, 14, 7, 7, 4, 4
        layers += [nn.BatchNorm2d(width)] if layer else []
        layers += [nn.LeakyReLU(numbers.slope), Dropout(numbers.dropout)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(numbers.scaled(published[-1]) * sides[0] ** 2, 1))
    initialise(network, _normal)
    return network


def _normal(weight: "Tensor") -> None:
    from torch import nn

    nn.init.normal_(weight, std=0.02)


ENTRY = Entry(
    title="Conditional image synthesis with auxiliary classifier GANs",
    author="A. Odena et al.",
    year="2017",
    note="labels: the discriminator names the class too",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(2_989_825, 1_666_571),
    operations=(106_433_280, 58_096_768),
)
