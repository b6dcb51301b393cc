"""The rows of a batch that this process holds, where several share it: random numbers go with the row.

Pack i of a batch, which is row i but for recipes with larger packs, is held by process i modulo their number. Each
process draws the random numbers of the whole batch and keeps those of its rows, so that row i gets the same numbers
however many processes there are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Draw = Callable[[int, torch.Generator | None], Tensor]


@dataclass(frozen=True)
class Rows:
    """Every ``processes``-th pack of a batch, from pack ``first`` on."""

    first: int
    processes: int
    total: int
    """Rows of the whole batch."""
    generator: torch.Generator
    """Of the numbers that all processes draw alike."""
    add: Callable[[Tensor], Tensor]
    """A tensor -> its sum over all processes, differentiable any number of times."""
    pack: int = 1
    """Rows of a pack, which are judged together and stay in one process."""

    @property
    def count(self) -> int:
        """Rows that this process holds."""
        return self.pack * len(range(self.first, self.total // self.pack, self.processes))

    @property
    def part(self) -> float:
        """The share of the batch that they are: a mean over all rows is the sum over processes of part times mean."""
        return self.count / self.total

    def own(self, values: Tensor) -> Tensor:
        """(k total, ...) -> (k count, ...): of k batches one after another, the rows held here."""
        packs = values.reshape(-1, self.total // self.pack, self.pack, *values.shape[1:])
        return packs[:, self.first :: self.processes].flatten(0, 2)

    def whole(self, count: int) -> int:
        """How many rows all processes have together where this one has ``count``, of one batch or of several."""
        return count // self.count * self.total

    def beginning(self, total: int) -> "Rows":
        """The same process's part of the first ``total`` rows."""
        return replace(self, total=total)


_held: list[Rows | None] = [None]


@contextmanager
def holding(rows: Rows | None) -> Iterator[None]:
    """Inside, batches are shared as ``rows`` says; None for a process that has whole batches."""
    _held.append(rows)
    try:
        yield
    finally:
        _held.pop()


def held() -> Rows | None:
    """How batches are shared now; None where this process has whole ones."""
    return _held[-1]


def draw(count: int, make: Draw) -> Tensor:
    """Random numbers (count, ...) for the rows held here.

    Args:
        count: rows of the batch here, or a multiple of them for several batches in one tensor.
        make: (rows, generator) -> that many rows of random numbers; None is torch's global generator.
    """
    rows = held()
    if rows is None:
        return make(count, None)
    return rows.own(make(rows.whole(count), rows.generator))


def empty(like: Tensor, count: int) -> Tensor:
    """A tensor of so many rows without values, in shape, type and order in memory as ``torch.empty_like`` makes it."""
    if count == len(like):
        return torch.empty_like(like)
    last = like.dim() == 4 and like.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if last else torch.contiguous_format
    return torch.empty((count, *like.shape[1:]), dtype=like.dtype, device=like.device, memory_format=order)


def part(value: Tensor) -> Tensor:
    """A mean over the rows held here, weighted so that all processes' add up to the mean over the whole batch."""
    rows = held()
    return value if rows is None else value * rows.part


def own(values: Tensor) -> Tensor:
    """The rows held here of values (N, ...) of a whole batch."""
    rows = held()
    return values if rows is None else rows.own(values)
