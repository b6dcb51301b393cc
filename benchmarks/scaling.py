"""A training step in one process and in several: time, processor time, share of the all-reduces, bytes.

python benchmarks/scaling.py house --threads 2
torchrun --nproc-per-node 2 benchmarks/scaling.py house --threads 1
"""

import argparse
import json
import time

import numpy as np
import torch

from gansmith import data, recipes
from gansmith.nn import rows
from gansmith.training import loop, parallel


def main() -> None:
    """Prints one JSON line, in process 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device, group = torch.device("cpu"), parallel.join()
    recipe = recipes.get(given.recipe).override(channels=1, kinds=0)
    state = loop.new_state(recipe, seed=0, device=device, group=group)
    group.share_state(state)
    noise = data.from_arrays(np.random.default_rng(0).integers(0, 256, (2000, recipe.size, recipe.size), np.uint8))
    batches = data.Batches(
        noise, recipe.batch_images, 0, own=group.own(recipe.batch_size, pack=recipe.pack), pack=recipe.pack
    )
    advance = loop.stepper(state, recipe, precision="fp32")
    warm = 3
    for step in range(warm + given.steps):
        if step == warm:
            group.sent, group.waited = 0, 0.0
            busy, begun = time.process_time(), time.perf_counter()
        held = loop.seed_step(0, state.step, recipe, device, group)
        real, labels = loop.batch_at(batches, state.step, recipe, device)
        with rows.holding(held):
            advance(real, labels)
    spent, busy = time.perf_counter() - begun, time.process_time() - busy
    figures = {
        "recipe": recipe.name,
        "processes": group.processes,
        "threads": given.threads,
        "ms a step": round(1000 * spent / given.steps, 2),
        "ms of CPU a step": round(1000 * busy / given.steps, 2),
        "share of all-reduces": round(group.waited / spent, 3),
        "bytes a step": group.sent // given.steps,
    }
    if group.rank == 0:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
