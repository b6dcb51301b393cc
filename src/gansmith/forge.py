"""One call from names to a finished run: checks everything first, then makes the folder, trains, and draws."""

import inspect
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import load_file

from gansmith import checkpoint, data, hardware, recipes, recorder, sampling, training
from gansmith import run as runs
from gansmith.job import Job, prepare, prepare_resume
from gansmith.report import write_report
from gansmith.run import Run
from gansmith.sampling import Generator
from gansmith.training import Observer

__all__ = ["Job", "execute", "finish", "load", "prepare", "prepare_resume", "resume", "train"]


def execute(job: Job, *, observers: Sequence[Observer] = (), started: Callable[[Run], None] = lambda run: None) -> Run:
    """Trains and draws everything that a run leaves.

    Ctrl-C and SIGTERM save a checkpoint and end it in state "interrupted".

    Args:
        job: of :func:`prepare` or :func:`prepare_resume`.
        observers: told each event of the loop.
        started: told the run once its folder is there.

    Raises:
        DivergenceError: with the last good checkpoint named.
        ValueError: the folder cannot be written, or the disk is full.
    """
    torch.set_num_threads(job.choice.threads)
    device = torch.device(job.choice.device)
    torch.backends.cudnn.deterministic = True
    with torch.random.fork_rng(), _signals() as asked:
        run = job.resumed or _create(job)
        started(run)
        try:
            _train(job, run, device, asked, observers)
        except checkpoint.DivergenceError as error:
            run.mark("diverged")
            good = checkpoint.newest(run.checkpoints, [])
            name = f"the last good checkpoint is {good}" if good else "there is no good checkpoint yet"
            raise checkpoint.DivergenceError(f"training diverged: {error}; {name}; try a lower learning rate") from None
        except OSError as error:
            good = checkpoint.newest(run.checkpoints, [])
            raise ValueError(
                f"{run.path}: cannot be written ({error.strerror}); last good checkpoint: {good}"
            ) from None
        if asked.is_set():
            run.mark("interrupted")
        finish(run, job.dataset)
        if not asked.is_set():
            run.mark("finished")
            write_report(run.path)
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


def load(where: str | Path | Run, *, out: str | Path = "runs", device: str = "cpu") -> Generator:
    """The generator of a run (folder, name, "last") or of an exported folder, ready to sample.

    A run that is not finished gives the generator of its newest checkpoint.

    Raises ValueError in one line when there is none.
    """
    if not isinstance(where, Run) and (Path(where) / "model.safetensors").exists():
        generator = Generator.from_pretrained(where)
    else:
        run = where if isinstance(where, Run) else runs.find(where, out=out)
        generator = Generator.from_pretrained(run.generator) if run.generator.exists() else _from_checkpoint(run)
    generator.network.to(hardware.choose(device, "fp32", None, gflop=0).device)
    return generator


def finish(run: Run, dataset: data.Dataset) -> None:
    """Exports the generator of the newest checkpoint and draws the run's pictures and report."""
    generator = _from_checkpoint(run)
    generator.save_pretrained(run.generator)
    recorder.draw(run, generator, dataset, run.settings["seed"])
    write_report(run.path)


def _train(job: Job, run: Run, device: torch.device, asked: threading.Event, observers: Sequence[Observer]) -> None:
    players = training.new_players(job.recipe, seed=job.plan.seed, device=device)
    if job.start_from is not None:
        checkpoint.restore(job.start_from, players)
    if job.resumed is not None:
        runs.clean(run.path)
        checkpoint.prune(run.checkpoints)
        known = checkpoint.state(job.start_from)["metrics_bytes"] if job.start_from else 0
        recorder.rewind(run, players.step, known)
        _write_settings(job, run)
        (run.path / "state.txt").unlink(missing_ok=True)
    batches = data.Batches(job.dataset, job.recipe.batch_size, job.plan.seed)
    if job.sanity_steps:
        check = training.sanity_check(job.recipe, batches, seed=job.plan.seed, steps=job.sanity_steps, device=device)
        runs.write_json(run.path / "sanity.json", {"discriminator_accuracy": check})
    notes = recorder.Recorder(run, start_step=players.step, batch_size=job.recipe.batch_size)
    try:
        training.train(
            players,
            job.recipe,
            batches,
            job.plan,
            precision=job.choice.precision,
            save=notes.save,
            stop=asked.is_set,
            observers=[notes, *observers],
        )
    finally:
        notes.close()


def _create(job: Job) -> Run:
    run = runs.create(job.out, job.dataset.name, job.recipe.name)
    try:
        runs.write_json(run.path / "environment.json", recorder.environment(job.choice))
        mean, std = job.dataset.mean_and_std()
        about = {
            "name": job.dataset.name,
            "source": job.dataset.source,
            "fit": job.fit,
            "fingerprint": job.dataset.fingerprint,
            "count": len(job.dataset),
            "test_count": data.test_count(job.dataset.source),
            "shape": list(job.dataset.shape),
            "classes": list(job.dataset.classes),
            "pixel_mean": mean,
            "pixel_std": std,
        }
        runs.write_json(run.path / "data.json", about)
        _write_settings(job, run)
        runs.point_last(run)
    except OSError as error:
        raise ValueError(f"{run.path}: cannot be written ({error.strerror})") from None
    return run


def _write_settings(job: Job, run: Run) -> None:
    settings = {
        "format": runs.FORMAT,
        "name": run.name,
        "seed": job.plan.seed,
        "steps": job.steps,
        "minutes": job.minutes if job.resumed is None else job.resumed.settings["minutes"],
        "sheet_every": job.plan.sheet_every,
        "log_every": job.plan.log_every,
        "checkpoint_every": job.plan.checkpoint_every,
        "device": job.choice.device,
        "precision": job.choice.precision,
        "threads": job.choice.threads,
        "animation": job.animation,
    }
    runs.write_text(run.path / "recipe.json", job.recipe.to_json())
    runs.write_json(run.path / "run.json", settings)  # last: a folder is a run once this is there


def _from_checkpoint(run: Run) -> Generator:
    newest = checkpoint.newest(run.checkpoints, [])
    if newest is None:
        raise ValueError(f"{run.path} has no generator yet: no checkpoint is whole; go on with --resume {run.name}")
    network = recipes.generator(run.recipe)
    network.load_state_dict(load_file(newest / "generator.safetensors"))
    generator = sampling.snapshot(network, run.recipe)
    step = checkpoint.state(newest)["step"]
    about = {"data": run.data["name"], "steps": step, "seed": run.settings["seed"]}
    return replace(generator, classes=tuple(run.data["classes"]), about=about)


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
