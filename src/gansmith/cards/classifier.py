"""The small classifier of a card: always the same network and the same number of steps, whatever it is shown."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from gansmith.nn.isolation import isolated
from gansmith.training import optim

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]
BATCH = 64
RATE = 2e-3
WIDTH = 16
CHUNK = 1024
SHIFT, DEGREES, ZOOM = 2, 15.0, 0.1
"""Of plain augmentation: whole pixels, rotation, and scale."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images uint8 (N, C, H, W) with labels (N,)."""

    images: Pixels
    labels: Labels

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Labels) -> "Labelled":
        """Some of them."""
        return Labelled(self.images[rows], self.labels[rows])


def describe(steps: int) -> str:
    """The protocol of a training, in words."""
    return (
        f"two 3x3 convolutions of {WIDTH} and {2 * WIDTH} channels, each halving the size, and a linear layer; {steps} "
        f"steps of Adam (learning rate {RATE:g}, falling to 0) on batches of {BATCH}"
    )


@isolated()
def fit(
    shown: Labelled, classes: int, *, steps: int, seed: int, beside: Labelled | None = None, augment: bool = False
) -> nn.Module:
    """Trains the classifier. The same arguments give the same weights.

    Args:
        shown: what it learns from.
        classes: how many there are.
        steps: batches; the same budget whatever is shown.
        seed: of the initial weights, the batches and the augmentation.
        beside: half of each batch is of these instead.
        augment: move, turn and scale each image at random.
    """
    torch.manual_seed(seed)
    channels = shown.images.shape[1]
    network = nn.Sequential(
        nn.Conv2d(channels, WIDTH, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(WIDTH, 2 * WIDTH, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(classes),
    )
    network(_inputs(shown.images[:1]))
    optimizer = optim.adam(network.parameters(), RATE)
    random = np.random.default_rng(seed)
    count = BATCH if beside is None else BATCH // 2
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        images, labels = _batch(shown, count, random)
        if beside is not None:
            more, theirs = _batch(beside, BATCH - count, random)
            images, labels = torch.cat([images, more]), torch.cat([labels, theirs])
        if augment:
            images = moved(images)
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network.eval()


def _batch(side: Labelled, count: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    rows = random.integers(0, len(side), count)
    return _inputs(side.images[rows]), torch.from_numpy(side.labels[rows])


@isolated()
@torch.no_grad()
def logits(network: nn.Module, images: Pixels) -> np.ndarray:
    """(N, K) of images uint8 (N, C, H, W)."""
    parts = [network(_inputs(images[start : start + CHUNK])) for start in range(0, len(images), CHUNK)]
    found: np.ndarray = torch.cat(parts).double().numpy()
    return found


def accuracy(network: nn.Module, side: Labelled) -> float:
    """The share that is read as labelled."""
    return float((logits(network, side.images).argmax(axis=1) == side.labels).mean())


def moved(images: Tensor) -> Tensor:
    """Plain augmentation: each image shifted, turned and scaled at random; black where nothing was."""
    count, _, height, width = images.shape

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape) - 1

    angle, scale = uniform(count) * (DEGREES * torch.pi / 180), 1 + ZOOM * uniform(count)
    shift = SHIFT * uniform(count, 2) * 2 / torch.tensor([width, height])
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    turn = torch.stack([cos, sin, -sin, cos], dim=1).reshape(count, 2, 2)
    grid = F.affine_grid(torch.cat([turn, shift[:, :, None]], dim=2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, "bilinear", "zeros", align_corners=False)


def _inputs(images: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images)).float() / 255
