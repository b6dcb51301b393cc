"""mlp: "Understanding Generative Adversarial Networks" (N. Shibuya, 2017).

The smallest pair that works: one hidden layer of 128 units on each side. The article is silent on the optimiser,
learning rate, batch, length and noise; here Adam 1e-3, batches of 64, 46,900 steps (50 passes over MNIST) and normal
noise, all from the author's habit of Keras defaults, and the label smoothing it names (real label 0.9).
"""

from typing import TYPE_CHECKING

from gansmith.recipe import Network, Noise, Optimizer, Recipe
from gansmith.recipes.entries import Entry

if TYPE_CHECKING:
    from torch import nn

RECIPE = Recipe(
    name="mlp",
    pixels=(-1.0, 1.0),
    noise=Noise(size=100, distribution="normal"),
    generator=Network(slope=0.01),
    discriminator=Network(slope=0.01),
    generator_optimizer=Optimizer(kind="adam", lr=1e-3),
    discriminator_optimizer=Optimizer(kind="adam", lr=1e-3),
    batch_size=64,
    steps=46_900,
    real_label=0.9,
)


def generator(recipe: Recipe) -> "nn.Sequential":
    """z (N, 100) -> images (N, C, S, S) in [-1, 1]. Published: 114,064 parameters."""
    from torch import nn

    from gansmith.nn import Dropout, Reshape, initialise

    slope, hidden, dropout = recipe.generator.slope, recipe.generator.scaled(128), recipe.generator.dropout
    network = nn.Sequential(
        nn.Linear(recipe.noise.size, hidden),
        nn.LeakyReLU(slope),
        Dropout(dropout),
        nn.Linear(hidden, recipe.channels * recipe.size**2),
        nn.Tanh(),
        Reshape(recipe.channels, recipe.size, recipe.size),
    )
    initialise(network, nn.init.xavier_uniform_)
    return network


def discriminator(recipe: Recipe) -> "nn.Sequential":
    """Images (N, C, S, S) -> logits (N, 1). Published: 100,609 parameters."""
    from torch import nn

    from gansmith.nn import Dropout, initialise

    slope, hidden, dropout = recipe.discriminator.slope, recipe.discriminator.scaled(128), recipe.discriminator.dropout
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(recipe.channels * recipe.size**2, hidden),
        nn.LeakyReLU(slope),
        Dropout(dropout),
        nn.Linear(hidden, 1),
    )
    initialise(network, nn.init.xavier_uniform_)
    return network


ENTRY = Entry(
    title="Understanding Generative Adversarial Networks",
    author="N. Shibuya",
    year="2017",
    note="one hidden layer each: the smallest pair that works",
    recipe=RECIPE,
    generator=generator,
    discriminator=discriminator,
    parameters=(114_064, 100_609),
    operations=(226_304, 200_960),
)
