"""Tables for a spreadsheet: training.csv, quality.csv and signals.csv in the run's folder csv/."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gansmith.files import writing
from gansmith.trackers.adapter import About

if TYPE_CHECKING:
    from PIL.Image import Image


class CSV:
    """A file for each kind of numbers, a row a step; sheets are in the run's folder anyway."""

    def init(self, about: About) -> None:
        """Makes the folder; takes back the rows after the step that the run goes on from."""
        self._folder = about.path / "csv"
        self._folder.mkdir(exist_ok=True)
        self._columns: dict[str, list[str]] = {}
        for path in self._folder.glob("*.csv"):
            self._columns[path.stem] = _rewind(path, about.start_step)

    def log(self, step: int, values: Mapping[str, float], sheet: "Image | None") -> None:
        """Appends a row to the file of its kind; its columns are those of the first row."""
        kinds: dict[str, dict[str, float]] = {}
        for name, value in values.items():
            kind, _, column = name.partition("/")
            kinds.setdefault(kind, {"step": step})[column] = value
        for kind, row in kinds.items():
            fresh = kind not in self._columns
            columns = self._columns.setdefault(kind, list(row))
            with (self._folder / f"{kind}.csv").open("a", newline="") as file:
                writer = csv.DictWriter(file, columns, extrasaction="ignore")
                if fresh:
                    writer.writeheader()
                writer.writerow(row)

    def finish(self, state: str) -> None:
        """Nothing is left to write."""


def _rewind(path: Path, step: int) -> list[str]:
    """Leaves out the rows after a step; the columns."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or ["step"])
        rows = [row for row in reader if (row["step"] or "").isdigit() and int(row["step"]) <= step]
    with writing(path) as fresh, fresh.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return columns
