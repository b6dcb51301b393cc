"""Layers that several recipes share: TensorFlow's 'same' geometry, upsample-then-convolve, and initial weights.

Every layer takes and returns (N, C, H, W) float tensors; parameters have PyTorch's shapes.
"""

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansmith.nn import rows
from gansmith.nn.patch import convolve, dropped
from gansmith.nn.transpose import convolve_transposed


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros (before, after) that make a convolution's output ``ceil(size / stride)``, as TensorFlow counts them.

    The odd zero goes after: right and bottom.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def halves(size: int, least: int) -> tuple[int, ...]:
    """The sides of maps from small to large: a size halved, and rounded up, until it is ``least`` or less.

    >>> halves(28, 4)
    (4, 7, 14, 28)
    """
    sides = [size]
    while sides[0] > least:
        sides.insert(0, -(-sides[0] // 2))
    return tuple(sides)


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's 'same' padding: (N, C, H, W) -> (N, C', ceil(H/s), ceil(W/s)).

    The fast path differs in the backward pass on a CPU only.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel, stride)
        self.fast = True

    def forward(self, input: Tensor) -> Tensor:
        """Pads each side as :func:`same_padding` says, then convolves."""
        top, bottom = same_padding(input.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(input.shape[3], self.kernel_size[1], self.stride[1])
        if (top, left) != (bottom, right):
            input = F.pad(input, (0, right - left, 0, bottom - top))  # the rest is symmetric
        if self.fast:
            return convolve(input, self.weight, self.bias, stride=self.stride[0], padding=(top, left))
        return F.conv2d(input, self.weight, self.bias, self.stride, (top, left))


class SameConvTranspose2d(nn.ConvTranspose2d):
    """Transposed convolution to a stated size: the gradient of a TensorFlow convolution that maps it back.

    The fast path, for strides above 1 on a CPU, is the same function as one matrix product and a sum.

    Args:
        in_channels: C of the input.
        out_channels: C' of the output.
        kernel: height and width of the kernel.
        stride: the factor between the sizes.
        out_size: H' = W' of the output.
        valid: the convolution it inverts pads nothing (TensorFlow's 'valid'), rather than 'same'.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, *, out_size: int, valid: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride)
        self.out_size = out_size
        self.before = 0 if valid else same_padding(out_size, kernel, stride)[0]
        self.fast = True

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, C, H, W) -> (N, C', out_size, out_size)."""
        if self.fast and input.device.type == "cpu" and self.stride[0] > 1:
            return convolve_transposed(
                input, self.weight, self.bias, stride=self.stride[0], before=self.before, out_size=self.out_size
            )
        full = (input.shape[2] - 1) * self.stride[0] + self.kernel_size[0] - 2 * self.before
        missing = max(self.out_size - full, 0)
        output = F.conv_transpose2d(input, self.weight, self.bias, self.stride, self.before, missing)
        return output[:, :, : self.out_size, : self.out_size]


class UpsampleConv2d(nn.Module):
    """Nearest upsampling by 2, then a 'same' convolution of stride 1: (N, C, H, W) -> (N, C', 2H, 2W).

    The fast path is exactly the same function. Under nearest upsampling the 5 taps of a kernel fall on only 3
    source pixels, which ones depending on the phase (even or odd) of the output pixel. So the layer is one
    convolution with a smaller kernel on the small map, with a channel group for each of the 4 phases: 36 products an
    output quadruple in the place of 100.

    Args:
        in_channels: C of the input.
        out_channels: C' of the output.
        kernel: odd height and width of the kernel.
        transposed: the weight is that of a transposed convolution of stride 1, (C, C', k, k), as recipe
            ``dcgan-transpose`` has it: the same map with the kernel flipped.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, transposed: bool = False) -> None:
        super().__init__()
        shape = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        self.weight = nn.Parameter(torch.empty(*shape, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.transposed = transposed
        self.fast = True
        nn.init.xavier_uniform_(self.weight)

    def extra_repr(self) -> str:
        """The weight's shape, for ``print``."""
        return f"weight={tuple(self.weight.shape)}, transposed={self.transposed}"

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', 2H, 2W), folded; as the definition says where ``fast`` is off."""
        weight = self.weight.transpose(0, 1).flip(2, 3) if self.transposed else self.weight
        kernel = weight.shape[-1]
        if not self.fast:
            return F.conv2d(F.interpolate(input, scale_factor=2.0), weight, self.bias, padding=kernel // 2)
        with torch.autocast(input.device.type, enabled=False):  # sums of taps, in the weight's own precision
            folded = fold(weight)
        half = folded.shape[-1] // 2
        phases = convolve(input, folded, self.bias.repeat(4), padding=(half, half))
        n, _, h, w = phases.shape
        split = phases.permute(0, 2, 3, 1).reshape(n, h, w, 2, 2, -1)  # (n, y, x, phase y, phase x, channel)
        return split.permute(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, -1).permute(0, 3, 1, 2)


def fold(weight: Tensor) -> Tensor:
    """(O, I, k, k) -> (4·O, I, m, m): for each phase the taps that read the same source pixel are summed."""
    out_channels, in_channels, kernel, _ = weight.shape
    folded = weight.reshape(-1, kernel * kernel) @ _tap_sums(kernel, weight.dtype, weight.device)
    small = math.isqrt(folded.shape[1] // 4)
    folded = folded.view(out_channels, in_channels, 2, 2, small, small).permute(2, 3, 0, 1, 4, 5)
    return folded.reshape(-1, in_channels, small, small)


def folded_size(kernel: int) -> int:
    """Source pixels, in height or width, that a kernel's taps fall on under nearest upsampling by 2: 3 for 5."""
    return 2 * ((kernel // 2 + 1) // 2) + 1


@cache
@torch.inference_mode(False)
def _tap_sums(kernel: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(k·k, 4·m·m) of 0 and 1: which taps add up to which of a phase's; kept on the device, for a copy would wait."""
    half, size = kernel // 2, folded_size(kernel)
    taps = torch.zeros(2, size, kernel)  # (a, u, s): in phase a tap s reads small-map offset u
    for phase in range(2):
        for tap in range(kernel):
            taps[phase, (phase + tap - half) // 2 + size // 2, tap] = 1
    return torch.einsum("aus,bvt->stabuv", taps, taps).reshape(kernel * kernel, -1).to(device, dtype)


class Dropout(nn.Dropout):
    """``nn.Dropout`` whose random bits cost less on a CPU; they are not the bits that ``nn.Dropout`` would draw."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)
        self.fast = True

    def forward(self, input: Tensor) -> Tensor:
        """(N, ...) -> (N, ...): each number is 0 with probability p, else divided by 1 - p; in eval mode, unchanged."""
        if self.fast and self.training and input.device.type == "cpu" and 1e-6 < self.p < 1:
            return dropped(input, self.p)
        if self.training and self.p > 0 and rows.held() is not None:
            kept = rows.draw(
                len(input), lambda n, random: rows.empty(input, n).bernoulli_(1 - self.p, generator=random)
            )
            return input * kept / (1 - self.p)
        return F.dropout(input, self.p, self.training)


def set_fast(network: nn.Module, on: bool) -> None:
    """Chooses, for every layer that has two, the fast path or the plain one that defines it."""
    for module in network.modules():
        if isinstance(module, SameConv2d | SameConvTranspose2d | UpsampleConv2d | Dropout):
            module.fast = on


class Reshape(nn.Module):
    """(N, ...) -> (N, *shape)."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def extra_repr(self) -> str:
        """The shape, for ``print``."""
        return str(self.shape)

    def forward(self, input: Tensor) -> Tensor:
        """The same numbers in row-major order."""
        return input.reshape(input.shape[0], *self.shape)  # len() would fix the batch size of an exported graph


class Crop(nn.Module):
    """(N, C, H, W) -> (N, C, size, size): the top left corner."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, input: Tensor) -> Tensor:
        """A view of the top left corner."""
        return input[:, :, : self.size, : self.size]


class SpaceToDepth(nn.Module):
    """(N, C, H, W) -> (N, 4C, H/2, W/2): each 2x2 patch becomes one place; odd sizes get a line of zeros first."""

    def forward(self, input: Tensor) -> Tensor:
        """The same numbers, channels last in memory."""
        count, channels, height, width = input.shape
        if height % 2 or width % 2:
            input = F.pad(input, (0, width % 2, 0, height % 2))
            _, _, height, width = input.shape
        rows = input.permute(0, 2, 3, 1).reshape(count, height // 2, 2, width // 2, 2, channels)
        return rows.permute(0, 1, 3, 2, 4, 5).reshape(count, height // 2, width // 2, -1).permute(0, 3, 1, 2)


class DepthToSpace(nn.Module):
    """(N, 4C, H, W) -> (N, C, 2H, 2W): the inverse of :class:`SpaceToDepth` (Shi et al. 2016)."""

    def forward(self, input: Tensor) -> Tensor:
        """The same numbers, channels last in memory."""
        count, channels, height, width = input.shape
        rows = input.permute(0, 2, 3, 1).reshape(count, height, width, 2, 2, channels // 4)
        return rows.permute(0, 1, 3, 2, 4, 5).reshape(count, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


class Basis(nn.Module):
    """(N, C) -> (N, C, side, side): a learned map for each channel, times the channel's number."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, side, side))

    def forward(self, input: Tensor) -> Tensor:
        """The maps, scaled."""
        return input[:, :, None, None] * self.weight


class Doubled(nn.Module):
    """(N, C, H, W) -> (N, C, 2H, 2W): between two pixels their mean, by the filter [1, 2, 1]."""

    def forward(self, input: Tensor) -> Tensor:
        """The filter after zeros in between, each channel alone; beyond the border there are zeros."""
        kernel = _smooth(input) * 4
        return F.conv_transpose2d(input, kernel, stride=2, padding=1, output_padding=1, groups=len(kernel))


class Halved(nn.Module):
    """(N, C, H, W) -> (N, C, ceil(H/2), ceil(W/2)): every second pixel after the filter [1, 2, 1]."""

    def forward(self, input: Tensor) -> Tensor:
        """Each channel alone; beyond the border there are zeros."""
        kernel = _smooth(input)
        return F.conv2d(input, kernel, stride=2, padding=1, groups=len(kernel))


def _smooth(input: Tensor) -> Tensor:
    """The filter [1, 2, 1] in both directions, for each channel of a map: (C, 1, 3, 3), of sum 1."""
    line = torch.tensor([0.25, 0.5, 0.25], dtype=input.dtype, device=input.device)
    return (line[:, None] * line).expand(input.shape[1], 1, 3, 3)


class Residual(nn.Module):
    """x + layers(x)."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        output: Tensor = input + self.layers(input)
        return output


def initialise(network: nn.Module, kernel: Callable[[Tensor], object], bias: float = 0.0) -> None:
    """Fills every kernel of 2 or more dimensions by ``kernel``, every bias with ``bias``; batch norm is left alone."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            continue
        for name, parameter in module.named_parameters(recurse=False):
            if name == "weight":
                kernel(parameter)
            else:
                nn.init.constant_(parameter, bias)
