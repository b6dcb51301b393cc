"""Work on many rows shared by processes that all do the same: each does its share, and all get the whole.

Every process runs the same program on the same input, so that only where work is heavy do they part, and what they have
afterwards is what one process alone has, to the last bit: rows are cut where one process cuts them too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Share:
    """One of several processes that work together."""

    rank: int
    processes: int
    exchange: Callable[[bytes], list[bytes]]
    """What every process says, by rank."""

    def starts(self, count: int, chunk: int) -> range:
        """Where the chunks of ``count`` rows begin that are this process's."""
        return _starts(count, chunk, self.rank, self.processes)


_held: list[Share | None] = [None]


@contextmanager
def sharing(share: Share | None) -> Iterator[None]:
    """Inside, heavy work is shared; None for a process that does all of it."""
    _held.append(share)
    try:
        yield
    finally:
        _held.pop()


def held() -> Share | None:
    """How work is shared now; None where this process does all of it."""
    return _held[-1]


def starts(count: int, chunk: int) -> range:
    """Where the chunks begin that are to be done here: all, or a part that lies together."""
    share = held()
    return range(0, count, chunk) if share is None else share.starts(count, chunk)


def complete(arrays: Sequence[NDArray[Any]], chunk: int) -> None:
    """Fills in arrays (N, ...), of which the rows of :func:`starts` are done here, what other processes did."""
    share = held()
    if share is None or not len(arrays[0]):
        return
    for array in arrays:
        count = len(array)
        mine = _rows(count, chunk, share.rank, share.processes)
        every = share.exchange(np.ascontiguousarray(array[mine]).tobytes())
        for rank, said in enumerate(every):
            rows = _rows(count, chunk, rank, share.processes)
            array[rows] = np.frombuffer(said, array.dtype).reshape(array[rows].shape)


def _starts(count: int, chunk: int, rank: int, processes: int) -> range:
    chunks = -(-count // chunk)
    first, end = chunks * rank // processes, chunks * (rank + 1) // processes
    return range(first * chunk, min(end * chunk, count), chunk)


def _rows(count: int, chunk: int, rank: int, processes: int) -> slice:
    own = _starts(count, chunk, rank, processes)
    return slice(own.start, min(own.stop, count) if len(own) else own.start)
