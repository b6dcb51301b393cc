"""`gansmith train`: its flags, one for every field of a recipe included, and what it says before and after."""

import inspect
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from json import loads as read_json
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args

from cyclopts import Group, Parameter

from gansmith import recipe as recipes
from gansmith.cli.output import document, finite, pairs, program, progress, say
from gansmith.errors import UserError
from gansmith.text import amount, duration

__all__ = ["train"]

OWN = {"name", "size", "steps", "conditional", "classes"}  # fields that flags of their own, or the data, decide
ENDING = {"source", "steps", "minutes", "out", "device", "precision", "threads", "fast"}  # may differ in a resumed run

MACHINE = Group("Machine", sort_key=2)
OUTPUT = Group("What is written and said", sort_key=3)
FIELDS = Group("Recipe fields: change what the recipe says", sort_key=4)

Machine = Parameter(group=MACHINE)
Output = Parameter(group=OUTPUT)
Switch = Parameter(group=OUTPUT, negative=(), show_default=False)


def _recipe_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a verb that takes ``**changes`` a flag for every field of a recipe."""
    plain = inspect.signature(function)
    own = [parameter for parameter in plain.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    more = [_flag(name, info) for name, info in recipes.fields() if name not in OWN]
    function.__signature__ = plain.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
    function.__annotations__ |= {parameter.name: parameter.annotation for parameter in more}
    return function


def _flag(name: str, info: Any) -> inspect.Parameter:
    """A flag for one field. None means not given, so a field that can be None takes the word none."""
    kind = (Literal["none"] | info.annotation) if NoneType in get_args(info.annotation) else (info.annotation | None)
    flag = Parameter(
        name="--" + name.replace("_", "-"),
        help=info.description,
        group=FIELDS,
        negative=None if info.annotation is bool else (),
    )
    return inspect.Parameter(
        name.replace(".", "__"), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, flag]
    )


@_recipe_flags
def train(
    data: str | None = None,
    /,
    *,
    recipe: str | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    size: int | None = None,
    fit: Literal["crop", "pad"] | None = None,
    conditional: Annotated[bool | Literal["projection", "auxiliary"] | None, Parameter(negative=())] = None,
    config: Path | None = None,
    resume: str | None = None,
    device: Annotated[str | None, Machine] = None,
    precision: Annotated[Literal["auto", "fp32", "bf16"] | None, Machine] = None,
    threads: Annotated[int | None, Machine] = None,
    fast: Annotated[Literal["auto", "off"] | None, Machine] = None,
    out: Annotated[Path | None, Output] = None,
    sheet_every: Annotated[int | None, Output] = None,
    log_every: Annotated[int | None, Output] = None,
    checkpoint_every: Annotated[int | None, Output] = None,
    signals_every: Annotated[int | None, Output] = None,
    evaluate_every: Annotated[int | None, Output] = None,
    sanity_steps: Annotated[int | None, Output] = None,
    gif: Annotated[bool, Switch] = False,
    quiet: Annotated[bool, Switch] = False,
    json: Annotated[bool, Switch] = False,
    **changes: Any,
) -> int:
    """Train a generator and a discriminator on images.

    What a flag says beats the --config file, and that beats the recipe.

    Args:
        data: mnist (the default), another name, or the path of an image folder, .zip, .npz or IDX file.
        recipe: a name that `gansmith recipes` lists.
        steps: updates of both players; the recipe's headline length if neither this nor --minutes is given.
        minutes: train for this long instead.
        seed: decides everything random; 0 if not given.
        size: height and width in pixels that images are brought to; their own, or the recipe's, if not given.
        fit: what becomes of images that are not square: cropped to the centre, or padded.
        conditional: train on the data's labels, for `sample --label`; a head may be named, projection if it is not.
        config: a TOML file of recipe fields, as `gansmith recipes NAME` prints them.
        resume: go on with this run (a folder, a name under runs/, or last); --steps and --minutes are the new end.
        device: auto, cpu, cuda or cuda:1.
        precision: of the arithmetic.
        threads: CPU threads; all that this process may use if not given.
        fast: off takes the plain layers in the place of the fast ones, which compute the same function.
        out: folder of runs.
        sheet_every: steps between sheets of samples.
        log_every: steps between rows of metrics.
        checkpoint_every: steps between checkpoints.
        signals_every: steps between the doctor's looks at the players, 0 for none; as often as takes under 2 % of the
            time, if not given.
        evaluate_every: steps between measurements of quality, 0 for none; at checkpoints, as often as takes under 5 %
            of the time, if not given.
        sanity_steps: first train a discriminator alone for so many steps, to see that it can tell real from untrained.
        gif: write the animation as GIF instead of WebP.
        quiet: say only where the run is.
        json: print one JSON document at the end; progress goes to standard error.
    """
    job = _job(_given(locals()))
    run = _watched(job, quiet=quiet, aside=json)
    if json:
        document(_summary(run))
    elif quiet:
        say(str(run.path))
    else:
        say(_closing(run))
    return 130 if run.state == "interrupted" else 0


def _job(given: dict[str, Any]) -> Any:
    """The checked training that the given flags of :func:`train` ask for."""
    from gansmith.experiment import execute

    for name in ("quiet", "json"):
        given.pop(name)
    flags = {name.replace("__", "."): value for name, value in _given(given.pop("changes")).items()}
    changes = {name: None if value == "none" else value for name, value in flags.items()}
    if "size" in given:
        changes["size"] = given.pop("size")
    config, resume = given.pop("config", None), given.pop("resume", None)
    if not given["gif"]:
        given.pop("gif")
    if "data" in given:
        given["source"] = given.pop("data")
    if resume is None:
        asked = _config(config)
        given = _given({"recipe": asked.pop("name", None)}) | given
        return execute.prepare(**given, overrides={**asked, **changes}, progress=progress)
    refused = [*(given.keys() - ENDING), *changes, *(["config"] if config else [])]
    if refused:
        flag = refused[0].replace("_", "-")
        raise UserError(f"--{flag}: a run keeps what it began with; leave it out, or train anew without --resume")
    return execute.prepare_resume(resume, **given, progress=progress)


def _watched(job: Any, *, quiet: bool, aside: bool) -> Any:
    """Trains, saying first what is about to happen, and showing how it goes."""
    from gansmith.cli.live import Panel
    from gansmith.doctor import Watch
    from gansmith.experiment import execute

    panel = Panel(
        total_steps=job.steps,
        minutes=job.minutes,
        start_step=job.start_step,
        batch_size=job.recipe.batch_size,
        quiet=quiet,
        file=sys.stderr if aside else sys.stdout,
    )
    watch = Watch(lambda finding: panel.tell(finding.name, finding.line(), over=finding.until is not None))
    with ExitStack() as stack:

        def started(run: Any) -> None:
            if not quiet:
                say(_opening(job, run), aside=aside)
            watch.begin(run)
            stack.enter_context(panel)

        return execute.execute(job, observers=[panel, watch], started=started)


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
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


def _opening(job: Any, run: Any) -> str:
    """What a training is about to do, where, and how long that will take."""
    channels, height, width = job.dataset.shape
    colour = "grey" if channels == 1 else "RGB"
    skipped = len(job.dataset.problems)
    choice, recipe = job.choice, job.recipe
    end = f"{amount(job.steps, 'step')}" if job.steps else f"{job.minutes:g} min"
    start = f"from step {job.start_step:,} to {end}" if job.start_step else end
    many = round(job.estimated_seconds / job.seconds_per_step)
    expected = duration(job.estimated_seconds) if job.steps else amount(many, "step")
    rows = {
        "data": f"{job.dataset.name}, {amount(len(job.dataset), 'image')}, {height}x{width}, {colour}"
        + (f"; {amount(skipped, 'file')} skipped (`gansmith data {job.dataset.source}` says why)" if skipped else ""),
        "recipe": f"{recipe.name}, batches of {recipe.batch_size:,}"
        + (f", on {amount(recipe.classes, 'label')} ({recipe.conditional})" if recipe.classes else ""),
        "device": f"{choice.device} ({choice.why['device']})",
        "precision": f"{choice.precision} ({choice.why['precision']})",
        "threads": f"{choice.threads} ({choice.why['threads']})",
        "layers": f"{choice.layers} ({choice.why['layers']})",
        "training": f"{start}, about {expected} at {1 / job.seconds_per_step:,.3g} steps/s",
        "quality": _measuring(job),
        "run": run.path,
    }
    return "\n".join([pairs(rows), *(f"warning: {warning}" for warning in job.warnings)])


def _measuring(job: Any) -> str:
    """What is measured while it trains, or why nothing is."""
    measuring = job.measuring
    if measuring.stick is None:
        return f"not measured while it trains ({measuring.why})" if measuring.why else ""
    told = measuring.stick.protocol
    return (
        f"{told.metric} of {told.samples:,} samples every {amount(measuring.every, 'step')}; "
        f"{told.floor:.3g} for real images"
    )


def _closing(run: Any) -> str:
    """Which pictures there are now, and the commands to go on."""
    from gansmith.runs import checkpoint

    newest = checkpoint.newest(run.checkpoints, [])
    step = checkpoint.state(newest)["step"] if newest else 0
    where = shlex.quote(run.name if run.path.parent == Path("runs") else str(run.path))
    if run.state == "interrupted":
        return (
            f"\ninterrupted and saved at step {step:,} in {run.path}; go on with\n  {program()} train --resume {where}"
        )
    pictures = {
        "samples": "sheet.png",
        "as it learned": run.settings.animation,
        "real beside generated": "real-and-generated.png",
        "can you tell?": "quiz.png",
        "all on one page": "report.html",
    }
    here = {what: run.path / name for what, name in pictures.items() if (run.path / name).exists()}
    sanity = "".join(f"; alone, the discriminator was right in {share:.0%}" for share in _sanity(run)[-1:])
    return (
        f"\n{amount(step, 'step')} done{sanity}: {run.path}\n\n{pairs(here)}{_best(run, where)}\n\ngo on with\n"
        f"  {program()} sample {where} -n 64 --seed 1 -o more.png\n"
        f"  {program()} evaluate {where}\n"
        f"  {program()} train --resume {where} --steps {2 * step}\n"
        f"  {program()} recipes"
    )


def _best(run: Any, where: str) -> str:
    """A line where an earlier checkpoint measured notably better than the newest."""
    from gansmith.evaluation import online

    better = online.better(run)
    if better is None:
        return ""
    step, best, newest = better
    return (
        f"\n\nstep {step:,} measured better than the end ({best:.3g} against {newest:.3g}) and is kept; see\n"
        f"  {program()} sample {where} --best -n 64 -o best.png"
    )


def _sanity(run: Any) -> list[float]:
    """The accuracies of --sanity-steps, if there were any."""
    path = run.path / "sanity.json"
    return list(read_json(path.read_text())["discriminator_accuracy"]) if path.exists() else []


def _summary(run: Any) -> dict[str, Any]:
    """A finished training as a document."""
    last = (run.metrics() or [{}])[-1]
    return {
        "run": run.path,
        "state": run.state,
        "recipe": run.recipe.name,
        "data": run.data.name,
        "seed": run.settings.seed,
        "metrics": {name: finite(value) if isinstance(value, float) else value for name, value in last.items()},
        "quality": {"best": run.best(), "newest": (run.quality() or [None])[-1]},
        "sanity": [finite(share) for share in _sanity(run)],
        "files": sorted(path.name for path in run.path.iterdir() if not path.name.startswith(".")),
    }
