"""r3gan: "The GAN is dead; long live the GAN! A Modern Baseline GAN" (Huang et al. 2024).

The relativistic game with R1 and R2 at every step, on networks without any norm: residual blocks of 1x1, grouped 3x3
(16 channels a group) and 1x1 convolutions that double the channels inside and start as the identity, two at each
level; levels are joined by the filter [1, 2, 1]; G starts from a learned 4x4 map, scaled by a linear function of z,
and D ends in its mirror image. The paper's network for CIFAR-10 has 768 channels at each of 4 levels and is made for
GPUs: that is width 24; width 1 has 32, for CPUs. Adam with beta1 0, beta2 from 0.9 to 0.99, the rate falling from 2e-4
to 5e-5 and gamma to a tenth, all over this run's length where the paper takes the first tenth; the average reaches
over a tenth of the run, where the paper's has a half-life in images. Gamma is that of Stacked-MNIST, 1: CIFAR-10's
0.05 let D win on MNIST at this width. Batch and length are ours; noise of 64 numbers.
"""

from typing import TYPE_CHECKING

from gansmith.recipe import Average, Network, Noise, Optimizer, Penalty, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import nn

PLAYER = Optimizer(kind="adam", lr=2e-4, beta1=0.0, beta2=0.9, beta2_end=0.99, eps=1e-8, cool_from=0.0, cool_to=0.25)

RECIPE = Recipe(
    name="r3gan",
    pixels=(-1.0, 1.0),
    noise=Noise(size=64, distribution="normal"),
    generator=Network(slope=0.2),
    discriminator=Network(slope=0.2),
    generator_optimizer=PLAYER,
    discriminator_optimizer=PLAYER,
    batch_size=32,
    steps=10_000,
    loss="relativistic",
    penalty=Penalty(kind="r1-r2", gamma=1.0, gamma_end=0.1),
    average=Average(span=0.1),
)
BLOCKS, EXPANSION, GROUP = 2, 2, 16


def generator(recipe: Recipe) -> "nn.Sequential":
    """z (N, Z) -> images (N, C, S, S), about [-1, 1]: no function bounds them."""
    from torch import nn

    from gansmith.nn import Basis, Crop, Doubled, halves

    sides, width = halves(recipe.size, 4), _width(recipe.generator)  # 4, 7, 14, 28
    layers: list[nn.Module] = [_drawn(nn.Linear(recipe.noise.size, width, bias=False)), Basis(width, sides[0])]
    for side in sides:
        layers += [Doubled(), Crop(side)] if side != sides[0] else []
        layers += [_block(width, recipe.generator.slope, BLOCKS * len(sides)) for _ in range(BLOCKS)]
    return nn.Sequential(*layers, _drawn(nn.Conv2d(width, recipe.channels, 1, bias=False)))


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> logits (N, 1)."""
    from torch import nn

    from gansmith.nn import Halved, halves

    sides, width = halves(recipe.size, 4), _width(recipe.discriminator)
    layers: list[nn.Module] = [_drawn(nn.Conv2d(recipe.channels, width, 1, bias=False))]
    for side in reversed(sides):
        layers += [_block(width, recipe.discriminator.slope, BLOCKS * len(sides)) for _ in range(BLOCKS)]
        layers += [Halved()] if side != sides[0] else []
    basis = _drawn(nn.Conv2d(width, width, sides[0], groups=width, bias=False))
    return nn.Sequential(*layers, basis, nn.Flatten(), _drawn(nn.Linear(width, 1, bias=False)))


def _width(network: Network) -> int:
    """Channels at each level, whole groups of them."""
    return max(1, round(network.scaled(32) / GROUP)) * GROUP


def _block(width: int, slope: float, blocks: int) -> "nn.Module":
    """x + f(x), f of three convolutions (the paper's figure 2).

    In a network of L ``blocks`` the last starts at 0 and the others L^(-1/4) times as large as without them, which for
    blocks of m = 3 layers is L^(-1 / (2m - 2)) (fix-up, Zhang et al. 2019, as in the authors' code).
    """
    from torch import nn

    from gansmith.nn import Residual

    inside, gain = EXPANSION * width, (2 / (1 + slope**2)) ** 0.5 * blocks**-0.25
    return Residual(
        *(_drawn(nn.Conv2d(width, inside, 1), gain), nn.LeakyReLU(slope)),
        *(_drawn(nn.Conv2d(inside, inside, 3, padding=1, groups=inside // GROUP), gain), nn.LeakyReLU(slope)),
        _drawn(nn.Conv2d(inside, width, 1, bias=False), 0.0),
    )


def _drawn(layer: "nn.Linear | nn.Conv2d", gain: float = 1.0) -> "nn.Linear | nn.Conv2d":
    """A layer with weights of std gain / sqrt(inputs of a unit), and biases of 0."""
    from torch import nn

    nn.init.normal_(layer.weight, std=gain / layer.weight[0].numel() ** 0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


ENTRY = Entry(
    title="The GAN is dead; long live the GAN! A modern baseline GAN",
    author="Y. Huang et al.",
    year="2024",
    note="pairs, R1 and R2, residual blocks without any norm, at a CPU's width",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(110_112, 108_096),
    operations=(55_698_432, 55_695_424),
)
