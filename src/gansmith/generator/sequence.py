"""The endless sequence of a seed: row i of its latents depends on the seed and on i alone."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gansmith.recipe import Noise, Recipe

Labels = NDArray[np.int64]
TURNS = 10_000
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

    ``classes`` take turns, in which a class may come several times, or all of them do; None for a recipe without
    conditions. Of the K kinds of a class, each of its images number m K .. m K + K - 1 is another, in an order of their
    own: kinds come as often as in the data. Kinds that the game made up come in their own order, as classes do.
    """
    if not recipe.conditions:
        return None
    index = np.arange(start, start + count)
    turns = np.array(classes or range(max(1, recipe.classes)))
    turn, place = np.divmod(index, len(turns))
    condition = turns[place]
    if recipe.information:
        return labels(recipe.kinds, start=start, count=count)
    if recipe.kinds and count:
        earlier = turn * np.bincount(turns)[condition] + _earlier(turns)[place]
        rounds, place = np.divmod(earlier, recipe.kinds)
        known, which = np.unique(rounds, return_inverse=True)
        orders = np.stack([np.random.default_rng([_KINDS, each]).permutation(recipe.kinds) for each in known])
        condition = condition * recipe.kinds + orders[which, place]
    return torch.from_numpy(condition.astype(np.int64))


def _earlier(values: Labels) -> Labels:
    """How many of the earlier values are the same, for each."""
    order = np.argsort(values, kind="stable")
    found = np.empty(len(values), np.int64)
    found[order] = np.arange(len(values)) - np.searchsorted(values[order], values[order])
    return found


def apportioned(shares: Sequence[float], count: int) -> Labels:
    """Whole numbers that sum to ``count``, as near as can be to these shares of it: the largest remainders count."""
    exact = np.array(shares) * count
    each: Labels = np.floor(exact).astype(np.int64)
    each[np.argsort(each - exact, kind="stable")[: count - each.sum()]] += 1
    return each


def in_proportion(counts: Sequence[int]) -> Labels:
    """Labels that, where they take turns, come as often as ``counts`` says, evenly spread: about 10,000 at most.

    Where those are fewer than the counts, the rarest labels come a little too often, so that none is left out.
    """
    each = np.array(counts) // np.gcd.reduce(counts)
    if each.sum() > TURNS:
        each = np.maximum(apportioned(each / each.sum(), TURNS), np.sign(each))
    places = np.concatenate([(np.arange(count) + 0.5) / count for count in each])
    found: Labels = np.repeat(np.arange(len(each)), each)[np.argsort(places, kind="stable")]
    return found
