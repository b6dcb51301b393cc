"""Generators for tests that really draw digits: recipe mlp, taught in a second to decode principal components."""

from functools import cache

import numpy as np
import torch

from gansmith import data, recipes
from gansmith.generator import Generator
from gansmith.recipe import Recipe
from gansmith.training import optim

RECIPE = recipes.get("mlp").override({"noise.size": 40, "generator.width": 2})
COUNT = 5000


@cache
def decoder() -> Generator:
    """Coordinates of a digit, which are noise of mean 0 and variance 1, become that digit; other noise, the like."""
    digits, _ = _digits()
    return _taught(RECIPE, _whitened(digits - digits.mean(0)), None)


@cache
def conditional() -> Generator:
    """The same of what distinguishes a digit from others of its class, which the label says."""
    digits, labels = _digits()
    means = np.stack([digits[labels == label].mean(0) for label in range(10)])
    recipe = RECIPE.override(conditional="projection", classes=10)
    return _taught(recipe, _whitened(digits - means[labels]), labels)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    mnist = data.load("mnist")
    digits = mnist.take(np.arange(COUNT)).reshape(COUNT, -1) / 127.5 - 1
    return digits.astype(np.float32), mnist.labels[:COUNT]


def _whitened(values: np.ndarray) -> torch.Tensor:
    variances, axes = np.linalg.eigh(values.T @ values / len(values))
    return torch.from_numpy(values @ axes[:, ::-1][:, :40] / np.sqrt(variances[::-1][:40]))


def _taught(recipe: Recipe, coordinates: torch.Tensor, labels: np.ndarray | None) -> Generator:
    digits, _ = _digits()
    torch.manual_seed(0)
    network = recipes.generator(recipe)
    optimizer = optim.adam(network.parameters(), 3e-3)
    for step in range(400):
        rows = np.random.default_rng(step).integers(0, COUNT, 128)
        known = () if labels is None else (torch.from_numpy(labels[rows]),)
        made = network(coordinates[rows], *known).flatten(1)
        loss = (made - torch.from_numpy(digits[rows])).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Generator(network, recipe, data.load("mnist").classes, {"data": "mnist", "steps": 400})
