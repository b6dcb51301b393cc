"""A moving average of the generator's weights: one small step behind each update, it filters the game's noise out."""

import copy

import torch
from torch import nn

from gansmith.recipe import Average


def start(generator: nn.Module, numbers: Average) -> nn.Module | None:
    """A copy of an untrained generator that will be its average; None where the recipe has none."""
    return copy.deepcopy(generator).requires_grad_(False) if numbers.on else None


@torch.no_grad()
def follow(average: nn.Module, generator: nn.Module, numbers: Average, *, step: int, batch_size: int) -> None:
    """Moves the average towards the generator, after its update number ``step`` (1, 2, ...).

    ``span``: a weight of 1 - (1 - 1/step)^(1/span), so that the average reaches over the last ``span`` of the run
    whatever its length (the power function of Karras et al. 2024, section 3.1). ``half_life``: 1 - 2^(-batch_size /
    half_life), but never less than 1/step, which forgets the untrained network. Buffers are copied.
    """
    weight = 1 - (1 - 1 / step) ** (1 / numbers.span) if numbers.span else 1 - 0.5 ** (batch_size / numbers.half_life)
    weight = max(weight, 1 / step)
    torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), weight)
    for own, other in zip(average.buffers(), generator.buffers(), strict=True):
        own.copy_(other)
