"""The small values that the data room's files share: splits, fits, problems with files, and progress."""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import UserError, whole_number
from gansmith.text import printable

Split = Literal["train", "test"]
Fit = Literal["crop", "pad"]
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]

MIN_SIDE: Final = 8
"""Shortest side, in pixels, of an image that can be learned from; also the smallest `size`."""
MAX_SIDE: Final = 1024
"""Largest `size`."""
MAX_IMAGE_PIXELS: Final = 64_000_000
"""Width times height beyond which an image is not decoded: a guard against decompression bombs."""
MINIMUM_IMAGES: Final = 8
"""Training is refused when fewer images than this are usable."""

Kind = Literal["unreadable", "truncated", "not an image", "duplicate", "tiny", "wrong mode", "too large", "misplaced"]


@dataclass(frozen=True)
class Problem:
    """A file that was skipped: its name inside the data set, the kind of trouble, and what exactly is wrong."""

    file: str
    kind: Kind
    what: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", printable(self.file))

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def class_of(name: str | int, classes: Sequence[str]) -> int:
    """The label of a class that is given by name, or by position where no class is named by a number.

    A number and its text mean the same. An exact name wins; else case, outer spaces and the Unicode form do not count,
    nor do leading zeros. Raises UserError in one line when no class, or more than one, is meant.
    """
    if str(name) in classes:
        return list(classes).index(str(name))
    typed, known = _typed(str(name)), [_typed(each) for each in classes]
    number, numbers = _number(typed), [_number(each) for each in known]
    same = [label for label, each in enumerate(known) if each == typed]
    if number is not None and not same:
        named = any(each is not None for each in numbers)
        same = [label for label, each in enumerate(numbers if named else range(len(classes))) if each == number]
    if len(same) == 1:
        return same[0]
    near = difflib.get_close_matches(typed, known, n=2, cutoff=0.5)
    listed = ", ".join(classes[:12]) + (f", ... ({len(classes)} in all)" if len(classes) > 12 else "")
    meant = " or ".join(classes[label] for label in same or map(known.index, near))
    hint = f"did you mean {meant}?" if meant else f"there are {listed}"
    raise UserError(f"no class is called {str(name).strip()!r}; {hint}")


def _typed(name: str) -> str:
    """A name as it is compared: however it was typed."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _number(text: str) -> int | None:
    """The whole number that a text is, if it is one."""
    return int(text) if re.fullmatch("-?[0-9]{1,18}", text) else None


def check_request(split: str, size: Any, fit: str, seed: Any) -> tuple[int | None, int]:
    """The size and the seed as ints. Raises UserError unless the four arguments that every loader takes make sense."""
    if split not in ("train", "test"):
        raise UserError(f"split {split!r}: use 'train' or 'test'")
    if fit not in ("crop", "pad"):
        raise UserError(f"fit {fit!r}: use 'crop' or 'pad'")
    size = None if size is None else whole_number("size", size)
    if size is not None and not MIN_SIDE <= size <= MAX_SIDE:
        raise UserError(f"size {size!r}: use a whole number of pixels from {MIN_SIDE} to {MAX_SIDE}")
    seed = whole_number("seed", seed)
    if not 0 <= seed < 2**63:
        raise UserError(f"seed {seed!r}: use a whole number from 0 to 2**63 - 1")
    return size, seed
