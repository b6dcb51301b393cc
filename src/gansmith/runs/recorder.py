"""The recorder: an observer that writes a training's events into the run's folder as they come."""

import json
import os
import time
from pathlib import Path

from gansmith import render
from gansmith.files import write_bytes
from gansmith.runs import checkpoint
from gansmith.runs.run import Run, rows
from gansmith.training.events import Event, Measured, Progress, Snapshot
from gansmith.training.step import TrainState

PROBES = ("signals", "quality")  # kinds of probes: each has a JSONL file of its name


class Recorder:
    """Writes metrics.jsonl, timing.jsonl, a file for each kind of probe and the sheets of the fixed noise while
    training runs; saves checkpoints.
    """

    def __init__(self, run: Run, *, start_step: int, batch_size: int) -> None:
        self.run = run
        self._identity = run.identity
        self._metrics = (run.path / "metrics.jsonl").open("a")
        self._timing = (run.path / "timing.jsonl").open("a")
        self._probes = {kind: (run.path / f"{kind}.jsonl").open("a") for kind in PROBES}
        (run.path / "samples").mkdir(exist_ok=True)
        earlier = list(rows(run.path / "timing.jsonl"))
        self._before = float(earlier[-1]["seconds"]) if earlier else 0.0
        self._start = self._since = time.monotonic()
        self._step, self._batch_size = start_step, batch_size

    def __call__(self, event: Event) -> None:
        """Receives an event of the training loop."""
        if isinstance(event, Snapshot):
            sheet = render.sheet(event.images, columns=event.columns)
            write_bytes(self.run.path / "samples" / f"step-{event.step:06d}.png", render.png(sheet))
        elif isinstance(event, Progress) and event.metrics is not None:
            row = {"step": event.step, "images": event.images, **event.metrics}
            self._metrics.write(json.dumps(row) + "\n")
            self._metrics.flush()
            now = time.monotonic()
            if now - self._since >= 1:
                self._note_time(event.step, now)
        elif isinstance(event, Measured):
            row = {"step": event.step, "images": event.images, **event.values}
            self._probes[event.kind].write(json.dumps(row) + "\n")
            self._probes[event.kind].flush()

    def save(self, state: TrainState) -> Path:
        """A checkpoint that also knows how long metrics.jsonl is now."""
        for file in (self._metrics, *self._probes.values()):
            file.flush()
            os.fsync(file.fileno())
        self._note_time(state.step, time.monotonic())
        about = {
            "images": state.step * self._batch_size,
            "metrics_bytes": self._metrics.tell(),
            "run": self._identity,
        }
        best = self.run.best(saving=state.step)
        return checkpoint.save(self.run.checkpoints, state, about, keep=() if best is None else (best[0],))

    def close(self) -> None:
        """Closes its files."""
        self._metrics.close()
        self._timing.close()
        for file in self._probes.values():
            file.close()

    def _note_time(self, step: int, now: float) -> None:
        if step == self._step:
            return
        rate = (step - self._step) * self._batch_size / max(now - self._since, 1e-9)
        seconds = self._before + now - self._start
        row = {"step": step, "seconds": round(seconds, 3), "images_per_second": round(rate, 1)}
        self._timing.write(json.dumps(row) + "\n")
        self._timing.flush()
        self._since, self._step = now, step


def rewind(run: Run, step: int, metrics_bytes: int) -> None:
    """Takes back what a run wrote after the checkpoint of ``step``; metrics that lack rows before it are set aside."""
    for number, path in run.sheets():
        if number > step:
            path.unlink()
    for name in ("timing", *PROBES):
        kept = [row for row in rows(run.path / f"{name}.jsonl") if row["step"] <= step]
        text = "".join(json.dumps(row) + "\n" for row in kept)
        write_bytes(run.path / f"{name}.jsonl", text.encode())
    metrics = run.path / "metrics.jsonl"
    if lacks_metrics(run, metrics_bytes) and metrics.exists():
        metrics.rename(metrics.with_name("metrics.damaged.jsonl"))
    metrics.touch()
    if metrics.stat().st_size > metrics_bytes:
        os.truncate(metrics, metrics_bytes)


def lacks_metrics(run: Run, metrics_bytes: int) -> bool:
    """Whether metrics.jsonl is shorter than a checkpoint says it was."""
    metrics = run.path / "metrics.jsonl"
    return (metrics.stat().st_size if metrics.exists() else 0) < metrics_bytes
