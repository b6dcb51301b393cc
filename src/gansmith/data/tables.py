"""Images in a table of text: one a row, a column a pixel, with or without a header and a column of labels."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data import beside
from gansmith.data.annotations import LABEL_COLUMNS
from gansmith.data.arrays import Arrays, as_pixels, image_layout, rows_per_block, sides, unfolded
from gansmith.data.build import Source
from gansmith.data.idx import on_its_side, opened, upright
from gansmith.data.labels import index_labels
from gansmith.data.naming import own_name
from gansmith.data.types import Labels, Pixels, Split
from gansmith.errors import UserError
from gansmith.text import one_line, printable

MAX_ROW_BYTES = 16 << 20
MAX_BYTES = 64 << 30
_PIXEL = re.compile(r"(?:(pixel|pix|px|p|x|v|f|feature|attr|column)[ _.-]?)?\d+(?:[x_]\d+)?|[a-z]?\d+x\d+")
_HINT = "give a table with one image a row: a column of labels, then a column for each pixel"


@dataclass(frozen=True)
class Table:
    """How a file of text holds images: what parts cells, which are pixels, which is the label, how many rows."""

    path: Path
    delimiter: str
    header: tuple[str, ...]
    pixels: tuple[int, ...]
    label: int | None
    labels: NDArray[Any] | None
    count: int
    decimals: bool
    """Whether some cell has a decimal point."""

    @property
    def columns(self) -> int:
        """How many there are of pixels and labels, and nothing else."""
        return len(self.pixels) + (self.label is not None)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W) or (N, 3, H, W)."""
        return self.count, *unfolded((1, len(self.pixels)))[1:]


def table_source(path: Path, split: Split) -> Source:
    """One split of tables: the one given, and the one for testing beside it. Raises UserError."""
    where = printable(str(path))
    test = beside.test_beside(path)
    paths = {"train": path} | ({} if test is None else {"test": test})
    if split not in paths:
        raise UserError(f"{where}: has no test images; put a table with test for train in its name beside it")
    tables = {"train": read_table(path)}
    if test is not None:
        tables["test"] = read_table(test, like=tables["train"])
    table = tables[split]
    layout = image_layout(table.shape, where)
    height, width = sides(table.shape, layout)
    numbers: Labels | None = None
    classes: tuple[str, ...] = ()
    special = ""
    notes = []
    if table.labels is not None:
        others = [each.labels for role, each in tables.items() if role != split]
        numbers, classes, special = index_labels(table.labels, others[0] if others else None, table.count, where)
        column = table.header[table.label or 0] if table.header else f"column {(table.label or 0) + 1}"
        notes.append(f"the labels are those of {printable(column)}")
    else:
        notes.append("there is no column of labels: there are no classes")
    turned = on_its_side(path.name)
    if turned:
        special = f"upright {special}".strip()
        notes.append("EMNIST lies on its side in its files: the images are turned upright")
    return Source(
        name=own_name(path.name.split(".")[0]),
        origin=where,
        kind="table of pixels",
        split=split,
        classes=classes,
        content=Arrays(table.count, height, width, lambda: upright(_blocks(table), turned), lambda: numbers),
        test_count=tables["test"].count if "test" in tables else None,
        parts=tuple(("" if each == path else each.name, each) for each in paths.values()),
        notes=tuple(notes),
        reading=special,
    )


def read_table(path: Path, like: Table | None = None) -> Table:
    """What a table holds, from its first rows, its labels and its length; no pixel is read. Raises UserError.

    `like`: the table for training: one for testing with as many columns holds in each what that does.
    """
    where = printable(str(path))
    some = list(itertools.islice(_lines(path), 200))
    delimiter = max(",;\t ", key=some[-1].count) if some else ","
    sample = [_cells(line, delimiter) for line in some]
    header = _header(sample[0]) if sample else ()
    pixels, label = _columns(header, sample[1:] if header else sample)
    if like is not None and sample and len(sample[0]) == like.columns:
        pixels, label = like.pixels, like.label
    if not pixels:
        columns = len(sample[0]) if sample else 0
        raise UserError(f"{where}: is no table of images ({columns:,} columns); {_HINT}, or a folder of images")
    labels, count, decimals = [], 0, False
    for line in itertools.islice(_lines(path), bool(header), None):
        count += 1
        decimals = decimals or "." in line
        if label is not None:
            labels.append(_cell(line, delimiter, label, len(sample[0])))
    return Table(path, delimiter, header, pixels, label, _numbers(labels) if labels else None, count, decimals)


def _lines(path: Path) -> Iterator[str]:
    """The rows of a table, without quotes and empty lines, unzipped if need be. Raises UserError."""
    where, total = printable(str(path)), 0
    with opened(path) as file:
        while raw := file.readline(MAX_ROW_BYTES):
            total += len(raw)
            if len(raw) == MAX_ROW_BYTES or total > MAX_BYTES:
                raise UserError(f"{where}: has rows or a length that no table of images has; {_HINT}")
            line = raw.decode("utf-8-sig", "backslashreplace").replace('"', "").strip("\r\n")
            if line.strip():
                yield line


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in line.split(delimiter)]


def _cell(line: str, delimiter: str, place: int, columns: int) -> str:
    """One cell of a row, the first and the last without cutting the whole row."""
    if place == 0:
        return line.split(delimiter, 1)[0].strip()
    if place == columns - 1:
        return line.rsplit(delimiter, 1)[-1].strip()
    return (line.split(delimiter, place + 1)[place : place + 1] or [""])[0].strip()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _header(cells: list[str]) -> tuple[str, ...]:
    """The first row in small letters if it names the columns; else nothing."""
    named = any(not _is_number(cell) for cell in cells) or cells == [str(place) for place in range(len(cells))]
    return tuple(cell.lower() for cell in cells) if named else ()


def _columns(header: tuple[str, ...], rows: list[list[str]]) -> tuple[tuple[int, ...], int | None]:
    """Which columns are pixels, none if that cannot be told, and which is the label."""
    places = range(len(header or (rows[0] if rows else ())))
    if header:
        label = next((header.index(name) for name in (*LABEL_COLUMNS, "y", "digit", "letter") if name in header), None)
        pixels = [place for place in places if place != label and _PIXEL.fullmatch(header[place])]
        rest = [place for place in places if place not in pixels and header[place] not in ("", "id", "index")]
        label = rest[0] if label is None and len(rest) == 1 else label
        return (tuple(pixels) if _square(len(pixels)) else ()), label
    if _square(len(places)):
        return tuple(places), None
    if not _square(len(places) - 1):
        return (), None
    first, last = ({row[place] for row in rows if len(row) == len(places)} for place in (0, -1))
    at_the_end = first == {"0"} and len(last) > 1  # a corner's pixels are often all black
    return (tuple(places[:-1]), len(places) - 1) if at_the_end else (tuple(places[1:]), 0)


def _square(columns: int) -> bool:
    return columns > 0 and len(unfolded((1, columns))) > 2


def _numbers(labels: list[str]) -> NDArray[Any]:
    """Labels as integers if all are whole numbers, else as text."""
    try:
        values = np.array(labels, np.float64)
    except ValueError:
        return np.array(labels, np.str_)
    return values.astype(np.int64) if bool(np.all(values == np.floor(values))) else np.array(labels, np.str_)


def _blocks(table: Table) -> Iterator[Pixels]:
    """All images in order, uint8 (n, C, H, W). UserError for cells that are no pixels."""
    where = printable(str(table.path))
    layout = image_layout(table.shape, where)
    # Whole numbers written as 12.0 are told from shares of white by all of them: one look ahead.
    whole = not table.decimals or any(bool(np.any(rows > 1)) for rows in _rows(table))
    for rows in _rows(table):
        if whole and bool(np.all(rows == np.floor(rows))):
            rows = rows.astype(np.int64)
        yield as_pixels(rows.reshape(len(rows), *table.shape[1:]), layout, where)


def _rows(table: Table) -> Iterator[NDArray[np.float64]]:
    """The cells of the pixels, (n, pixels) at a time."""
    lines = itertools.islice(_lines(table.path), bool(table.header), None)
    step = rows_per_block(table.shape, 8)
    done = 0
    while some := list(itertools.islice(lines, step)):
        try:
            yield np.loadtxt(some, np.float64, delimiter=table.delimiter, usecols=table.pixels, ndmin=2, comments=None)
        except ValueError as error:
            place = f"rows {done + 1:,} to {done + len(some):,}"
            raise UserError(
                f"{printable(str(table.path))}: {place}: {one_line(error)}; every row needs the same cells, all numbers"
            ) from None
        done += len(some)
