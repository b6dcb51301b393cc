"""What guards a training: one process at a time for a run, and a clean end on Ctrl-C and SIGTERM."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gansmith import processes
from gansmith.runs import Run


@contextmanager
def alone(run: Run) -> Iterator[None]:
    """Refuses to train a run that another process trains. The lock goes with the process, however it ends."""
    lock = run.path / ".lock"
    lock.touch()
    with processes.alone(lock, f"{run.path} is being trained by another process; stop it first"):
        yield


class Asked(threading.Event):
    """Whether to stop, and the signal that asked for it."""

    number = 0


@contextmanager
def interruption() -> Iterator[Asked]:
    """An event that Ctrl-C and SIGTERM set; a second one ends the program as usual."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.number = number
        asked.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
