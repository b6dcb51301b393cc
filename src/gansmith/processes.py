"""Processes: further ones, which never run the script that started them once more; one in a place; a gentle end."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from types import ModuleType

from gansmith.errors import UserError

if sys.platform != "win32":
    import fcntl


@contextmanager
def alone(path: Path, refusal: str) -> Iterator[None]:
    """Holds a lock on a file or folder, which goes with the process, however it ends.

    Raises UserError with ``refusal`` where another process holds it.
    """
    if sys.platform == "win32":
        yield
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(refusal) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


@contextmanager
def gentle_end() -> Iterator[None]:
    """SIGTERM ends as Ctrl-C does, as a KeyboardInterrupt; not in a thread other than the main one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def end_with_parent() -> None:
    """In a worker: ends it as soon as the process that started it is gone, killed or not, or it would wait for ever."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Process(SpawnProcess):
    def start(self) -> None:
        """Starts it with no script to import: the child would run all of one that has no ``__main__`` guard."""
        script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            super().start()
        finally:
            sys.modules["__main__"] = script


class Fresh(SpawnContext):
    """multiprocessing's "spawn" for functions of modules: what the script itself defines does not exist there."""

    Process = _Process
