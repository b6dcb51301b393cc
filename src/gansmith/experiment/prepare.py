"""A Job: a training that was checked in every respect and can start; preparing one writes only the data cache."""

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from gansmith import cpu_speed, data, files, hardware, recipes, runs
from gansmith.doctor import signals
from gansmith.errors import UserError
from gansmith.evaluation import online
from gansmith.experiment import environment
from gansmith.progress import Progress
from gansmith.recipe import Recipe
from gansmith.runs import Run, Settings, checkpoint, recorder
from gansmith.training import loop
from gansmith.training.loop import Plan

SHEETS = 20  # how many times a run looks at its fixed noise, unless told otherwise
LOG_EVERY = 10
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Job:
    """A training that was checked and can start: nothing is written yet."""

    recipe: Recipe
    dataset: data.Dataset
    settings: Settings
    choice: hardware.Choice
    plan: Plan
    out: Path
    fit: Literal["crop", "pad"]
    minutes: float | None
    seconds_per_step: float
    resumed: Run | None = None
    start_step: int = 0
    start_from: Path | None = None
    warnings: tuple[str, ...] = ()
    measuring: online.Measuring = online.NEVER

    @property
    def steps(self) -> int | None:
        """Where it ends; None when time decides."""
        return self.settings.steps

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
    fast: Literal["auto", "off"] = "auto",
    sheet_every: int | None = None,
    log_every: int | None = None,
    checkpoint_every: int | None = None,
    evaluate_every: int | None = None,
    signals_every: int | None = None,
    sanity_steps: int = 0,
    gif: bool = False,
    conditional: bool | Literal["projection", "auxiliary"] = False,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
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
        device, precision, threads, fast: see :func:`gansmith.hardware.choose`.
        sheet_every, log_every, checkpoint_every: intervals in steps.
        evaluate_every: steps between measurements of quality; 0 for none, None for what takes under 5 % of the time.
        signals_every: steps between looks at the players for the doctor; 0 for none.
        sanity_steps: train a throw-away discriminator this long against untrained fakes first, and report.
        gif: animate as GIF instead of WebP.
        conditional: train on the data's labels, read by this head of the discriminator; True is "projection".
        overrides: changes to the recipe, as :meth:`Recipe.override` takes them.
        progress: told how data decoding gets on.

    Raises:
        UserError: one line saying what is wrong, where, and what to do.
    """
    if not isinstance(recipe, str | Recipe):
        raise UserError(f"recipe {recipe!r}: give a name, such as mlp, or a Recipe")
    value = recipes.get(recipe) if isinstance(recipe, str) else recipe
    changes = dict(overrides or {})
    if steps is not None:
        changes["steps"] = steps
    if conditional:
        changes["conditional"] = "projection" if conditional is True else conditional
    value = value.override(changes)
    recipes.entry(value.name)
    if steps is not None and minutes is not None:
        raise UserError("`steps` and `minutes`: give one of them")
    _check(seed, minutes, sanity_steps)
    asked = {"sheet_every": sheet_every, "log_every": log_every, "checkpoint_every": checkpoint_every}
    for name, every in asked.items():
        _interval(name, every, 1)
    hardware.choose(device, precision, threads, gflop=0, fast=fast)  # complains before the data are read
    dataset = data.load(source, size=value.size, fit=fit, progress=progress)
    channels = dataset.shape[0]
    if "channels" in changes and value.channels != channels:
        raise UserError(f"channels = {value.channels}, but {dataset.name} has {channels}; leave channels out")
    value = value.override(channels=channels, classes=_classes(value, dataset))
    data.Batches(dataset, value.batch_size, seed)  # raises if the data are too few
    choice = hardware.choose(
        device, precision, threads, gflop=recipes.step_gflop(value), fast=fast, measure=cpu_speed.speeds
    )
    per_step = _time_step(value, choice)
    expected = value.steps if minutes is None else max(1, int(minutes * 60 / per_step))
    saved = _interval("checkpoint_every", checkpoint_every, round(expected / SHEETS))
    measuring = online.choose(
        dataset,
        value,
        choice,
        asked=evaluate_every,
        steps=expected,
        checkpoint_every=saved,
        fit=fit,
        progress=progress,
    )
    settings = Settings(
        seed=seed,
        steps=value.steps if minutes is None else None,
        minutes=minutes,
        sheet_every=_interval(
            "sheet_every", sheet_every, expected // SHEETS if minutes is None else _round(expected / SHEETS)
        ),
        log_every=_interval("log_every", log_every, min(LOG_EVERY, expected)),
        checkpoint_every=saved,
        evaluate_every=measuring.every,
        sanity_steps=sanity_steps,
        device=choice.device,
        precision=choice.precision,
        threads=choice.threads,
        fast="auto" if choice.fast else "off",
        animation="samples.gif" if gif else "samples.webp",
        signals_every=signals.interval(value, device=choice.device, precision=choice.precision)
        if signals_every is None
        else signals_every and _interval("signals_every", signals_every, 0),
    )
    plan = _plan(settings, minutes)
    same = tuple(_unfinished(Path(out), value, dataset, seed))
    return Job(
        value, dataset, settings, choice, plan, Path(out), fit, minutes, per_step, warnings=same, measuring=measuring
    )


def _unfinished(out: Path, recipe: Recipe, dataset: data.Dataset, seed: int) -> Iterator[str]:
    """A line about each unfinished run that was begun with the same recipe, data and seed."""
    for run in runs.every(out):
        try:
            same = (run.recipe, run.data.fingerprint, run.settings.seed) == (recipe, dataset.fingerprint, seed)
            if same and not run.finished and run.state != "diverged":  # which would only diverge again
                yield f"{run.path}, begun the same way, is unfinished; to go on with it: --resume {run.name}"
        except UserError:  # a damaged run is nobody's business here
            continue


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
    fast: Literal["auto", "off"] | None = None,
    progress: Progress | None = None,
) -> Job:
    """Checks that a run can go on from its newest whole checkpoint.

    Args:
        where: the run: folder, name or "last".
        source: where its data are now, if they were moved.
        steps: train up to this step; None for what the run was started with.
        minutes: train for this long from here.
        out: where names are looked up.
        device, precision, threads, fast: None for what the run used; others end in other bytes.
        progress: told how data decoding gets on.

    Raises:
        UserError: one line: no such run, data that changed, no whole checkpoint, or nothing left to do.
    """
    if steps is not None and minutes is not None:
        raise UserError("`steps` and `minutes`: give one of them")
    _check(0, minutes, 0)
    run = runs.find(where, out=out)
    about = run.data
    warnings: list[str] = []
    newest = checkpoint.newest(run.checkpoints, warnings)
    at = checkpoint.state(newest) if newest else {"step": 0, "metrics_bytes": 0}
    if newest is None and any(run.checkpoints.glob("step-*")):
        raise UserError(f"{run.path}: no checkpoint is whole ({warnings[0]}); start again with `gansmith train`")
    if recorder.lacks_metrics(run, at["metrics_bytes"]):
        warnings.append(f"metrics.jsonl lacks rows up to step {at['step']}: its plots will start there")
    settings, left = _end(run, at["step"], steps, minutes)
    recipe = run.recipe if settings.steps is None else run.recipe.override(steps=settings.steps)
    dataset = data.load(source or about.source, size=recipe.size, fit=about.fit, progress=progress)
    if dataset.fingerprint != about.fingerprint:
        raise UserError(f"{dataset.source}: the data changed since {run.name} began; restore them or start a new run")
    choice = hardware.choose(
        device or settings.device,
        precision or settings.precision,
        threads or settings.threads,
        gflop=recipes.step_gflop(recipe),
        fast=fast or settings.fast,
        measure=cpu_speed.speeds,
    )
    changed = {"device": choice.device, "precision": choice.precision, "threads": choice.threads}
    changed["fast"] = "auto" if choice.fast else "off"
    settings = settings.model_copy(update=changed)
    warnings += _differences(run, choice)
    plan = _plan(settings, left)
    if left is not None and left <= 0:  # the time was over when it was cut: only the drawing is missing
        plan = replace(plan, steps=at["step"])
    return Job(
        recipe,
        dataset,
        settings,
        choice,
        plan,
        run.path.parent,
        about.fit,
        left,
        _time_step(recipe, choice),
        resumed=run,
        start_step=at["step"],
        start_from=newest,
        warnings=tuple(warnings),
        measuring=online.again(settings.evaluate_every, dataset, fit=about.fit, progress=progress),
    )


def _plan(settings: Settings, minutes: float | None) -> Plan:
    """What the loop needs: settings, and the minutes that are left where time ends it."""
    return Plan(
        seed=settings.seed,
        steps=settings.steps or 10**9,
        seconds=None if minutes is None else max(minutes, 0.0) * 60,
        sheet_every=settings.sheet_every,
        log_every=settings.log_every,
        checkpoint_every=settings.checkpoint_every,
    )


def _end(run: Run, start: int, steps: int | None, minutes: float | None) -> tuple[Settings, float | None]:
    """A resumed run's settings, with the end that was asked for, else the one it had; and the minutes left, if any."""
    settings = run.settings
    spent = [float(row["seconds"]) for row in runs.rows(run.path / "timing.jsonl") if row["step"] <= start]
    before = spent[-1] / 60 if spent else 0.0
    if steps is not None:
        settings = settings.model_copy(update={"steps": steps, "minutes": None})
    elif minutes is not None:
        settings = settings.model_copy(update={"steps": None, "minutes": before + minutes})
    left = None if settings.minutes is None else settings.minutes - before
    done = start >= settings.steps if settings.steps is not None else left is not None and left <= 0
    if done and run.finished:
        raise UserError(f"{run.path} is finished at step {start}; ask for more with `steps` {2 * start} or `minutes` 1")
    if settings.steps is not None and settings.steps < start:
        raise UserError(f"`steps` {settings.steps}: {run.path} is at step {start} already; ask for more")
    return settings, left


def _differences(run: Run, choice: hardware.Choice) -> list[str]:
    """Warnings about what is not as it was when the run began, for its bytes depend on it."""
    path = run.path / "environment.json"
    then = files.read_json(path) if path.exists() else {}
    now = environment.environment(choice)
    names = ("device", "precision", "threads", "layers", "torch", "processor", "gansmith")
    return [
        f"{name} is {now[name]}, was {then[name]}: training goes on, but maybe not in the same bytes"
        for name in names
        if then.get(name, now[name]) != now[name]
    ]


def _check(seed: int, minutes: float | None, sanity_steps: int) -> None:
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"`seed` {seed}: give a whole number from 0 to 2**63 - 1")
    if minutes is not None and not 0 < minutes <= 60 * 24 * 365:
        raise UserError(f"`minutes` {minutes}: give more than 0 and at most a year")
    if not 0 <= sanity_steps <= 100_000:
        raise UserError(f"`sanity_steps` {sanity_steps}: give 0 to 100,000")


def _interval(name: str, asked: int | None, default: int) -> int:
    if asked is None:
        return max(1, default)
    if asked < 1:
        raise UserError(f"`{name}` {asked}: give a number of steps, at least 1")
    return asked


def _classes(recipe: Recipe, dataset: data.Dataset) -> int:
    """How many labels a conditional recipe learns; 0 for any other."""
    if recipe.conditional == "none":
        return 0
    if dataset.labels is None:
        raise UserError(f"`conditional`: {dataset.name} has no labels; put its images in one sub-folder per class")
    if len(dataset.classes) < 2:
        raise UserError(f"`conditional`: all images of {dataset.name} are of one class; train without it")
    return len(dataset.classes)


def _round(value: float) -> int:
    """To one significant digit: intervals that people like to read."""
    digits = max(0, len(str(int(value))) - 1)
    return max(1, int(round(value / 10**digits) * 10**digits))


def _time_step(recipe: Recipe, choice: hardware.Choice) -> float:
    """Seconds of a training step, made on throw-away networks: one for slow recipes, several for fast ones."""
    torch.set_num_threads(choice.threads)
    device = torch.device(choice.device)
    with torch.random.fork_rng():
        players = loop.new_players(recipe, seed=0, device=device, fast=choice.fast)
        shape = (recipe.batch_size, recipe.channels, recipe.size, recipe.size)
        real = torch.zeros(shape, device=device).contiguous(memory_format=torch.channels_last)
        labels = torch.zeros(len(real), dtype=torch.long, device=device) if recipe.classes else None
        advance = loop.stepper(players, recipe, precision=choice.precision, fast=choice.fast)
        times: list[float] = []
        while not times or (sum(times[1:]) < 0.3 and times[0] < 2):  # the first is cold; a slow one has to do
            start = time.perf_counter()
            float(advance(real, labels).generator_loss)
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:] or times)
