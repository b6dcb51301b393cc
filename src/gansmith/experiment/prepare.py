"""From names and options to an Experiment: a training that was checked in every respect and can start."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from gansmith.data import Fit, Images
from gansmith.experiment import beginning, resuming, together
from gansmith.experiment.types import Experiment
from gansmith.nn.isolation import isolated, only_training
from gansmith.progress import Progress
from gansmith.recipe import Recipe, named
from gansmith.runs import Run
from gansmith.training.options import TrainingOptions


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
    changes = beginning.changes(options, conditional, {**named(overrides, "overrides"), **more})

    def decided() -> Experiment:
        begun = together.begun_run(Path(out))
        if begun is not None:
            return resuming.resumable(begun, source, out, progress, {})
        return beginning.new(source, recipe, from_, out, fit, options, changes, progress)

    said = (recipe, from_, fit, options, changes)
    return together.prepared(decided, source=source, said=said, progress=progress)


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
        lambda: resuming.resumable(where, source, out, progress, changes),
        source=source,
        said=(str(where), changes),
        progress=progress,
    )
