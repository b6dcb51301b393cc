"""What `gansmith train` says before a training, and after it: in lines, or as one document."""

import shlex
from collections.abc import Callable
from json import loads as read_json
from pathlib import Path
from signal import Signals
from typing import Any

from gansmith import recipe as recipes
from gansmith.cli.doctor import needed
from gansmith.cli.output import pairs, program
from gansmith.text import amount, duration, finite


def opening(experiment: Any, run: Any = None) -> str:
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
    words = in_words(experiment)
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


def closing(run: Any, stopped_by: tuple[int, int] | None = None) -> str:
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


def summarised(run: Any) -> dict[str, Any]:
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


def in_words(experiment: Any) -> Callable[[float], str] | None:
    """What says a Frechet distance in words, where the training is measured."""
    reference = experiment.measuring.reference
    return reference and (lambda distance: reference.protocol.at(distance, 0).words)
