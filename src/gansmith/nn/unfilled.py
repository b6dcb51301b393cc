"""Networks as shapes alone: built without memory for their weights, and without drawing any."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

Built = TypeVar("Built", bound=nn.Module)


class _NothingDrawn(TorchFunctionMode):
    """Initial values of tensors without memory are not computed.

    Torch computes them by a decomposition, for which it imports sympy: 2 seconds that every first sample waited for.
    """

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.Tensor.uniform_, torch.Tensor.normal_) or getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def without_memory() -> Iterator[None]:
    """Modules made inside the block have weights of the right shapes and types, on torch's meta device.

    :func:`with_memory` makes them usable. Nothing is drawn from torch's random stream.
    """
    with torch.device("meta"), _NothingDrawn():
        yield


def with_memory(network: Built) -> Built:
    """The same module with memory on the CPU for its weights, whose values are whatever lay there.

    One that has memory stays as it is. Stands for ``network.to_empty(device="cpu")``, for which torch imports sympy.
    """
    if not any(each.is_meta for each in network.state_dict().values()):
        return network
    empty = {name: torch.empty(each.shape, dtype=each.dtype) for name, each in network.state_dict().items()}
    network.load_state_dict(empty, assign=True)
    return network
