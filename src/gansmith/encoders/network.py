"""The networks of encoders: a few convolutions, a feature vector, and logits where there are classes.

A :class:`Network` is trained with batch norm; :func:`folded` gives the same function without it, which is stored and
used.
"""

from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from gansmith.errors import UserError
from gansmith.nn.unfilled import with_memory, without_memory

MIN_SIDE, MAX_SIDE = 8, 64
"""Pixels; larger images are shrunk to the greatest before they are encoded."""
MOST_CLASSES = 10_000
GRID = 3
"""The last maps are pooled to GRID x GRID places, so that features hold where things are."""


class Architecture(BaseModel):
    """Everything that decides the shape of an encoder's network."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    channels: Annotated[int, Field(ge=1, le=3)]
    height: Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
    width: Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=256)], ...], Field(min_length=1, max_length=6, strict=False)]
    kernel: Literal[3, 5] = 3
    """Size of the first convolution's kernel; the others have 3."""
    pools: Annotated[int, Field(ge=0, le=4)]
    """How many convolutions, from the first, are followed by pooling to half the height and width."""
    dimensions: Annotated[int, Field(ge=8, le=256)]
    classes: Annotated[int, Field(ge=0, le=MOST_CLASSES)]
    """0 for no logits."""
    black: Annotated[float, Field(ge=-100, le=100)]
    """What pixel value 0 becomes before the first convolution."""
    white: Annotated[float, Field(ge=-100, le=100)]
    """What pixel value 255 becomes."""

    @model_validator(mode="after")
    def _possible(self) -> "Architecture":
        if self.channels == 2:
            raise UserError("takes images of 2 channels; there are grey (1) and RGB (3)")
        if self.pools > len(self.widths) or min(self.height, self.width) >> self.pools < 2:
            raise UserError("pools more often than its convolutions or its size allow")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images it takes."""
        return self.channels, self.height, self.width


def own_shape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """The input shape of an encoder for images (C, H, W): the same, with sides of at most 64."""
    channels, height, width = shape
    return channels, min(height, MAX_SIDE), min(width, MAX_SIDE)


def pools_for(height: int, width: int, most: int) -> int:
    """How often to halve so that 6 places or more are left along the shorter side: 2 at 28 and 32, 3 at 64."""
    pools = 0
    while pools < most and min(height, width) >> (pools + 1) >= 6:
        pools += 1
    return pools


class Network(nn.Module):
    """uint8-valued images (N, C, H, W) as float32 -> (features (N, D), logits (N, K) or None)."""

    def __init__(self, architecture: Architecture, *, norm: bool) -> None:
        super().__init__()
        self.architecture = architecture
        widths = architecture.widths
        kernels = (architecture.kernel, *(3 for _ in widths[1:]))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=not norm)
            for before, after, kernel in zip((architecture.channels, *widths), widths, kernels, strict=False)
        )
        self.project = nn.Linear(widths[-1] * GRID * GRID, architecture.dimensions, bias=not norm)
        self.norms = nn.ModuleList()
        if norm:
            for width in widths:
                layer = nn.BatchNorm2d(width)
                layer.weight.requires_grad_(False)  # 1: a positive factor, which pooling lets pass
                self.norms.append(layer)
        self.feature_norm = nn.BatchNorm1d(architecture.dimensions, affine=False) if norm else None
        self.head = nn.Linear(architecture.dimensions, architecture.classes) if architecture.classes else None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features have mean 0 and variance 1 over the images it was trained on, and pass a ReLU to the logits."""
        black, white = self.architecture.black, self.architecture.white
        x = images * ((white - black) / 255) + black
        for index, convolution in enumerate(self.convolutions):
            y = convolution(x)
            if index < self.architecture.pools:
                y = F.max_pool2d(y, 2)
            if self.norms:
                y = self.norms[index](y)
            x = F.relu(y + x if y.shape == x.shape else y)
        features = self.project(F.adaptive_max_pool2d(x, GRID).flatten(1))
        if self.feature_norm is not None:
            features = self.feature_norm(features)
        return features, None if self.head is None else self.head(F.relu(features))


def blank(architecture: Architecture) -> Network:
    """A network without batch norm whose weights are not set yet; draws no random numbers."""
    with without_memory():
        network = Network(architecture, norm=False)
    return channels_last(with_memory(network).eval())


@torch.no_grad()
def folded(network: Network) -> Network:
    """The same function in inference mode, with each batch norm folded into the weights before it.

    Max pooling between the two is no obstacle, because the norm's factor is positive.
    """
    result = blank(network.architecture)
    for before, norm, after in zip(network.convolutions, network.norms, result.convolutions, strict=True):
        _fold(before, norm, after)
    assert network.feature_norm is not None
    _fold(network.project, network.feature_norm, result.project)
    if network.head is not None and result.head is not None:
        result.head.load_state_dict(network.head.state_dict())
    return result


def _fold(before: Any, norm: Any, after: Any) -> None:
    scale = torch.rsqrt(norm.running_var.double() + norm.eps)
    after.weight.copy_(before.weight.double() * scale.reshape(-1, *(1 for _ in before.weight.shape[1:])))
    after.bias.copy_((norm.bias.double() if norm.affine else 0) - norm.running_mean.double() * scale)


def channels_last(network: Network) -> Network:
    """The network with its weights in the memory layout that convolutions on a CPU are fast in."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@torch.no_grad()
def randomised(network: Network, key: int) -> None:
    """Sets random weights: uniform with variance 2 / fan-in (He et al. 2015); biases are zero.

    They come from the raw bits of a counter (Philox), so that they are the same with every version of every library.
    """
    bits = np.random.Philox(key=key)
    for name, parameter in sorted(network.named_parameters()):
        if name.endswith("bias"):
            parameter.zero_()
            continue
        count, fan_in = parameter.numel(), parameter[0].numel()
        uniform = (bits.random_raw(count) >> np.uint64(40)).astype(np.float64) / 2**23 - 1
        values = (uniform * (6 / fan_in) ** 0.5).astype(np.float32)
        parameter.copy_(torch.from_numpy(values).reshape(parameter.shape))


def converted(images: np.ndarray, shape: tuple[int, int, int]) -> Tensor:
    """Images uint8 (N, C, H, W) -> float32 in [0, 255] of the shape (C', H', W') that an encoder takes, channels last.

    RGB becomes grey by ITU-R BT.601 luma (0.299 R + 0.587 G + 0.114 B), grey becomes RGB by repetition; another height
    or width is reached by bilinear interpolation with antialiasing, without regard to the ratio of the sides.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(images)).float()
    channels, height, width = shape
    if pixels.shape[1] == 3 and channels == 1:
        red, green, blue = pixels.unbind(1)
        pixels = (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]
    if pixels.shape[2:] != (height, width):
        pixels = F.interpolate(pixels, (height, width), mode="bilinear", antialias=True, align_corners=False)
    if pixels.shape[1] == 1 and channels == 3:
        pixels = pixels.expand(-1, 3, -1, -1)
    return pixels.contiguous(memory_format=torch.channels_last)


def fitted(images: np.ndarray) -> np.ndarray:
    """Images uint8 (N, C, H, W) shrunk to sides of at most 64, the largest that an encoder takes: uint8."""
    shape = own_shape((images.shape[1], images.shape[2], images.shape[3]))
    if shape == images.shape[1:]:
        return images
    return converted(images, shape).round().clamp(0, 255).to(torch.uint8).contiguous().numpy()
