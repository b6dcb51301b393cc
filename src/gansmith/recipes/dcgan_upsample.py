"""dcgan-upsample: "Getting started with generative adversarial networks" (W. Bulten, 2017).

A deep convolutional pair. The generator upsamples and convolves; the discriminator strides down to 4x4. The article
leaves LeakyReLU at Keras' default slope, 0.3, and makes the discriminator's fakes with `predict`, so in inference mode.
Sizes other than 28 start from a map of a quarter of the size; one not divisible by 4 is cropped from the next that is.
Keras' sigmoid and binary cross-entropy are computed here from the logit, which never saturates.
"""

from collections.abc import Callable

from torch import nn

from gansmith.nn import Crop, Dropout, Reshape, SameConv2d, UpsampleConv2d, initialise
from gansmith.recipe import Network, Noise, Optimizer, Recipe

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


def generator(recipe: Recipe) -> nn.Module:
    """z (N, 100) -> images (N, C, S, S) in [0, 1]. Published: 2,394,241 parameters, 25,536 of them averages."""
    return upsampling_generator(
        recipe,
        first=lambda i, o: UpsampleConv2d(i, o, 5),
        other=lambda i, o: SameConv2d(i, o, 5),
    )


def discriminator(recipe: Recipe) -> nn.Module:
    """Images (N, C, S, S) -> logits (N, 1). Published: 4,311,553 parameters; no dropout after the first layer."""
    return striding_discriminator(recipe, first_dropout=0.0)


Layer = Callable[[int, int], nn.Module]


def upsampling_generator(recipe: Recipe, *, first: Layer, other: Layer) -> nn.Module:
    """The generator that `dcgan-upsample` and `dcgan-transpose` share; they differ in the kind of convolution.

    Args:
        recipe: size, channels, noise and the generator's numbers.
        first: channels in, channels out -> the two convolutions that double the size.
        other: the same for the two that keep it.
    """
    numbers, small = recipe.generator, -(-recipe.size // 4)
    a, b, c, d = (max(1, round(width * numbers.width)) for width in (256, 128, 64, 32))
    network = nn.Sequential(
        nn.Linear(recipe.noise.size, small * small * a),
        nn.BatchNorm1d(small * small * a, eps=1e-3, momentum=0.1),  # Keras' momentum 0.9 is PyTorch's 0.1
        nn.LeakyReLU(numbers.slope),
        Reshape(a, small, small),
        Dropout(numbers.dropout),
        first(a, b),
        nn.BatchNorm2d(b, eps=1e-3, momentum=0.1),
        nn.LeakyReLU(numbers.slope),
        first(b, c),
        nn.BatchNorm2d(c, eps=1e-3, momentum=0.1),
        nn.LeakyReLU(numbers.slope),
        other(c, d),
        nn.BatchNorm2d(d, eps=1e-3, momentum=0.1),
        nn.LeakyReLU(numbers.slope),
        other(d, recipe.channels),
        nn.Sigmoid(),
        Crop(recipe.size),
    )
    initialise(network, nn.init.xavier_uniform_)
    return network


def striding_discriminator(recipe: Recipe, *, first_dropout: float) -> nn.Module:
    """The discriminator that both DCGANs share; ``first_dropout`` follows the first convolution."""
    numbers = recipe.discriminator
    a, b, c, d = (max(1, round(width * numbers.width)) for width in (64, 128, 256, 512))
    small = -(-recipe.size // 8)
    network = nn.Sequential(
        SameConv2d(recipe.channels, a, 5, stride=2),
        nn.LeakyReLU(numbers.slope),
        Dropout(first_dropout),
        SameConv2d(a, b, 5, stride=2),
        nn.LeakyReLU(numbers.slope),
        Dropout(numbers.dropout),
        SameConv2d(b, c, 5, stride=2),
        nn.LeakyReLU(numbers.slope),
        Dropout(numbers.dropout),
        SameConv2d(c, d, 5),
        nn.LeakyReLU(numbers.slope),
        Dropout(numbers.dropout),
        nn.Flatten(),
        nn.Linear(small * small * d, 1),
    )
    initialise(network, nn.init.xavier_uniform_)
    return network
