"""What searches in latent space share: the noise's support, gradients through the networks, diverse subsets."""

import copy
from collections.abc import Callable

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
from gansmith.training import optim

Matrix = NDArray[np.float64]
HEAVY = 0.02
"""GFLOP an image from which on a search makes fewer images."""
RATE = 0.1
"""Learning rate of a search for noise of scale 1."""
SHELL = 2.0
"""Normal noise of size Z has lengths of sqrt(Z) with std 0.71; searches stay within two of them."""


def within(noise: Noise, z: Tensor) -> Tensor:
    """Latents (N, Z) projected to where the noise lies: into its box if uniform, to lengths near sqrt(Z) if normal."""
    centred = (z - noise.center) / noise.scale
    if noise.distribution == "uniform":
        return noise.center + noise.scale * centred.clamp(-1, 1)
    length = centred.norm(dim=1, keepdim=True).clamp_min(1e-9)
    away = SHELL * 0.5**0.5
    wanted = length.clamp(max(noise.size**0.5 - away, 0.0), noise.size**0.5 + away)
    moved: Tensor = noise.center + noise.scale * centred * (wanted / length)
    return moved


def slow(generator: Generator) -> bool:
    """Whether an image costs so much that a search makes fewer of them."""
    return recipes.image_gflop(generator.recipe) >= HEAVY


def searches_in_bf16(generator: Generator) -> bool:
    """Whether a search multiplies in bf16: where images are :func:`slow` and the device is faster in bf16.

    A search's steps are coarser than bf16's rounding; the images of its result are always made in fp32.
    """
    return slow(generator) and hardware.bf16_support(generator.device.type)[0]


def search_precision(generator: Generator) -> torch.autocast:
    """A context of bf16 products where :func:`searches_in_bf16`. Casts are not cached: latents change in place."""
    enabled = searches_in_bf16(generator)
    return torch.autocast(generator.device.type, torch.bfloat16, enabled=enabled, cache_enabled=False)


class Differentiable:
    """Copies of a generator, and of an encoder if there is one, with frozen weights: gradients reach the latents."""

    def __init__(self, generator: Generator, encoder: Encoder | None) -> None:
        self._generator = steady(generator)
        self._network = copy.deepcopy(self._generator.network).requires_grad_(False)
        self._encoder = encoder
        if encoder is not None:
            self._encoder_network = copy.deepcopy(encoder.network).to(self._generator.device).requires_grad_(False)

    def images(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Images float32 (N, C, S, S) of latents (N, Z), in 0 .. 255 and not rounded."""
        black, white = self._generator.recipe.pixels
        output = generate(self._network, z, labels).float()
        return ((output - black) * (255 / (white - black))).clamp(0, 255)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features (N, D) and logits (N, K) of images from :meth:`images`."""
        assert self._encoder is not None
        channels, height, width = self._encoder.shape
        if images.shape[1] == 3 and channels == 1:
            images = (images * images.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        if images.shape[2:] != (height, width):
            images = F.interpolate(images, (height, width), mode="bilinear", antialias=True, align_corners=False)
        features, logits = self._encoder_network(images.expand(-1, channels, -1, -1))
        return features, logits


def descend(
    noise: Noise,
    starts: Tensor,
    judge: Callable[[Tensor], tuple[Tensor, Tensor]],
    steps: int,
    tick: Callable[[int], None],
) -> tuple[Tensor, Tensor]:
    """The nearest latent on the way of Adam from each start (N, Z), inside the noise's support, and its distance (N,).

    Args:
        noise: of the generator.
        starts: on its device.
        judge: latents (N, Z) -> the distance (N,) by which the nearest is chosen, and the loss (N,) that descends.
        steps: of Adam, whose learning rate falls to a tenth.
        tick: called with the steps done.
    """
    z = starts.clone().requires_grad_()
    optimizer = optim.adam([z], RATE * noise.scale)
    best, least = z.detach().clone(), torch.full((len(z),), torch.inf, device=z.device)
    for step in range(steps + 1):
        distance, loss = judge(z)
        with torch.no_grad():  # the last step need not be the best
            nearer = distance < least
            best[nearer], least[nearer] = z[nearer], distance[nearer]
        if step == steps:
            break
        (z.grad,) = torch.autograd.grad(loss.sum(), z)
        optimizer.param_groups[0]["lr"] = RATE * noise.scale * (1 - 0.9 * step / steps)
        optimizer.step()
        with torch.no_grad():
            z.copy_(within(noise, z))
        tick(step + 1)
    return best.cpu(), least.cpu()


def farthest_points(features: Matrix, count: int) -> NDArray[np.int64]:
    """Indices of up to ``count`` diverse rows of (N, D): the first, then each time the one farthest from all chosen.

    Farthest-point sampling (Gonzalez 1985). A row equal to a chosen one is never taken, so there may be fewer.
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
    """Softmax of logits (N, K) over the classes."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def as_tensor(labels: Labels | None) -> Tensor | None:
    """Labels (N,) as a tensor; None stays None."""
    return None if labels is None else torch.from_numpy(labels)
