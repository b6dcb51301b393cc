"""What a recipe's networks come to: layers, parameters, and arithmetic of a step.

What was counted of those that come with gansmith is looked up; torch is imported only where networks must be counted.
"""

from gansmith import markup
from gansmith.recipe import Recipe
from gansmith.recipes import own
from gansmith.recipes.entries import Summary
from gansmith.recipes.registry import BUILT_IN, entry


def summary(recipe: Recipe) -> Summary:
    """The layers of both networks, with output shapes and parameters."""
    from gansmith.recipes import count

    return count.summary(recipe)


def parameters(recipe: Recipe) -> tuple[int, int]:
    """How many the generator and the discriminator have, moving averages included."""
    both = summary(recipe)
    return sum(row.parameters for row in both.generator), sum(row.parameters for row in both.discriminator)


def counted(name: str) -> tuple[Recipe, tuple[int, int] | None, float | None]:
    """A recipe as it trains where nothing else is asked for, the parameters of both networks, GFLOP of a step.

    None for the numbers where networks of the user's own do not work at the recipe's size and channels, which a
    training may change.
    """
    found = entry(name)
    if name in BUILT_IN:
        return found.recipe, found.parameters, step_gflop(found.recipe)
    try:
        recipe = own.fitting(found.recipe, {})
        return recipe, parameters(recipe), step_gflop(recipe)
    except Exception:  # any, of the user's own code: a list is no place for it, and a training says it
        return found.recipe, None, None


def step_gflop(recipe: Recipe) -> float:
    """Arithmetic of one training step in 1e9 operations: a multiplication and an addition for each product.

    The generator runs forward for both updates and backward once (4 forward passes' worth, or 3 where one forward pass
    serves both); the discriminator forward and backward on real and fake, then forward and half backward on fake (8).
    """
    return gflop_of(recipe, *_operations(recipe))


def gflop_of(recipe: Recipe, generating: int, discriminating: int) -> float:
    """As :func:`step_gflop`, of networks that take so many operations for an image."""
    if recipe.one_pass:  # forward and backward: G on fakes, D on real and fake; a penalty goes twice as far
        penalised = 4 / recipe.penalty.every if recipe.penalty.kind != "none" else 0
        return recipe.batch_size * (3 * generating + (6 + penalised) * discriminating) / 1e9
    passes = 3 if recipe.share_noise and recipe.fakes == "training" else 4
    penalised = {"none": 0, "r1-r2": 6}.get(recipe.penalty.kind, 3) * recipe.penalty.share
    by_d = recipe.discriminator_updates * ((6 + penalised / recipe.penalty.every) * discriminating + generating)
    by_g = recipe.generator_updates * (2 * discriminating + (passes - 1) * generating)
    return recipe.batch_size * (by_d + by_g) / 1e9


def image_gflop(recipe: Recipe) -> float:
    """Arithmetic of generating one image, in 1e9 operations."""
    return _operations(recipe)[0] / 1e9


def _operations(recipe: Recipe) -> tuple[int, int]:
    """Operations of the recipe's networks, as in :class:`Entry`: looked up for published ones, counted for others."""
    published = entry(recipe.name)
    if published.operations is not None and _networks(recipe) == _networks(published.recipe):
        return published.operations
    from gansmith.recipes import count

    return count.operations(recipe)


def _networks(recipe: Recipe) -> tuple[object, ...]:
    """The values that decide the layers."""
    numbers = (recipe.generator.width, recipe.discriminator.width, recipe.noise.size)
    told = (
        recipe.conditional,
        recipe.classes,
        recipe.kinds,
        recipe.condition,
        recipe.information > 0,
        recipe.codes,
        recipe.pack,
    )
    return recipe.size, recipe.channels, *told, *numbers


def html(recipe: Recipe) -> str:
    """The layers of both networks."""
    found, parts = summary(own.fitting(recipe, {})), [markup.line(repr(recipe), strong=True)]
    for player, rows in (("generator", found.generator), ("discriminator", found.discriminator)):
        shapes = [(row.layer, " x ".join(map(str, row.output)), f"{row.parameters:,}", "") for row in rows]
        parts += [markup.line(player), markup.table(("layer", "output", "parameters", ""), shapes)]
    return markup.block(*parts)
