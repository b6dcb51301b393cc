"""What each process of a group does in the tests: `torchrun processes.py CHECKS FOLDER`, or without torchrun alone."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gansmith import data, recipes
from gansmith.nn import rows
from gansmith.recipe import Recipe
from gansmith.training import loop, parallel

NARROW = {"generator.width": 0.05, "discriminator.width": 0.05, "size": 8, "channels": 1, "batch_size": 13}
STEPS = 10
WITHOUT_NORM = {
    "mlp, plain layers": {"recipe": "mlp", "fast": False},
    "mlp, projection": {"recipe": "mlp", "conditional": "projection", "classes": 3},
    "house, kinds": {"recipe": "house", "conditional": "projection", "classes": 3, "pack": 1},
    "house, packs": {"recipe": "house", "conditional": "projection", "classes": 3, "pack": 2, "batch_size": 14},
    "packs, two passes": {"recipe": "mlp", "pack": 2, "batch_size": 14, "penalty.kind": "r1", "penalty.share": 0.5},
    "r3gan": {"recipe": "r3gan"},
    "wgan-gp": {"recipe": "wgan-gp"},
}
WITH_NORM = {
    "mlp-bn": {"recipe": "mlp-bn"},
    "infogan": {"recipe": "infogan", "size": 16},
}


def recipe_of(changes: dict[str, Any]) -> Recipe:
    changes = dict(changes)
    changes.pop("fast", None)
    return recipes.get(changes.pop("recipe")).override(**NARROW | changes)


def images(size: int) -> data.Dataset:
    rng = np.random.default_rng(0)
    return data.from_arrays(rng.integers(0, 256, (100, size, size), np.uint8), np.arange(100) % 3, name="noise")


def train(name: str, changes: dict[str, Any], folder: Path, *, steps: int) -> None:
    """Trains in float64, and process 0 keeps the weights and the rows of metrics."""
    group = parallel.join()
    recipe = recipe_of(changes)
    state = loop.new_state(recipe, seed=1, device=torch.device("cpu"), fast=changes.get("fast", True), group=group)
    _joined(state, group)
    own = group.own(recipe.batch_size, pack=recipe.pack)
    pixels = images(recipe.size)
    batches = data.Batches(pixels, recipe.batch_images, 1, own, pack=recipe.pack, alike=recipe.labelled)
    advance = loop.stepper(state, recipe, precision="fp32")
    logged = []
    while state.step < steps:
        if state.step == steps // 2:
            _joined(state, group)
        held = loop.seed_step(1, state.step, recipe, torch.device("cpu"), group)
        real, labels = loop.batch_at(batches, state.step, recipe, torch.device("cpu"))
        with rows.holding(held):
            output = advance(real, labels)
        logged.append(loop.metrics(output, recipe, state.step, group))
    if group.rank == 0:
        torch.save([*state.generator.state_dict().values(), *state.discriminator.state_dict().values()], folder / name)
        (folder / f"{name}.json").write_text(json.dumps(logged))


def _joined(state: parallel.Trained, group: parallel.Group) -> None:
    """As at the beginning and at a resume: what the other processes have does not count."""
    if group.rank:
        for parameter in [*state.generator.parameters(), *state.discriminator.parameters()]:
            parameter.data.zero_()
        for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
            optimizer.state.clear()
    group.share_state(state)


def main(checks: str, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    folder.mkdir(exist_ok=True, parents=True)
    for name in checks.split(";"):
        train(name, (WITHOUT_NORM | WITH_NORM)[name], folder, steps=STEPS)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
