"""Whether a training makes sense before it starts: what it cannot do is refused, what will probably fail is said."""

from collections.abc import Iterator

from gansmith.errors import UserError
from gansmith.recipe import Recipe

ENOUGH_STEPS = 10
"""That a budget which is refused is to hold."""
STRONGEST = {"r1": 100.0, "r1-r2": 100.0, "gradient": 1000.0}
"""Penalties beyond these silence the discriminator; for R1 of images of up to 64x64, and by their area beyond."""


def check_budget(minutes: float | None, seconds_per_step: float) -> None:
    """Raises UserError, in one line, for a time that does not hold a single step."""
    if minutes is not None and minutes * 60 < seconds_per_step:
        enough = -(-ENOUGH_STEPS * seconds_per_step // 6) / 10
        raise UserError(
            f"`minutes` {minutes:g}: a single step takes {seconds_per_step:.2g} s here; give {enough:g} or more"
        )


def doubts(recipe: Recipe) -> Iterator[str]:
    """A line about each setting that will probably spoil the training."""
    kind, gamma = recipe.penalty.kind, recipe.penalty.gamma
    if kind not in STRONGEST:
        return
    most = STRONGEST[kind] * (max(1.0, (recipe.size / 64) ** 2) if kind != "gradient" else 1.0)
    if gamma > most:
        yield (
            f"penalty.gamma {gamma:g}: over {most:g} the discriminator of images of {recipe.size}x{recipe.size} says "
            "the same of all, and nobody learns; published are 0.05 to 10"
        )
