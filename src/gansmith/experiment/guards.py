"""What guards a training: one at a time for a run and for a process, a clean end on Ctrl-C, torch left as it was."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from gansmith.errors import UserError
from gansmith.hardware import Choice
from gansmith.runs import Run

if sys.platform != "win32":
    import fcntl

_TRAINING = threading.Lock()


@contextmanager
def torch_settings(choice: Choice) -> Iterator[None]:
    """Threads, determinism and the global random stream as a training needs them; afterwards all is as it was.

    Raises UserError while another thread of this process trains: steps draw from torch's global stream.
    """
    if not _TRAINING.acquire(blocking=False):
        raise UserError("another training runs in this process; wait for it, or train in a process of its own")
    threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
    try:
        torch.set_num_threads(choice.threads)
        torch.backends.cudnn.deterministic = True
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.deterministic = deterministic
        _TRAINING.release()


@contextmanager
def alone(run: Run) -> Iterator[None]:
    """Refuses to train a run that another process trains. The lock goes with the process, however it ends."""
    if sys.platform == "win32":
        yield
        return
    with (run.path / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"{run.path} is being trained by another process; stop it first") from None
        yield


@contextmanager
def interruption() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second one ends the program as usual."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
