"""Notices that other programs hold the cores that a training's threads wait for."""

import time
from collections.abc import Callable
from typing import Protocol

from gansmith.training.events import Event, Progress

WINDOW = 8.0
"""Seconds over which the share is taken."""
LITTLE, ENOUGH = 0.6, 0.7
"""Shares below which it is told, and from which it is over. On a quiet machine two threads are busy for 0.76 to 0.96 of
the time, from `mlp` to `dcgan-upsample`."""


class Tell(Protocol):
    """Says something that a person should know now; ``over``: it no longer holds."""

    def __call__(self, name: str, line: str, *, over: bool) -> None: ...


class Cores:
    """An observer of a training on CPU threads: tells when they get little of their cores, and when that is over.

    Each layer waits for its slowest thread. Where another program has that one's core, all others idle: two threads of
    `house` on two cores made 5 steps a second beside two busy programs, in place of 29.

    Args:
        threads: that compute.
        tell: as :meth:`gansmith.live.terminal.Panel.tell`.
        clock: seconds that only grow.
        busy: seconds of the processor that this process used.
    """

    def __init__(
        self,
        threads: int,
        tell: Tell,
        *,
        clock: Callable[[], float] = time.monotonic,
        busy: Callable[[], float] = time.process_time,
    ) -> None:
        self._threads, self._tell, self._clock, self._busy = threads, tell, clock, busy
        self._since: tuple[float, float] | None = None
        self._told = False

    def __call__(self, event: Event) -> None:
        """Receives an event of the training loop."""
        if self._threads == 1 or not isinstance(event, Progress):
            return
        now = self._clock()
        if self._since is None:
            self._since = now, self._busy()
        then, before = self._since
        if now - then < WINDOW:
            return
        self._since = now, self._busy()
        share = (self._since[1] - before) / (self._threads * (now - then))
        little = share < (ENOUGH if self._told else LITTLE)
        if little == self._told:
            return
        self._told = little
        line = f"the {self._threads} threads get {share:.0%} of their cores"
        if little:
            line += ": other programs hold some, and the threads wait for each other; beside them --threads 1 is faster"
        self._tell("cores", line if little else f"{line} again", over=not little)
