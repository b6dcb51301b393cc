"""What searches in latent space share: where noise can lie, an encoder that gradients pass through, and spread."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gansmith import hardware, recipes
from gansmith.encoders.encoder import Encoder
from gansmith.generator import Generator, generate
from gansmith.latent.vectors import Labels, steady
from gansmith.recipe import Noise

Matrix = NDArray[np.float64]
HEAVY = 0.02
"""GFLOP an image."""
SHELL = 2.0
"""Normal noise of size Z has a length of sqrt(Z) ± 0.71; searches stay within so many of these 0.71."""


def within(noise: Noise, z: Tensor) -> Tensor:
    """Latents (N, Z) brought back to where the noise is: into its box if uniform, to its shell's lengths if normal."""
    centred = (z - noise.center) / noise.scale
    if noise.distribution == "uniform":
        return noise.center + noise.scale * centred.clamp(-1, 1)
    length = centred.norm(dim=1, keepdim=True).clamp_min(1e-9)
    away = SHELL * 0.5**0.5
    wanted = length.clamp(max(noise.size**0.5 - away, 0.0), noise.size**0.5 + away)
    moved: Tensor = noise.center + noise.scale * centred * (wanted / length)
    return moved


def heavy(generator: Generator) -> bool:
    """Whether images take so long to make that a search must be sparing."""
    return recipes.image_gflop(generator.recipe) >= HEAVY


def hasty(generator: Generator) -> bool:
    """Whether a search looks about with products in bf16: where images are dear, and bf16 is faster.

    Steps of a search are coarser than bf16's rounding; the image that a latent is shown with is always made in fp32.
    """
    return heavy(generator) and hardware.bf16_support(generator.device.type)[0]


def coarse(generator: Generator) -> torch.autocast:
    """Products in bf16 where the search is :func:`hasty`. No cast is kept, for the latent changes in place."""
    return torch.autocast(generator.device.type, torch.bfloat16, enabled=hasty(generator), cache_enabled=False)


class Slope:
    """A generator, and an encoder if there is one, that gradients pass through: copies with frozen weights."""

    def __init__(self, generator: Generator, encoder: Encoder | None) -> None:
        self._generator = steady(generator)
        self._network = copy.deepcopy(self._generator.network).requires_grad_(False)
        self._encoder = encoder
        if encoder is not None:
            self._eye = copy.deepcopy(encoder.network).to(self._generator.device).requires_grad_(False)

    def images(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Images (N, C, S, S), not rounded, black 0 and white 255."""
        black, white = self._generator.recipe.pixels
        output = generate(self._network, z, labels).float()
        return ((output - black) * (255 / (white - black))).clamp(0, 255)

    def look(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features (N, D) and logits (N, K) of images as :meth:`images` gives them."""
        assert self._encoder is not None
        channels, height, width = self._encoder.shape
        if images.shape[1] == 3 and channels == 1:
            images = (images * images.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        if images.shape[2:] != (height, width):
            images = F.interpolate(images, (height, width), mode="bilinear", antialias=True, align_corners=False)
        features, logits = self._eye(images.expand(-1, channels, -1, -1))
        return features, logits


def chosen_apart(features: Matrix, count: int) -> NDArray[np.int64]:
    """Indices of ``count`` rows of (N, D) that differ much: the first, then always the one farthest from all chosen.

    Farthest-point sampling (Gonzalez 1985). Copies of what is chosen are never taken, so there may be fewer.
    """
    chosen = [0]
    nearest = ((features - features[0]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(features)):
        far = int(nearest.argmax())
        if nearest[far] <= 0:
            break
        chosen.append(far)
        nearest = np.minimum(nearest, ((features - features[far]) ** 2).sum(axis=1))
    return np.array(chosen, np.int64)


def probabilities(logits: Matrix) -> Matrix:
    """Softmax over the classes (N, K)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def as_tensor(labels: Labels | None) -> Tensor | None:
    """Labels as a tensor."""
    return None if labels is None else torch.from_numpy(labels)
