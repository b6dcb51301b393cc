"""Everything that the command line prints: lines for people or one JSON document, tables, progress, colours."""

import json as jsons
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gansmith.text import duration, printable


class Drawn(str):
    """Text of the package's own making, such as images in colour codes, that is printed as it is."""

    __slots__ = ()


def prepare() -> None:
    """Makes standard streams fit to use: one that is closed leads nowhere, one that is not UTF-8 takes all text."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115
        elif mode == "w":
            with suppress(AttributeError):  # what stands in for it in a notebook or a test takes everything
                stream.reconfigure(errors="backslashreplace")


def speaks() -> bool:
    """Whether this process says what happens: of several that torchrun started, only the first does."""
    return os.environ.get("RANK", "0") == "0" or "WORLD_SIZE" not in os.environ


def discard_output() -> None:
    """What is left to print goes nowhere, so that Python does not try again, and fail, when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def program() -> str:
    """How this program is called from here: by name where the path finds it, else by its file."""
    called = Path(sys.argv[0])
    if called.name != "gansmith" or shutil.which("gansmith"):
        return "gansmith"
    return os.path.relpath(called)


def visible(text: str) -> str:
    """Text with control characters and terminal escapes, which names of files or classes can hold, spelled out."""
    return text if isinstance(text, Drawn) else "\n".join(map(printable, text.split("\n")))


def say(text: str = "", *, aside: bool = False) -> None:
    """Prints lines for people: on standard output, or on standard error where that belongs to a document."""
    stream = sys.stderr if aside else sys.stdout
    stream.write(visible(text) + "\n")
    stream.flush()


def document(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Prints the one JSON document of a verb on standard output; paths become strings, NumPy's numbers plain ones."""
    say(jsons.dumps(value, indent=2, default=_plain, allow_nan=False))


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def show(value: Mapping[str, Any] | Sequence[Any], *text: str, json: bool) -> None:
    """Prints what a verb found: with --json the document, else the text."""
    if json:
        document(value)
        return
    for part in text:
        say(part)


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
    shown = ((name, printable(str(value))) for name, value in rows.items() if value not in (None, ""))
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in shown)


def colours() -> bool:
    """Whether standard output wants colours: a terminal, and no NO_COLOR (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


LINE_SECONDS = 10.0
"""Between two lines about long work where there is no terminal."""
_begun: dict[str, tuple[float, int, float]] = {}
"""Of work that goes on: when it was first heard of, how much was done then, and when a line was last written."""


def progress(what: str, done: int, total: int) -> None:
    """Long work, with rate and time left, on standard error: one changing line on a terminal; elsewhere a line at the
    end, and every ten seconds before.
    """
    if not speaks():
        return
    now = time.monotonic()
    if done < _begun.get(what, (now, 0, now))[1]:  # it was given up, and is done again
        del _begun[what]
    began, before, spoke = _begun.setdefault(what, (now, done, now))
    rate = (done - before) / (now - began) if now > began else 0.0
    pace = f", {rate:,.{0 if rate >= 10 else 1}f}/s, about {duration((total - done) / rate)} left" if rate else ""
    if done >= total:
        pace = ""
        del _begun[what]
    if sys.stderr.isatty():
        line = f"{printable(what)}: {done:,} of {total:,}{pace}"
        width = shutil.get_terminal_size().columns - 1  # a line that wraps could not be written over
        sys.stderr.write(f"\r{line[:width].ljust(min(width, 79))}" + ("\n" if done >= total else ""))
        sys.stderr.flush()
    elif done >= total:
        say(f"{what}: {total:,}", aside=True)
    elif now >= spoke + LINE_SECONDS:
        _begun[what] = began, before, now
        say(f"{what}: {done:,} of {total:,}{pace}", aside=True)


def patient() -> Callable[[str, int, int], None]:
    """:func:`progress` for work that tells of each part: nothing in two seconds, then ten times a second at most."""
    began = time.monotonic()
    spoke = began + 2

    def tell(what: str, done: int, total: int) -> None:
        nonlocal spoke
        now = time.monotonic()
        if now < spoke + 0.1 and (done < total or spoke == began + 2):
            return
        spoke = now
        progress(what, done, total)

    return tell


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
    return printable(str(value))


def _is_number(cell: str) -> bool:
    return not cell or cell.replace(",", "").replace(".", "").isdigit()
