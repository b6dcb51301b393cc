"""deconv: "Generative adversarial networks" in TensorFlow (O'Reilly; A. Deshpande, 2017).

A small convolutional discriminator against a generator of four transposed convolutions. As published: the noise has
mean -1 (the article's text calls that a range), one noise batch serves both updates, real pixels stay in [0, 1] under
a tanh generator, and batch norm always uses the batch's statistics. The pixels' range looks like a slip but helps:
black is then 0, where tanh starts. With ``--pixels -1 1`` and equal rates (2e-4, 1e-3) the discriminator is right on
every image within 300 steps and its loss below 0.1 within 600. The article is silent on the learning rate, here 2e-4,
and on the generator's kernels, here from the same truncated normal (std 0.02) as the discriminator's. Changed:
statistics are settled once after training, so that a seed means one image (``--statistics batch`` restores the
published way). Adam has TensorFlow 1's epsilon, 1e-8. Expect collapse: all noise ends in nearly one picture, which
wanders as training goes on; with the published layers no setting tried here escaped it.
Other sizes halve down to a 2x2 start, with a stage of twice the channels for each further halving.
"""

from torch import Tensor, nn

from gansmith.errors import UserError
from gansmith.nn import Dropout, Reshape, SameConv2d, SameConvTranspose2d, initialise
from gansmith.recipe import Network, Noise, Optimizer, Recipe

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


def generator(recipe: Recipe) -> nn.Module:
    """z (N, 100) -> images (N, C, S, S) in [-1, 1]. Published: 1,186,945 trainable parameters."""
    numbers = recipe.generator
    if recipe.noise.size % 4:
        raise UserError(f"noise.size = {recipe.noise.size}: deconv reshapes it to 2x2, so it must be divisible by 4")
    sizes = [(recipe.size - 4 + 1) // 2]  # the map that a 'valid' k5 s2 layer enlarges to the image
    while sizes[0] > 4:
        sizes.insert(0, -(-sizes[0] // 2))
    widths = [max(1, round(64 * 2**power * numbers.width)) for power in reversed(range(len(sizes)))]
    layers: list[nn.Module] = [Reshape(recipe.noise.size // 4, 2, 2), nn.LeakyReLU(numbers.slope)]
    channels = recipe.noise.size // 4
    for size, width in zip(sizes, widths, strict=True):
        layers += [
            SameConvTranspose2d(channels, width, 5, 2, out_size=size),
            nn.BatchNorm2d(width, eps=1e-3),
            nn.LeakyReLU(numbers.slope),
            *_dropout(numbers),
        ]
        channels = width
    layers += [SameConvTranspose2d(channels, recipe.channels, 5, 2, out_size=recipe.size, valid=True), nn.Tanh()]
    network = nn.Sequential(*layers)
    initialise(network, _truncated_normal, bias=0.1)
    return network


def discriminator(recipe: Recipe) -> nn.Module:
    """Images (N, C, S, S) -> logits (N, 1). Published: 28,577 parameters."""
    numbers = recipe.discriminator
    a, b, hidden = (max(1, round(width * numbers.width)) for width in (8, 16, 32))
    network = nn.Sequential(
        SameConv2d(recipe.channels, a, 5),
        nn.LeakyReLU(numbers.slope),
        nn.AvgPool2d(2),
        SameConv2d(a, b, 5),
        nn.LeakyReLU(numbers.slope),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(b * (recipe.size // 2 // 2) ** 2, hidden),
        nn.LeakyReLU(numbers.slope),
        *_dropout(numbers),
        nn.Linear(hidden, 1),
    )
    initialise(network, _truncated_normal)
    return network


def _truncated_normal(weight: Tensor) -> None:
    nn.init.trunc_normal_(weight, std=0.02, a=-0.04, b=0.04)


def _dropout(numbers: Network) -> list[nn.Module]:
    return [Dropout(numbers.dropout)] if numbers.dropout else []
