"""The fast transposed convolution on a CPU: a matrix product gives every pixel's patch, and the patches are added up.

Values and gradients are those of ``F.conv_transpose2d``, which is the definition. docs/performance.md has measurements.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gansmith.nn.patch import product_dtype


def convolve_transposed(
    input: Tensor, weight: Tensor, bias: Tensor | None, *, stride: int, before: int, out_size: int
) -> Tensor:
    """Transposed convolution of (N, C, H, W) by (C, O, k, k), cut to rows and columns before .. before + out_size.

    Inside CPU autocast to bfloat16 the products are bfloat16, and patches are added up in float32. The gradients have
    derivatives of their own.

    Args:
        input: (N, C, H, W) on a CPU.
        weight: (C, O, k, k).
        bias: (O,) or None.
        stride: pixels of the output between the patches of neighbours.
        before: rows and columns left out at the top and at the left.
        out_size: H' = W' of the output; zeros where no patch reaches.
    """
    return _Transposed.apply(input, weight, bias, stride, before, out_size)  # type: ignore[no-any-return, no-untyped-call]


_CHUNK = 1 << 21  # numbers in the patches of as many images as are computed at once: they stay in the cache


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: int, out_size: int
    ) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.stride, ctx.before = stride, before
        ctx.dtype = product_dtype(input)
        with torch.autocast("cpu", enabled=False):
            w = weight.to(ctx.dtype)
            parts = [
                _forward(part.to(ctx.dtype), w, bias, stride, before, out_size)
                for part in _chunks(input, weight, input)
            ]
            return parts[0] if len(parts) == 1 else torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        wants_x, wants_w, wants_b = ctx.needs_input_grad[:3]
        with torch.autocast("cpu", enabled=False):
            grad, x, w = grads[0].to(ctx.dtype), input.to(ctx.dtype), weight.to(ctx.dtype)
            dx, dw = [], []
            for part, values in zip(_chunks(grad, weight, input), _chunks(x, weight, input), strict=True):
                patches = _patches(part, w.shape[2], ctx.stride, ctx.before, (x.shape[2], x.shape[3]))
                if wants_x:
                    back = patches @ _rows(w).view(len(w), -1).t()
                    dx.append(back.view(len(part), *x.shape[2:], len(w)).permute(0, 3, 1, 2))
                if wants_w:
                    dw.append((_rows(values).t() @ patches).to(weight.dtype))
            db = grad.to(weight.dtype).sum((0, 2, 3)) if wants_b else None
        taps = (len(w), w.shape[2], w.shape[3], w.shape[1])
        return (
            (dx[0] if len(dx) == 1 else torch.cat(dx)).to(input.dtype) if wants_x else None,
            sum(dw[1:], dw[0]).view(taps).permute(0, 3, 1, 2) if wants_w else None,
            db,
            None,
            None,
            None,
        )


def _chunks(maps: Tensor, weight: Tensor, input: Tensor) -> tuple[Tensor, ...]:
    """``maps`` (N, ...) in runs of images whose patches together have at most _CHUNK numbers."""
    return torch.split(maps, max(1, _CHUNK // (weight[0].numel() * input[0, 0].numel())))


def _forward(x: Tensor, w: Tensor, bias: Tensor | None, stride: int, before: int, out_size: int) -> Tensor:
    n, _, height, width = x.shape
    channels, kernel = w.shape[1:3]
    patches = (_rows(x) @ _rows(w).view(len(w), -1)).view(n, height, width, kernel, kernel, channels)
    output = _added(patches, stride, before + out_size)[:, before : before + out_size, before : before + out_size]
    return (output if bias is None else output + bias).to(x.dtype).permute(0, 3, 1, 2)


def _rows(maps: Tensor) -> Tensor:
    """(N, C, H, W) -> (N·H·W, C): free where the memory is channels-last."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def _added(patches: Tensor, stride: int, size: int) -> Tensor:
    """(N, H, W, k, k, O), one patch a pixel -> their sum (N, S, S, O) in float32 or wider, S at least ``size``.

    Taps that differ by less than the stride never meet, so they are added in one go: for k 5 and stride 2, 9 additions.
    """
    n, height, width, kernel, _, channels = patches.shape
    steps = -(-kernel // stride)
    rows, columns = (max(side - 1 + steps, -(-size // stride)) for side in (height, width))
    patches = patches.to(torch.promote_types(patches.dtype, torch.float32))
    total = patches.new_zeros(n, rows, stride, columns, stride, channels)
    split = patches.permute(0, 1, 3, 2, 4, 5)  # (n, y, tap y, x, tap x, channel)
    for a in range(steps):
        down = split[:, :, a * stride : (a + 1) * stride]
        for b in range(steps):
            part = down[:, :, :, :, b * stride : (b + 1) * stride]
            total[:, a : a + height, : part.shape[2], b : b + width, : part.shape[4]] += part
    return total.view(n, rows * stride, columns * stride, channels)


def _patches(grad: Tensor, kernel: int, stride: int, before: int, shape: tuple[int, int]) -> Tensor:
    """(N, O, H', W') -> (N·H·W, k·k·O): what each pixel's patch reads of the output's gradient."""
    after = [(side - 1) * stride + kernel - before - size for side, size in zip(shape, grad.shape[2:], strict=True)]
    maps = F.pad(grad.permute(0, 2, 3, 1), (0, 0, before, after[1], before, after[0])).contiguous()
    a, b, c, d = maps.stride()
    patches = maps.as_strided((len(grad), *shape, kernel, kernel, grad.shape[1]), (a, b * stride, c * stride, b, c, d))
    return patches.reshape(len(grad) * shape[0] * shape[1], -1)
