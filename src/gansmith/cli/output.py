"""How the command line prints: aligned tables, amounts for people, and one JSON document for programs."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["colours", "document", "finite", "pairs", "program", "progress", "say", "table"]


def program() -> str:
    """How this program is called from here: by name where the path finds it, else by its file."""
    called = Path(sys.argv[0])
    if called.name != "gansmith" or shutil.which("gansmith"):
        return "gansmith"
    return os.path.relpath(called)


def say(text: str = "", *, aside: bool = False) -> None:
    """Prints a line for people: on standard output, or on standard error where that belongs to a document."""
    stream = sys.stderr if aside else sys.stdout
    stream.write(text + "\n")
    stream.flush()


def document(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Prints the one JSON document of a verb on standard output; paths become strings."""
    say(json.dumps(value, indent=2, default=str, allow_nan=False))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lines of aligned columns. Integers get thousands separators and stand right; all else stands left."""
    body = [[_cell(value) for value in row] for row in rows]
    right = [bool(body) and all(_is_number(row[column]) for row in body) for column in range(len(headers))]
    widths = [max(len(row[column]) for row in [list(headers), *body]) for column in range(len(headers))]
    ruled = [list(headers), ["-" * width for width in widths], *body]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in ruled
    )


def pairs(rows: Mapping[str, object]) -> str:
    """Lines of `name   value`, the names aligned; empty values are left out."""
    width = max((len(name) for name in rows), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows.items() if value not in (None, ""))


def finite(value: float | None) -> float | None:
    """A number to four digits; None for none, and for what JSON cannot say."""
    return None if value is None or value != value or abs(value) == float("inf") else float(f"{value:.4g}")


def colours() -> bool:
    """Whether standard output wants colours: a terminal, and no NO_COLOR (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def progress(what: str, done: int, total: int) -> None:
    """Long work with data, on standard error: one changing line on a terminal, a line at the end elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{what}: {done:,} of {total:,}" + ("\n" if done >= total else ""))
        sys.stderr.flush()
    elif done >= total:
        say(f"{what}: {total:,}", aside=True)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
    return str(value)


def _is_number(cell: str) -> bool:
    return not cell or cell.replace(",", "").replace(".", "").isdigit()
