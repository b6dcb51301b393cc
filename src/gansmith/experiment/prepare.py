"""From names and options to an Experiment: a training that was checked in every respect and can start."""

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from gansmith import data, files, hardware, recipes, runs
from gansmith.data import Fit, Images, kinds, loading, naming
from gansmith.data.kinds import Kinds
from gansmith.doctor import signals
from gansmith.errors import UserError
from gansmith.evaluation import online
from gansmith.experiment import cpu_speed, environment, sense, together
from gansmith.experiment.start import Start, start_of
from gansmith.experiment.types import Experiment
from gansmith.nn.isolation import isolated, only_training
from gansmith.progress import Progress
from gansmith.recipe import Recipe
from gansmith.recipes import own
from gansmith.runs import Run, checkpoint, recorder
from gansmith.training import guarantee, loop, parallel, parts, private
from gansmith.training.options import Settings, TrainingOptions

SHEETS = 20  # how many times a run draws its fixed noise and saves, unless its options say otherwise
LOG_EVERY = 10
IMAGES_OF_A_KIND = 40  # on average, at least, where the number of kinds is not given
LEAST_STEPS, LEAST_SECONDS = 10, 1.0  # between two savings: so many steps, or fewer that nominally take so long
MAY_CHANGE = {"steps", "minutes", "device", "precision", "threads", "fast"}  # options of a run that goes on


@isolated()
@only_training()
def prepare(
    source: Images | None = None,
    *,
    recipe: str | Recipe | None = None,
    from_: str | Path | Run | None = None,
    out: str | Path = "runs",
    fit: Fit | None = None,
    conditional: bool | Literal["projection", "auxiliary"] = False,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    **more: Any,
) -> Experiment:
    """Checks a training, decides what its options leave open, and estimates its time.

    Args:
        source: a data set's name, the path of a folder, .zip, .npz or IDX file, or images, as
            :func:`gansmith.data.load` takes them.
        recipe: a name, or a complete value.
        from_: a run whose networks it begins with. Source, recipe and fit are that run's where they are None; without
            such a run they are then mnist, house and crop.
        out: the folder that run folders are made in.
        fit: non-square pictures are cropped to the centre, or padded.
        conditional: train on the data's labels, read by this head of the discriminator; True is "projection".
        overrides: changes to the recipe, as :meth:`gansmith.Recipe.override` takes them.
        progress: called as data are decoded.
        more: fields of :class:`TrainingOptions`, such as steps; all others are changes to the recipe, as in overrides.

    Under torchrun every process calls this, with the same arguments. What a restart of a launch calls goes on with the
    run that the launch made.

    Raises UserError: one line saying what is wrong, where, and what to do.
    """
    options = TrainingOptions.of(**{name: more.pop(name) for name in TrainingOptions.model_fields if name in more})
    changes = _changes(options, conditional, {**(overrides or {}), **more})

    def decided() -> Experiment:
        begun = together.begun_run(Path(out))
        if begun is not None:
            return _resumable(begun, source, out, progress, {})
        return _new(source, recipe, from_, out, fit, options, changes, progress)

    said = (recipe, from_, fit, options, changes)
    return together.prepared(decided, source=source, said=said, progress=progress)


def _new(
    source: Images | None,
    recipe: str | Recipe | None,
    from_: str | Path | Run | None,
    out: str | Path,
    fit: Fit | None,
    options: TrainingOptions,
    changes: Mapping[str, Any],
    progress: Progress | None,
) -> Experiment:
    """A new training."""
    begin = None if from_ is None else start_of(from_, out=out)
    known: tuple[str, str | Recipe, Fit] = ("mnist", "house", "crop") if begin is None else begin.names
    source, recipe = known[0] if source is None else source, known[1] if recipe is None else recipe
    fit = known[2] if fit is None else fit
    value = _recipe(recipe, changes)
    _choose(options, None)  # complains before data are read
    if options.private:
        private.check(value)
    value, dataset, groups = _with_data(value, changes, source, fit, begin, progress)
    own.check(value)
    privacy = _privacy(options, value, dataset, begin)
    choice = _choose(options, value)
    seconds_per_step = _time_step(value, choice)
    sense.check_budget(options.minutes, seconds_per_step)
    expected = value.steps if options.minutes is None else max(1, int(options.minutes * 60 / seconds_per_step))
    every = _intervals(options, value, choice, expected)
    measuring = online.choose(
        dataset,
        value,
        choice,
        evaluate_every=0 if privacy else options.evaluate_every,
        steps=expected,
        checkpoint_every=every["checkpoint_every"],
        fit=fit,
        progress=progress,
    )
    decided = {"steps": value.steps if options.minutes is None else None, "evaluate_every": measuring.every, **every}
    begun = begin and begin.origin
    settings = _settled(options, choice, origin=begun, privacy=privacy, recipes=value.files, **decided)
    warnings = [*(begin.warnings(dataset) if begin else ()), *sense.doubts(value)]
    return Experiment(
        *(value, dataset, settings, choice, Path(out), fit, options.minutes, seconds_per_step),
        warnings=(*warnings, *_unfinished(Path(out), value, dataset, settings)),
        measuring=measuring,
        start=begin,
        kinds=groups,
    )


def _privacy(
    options: TrainingOptions, recipe: Recipe, dataset: data.Dataset, begin: Start | None
) -> guarantee.Privacy | None:
    """What a private training promises. Raises UserError where recipe, data or machine do not allow it."""
    if not options.private:
        return None
    if begin is not None:
        raise UserError("`from_`: its networks may have learned from the same images; leave it, or `private`, out")
    if parallel.launched():
        raise UserError("`private`: trains in one process; start it without torchrun")
    with recipes.unfilled(recipe):
        private.check_layers(recipe, recipes.discriminator(recipe))
    assert options.epsilon is not None
    delta = guarantee.DELTA if options.delta is None else options.delta
    return guarantee.plan(recipe, len(dataset), options.epsilon, delta)


def _choose(options: TrainingOptions, recipe: Recipe | None) -> hardware.Choice:
    """Device, precision and threads for a recipe; without one, only whether those that are named exist."""
    gflop = 0.0 if recipe is None else recipes.step_gflop(recipe)
    measure = None if recipe is None else cpu_speed.speeds
    asked = options.device, options.precision, options.threads
    return hardware.choose(*asked, gflop=gflop, fast=options.fast, measure=measure)


def _changes(options: TrainingOptions, conditional: bool | str, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """All changes to the recipe, wherever they were said."""
    changes = dict(overrides or {})
    if options.steps is not None:
        changes["steps"] = options.steps
    if conditional:
        changes["conditional"] = "projection" if conditional is True else conditional
    return changes


def _recipe(recipe: str | Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe that was named, or given, with the changes."""
    if not isinstance(recipe, str | Recipe):
        raise UserError(f"recipe {recipe!r}: give a name, such as mlp, or a Recipe")
    value = recipes.get(recipe) if isinstance(recipe, str) else recipe
    recipes.entry(value.name)
    value = own.fitting(value.in_two_passes(changes), changes)
    parts.check(value)
    return value


def _with_data(
    recipe: Recipe,
    changes: Mapping[str, Any],
    source: Images,
    fit: Fit,
    begin: Start | None,
    progress: Progress | None,
) -> tuple[Recipe, data.Dataset, Kinds | None]:
    """The recipe with the channels and classes of the data and the kinds that they allow; the data; their kinds.

    Where a run is begun from, all fit its networks, and the kinds are that run's.
    """
    if begin is not None:
        begin.check_recipe(recipe)
    dataset = data.load(source, size=recipe.size, fit=fit, progress=progress)
    channels, classes = dataset.shape[0], _classes(recipe, dataset)
    if "channels" in changes and recipe.channels != channels:
        raise UserError(f"channels = {recipe.channels}, but {dataset.name} has {channels}; leave channels out")
    number = _kinds(recipe, dataset, classes, given="kinds" in changes or begin is not None)
    recipe = recipe.override(channels=channels, classes=classes, kinds=number)
    data.Batches(dataset, recipe.batch_images, seed=0)  # raises if the data are too few
    if begin is not None:
        begin.check_data(recipe, dataset)
        return recipe, dataset, begin.kinds(dataset)
    if not number or recipe.information:
        return recipe, dataset, None
    return recipe, dataset, kinds.find(dataset, number, by_class=classes > 0, progress=progress)


def _kinds(recipe: Recipe, dataset: data.Dataset, classes: int, *, given: bool) -> int:
    """As many kinds as were asked for; a recipe's own number is shared by the classes, and less for few images."""
    if given or not recipe.kinds or recipe.information:
        return recipe.kinds
    smallest = len(dataset)
    if classes and dataset.labels is not None:
        smallest = int(np.bincount(dataset.labels, minlength=classes).min())
    count = min(recipe.kinds // max(1, classes), smallest // IMAGES_OF_A_KIND)
    return count if count > 1 else 0


def _intervals(options: TrainingOptions, recipe: Recipe, choice: hardware.Choice, expected: int) -> dict[str, int]:
    """The intervals in steps, as given or as the expected length suggests; short runs do not save at every step."""
    quick = hardware.nominal_seconds(recipes.step_gflop(recipe), device=choice.device, precision=choice.precision)
    least = min(expected, max(1, min(LEAST_STEPS, round(LEAST_SECONDS / quick))))
    sheets = expected // SHEETS if options.minutes is None else _round(expected / SHEETS)
    signals_every = 0 if options.private else options.signals_every
    if signals_every is None:
        signals_every = signals.interval(recipe, device=choice.device, precision=choice.precision)
    return {
        "sheet_every": options.sheet_every or max(least, sheets),
        "log_every": options.log_every or min(LOG_EVERY, expected),
        "checkpoint_every": options.checkpoint_every or max(least, round(expected / SHEETS)),
        "signals_every": signals_every,
    }


def _settled(options: TrainingOptions, choice: hardware.Choice, **decided: Any) -> Settings:
    """The options with what was decided, and the device, precision and threads that were chosen."""
    chosen = {"device": choice.device, "precision": choice.precision, "threads": choice.threads}
    fast = "auto" if choice.fast else "off"
    given = options.model_dump(exclude={"animation", "format"})
    return Settings(**{**given, "gif": options.gif, **decided, **chosen, "fast": fast})


def _unfinished(out: Path, recipe: Recipe, dataset: data.Dataset, settings: Settings) -> Iterator[str]:
    """A line about each unfinished run that was begun with the same recipe, data, seed and networks."""
    wanted = recipe, dataset.fingerprint, settings.seed, settings.origin
    for run in runs.every(out):
        try:
            same = (run.recipe, run.data.fingerprint, run.settings.seed, run.settings.origin) == wanted
            if same and not run.finished and run.state != "diverged":  # which would only diverge again
                yield f"{run.path}, begun the same way, is unfinished; to go on with it: --resume {run.name}"
        except UserError:  # a damaged run is nobody's business here
            continue


@isolated()
@only_training()
def prepare_resume(
    where: str | Path,
    *,
    source: Images | None = None,
    out: str | Path = "runs",
    progress: Progress | None = None,
    **changes: Any,
) -> Experiment:
    """Checks that a run can go on from its newest whole checkpoint.

    Where images were added to its data, and nothing else changed, it prepares a new run that begins with its networks
    and takes the steps, or minutes, that were left.

    Args:
        where: the run: folder, name or "last".
        source: where its data are now, if they were moved; images that were given in Python, given again.
        out: where names are looked up.
        progress: called as data are decoded.
        changes: a new end, steps to train up to or minutes to train from here; device, precision, threads or fast, if
            they are to be others, which ends in other bytes. What is not given, or None, stays as the run began.

    Raises:
        UserError: one line: no such run, an option that may not change, data that changed, no whole checkpoint, or
            nothing left to do.
    """
    return together.prepared(
        lambda: _resumable(where, source, out, progress, changes),
        source=source,
        said=(str(where), changes),
        progress=progress,
    )


def _resumable(
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
        if naming.is_given(dataset.source):
            said = f"{dataset.source}: these are other images than those that {run.name} began with"
        if newest is None or settings.steps == at["step"] or not loading.only_grew(dataset, about.fingerprint):
            raise UserError(f"{said}; restore them, or start a new run with `from_` {run.name}")
        end = {"steps": settings.steps and settings.steps - at["step"], "minutes": left}
        return _anew(run, dataset.source, settings, end, f"{said}: a new run begins with its networks", progress)
    choice = _choose(settings, recipe)
    return Experiment(
        recipe,
        dataset,
        _settled(settings, choice, recipes=recipe.files),
        choice,
        run.path.parent,
        about.fit,
        left,
        _time_step(recipe, choice),
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
    begun = _new(source, None, run, run.path.parent, None, options, _changes(options, False, None), progress)
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
        state = loop.new_state(recipe, seed=0, device=device, fast=choice.fast)
        shape = (recipe.batch_images, recipe.channels, recipe.size, recipe.size)
        real = torch.zeros(shape, device=device).contiguous(memory_format=torch.channels_last)
        labels = torch.zeros(len(real), dtype=torch.long, device=device) if recipe.labelled else None
        advance = loop.stepper(state, recipe, precision=choice.precision, fast=choice.fast)
        slow = hardware.nominal_seconds(recipes.step_gflop(recipe), device=choice.device) > 1  # a DCGAN's, say
        times: list[float] = []
        while not times or (sum(times[1:]) < 0.3 and (not slow or times[0] < 2)):  # the first is cold, by seconds too
            start = time.perf_counter()
            float(advance(real, labels).generator_loss)
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:] or times)
