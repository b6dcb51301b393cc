"""gansmith itself: the body of its training loop, and its own sampling."""

from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import torch

from benchmarks.speed.peers import Built
from gansmith import data, generator, hardware, recipes
from gansmith.data.dataset import MemoryStore
from gansmith.recipe import Recipe
from gansmith.training import loop


def build(recipe: Recipe, precision: str, images: np.ndarray, *, fast: str = "auto") -> Built:
    """As `gansmith train` builds it; "auto" chooses the precision as that does."""
    choice = hardware.choose("auto", precision, None, gflop=recipes.step_gflop(recipe), fast=fast)
    torch.set_num_threads(choice.threads)
    device = torch.device(choice.device)
    state = loop.new_state(recipe, seed=0, device=device, fast=choice.fast)
    kept = replace(data.from_arrays(images[:8]), store=MemoryStore(images))  # not copied
    batches = data.Batches(kept, recipe.batch_size, 0)
    advance = loop.stepper(state, recipe, precision=choice.precision, fast=choice.fast)

    def fetch(index: int) -> torch.Tensor:
        return loop.to_pixels(batches.at(index * recipe.batch_size), recipe, device)

    def one(index: int) -> tuple[float, float]:
        loop.seed_all(loop.stream(0, index), device)
        real = fetch(index)
        output = advance(real, None)
        loop.check_finite(output, index)
        return output.discriminator_loss.item(), output.generator_loss.item()

    def sample(count: int, precision: Literal["fp32", "bf16"] = "fp32") -> np.ndarray:
        if not trained:  # the copy that samples is made once, and its statistics are settled then
            trained.append(generator.snapshot(state.generator, recipe, settle_on=256))
        trained[0].precision = precision
        return trained[0].sample(count, seed=0).images

    trained: list[generator.Generator] = []
    summary = recipes.summary(recipe)
    parameters = {
        "generator": sum(row.parameters for row in summary.generator),
        "discriminator": sum(row.parameters for row in summary.discriminator),
    }
    return Built(one, sample, parameters, choice.precision, fetch, partial(sample, precision="bf16"))
