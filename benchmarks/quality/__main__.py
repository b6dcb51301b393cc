"""Trains `house` or another recipe, some fields changed, for so many core-seconds; exports it for `gansmith evaluate`.

    python -m benchmarks.quality NAME --seconds 240 --seed 0 kinds=100 penalty.gamma=0.5
    gansmith evaluate NAME --seeds 1

One thread, and the clock is the processor's time of the loop (data and optimisers, not the search for kinds), so that
other work on the machine spoils little. Every run has its line in log.md.
"""

import argparse
import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from gansmith import data, hardware, own, recipes
from gansmith import generator as sampling
from gansmith.data import kinds
from gansmith.nn.isolation import isolated
from gansmith.recipe import Recipe
from gansmith.training import loop
from gansmith.training.step import TrainState

CPU = torch.device("cpu")


@isolated()
def train(
    name: str,
    recipe: Recipe,
    changes: dict[str, Any],
    *,
    seconds: float,
    steps: int | None,
    seed: int,
    labels: bool,
    source: str,
    precision: str,
) -> Path:
    """Trains for ``steps``, or ``seconds`` of one core; writes the generator and a sheet into the folder ``name``."""
    dataset = data.load(source, size=recipe.size)
    told: dict[str, Any] = {}
    if labels:  # which share the recipe's kinds, as in `gansmith train`
        classes = len(dataset.classes)
        told = {"conditional": "projection", "classes": classes, "kinds": recipe.kinds // classes}
    recipe = recipe.override({**told, "channels": dataset.shape[0], **changes})
    steps_of = training(recipe, dataset, seed=seed, seconds=seconds, steps=steps, precision=precision)
    ((state, spent, accuracy),) = deque(steps_of, maxlen=1)
    generator = sampling.snapshot(state.shown, recipe)
    generator.classes, generator.about = dataset.classes, {"data": source, "steps": state.step, "seed": seed}
    folder = generator.save_pretrained(name)
    generator.sample(160, seed=0).save(folder / "sheet.png")
    print(f"{name}: {state.step} steps, {1000 * spent / state.step:.1f} ms each, accuracy of D {accuracy:.2f}")
    return folder


def training(
    recipe: Recipe,
    dataset: data.Dataset,
    *,
    seed: int,
    seconds: float,
    steps: int | None = None,
    precision: str = "fp32",
) -> Iterator[tuple[TrainState, float, float]]:
    """A training on one thread for ``steps``, or for ``seconds`` of the processor: after each step its state, the
    seconds spent in steps so far, and D's accuracy."""
    torch.set_num_threads(1)
    hardware.keep_freed_memory()
    found = kinds.find(dataset, recipe.kinds, by_class=recipe.classes > 0) if recipe.kinds else None
    shown, places = (dataset, None) if found is None else (found.told(dataset), found.places)
    batches = data.Batches(shown, recipe.batch_images, seed, pack=recipe.pack, alike=recipe.labelled)
    state = loop.new_state(recipe, seed=seed, device=CPU, places=places)
    advance = loop.stepper(state, recipe, precision=precision)
    spent, state.length = 0.0, steps or round(seconds / 0.08)
    while state.step < steps if steps else spent < seconds:
        begun = time.process_time()
        loop.seed_all(loop.stream(seed, state.step), CPU)
        output = advance(*loop.batch_at(batches, state.step, recipe, CPU))
        spent += time.process_time() - begun
        if state.step % 20 == 0 and not steps:
            state.length = max(state.step + 1, round(state.step * seconds / spent))
        yield state, spent, float(output.discriminator_accuracy)


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="folder for the generator and its sheet")
    parser.add_argument("changes", nargs="*", help="fields of the recipe, such as kinds=100")
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--steps", type=int, help="instead of seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--size", type=int, help="of images; the recipe's, if not given")
    parser.add_argument("--recipe", default="house", help="whose fields are changed")
    parser.add_argument("--recipes", help="a file of recipes, such as benchmarks/quality/rivals.py")
    parser.add_argument("--labels", action="store_true", help="train on the labels too")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    given = parser.parse_args()
    changes = dict(change.split("=", 1) for change in given.changes)
    values = {name: _read(value) for name, value in changes.items()}
    about = {"seconds": given.seconds, "steps": given.steps, "seed": given.seed, "labels": given.labels}
    if given.recipes:
        own.load(given.recipes)
    recipe = recipes.get(given.recipe)
    recipe = recipe.override(size=given.size or recipe.size)
    train(given.name, recipe, values, source=given.data, precision=given.precision, **about)


def _read(value: str) -> Any:
    """A number, true, false or null as JSON has it; anything else as it stands."""
    with suppress(json.JSONDecodeError):
        return json.loads(value)
    return value


if __name__ == "__main__":
    main()
