"""The peers: modules with one function, ``build(recipe, precision, images) -> Built``."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from gansmith.recipe import Recipe

MODULES = {
    "ours": "benchmarks.speed.peers.ours",
    "eager": "benchmarks.speed.peers.eager",
    "eager house": "benchmarks.speed.peers.eager_house",
    "keras": "benchmarks.speed.peers.keras_articles",
}


@dataclass(frozen=True)
class Built:
    """A recipe, ready to train.

    ``step(index)`` makes one update of each player, the data path included, and returns the losses as floats;
    ``sample(count)`` makes uint8 images; ``parameters`` are counted as Keras does, moving averages included.
    """

    step: Callable[[int], tuple[float, float]]
    sample: Callable[[int], np.ndarray]
    parameters: dict[str, int]
    precision: str
    fetch: Callable[[int], object] | None = None  # the data path alone, where it can be told apart
    sample_bf16: Callable[[int], np.ndarray] | None = None  # sampling with bf16 products, where that is a choice


Build = Callable[[Recipe, str, np.ndarray], Built]


def random_kinds(count: int, kinds: int) -> np.ndarray:
    """Kinds (count,) int64 of as many images, as often as can be: how images are grouped costs a step nothing."""
    return np.random.default_rng(0).permutation(np.arange(count) % kinds)


def build(name: str, recipe: Recipe, precision: str, images: np.ndarray) -> Built:
    """Builds a peer.

    Args:
        name: of MODULES; imported only now, for a Keras process has no use for PyTorch, and the other way round.
        recipe: as published, or scaled.
        precision: "auto", "fp32" or "bf16".
        images: uint8 (N, C, H, W) to train on.
    """
    made: Built = import_module(MODULES.get(f"{name} {recipe.name}", MODULES[name])).build(recipe, precision, images)
    return made
