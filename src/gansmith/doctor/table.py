"""Looks: a run's rows of metrics, signals and quality as one table, a row for each time that somebody looked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]
Row = Mapping[str, Any]

PLAYERS = ("discriminator_loss", "generator_loss", "discriminator_accuracy", "generator_accuracy")
WINDOWS = 60  # looks made of metrics alone, at most


@dataclass(frozen=True)
class Looks:
    """Columns by name, one value a look, in order of steps; what was not measured is NaN.

    Beside the signals (:data:`gansmith.doctor.signals.MEANINGS`), since the look before: the means of the metrics,
    `restless` (how far the discriminator's accuracy got from 0.5 at most) and `swing` (standard deviation of its loss).
    """

    steps: Column
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, name: str) -> Column:
        found = self.columns.get(name)
        return np.full(len(self.steps), np.nan) if found is None else found

    def has(self, name: str) -> bool:
        """Whether it was ever measured."""
        return bool(np.isfinite(self[name]).any())


def looks(metrics: Sequence[Row], signals: Sequence[Row], quality: Iterable[Row] = ()) -> Looks:
    """One table of a run's rows.

    Args:
        metrics: of metrics.jsonl.
        signals: of signals.jsonl, or :func:`gansmith.doctor.run.of_sheets`; where there are none, a look is a window
            of metrics.
        quality: of quality.jsonl; a look has the newest value there was.
    """
    steps = np.array([row["step"] for row in signals], dtype=np.float64)
    if not len(steps) and metrics:
        ends = np.linspace(0, len(metrics), min(WINDOWS, len(metrics)) + 1).astype(int)[1:]
        steps = np.array([metrics[end - 1]["step"] for end in ends], dtype=np.float64)
    names = dict.fromkeys(name for row in signals for name in row if name not in {"step", "images"})
    columns = {name: _column(signals, name) for name in names}
    if len(steps):
        columns |= _players(metrics, steps)
        columns["fd"] = _newest(list(quality), "fd", steps)
    return Looks(steps, columns)


def _players(metrics: Sequence[Row], steps: Column) -> dict[str, Column]:
    """Metrics since the look before, for each look."""
    at = np.array([row["step"] for row in metrics], dtype=np.float64)
    values = np.stack([_column(metrics, name) for name in (*PLAYERS, "pixel_std")]) if len(at) else np.empty((5, 0))
    ends = np.searchsorted(at, steps, side="right")
    starts = np.concatenate([[0], ends[:-1]])
    summary = np.full((7, len(steps)), np.nan)
    some = ends > starts
    if some.any():  # the rows of those looks lie one after another
        first, count = starts[some], (ends - starts)[some]
        within = values[:, : ends[-1]]
        summary[:5, some] = np.add.reduceat(within, first, axis=1) / count
        summary[5, some] = np.maximum.reduceat(np.abs(within[2] - 0.5), first)
        squares = np.add.reduceat(within[0] ** 2, first) / count
        summary[6, some] = np.sqrt(np.maximum(squares - summary[0, some] ** 2, 0))
    return dict(zip((*PLAYERS, "spread_of_pixels", "restless", "swing"), summary, strict=True))


def _newest(rows: Sequence[Row], name: str, steps: Column) -> Column:
    values = np.concatenate([[np.nan], _column(rows, name)])
    return values[np.searchsorted([row["step"] for row in rows], steps, side="right")]


def _column(rows: Sequence[Row], name: str) -> Column:
    return np.array([_number(row.get(name)) for row in rows], dtype=np.float64)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan
