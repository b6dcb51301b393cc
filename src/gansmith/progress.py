"""Progress: how long work says how far it is, without knowing who listens."""

import time
from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as progress(what, done, total), at most ten times a second and only by work that takes over two seconds."""


class Ticker:
    """Passes counts on to a Progress callback: nothing in the first two seconds, then every tenth of a second."""

    def __init__(self, progress: Progress | None, what: str, total: int) -> None:
        self._progress, self._what, self._total = progress, what, total
        self._next = time.monotonic() + 2.0
        self._shown = False

    def __call__(self, done: int) -> None:
        """Say that `done` of the total are done."""
        if self._progress is None:
            return
        now = time.monotonic()
        if now >= self._next or (self._shown and done >= self._total):
            self._next, self._shown = now + 0.1, True
            self._progress(self._what, done, self._total)
