"""One call from names to a finished run: checks everything first, then makes the folder, trains, and draws."""

import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch
from safetensors.torch import load_file

from gansmith import checkpoint, data, hardware, recipes, recorder, sampling, training
from gansmith import run as runs
from gansmith.recipe import Recipe
from gansmith.report import write_report
from gansmith.run import Run
from gansmith.sampling import Generator
from gansmith.step import step
from gansmith.training import Observer, Plan

SHEETS = 20  # how many times a run looks at its fixed noise, unless told otherwise
LOG_EVERY = 10
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Job:
    """A training that was checked and can start: nothing is written yet."""

    recipe: Recipe
    dataset: data.Dataset
    choice: hardware.Choice
    plan: Plan
    out: Path
    fit: Literal["crop", "pad"]
    minutes: float | None
    animation: str
    seconds_per_step: float
    sanity_steps: int = 0
    resumed: Run | None = None
    start_step: int = 0
    start_from: Path | None = None
    warnings: tuple[str, ...] = ()

    @property
    def steps(self) -> int | None:
        """Where it ends; None when time decides."""
        return self.plan.steps if self.minutes is None else None

    @property
    def estimated_seconds(self) -> float:
        """How long training will take, from a step made on throw-away networks."""
        if self.minutes is not None:
            return self.minutes * 60
        return (self.plan.steps - self.start_step) * self.seconds_per_step


def prepare(
    source: str | Path = "mnist",
    *,
    recipe: str | Recipe = "mlp-bn",
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    out: str | Path = "runs",
    fit: Literal["crop", "pad"] = "crop",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    sheet_every: int | None = None,
    log_every: int | None = None,
    checkpoint_every: int | None = None,
    sanity_steps: int = 0,
    gif: bool = False,
    overrides: Mapping[str, Any] | None = None,
    progress: data.Progress | None = None,
) -> Job:
    """Checks a training and estimates its time; writes nothing but the data cache.

    Args:
        source: a data set's name, or the path of a folder, .zip, .npz or IDX file.
        recipe: a name, or a complete value.
        steps: updates of each player; None for the recipe's own length.
        minutes: train for this long instead.
        seed: decides initial weights, noise and order of the data; 0 .. 2**63 - 1.
        out: the folder that run folders are made in.
        fit: non-square pictures are cropped to the centre, or padded.
        device, precision, threads: see :func:`gansmith.hardware.choose`.
        sheet_every, log_every, checkpoint_every: intervals in steps.
        sanity_steps: train a throw-away discriminator this long against untrained fakes first, and report.
        gif: animate as GIF instead of WebP.
        overrides: changes to the recipe, as :meth:`Recipe.override` takes them.
        progress: told how data decoding gets on.

    Raises:
        ValueError: one line saying what is wrong, where, and what to do.
    """
    value = recipes.get(recipe) if isinstance(recipe, str) else recipe
    changes = dict(overrides or {})
    if steps is not None:
        changes["steps"] = steps
    value = value.override(changes)
    recipes.entry(value.name)
    if steps is not None and minutes is not None:
        raise ValueError("--steps and --minutes: give one of them")
    _check(seed, minutes, sanity_steps)
    dataset = data.load(source, size=value.size, fit=fit, progress=progress)
    channels = dataset.shape[0]
    if "channels" in changes and value.channels != channels:
        raise ValueError(f"channels = {value.channels}, but {dataset.name} has {channels}; leave channels out")
    value = value.override(channels=channels)
    data.Batches(dataset, value.batch_size, seed)  # raises if the data are too few
    choice = hardware.choose(device, precision, threads, gflop=recipes.step_gflop(value))
    per_step = _time_step(value, choice)
    expected = value.steps if minutes is None else max(1, int(minutes * 60 / per_step))
    plan = Plan(
        seed=seed,
        steps=value.steps if minutes is None else 10**9,
        seconds=None if minutes is None else minutes * 60,
        sheet_every=_interval(
            "sheet-every", sheet_every, expected // SHEETS if minutes is None else _round(expected / SHEETS)
        ),
        log_every=_interval("log-every", log_every, min(LOG_EVERY, expected)),
        checkpoint_every=_interval("checkpoint-every", checkpoint_every, max(1, round(expected / SHEETS))),
    )
    return Job(
        value,
        dataset,
        choice,
        plan,
        Path(out),
        fit,
        minutes,
        "samples.gif" if gif else "samples.webp",
        per_step,
        sanity_steps=sanity_steps,
    )


def prepare_resume(
    where: str | Path,
    *,
    source: str | Path | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    out: str | Path = "runs",
    device: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    progress: data.Progress | None = None,
) -> Job:
    """Checks that a run can go on from its newest whole checkpoint.

    Args:
        where: the run: folder, name or "last".
        source: where its data are now, if they were moved.
        steps: train up to this step; None for what the run was started with.
        minutes: train for this long from here.
        out: where names are looked up.
        device, precision, threads: None for what the run used; others end in other bytes.
        progress: told how data decoding gets on.

    Raises:
        ValueError: one line: no such run, data that changed, no whole checkpoint, or nothing left to do.
    """
    run = runs.find(where, out=out)
    settings, about = run.settings, run.data
    if steps is not None and minutes is not None:
        raise ValueError("--steps and --minutes: give one of them")
    _check(0, minutes, 0)
    warnings: list[str] = []
    newest = checkpoint.newest(run.checkpoints, warnings)
    start = int(checkpoint.state(newest)["step"]) if newest else 0
    if newest is None and any(run.checkpoints.glob("step-*")):
        raise ValueError(f"{run.path}: no checkpoint is whole ({warnings[0]}); start again with `gansmith train`")
    if minutes is None and steps is None:
        steps, minutes = settings["steps"], settings["minutes"]
        if minutes is not None:
            spent = [float(row["seconds"]) for row in runs.rows(run.path / "timing.jsonl") if row["step"] <= start]
            minutes = minutes - (spent[-1] if spent else 0.0) / 60
    done = (steps is not None and start >= steps) or (minutes is not None and minutes <= 0)
    if done and run.finished:
        raise ValueError(
            f"{run.path} is finished at step {start}; ask for more with --steps {2 * start} or --minutes 1"
        )
    recipe = run.recipe if steps is None else run.recipe.override(steps=steps)
    dataset = data.load(source or about["source"], size=recipe.size, fit=about["fit"], progress=progress)
    if dataset.fingerprint != about["fingerprint"]:
        raise ValueError(f"{dataset.source}: the data changed since {run.name} began; restore them or start a new run")
    used = (settings["device"], settings["precision"], settings["threads"])
    wanted = (device or used[0], precision or used[1], threads or used[2])
    choice = hardware.choose(*wanted, gflop=0)
    if wanted != used:
        warnings.append("device, precision or threads differ from the run's: it goes on, but not in the same bytes")
    then = runs.read_json(run.path / "environment.json") if (run.path / "environment.json").exists() else {}
    now = recorder.environment(choice)
    for what in ("torch", "processor", "gansmith"):
        if then.get(what, now[what]) != now[what]:
            warnings.append(f"{what} is {now[what]}, was {then[what]}: it goes on, but maybe not in the same bytes")
    plan = Plan(
        seed=settings["seed"],
        steps=recipe.steps if minutes is None else 10**9,
        seconds=None if minutes is None else max(minutes, 0) * 60,
        sheet_every=settings["sheet_every"],
        log_every=settings["log_every"],
        checkpoint_every=settings["checkpoint_every"],
    )
    return Job(
        recipe,
        dataset,
        choice,
        plan,
        run.path.parent,
        about["fit"],
        minutes,
        settings["animation"],
        _time_step(recipe, choice),
        resumed=run,
        start_step=start,
        start_from=newest,
        warnings=tuple(warnings),
    )


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
    known = set(prepare.__annotations__)
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


def _check(seed: int, minutes: float | None, sanity_steps: int) -> None:
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"--seed {seed}: give a whole number from 0 to 2**63 - 1")
    if minutes is not None and not 0 < minutes <= 60 * 24 * 365:
        raise ValueError(f"--minutes {minutes}: give more than 0 and at most a year")
    if not 0 <= sanity_steps <= 100_000:
        raise ValueError(f"--sanity-steps {sanity_steps}: give 0 to 100,000")


def _interval(flag: str, asked: int | None, default: int) -> int:
    if asked is None:
        return max(1, default)
    if asked < 1:
        raise ValueError(f"--{flag} {asked}: give a number of steps, at least 1")
    return asked


def _round(value: float) -> int:
    """To one significant digit: intervals that people like to read."""
    digits = max(0, len(str(int(value))) - 1)
    return max(1, int(round(value / 10**digits) * 10**digits))


def _time_step(recipe: Recipe, choice: hardware.Choice) -> float:
    """Seconds of a training step, made on throw-away networks: one for slow recipes, several for fast ones."""
    torch.set_num_threads(choice.threads)
    device = torch.device(choice.device)
    with torch.random.fork_rng():
        players = training.new_players(recipe, seed=0, device=device)
        shape = (recipe.batch_size, recipe.channels, recipe.size, recipe.size)
        real = torch.zeros(shape, device=device).contiguous(memory_format=torch.channels_last)
        times: list[float] = []
        while not times or (sum(times[1:]) < 0.3 and times[0] < 2):  # the first is cold; a slow one has to do
            start = time.perf_counter()
            with torch.autocast(device.type, torch.bfloat16, enabled=choice.precision == "bf16"):
                float(step(players, recipe, real).generator_loss)
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:] or times)


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
