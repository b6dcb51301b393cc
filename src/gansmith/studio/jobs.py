"""Trainings that the studio starts: each a process of its own, which goes on when page and server are gone.

A job is a folder of two files: job.json, which says what was asked and how far it is, and a lock that its process holds
for as long as it lives. Everything else stands in the run's own folder, as after `gansmith train`.
"""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gansmith.errors import UserError
from gansmith.files import read_json, remove, write_json
from gansmith.studio import wording
from gansmith.studio.desk import Desk

if sys.platform != "win32":
    import fcntl

FILE, LOCK, LOG, ASKED = "job.json", "lock", "log.txt", "asked.txt"
MOST = 2
"""Trainings at once."""
KEPT = 40
"""Jobs whose folders are kept."""
SLOW_START = 30.0
"""Seconds in which a process may take its lock before it is given up."""
WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait give their core away. Two trainings on two cores otherwise spin against each other: 100 images a
second each instead of 1,800."""
_children: list["subprocess.Popen[bytes]"] = []
"""Processes of this server, to be waited for when they end."""


@dataclass(frozen=True)
class Job:
    """One start of a training."""

    folder: Path

    @property
    def id(self) -> str:
        """Its folder's name."""
        return self.folder.name

    def read(self) -> dict[str, Any]:
        """job.json: request, made, pid, run, doing, error; empty where it cannot be read."""
        with suppress(UserError):
            return read_json(self.folder / FILE)
        return {}

    @property
    def asked(self) -> str:
        """ "pause" or "stop" where it was asked to end, else empty."""
        with suppress(OSError):
            return (self.folder / ASKED).read_text()
        return ""

    @property
    def alive(self) -> bool:
        """Whether its process runs, or was started a moment ago."""
        about = self.read()
        if about.get("ended"):
            return False
        if about.get("pid") is None:
            return time.time() - float(about.get("made", 0)) < SLOW_START
        return _locked(self.folder / LOCK)

    def ask(self, word: str) -> None:
        """Asks it to save and end, as Ctrl-C does: "pause" or "stop"."""
        (self.folder / ASKED).write_text(word)
        pid = self.read().get("pid")
        if isinstance(pid, int) and pid > 1 and self.alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def to_dict(self) -> dict[str, Any]:
        """As the pages show it."""
        about = self.read()
        alive = self.alive
        error = about.get("error") or ("" if alive or about.get("ended") else "its process was killed")
        return {
            "id": self.id,
            "alive": alive,
            "asked": self.asked,
            "made": datetime.fromtimestamp(float(about.get("made", 0))).astimezone().isoformat(timespec="seconds"),
            "run": about.get("run"),
            "doing": about.get("doing"),
            "error": wording.on_pages(error),
            "data": about.get("request", {}).get("name", ""),
            "recipe": about.get("request", {}).get("recipe") or "",
            "kind": "evaluation" if _measures(about) else "training",
        }


def every(desk: Desk) -> Iterator[Job]:
    """All jobs, the newest first."""
    folder = desk.own / "jobs"
    if folder.is_dir():
        for path in sorted(folder.iterdir(), reverse=True):
            if re.fullmatch(r"[0-9]{13,}-[0-9a-f]{8}", path.name):
                yield Job(path)


def find(desk: Desk, job_id: str) -> Job | None:
    """The job of this id."""
    return next((job for job in every(desk) if job.id == job_id), None)


def by_run(desk: Desk) -> dict[str, Job]:
    """The newest training of each run that was trained here."""
    found: dict[str, Job] = {}
    for job in every(desk):
        about = job.read()
        if about.get("run") and not _measures(about):
            found.setdefault(str(about["run"]), job)
    return found


def of_run(desk: Desk, run: str) -> Job | None:
    """The newest training of a run; None for one that was trained elsewhere."""
    return by_run(desk).get(run)


def _measures(about: dict[str, Any]) -> bool:
    """Whether a job evaluates a run rather than training it."""
    return "evaluate" in about.get("request", {})


def start(desk: Desk, request: dict[str, Any]) -> Job:
    """Starts a process that trains. Raises UserError where enough run already, or the folder cannot be written."""
    _wait_for_ended()
    running = [job for job in every(desk) if job.alive]
    if len(running) >= MOST:
        raise UserError(f"{len(running)} trainings run already; pause one of them first")
    resumed = request.get("run")
    if any(job.read().get("run") == resumed for job in running if resumed):
        raise UserError(f"{resumed} is being trained already")
    if desk.recipes is not None:
        request = {**request, "recipes": str(desk.recipes)}
    folder = desk.own / "jobs" / f"{time.time_ns() // 1_000_000}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True)
        write_json(folder / FILE, {"made": time.time(), "request": request, "run": resumed, "pid": None})
        with (folder / LOG).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gansmith.studio.trainer", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**WAITING, **os.environ},
                start_new_session=True,  # so that neither Ctrl-C nor the end of the server reaches it
            )
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from None
    _children.append(process)
    for old in [job for job in every(desk) if not job.alive][KEPT:]:
        remove(old.folder)
    return Job(folder)


def _wait_for_ended() -> None:
    """Takes note of children that ended, so that they do not stay as zombies."""
    _children[:] = [child for child in _children if child.poll() is None]


def _locked(path: Path) -> bool:
    """Whether a process holds the lock of this file."""
    if sys.platform == "win32":
        return True
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
