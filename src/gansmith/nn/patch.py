"""The fast backward pass of a convolution on a CPU: oneDNN's where it is good, plain matrix products where it is not.

Values and gradients are those of ``F.conv2d``, which is the definition. docs/performance.md has the measurements.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gansmith.nn import rows

# The measured rule: which weight gradients go by taps. oneDNN loses most where the map is small and the padding large:
# at 4x4 taps take about half its time, at 7x7 the same, at 14x14 half as much again.
_TAPS_AREA = 16  # positions of the output
_TAPS_CHANNELS = 64  # on the thinner side; fewer make thin products


def convolve(
    input: Tensor, weight: Tensor, bias: Tensor | None, *, stride: int = 1, padding: tuple[int, int]
) -> Tensor:
    """``F.conv2d`` of (N, C, H, W) and (O, C, k, k), zero-padded by ``padding`` (rows, columns) on both sides.

    Inside CPU autocast to bfloat16 the products are bfloat16 with float32 sums, and the weight's gradient stays
    float32 after its product. Off the CPU it is ``F.conv2d``. The gradients have derivatives of their own.
    """
    if input.device.type != "cpu" or not torch.is_grad_enabled():
        return F.conv2d(input, weight, bias, stride, padding)
    return _Convolution.apply(input, weight, bias, stride, padding)  # type: ignore[no-any-return, no-untyped-call]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.stride, ctx.padding, ctx.biased = stride, padding, bias is not None
        ctx.dtype = product_dtype(input)
        with torch.autocast("cpu", enabled=False):
            bias = None if bias is None else bias.to(ctx.dtype)
            return F.conv2d(input.to(ctx.dtype), weight.to(ctx.dtype), bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        with torch.autocast("cpu", enabled=False):
            grad, x, w = grads[0].to(ctx.dtype), input.to(ctx.dtype), weight.to(ctx.dtype)
            found = _by_products(grad, x, w, ctx.stride, ctx.padding, wanted)
            rest = [want and have is None for want, have in zip(wanted, found, strict=True)]
            if any(rest):
                plain = torch.ops.aten.convolution_backward(
                    grad, x, w, [len(w)], [ctx.stride] * 2, list(ctx.padding), [1, 1], False, [0, 0], 1, rest
                )
                found = [a if a is not None else b for a, b in zip(found, plain, strict=True)]
        dx, dw, db = found
        return _to(dx, input.dtype), _to(dw, weight.dtype), _to(db, weight.dtype), None, None


def product_dtype(input: Tensor) -> torch.dtype:
    """What autocast would convolve in: its own type for all but float64."""
    if torch.is_autocast_enabled("cpu") and input.dtype != torch.float64:
        return torch.get_autocast_dtype("cpu")
    return input.dtype


def _to(tensor: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if tensor is None else tensor.to(dtype)


def _by_products(
    grad: Tensor, x: Tensor, w: Tensor, stride: int, padding: tuple[int, int], wanted: list[bool]
) -> list[Tensor | None]:
    """The gradients of input, weight and bias that products give faster; None for the others."""
    out_channels, in_channels, kernel, _ = w.shape
    found: list[Tensor | None] = [None, None, None]
    if out_channels == 1 and stride == 1 and in_channels > 1 and kernel - 1 - max(padding) >= 0:
        found[:2] = _to_one_channel(grad, x, w, padding, wanted)
    elif wanted[1] and min(in_channels, out_channels) >= _TAPS_CHANNELS and grad[0, 0].numel() <= _TAPS_AREA:
        found[1] = weight_by_taps(grad, x, kernel, stride, padding)
    if found[1] is not None and wanted[2]:
        rows = grad.permute(0, 2, 3, 1).reshape(-1, out_channels)
        found[2] = (rows.new_ones(1, len(rows)) @ rows)[0]  # a sum over rows, at a product's speed
    return found


def weight_by_taps(grad: Tensor, x: Tensor, kernel: int, stride: int, padding: tuple[int, int]) -> Tensor:
    """The weight's gradient (O, C, k, k) in float32 or wider: for each tap one product over where it meets the map.

    Nothing is spent on padding: at 4x4, k 5, that is 196 products a channel pair in the place of 400.

    Args:
        grad: of the output, (N, O, H', W').
        x: the input, (N, C, H, W).
        kernel: k.
        stride: of the convolution.
        padding: zeros before (and after) the rows and columns.
    """
    maps, grads = x.permute(0, 2, 3, 1), grad.permute(0, 2, 3, 1)
    channels, out_channels = x.shape[1], grad.shape[1]
    result = torch.zeros(kernel, kernel, channels, out_channels, dtype=torch.promote_types(x.dtype, torch.float32))
    rows = [_meeting(x.shape[2], grad.shape[2], tap - padding[0], stride) for tap in range(kernel)]
    columns = [_meeting(x.shape[3], grad.shape[3], tap - padding[1], stride) for tap in range(kernel)]
    for a, (rows_in, rows_out) in enumerate(rows):
        for b, (columns_in, columns_out) in enumerate(columns):
            read = maps[:, rows_in, columns_in].reshape(-1, channels)
            result[a, b] = read.t() @ grads[:, rows_out, columns_out].reshape(-1, out_channels)
    return result.permute(3, 2, 0, 1)


def _meeting(size: int, out_size: int, offset: int, stride: int) -> tuple[slice, slice]:
    """Input and output positions along one side with input = output · stride + offset, both on their maps."""
    first = max(0, -(offset // stride))
    last = min(out_size - 1, (size - 1 - offset) // stride)
    if last < first:
        return slice(0, 0), slice(0, 0)
    return slice(first * stride + offset, last * stride + offset + 1, stride), slice(first, last + 1)


def _to_one_channel(
    grad: Tensor, x: Tensor, w: Tensor, padding: tuple[int, int], wanted: list[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Input and weight gradients of a stride 1 convolution to one channel: both from the patches of ``grad``."""
    n, channels, height, width = x.shape
    kernel = w.shape[-1]
    top, left = (kernel - 1 - side for side in padding)
    after = (width + padding[1] - grad.shape[3], height + padding[0] - grad.shape[2])
    padded = F.pad(grad[:, 0], (left, after[0], top, after[1]))
    a, b, c = padded.stride()
    patches = padded.as_strided((n, height, width, kernel, kernel), (a, b, c, b, c)).reshape(-1, kernel * kernel)
    dx = dw = None
    if wanted[0]:
        dx = (patches @ w[0].flip(1, 2).reshape(channels, -1).t()).view(n, height, width, channels).permute(0, 3, 1, 2)
    if wanted[1]:
        rows = x.permute(0, 2, 3, 1).reshape(-1, channels)
        dw = (rows.t() @ patches).view(1, channels, kernel, kernel).flip(2, 3)
    return dx, dw


def dropped(input: Tensor, rate: float) -> Tensor:
    """``F.dropout`` with cheaper random bits: 32 of them an element, so the rate is exact to 2^-32. Any shape."""
    each, many = input[0].numel(), input.numel()
    bits = rows.draw(len(input), lambda count, random: _bits(count * each, random).view(count, each)).reshape(-1)
    kept = torch.empty_like(input, dtype=torch.bool)  # dense, in the input's order
    torch.lt(bits, round((1 - rate) * 2**32) - 2**31, out=kept.as_strided((many,), (1,)))
    return (input * kept).mul_(1 / (1 - rate))


def _bits(count: int, generator: torch.Generator | None) -> Tensor:
    """32 random bits each, (count,) int32."""
    drawn = torch.empty((count + 1) // 2, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return drawn.view(torch.int32)[:count]
