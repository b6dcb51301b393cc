"""Errors as types: what the caller can mend, and training that diverged; any other exception is a bug.

Also what several rooms ask: whether memory ran out; for a whole number, whoever made it, and in which range. The ranges
stand here, so that the command line refuses a number before PyTorch is imported, in the library's words.
"""

import errno
import math
import operator
import re
from typing import NamedTuple, SupportsIndex, cast


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


class WaitingWarning(UserWarning):
    """A process waits for others of its launch; said by whoever it comes to, not by process 0 alone."""


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


class Range(NamedTuple):
    """The whole numbers that a parameter may be: from ``low`` to ``high``, of images, say."""

    low: int
    high: float = math.inf
    of: str = ""

    def check(self, name: str, value: object) -> int:
        """The value as an int. Raises UserError, which names the parameter, for any other."""
        number = whole_number(name, value)
        if not self.low <= number <= self.high:
            raise UserError(f"`{name}` {number:,}: give {self}")
        return number

    def __str__(self) -> str:
        reach = f"{self.low:,} or more" if self.high == math.inf else f"{self.low:,} to {self.high:,}"
        return f"{reach} {self.of}".rstrip()


FROM_0 = Range(0)
FROM_1 = Range(1)
START = Range(0, 2**62)
IMAGES = Range(1, 10_000_000, "images")
MINTED = Range(1, 100_000_000, "images")
SHARD = Range(1, 1_000_000, "images a file")
WORKERS = Range(1, 256, "processes")
MEASURED = Range(16, math.inf, "images")
CARDED = Range(64, 100_000, "images")
ROUNDS = Range(1, 1000, "images")
ROW = Range(1, 40, "images")
FRAMES = Range(2, 2000, "frames")
BETWEEN = Range(0, 2000, "frames")
HITS = Range(1, 1000, "hits")
DESCENT = Range(1, 100_000)
ANSWERS = Range(1, 1000, "answers")
DIRECTIONS = Range(1, 100, "directions")
NEIGHBOURS = Range(1, 50, "neighbours")
