"""mlp-bn: "Implementation of Generative Adversarial Networks" (2018-2020).

A deeper perceptron with batch norm in the generator. The article trains it on MNIST and, nothing changed, on
Fashion-MNIST. It is silent on optimiser, learning rate, batch, slope and noise; here batches of 128, slope 0.2,
normal noise, batch norm's momentum 0.8 in Keras' sense, and Adam with beta1 0.5. At one rate of 2e-4 for both players
the discriminator wins (0.95 of its answers right) and the generator writes little but ones; with 1e-3 for the
generator, 2e-4 for the discriminator and real labels of 0.9 all ten digits are there after 2,000 steps.
"""

from torch import nn

from gansmith.nn import Dropout, Reshape, initialise
from gansmith.recipe import Network, Noise, Optimizer, Recipe

RECIPE = Recipe(
    name="mlp-bn",
    pixels=(0.0, 1.0),
    noise=Noise(size=100, distribution="normal"),
    generator=Network(slope=0.2),
    discriminator=Network(slope=0.2),
    generator_optimizer=Optimizer(kind="adam", lr=1e-3, beta1=0.5),
    discriminator_optimizer=Optimizer(kind="adam", lr=2e-4, beta1=0.5),
    batch_size=128,
    steps=15_000,
    real_label=0.9,
)


def generator(recipe: Recipe) -> nn.Module:
    """z (N, 100) -> images (N, C, S, S) in [0, 1]. Published: 1,493,520 parameters."""
    numbers = recipe.generator
    layers: list[nn.Module] = []
    units = recipe.noise.size
    for published in (256, 512, 1024):
        width = max(1, round(published * numbers.width))
        layers += [
            nn.Linear(units, width),
            nn.LeakyReLU(numbers.slope),
            nn.BatchNorm1d(width, eps=1e-3, momentum=0.2),
            Dropout(numbers.dropout),
        ]
        units = width
    layers += [
        nn.Linear(units, recipe.channels * recipe.size**2),
        nn.Sigmoid(),
        Reshape(recipe.channels, recipe.size, recipe.size),
    ]
    network = nn.Sequential(*layers)
    initialise(network, nn.init.xavier_uniform_)
    return network


def discriminator(recipe: Recipe) -> nn.Module:
    """Images (N, C, S, S) -> logits (N, 1). Published: 533,505 parameters."""
    numbers = recipe.discriminator
    a, b = (max(1, round(width * numbers.width)) for width in (512, 256))
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(recipe.channels * recipe.size**2, a),
        nn.LeakyReLU(numbers.slope),
        Dropout(numbers.dropout),
        nn.Linear(a, b),
        nn.LeakyReLU(numbers.slope),
        Dropout(numbers.dropout),
        nn.Linear(b, 1),
    )
    initialise(network, nn.init.xavier_uniform_)
    return network
