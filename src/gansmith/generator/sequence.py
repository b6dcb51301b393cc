"""The endless sequence of a seed: row i of its latents depends on the seed and on i alone."""

import numpy as np
import torch
from torch import Tensor

from gansmith.errors import UserError, whole_number
from gansmith.recipe import Noise

MAX_START = 2**62


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


def check_place(seed: int, start: int) -> tuple[int, int]:
    """A seed and an image's index as ints. Raises UserError for what is no whole number, or outside 0 .. 2^62."""
    seed, start = whole_number("seed", seed), whole_number("start", start)
    if seed < 0 or start < 0:
        raise UserError(f"seed {seed}, start {start}: neither may be negative")
    if start > MAX_START:
        raise UserError(f"`start` {start}: give a number up to 2**62")
    return seed, start
