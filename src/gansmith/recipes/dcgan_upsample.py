"""dcgan-upsample: "Getting started with generative adversarial networks" (W. Bulten, 2017).

A deep convolutional pair. The generator upsamples and convolves; the discriminator strides down to 4x4. The article
leaves LeakyReLU at Keras' default slope, 0.3, and makes the discriminator's fakes with `predict`, so in inference mode.
Keras' sigmoid and binary cross-entropy are computed here from the logit, which never saturates. Comments in the code
name the maps of the published size, 28x28. Other sizes start from a map of a quarter of the size; one that is not
divisible by 4 is cropped from the next that is.
"""

import math
from typing import TYPE_CHECKING

from gansmith.recipe import Network, Noise, Optimizer, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import nn

RECIPE = Recipe(
    name="dcgan-upsample",
    pixels=(0.0, 1.0),
    noise=Noise(size=100, distribution="uniform"),
    generator=Network(slope=0.3, dropout=0.4),
    discriminator=Network(slope=0.3, dropout=0.4),
    generator_optimizer=Optimizer(kind="adam", lr=4e-4, clip_value=1.0, decay=1e-10),
    discriminator_optimizer=Optimizer(kind="rmsprop", lr=8e-4, beta2=0.9, clip_value=1.0, decay=1e-10),
    batch_size=256,
    steps=10_000,
    fakes="inference",
)


def generator(recipe: Recipe) -> "nn.Sequential":
    """z (N, 100) -> images (N, C, S, S) in [0, 1]. Published: 2,394,241 parameters, 25,536 of them averages."""
    from torch import nn

    from gansmith.nn import Crop, Dropout, Reshape, SameConv2d, UpsampleConv2d, initialise

    slope, channels = recipe.generator.slope, recipe.generator.scaled
    side = math.ceil(recipe.size / 4)
    start = side * side * channels(256)

    def norm(width: int) -> nn.Module:
        return nn.BatchNorm2d(width, eps=1e-3, momentum=0.1)  # Keras' momentum 0.9 is PyTorch's 0.1

    network = nn.Sequential(
        *(nn.Linear(recipe.noise.size, start), nn.BatchNorm1d(start, eps=1e-3, momentum=0.1), nn.LeakyReLU(slope)),
        *(Reshape(channels(256), side, side), Dropout(recipe.generator.dropout)),  # 7x7x256
        *(UpsampleConv2d(channels(256), channels(128), 5), norm(channels(128)), nn.LeakyReLU(slope)),  # 14x14x128
        *(UpsampleConv2d(channels(128), channels(64), 5), norm(channels(64)), nn.LeakyReLU(slope)),  # 28x28x64
        *(SameConv2d(channels(64), channels(32), 5), norm(channels(32)), nn.LeakyReLU(slope)),  # 28x28x32
        *(SameConv2d(channels(32), recipe.channels, 5), nn.Sigmoid()),  # 28x28x1
        Crop(recipe.size),
    )
    initialise(network, nn.init.xavier_uniform_)
    return network


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> logits (N, 1). Published: 4,311,553 parameters; no dropout after the first layer."""
    from torch import nn

    from gansmith.nn import Dropout, SameConv2d, initialise

    slope, channels, dropout = recipe.discriminator.slope, recipe.discriminator.scaled, recipe.discriminator.dropout
    side = math.ceil(recipe.size / 8)
    network = nn.Sequential(
        *(SameConv2d(recipe.channels, channels(64), 5, stride=2), nn.LeakyReLU(slope), Dropout(0.0)),  # 14x14x64
        *(SameConv2d(channels(64), channels(128), 5, stride=2), nn.LeakyReLU(slope), Dropout(dropout)),  # 7x7x128
        *(SameConv2d(channels(128), channels(256), 5, stride=2), nn.LeakyReLU(slope), Dropout(dropout)),  # 4x4x256
        *(SameConv2d(channels(256), channels(512), 5), nn.LeakyReLU(slope), Dropout(dropout)),  # 4x4x512
        *(nn.Flatten(), nn.Linear(side * side * channels(512), 1)),
    )
    initialise(network, nn.init.xavier_uniform_)
    return network


ENTRY = Entry(
    title="Getting started with generative adversarial networks",
    author="W. Bulten",
    year="2017",
    note="upsampling and convolutions: the sharpest digits, the longest wait",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(2_394_241, 4_311_553),
    operations=(315_255_808, 151_785_984),
)
