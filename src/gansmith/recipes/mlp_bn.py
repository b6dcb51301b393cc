"""mlp-bn: "Implementation of Generative Adversarial Networks" (2018-2020).

A deeper perceptron with batch norm in the generator. The article trains it on MNIST and, nothing changed, on
Fashion-MNIST. It is silent on optimiser, learning rate, batch, slope and noise; here batches of 128, slope 0.2,
normal noise, batch norm's momentum 0.8 in Keras' sense, and Adam with beta1 0.5. At one rate of 2e-4 for both networks
the discriminator wins (its accuracy is 0.95) and the generator writes little but ones; with 1e-3 for the generator,
2e-4 for the discriminator and real labels of 0.9 all ten digits are there after 2,000 steps.
"""

from typing import TYPE_CHECKING

from gansmith.recipe import Network, Noise, Optimizer, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import nn

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


def generator(recipe: Recipe) -> "nn.Sequential":
    """z (N, 100) -> images (N, C, S, S) in [0, 1]. Published: 1,493,520 parameters."""
    from torch import nn

    from gansmith.nn import Dropout, Reshape, initialise

    slope, units, dropout = recipe.generator.slope, recipe.generator.scaled, recipe.generator.dropout

    def norm(width: int) -> nn.Module:
        return nn.BatchNorm1d(width, eps=1e-3, momentum=0.2)  # Keras' momentum 0.8 is PyTorch's 0.2

    network = nn.Sequential(
        *(nn.Linear(recipe.noise.size, units(256)), nn.LeakyReLU(slope), norm(units(256)), Dropout(dropout)),
        *(nn.Linear(units(256), units(512)), nn.LeakyReLU(slope), norm(units(512)), Dropout(dropout)),
        *(nn.Linear(units(512), units(1024)), nn.LeakyReLU(slope), norm(units(1024)), Dropout(dropout)),
        *(nn.Linear(units(1024), recipe.channels * recipe.size**2), nn.Sigmoid()),
        Reshape(recipe.channels, recipe.size, recipe.size),
    )
    initialise(network, nn.init.xavier_uniform_)
    return network


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> logits (N, 1). Published: 533,505 parameters."""
    from torch import nn

    from gansmith.nn import Dropout, initialise

    slope, units, dropout = recipe.discriminator.slope, recipe.discriminator.scaled, recipe.discriminator.dropout
    network = nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(recipe.channels * recipe.size**2, units(512)), nn.LeakyReLU(slope), Dropout(dropout)),
        *(nn.Linear(units(512), units(256)), nn.LeakyReLU(slope), Dropout(dropout)),
        nn.Linear(units(256), 1),
    )
    initialise(network, nn.init.xavier_uniform_)
    return network


ENTRY = Entry(
    title="Implementation of Generative Adversarial Networks",
    author="anonymous tutorial",
    year="2018-2020",
    note="perceptrons with batch norm: readable digits in two minutes, Fashion-MNIST too",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(1_493_520, 533_505),
    operations=(2_967_552, 1_065_472),
)
