"""`gansmith train`: its flags, one for every field of a recipe included, and what it does with them."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args

from cyclopts import Group, Parameter

from gansmith import hardware, runs
from gansmith import recipe as recipes
from gansmith.cli.options import OptionalSource, Recipes
from gansmith.cli.output import document, progress, say
from gansmith.cli.training_words import closing, in_words, opening, summarised
from gansmith.errors import UserError
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
    hardware.keep_freed_memory()
    kept = given_only({"from_": from_, "recipe": recipe, "fit": fit, "conditional": conditional})
    experiment = _experiment(data, given_only({"size": size, **fields}), kept, config, resume, given_only({"out": out}))
    if experiment.group.rank:  # the first process says and writes everything
        return 0 if plan else _beside(experiment)
    if plan:
        from gansmith.experiment.planning import planned

        document(planned(experiment)) if json else say(opening(experiment))
        return 0
    run = _watched(experiment, track or [], quiet=quiet, aside=json)
    if json:
        document(summarised(run))
    elif quiet:
        say(str(run.path))
    else:
        say(closing(run, experiment.group.stopped_by))
    return 130 if run.state == "interrupted" else 0


def _experiment(
    source: str | None,
    fields: dict[str, Any],
    kept: dict[str, Any],
    config: Path | None,
    resume: str | None,
    place: dict[str, Any],
) -> Any:
    """The training that the flags ask for, checked: new, or one that goes on and keeps what it began with."""
    options = {name: fields.pop(name) for name in TrainingOptions.model_fields if name in fields}
    TrainingOptions.of(**options)  # complains before torch is imported
    changes = recipe_changes(fields)
    if resume is not None:
        return _resumed(resume, [*kept, *changes, *(["config"] if config else [])], source=source, **place | options)
    changes = {**_config(config), **changes}
    named = given_only({"recipe": changes.pop("name", None)})
    return _prepared(source, overrides=changes, **named | kept | place | options)


def recipe_changes(flags: dict[str, Any]) -> dict[str, Any]:
    """What flags change in a recipe; the word none is None, but for a field that has it among its own words."""
    known = dict(recipes.fields())
    named = {name.replace("__", "."): value for name, value in flags.items()}
    empty = {name for name, value in named.items() if value == "none" and NoneType in get_args(known[name].annotation)}
    return {name: None if name in empty else value for name, value in named.items()}


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
    from gansmith.live.cores import Cores
    from gansmith.live.terminal import Panel

    panel = Panel(
        total_steps=experiment.steps,
        minutes=experiment.minutes,
        start_step=experiment.start_step,
        batch_size=experiment.recipe.batch_size,
        said=in_words(experiment),
        quiet=quiet,
        file=sys.stderr if aside else sys.stdout,
    )
    monitor = Monitor(lambda finding: panel.tell(finding.name, finding.line(), over=finding.until is not None))
    with ExitStack() as stack:

        def started(run: Any) -> None:
            if not quiet:
                say(opening(experiment, run), aside=aside)
            monitor.begin(run)
            stack.enter_context(panel)

        alone = experiment.choice.device == "cpu" and not experiment.group.shared
        cores = Cores(experiment.choice.threads if alone else 1, panel.tell)
        return execute(experiment, observers=[panel, monitor, cores], track=track, started=started)


def _beside(experiment: Any) -> int:
    """Trains in silence beside the first process."""
    from gansmith.experiment.execute import execute

    execute(experiment)
    return 130 if experiment.group.stopped_by else 0


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
