"""The small values that the data room's files share: splits, fits, problems with files, and how classes are named."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import UserError, whole_number
from gansmith.text import printable

Split = Literal["train", "test"]
Fit = Literal["crop", "pad"]


class MapStyle(Protocol):
    """Anything that has a length and gives item i: an array, a tensor, a data set of torch or Hugging Face."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


Images = str | Path | MapStyle | Iterable[Any]
"""What is taken wherever data are: the name of a data set, the path of one, or the images themselves.

Images are an array or tensor (N, H, W), (N, H, W, C) or (N, C, H, W) of uint8, or of floats in [0, 1], [-1, 1] or
[0, 255]; a pair (images, labels); a :class:`Dataset`; a map-style data set of torch or one of Hugging Face's; any
iterable of Pillow's images or arrays, alone or as (image, label); or {"train": ..., "test": ...} of any of these.
"""
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
        object.__setattr__(self, "what", printable(self.what))

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key by which "2" comes before "10"."""
    return tuple(
        (0, int(part), part) if part.isdecimal() and len(part) < 1000 else (1, 0, part)
        for part in re.split(r"(\d+)", name)
        if part
    )


def class_of(name: str | int, classes: Sequence[str]) -> int:
    """The label of the class that a name or number means; UserError in one line if there is none.

    The exact name wins, then one that differs in Unicode form, spaces or case only. A number, as int or as text, means
    the class whose name has that value; where no class name is a number (or each is its own position), the position.
    """
    text = str(name)
    if text in classes:
        return list(classes).index(text)
    for form in (_spaced, _folded):
        forms = [form(each) for each in classes]
        if forms.count(form(text)) == 1:
            return forms.index(form(text))
    number = _number(text)
    if number is not None:
        values = [_number(each) for each in classes]
        if values.count(number) == 1:
            return values.index(number)
        if 0 <= number < len(values) and all(value in (None, place) for place, value in enumerate(values)):
            return number
    folded = [_folded(each) for each in classes]
    near = difflib.get_close_matches(_folded(text), folded, n=2, cutoff=0.5)
    shown = [printable(each) for each in classes]
    known = ", ".join(shown[:12]) + (f", ... ({len(shown)} in all)" if len(shown) > 12 else "")
    hint = f"did you mean {' or '.join(shown[folded.index(each)] for each in near)}?" if near else f"there are {known}"
    raise UserError(f"no class is called '{printable(text)}'; {hint}")


def class_names(text: str, classes: Sequence[str]) -> list[str]:
    """The names in a list with commas. A class whose own name has commas is one name: `tabby, cat` of `tabby, cat`."""
    known = {_folded(each) for each in classes}
    parts = text.split(",")
    names = []
    while parts:
        longest = (end for end in range(len(parts), 1, -1) if _folded(",".join(parts[:end])) in known)
        end = next(longest, 1)
        names.append(",".join(parts[:end]).strip())
        del parts[:end]
    return names


def _spaced(name: str) -> str:
    """A name in Unicode's composed form, without outer spaces; runs of spaces, and those about commas, made alike."""
    return re.sub(r"\s*,\s*", ", ", " ".join(unicodedata.normalize("NFC", name).split()))


def _folded(name: str) -> str:
    """As :func:`_spaced`, in the compatible form and without case."""
    return unicodedata.normalize("NFKC", _spaced(name)).casefold()


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", text) else None


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
