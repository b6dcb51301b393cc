"""Remedies that several rules propose: the flags of `gansmith train` nearest to what the literature advises.

One change at a time, named so that it can be pasted. R1 and relativistic losses are not here to be switched on; where
they would come first, the nearest that is there stands in.
"""

from gansmith.doctor.findings import Facts
from gansmith.recipe import Recipe

HOPELESS = "deconv"  # collapses as published, and with every other setting tried


def divide_rates(recipe: Recipe, divisor: float, most: float = 10) -> str:
    """Both learning rates divided, and no higher than ``most``."""
    rates = {"generator": recipe.generator_optimizer.lr, "discriminator": recipe.discriminator_optimizer.lr}
    return " ".join(f"--{player}-optimizer.lr {min(rate / divisor, most):.2g}" for player, rate in rates.items())


def another_recipe(recipe: Recipe) -> str:
    """A recipe that is known to train well: mlp-bn, or the DCGAN for those who have that."""
    return f"--recipe {'mlp-bn' if recipe.name != 'mlp-bn' else 'dcgan-upsample'}"


def weaken_discriminator(recipe: Recipe) -> str:
    """Equal rates, smoothed real labels, dropout, a fifth of the rate: the first of these that it lacks."""
    own, other = recipe.discriminator_optimizer.lr, recipe.generator_optimizer.lr
    if own > 2 * other:
        return f"--discriminator-optimizer.lr {other:.2g}"
    if recipe.real_label == 1:
        return "--real-label 0.9"
    if recipe.discriminator.dropout == 0:
        return "--discriminator.dropout 0.4"
    return f"--discriminator-optimizer.lr {own / 5:.2g}"


def diversify(facts: Facts) -> str:
    """Against collapse: a generator that keeps up, smoothed real labels, or classes requested by label."""
    recipe = facts.recipe
    if recipe.name == HOPELESS:
        return another_recipe(recipe)
    own, other = recipe.generator_optimizer.lr, recipe.discriminator_optimizer.lr
    if recipe.real_label == 1:
        faster = f" --generator-optimizer.lr {5 * other:.2g}" if own <= other else ""
        return f"--real-label 0.9{faster}"
    if facts.labelled and recipe.conditional == "none":
        return "--conditional"
    return f"--discriminator-optimizer.lr {other / 5:.2g}"
