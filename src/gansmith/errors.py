"""Errors as types: what the caller can mend, and training that diverged; any other exception is a bug.

Also what several rooms ask: whether memory ran out; for a whole number, whoever made it; for a place in a sequence.
"""

import errno
import operator
import re
from typing import SupportsIndex, cast

MAX_START = 2**62


class UserError(ValueError):
    """Something that whoever called can mend: one line that says what, where, and what to do.

    The line names a parameter in backticks, as in "`steps` 0: give 1 or more"; the command line, which catches this and
    no other ValueError, writes the flag in its place: "--steps 0: give 1 or more".
    """


class DivergenceError(UserError):
    """Training produced a value that is not finite."""


class PeerError(UserError):
    """One of several processes that train together is gone, or gave up.

    ``aloud`` is true in the one process that is to say it.
    """

    def __init__(self, message: str, *, aloud: bool = True) -> None:
        super().__init__(message)
        self.aloud = aloud


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says so: Python's, the system's, or PyTorch's on the CPU or a GPU."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    said = isinstance(error, RuntimeError) and re.search("out of memory|can't allocate memory", str(error))
    return isinstance(error, MemoryError) or bool(said)


def whole_number(name: str, value: object) -> int:
    """The int that a whole number of Python, NumPy or torch stands for. Raises UserError for all else, True too."""
    if not isinstance(value, bool) and "bool" not in str(getattr(value, "dtype", "")):
        try:
            return operator.index(cast(SupportsIndex, value))
        except (TypeError, ValueError, RuntimeError):
            pass
    raise UserError(f"`{name}` {' '.join(repr(value).split())[:60]}: give a whole number")


def check_place(seed: int, start: int) -> tuple[int, int]:
    """A seed and an image's index as ints. Raises UserError for what is no whole number, or outside 0 .. 2^62."""
    seed, start = whole_number("seed", seed), whole_number("start", start)
    if seed < 0 or start < 0:
        raise UserError(f"seed {seed}, start {start}: neither may be negative")
    if start > MAX_START:
        raise UserError(f"`start` {start}: give a number up to 2**62")
    return seed, start
