"""What a training will probably reach: the quality that runs of ours had after as many steps, with its spread.

forecast.json holds their measured curves; `python -m benchmarks.forecast` makes it from run folders. A curve stands for
a recipe as it is, on data by name; for other settings, or far outside the lengths that were tried, nothing is said.
"""

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from gansmith import recipes
from gansmith.recipe import Recipe

Curve = Sequence[tuple[int, float]]

REACH = 1.5
"""How many times longer, or shorter, than any of our runs a training may be."""
WIDTH = 0.25
"""Of the window over log(steps) within which measurements count, as a standard deviation."""
LEAST_SPREAD = 0.27
"""Of log(distance) from run to run: few runs seem to agree better than they do."""
EIGHT_OF_TEN = 1.2816
"""Standard deviations of a normal distribution that hold 80 %."""


@dataclass(frozen=True)
class Forecast:
    """The Frechet distance as it is measured while training: its middle, and the interval of 8 runs in 10."""

    steps: int
    middle: float
    low: float
    high: float
    runs: int
    """How many of ours it rests on."""

    def __str__(self) -> str:
        return f"FD about {self.middle:.2g} (8 of 10 runs between {self.low:.2g} and {self.high:.2g})"


def forecast(recipe: Recipe, data: str, steps: int) -> Forecast | None:
    """What a training of this recipe, on data of this name, will measure after so many steps; None if not known."""
    if not as_published(recipe):
        return None
    curves = stored().get(key(recipe, data), [])
    return predict(curves, steps)


def predict(curves: Sequence[Curve], steps: int) -> Forecast | None:
    """The forecast that measured curves give: a local line through log(distance) over log(steps).

    Beyond the longest run the line ends: more time is not said to bring more than was seen.
    """
    points = [(math.log(at / steps), math.log(distance)) for curve in curves for at, distance in curve if distance > 0]
    if not points:
        return None
    shortest, longest = min(x for x, _ in points), max(x for x, _ in points)
    if not shortest - math.log(REACH) <= 0 <= longest + math.log(REACH):
        return None
    here = min(max(0.0, shortest), longest)
    weights = [math.exp(-(((x - here) / WIDTH) ** 2) / 2) for x, _ in points]
    middle, slope = _line([(x - here, y) for x, y in points], weights)
    errors = [(y - middle - slope * (x - here)) ** 2 for x, y in points]
    spread = math.sqrt(sum(w * e for w, e in zip(weights, errors, strict=True)) / sum(weights))
    reach = EIGHT_OF_TEN * max(LEAST_SPREAD, spread)
    return Forecast(steps, math.exp(middle), math.exp(middle - reach), math.exp(middle + reach), len(curves))


def _line(points: Sequence[tuple[float, float]], weights: Sequence[float]) -> tuple[float, float]:
    """Height at 0, and slope, of the line of weighted least squares; flat where all points lie at one place."""
    total = sum(weights)
    x, y = (sum(w * point[axis] for w, point in zip(weights, points, strict=True)) / total for axis in (0, 1))
    variance = sum(w * (at - x) ** 2 for w, (at, _) in zip(weights, points, strict=True))
    if variance < 1e-9 * total:
        return y, 0.0
    slope = sum(w * (at - x) * (up - y) for w, (at, up) in zip(weights, points, strict=True)) / variance
    return y - slope * x, slope


def key(recipe: Recipe, data: str) -> str:
    """Under which name curves are stored."""
    return f"{recipe.name}, {data}, {'labels' if recipe.classes else 'no labels'}"


def as_published(recipe: Recipe) -> bool:
    """Whether a recipe is as it is listed, but for its length and for what data decide."""
    return recipe.name in recipes.names() and _decided(recipe) == _decided(recipes.get(recipe.name))


def _decided(recipe: Recipe) -> Mapping[str, Any]:
    """The values that change what a run reaches; the end of a rate that never falls does not."""
    values = recipe.model_dump(exclude={"steps", "classes", "conditional", "kinds", "channels"})
    for player in ("generator_optimizer", "discriminator_optimizer"):
        if values[player]["cool_from"] == 1:
            values[player]["cool_to"] = 0.0
    return values


@functools.cache
def stored() -> Mapping[str, list[list[tuple[int, float]]]]:
    """The curves that come with gansmith: rows of (step, distance) for each run."""
    text = resources.files("gansmith.experiment").joinpath("forecast.json").read_text(encoding="utf-8")
    return {
        name: [[(int(s), float(d)) for s, d in curve] for curve in found] for name, found in json.loads(text).items()
    }
