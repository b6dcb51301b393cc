"""gansmith itself: the body of its training loop, and its own sampling."""

from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import torch

from benchmarks.speed.peers import Built, random_kinds
from gansmith import data, generator, hardware, recipes
from gansmith.data.dataset import MemoryStore
from gansmith.nn.conditional import PLACE
from gansmith.recipe import Recipe
from gansmith.training import loop


def build(recipe: Recipe, precision: str, images: np.ndarray, *, fast: str = "auto") -> Built:
    """As `gansmith train` builds it; "auto" chooses the precision as that does."""
    hardware.keep_freed_memory()
    choice = hardware.choose("auto", precision, None, gflop=recipes.step_gflop(recipe), fast=fast)
    torch.set_num_threads(choice.threads)
    device = torch.device(choice.device)
    kept = replace(data.from_arrays(images[:8]), store=MemoryStore(images))  # not copied
    places = None
    if recipe.kinds:
        names = tuple(str(kind) for kind in range(recipe.kinds))
        kept = replace(kept, labels=random_kinds(len(images), recipe.kinds), classes=names)
        places = np.random.default_rng(0).normal(size=(recipe.kinds, PLACE)).astype(np.float32)
    state = loop.new_state(recipe, seed=0, device=device, fast=choice.fast, places=places)
    batches = data.Batches(kept, recipe.batch_images, 0, pack=recipe.pack, alike=recipe.labelled)
    advance = loop.stepper(state, recipe, precision=choice.precision, fast=choice.fast)

    def fetch(index: int) -> torch.Tensor:
        return loop.to_pixels(batches.at(index * recipe.batch_images), recipe, device)

    def one(index: int) -> tuple[float, float]:
        loop.seed_all(loop.stream(0, index), device)
        output = advance(*loop.batch_at(batches, index, recipe, device))
        loop.check_finite(output, index)
        return output.discriminator_loss.item(), output.generator_loss.item()

    def sample(count: int, precision: Literal["fp32", "bf16"] = "fp32") -> np.ndarray:
        if not trained:  # the copy that samples is made once, and its statistics are settled then
            trained.append(generator.snapshot(state.shown, recipe, settle_on=256))
        trained[0].precision = precision
        return trained[0].sample(count, seed=0).images

    trained: list[generator.Generator] = []
    summary = recipes.summary(recipe)
    parameters = {
        "generator": sum(row.parameters for row in summary.generator),
        "discriminator": sum(row.parameters for row in summary.discriminator),
    }
    return Built(one, sample, parameters, choice.precision, fetch, partial(sample, precision="bf16"))
