"""deconv: "Generative adversarial networks" in TensorFlow (O'Reilly; A. Deshpande, 2017).

A small convolutional discriminator against a generator of four transposed convolutions. As published: the noise has
mean -1 (the article's text calls that a range), one noise batch serves both updates, real pixels stay in [0, 1] under
a tanh generator, and batch norm always uses the batch's statistics. The pixels' range looks like a slip but helps:
black is then 0, where tanh starts. With ``--pixels -1 1`` and equal rates (2e-4, 1e-3) the discriminator is right on
every image within 300 steps and its loss below 0.1 within 600. The article is silent on the learning rate, here 2e-4,
and on the generator's kernels, here from the same truncated normal (std 0.02) as the discriminator's. Changed:
statistics are settled once after training, so that a seed means one image (``--statistics batch`` restores the
published way). Adam has TensorFlow 1's epsilon, 1e-8. Expect collapse: all noise ends in nearly one picture, which
wanders as training goes on; with the published layers no setting tried here escaped it. Comments in the code name the
maps of the published size, 28x28.
"""

import math
from typing import TYPE_CHECKING

from gansmith.errors import UserError
from gansmith.recipe import Noise, Optimizer, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import Tensor, nn

RECIPE = Recipe(
    name="deconv",
    pixels=(0.0, 1.0),
    noise=Noise(size=100, distribution="normal", center=-1.0, scale=1.0),
    generator_optimizer=Optimizer(kind="adam", lr=2e-4, eps=1e-8),
    discriminator_optimizer=Optimizer(kind="adam", lr=2e-4, eps=1e-8),
    batch_size=16,
    steps=3_000,
    share_noise=True,
    reduction="sum",
    statistics="settled",
)

# (side, channels) of the maps between the 2x2 start and the published image, 28x28
PUBLISHED_MAPS = ((3, 256), (6, 128), (12, 64))


def generator(recipe: Recipe) -> "nn.Sequential":
    """z (N, 100) -> images (N, C, S, S) in [-1, 1]. Published: 1,186,945 trainable parameters."""
    from torch import nn

    from gansmith.nn import Dropout, Reshape, SameConvTranspose2d, initialise

    if recipe.noise.size % 4:
        raise UserError(f"noise.size = {recipe.noise.size}: deconv reshapes it to 2x2, so it must be divisible by 4")
    slope, dropout = recipe.generator.slope, recipe.generator.dropout
    inputs = recipe.noise.size // 4
    layers: list[nn.Module] = [Reshape(inputs, 2, 2), nn.LeakyReLU(slope)]  # 2x2x25
    for side, published in PUBLISHED_MAPS if recipe.size == 28 else maps(recipe.size):
        channels = recipe.generator.scaled(published)
        layers += [SameConvTranspose2d(inputs, channels, 5, 2, out_size=side), nn.BatchNorm2d(channels, eps=1e-3)]
        layers += [nn.LeakyReLU(slope), Dropout(dropout)] if dropout else [nn.LeakyReLU(slope)]
        inputs = channels
    layers += [SameConvTranspose2d(inputs, recipe.channels, 5, 2, out_size=recipe.size, valid=True), nn.Tanh()]
    network = nn.Sequential(*layers)
    initialise(network, _truncated_normal, bias=0.1)
    return network


def maps(size: int) -> tuple[tuple[int, int], ...]:
    """PUBLISHED_MAPS for any size: towards the start, sides halve until they are 4 or less, and channels double."""
    side, channels = (size - 3) // 2, 64  # a transposed 'valid' convolution k5 s2 enlarges this side to the image
    found = [(side, channels)]
    while side > 4:
        side, channels = math.ceil(side / 2), 2 * channels
        found.insert(0, (side, channels))
    return tuple(found)


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> logits (N, 1). Published: 28,577 parameters."""
    from torch import nn

    from gansmith.nn import Dropout, SameConv2d, initialise

    slope, channels, dropout = recipe.discriminator.slope, recipe.discriminator.scaled, recipe.discriminator.dropout
    side, hidden = recipe.size // 2 // 2, channels(32)
    network = nn.Sequential(
        *(SameConv2d(recipe.channels, channels(8), 5), nn.LeakyReLU(slope), nn.AvgPool2d(2)),  # 14x14x8
        *(SameConv2d(channels(8), channels(16), 5), nn.LeakyReLU(slope), nn.AvgPool2d(2)),  # 7x7x16
        *(nn.Flatten(), nn.Linear(channels(16) * side**2, hidden), nn.LeakyReLU(slope)),
        *([Dropout(dropout)] if dropout else []),
        nn.Linear(hidden, 1),
    )
    initialise(network, _truncated_normal)
    return network


def _truncated_normal(weight: "Tensor") -> None:
    from torch import nn

    nn.init.trunc_normal_(weight, std=0.02, a=-0.04, b=0.04)


ENTRY = Entry(
    title="Generative adversarial networks",
    author="A. Deshpande, O'Reilly",
    year="2017",
    note="a small convolutional pair, batches of 16: quick, and quick to collapse",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(1_187_841, 28_577),
    operations=(31_232_000, 1_618_240),
)
