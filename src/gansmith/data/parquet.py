"""Hugging Face's data sets as Parquet files: encoded images in a column, labels and their names beside it."""

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from gansmith.data.annotations import LABEL_COLUMNS
from gansmith.data.build import Source
from gansmith.data.folders import Files, Member
from gansmith.data.labels import distinct, index_labels
from gansmith.data.naming import own_name
from gansmith.data.numbered import by_split
from gansmith.data.own import MADE_HERE, all_made
from gansmith.data.types import Labels, Split
from gansmith.errors import UserError
from gansmith.text import amount, one_line, printable

IMAGE_COLUMNS = ("image", "img", "images", "picture", "photo")
MORE_LABELS = ("fine_label", "coarse_label", "digit", "y")
_GROUPS_KEPT = 2


def parquet_source(origin: Path, paths: Sequence[Path], split: Split) -> Source:
    """One split of Parquet files, split by their names (train-00000-of-00002.parquet). Raises UserError."""
    where = printable(str(origin))
    splits = by_split(paths)
    if split not in splits:
        raise UserError(f"{where}: has no {split} images; put a file test-00000-of-00001.parquet beside the others")
    shards = {role: _Shards(files) for role, files in splits.items()}
    chosen = shards[split]
    numbers: Labels | None = None
    classes: tuple[str, ...] = ()
    special = ""
    notes = [f"not used: {amount(len(paths) - sum(map(len, splits.values())), 'file')} of other splits"]
    if sum(map(len, splits.values())) == len(paths):
        notes.clear()
    if chosen.label is None:
        notes.append(f"there is no column of labels among {', '.join(map(printable, chosen.columns))}")
    else:
        raw = {role: each.labels() for role, each in shards.items() if each.label is not None}
        names = chosen.names()
        if names and all(bool(np.all((values >= 0) & (values < len(names)))) for values in raw.values()):
            numbers, classes, special = raw[split].astype(np.int64), distinct(names), f"named {len(names)}"
        elif not np.all(raw[split] == -1):  # Hugging Face: not labelled
            others = [values for role, values in raw.items() if role != split]
            numbers, classes, special = index_labels(raw[split], others[0] if others else None, chosen.count, where)
        source_of_labels = "the labels are those of" if numbers is not None else "there are no labels in"
        notes.append(f"{source_of_labels} {printable(chosen.label)}")
    labels = np.full(chosen.count, -1) if numbers is None else numbers
    members = tuple(Member(f"{row:07d}", label) for row, label in enumerate(labels.tolist()))
    made = all_made([member.name for member in members], chosen.read)
    notes += [MADE_HERE] if made else []
    return Source(
        name=own_name(origin.name.split(".")[0]),
        origin=where,
        kind="Parquet files",
        split=split,
        classes=classes,
        content=Files(members, chosen.read, made_too=made),
        test_count=shards["test"].count if "test" in shards else None,
        parts=tuple((path.name, path) for files in splits.values() for path in files),
        notes=tuple(notes),
        reading=special,
    )


class _Shards:
    """The files of one split as one list of rows: which columns hold images and labels, and how to read them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files = [_open(path) for path in paths]
        self.columns = tuple(str(name) for name in self._files[0].schema_arrow.names)
        image = next((name for name in IMAGE_COLUMNS if name in self.columns), None)
        where = printable(str(paths[0]))
        if image is None:
            have = ", ".join(map(printable, self.columns[:8]))
            raise UserError(f"{where}: has the columns {have}; call the one that holds the images image")
        self._where, self._image = where, image
        self.label = next((name for name in (*LABEL_COLUMNS, *MORE_LABELS) if name in self.columns), None)
        self._groups: list[tuple[int, int, int]] = []
        """File, row group and first row."""
        self.count = 0
        for number, file in enumerate(self._files):
            for group in range(file.metadata.num_row_groups):
                self._groups.append((number, group, self.count))
                self.count += file.metadata.row_group(group).num_rows
        self._starts = np.array([start for _, _, start in self._groups], np.int64)
        self._kept: OrderedDict[int, list[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def labels(self) -> np.ndarray[Any, Any]:
        """The labels (N,): names where the file tells them, else as they are. Raises UserError."""
        try:
            values = [
                value for file in self._files for value in file.read(columns=[self.label])[self.label].to_pylist()
            ]
        except Exception as error:  # pyarrow's errors are of many kinds
            raise UserError(f"{self._where}: its labels cannot be read ({one_line(error)}); fetch it again") from None
        if any(value is None or isinstance(value, list | dict) for value in values):
            raise UserError(f"{self._where}: {self.label} does not hold one label a row; leave that column out")
        return np.array(values)

    def names(self) -> list[str]:
        """The classes' names, from what Hugging Face's library notes in the schema; empty if there are none."""
        try:
            about = json.loads((self._files[0].schema_arrow.metadata or {})[b"huggingface"])
            return [str(name) for name in about["info"]["features"][self.label]["names"]]
        except (KeyError, TypeError, ValueError, RecursionError):
            return []

    def read(self, name: str) -> bytes:
        """The encoded image of a row. Raises OSError."""
        row = int(name)
        place = int(np.searchsorted(self._starts, row, side="right")) - 1
        value = self._rows(place)[row - int(self._starts[place])]
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise OSError("holds no encoded image")
        return content

    def _rows(self, place: int) -> list[Any]:
        """The images of a row group; the last groups that were read are kept."""
        with self._lock:
            if place not in self._kept:
                number, group, _ = self._groups[place]
                table = self._files[number].read_row_group(group, columns=[self._image])
                self._kept[place] = table[self._image].to_pylist()
            self._kept.move_to_end(place)
            while len(self._kept) > _GROUPS_KEPT:
                self._kept.popitem(last=False)
            return self._kept[place]


def _open(path: Path) -> Any:
    """A Parquet file; UserError if it is none, or pyarrow is missing."""
    where = printable(str(path))
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        raise UserError(
            f"{where}: Parquet files need pyarrow; pip install 'gansmith[parquet]', or save the images as files"
        ) from None
    try:
        return parquet.ParquetFile(path)
    except Exception as error:  # pyarrow's errors are of many kinds
        raise UserError(f"{where}: is not a whole Parquet file ({one_line(error)}); fetch it again") from None
