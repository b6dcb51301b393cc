"""The names of data sets, and paths that are there or not: all that a mistyped name needs. No NumPy here."""

import difflib
import re
from pathlib import Path
from typing import Any

from gansmith.errors import UserError
from gansmith.text import one_line, printable, slug

BUILT_IN = ("mnist", "fashion-mnist")
DERIVED = ("colour-mnist", "stacked-mnist")
LABELS = "put its images in one sub-folder per class, or give (images, labels)"
"""What to do where images have no labels, and some are needed."""


def names() -> tuple[str, ...]:
    """The data sets that are known by name."""
    return (*BUILT_IN, *DERIVED)


def own_name(text: str) -> str:
    """The name of images of the user's own, from that of their file or folder: never that of a data set that is public.

    By that name alone its encoder, its licence, and what may be shown of it are chosen.
    """
    name = slug(text)
    return f"{name}-given" if name in names() else name


def given_name(name: str, digest: str) -> str:
    """The name under which the cache knows images that were given in Python."""
    return f"{name}@{digest[:16]}"


def is_given(source: object) -> bool:
    """Whether it is the name of images that were given in Python."""
    return isinstance(source, str) and bool(re.fullmatch(r"[a-z0-9-]+@[0-9a-f]{16}", source))


def is_remote(source: object) -> bool:
    """Whether it is an address, such as s3://bucket/folder, and no path."""
    return isinstance(source, str) and bool(re.match(r"[a-z][a-z0-9+.-]+://", source))


def is_derived(source: object) -> bool:
    """Whether it is the name of a data set that is made from MNIST while it is read."""
    return isinstance(source, str) and source in DERIVED


def named(source: Any) -> Any:
    """A source whose bare name, as text or as a path where no such file is, means a data set: that name."""
    if isinstance(source, Path) and str(source) in names() and not source.exists():
        return str(source)
    return source


def existing(source: str | Path) -> Path:
    """The path of a source, resolved; one that was printed with escapes is found again. UserError if there is none."""
    path, given = Path(source).expanduser(), printable(str(source))
    for each in (path, Path(_unprintable(str(path)))):
        try:
            if each.exists():
                return each.resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(f"{given[:100]}: cannot be looked at ({one_line(error)}); check the path") from None
    raise UserError(_missing(given, path))


def _unprintable(text: str) -> str:
    """The name that :func:`gansmith.text.printable` made this of."""
    escape = r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt])"
    return re.sub(escape, lambda found: found[0].encode().decode("unicode_escape"), text)


def _missing(given: str, path: Path) -> str:
    """What to say about a source that is neither a name nor a path."""
    bare = Path(given).name
    near = difflib.get_close_matches(given.lower(), names(), n=1, cutoff=0.6)
    looks_like_path = bare != given or path.suffix.lower() in (".zip", ".npz", ".npy", ".gz", ".csv", ".parquet")
    if near and not looks_like_path:
        return f"{given}: no data set has this name and no file or folder either; did you mean {near[0]}?"
    beside: list[str] = []
    try:
        beside = [str(path.parent / entry.name) for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        beside = []
    close = difflib.get_close_matches(str(path), beside, n=1, cutoff=0.8)
    meant = f"did you mean {printable(close[0])}?" if close else f"give a path, or one of {', '.join(names())}"
    return f"{given}: there is no such file or folder; {meant}"
