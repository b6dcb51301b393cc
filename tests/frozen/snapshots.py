"""What was found beside what is stored: equal, or written anew with GANSMITH_REWRITE_FROZEN=1."""

import json
import os
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
REWRITE = os.environ.get("GANSMITH_REWRITE_FROZEN") == "1"
RUNS = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


def hold_text(name: str, found: str) -> None:
    """A text file of this folder holds exactly this."""
    path = HERE / name
    if REWRITE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert path.exists(), f"{name} is not there; GANSMITH_REWRITE_FROZEN=1 makes it"
    assert found == path.read_text(encoding="utf-8")


def read(name: str) -> dict[str, Any]:
    """A JSON file of this folder; empty if it is not there."""
    path = HERE / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(name: str, key: str, value: Any) -> None:
    """Puts a value into a JSON file of this folder, names in order."""
    (HERE / name).write_text(
        json.dumps({**read(name), key: value}, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
    )


def kept(name: str, key: str, found: Any) -> Any:
    """What a JSON file of this folder holds under a key; with GANSMITH_REWRITE_FROZEN=1, what was found."""
    if REWRITE:
        write(name, key, found)
    stored = read(name)
    assert key in stored, f"{name} has no {key!r}; GANSMITH_REWRITE_FROZEN=1 adds it"
    return stored[key]


def hold(name: str, key: str, found: Any) -> None:
    """A JSON file of this folder holds exactly this under a key."""
    assert json.loads(json.dumps(found)) == kept(name, key, found)


def names_in(value: Any, before: str = "") -> list[str]:
    """Every field name of a JSON value, however deep: ["a", "a.b", "rows[].step"]."""
    if isinstance(value, dict):
        found = {f"{before}{name}" for name in value}
        return sorted(found.union(*(names_in(each, f"{before}{name}.") for name, each in value.items())))
    if isinstance(value, list):
        inner = before.rstrip(".") + "[]."
        return sorted({name for each in value for name in names_in(each, inner)})
    return []


def portable(text: str, here: Path) -> str:
    """Without what differs from machine to machine: the folder, and the number of cores."""
    text = text.replace(str(here.resolve()), "HERE").replace(str(here), "HERE")
    return re.sub(r"this process may use \d+ cores", "this process may use N cores", text)
