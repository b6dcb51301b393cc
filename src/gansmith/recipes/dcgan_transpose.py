"""dcgan-transpose: "GAN by Example using Keras on TensorFlow backend" (R. Atienza, 2017).

The networks of `dcgan-upsample` with transposed convolutions of stride 1 in the generator, ReLU there, slope 0.2 and
dropout after each convolution in the discriminator, and RMSprop for both. A transposed convolution of stride 1 is a
convolution with the kernel flipped and its channels swapped.
"""

from torch import nn

from gansmith.nn import SameConvTranspose2d, UpsampleConv2d
from gansmith.recipe import Network, Noise, Optimizer, Recipe
from gansmith.recipes.dcgan_upsample import striding_discriminator, upsampling_generator

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


def generator(recipe: Recipe) -> nn.Module:
    """z (N, 100) -> images (N, C, S, S) in [0, 1]. Published: 2,394,241 parameters."""
    size = -(-recipe.size // 4) * 4
    return upsampling_generator(
        recipe,
        first=lambda i, o: UpsampleConv2d(i, o, 5, transposed=True),
        other=lambda i, o: SameConvTranspose2d(i, o, 5, 1, out_size=size),
    )


def discriminator(recipe: Recipe) -> nn.Module:
    """Images (N, C, S, S) -> logits (N, 1). Published: 4,311,553 parameters."""
    return striding_discriminator(recipe, first_dropout=recipe.discriminator.dropout)
