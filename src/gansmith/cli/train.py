"""`gansmith train`: its flags, one for every field of a recipe included, and what it says before and after."""

import inspect
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from json import loads as read_json
from pathlib import Path
from signal import Signals
from types import NoneType
from typing import Annotated, Any, Literal, get_args

from cyclopts import Group, Parameter

from gansmith import recipe as recipes
from gansmith import runs
from gansmith.cli.doctor import needed
from gansmith.cli.options import OptionalSource, Recipes
from gansmith.cli.output import document, finite, pairs, program, progress, say
from gansmith.errors import UserError
from gansmith.text import amount, duration
from gansmith.training.options import TrainingOptions, plain

__all__ = ["flags_of_fields", "given_only", "train"]

OWN = {"name", "size", "steps", "conditional", "classes"}  # recipe fields that other flags, or the data, decide

USUAL = Group.create_default_parameters()  # that of the verb's own flags
MACHINE = Group("Machine", sort_key=2)
OUTPUT = Group("What is written and said", sort_key=3)
FIELDS = Group("Recipe fields: change what the recipe says", sort_key=4)
MAIN = ("steps", "minutes", "seed")  # options that stand among the flags of the verb itself
GROUPS = dict.fromkeys(("device", "precision", "threads", "fast"), MACHINE)

Switch = Parameter(group=OUTPUT, negative=(), show_default=False)


def flags_of_fields(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a verb that takes ``**fields`` a flag for every training option and every field of a recipe."""
    plain = inspect.signature(function)
    own = [parameter for parameter in plain.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    options = TrainingOptions.model_fields
    main = [_flag(name, options[name], USUAL) for name in MAIN]
    more = [_flag(name, info, GROUPS.get(name, OUTPUT)) for name, info in options.items() if name not in MAIN]
    more += [_flag(name, info, FIELDS) for name, info in recipes.fields() if name not in OWN]
    there = {parameter.name for parameter in own}
    main, more = ([each for each in flags if each.name not in there] for flags in (main, more))
    function.__signature__ = plain.replace(parameters=[*own[:2], *main, *own[2:], *more])  # type: ignore[attr-defined]
    function.__annotations__ |= {parameter.name: parameter.annotation for parameter in (*main, *more)}
    return function


def _flag(name: str, info: Any, group: Group) -> inspect.Parameter:
    """A flag for one field. None means not given, so a recipe's field that can be None takes the word none."""
    kind = plain(info.annotation) | None
    if group is FIELDS and NoneType in get_args(info.annotation):
        kind = Literal["none"] | info.annotation
    flag = Parameter(
        name="--" + name.replace("_", "-"),
        help=f"{info.description}.",  # as those of the verb itself, which are sentences
        negative=None if info.annotation is bool and group is FIELDS else (),
        group=group,
    )
    return inspect.Parameter(
        name.replace(".", "__"), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, flag]
    )


def _check_trackers(_: Any, names: list[str] | None) -> None:
    if names:
        from gansmith.trackers import chosen

        chosen(names)


@flags_of_fields
def train(
    data: OptionalSource = None,
    /,
    *,
    recipe: str | None = None,
    size: int | None = None,
    fit: Literal["crop", "pad"] | None = None,
    conditional: Annotated[bool | Literal["projection", "auxiliary"] | None, Parameter(negative=())] = None,
    config: Path | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    resume: str | None = None,
    own: Recipes = None,
    track: Annotated[list[str] | None, Parameter(group=OUTPUT, negative=(), validator=_check_trackers)] = None,
    out: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    plan: Annotated[bool, Switch] = False,
    quiet: Annotated[bool, Switch] = False,
    json: Annotated[bool, Switch] = False,
    **fields: Any,
) -> int:
    """Train a generator and a discriminator on images.

    What a flag says beats the --config file, and that beats the recipe.

    Args:
        data: mnist (the default), another name, or the path of an image folder, .zip, .npz or IDX file.
        recipe: a name that `gansmith recipes` lists.
        size: height and width in pixels that images are brought to; their own, or the recipe's, if not given.
        fit: what becomes of images that are not square: cropped to the centre, or padded.
        conditional: train on the data's labels, for `sample --label`; a head may be named, projection if it is not.
        config: a TOML file of recipe fields, as `gansmith recipes NAME` prints them.
        from_: begin with the networks of this run, on other data; recipe and fit are that run's, if not given.
        resume: go on with this run (a folder, a name under runs/, or last); --steps and --minutes are the new end.
        track: pass numbers and sheets on to tensorboard, trackio, wandb, mlflow or csv; may be given several times.
        out: folder of runs.
        plan: train nothing; say what would be done, how long it takes and, where our runs tell, how good it will be.
        quiet: say only where the run is.
        json: print one JSON document at the end; progress goes to standard error.
    """
    given = given_only(fields)
    options = {name: given.pop(name) for name in TrainingOptions.model_fields if name in given}
    TrainingOptions.of(**options)  # complains before torch is imported
    changes = {name.replace("__", "."): None if value == "none" else value for name, value in given.items()}
    if size is not None:
        changes["size"] = size
    kept = given_only({"from_": from_, "recipe": recipe, "fit": fit, "conditional": conditional})
    place = given_only({"out": out})
    if resume is None:
        changes = {**_config(config), **changes}
        named = given_only({"recipe": changes.pop("name", None)})
        experiment = _prepared(data, overrides=changes, **named | kept | place | options)
    else:
        refused = [*kept, *changes, *(["config"] if config else [])]
        experiment = _resumed(resume, refused, source=data, **place | options)
    if experiment.group.rank:  # the first process says and writes everything
        return 0 if plan else _beside(experiment)
    if plan:
        from gansmith.experiment.planning import planned

        document(planned(experiment)) if json else say(_opening(experiment))
        return 0
    run = _watched(experiment, track or [], quiet=quiet, aside=json)
    if json:
        document(_summary(run))
    elif quiet:
        say(str(run.path))
    else:
        say(_closing(run, experiment.group.stopped_by))
    return 130 if run.state == "interrupted" else 0


def _prepared(source: str | None, **keywords: Any) -> Any:
    """A new training, checked; names of recipe and run before torch is imported."""
    from gansmith.recipes import entry

    if "recipe" in keywords:
        entry(keywords["recipe"])
    out = keywords.get("out", "runs")
    if "from_" in keywords and runs.exported(keywords["from_"], out=out) is None:
        runs.find(keywords["from_"], out=out)
    from gansmith.experiment.prepare import prepare

    return prepare(source, progress=progress, **keywords)


def _resumed(run: str, refused: Sequence[str], **keywords: Any) -> Any:
    """A training that goes on, checked, its name before torch is imported; ``refused`` flags were given in vain."""
    if refused[:1] == ["from_"]:
        raise UserError("`from_` and `resume`: give one of them: a new run, or the same one further")
    if refused:
        raise UserError(f"`{refused[0]}`: a run keeps what it began with; leave it out, or train anew without `resume`")
    runs.find(run, out=keywords.get("out", "runs"))
    from gansmith.experiment.prepare import prepare_resume

    return prepare_resume(run, progress=progress, **keywords)


def _watched(experiment: Any, track: Sequence[str], *, quiet: bool, aside: bool) -> Any:
    """Trains, saying first what is about to happen, and showing how it goes."""
    from gansmith.doctor import Monitor
    from gansmith.experiment.execute import execute
    from gansmith.live.terminal import Panel

    panel = Panel(
        total_steps=experiment.steps,
        minutes=experiment.minutes,
        start_step=experiment.start_step,
        batch_size=experiment.recipe.batch_size,
        said=_in_words(experiment),
        quiet=quiet,
        file=sys.stderr if aside else sys.stdout,
    )
    monitor = Monitor(lambda finding: panel.tell(finding.name, finding.line(), over=finding.until is not None))
    with ExitStack() as stack:

        def started(run: Any) -> None:
            if not quiet:
                say(_opening(experiment, run), aside=aside)
            monitor.begin(run)
            stack.enter_context(panel)

        return execute(experiment, observers=[panel, monitor], track=track, started=started)


def _beside(experiment: Any) -> int:
    """Trains in silence beside the first process."""
    from gansmith.experiment.execute import execute

    execute(experiment)
    return 130 if experiment.group.stopped_by else 0


def _in_words(experiment: Any) -> Callable[[float], str] | None:
    """What says a Frechet distance in words, where the training is measured."""
    reference = experiment.measuring.reference
    return reference and (lambda distance: reference.protocol.at(distance, 0).words)


def given_only(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


def _config(path: Path | None) -> dict[str, Any]:
    """The changes that a --config file asks for."""
    if path is None:
        return {}
    try:
        return recipes.overrides_from_toml(path.read_text(encoding="utf-8"), where=f"--config {path}")
    except UnicodeDecodeError:
        raise UserError(f"--config {path}: is not text; give a TOML file of recipe fields") from None


def _opening(experiment: Any, run: Any = None) -> str:
    """What a training is about to do, where, how long that will take, and what it will probably reach."""
    dataset = experiment.dataset
    channels, height, width = dataset.shape
    colour = "grey" if channels == 1 else "RGB"
    skipped = len(dataset.problems)
    choice, recipe = experiment.choice, experiment.recipe
    origin = experiment.settings.origin
    end = f"{amount(experiment.steps, 'step')}" if experiment.steps else f"{experiment.minutes:g} min"
    start = f"from step {experiment.start_step:,} to {end}" if experiment.start_step else end
    many = round(experiment.estimated_seconds / experiment.seconds_per_step)
    expected = duration(experiment.estimated_seconds) if experiment.steps else amount(many, "step")
    rows = {
        "data": f"{dataset.name}, {amount(len(dataset), 'image')}, {height}x{width}, {colour}"
        + (f"; {amount(skipped, 'file')} skipped (`gansmith data {dataset.source}` says why)" if skipped else ""),
        "recipe": f"{recipe.name}, batches of {recipe.batch_size:,}"
        + (f", on {amount(recipe.classes, 'label')} ({recipe.conditional})" if recipe.classes else ""),
        "augment": _augmentation(recipe.augment),
        "from": origin and f"{origin.run}, step {origin.step:,}",
        "device": f"{choice.device} ({choice.why['device']})",
        "precision": f"{choice.precision} ({choice.why['precision']})",
        "threads": f"{choice.threads} ({choice.why['threads']})",
        "processes": _processes(experiment),
        "layers": f"{choice.layers} ({choice.why['layers']})",
        "training": f"{start}, about {expected} at {1 / experiment.seconds_per_step:,.3g} steps/s",
        "images": f"{experiment.expected_steps * recipe.batch_images:,}, {_passes(experiment)} over the data",
        "quality": _measuring(experiment),
        "expected": _expected(experiment),
        "run": run and run.path,
    }
    return "\n".join([pairs(rows), *(f"warning: {warning}" for warning in experiment.warnings)])


def _processes(experiment: Any) -> str | None:
    """How many train together; None for one alone."""
    many, batch = experiment.group.processes, experiment.recipe.batch_size
    return None if many == 1 else f"{many}, each with up to {-(-batch // many):,} of the {batch:,} images of a batch"


def _passes(experiment: Any) -> str:
    """`about 2.7 passes`: how often each image will be seen."""
    return f"about {experiment.expected_steps * experiment.recipe.batch_images / len(experiment.dataset):.2g} passes"


def _expected(experiment: Any) -> str | None:
    """What runs of ours reached in as many steps, and in twice as many; None where none tells."""
    from gansmith.experiment.forecast import forecast

    steps, name = experiment.expected_steps, experiment.dataset.name
    now, later = (forecast(experiment.recipe, name, many) for many in (steps, 2 * steps))
    if now is None:
        return None
    words = _in_words(experiment)
    meaning = "" if words is None else f", {words(now.middle)}"
    twice = "twice the time was not tried" if later is None else f"after twice the time about {later.middle:.2g}"
    return f"{now}{meaning}; {twice}"


def _augmentation(numbers: recipes.Augment) -> str | None:
    """What is done to the images before the discriminator sees them; None for nothing."""
    if not numbers.on:
        return None
    done = {
        f"moved by up to {numbers.shift:.0%}": numbers.shift,
        f"a square of {numbers.cutout:.0%} cut out": numbers.cutout,
        "recoloured": numbers.colour,
    }
    what = ", ".join(words for words, strength in done.items() if strength)
    return f"{numbers.share:.0%} of what the discriminator sees: {what} (--augment.share 0 turns it off)"


def _measuring(experiment: Any) -> str:
    """What is measured while it trains, or why nothing is."""
    measuring = experiment.measuring
    if measuring.reference is None:
        return f"not measured while it trains ({measuring.why})" if measuring.why else ""
    return f"measured every {amount(measuring.every, 'step')}"


def _closing(run: Any, stopped_by: tuple[int, int] | None = None) -> str:
    """Which pictures there are now, and the commands to go on."""
    from gansmith.runs import checkpoint

    newest = checkpoint.newest(run.checkpoints, [])
    step = checkpoint.state(newest)["step"] if newest else 0
    where = shlex.quote(run.name if run.path.parent == Path("runs") else str(run.path)) + needed(run)
    if run.state == "interrupted":
        which = "" if stopped_by is None else f" by {Signals(stopped_by[0]).name} in process {stopped_by[1]}"
        saved = f"\ninterrupted{which} and saved at step {step:,} in {run.path}"
        return f"{saved}; go on with\n  {program()} train --resume {where}"
    pictures = {
        "samples": "sheet.png",
        "as it learned": run.settings.animation,
        "real beside generated": "real-and-generated.png",
        "can you tell?": "quiz.png",
        "all on one page": "report.html",
    }
    here = {what: run.path / name for what, name in pictures.items() if (run.path / name).exists()}
    sanity = "".join(f"; alone, the discriminator was right in {share:.0%}" for share in _sanity(run)[-1:])
    told = _told(run, where, step)
    return (
        f"\n{amount(step, 'step')} done{sanity}: {run.path}\n\n{pairs(told)}\n\n{pairs(here)}{_best(run)}\n\n"
        "go on with\n"
        f"  {program()} sample {where} -n 64 --seed 1 -o more.png\n"
        f"  {program()} evaluate {where}\n"
        f"  {program()} train --resume {where} --steps {2 * step}\n"
        f"  {program()} recipes"
    )


def _told(run: Any, where: str, step: int) -> dict[str, str]:
    """How good a run is, what the doctor says of it, and the command to type next."""
    from gansmith.metrics import grade
    from gansmith.runs import quality, summary

    known = quality.known(run)
    verdict, reason = summary.verdict(run)
    if verdict == "problems found":
        following = f"doctor {where}"
    elif known is None or known.words == grade.TOO_FEW:
        following = f"evaluate {where}"
    elif known.words in {grade.FAR, grade.VERY_FAR}:
        following = f"train --resume {where} --steps {2 * step}"
    else:
        following = f"evaluate {where}"
    return {
        "quality": known.sentence if known else "not measured; evaluate measures it",
        "doctor": f"{verdict}: {reason}" if verdict else "",
        "next": f"{program()} {following}",
    }


def _best(run: Any) -> str:
    """A line where an earlier checkpoint measured notably better than the newest, and is what was exported."""
    from gansmith.evaluation import online

    better = online.better(run)
    if better is None:
        return ""
    step, best, newest = better
    return (
        f"\n\nstep {step:,} measured better than the end ({best:.3g} against {newest:.3g}): samples, pictures and\n"
        "the exported generator are of it; --resume goes on from the end"
    )


def _sanity(run: Any) -> list[float]:
    """The accuracies of --sanity-steps, if there were any."""
    path = run.path / "sanity.json"
    return list(read_json(path.read_text())["discriminator_accuracy"]) if path.exists() else []


def _summary(run: Any) -> dict[str, Any]:
    """A finished training as a document."""
    from gansmith.runs import quality, summary

    known, (verdict, reason) = quality.known(run), summary.verdict(run)
    last = (run.metrics() or [{}])[-1]
    return {
        "run": run.path,
        "state": run.state,
        "recipe": run.recipe.name,
        "data": run.data.name,
        "seed": run.settings.seed,
        "from": run.settings.origin and run.settings.origin.run,
        "metrics": {name: finite(value) if isinstance(value, float) else value for name, value in last.items()},
        "quality": {"best": run.best(), "newest": (run.quality() or [None])[-1], "known": known and known.to_dict()},
        "verdict": verdict,
        "reason": reason,
        "next": _told(run, f"{run.path}{needed(run)}", last.get("step", 0))["next"],
        "sanity": [finite(share) for share in _sanity(run)],
        "files": sorted(path.name for path in run.path.iterdir() if not path.name.startswith(".")),
    }
