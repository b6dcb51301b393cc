"""Settings of torch that a whole process or thread shares: what gansmith computes under, and the caller's again after.

Whoever calls gansmith may have chosen a default dtype or device, or may stand inside `torch.no_grad()`,
`torch.inference_mode()` or `torch.autocast()`. Networks are built, trained and sampled under torch's own defaults
whatever these are.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from gansmith.errors import UserError

_training = threading.RLock()


@contextmanager
def isolated() -> Iterator[None]:
    """Torch's defaults inside the block or the decorated function, and afterwards what the caller had.

    Inside, floating-point tensors are float32 and made on the CPU, gradients are recorded, and no autocast is on.
    The number of threads, cuDNN's switches and the filters of warnings may be changed inside; they too are given back.
    """
    threads, dtype, cudnn = torch.get_num_threads(), torch.get_default_dtype(), torch.backends.cudnn
    deterministic, benchmark = cudnn.deterministic, cudnn.benchmark
    filters = list(warnings.filters)
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":  # an active default device makes every call of torch slower
            stack.enter_context(torch.device("cpu"))
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            if torch.get_default_dtype() != dtype:
                torch.set_default_dtype(dtype)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            if (cudnn.deterministic, cudnn.benchmark) != (deterministic, benchmark):
                cudnn.deterministic, cudnn.benchmark = deterministic, benchmark
            if list(warnings.filters) != filters:  # libraries that torch imports late add theirs
                warnings.filters = filters


@contextmanager
def only_training() -> Iterator[None]:
    """Keeps other threads of this process from training meanwhile: all draw from torch's one random stream.

    May be nested in one thread. Raises UserError when another thread is inside.
    """
    if not _training.acquire(blocking=False):
        raise UserError(
            "another thread of this process is training, and torch has one random stream for all threads; "
            "wait until it ends, or train in a process of its own"
        )
    try:
        yield
    finally:
        _training.release()
