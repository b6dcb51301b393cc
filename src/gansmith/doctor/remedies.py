"""Remedies: for each failure, the flags of `gansmith train` that are nearest to what the literature advises.

One change at a time, named so that it can be pasted. R1, relativistic losses and the like are not here to be switched
on; where they would be the first thing to try, the nearest that is there stands in.
"""

import numpy as np

from gansmith import recipes
from gansmith.doctor.findings import Facts
from gansmith.doctor.table import Looks
from gansmith.recipe import Recipe

WITHOUT_HOPE = "deconv"  # collapses as published, and with every other setting tried


def halve_rates(facts: Facts, looks: Looks, at: int) -> str:
    """Both learning rates halved."""
    return _rates(facts.recipe, 2)


def tame_rates(facts: Facts, looks: Looks, at: int) -> str:
    """Both learning rates a tenth, and no more than 1e-3."""
    return _rates(facts.recipe, 10, most=1e-3)


def revive_discriminator(facts: Facts, looks: Looks, at: int) -> str:
    """A slope for units that are off; else another start at a lower rate."""
    recipe = facts.recipe
    if recipe.discriminator.slope == 0:
        return "--discriminator.slope 0.2"
    return f"--discriminator-optimizer.lr {recipe.discriminator_optimizer.lr / 10:.2g} --seed {facts.seed + 1}"


def weaken_discriminator(facts: Facts, looks: Looks, at: int) -> str:
    """Rates even, real labels smoothed, dropout, a fifth of the rate: the first of these that is not there yet."""
    recipe = facts.recipe
    own, other = recipe.discriminator_optimizer.lr, recipe.generator_optimizer.lr
    if own > 2 * other:
        return f"--discriminator-optimizer.lr {other:.2g}"
    if recipe.real_label == 1:
        return "--real-label 0.9"
    if recipe.discriminator.dropout == 0:
        return "--discriminator.dropout 0.4"
    return f"--discriminator-optimizer.lr {own / 5:.2g}"


def strengthen_discriminator(facts: Facts, looks: Looks, at: int) -> str:
    """The generator's rate, or twice the width."""
    recipe = facts.recipe
    own, other = recipe.discriminator_optimizer.lr, recipe.generator_optimizer.lr
    if own < other:
        return f"--discriminator-optimizer.lr {other:.2g}"
    return f"--discriminator.width {min(16.0, 2 * recipe.discriminator.width):g}"


def let_noise_through(facts: Facts, looks: Looks, at: int) -> str:
    """Louder noise, less dropout, or a recipe whose noise is known to arrive."""
    recipe = facts.recipe
    if recipe.noise.scale < 0.5:
        return "--noise.scale 1"
    if recipe.generator.dropout > 0:
        return "--generator.dropout 0"
    return _another_recipe(recipe)


def spread_out(facts: Facts, looks: Looks, at: int) -> str:
    """Against collapse: a generator that keeps up, smoothed labels, classes asked for by name."""
    recipe = facts.recipe
    if recipe.name == WITHOUT_HOPE:
        return _another_recipe(recipe)
    own, other = recipe.generator_optimizer.lr, recipe.discriminator_optimizer.lr
    if recipe.real_label == 1:
        faster = f" --generator-optimizer.lr {5 * other:.2g}" if own <= other else ""
        return f"--real-label 0.9{faster}"
    if facts.labelled and recipe.conditional == "none":
        return "--conditional"
    return f"--discriminator-optimizer.lr {other / 5:.2g}"


def ask_louder(facts: Facts, looks: Looks, at: int) -> str:
    """The other way to read labels."""
    return f"--conditional {'auxiliary' if facts.recipe.conditional == 'projection' else 'projection'}"


def calm_down(facts: Facts, looks: Looks, at: int) -> str:
    """Less momentum, then rates that fall."""
    recipe = facts.recipe
    momentum = {
        "generator": recipe.generator_optimizer,
        "discriminator": recipe.discriminator_optimizer,
    }
    high = [player for player, numbers in momentum.items() if numbers.kind == "adam" and numbers.beta1 > 0.5]
    if high:
        return " ".join(f"--{player}-optimizer.beta1 0.5" for player in high)
    return " ".join(f"--{player}-optimizer.decay 1e-3" for player in momentum)


def stop_at_best(facts: Facts, looks: Looks, at: int) -> str:
    """As many steps as the best look had."""
    gap = looks["gap"] if looks.has("gap") else looks["fd"]
    return f"--steps {int(looks.steps[np.nanargmin(gap[: at + 1])])}"


def stop_before(facts: Facts, looks: Looks, at: int) -> str:
    """Half as many steps as it took to show."""
    return f"--steps {max(1, int(looks.steps[at]) // 2)}"


def blur_less(facts: Facts, looks: Looks, at: int) -> str:
    """Dropout, as the articles advise against noise-like images; then a convolutional recipe."""
    if facts.recipe.discriminator.dropout < 0.3:
        return "--discriminator.dropout 0.4"
    return _another_recipe(facts.recipe)


def right_range(facts: Facts, looks: Looks, at: int) -> str:
    """The recipe's own pixel range; if it has that, a slower generator."""
    published = recipes.get(facts.recipe.name).pixels
    if facts.recipe.pixels != published:
        return f"--pixels {published[0]:g} {published[1]:g}"
    return f"--generator-optimizer.lr {facts.recipe.generator_optimizer.lr / 5:.2g} --seed {facts.seed + 1}"


def upsample(facts: Facts, looks: Looks, at: int) -> str:
    """Upsample, then convolve (Odena et al. 2016)."""
    return "--recipe dcgan-upsample"


def forget(facts: Facts, looks: Looks, at: int) -> str:
    """Dropout in the discriminator, or a smaller one."""
    if facts.recipe.discriminator.dropout < 0.4:
        return "--discriminator.dropout 0.4"
    return f"--discriminator.width {facts.recipe.discriminator.width / 2:g}"


def _another_recipe(recipe: Recipe) -> str:
    return f"--recipe {'mlp-bn' if recipe.name != 'mlp-bn' else 'dcgan-upsample'}"


def _rates(recipe: Recipe, divisor: float, most: float = 10) -> str:
    rates = {"generator": recipe.generator_optimizer.lr, "discriminator": recipe.discriminator_optimizer.lr}
    return " ".join(f"--{player}-optimizer.lr {min(rate / divisor, most):.2g}" for player, rate in rates.items())
