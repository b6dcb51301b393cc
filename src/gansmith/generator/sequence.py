"""The endless sequence of a seed: row i of its latents depends on the seed and on i alone."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gansmith.recipe import Noise, Recipe

_KINDS = 0x4B494E44  # names the random stream that orders kinds


def latents(noise: Noise, *, seed: int, start: int = 0, count: int) -> Tensor:
    """Latents (count, noise.size) float32: rows start .. start + count - 1 of the endless sequence of ``seed``.

    Counter-based (Philox, Salmon et al. 2011): row i depends on seed and i alone. The normal is the inverse
    distribution function of the uniform, so that every coordinate takes exactly one draw.
    """
    words = -(-noise.size // 4) * 4  # Philox gives four 64-bit words a count
    bits = np.random.Philox(key=seed % 2**128)
    bits.advance(start * words // 4)
    uniform = np.random.Generator(bits).random((count, words))[:, : noise.size]
    centred = torch.from_numpy(uniform + 2.0**-54)  # inside (0, 1)
    values = 2 * centred - 1 if noise.distribution == "uniform" else torch.special.ndtri(centred)
    return (noise.center + noise.scale * values).float()


def labels(classes: int, *, start: int = 0, count: int) -> Tensor:
    """Labels (count,) int64 of images start .. start + count - 1 when none are given: image i has class i mod K."""
    return torch.arange(start, start + count, device="cpu") % classes


def conditions(recipe: Recipe, *, start: int = 0, count: int, classes: Sequence[int] = ()) -> Tensor | None:
    """What the generator is told for images start .. start + count - 1: (count,) int64 in 0 .. recipe.conditions - 1.

    ``classes`` take turns, or all of them do; None for a recipe without conditions. Of the K kinds of a class, each of
    its images number m K .. m K + K - 1 is another, in an order of their own: kinds come as often as in the data. Kinds
    that the game made up come in their own order, as classes do.
    """
    if not recipe.conditions:
        return None
    index = np.arange(start, start + count)
    turns = np.array(classes or range(max(1, recipe.classes)))
    condition = turns[index % len(turns)]
    if recipe.information:
        return labels(recipe.kinds, start=start, count=count)
    if recipe.kinds and count:
        rounds, place = np.divmod(index // len(turns), recipe.kinds)
        known, which = np.unique(rounds, return_inverse=True)
        orders = np.stack([np.random.default_rng([_KINDS, each]).permutation(recipe.kinds) for each in known])
        condition = condition * recipe.kinds + orders[which, place]
    return torch.from_numpy(condition.astype(np.int64))
