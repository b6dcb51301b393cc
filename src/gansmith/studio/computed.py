"""What workers compute: plans, previews of data, examinations, games, neighbours.

The server imports these functions to name them; torch is imported where they run.
"""

from base64 import b64encode
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from gansmith.errors import UserError
from gansmith.progress import Progress
from gansmith.studio import choices
from gansmith.text import finite


def prepared(asked: dict[str, Any], progress: Progress | None = None) -> Any:
    """The training that a form asks for, checked."""
    from gansmith.experiment.prepare import prepare

    same = {name: asked[name] for name in ("recipe", "conditional", "out", "overrides")}
    return prepare(asked["data"], from_=asked.get("from"), progress=progress, **same, **asked["options"])


def plan(asked: dict[str, Any]) -> dict[str, Any]:
    """A training's plan as `gansmith train --plan --json` says it, with both networks' layers and the machine."""
    from gansmith import recipes
    from gansmith.experiment.planning import planned

    experiment = prepared(asked)
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


def open_game(game_id: str, *, run: Path | None, source: str, recipe: str, seed: int) -> dict[str, Any]:
    """Begins a game: :func:`gansmith.studio.game.open_game`."""
    from gansmith.studio import game

    return game.open_game(game_id, run=run, source=source, recipe=recipe, seed=seed)


def play(game_id: str, players: Literal["both", "discriminator", "generator"], steps: int) -> dict[str, Any]:
    """Makes steps of a game: :func:`gansmith.studio.game.play`."""
    from gansmith.studio import game

    return game.play(game_id, players, steps)


def close_game(game_id: str) -> None:
    """Ends a game."""
    from gansmith.studio import game

    game.close(game_id)


def explore(what: str, *given: Any) -> Any:
    """A function of :mod:`gansmith.studio.exploring` by its name."""
    from gansmith.studio import exploring

    return exploring.ANSWERS[what](*given)


def metrics(paths: list[Path]) -> dict[str, Any]:
    """What can be said of the difference of runs: :func:`gansmith.studio.judging.metrics`."""
    from gansmith.runs import Run
    from gansmith.studio import judging

    return judging.metrics([Run(path) for path in paths])


SHOWN, NEAREST = 24, 5
"""Samples that are shown at once, and training images beside one."""


@lru_cache(maxsize=4)
def _generator(path: Path, state: tuple[str, int]) -> Any:
    """The generator of a run, loaded once for as long as its checkpoints stay what they are."""
    from gansmith.runs import Run
    from gansmith.runs.load import load

    return load(Run(path))


@lru_cache(maxsize=2)
def _real(path: Path) -> Any:
    """The training images of a run."""
    from gansmith.evaluation import real
    from gansmith.runs import Run

    return real.of_run(Run(path)).train


def _loaded(path: Path) -> Any:
    from gansmith.runs import Run

    run = Run(path)
    newest = max((each.stat().st_mtime_ns for each in run.checkpoints.glob("step-*")), default=0)
    return _generator(path, (run.state, newest))


def samples(path: Path, seed: int) -> dict[str, Any]:
    """The first SHOWN images of a seed, as base64 of a PNG without gaps."""
    from gansmith import render

    made = _loaded(path).sample(SHOWN, seed=seed).images
    sheet = render.png(render.sheet(made, columns=8, scale=1, gap=0))
    return {"images": b64encode(sheet).decode(), "size": [made.shape[-1], made.shape[1]], "count": SHOWN}


def neighbours(path: Path, seed: int, index: int) -> dict[str, Any]:
    """A sample and the training images nearest to it by pixels, as base64 of PNGs, with distances in grey levels."""
    from gansmith import latent, render

    generator, real = _loaded(path), _real(path)
    found = latent.neighbours(generator, str(index), real, count=min(NEAREST, len(real) - 1), seed=seed)
    close = found.pixels

    def picture(image: Any) -> str:
        return b64encode(render.png(render.sheet(image[None], scale=4, gap=0))).decode()

    images = real.take(close.indices[0])
    return {
        "sample": picture(found.images[0]),
        "usual": finite(float(close.usual[0])),
        "nearest": [
            {
                "picture": picture(image),
                "index": int(number),
                "class": None if real.labels is None else real.classes[real.labels[number]],
                "distance": finite(float(distance)),
            }
            for image, number, distance in zip(images, close.indices[0], close.distances[0], strict=True)
        ],
    }
