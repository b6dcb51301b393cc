"""Batch norm over a batch that several processes share: the statistics are those of all its rows.

PyTorch's SyncBatchNorm is for CUDA alone, and its gradient has no derivative; here sums are added up over the
processes by an operation that can be differentiated again.
"""

import torch
from torch import Tensor, nn

from gansmith.nn import rows


def has_batch_norm(network: nn.Module) -> bool:
    """Whether a network has a layer in which images of a batch meet."""
    return any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules())


class _Shared:
    """Batch norm that looks at the whole batch while a batch is shared, and is torch's own at any other time."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape."""
        held = rows.held()
        if held is None or not self.training:  # type: ignore[attr-defined]
            return super().forward(input)  # type: ignore[misc,no-any-return]
        return _normalised(self, input, held)  # type: ignore[arg-type]


class _Shared1d(_Shared, nn.BatchNorm1d):
    pass


class _Shared2d(_Shared, nn.BatchNorm2d):
    pass


SHARED: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm1d: _Shared1d, nn.BatchNorm2d: _Shared2d}


def share_batch_norm(network: nn.Module) -> None:
    """Lets every batch norm of a network, in place, see whole batches that several processes share."""
    for module in network.modules():
        if type(module) in SHARED:
            module.__class__ = SHARED[type(module)]


def _normalised(norm: nn.BatchNorm2d, input: Tensor, held: rows.Rows) -> Tensor:
    """As ``F.batch_norm`` in training, with the mean and variance of the rows of all processes."""
    over = [0, *range(2, input.dim())]
    shape = [1, -1, *[1] * (input.dim() - 2)]
    wide = input if input.dtype == torch.float64 else input.float()
    count = held.whole(len(input)) * input[0, 0].numel()
    mean = held.add(wide.sum(over)) / count
    centred = wide - mean.view(shape)
    variance = held.add(centred.square().sum(over)) / count
    if norm.track_running_stats and norm.running_mean is not None and norm.running_var is not None:
        with torch.no_grad():
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked.add_(1)
            momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
            norm.running_mean.lerp_(mean.detach().to(norm.running_mean.dtype), momentum)
            unbiased = variance.detach() * (count / max(1, count - 1))
            norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), momentum)
    output = centred * torch.rsqrt(variance + norm.eps).view(shape)
    if norm.affine:
        output = output * norm.weight.view(shape) + norm.bias.view(shape)
    return output.to(input.dtype)
