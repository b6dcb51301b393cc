"""A run that goes on: from its newest whole checkpoint, on the same data, with the options it began with."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gansmith import data, files, hardware, runs
from gansmith.data import Images, kinds, loading, naming
from gansmith.errors import UserError
from gansmith.evaluation import online
from gansmith.experiment import beginning, environment
from gansmith.experiment.types import Experiment
from gansmith.progress import Progress
from gansmith.recipe import Recipe
from gansmith.recipes import own
from gansmith.runs import Run, checkpoint, recorder
from gansmith.training import loop
from gansmith.training.options import Settings, TrainingOptions

MAY_CHANGE = {"steps", "minutes", "device", "precision", "threads", "fast"}  # options of a run that goes on


def resumable(
    where: str | Path, source: Images | None, out: str | Path, progress: Progress | None, changes: Mapping[str, Any]
) -> Experiment:
    """A training that goes on."""
    options = TrainingOptions.of(**{name: value for name, value in changes.items() if value is not None})
    fixed = sorted(options.model_fields_set - MAY_CHANGE)
    if fixed:
        raise UserError(f"`{fixed[0]}`: a run keeps what it began with; leave it out, or train anew without `resume`")
    run = runs.find(where, out=out)
    about = run.data
    for name in {"steps", "minutes"} & options.model_fields_set:
        if run.settings.private:
            raise UserError(f"`{name}`: a private run's noise was chosen for the steps it began with; train anew")
    newest, at, warnings = _newest(run)
    settings, left = _end(run, at["step"], options)
    recipe = run.recipe if settings.steps is None else run.recipe.override(steps=settings.steps)
    dataset = data.load(about.source if source is None else source, size=recipe.size, fit=about.fit, progress=progress)
    if dataset.fingerprint != about.fingerprint:
        said = f"{dataset.source}: the data changed since {run.name} began{loading.changes(dataset, about.fingerprint)}"
        mend = "restore them"
        if naming.is_given(dataset.source):
            said = f"{dataset.source}: these are other images, or other labels, than those that {run.name} began with"
            mend = "give the same again"
        if newest is None or settings.steps == at["step"] or not loading.only_grew(dataset, about.fingerprint):
            raise UserError(f"{said}; {mend}, or start a new run with `from_` {run.name}")
        end = {"steps": settings.steps and settings.steps - at["step"], "minutes": left}
        return _anew(run, dataset.source, settings, end, f"{said}: a new run begins with its networks", progress)
    if recipe.files:
        _check_again(recipe, newest)
    choice = beginning.choose(settings, recipe)
    return Experiment(
        recipe,
        dataset,
        beginning.settled(settings, choice, recipes=recipe.files),
        choice,
        run.path.parent,
        about.fit,
        left,
        beginning.time_step(recipe, choice, None if settings.steps is None else max(1, settings.steps - at["step"])),
        resumed=run,
        start_step=at["step"],
        start_from=newest,
        warnings=(*warnings, *_differences(run, choice)),
        measuring=online.again(settings.evaluate_every, dataset, fit=about.fit, progress=progress),
        kinds=kinds.load(run.path / "kinds.npz", len(dataset)) if recipe.kinds and recipe.labelled else None,
    )


def _anew(
    run: Run, source: str, settings: Settings, left: dict[str, Any], warning: str, progress: Progress | None
) -> Experiment:
    """A new training on the data as they are now, begun with a run's networks, for the steps or minutes it had left."""
    told = {name: getattr(settings, name) for name in TrainingOptions.model_fields}
    options = TrainingOptions.of(**told | left)
    begun = beginning.new(
        source, None, run, run.path.parent, None, options, beginning.changes(options, False, None), progress
    )
    return replace(begun, warnings=(warning, *begun.warnings))


def _newest(run: Run) -> tuple[Path | None, dict[str, Any], list[str]]:
    """The newest whole checkpoint, its state, and warnings; before the first one, none and the state of step 0.

    Raises UserError where none is whole, and for one that is another run's.
    """
    warnings: list[str] = []
    newest = checkpoint.newest(run.checkpoints, warnings)
    at = checkpoint.state(newest) if newest else {"step": 0, "metrics_bytes": 0}
    if newest is None and any(run.checkpoints.glob("step-*")):
        raise UserError(f"{run.path}: no checkpoint is whole ({warnings[0]}); start again with `gansmith train`")
    if newest is not None:
        checkpoint.check_run(newest, run.identity)
    elif run.settings.origin is not None:
        raise UserError(
            f"{run.path}: was stopped before it had the networks of {run.settings.origin.run}; start it again with "
            f"`from_` {run.settings.origin.run}"
        )
    if recorder.lacks_metrics(run, at["metrics_bytes"]):
        warnings.append(f"metrics.jsonl lacks rows up to step {at['step']}: its plots will start there")
    return newest, at, warnings


def _check_again(recipe: Recipe, newest: Path | None) -> None:
    """Raises UserError where networks of one's own, whose file may have changed, do not fit a checkpoint any more."""
    own.check(recipe)
    if newest is not None:
        with torch.random.fork_rng(devices=[]):
            checkpoint.restore(newest, loop.new_state(recipe, seed=0, device=torch.device("cpu")))


def _end(run: Run, start: int, options: TrainingOptions) -> tuple[Settings, float | None]:
    """A resumed run's settings, with what is to be other from here; and the minutes left, where time ends it."""
    spent = [float(row["seconds"]) for row in runs.rows(run.path / "timing.jsonl") if row["step"] <= start]
    before = spent[-1] / 60 if spent else 0.0
    changes = options.model_dump(include=options.model_fields_set)
    if "steps" in changes:
        changes["minutes"] = None
    elif "minutes" in changes:
        changes |= {"steps": None, "minutes": before + changes["minutes"]}
    settings = run.settings.model_copy(update=changes)
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
