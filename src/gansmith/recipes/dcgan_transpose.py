"""dcgan-transpose: "GAN by Example using Keras on TensorFlow backend" (R. Atienza, 2017).

The pair of `dcgan-upsample` with transposed convolutions of stride 1 and ReLU in the generator, with slope 0.2 and
dropout after each convolution in the discriminator, and with RMSprop for both. A transposed convolution of stride 1 is
a convolution whose kernel is flipped and whose channels are swapped. Comments in the code name the maps of the
published size, 28x28. Other sizes start from a map of a quarter of the size; one that is not divisible by 4 is cropped
from the next that is.
"""

import math
from typing import TYPE_CHECKING

from gansmith.recipe import Network, Noise, Optimizer, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import nn

RECIPE = Recipe(
    name="dcgan-transpose",
    pixels=(0.0, 1.0),
    noise=Noise(size=100, distribution="uniform"),
    generator=Network(slope=0.0, dropout=0.4),
    discriminator=Network(slope=0.2, dropout=0.4),
    generator_optimizer=Optimizer(kind="rmsprop", lr=4e-4, beta2=0.9, clip_value=1.0, decay=3e-8),
    discriminator_optimizer=Optimizer(kind="rmsprop", lr=8e-4, beta2=0.9, clip_value=1.0, decay=6e-8),
    batch_size=256,
    steps=10_000,
    fakes="inference",
)


def generator(recipe: Recipe) -> "nn.Sequential":
    """z (N, 100) -> images (N, C, S, S) in [0, 1]. Published: 2,394,241 parameters, 25,536 of them averages."""
    from torch import nn

    from gansmith.nn import Crop, Dropout, Reshape, SameConvTranspose2d, UpsampleConv2d, initialise

    slope, channels = recipe.generator.slope, recipe.generator.scaled
    side = math.ceil(recipe.size / 4)
    start = side * side * channels(256)

    def norm(width: int) -> nn.Module:
        return nn.BatchNorm2d(width, eps=1e-3, momentum=0.1)  # Keras' momentum 0.9 is PyTorch's 0.1

    def upsample(inputs: int, outputs: int) -> nn.Module:
        return UpsampleConv2d(inputs, outputs, 5, transposed=True)

    def convolve(inputs: int, outputs: int) -> nn.Module:
        return SameConvTranspose2d(inputs, outputs, 5, 1, out_size=4 * side)

    network = nn.Sequential(
        *(nn.Linear(recipe.noise.size, start), nn.BatchNorm1d(start, eps=1e-3, momentum=0.1), nn.LeakyReLU(slope)),
        *(Reshape(channels(256), side, side), Dropout(recipe.generator.dropout)),  # 7x7x256
        *(upsample(channels(256), channels(128)), norm(channels(128)), nn.LeakyReLU(slope)),  # 14x14x128
        *(upsample(channels(128), channels(64)), norm(channels(64)), nn.LeakyReLU(slope)),  # 28x28x64
        *(convolve(channels(64), channels(32)), norm(channels(32)), nn.LeakyReLU(slope)),  # 28x28x32
        *(convolve(channels(32), recipe.channels), nn.Sigmoid()),  # 28x28x1
        Crop(recipe.size),
    )
    initialise(network, nn.init.xavier_uniform_)
    return network


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> logits (N, 1). Published: 4,311,553 parameters."""
    from torch import nn

    from gansmith.nn import Dropout, SameConv2d, initialise

    slope, channels, dropout = recipe.discriminator.slope, recipe.discriminator.scaled, recipe.discriminator.dropout
    side = math.ceil(recipe.size / 8)
    network = nn.Sequential(
        *(SameConv2d(recipe.channels, channels(64), 5, stride=2), nn.LeakyReLU(slope), Dropout(dropout)),  # 14x14x64
        *(SameConv2d(channels(64), channels(128), 5, stride=2), nn.LeakyReLU(slope), Dropout(dropout)),  # 7x7x128
        *(SameConv2d(channels(128), channels(256), 5, stride=2), nn.LeakyReLU(slope), Dropout(dropout)),  # 4x4x256
        *(SameConv2d(channels(256), channels(512), 5), nn.LeakyReLU(slope), Dropout(dropout)),  # 4x4x512
        *(nn.Flatten(), nn.Linear(side * side * channels(512), 1)),
    )
    initialise(network, nn.init.xavier_uniform_)
    return network


ENTRY = Entry(
    title="GAN by Example using Keras on TensorFlow backend",
    author="R. Atienza",
    year="2017",
    note="the same with transposed convolutions and RMSprop on both sides",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(2_394_241, 4_311_553),
    operations=(315_255_808, 151_785_984),
)
