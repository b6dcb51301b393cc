"""Detectors: what several rules ask of a table, such as whether images still improve."""

import numpy as np

from gansmith.doctor.findings import Mask
from gansmith.doctor.table import Column, SignalTable


def trend(table: SignalTable, name: str) -> Column:
    """For each row, a signal's mean over the last fifth of the steps so far, over that in their 0.4th to 0.7th part."""
    values = table[name]
    known = np.isfinite(values)
    sums, counts = (np.concatenate([[0], np.cumsum(part)]) for part in (np.where(known, values, 0.0), known))

    def mean(start: Column, end: Column) -> Column:
        first, last = np.searchsorted(table.steps, start), np.searchsorted(table.steps, end, side="right")
        number: Column = (sums[last] - sums[first]) / np.maximum(counts[last] - counts[first], 1)
        return np.where(counts[last] > counts[first], number, np.nan)

    return mean(0.8 * table.steps, table.steps) / mean(0.4 * table.steps, 0.7 * table.steps)


def stagnant(table: SignalTable) -> Mask:
    """Whether the gap to real images no longer shrinks: by less than 15 % in its :func:`trend`."""
    return trend(table, "gap") >= 0.85


def improving(table: SignalTable) -> Mask:
    """Whether the gap to real images still shrinks.

    Untrained networks show nearly every failure; what gets better by itself is none.
    """
    return np.isfinite(table["gap"]) & ~stagnant(table)


def running_median(values: Column) -> Column:
    """The median of up to 30 values before each, where there are five; NaN elsewhere."""
    if not len(values):
        return values
    before = np.concatenate([np.full(30, np.nan), values[:-1]])
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(before, 30), axis=1)  # NaN comes last
    known = np.isfinite(ordered).sum(axis=1)
    middle = ordered[np.arange(len(ordered)), np.maximum(known - 1, 0) // 2]
    return np.where(known >= 5, middle, np.nan)


def mostly(hits: Mask, steps: Column, span: int) -> Mask:
    """Whether nine in ten rows of the last ``span`` steps are hits, in a run that is longer than that."""
    sums = np.concatenate([[0], np.cumsum(hits)])
    first = np.searchsorted(steps, steps - span, side="right")
    share = (sums[1:] - sums[first]) / np.maximum(np.arange(1, len(steps) + 1) - first, 1)
    long: Mask = (share >= 0.9) & (first > 0)
    return long


def wave(values: Column, height: float) -> Mask:
    """Whether the last 120 values swing periodically: by over ``height`` of their mean, with an echo over 0.4."""
    hits = np.zeros(len(values), dtype=bool)
    if len(values) < 30 or not np.isfinite(values).all():
        return hits
    recent = values[-min(len(values), 120) :]
    swing = recent - np.convolve(np.pad(recent, 10, "edge"), np.ones(21) / 21, "valid")
    power = float((swing * swing).sum())
    if power <= 0 or swing.std() < height * recent.mean():
        return hits
    echo = np.array([float((swing[lag:] * swing[:-lag]).sum()) / power for lag in range(1, len(swing) // 3)])
    below = np.flatnonzero(echo < 0)
    if len(below) and echo[below[0] :].max(initial=0) > 0.4:
        hits[-len(recent) :] = True
    return hits
