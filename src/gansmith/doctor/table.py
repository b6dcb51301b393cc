"""SignalTable: a run's logs of metrics, signals and quality joined into one table, a row for each row of signals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]
Row = Mapping[str, Any]

MEANS = ("discriminator_loss", "generator_loss", "discriminator_accuracy", "generator_accuracy", "pixel_std")
WINDOWS = 60  # rows made from metrics alone, at most


@dataclass(frozen=True)
class SignalTable:
    """Columns by name, one value a row, in the order of steps; what was not measured is NaN.

    Its columns are the signals (:data:`gansmith.doctor.signals.MEANINGS`); the means of the metrics since the row
    before; `restless`, the largest distance of the discriminator's accuracy from 0.5 since then; `swing`, the standard
    deviation of its loss since then; `fd`, the newest Frechet distance, and `fd_before`, the one before it.
    """

    steps: Column
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, name: str) -> Column:
        column = self.columns.get(name)
        return np.full(len(self.steps), np.nan) if column is None else column

    def has(self, name: str) -> bool:
        """Whether it was ever measured."""
        return bool(np.isfinite(self[name]).any())


def tabulate(metrics: Sequence[Row], signals: Sequence[Row], quality: Iterable[Row] = ()) -> SignalTable:
    """Joins a run's logs.

    Args:
        metrics: rows of metrics.jsonl.
        signals: rows of signals.jsonl, or those of :func:`gansmith.doctor.examination.of_sheets`. Without any, each row
            of the table is a window of metrics.
        quality: rows of quality.jsonl; a row of the table has the newest value there was.
    """
    metrics, signals, quality = (sorted(rows, key=lambda row: row["step"]) for rows in (metrics, signals, quality))
    steps = np.array([row["step"] for row in signals], dtype=np.float64)
    if not len(steps) and metrics:
        ends = np.linspace(0, len(metrics), min(WINDOWS, len(metrics)) + 1).astype(int)[1:]
        steps = np.array([metrics[end - 1]["step"] for end in ends], dtype=np.float64)
    names = dict.fromkeys(name for row in signals for name in row if name not in {"step", "images"})
    columns = {name: _column(signals, name) for name in names}
    if len(steps):
        columns |= _since_the_row_before(metrics, steps)
        columns |= {"fd": _newest(quality, "fd", steps), "fd_before": _newest(quality, "fd", steps, back=1)}
    return SignalTable(steps, columns)


def _since_the_row_before(metrics: Sequence[Row], steps: Column) -> dict[str, Column]:
    """Metrics between each row of the table and the one before: means, `restless` and `swing`."""
    at = np.array([row["step"] for row in metrics], dtype=np.float64)
    values = np.stack([_column(metrics, name) for name in MEANS])
    ends = np.searchsorted(at, steps, side="right")
    starts = np.concatenate([[0], ends[:-1]])
    summary = np.full((7, len(steps)), np.nan)
    some = ends > starts
    if some.any():  # the metrics of these rows lie one after another
        first, count = starts[some], (ends - starts)[some]
        within = values[:, : ends[-1]]
        summary[:5, some] = np.add.reduceat(within, first, axis=1) / count
        summary[5, some] = np.maximum.reduceat(np.abs(within[2] - 0.5), first)
        squares = np.add.reduceat(within[0] ** 2, first) / count
        summary[6, some] = np.sqrt(np.maximum(squares - summary[0, some] ** 2, 0))
    return dict(zip((*MEANS, "restless", "swing"), summary, strict=True))


def _newest(rows: Sequence[Row], name: str, steps: Column, *, back: int = 0) -> Column:
    """The newest value at each step, or that of so many rows before."""
    values = np.concatenate([np.full(1 + back, np.nan), _column(rows, name)])
    return values[np.searchsorted([row["step"] for row in rows], steps, side="right")]


def _column(rows: Sequence[Row], name: str) -> Column:
    return np.array([_number(row.get(name)) for row in rows], dtype=np.float64)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan
