"""What a training will do, cost and probably reach, before it starts."""

from dataclasses import asdict
from typing import Any

from gansmith.experiment.forecast import forecast
from gansmith.experiment.types import Experiment
from gansmith.text import finite


def planned(experiment: Experiment) -> dict[str, Any]:
    """A plan as a JSON object: steps, images, seconds, and what runs of ours reached in as many steps and in twice."""
    steps, recipe, name = experiment.expected_steps, experiment.recipe, experiment.dataset.name
    found = {label: forecast(recipe, name, many) for label, many in (("expected", steps), ("twice", 2 * steps))}
    return {
        "data": name,
        "recipe": recipe.name,
        "steps": steps,
        "images": steps * recipe.batch_images,
        "seconds": finite(experiment.estimated_seconds),
        "seconds_per_step": finite(experiment.seconds_per_step),
        **{label: each and asdict(each) for label, each in found.items()},
        "warnings": list(experiment.warnings),
    }
