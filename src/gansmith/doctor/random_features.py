"""Random features of any images, with a linear class readout fitted to a run's own data in half a second.

It reads fewer classes right than a trained encoder (93 % on MNIST, 84 % on Fashion-MNIST), at a small part of the cost.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gansmith import data

FEATURES = 1024
MOST_CLASSES = 50  # with more, a few hundred images say nothing about shares


@dataclass(frozen=True)
class RandomFeatures:
    """Random pixel features of images with a linear class readout.

    relu(W x + b) with W and b from a fixed seed approximates a smooth kernel on pixels (Rahimi & Recht 2007); the
    readout is a ridge regression onto one-hot labels.
    """

    centre: Tensor  # (P,)
    weight: Tensor  # (P, 1024)
    bias: Tensor  # (1024,)
    mean: Tensor  # (1024,) of the features of training images
    readout: Tensor | None  # (1024, K)

    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, C, S, S) in [0, 1] -> features (N, 1024)."""
        return _features(_rows(images), self.centre, self.weight, self.bias)

    def classes(self, features: Tensor) -> Tensor | None:
        """Features (N, 1024) -> classes (N,), or None where the data have no labels."""
        return None if self.readout is None else ((features - self.mean) @ self.readout).argmax(dim=1)


def fit(dataset: data.Dataset, device: torch.device) -> RandomFeatures:
    """Random features at a data set's scale, a readout fitted to up to 4,096 labels; four are cached."""
    return _fit(dataset.fingerprint, device, _Uncompared(dataset))


class _Uncompared:
    """A data set as an argument that a cache does not compare: its fingerprint is the key."""

    def __init__(self, dataset: data.Dataset) -> None:
        self.dataset = dataset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Uncompared)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=4)
def _fit(fingerprint: str, device: torch.device, uncompared: _Uncompared) -> RandomFeatures:
    dataset = uncompared.dataset
    chosen = np.random.default_rng(0).permutation(len(dataset))[:4096]
    pixels = _rows(unit(dataset.take(chosen), device))
    source = torch.Generator().manual_seed(0)
    scale = max(float(pixels.std()), 1e-3) * pixels.shape[1] ** 0.5
    weight = (torch.randn(pixels.shape[1], FEATURES, generator=source) / scale).to(device)
    bias = (torch.randn(FEATURES, generator=source) / 2).to(device)
    centre = pixels.mean(dim=0)
    features = _features(pixels, centre, weight, bias)
    mean = features.mean(dim=0)
    count = len(dataset.classes)
    if dataset.labels is None or not 2 <= count <= MOST_CLASSES:
        return RandomFeatures(centre, weight, bias, mean, None)
    targets = F.one_hot(torch.from_numpy(dataset.labels[chosen]), count).float().to(device)
    features = features - mean
    gram = features.T @ features + 0.01 * len(features) * torch.eye(FEATURES, device=device)
    readout = torch.linalg.solve(gram, features.T @ (targets - targets.mean(dim=0)))
    return RandomFeatures(centre, weight, bias, mean, readout)


def unit(images: np.ndarray, device: torch.device) -> Tensor:
    """Images uint8 -> float32 in [0, 1]."""
    return torch.from_numpy(images).to(device).float() / 255


def _rows(images: Tensor) -> Tensor:
    """Images as rows of at most 32 x 32 pixels."""
    return (images if images.shape[-1] <= 32 else F.adaptive_avg_pool2d(images, 32)).flatten(1)


def _features(pixels: Tensor, centre: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.relu((pixels - centre) @ weight + bias)
