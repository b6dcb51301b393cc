"""A process that computes for the pages, one call after another, so that the server itself never waits.

It is started by the first call, lives as long as the server, and is replaced when it dies. Functions and arguments
travel by pickle between these two processes of one program; nothing of that kind is read from a disk or a browser.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from gansmith.errors import UserError
from gansmith.processes import Fresh
from gansmith.recipes import own

P = ParamSpec("P")
T = TypeVar("T")

WAITING = 16
"""Calls that may wait for a worker; further ones are refused, so that no queue grows behind a hand."""


class BusyError(Exception):
    """Too many calls wait already."""


class DiedError(Exception):
    """The process ended while it computed; the next call starts another."""


class Worker:
    """One process, started when it is first needed."""

    def __init__(self, name: str, *, most: int = WAITING, recipes: Path | None = None) -> None:
        self.name, self.most, self._recipes = name, most, recipes
        self._pool: ProcessPoolExecutor | None = None
        self._waiting = 0

    @property
    def warm(self) -> bool:
        """Whether its process was started."""
        return self._pool is not None

    async def call(self, function: Callable[P, T], /, *args: P.args, **keywords: P.kwargs) -> T:
        """What a function of a module returns, computed there.

        Raises what it raises; BusyError where too many wait; DiedError where the process was killed.
        """
        if self._waiting >= self.most:
            raise BusyError
        self._waiting += 1
        pool, future = self._submitted(partial(function, *args, **keywords))
        try:
            return await asyncio.wrap_future(future)
        except BrokenProcessPool:
            self._forget(pool)
            raise DiedError from None
        finally:
            self._waiting -= 1

    def _submitted(self, work: Callable[[], T]) -> "tuple[ProcessPoolExecutor, Future[T]]":
        """Work in the queue of a process that lives: one that died since the last call is replaced here."""
        if self._pool is not None:
            try:
                return self._pool, self._pool.submit(work)
            except BrokenProcessPool:
                self._forget(self._pool)
        self._pool = ProcessPoolExecutor(1, Fresh(), initializer=_begin, initargs=(os.getpid(), self._recipes))
        return self._pool, self._pool.submit(work)

    def _forget(self, pool: ProcessPoolExecutor) -> None:
        """Takes leave of a pool whose process died."""
        if self._pool is pool:
            self._pool = None

    def close(self) -> None:
        """Ends the process, whatever it does."""
        pool, self._pool = self._pool, None
        if pool is not None:
            processes = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            pool.shutdown(wait=True)


def warm() -> int:
    """Loads what takes a second to load; the number of the process."""
    import gansmith.experiment.prepare  # noqa: F401

    return os.getpid()


def _begin(parent: int, recipes: Path | None) -> None:
    """Leaves Ctrl-C to the server, ends when that is gone, however it went, and knows recipes of the user's own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    if recipes is not None:
        with suppress(UserError):  # of a file that was changed since; what needs it says so
            own.load(recipes)
