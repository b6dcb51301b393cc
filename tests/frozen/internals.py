"""The only place of the frozen tests that knows modules inside gansmith: when one moves, this file follows."""

import inspect
from typing import Any

import numpy as np
import torch

from gansmith.experiment import prepare
from gansmith.training import loop, step


def stream(seed: int, label: object) -> int:
    """The seed of the random stream that a label names."""
    return loop.stream(seed, label)


def first_noise(noise: Any, *, seed: int, at: int, count: int) -> np.ndarray:
    """The first latents (count, Z) that a training step of a run of this seed draws."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(loop.stream(seed, at))
        return step.sample_latents(noise, count, torch.device("cpu")).numpy()


def keywords() -> dict[str, inspect.Signature]:
    """What gs.train and gs.resume take as **arguments, beside changes to the recipe."""
    return {"train": inspect.signature(prepare.prepare), "resume": inspect.signature(prepare.prepare_resume)}
