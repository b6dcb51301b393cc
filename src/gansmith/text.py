"""Words for people: amounts, durations, names made safe for a line or a file; numbers as JSON can say them."""

import re
from collections.abc import Mapping
from numbers import Real
from typing import Any


def amount(count: int, noun: str) -> str:
    """`1 image`, `60,000 images`; nouns in -s, -x and -ch take -es."""
    plural = noun + ("es" if noun.endswith(("s", "x", "ch")) else "s")
    return f"{count:,} {noun if count == 1 else plural}"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`: as exact as an estimate deserves."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def finite(value: object) -> float | None:
    """A number to four digits; None for what is none, and for what JSON cannot say."""
    if not isinstance(value, Real) or value != value or abs(value) == float("inf"):
        return None
    return float(f"{value:.4g}")


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values as one dictionary, by dotted names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {before + name: value}
    return found


def one_line(error: BaseException) -> str:
    """The message of `error` (or its class name) on one line, without a final full stop."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__


def printable(name: str) -> str:
    """A file name fit for one line of any console: control characters, and bytes that are no UTF-8, as escapes."""
    if name.isprintable():
        return name
    safe = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in safe)


def slug(text: str) -> str:
    """`text` as a safe file name: lower case letters, digits and single hyphens; "data" if nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-") or "data"
