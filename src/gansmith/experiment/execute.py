"""One call from names to a finished run: checks everything first, then makes the folder, trains, and draws."""

import inspect
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch

from gansmith import data, errors, files, runs
from gansmith.data import on_device
from gansmith.doctor import plot as doctor_picture
from gansmith.doctor import signals
from gansmith.doctor.examination import examine
from gansmith.errors import UserError
from gansmith.evaluation import online
from gansmith.experiment import artifacts, environment
from gansmith.experiment.prepare import Job, prepare, prepare_resume
from gansmith.report.page import write_report
from gansmith.runs import DataFacts, Run, checkpoint, recorder
from gansmith.runs.load import from_checkpoint
from gansmith.training import loop
from gansmith.training.loop import Observer

if sys.platform != "win32":
    import fcntl

__all__ = ["Job", "execute", "finish", "prepare", "prepare_resume", "resume", "train"]


def execute(job: Job, *, observers: Sequence[Observer] = (), started: Callable[[Run], None] = lambda run: None) -> Run:
    """Trains and draws everything that a run leaves.

    Ctrl-C and SIGTERM save a checkpoint and end it in state "interrupted".

    Args:
        job: of :func:`prepare` or :func:`prepare_resume`.
        observers: told each event of the loop.
        started: told the run once its folder is there.

    Raises:
        DivergenceError: with the last good checkpoint named.
        UserError: the folder cannot be written, or the disk is full.
    """
    torch.set_num_threads(job.choice.threads)
    torch.backends.cudnn.deterministic = True
    with torch.random.fork_rng(), _signals() as asked:
        run = job.resumed or _create(job)
        with _alone(run):
            if job.resumed is not None:
                run = _rewind(job, run)
            started(run)
            try:
                ended = _train(job, run, asked, observers)
            except errors.DivergenceError as error:
                run.mark("diverged")
                good = checkpoint.newest(run.checkpoints, [])
                name = f"the last good checkpoint is {good}" if good else "there is no good checkpoint yet"
                raise errors.DivergenceError(f"training diverged: {error}; {name}; try a lower learning rate") from None
            except OSError as error:
                good = checkpoint.newest(run.checkpoints, [])
                raise UserError(
                    f"{run.path}: cannot be written ({error.strerror}); last good checkpoint: {good}"
                ) from None
            finish(run, job.dataset, "finished" if ended else "interrupted")
    return run


def train(source: str | Path = "mnist", *, observers: Sequence[Observer] = (), **arguments: Any) -> Run:
    """Trains from names to a finished run: :func:`prepare`, then :func:`execute`.

    Takes what :func:`prepare` takes; any other keyword is a change to the recipe:
    ``train("mnist", recipe="mlp", steps=2000, batch_size=128)``.
    """
    known = set(inspect.signature(prepare).parameters)
    overrides = dict(arguments.pop("overrides", None) or {})
    overrides.update({name: arguments.pop(name) for name in list(arguments) if name not in known})
    return execute(prepare(source, overrides=overrides, **arguments), observers=observers)


def resume(where: str | Path, *, observers: Sequence[Observer] = (), **arguments: Any) -> Run:
    """Goes on with a run: :func:`prepare_resume`, then :func:`execute`."""
    return execute(prepare_resume(where, **arguments), observers=observers)


def finish(run: Run, dataset: data.Dataset, state: Literal["finished", "interrupted"]) -> None:
    """Exports the generator of the newest checkpoint and draws the run's pictures and report.

    Raises UserError when the folder cannot be written.
    """
    try:
        generator = from_checkpoint(run)
        generator.save_pretrained(run.generator)
        artifacts.draw(run, generator, dataset, run.settings.seed)
        run.mark(state)
        doctor_picture.draw(examine(run, sheets=False))
        write_report(run.path)  # last: a run is finished once this is there
    except OSError as error:
        raise UserError(f"{run.path}: the pictures cannot be written ({error.strerror}); `resume` draws them") from None


def _train(job: Job, run: Run, asked: threading.Event, observers: Sequence[Observer]) -> bool:
    """Trains from the start or from the job's checkpoint; whether the end was reached."""
    device = torch.device(job.choice.device)
    players = loop.new_players(job.recipe, seed=job.plan.seed, device=device, fast=job.choice.fast)
    if job.start_from is not None:
        checkpoint.restore(job.start_from, players)
    batches = on_device.nearest(data.Batches(job.dataset, job.recipe.batch_size, job.plan.seed), device)
    steps, sanity = job.settings.sanity_steps, run.path / "sanity.json"
    if steps and not sanity.exists():
        check = loop.sanity_check(
            job.recipe,
            batches,
            seed=job.plan.seed,
            steps=steps,
            device=device,
            fast=job.choice.fast,
            stop=asked.is_set,
        )
        files.write_json(sanity, {"discriminator_accuracy": check})
    if job.measuring.stick is not None:
        online.begin(run, job.measuring.stick)
    notes = recorder.Recorder(run, start_step=players.step, batch_size=job.recipe.batch_size)
    try:
        return loop.train(
            players,
            job.recipe,
            batches,
            job.plan,
            precision=job.choice.precision,
            fast=job.choice.fast,
            save=notes.save,
            stop=asked.is_set,
            observers=[notes, *observers],
            probes=_probes(job, device),
        )
    finally:
        notes.close()


def _probes(job: Job, device: torch.device) -> list[loop.Probe]:
    """What looks at the players while they train."""
    probes = []
    if job.measuring.stick is not None:
        probes.append(online.probe(job.measuring.stick, job.recipe, job.measuring.every))
    if job.settings.signals_every:
        probes.append(
            signals.probe(
                job.recipe,
                job.dataset,
                signals.holdout(job.dataset, job.fit),
                seed=job.plan.seed,
                every=job.settings.signals_every,
                precision=job.choice.precision,
                device=device,
            )
        )
    return probes


def _create(job: Job) -> Run:
    mean, std = job.dataset.mean_and_std()
    about = DataFacts(
        name=job.dataset.name,
        source=job.dataset.source,
        fit=job.fit,
        fingerprint=job.dataset.fingerprint,
        count=len(job.dataset),
        test_count=data.test_count(job.dataset.source),
        shape=job.dataset.shape,
        classes=job.dataset.classes,
        pixel_mean=mean,
        pixel_std=std,
    )
    run = runs.create(job.out, job.dataset.name, job.recipe.name)
    try:
        files.write_json(run.path / "environment.json", environment.environment(job.choice))
        files.write_json(run.path / "data.json", about.model_dump(mode="json"))
        _write_settings(job, run)
        runs.point_last(run)
    except BaseException as error:
        shutil.rmtree(run.path, ignore_errors=True)
        if isinstance(error, OSError):
            raise UserError(f"`out` {job.out}: cannot be written ({error.strerror}); name another folder") from None
        raise
    return run


def _rewind(job: Job, run: Run) -> Run:
    """Brings a run's folder back to its checkpoint, with the settings that hold from here on."""
    try:
        files.clean(run.path)
        for name in ("report.html", "state.txt"):  # it is no longer finished
            (run.path / name).unlink(missing_ok=True)
        known = checkpoint.state(job.start_from)["metrics_bytes"] if job.start_from else 0
        recorder.rewind(run, job.start_step, known)
        best = run.best()
        checkpoint.prune(run.checkpoints, beyond=job.start_step, keep=() if best is None else (best[0],))
        _write_settings(job, run)
    except OSError as error:
        raise UserError(f"{run.path}: cannot be written ({error.strerror})") from None
    return Run(run.path)


def _write_settings(job: Job, run: Run) -> None:
    files.write_text(run.path / "recipe.json", job.recipe.to_json())
    files.write_json(run.path / "run.json", job.settings.model_dump(mode="json"))  # last: with it, a folder is a run


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    """Refuses to train a run that another process trains. The lock goes with the process, however it ends."""
    if sys.platform == "win32":
        yield
        return
    with (run.path / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"{run.path} is being trained by another process; stop it first") from None
        yield


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second one ends the program as usual."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
