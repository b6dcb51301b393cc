"""One call from names to a finished run: checks everything first, then makes the folder, trains, and draws."""

import inspect
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic.fields import FieldInfo

from gansmith import data, files, live, runs
from gansmith.data import Fit, Images, on_device
from gansmith.doctor import plot as doctor_picture
from gansmith.doctor import signals
from gansmith.doctor.examination import examine
from gansmith.errors import DivergenceError, UserError
from gansmith.evaluation import online
from gansmith.experiment import artifacts, environment, guards, together
from gansmith.experiment.prepare import prepare, prepare_resume
from gansmith.experiment.resuming import MAY_CHANGE
from gansmith.experiment.types import Experiment
from gansmith.nn.isolation import isolated, only_training
from gansmith.progress import Progress
from gansmith.recipe import Recipe
from gansmith.recipes import own
from gansmith.report.page import write_report
from gansmith.runs import DataFacts, Run, checkpoint, recorder
from gansmith.runs.load import from_checkpoint
from gansmith.text import flat
from gansmith.trackers import About, Track, chosen, tracked
from gansmith.training import loop, private
from gansmith.training.events import Observer, Probe
from gansmith.training.options import TrainingOptions, plain
from gansmith.training.step import TrainState


def train(
    source: Images | None = None,
    *,
    recipe: str | Recipe | None = None,
    from_: str | Path | Run | None = None,
    out: str | Path = "runs",
    fit: Fit | None = None,
    conditional: bool | Literal["projection", "auxiliary"] = False,
    overrides: Mapping[str, Any] | None = None,
    observers: Sequence[Observer] = (),
    track: Track = (),
    progress: Progress | bool | None = None,
    **more: Any,
) -> Run:
    """Trains a generator and a discriminator on images, and returns the finished run.

    >>> gs.train("mnist", recipe="mlp", steps=2000, batch_size=128, seed=1)  # doctest: +SKIP

    Args:
        source: a data set's name, the path of a folder, .zip, .npz or IDX file, or images: an array or tensor, a pair
            (images, labels), a data set of torch or Hugging Face, and all else that :func:`gansmith.data.load` takes.
        recipe: a name of :func:`gansmith.recipes.names`, or a complete value.
        from_: a run whose networks it begins with: fine-tuning. Source, recipe and fit are that run's where they are
            None; without such a run they are then mnist, house and crop.
        out: the folder that run folders are made in.
        fit: non-square pictures are cropped to the centre, or padded.
        conditional: train on the data's labels, read by this head of the discriminator; True is "projection".
        overrides: changes to the recipe by dotted names, such as {"generator_optimizer.lr": 1e-4}.
        observers: called with each event of the loop (:mod:`gansmith.training.events`).
        track: where numbers and sheets are passed on to: "tensorboard", "trackio", "wandb", "mlflow", "csv", an
            :class:`gansmith.trackers.Adapter`, or several of them.
        progress: False is silent; None shows how training goes on a terminal and in a notebook, True also where nobody
            watches, as lines; a function is called as data are decoded, and nothing else is shown.
        more: fields of :class:`gansmith.training.options.TrainingOptions`, such as steps, minutes, seed and threads,
            and of the recipe, such as batch_size.

    Raises:
        UserError: one line saying what is wrong, where, and what to do.
        DivergenceError: training produced a value that is not finite; names the last good checkpoint.
    """
    trackers = chosen(track)
    experiment = prepare(
        source,
        recipe=recipe,
        from_=from_,
        out=out,
        fit=fit,
        conditional=conditional,
        overrides=overrides,
        progress=progress if callable(progress) else None,
        **more,
    )
    return _shown(experiment, observers, trackers, False if callable(progress) else progress)


def resume(
    where: str | Path,
    *,
    source: Images | None = None,
    out: str | Path = "runs",
    observers: Sequence[Observer] = (),
    track: Track = (),
    progress: Progress | bool | None = None,
    **options: Any,
) -> Run:
    """Goes on with a run from its newest checkpoint, in the bytes of a run that never stopped.

    Where images were added to its data, and nothing else changed, a new run begins with its networks instead, and takes
    the steps, or minutes, that were left.

    Args:
        where: the run: folder, name or "last".
        source: where its data are now, if they were moved; images that were given in Python, given again.
        out: where names are looked up.
        observers: called with each event of the loop.
        track: where numbers and sheets are passed on to, as of :func:`train`; it is not remembered.
        progress: False is silent; None shows how training goes on a terminal and in a notebook, True also where nobody
            watches, as lines; a function is called as data are decoded, and nothing else is shown.
        options: a new end, steps to train up to or minutes from here; device, precision, threads or fast.

    Raises UserError, in one line, for no such run, data that changed, or nothing left to do.
    """
    trackers = chosen(track)
    decoding = progress if callable(progress) else None
    experiment = prepare_resume(where, source=source, out=out, progress=decoding, **options)
    return _shown(experiment, observers, trackers, False if callable(progress) else progress)


def _shown(experiment: Experiment, observers: Sequence[Observer], track: Track, wanted: bool | None) -> Run:
    """Trains, shown as it goes to whoever watches."""
    reference = experiment.measuring.reference
    said = None if reference is None else lambda distance: reference.protocol.at(distance, 0).words
    display = live.display(
        wanted,
        total_steps=experiment.steps,
        minutes=experiment.minutes,
        start_step=experiment.start_step,
        batch_size=experiment.recipe.batch_size,
        said=said,
    )
    if display is None:
        return execute(experiment, observers=observers, track=track)
    with ExitStack() as stack:

        def started(run: Run) -> None:
            stack.enter_context(display)

        return execute(experiment, observers=[*observers, display], track=track, started=started)


def _with_keywords(function: Callable[..., Any], names: Iterable[tuple[str, FieldInfo]]) -> None:
    """Shows fields as keywords of a function, so that a notebook completes them."""
    signature = inspect.signature(function)
    own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    keyword = inspect.Parameter.KEYWORD_ONLY
    fields = {name: info for name, info in reversed([*names]) if name not in signature.parameters}
    more = [
        inspect.Parameter(
            name, keyword, default=info.get_default(call_default_factory=True), annotation=plain(info.annotation)
        )
        for name, info in reversed(fields.items())
    ]
    function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]


@isolated()
@only_training()
def execute(
    experiment: Experiment,
    *,
    observers: Sequence[Observer] = (),
    track: Track = (),
    started: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Trains and draws everything that a run leaves.

    Ctrl-C and SIGTERM save a checkpoint and end it in state "interrupted".

    Args:
        experiment: of :func:`prepare` or :func:`prepare_resume`.
        observers: called with each event of the loop.
        track: where numbers and sheets are passed on to, as of :func:`train`.
        started: called with the run once its folder is there.

    Raises:
        DivergenceError: with the last good checkpoint named.
        UserError: the folder cannot be written, or the disk is full.
    """
    torch.set_num_threads(experiment.choice.threads)
    torch.backends.cudnn.deterministic = True
    group = experiment.group
    with torch.random.fork_rng(), guards.interruption() as stop, group.leaving_with_reason():
        if group.rank:
            return _follow(experiment, stop)
        run = experiment.resumed or _create(experiment)
        with guards.alone(run):
            if experiment.resumed is not None:
                run = _rewind(experiment, run)
            started(run)
            group.exchange(str(run.path).encode())
            with tracked(chosen(track), _about(experiment, run)) as trackers:
                _to_the_end(experiment, run, stop, [*observers, *trackers])
            group.exchange(b"")
    return run


def _to_the_end(experiment: Experiment, run: Run, stop: guards.Asked, observers: Sequence[Observer]) -> None:
    """Trains and draws; marks a run that diverged, and names its last good checkpoint."""
    try:
        ended = _train(experiment, run, stop, observers)
    except DivergenceError as error:
        run.mark("diverged")
        good = checkpoint.newest(run.checkpoints, [])
        name = f"the last good checkpoint is {good}" if good else "there is no good checkpoint yet"
        raise DivergenceError(f"training diverged: {error}; {name}; try a lower learning rate") from None
    except OSError as error:
        good = checkpoint.newest(run.checkpoints, [])
        raise UserError(f"{run.path}: cannot be written ({error.strerror}); last good checkpoint: {good}") from None
    finish(run, experiment.dataset, "finished" if ended else "interrupted")


def _about(experiment: Experiment, run: Run) -> About:
    """What trackers are told of a training: recipe, options and data by dotted names."""
    parts = {"recipe": experiment.recipe.complete(), "options": experiment.settings.model_dump(mode="json")}
    data = {"name": run.data.name, "images": run.data.count, "fingerprint": run.data.fingerprint}
    simple = str | int | float | bool | None
    config = {k: v if isinstance(v, simple) else str(v) for k, v in flat({**parts, "data": data}).items()}
    return About(run.path, f"gansmith-{run.data.name}", config, experiment.start_step)


def _follow(experiment: Experiment, stop: guards.Asked) -> Run:
    """Trains beside process 0, which writes the run; returns that run once it is finished."""
    group, settings, device = experiment.group, experiment.settings, torch.device(experiment.choice.device)
    run = Run(Path(group.exchange(b"")[0].decode()))
    state = loop.new_state(
        experiment.recipe,
        seed=settings.seed,
        device=device,
        fast=experiment.choice.fast,
        group=group,
        places=experiment.places,
    )
    loop.train(
        state,
        experiment.recipe,
        _shared(experiment, state, device),
        settings,
        seconds=None if experiment.minutes is None else experiment.minutes * 60,
        save=lambda state: run.checkpoints,
        stop=lambda: stop.number,
    )
    group.exchange(b"")
    return run


def _shared(experiment: Experiment, state: TrainState, device: torch.device) -> loop.Images:
    """Gives all processes the state of the first, and returns where the images come from."""
    state.group.share_state(state)
    if experiment.settings.privacy is not None:
        return private.Drawn(experiment.told, experiment.recipe, experiment.settings.privacy)
    own = state.group.own(experiment.recipe.batch_size, pack=experiment.recipe.pack)
    return on_device.nearest(experiment.batches(own), device)


def finish(run: Run, dataset: data.Dataset, state: Literal["finished", "interrupted"]) -> None:
    """Exports a run's generator and draws its pictures and report.

    It is that of the newest checkpoint; where the best one measured notably better, by more than a tenth, the best's.
    Raises UserError when the folder cannot be written.
    """
    try:
        better = online.better(run) if state == "finished" else None
        best = None if better is None else checkpoint.at(run.checkpoints, better[0])
        generator = from_checkpoint(run, best)
        generator.save_pretrained(run.generator)
        artifacts.draw(run, generator, dataset, run.settings.seed)
        run.mark(state)
        examination = examine(run, sheets=False)
        doctor_picture.draw(examination)
        examination.note()
        write_report(run.path)  # last: a run is finished once this is there
    except OSError as error:
        raise UserError(f"{run.path}: the pictures cannot be written ({error.strerror}); `resume` draws them") from None


def _train(experiment: Experiment, run: Run, stop: guards.Asked, observers: Sequence[Observer]) -> bool:
    """Trains from the start or from the experiment's checkpoint; whether the end was reached."""
    device = torch.device(experiment.choice.device)
    state = loop.new_state(
        experiment.recipe,
        seed=experiment.settings.seed,
        device=device,
        fast=experiment.choice.fast,
        group=experiment.group,
        places=experiment.places,
    )
    if experiment.start is not None:
        experiment.start.load(state)
    if experiment.start_from is not None:
        checkpoint.restore(experiment.start_from, state)
    steps, sanity = experiment.settings.sanity_steps, run.path / "sanity.json"
    if steps and not sanity.exists():
        check = loop.sanity_check(
            experiment.recipe,
            experiment.batches(),
            seed=experiment.settings.seed,
            steps=steps,
            device=device,
            fast=experiment.choice.fast,
            stop=stop.is_set,
        )
        files.write_json(sanity, {"discriminator_accuracy": check})
    if experiment.measuring.reference is not None:
        online.begin(run, experiment.measuring.reference)
    notes = recorder.Recorder(run, start_step=state.step, batch_size=experiment.recipe.batch_images)
    try:
        if experiment.start is not None:
            notes.save(state)  # from here on the run needs no other
        with own.blaming(*experiment.recipe.files, always=False):
            return loop.train(
                state,
                experiment.recipe,
                _shared(experiment, state, device),
                experiment.settings,
                seconds=None if experiment.minutes is None else experiment.minutes * 60,
                save=notes.save,
                stop=lambda: stop.number,
                observers=[notes, *observers],
                probes=_probes(experiment, device),
            )
    finally:
        notes.close()


def _probes(experiment: Experiment, device: torch.device) -> list[Probe]:
    """What measures the networks while they train."""
    probes = []
    if experiment.measuring.reference is not None:
        probes.append(online.probe(experiment.measuring.reference, experiment.recipe, experiment.measuring.every))
    if experiment.settings.signals_every:
        probes.append(
            signals.probe(
                experiment.recipe,
                experiment.dataset,
                signals.holdout(experiment.dataset, experiment.fit),
                seed=experiment.settings.seed,
                every=experiment.settings.signals_every,
                precision=experiment.choice.precision,
                device=device,
                kinds=experiment.kinds,
            )
        )
    return probes


def _create(experiment: Experiment) -> Run:
    mean, std = experiment.dataset.mean_and_std()
    test = signals.holdout(experiment.dataset, experiment.fit)
    about = DataFacts(
        name=experiment.dataset.name,
        source=experiment.dataset.source,
        fit=experiment.fit,
        fingerprint=experiment.dataset.fingerprint,
        count=len(experiment.dataset),
        test_count=data.test_count(experiment.dataset.source),
        test_fingerprint=test and test.fingerprint,
        shape=experiment.dataset.shape,
        classes=experiment.dataset.classes,
        class_counts=experiment.dataset.class_counts,
        pixel_mean=mean,
        pixel_std=std,
    )
    run = runs.create(experiment.out, experiment.dataset.name, experiment.recipe.name)
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    try:
        files.write_json(run.path / "environment.json", {**environment.environment(experiment.choice), "started": now})
        files.write_json(run.path / "data.json", about.model_dump(mode="json"))
        if experiment.kinds is not None:
            experiment.kinds.save(run.path / "kinds.npz")
        _write_settings(experiment, run)
        runs.point_last(run)
        together.note_run(experiment.out, run)
    except BaseException as error:
        shutil.rmtree(run.path, ignore_errors=True)
        if isinstance(error, OSError):
            raise UserError(
                f"`out` {experiment.out}: cannot be written ({error.strerror}); name another folder"
            ) from None
        raise
    return run


def _rewind(experiment: Experiment, run: Run) -> Run:
    """Brings a run's folder back to its checkpoint, with the settings that hold from here on."""
    if checkpoint.newest(run.checkpoints, []) != experiment.start_from:
        raise UserError(f"{run.path}: another process trained it meanwhile; resume it again")
    try:
        files.clean(run.path)
        for name in ("report.html", "state.txt", "doctor.json"):  # it is no longer finished
            (run.path / name).unlink(missing_ok=True)
        known = checkpoint.state(experiment.start_from)["metrics_bytes"] if experiment.start_from else 0
        recorder.rewind(run, experiment.start_step, known)
        best = run.best()
        checkpoint.prune(run.checkpoints, beyond=experiment.start_step, keep=() if best is None else (best[0],))
        _write_settings(experiment, run)
    except OSError as error:
        raise UserError(f"{run.path}: cannot be written ({error.strerror})") from None
    return Run(run.path)


def _write_settings(experiment: Experiment, run: Run) -> None:
    files.write_text(run.path / "recipe.json", experiment.recipe.to_json())
    files.write_json(
        run.path / "run.json", experiment.settings.model_dump(mode="json")
    )  # last: with it, a folder is a run


_NO_KEYWORDS = {"name", "classes"}  # of a recipe: its identity, and what the data decide
_of_recipe = [(name, info) for name, info in Recipe.model_fields.items() if name not in _NO_KEYWORDS]
_with_keywords(train, [*TrainingOptions.model_fields.items(), *_of_recipe])
_with_keywords(resume, [(name, TrainingOptions.model_fields[name]) for name in sorted(MAY_CHANGE)])
