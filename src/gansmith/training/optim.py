"""Optimisers with Keras' and TensorFlow's meaning of their numbers, on PyTorch's fused kernels.

Two differences matter. Keras divides Adam's bias-corrected step by ``sqrt(v) + eps`` (Kingma & Ba 2015, end of
section 2), PyTorch by ``sqrt(v / (1 - beta2^t)) + eps``: the two agree when PyTorch's eps is Keras' divided by
``sqrt(1 - beta2^t)``. And ``decay`` shrinks the rate with each update: ``lr / (1 + decay * updates)``.
"""

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from gansmith.errors import UserError
from gansmith.recipe import Optimizer
from gansmith.training import schedule

State = dict[str, torch.Tensor]


def build(parameters: Iterable[nn.Parameter], numbers: Optimizer) -> torch.optim.Optimizer:
    """A new optimiser over ``parameters``."""
    if numbers.kind == "adam":
        return _Adam(parameters, numbers.lr, (numbers.beta1, numbers.beta2), numbers.eps, fused=True)
    rmsprop: torch.optim.Optimizer = _EagerRMSprop(parameters, numbers.lr, numbers.beta2, numbers.eps, foreach=True)
    return rmsprop


def _eager(optimizer: type[torch.optim.Optimizer]) -> dict[str, Any]:
    """Its methods without their marks for torch.compile, for which the first call imports the compiler: 1.5 s."""
    methods = {name: inspect.unwrap(getattr(optimizer, name)) for name in ("add_param_group", "zero_grad", "step")}
    return methods | {"step": torch.no_grad()(methods["step"])}


_EagerRMSprop: Any = type("RMSprop", (torch.optim.RMSprop,), _eager(torch.optim.RMSprop))
_EagerAdam: Any = type("Adam", (torch.optim.Adam,), _eager(torch.optim.Adam))


def adam(parameters: Iterable[torch.Tensor], lr: float) -> torch.optim.Adam:
    """PyTorch's Adam with its own meaning of the numbers, for work beside the game, such as inversion.

    ``torch.optim.Adam`` is the same arithmetic, but making one imports the compiler.
    """
    optimizer: torch.optim.Adam = _EagerAdam(parameters, lr)
    return optimizer


class _Adam(_EagerAdam):  # type: ignore[misc]
    """Adam whose fused kernel gets channels-last weights as dense rows, which saves copies."""

    def _init_group(self, group: dict[str, Any], *lists: list[torch.Tensor]) -> bool:
        complex_ones: bool = super()._init_group(group, *lists)
        tensors = lists[:4]  # parameters, gradients and both averages
        for index, each in enumerate(zip(*tensors, strict=True)):
            if all(t.dim() == 4 and t.is_contiguous(memory_format=torch.channels_last) for t in each):
                for these, tensor in zip(tensors, each, strict=True):
                    these[index] = tensor.permute(0, 2, 3, 1)
        return complex_ones


def update(optimizer: torch.optim.Optimizer, numbers: Optimizer, *, updates: int, share: float = 0.0) -> None:
    """One update from the gradients in place.

    Args:
        optimizer: of :func:`build`.
        numbers: what it was built from.
        updates: how many it has made before this one; decides lr decay and Adam's epsilon.
        share: of the run that is over, in [0, 1]; decides where its schedules are.
    """
    (group,) = optimizer.param_groups
    if numbers.clip_value is not None:
        nn.utils.clip_grad_value_(group["params"], numbers.clip_value)
    group["lr"] = schedule.rate(numbers, updates=updates, share=share)
    if numbers.kind == "adam":
        beta2 = schedule.beta2(numbers, share=share)
        group["betas"] = (numbers.beta1, beta2)
        group["eps"] = numbers.eps / (1 - beta2 ** (updates + 1)) ** 0.5
    optimizer.step()


def state_of(optimizer: torch.optim.Optimizer) -> State:
    """An optimiser's running means and counts as named tensors: ``"3.exp_avg"`` is parameter 3's mean of gradients."""
    (group,) = optimizer.param_groups
    return {
        f"{index}.{name}": value
        for index, parameter in enumerate(group["params"])
        for name, value in optimizer.state[parameter].items()
    }


def restore(optimizer: torch.optim.Optimizer, state: State) -> None:
    """Loads what :func:`state_of` returned. Raises UserError if it belongs to other parameters."""
    (group,) = optimizer.param_groups
    parameters = group["params"]
    kinds = {"step", "exp_avg", "exp_avg_sq"} if isinstance(optimizer, torch.optim.Adam) else {"step", "square_avg"}
    for key, value in state.items():
        index, _, name = key.partition(".")
        if not index.isdigit() or int(index) >= len(parameters) or name not in kinds:
            raise UserError(f"optimiser state {key} belongs to another network")
        parameter = parameters[int(index)]
        if value.dim() and value.shape != parameter.shape:
            raise UserError(f"optimiser state {key} has shape {tuple(value.shape)}, not {tuple(parameter.shape)}")
        if value.dim():  # in the parameter's own memory format, so that the arithmetic takes the same path
            value = torch.empty_like(parameter).copy_(value)
        elif group.get("fused"):  # whose kernels read the step on the device
            value = value.to(parameter.device)
        optimizer.state[parameter][name] = value
    partial = [index for index, p in enumerate(parameters) if set(optimizer.state.get(p, kinds)) != kinds]
    if partial or (state and len(state) != len(kinds) * len(parameters)):
        raise UserError("optimiser state is incomplete")
