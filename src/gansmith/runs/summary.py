"""A run at a glance: what it trained, when, how long, how good it is, what the doctor said; from small files alone."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gansmith.errors import UserError
from gansmith.files import read_json, write_json
from gansmith.runs import quality
from gansmith.runs.quality import Quality
from gansmith.runs.run import Run, row_of

DOCTOR = "doctor.json"
TAIL = 1 << 16
"""Bytes at the end of a log in which its newest row is looked for."""


@dataclass(frozen=True)
class Summary:
    """A run at a glance; None for what is not known."""

    run: Run
    state: str
    """As of :attr:`gansmith.runs.Run.state`; "damaged (...)" where its folder cannot be read."""
    recipe: str | None = None
    data: str | None = None
    origin: str | None = None
    """The run whose networks it began with."""
    started: str | None = None
    """When it began: local time in ISO 8601, to the second."""
    step: int | None = None
    seconds: float | None = None
    """Of training."""
    quality: Quality | None = None
    verdict: str | None = None
    """The doctor's, of the end of training or since."""

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object, but for the path."""
        return {
            "run": self.run.name,
            **{name: getattr(self, name) for name in ("recipe", "data", "state", "started", "step", "seconds")},
            "from": self.origin,
            "quality": None if self.quality is None else self.quality.to_dict(),
            "verdict": self.verdict,
            "path": self.run.path,
        }


def summary(run: Run) -> Summary:
    """A run at a glance. One that is damaged says so."""
    try:
        timing, metrics = (_newest(run.path / f"{name}.jsonl") for name in ("timing", "metrics"))
        return Summary(
            run,
            run.state,
            recipe=run.recipe_name,
            data=run.data.name,
            origin=None if run.settings.origin is None else run.settings.origin.run,
            started=_started(run),
            step=max((int(row["step"]) for row in (timing, metrics) if row), default=None),
            seconds=float(timing["seconds"]) if timing else None,
            quality=quality.known(run),
            verdict=verdict(run)[0],
        )
    except (UserError, OSError, UnicodeDecodeError) as error:  # one damaged run does not hide the others
        return Summary(run, f"damaged ({error})")


def note_verdict(run: Run, verdict: str, reason: str) -> None:
    """Writes what the doctor said: doctor.json. Raises OSError when it cannot be."""
    write_json(run.path / DOCTOR, {"verdict": verdict, "reason": reason})


def verdict(run: Run) -> tuple[str | None, str]:
    """The doctor's verdict as last noted, and what it rests on; None and nothing where there is none."""
    try:
        told = read_json(run.path / DOCTOR)
        return str(told["verdict"]), str(told["reason"])
    except (UserError, KeyError):
        return None, ""


def _started(run: Run) -> str:
    """As the run noted it; of earlier versions' runs, when run.json was written."""
    try:
        started = str(read_json(run.path / "environment.json")["started"])
        datetime.fromisoformat(started)
        return started
    except (UserError, KeyError, ValueError):
        written = (run.path / "run.json").stat().st_mtime
        return datetime.fromtimestamp(written).astimezone().isoformat(timespec="seconds")


def _newest(path: Path) -> dict[str, Any] | None:
    """The last whole row of a log; None where there is none near its end."""
    if not path.exists():
        return None
    with path.open("rb") as log:
        log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL))
        lines = log.read().split(b"\n")
    return next((row for row in (row_of(line, path.name) for line in reversed(lines)) if row is not None), None)
