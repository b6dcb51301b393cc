"""What the clerk computes: plans, previews of data, examinations, neighbours. Functions for a worker's process."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from gansmith.errors import UserError
from gansmith.studio import choices


def plan(asked: dict[str, Any]) -> dict[str, Any]:
    """A training's plan as `gansmith train --plan --json` says it, with both networks' layers and the machine."""
    from gansmith import recipes
    from gansmith.experiment.planning import planned
    from gansmith.experiment.prepare import prepare

    experiment = prepare(
        asked["data"],
        recipe=asked["recipe"],
        from_=asked.get("from"),
        conditional=asked["conditional"],
        out=asked["out"],
        overrides=asked["overrides"],
        **asked["options"],
    )
    layers = recipes.summary(experiment.recipe)
    reference = experiment.measuring.reference
    document = planned(experiment)
    known = document["expected"] or _longest_known(experiment)
    middle = known["middle"] if known and reference else None
    return {
        **document,
        "known": known,
        "words": "" if reference is None or middle is None else reference.protocol.at(middle, 0).words,
        "floor": None if reference is None else reference.protocol.floor,
        "batch_size": experiment.recipe.batch_size,
        "passes": document["images"] / len(experiment.dataset),
        "count": len(experiment.dataset),
        "shape": list(experiment.dataset.shape),
        "layers": {
            player: [asdict(row) for row in getattr(layers, player)] for player in ("generator", "discriminator")
        },
        "gflop": recipes.step_gflop(experiment.recipe),
        "device": experiment.choice.device,
        "precision": experiment.choice.precision,
        "threads": experiment.choice.threads,
    }


def _longest_known(experiment: Any) -> dict[str, Any] | None:
    """The forecast of the longest training, shorter than a planned one, of which runs of ours tell."""
    from gansmith.experiment.forecast import forecast

    steps = experiment.expected_steps
    tried = (
        forecast(experiment.recipe, experiment.dataset.name, max(1, steps * part // 20)) for part in range(19, 1, -1)
    )
    found = next((each for each in tried if each is not None), None)
    return None if found is None else asdict(found)


def preview(source: str) -> dict[str, Any]:
    """What is in a data set, and 64 of its images as a PNG."""
    import numpy as np

    from gansmith import data, render

    found = data.inspect(source)
    picture = None
    if found.dataset is not None:
        count = len(found.dataset)
        shown = found.dataset.take(np.random.default_rng(0).choice(count, min(48, count), replace=False))
        picture = render.png(render.sheet(shown, columns=12, scale=2))
    document = found.to_dict()
    kept = ("name", "kind", "credit", "usable", "found", "count", "shape", "classes", "notes", "test_count")
    problems = [f"{each['file']}: {each['what']}" for each in document["problems"][:5]]
    return {
        **{name: document[name] for name in kept},
        "problems": problems,
        "skipped": len(document["problems"]),
        "picture": picture,
    }


def findings(path: Path) -> dict[str, Any]:
    """What the doctor says of a run, as it is now, and what each remedy changes."""
    from gansmith.doctor.examination import examine
    from gansmith.runs import Run

    found = examine(Run(path), sheets=False)
    return {
        "verdict": found.verdict,
        "reason": found.conclusion.reason,
        "examined": found.examined,
        "findings": [
            {**finding.to_dict(), "when": finding.when, "changes": choices.of_remedy(finding.remedy)}
            for finding in found.findings
        ],
    }


def write_report(path: Path) -> None:
    """Writes a run's report again."""
    from gansmith.report.page import write_report as write

    write(path)


def check(asked: dict[str, Any]) -> None:
    """Refuses at once what a training would refuse first: an unknown recipe, a field's value."""
    from gansmith import recipes
    from gansmith.training.options import TrainingOptions

    TrainingOptions.of(**asked["options"])
    if asked["recipe"] is not None:
        recipes.get(asked["recipe"]).override(**asked["overrides"])
    elif asked.get("from") is None:
        raise UserError("choose a recipe")
