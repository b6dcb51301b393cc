"""Random, differentiable changes of what the discriminator sees, so that few images teach it longer.

Zhao et al. 2020 ("Differentiable augmentation for data-efficient GAN training"): real and generated images go through
the same kinds of change, and the generator's gradient through them.
"""

import torch
from torch import Tensor

from gansmith.nn import rows
from gansmith.recipe import Recipe
from gansmith.training import parts
from gansmith.training.parts import Change


def changes(recipe: Recipe, share: float) -> Change:
    """Images (N, C, S, S) within recipe.pixels -> the same, each changed at random; themselves where nothing is on.

    ``share`` of the run is over. Draws from the global random stream.
    """
    numbers = recipe.augment
    if not numbers.on:
        return lambda images: images
    part = numbers.share * (1.0 if share >= numbers.ramp else share / numbers.ramp)
    black, white = recipe.pixels

    def change(images: Tensor) -> Tensor:
        changed = images
        if numbers.colour:
            changed = recoloured(changed, numbers.colour, white - black)
        if numbers.shift:
            changed = shifted(changed, numbers.shift)
        if numbers.cutout:
            changed = cut_out(changed, numbers.cutout, (black + white) / 2)
        if numbers.own is not None:
            changed = parts.AUGMENTATIONS[numbers.own](changed)
        chosen = _each(images) < part
        return torch.where(chosen, changed, images)

    return change


def recoloured(images: Tensor, strength: float, span: float) -> Tensor:
    """Brightness by up to half of ``span``, contrast and saturation by up to a factor 1 ± 0.5 and 0 to 2, at 1."""
    brighter, contrast, saturation = (strength * (2 * _each(images) - 1) for _ in range(3))
    images = images + 0.5 * span * brighter
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (1 + saturation)
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    return middle + (images - middle) * (1 + 0.5 * contrast)


def shifted(images: Tensor, most: float) -> Tensor:
    """Each image moved by whole pixels, up to ``most`` of its size in both directions; its border is repeated."""
    _, channels, height, width = images.shape
    reach = round(most * height)
    down, right = (_whole(images, -reach, reach + 1) for _ in range(2))
    rows = (torch.arange(height, device=images.device) - down).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) - right).clamp(0, width - 1)
    moved = images.gather(2, rows[:, None, :, None].expand(-1, channels, -1, width))
    return moved.gather(3, columns[:, None, None, :].expand(-1, channels, height, -1))


def cut_out(images: Tensor, share: float, fill: float) -> Tensor:
    """A square of ``share`` of the size, at a random place of each image, set to ``fill``."""
    size = images.shape[-1]
    side = max(1, round(share * size))
    near = torch.arange(size, device=images.device)
    top, left = (_whole(images, 1 - side, size) for _ in range(2))
    inside_rows, inside_columns = ((near >= at) & (near < at + side) for at in (top, left))
    inside = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return images.masked_fill(inside, fill)


def _each(images: Tensor) -> Tensor:
    """A random number in [0, 1) for each image, (N, 1, 1, 1)."""
    return rows.draw(
        len(images), lambda count, generator: torch.rand(count, 1, 1, 1, device=images.device, generator=generator)
    )


def _whole(images: Tensor, low: int, high: int) -> Tensor:
    """A random whole number from ``low`` to below ``high`` for each image, (N, 1)."""
    return rows.draw(
        len(images),
        lambda count, generator: torch.randint(low, high, (count, 1), device=images.device, generator=generator),
    )
