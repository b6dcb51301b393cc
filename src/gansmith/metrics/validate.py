"""Checks of what metrics are given: enough finite features, of one width; and how to walk through many of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

CHUNK = 8192
"""Rows that are worked on at a time where a metric walks through features."""


def checked(values: ArrayLike, metric: str, who: str, *, at_least: int = 1, otherwise: str = "") -> Array:
    """Features as float64 (N, D).

    Args:
        values: numbers (N, D); any real dtype.
        metric: named in errors.
        who: whose features these are, named in errors: "real", "generated", "training".
        at_least: the fewest samples that the metric makes sense for.
        otherwise: what to do with fewer, ends the error.

    Raises:
        ValueError: another shape, too few samples, NaN or infinite values.
    """
    array: NDArray[Any] = np.asarray(values)
    if array.ndim != 2 or not array.shape[1] or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{metric}: {who} features must be numbers of shape (samples, dimensions), got "
            f"{array.dtype} {array.shape}: encode the images first"
        )
    if len(array) < at_least:
        raise ValueError(
            f"{metric} needs {at_least} {who} samples or more, got {len(array)}"
            + (f": {otherwise}" if otherwise else "")
        )
    array = np.ascontiguousarray(array, np.float64)
    broken = sum(int((~np.isfinite(array[part]).all(axis=1)).sum()) for part in parts(len(array)))
    if broken:
        raise ValueError(
            f"{metric}: {broken} of {len(array)} {who} samples have features that are NaN or infinite, which no metric "
            "can use: inspect their images, or leave them out and say how many"
        )
    return array


def same_width(metric: str, real: Array, generated: Array) -> None:
    """Raises ValueError unless both have as many dimensions."""
    if real.shape[1] != generated.shape[1]:
        raise ValueError(
            f"{metric}: features of {real.shape[1]} and of {generated.shape[1]} dimensions cannot be compared: "
            "encode both sides with the same encoder"
        )


def parts(count: int, size: int = CHUNK) -> Iterator[slice]:
    """Consecutive slices of `size` that cover 0 to `count`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
