"""Blocks made by the processes that torchrun started: one each in a round, sieved in order by the first process."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gansmith.training.parallel import Group

Block = TypeVar("Block")


@contextmanager
def asked(group: Group, make: Callable[[int], Block], start: int, size: int) -> Iterator[Iterator[Block]]:
    """In process 0: blocks of ``size`` images from image ``start`` on, in order, made by all processes."""

    def blocks() -> Iterator[Block]:
        first = start
        while True:
            yield from _round(group, make, first, size)
            first += group.processes * size

    try:
        yield blocks()
    finally:
        group.exchange(b"")


def serve(group: Group, make: Callable[[int], Block], size: int) -> None:
    """In the others: makes blocks until process 0 wants no more."""
    while said := group.exchange(b"")[0]:
        _give(group, make, int(said), size)


def _round(group: Group, make: Callable[[int], Block], first: int, size: int) -> list[Block]:
    group.exchange(str(first).encode())
    return [pickle.loads(each) for each in _give(group, make, first, size)]  # of our own processes, not from a disk


def _give(group: Group, make: Callable[[int], Block], first: int, size: int) -> list[bytes]:
    return group.exchange(pickle.dumps(make(first + group.rank * size)))
