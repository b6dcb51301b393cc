"""A generator's network as a short list of operations with their weights, which the page's engine carries out.

Maps are (H, W, C), channels last. Weights come as the matrices of products: rows are what is summed over, columns the
outputs.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gansmith import nn as layers
from gansmith.errors import UserError
from gansmith.nn.layers import fold, same_padding

Operation = dict[str, Any]


@dataclass
class Program:
    """Operations in order; where one has weights, ``w``, ``b`` ... are numbers of tensors."""

    operations: list[Operation] = field(default_factory=list)
    tensors: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, op: str, tensors: dict[str, Tensor | None] | None = None, **numbers: object) -> None:
        """Appends an operation."""
        operation: Operation = {"op": op, **numbers}
        for name, tensor in (tensors or {}).items():
            if tensor is not None:
                operation[name] = len(self.tensors)
                self.tensors.append(np.ascontiguousarray(tensor.detach().float().numpy()))
        self.operations.append(operation)


def program(network: nn.Module) -> Program:
    """The operations of a generator network in inference mode, on the CPU.

    Raises UserError for a layer that the engine does not know.
    """
    made = Program()
    body = network
    if isinstance(network, layers.ConditionalGenerator):
        made.add("condition", {"table": network.vectors(torch.arange(network.classes))})
        body = network.body
    for layer in _flat(body):
        if layer in ("save", "add"):
            made.add(str(layer))
        else:
            _known(layer)(made, layer)
    return made


def _flat(module: nn.Module) -> Iterator[Any]:
    """The layers in order; "save" and "add" stand round those of a residual block."""
    if isinstance(module, layers.Residual):
        yield from ("save", *_flat(module.layers), "add")
    elif isinstance(module, nn.Sequential):
        for each in module:
            yield from _flat(each)
    elif not isinstance(module, nn.Dropout | nn.Identity):
        yield module


def _known(layer: nn.Module) -> Callable[[Program, Any], None]:
    for kinds, write in WRITERS:
        if isinstance(layer, kinds):
            return write
    raise UserError(
        f"`to` web: the page does not know the layer {type(layer).__name__}; export it to onnx, which takes any layer"
    )


def _linear(made: Program, layer: nn.Linear) -> None:
    made.add("dense", {"w": layer.weight.t(), "b": layer.bias})


def _convolution(made: Program, layer: nn.Conv2d) -> None:
    kernel, same = layer.kernel_size[0], isinstance(layer, layers.SameConv2d)
    padding = layer.padding if isinstance(layer.padding, tuple) else (-1,)
    pad = same_padding(kernel, kernel, 1)[0] if same else int(padding[0])
    if layer.stride != (1, 1) or layer.dilation != (1, 1) or layer.kernel_size != (kernel, kernel) or pad < 0:
        raise UserError("`to` web: the page knows square convolutions of stride 1 alone; export it to onnx")
    if not same and 2 * pad != kernel - 1:
        raise UserError("`to` web: the page knows convolutions that keep a map's size alone; export it to onnx")
    _convolve(made, layer.weight, layer.bias, pad, layer.groups)


def _convolve(made: Program, weight: Tensor, bias: Tensor | None, pad: int, groups: int = 1) -> None:
    """``weight`` (O, I, k, k): a matrix (groups, k·k·I, O / groups)."""
    kernel, outputs = weight.shape[-1], len(weight) // groups
    matrix = weight.view(groups, outputs, *weight.shape[1:]).permute(0, 3, 4, 2, 1).reshape(groups, -1, outputs)
    made.add("conv", {"w": matrix, "b": bias}, k=kernel, pad=pad, groups=groups)


def _transposed(made: Program, layer: layers.SameConvTranspose2d) -> None:
    weight, kernel = layer.weight, layer.kernel_size[0]
    matrix = weight.permute(0, 2, 3, 1).reshape(len(weight), -1)  # (C, k·k·O): a patch for each place
    made.add(
        "deconv", {"w": matrix, "b": layer.bias},
        k=kernel, stride=layer.stride[0], before=layer.before, size=layer.out_size,
    )  # fmt: skip


def _upsampled(made: Program, layer: layers.UpsampleConv2d) -> None:
    """On the small map, with a group of channels for each phase of a pixel."""
    weight = layer.weight.transpose(0, 1).flip(2, 3) if layer.transposed else layer.weight
    folded = fold(weight)
    _convolve(made, folded, layer.bias.repeat(4), folded.shape[-1] // 2)
    made.add("d2s")


def _norm(made: Program, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    if layer.running_mean is None or layer.running_var is None:
        raise UserError("`to` web: the page knows batch norm with averages alone; export it to onnx")
    scale = (layer.running_var + layer.eps).rsqrt()
    scale = scale if layer.weight is None else scale * layer.weight
    shift = -layer.running_mean * scale
    made.add("affine", {"scale": scale, "shift": shift if layer.bias is None else shift + layer.bias})


WRITERS: tuple[tuple[Any, Callable[[Program, Any], None]], ...] = (
    (nn.Linear, _linear),
    (layers.SameConvTranspose2d, _transposed),
    (nn.Conv2d, _convolution),
    (layers.UpsampleConv2d, _upsampled),
    (nn.BatchNorm1d | nn.BatchNorm2d, _norm),
    (nn.LeakyReLU, lambda made, layer: made.add("leaky", slope=layer.negative_slope)),
    (nn.ReLU, lambda made, _: made.add("leaky", slope=0.0)),
    (nn.Tanh, lambda made, _: made.add("tanh")),
    (nn.Sigmoid, lambda made, _: made.add("sigmoid")),
    (layers.Reshape, lambda made, layer: made.add("reshape", shape=list(layer.shape))),
    (nn.Unflatten, lambda made, layer: made.add("reshape", shape=list(layer.unflattened_size))),
    (layers.Crop, lambda made, layer: made.add("crop", size=layer.size)),
    (layers.DepthToSpace, lambda made, _: made.add("d2s")),
    (layers.Doubled, lambda made, _: made.add("double")),
    (layers.Basis, lambda made, layer: made.add("basis", {"w": layer.weight.permute(1, 2, 0)})),
)
"""What is written for each kind of layer; the first that fits."""


def packed(made: Program, *, half: bool) -> bytes:
    """All tensors one after the other, little-endian float16 or float32."""
    return b"".join(tensor.astype("<f2" if half else "<f4").tobytes() for tensor in made.tensors)


def table(made: Program) -> list[list[int]]:
    """The shape of each tensor."""
    return [list(tensor.shape) for tensor in made.tensors]


def count(made: Program) -> int:
    """Numbers in all tensors."""
    return sum(math.prod(tensor.shape) for tensor in made.tensors)
