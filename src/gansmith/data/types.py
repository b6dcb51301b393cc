"""The small values that the data room's files share: splits, fits, problems with files, and progress."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import UserError
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
    """The label that a class's name means, or its number, as text too if no name says it; UserError in one line."""
    text = str(name).strip()
    if isinstance(name, int) and 0 <= name < len(classes):
        return name
    lower = [each.lower() for each in classes]
    if text in classes:
        return list(classes).index(text)
    if lower.count(text.lower()) == 1:
        return lower.index(text.lower())
    if text.isdecimal() and int(text) < len(classes):
        return int(text)
    near = difflib.get_close_matches(text.lower(), lower, n=2, cutoff=0.5)
    known = ", ".join(classes[:12]) + (f", ... ({len(classes)} in all)" if len(classes) > 12 else "")
    hint = f"did you mean {' or '.join(classes[lower.index(each)] for each in near)}?" if near else f"there are {known}"
    raise UserError(f"no class is called {text!r}; {hint}")


def check_request(split: str, size: Any, fit: str, seed: Any) -> None:
    """Raise UserError unless the four arguments that every loader takes make sense."""
    if split not in ("train", "test"):
        raise UserError(f"split {split!r}: use 'train' or 'test'")
    if fit not in ("crop", "pad"):
        raise UserError(f"fit {fit!r}: use 'crop' or 'pad'")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not MIN_SIDE <= size <= MAX_SIDE):
        raise UserError(f"size {size!r}: use a whole number of pixels from {MIN_SIDE} to {MAX_SIDE}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise UserError(f"seed {seed!r}: use a whole number from 0 to 2**63 - 1")
