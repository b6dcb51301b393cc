"""A peer in a process of its own: reads one JSON request a line, does it, answers with one JSON line.

    python -m benchmarks.speed.worker ours 2     # the peer, and how many cores it may use

Requests: build, steps, sample, data, products, memory. Times are wall-clock seconds beside processor seconds.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import peers
from gansmith.recipe import parse

FETCHES = 200


def main() -> None:
    """Serves until standard input ends. What libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    name, cores = sys.argv[1], int(sys.argv[2])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    worker = Worker(name)
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(worker, request.pop("do"))(**request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Worker:
    """One peer, and the recipe it was built for last."""

    def __init__(self, name: str) -> None:
        self.name, self.at = name, 0

    def build(self, recipe: dict[str, Any], precision: str, images: str | None) -> dict[str, Any]:
        """Builds a recipe on images of an .npy file, or on noise of the recipe's own shape."""
        self.recipe = parse(recipe)
        if images is None:
            shape = (max(2048, self.recipe.batch_size), self.recipe.channels, self.recipe.size, self.recipe.size)
            self.images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        else:
            self.images = np.load(Path(images))
        self.built = peers.build(self.name, self.recipe, precision, self.images)
        return {"parameters": self.built.parameters, "precision": self.built.precision}

    def steps(self, count: int) -> dict[str, Any]:
        """Makes steps; the losses of the last show that it learned something finite."""
        losses: tuple[float, float] = (0.0, 0.0)

        def run() -> None:
            nonlocal losses
            for _ in range(count):
                losses = self.built.step(self.at)
                self.at += 1

        return {**_timed(run), "losses": losses}

    def sample(self, count: int, *, bf16: bool = False) -> dict[str, Any]:
        """Makes images; with ``bf16`` in the coarser way that a peer may offer."""
        make = self.built.sample_bf16 if bf16 else self.built.sample
        assert make is not None
        return _timed(lambda: make(count))

    def data(self) -> dict[str, float]:
        """Seconds that a batch of real images takes: from memory, and from the cache's mapped file (ours alone)."""
        from gansmith import data
        from gansmith.training import loop

        assert self.built.fetch is not None
        stored = data.load("mnist", size=self.recipe.size)
        cached = data.Batches(stored, self.recipe.batch_size, 0)
        device = self.built.fetch(0).device  # type: ignore[attr-defined]

        def from_cache(index: int) -> object:
            return loop.to_pixels(cached.at(index * self.recipe.batch_size), self.recipe, device)

        ways = {"memory": self.built.fetch, "cache": from_cache}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for index in range(FETCHES):
            for name, fetch in ways.items():
                times[name].append(_timed(partial(fetch, index))["seconds"])
        return {name: float(np.median(taken)) for name, taken in times.items()}

    def products(self, sides: list[int]) -> dict[str, float]:
        """GFLOP/s of PyTorch's matrix products, the best of some sizes: the ceiling of this machine, now."""
        import torch

        from gansmith.hardware import bf16_support

        kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
        if not bf16_support("cpu")[0]:  # emulated, a single product of the largest size takes a minute
            del kinds["bf16"]
        found = {}
        for name, dtype in kinds.items():
            rates = []
            for side in sides:
                matrix = torch.full((side, side), 0.5, dtype=dtype)
                matrix @ matrix
                rates += [2 * side**3 / _timed(partial(torch.mm, matrix, matrix))["seconds"] / 1e9 for _ in range(3)]
            found[name] = max(rates)
        return found

    def memory(self) -> dict[str, float]:
        """The most memory this process ever held, in MB."""
        return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _timed(call: Callable[[], object]) -> dict[str, float]:
    wall, busy = time.perf_counter(), time.process_time()
    call()
    return {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - busy}


if __name__ == "__main__":
    main()
