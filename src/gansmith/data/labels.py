"""Labels of any common kind -> indices, and the classes' names: one numbering over both splits, in natural order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data.types import Labels, natural
from gansmith.errors import UserError
from gansmith.text import printable


def index_labels(
    raw: NDArray[Any], others: NDArray[Any] | None, count: int, where: str
) -> tuple[Labels | None, tuple[str, ...], str]:
    """Labels of any common kind -> indices (N,), the classes' names in order, and what is special about that order.

    `raw`: integers or strings (N,) or (N, 1), or one-hot (N, K). `others`: the other split's, so that both splits
    number the classes alike. Numbers are ordered by value, names naturally: 2 before 10. (None, (), "") if an image
    may have several labels. UserError if they do not match the images.
    """
    if raw.ndim == 0 or len(raw) != count:
        have = "one value" if raw.ndim == 0 else f"{len(raw):,} labels"
        raise UserError(f"{where}: {have} for {count:,} images; there must be one label for each image")
    values = _clean(raw, where)
    if values is None:
        return None, (), ""
    more = None if others is None or not others.ndim else _clean(others, where)
    mixed = more is not None and more.dtype.kind != values.dtype.kind
    if more is not None and mixed:  # the numbers 3 of one split are the texts "3" of the other
        values, more = values.astype(np.str_), more.astype(np.str_)
    known = np.unique(values if more is None else np.concatenate([values, more]))
    places = range(len(known))
    order = sorted(places, key=lambda place: natural(str(known[place]))) if known.dtype.kind == "U" else list(places)
    rank = np.empty(len(known), np.int64)
    rank[order] = places
    special = "labels in natural order" if mixed or order != list(places) else ""
    return rank[np.searchsorted(known, values)], distinct(known[order].tolist()), special


def distinct(names: Sequence[object]) -> tuple[str, ...]:
    """Names made safe to print; one that is then the same as an earlier one gets its number."""
    shown = [printable(str(name)) for name in names]
    if len(set(shown)) < len(shown):
        shown = [name if shown.index(name) == place else f"{name} ({place})" for place, name in enumerate(shown)]
    return tuple(shown)


def _clean(raw: NDArray[Any], where: str) -> NDArray[Any] | None:
    """Labels as int64 or text (N,); None if images have several labels each."""
    values = _one_column(raw)
    if values is None or values.dtype.kind == "U":
        return values
    if values.dtype.kind == "S":
        return np.array([value.decode("utf-8", "backslashreplace") for value in values.tolist()], np.str_)
    if values.dtype.kind == "f" and not bool(np.all(np.isfinite(values) & (values == np.floor(values)))):
        raise UserError(f"{where}: labels that are not whole numbers; save them as integers")
    if values.dtype.kind not in "iubf":
        raise UserError(f"{where}: labels of type {raw.dtype}; save them as integers or strings")
    return values.astype(np.int64)


def one_hot(raw: NDArray[Any]) -> bool:
    """Whether each row (N, K) is all 0 but for a single 1."""
    if raw.ndim != 2 or raw.dtype.kind not in "iubf":
        return False
    return bool(np.all((raw == 0) | (raw == 1)) and np.all(raw.sum(axis=1) == 1))


def _one_column(raw: NDArray[Any]) -> NDArray[Any] | None:
    """(N,) from (N,), (N, 1) or one-hot (N, K); None if rows hold several labels."""
    if raw.ndim == 1:
        return raw
    flat = raw.reshape(len(raw), -1)
    if flat.shape[1] == 1:
        return flat[:, 0]
    if raw.ndim == 2 and one_hot(flat):
        hot: NDArray[Any] = np.argmax(flat, axis=1)
        return hot
    return None
