"""lsgan: "Least Squares Generative Adversarial Networks" (Mao et al. 2017).

The game of least squares with the 0-1 coding (equation 9), on the paper's networks for scenes (figure 3): G starts
from maps of 256 channels and at its coarser levels has a convolution of stride 1 after each of stride 2, as VGG does;
D is that of the DCGAN, with batch norm. Adam at 1e-3 with beta1 0.5, batches of 64, uniform noise of 1,024
coordinates, one batch of it for both players, as in the authors' code. Published for 112x112, with maps of 7, 14, 28
and 56; other sizes halve down to 8 or less and take the published levels from the image on. The length is ours.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

from gansmith.recipe import Network, Noise, Optimizer, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import Tensor, nn

RECIPE = Recipe(
    name="lsgan",
    pixels=(-1.0, 1.0),
    noise=Noise(size=1024, distribution="uniform"),
    discriminator=Network(slope=0.2),
    generator_optimizer=Optimizer(kind="adam", lr=1e-3, beta1=0.5, eps=1e-8),
    discriminator_optimizer=Optimizer(kind="adam", lr=1e-3, beta1=0.5, eps=1e-8),
    batch_size=64,
    steps=14_000,
    share_noise=True,
    loss="least-squares",
    reduction="sum",
    apart=True,
)


def generator(recipe: Recipe) -> "nn.Sequential":
    """z (N, Z) -> images (N, C, S, S) in [-1, 1]."""
    from torch import nn

    from gansmith.nn import Reshape, SameConvTranspose2d, halves, initialise

    def norm(width: int) -> tuple[nn.Module, nn.Module]:
        return nn.BatchNorm2d(width), nn.LeakyReLU(recipe.generator.slope)

    sides = halves(recipe.size, 8)  # 7, 14, 28
    published = [256] * max(0, len(sides) - 3) + [128, 64][3 - min(3, len(sides)) :]
    before = recipe.generator.scaled(256)
    layers: list[nn.Module] = [
        *(nn.Linear(recipe.noise.size, before * sides[0] ** 2), Reshape(before, sides[0], sides[0]), *norm(before)),
    ]  # 7x7x256
    for side, width in zip(sides[1:], map(recipe.generator.scaled, published), strict=True):  # 14x14x128, 28x28x64
        layers += [SameConvTranspose2d(before, width, 3, 2, out_size=side), *norm(width)]
        if width == recipe.generator.scaled(256):
            layers += [SameConvTranspose2d(width, width, 3, 1, out_size=side), *norm(width)]
        before = width
    layers += [SameConvTranspose2d(before, recipe.channels, 3, 1, out_size=recipe.size), nn.Tanh()]  # 28x28x1
    network = nn.Sequential(*layers)
    initialise(network, _normal)
    return network


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> answers (N, 1), 1 for real and 0 for generated."""
    from torch import nn

    from gansmith.nn import SameConv2d, initialise

    side, slope = recipe.size, recipe.discriminator.slope
    widths = [recipe.discriminator.scaled(width) for width in (64, 128, 256, 512)]
    layers: list[nn.Module] = [SameConv2d(recipe.channels, widths[0], 5, stride=2), nn.LeakyReLU(slope)]  # 14x14x64
    for before, width in pairwise(widths):  # 7x7x128, 4x4x256, 2x2x512
        layers += [SameConv2d(before, width, 5, stride=2), nn.BatchNorm2d(width), nn.LeakyReLU(slope)]
    for _ in widths:
        side = -(-side // 2)
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * side**2, 1))
    initialise(network, _normal)
    return network


def _normal(weight: "Tensor") -> None:
    from torch import nn

    nn.init.normal_(weight, std=0.02)


ENTRY = Entry(
    title="Least squares generative adversarial networks",
    author="X. Mao et al.",
    year="2017",
    note="squares in the place of logarithms: fakes far from real ones pull harder",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(13_228_801, 4_308_993),
    operations=(84_396_032, 73_130_496),
)
