"""The process of one training that the studio started: `python -m gansmith.studio.trainer FOLDER` of a job."""

import os
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from gansmith.errors import UserError
from gansmith.files import read_json, write_json
from gansmith.studio.computed import prepared
from gansmith.studio.jobs import FILE, LOCK
from gansmith.text import one_line

if sys.platform != "win32":
    import fcntl

NICE = 5
"""Trainings give way to the pages."""


class Notes:
    """job.json, as the training goes on."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.values = read_json(self._path)
        self._said = 0.0

    def write(self, **values: Any) -> None:
        """Changes some values."""
        self.values |= values
        write_json(self._path, self.values)

    def progress(self, what: str, done: int, total: int) -> None:
        """How far work is that comes before the first step."""
        if time.monotonic() > self._said + 0.5 or done >= total:
            self._said = time.monotonic()
            self.write(doing={"what": what, "done": done, "total": total})


def main(folder: Path) -> int:
    """Trains what job.json asks for; 0 at the end, 1 where it failed, which job.json then says."""
    with (folder / LOCK).open("w") as lock:
        if sys.platform != "win32":
            fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(OSError):
            os.nice(NICE)
        notes = Notes(folder)
        notes.write(pid=os.getpid(), doing={"what": "getting ready", "done": 0, "total": 0})
        try:
            _train(notes)
        except UserError as error:
            notes.write(ended=True, error=one_line(error))
            return 1
        except Exception as error:
            traceback.print_exc()
            notes.write(ended=True, error=f"this is a bug: {type(error).__name__}: {one_line(error)}")
            return 1
        notes.write(ended=True, doing=None)
    return 0


def _train(notes: Notes) -> None:
    from gansmith.experiment.execute import execute
    from gansmith.experiment.prepare import prepare_resume
    from gansmith.recipes import own

    asked = notes.values["request"]
    if asked.get("recipes"):
        own.load(asked["recipes"])
    if "evaluate" in asked:
        _evaluate(notes, Path(asked["evaluate"]))
        return
    if asked.get("resume"):
        experiment = prepare_resume(asked["resume"], out=asked["out"], progress=notes.progress, **asked["options"])
    else:
        experiment = prepared(asked, notes.progress)
    execute(experiment, started=lambda run: notes.write(run=run.name, doing=None))


def _evaluate(notes: Notes, path: Path) -> None:
    """As `gansmith evaluate` does, which keeps what it measured in the run's folder."""
    from gansmith import evaluation
    from gansmith.evaluation import inputs, stored
    from gansmith.report.page import write_report
    from gansmith.runs import Run

    kept = stored.save(Run(path), evaluation.measure(inputs.resolve(str(path)), progress=notes.progress))
    if kept.is_new and (path / "report.html").exists():
        write_report(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
