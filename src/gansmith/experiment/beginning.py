"""A new training: what its options leave open is decided here, and all of it checked."""

import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from gansmith import data, hardware, recipes, runs
from gansmith.data import Fit, Images, kinds, naming
from gansmith.data.kinds import Kinds
from gansmith.doctor import signals
from gansmith.errors import UserError
from gansmith.evaluation import online
from gansmith.experiment import cpu_speed, sense
from gansmith.experiment.start import Start, start_of
from gansmith.experiment.types import Experiment
from gansmith.progress import Progress
from gansmith.recipe import Augment, Recipe
from gansmith.recipes import own
from gansmith.runs import Run
from gansmith.training import guarantee, loop, meeting, parts, private
from gansmith.training.options import Settings, TrainingOptions

SHEETS = 20  # how many times a run draws its fixed noise and saves, unless its options say otherwise
LOG_EVERY = 10
IMAGES_OF_A_KIND = 40  # on average, at least, where the number of kinds is not given
FEW = 1_000  # images; fewer are learned by heart, so `house` changes some of what its discriminator sees
AUGMENT = Augment(shift=0.125, cutout=0.25, colour=0.5, share=0.5)
LEAST_STEPS, LEAST_SECONDS = 10, 1.0  # between two savings: so many steps, or fewer that nominally take so long


def new(
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
    choose(options, None)  # complains before data are read
    if options.private:
        private.check(value)
    value, dataset, groups = _with_data(value, changes, source, fit, begin, progress)
    own.check(value)
    privacy = _privacy(options, value, dataset, begin)
    choice = choose(options, value)
    seconds_per_step = time_step(value, choice, value.steps if options.minutes is None else None)
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
        seconds=None if options.minutes is None else options.minutes * 60,
        fit=fit,
        progress=progress,
    )
    decided = {"steps": value.steps if options.minutes is None else None, "evaluate_every": measuring.every, **every}
    begun = begin and begin.origin
    settings = settled(options, choice, origin=begun, privacy=privacy, recipes=value.files, **decided)
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
    if meeting.launched():
        raise UserError("`private`: trains in one process; start it without torchrun")
    with recipes.unfilled(recipe):
        private.check_layers(recipe, recipes.discriminator(recipe))
    assert options.epsilon is not None
    delta = guarantee.DELTA if options.delta is None else options.delta
    return guarantee.plan(recipe, len(dataset), options.epsilon, delta)


def choose(options: TrainingOptions, recipe: Recipe | None) -> hardware.Choice:
    """Device, precision and threads for a recipe; without one, only whether those that are named exist."""
    gflop = 0.0 if recipe is None else recipes.step_gflop(recipe)
    measure = None if recipe is None else cpu_speed.speeds
    asked = options.device, options.precision, options.threads
    return hardware.choose(*asked, gflop=gflop, fast=options.fast, measure=measure)


def changes(options: TrainingOptions, conditional: bool | str, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
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
    if recipe.name == "house" and len(dataset) < FEW and not _said("augment", changes) and begin is None:
        recipe = recipe.override(augment=AUGMENT)
    recipe = recipe.override(channels=channels, classes=classes, kinds=number)
    data.Batches(dataset, recipe.batch_images, seed=0)  # raises if the data are too few
    if begin is not None:
        begin.check_data(recipe, dataset)
        return recipe, dataset, begin.kinds(dataset)
    if not number or recipe.information:
        return recipe, dataset, None
    return recipe, dataset, kinds.find(dataset, number, by_class=classes > 0, progress=progress)


def _said(field: str, changes: Mapping[str, Any]) -> bool:
    """Whether a field, or one inside it, was given."""
    return any(name.partition(".")[0] == field for name in changes)


def _kinds(recipe: Recipe, dataset: data.Dataset, classes: int, *, given: bool) -> int:
    """As many kinds as were asked for; a recipe's own number is shared by the classes, and less for few images."""
    if given or not recipe.kinds or recipe.information:
        return recipe.kinds
    smallest = len(dataset)
    if classes:
        smallest = min(dataset.class_counts)
    count = min(recipe.kinds // max(1, classes), smallest // IMAGES_OF_A_KIND)
    return count if count > 1 else 0


def _classes(recipe: Recipe, dataset: data.Dataset) -> int:
    """How many labels a conditional recipe learns; 0 for any other."""
    if recipe.conditional == "none":
        return 0
    if dataset.labels is None:
        raise UserError(f"`conditional`: {dataset.name} has no labels; {naming.LABELS}")
    if len(dataset.classes) < 2:
        raise UserError(f"`conditional`: all images of {dataset.name} are of one class; train without it")
    return len(dataset.classes)


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


def _round(value: float) -> int:
    """To one significant digit: intervals that people like to read."""
    digits = max(0, len(str(int(value))) - 1)
    return max(1, int(round(value / 10**digits) * 10**digits))


def settled(options: TrainingOptions, choice: hardware.Choice, **decided: Any) -> Settings:
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


def time_step(recipe: Recipe, choice: hardware.Choice, steps: int | None = None) -> float:
    """Seconds of a training step, made on throw-away networks: one for slow recipes, several for fast ones.

    Measuring takes 0.3 seconds, or a tenth of a training of so many ``steps`` if that is less, beyond the first step.

    Raises UserError where parts of one's own raise an exception in it.
    """
    torch.set_num_threads(choice.threads)
    device = torch.device(choice.device)
    with torch.random.fork_rng(), own.blaming(*recipe.files, always=False):
        state = loop.new_state(recipe, seed=0, device=device, fast=choice.fast)
        shape = (recipe.batch_images, recipe.channels, recipe.size, recipe.size)
        real = torch.zeros(shape, device=device).contiguous(memory_format=torch.channels_last)
        labels = torch.zeros(len(real), dtype=torch.long, device=device) if recipe.labelled else None
        advance = loop.stepper(state, recipe, precision=choice.precision, fast=choice.fast)
        slow = hardware.nominal_seconds(recipes.step_gflop(recipe), device=choice.device) > 1  # a DCGAN's, say
        times: list[float] = []
        enough = 0.3
        while not times or (sum(times[1:]) < enough and (not slow or times[0] < 2)):  # the first is cold
            start = time.perf_counter()
            float(advance(real, labels).generator_loss)
            times.append(time.perf_counter() - start)
            enough = 0.3 if steps is None else min(0.3, 0.1 * steps * times[-1])
    every = 1 if recipe.penalty.kind == "none" else recipe.penalty.every
    penalised = [seconds for step, seconds in enumerate(times) if step and step % every == 0]
    others = [seconds for step, seconds in enumerate(times) if step % every]
    if not penalised or not others:
        return statistics.median(times[1:] or times)
    return statistics.median(others) + (statistics.median(penalised) - statistics.median(others)) / every
