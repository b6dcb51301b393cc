"""How a run goes, read from its folder alone: what is new since the last look, for a page that watches."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gansmith.errors import UserError
from gansmith.files import read_json
from gansmith.runs import Run, quality, summary
from gansmith.runs.run import row_of
from gansmith.studio import jobs
from gansmith.studio.desk import Desk
from gansmith.text import finite

LOGS = {
    "metrics": (
        "discriminator_loss",
        "generator_loss",
        "discriminator_accuracy",
        "generator_accuracy",
        "pixel_mean",
        "pixel_std",
    ),
    "quality": ("fd",),
    "timing": ("seconds", "images_per_second"),
}
"""The logs that a page draws, and which of their columns."""
MOST_ROWS = 1500
"""Rows of a log that are sent at once; longer logs are thinned evenly."""
MOST_BYTES = 64 << 20
"""Of a log that is read."""
FRESH = 20.0
"""Seconds after a row in which a run without a job of ours is taken to be trained elsewhere."""
AGE = 0.3
"""Seconds for which a status serves all who watch."""
_recent: dict[Path, tuple[float, dict[str, Any]]] = {}
ENDED = {"finished": "finished", "diverged": "diverged"}


def state(run: Run, job: jobs.Job | None) -> str:
    """ "training", "saving", "drawing", "finished", "paused", "stopped", "diverged", "elsewhere" or "broken"."""
    alive = job is not None and job.alive
    ended = run.state
    if alive and job is not None:
        if job.asked:
            return "saving"
        return "drawing" if ended == "finished" and not run.finished else "training"
    if ended == "interrupted":
        return "stopped" if job is not None and job.asked == "stop" else "paused"
    if ended in ENDED:
        return ENDED[ended]
    return "elsewhere" if job is None and time.time() - _touched(run) < FRESH else "broken"


def _touched(run: Run) -> float:
    """When its logs were last written to."""
    paths = [run.path / f"{name}.jsonl" for name in ("metrics", "timing")]
    return max([path.stat().st_mtime for path in paths if path.exists()], default=0.0)


def statuses(desk: Desk, of: Iterable[Run]) -> list[dict[str, Any]]:
    """Runs at a glance, in their order."""
    trained = jobs.by_run(desk)
    return [status(run, trained.get(run.name)) for run in of]


def recent(desk: Desk, run: Run) -> dict[str, Any]:
    """The status of a run, read anew where nobody asked for it just now: many may watch one run."""
    now = time.monotonic()
    found = _recent.get(run.path)
    if found is None or now - found[0] > AGE:
        if len(_recent) > 100:
            _recent.clear()
        found = _recent[run.path] = now, status(run, jobs.of_run(desk, run.name))
    return found[1]


def status(run: Run, job: jobs.Job | None) -> dict[str, Any]:
    """A run at a glance, with what a page needs to go on with it."""
    run = Run(run.path)  # what it keeps may have changed
    seen = summary.summary(run)
    found: dict[str, Any] = {**seen.to_dict(), "folder_state": seen.state, "state": state(run, job), "error": ""}
    del found["path"]
    if job is not None:
        told = job.to_dict()
        found |= {"error": told["error"] if not told["alive"] else "", "doing": told["doing"]}
    try:
        settings, about = run.settings, run.data
        found |= {
            "steps": settings.steps,
            "minutes": settings.minutes,
            "seed": settings.seed,
            "evaluate_every": settings.evaluate_every,
            "images": {"mean": about.pixel_mean, "std": about.pixel_std, "shape": list(about.shape)},
            "protocol": _protocol(run),
            "report": (run.path / "report.html").exists(),
            "pictures": [name for name in PICTURES if (run.path / name).exists()],
            "best": run.best(),
            "real_label": read_json(run.path / "recipe.json").get("real_label"),
        }
    except (UserError, OSError) as error:
        found |= {"state": "damaged", "error": str(error)}
    return found


PICTURES = (
    "sheet.png",
    "real-and-generated.png",
    "quiz.png",
    "quiz-key.png",
    "doctor.png",
    "samples.webp",
    "samples.gif",
)
"""Pictures of a run that may be asked for."""


def _protocol(run: Run) -> dict[str, Any] | None:
    found = quality.protocol(run)
    return None if found is None else {k: v for k, v in vars(found).items() if k != "fingerprint"}


@dataclass
class Tail:
    """The end of a log that grows, and is cut where a run goes back to a checkpoint."""

    path: Path
    columns: tuple[str, ...]
    place: int = 0
    last_step: int = -1

    def news(self) -> tuple[bool, dict[str, list[float | None]]]:
        """Whether all that was read before is void, and the new rows by columns, "step" first."""
        size = self.path.stat().st_size if self.path.exists() else 0
        reset = size < self.place
        if reset:
            self.place, self.last_step = 0, -1
        found: dict[str, list[float | None]] = {"step": [], **{name: [] for name in self.columns}}
        if size <= self.place:
            return reset, found
        with self.path.open("rb") as log:
            log.seek(self.place)
            text = log.read(min(size - self.place, MOST_BYTES))
        whole = text.rfind(b"\n") + 1
        self.place += whole
        rows = [row for line in text[:whole].splitlines() if (row := row_of(line, self.path.name)) is not None]
        if rows and rows[0]["step"] <= self.last_step:  # it was cut and written further between two looks
            self.place, self.last_step = 0, -1
            return True, self.news()[1]
        for row in thinned(rows):
            found["step"].append(row["step"])
            for name in self.columns:
                found[name].append(finite(row.get(name)))
        if rows:
            self.last_step = int(rows[-1]["step"])
        return reset, found


def thinned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most so many rows as a page can show, evenly, the last among them."""
    stride = -(-len(rows) // MOST_ROWS)
    return rows if stride <= 1 else [*rows[:-1][::stride], rows[-1]]


@dataclass
class View:
    """What one page knows of a run."""

    desk: Desk
    run: Run
    _tails: dict[str, Tail] = field(default_factory=dict)
    _status: dict[str, Any] = field(default_factory=dict)
    _sheets: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tails = {name: Tail(self.run.path / f"{name}.jsonl", columns) for name, columns in LOGS.items()}

    def news(self) -> Iterator[dict[str, Any]]:
        """Messages about what changed since the last call; all of it at the first."""
        now = recent(self.desk, self.run)
        if now != self._status:
            self._status = now
            yield {"type": "status", "status": now}
        for name, tail in self._tails.items():
            reset, rows = tail.news()
            if reset or rows["step"]:
                yield {"type": "rows", "log": name, "reset": reset, "rows": rows}
        sheets = [step for step, _ in self.run.sheets()]
        if sheets != self._sheets:
            self._sheets = sheets
            yield {"type": "sheets", "steps": sheets}
