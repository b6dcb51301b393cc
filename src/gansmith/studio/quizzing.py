"""What a worker computes for the quiz: the pictures with their key, and the score of answers.

The server imports these functions to name them; torch is imported where they run.
"""

from base64 import b64encode
from functools import lru_cache
from pathlib import Path
from typing import Any

from gansmith.text import finite


@lru_cache(maxsize=2)
def _pretrained(name: str) -> tuple[Any, Any]:
    """A generator that comes with gansmith, and real images that it never saw."""
    from gansmith.evaluation import real
    from gansmith.generator import Generator
    from gansmith.runs.run import PRETRAINED

    generator = Generator.from_pretrained(PRETRAINED / name)
    return generator, real.of_generator(generator, name).unseen


@lru_cache(maxsize=2)
def _of_run(path: Path, newest: int) -> tuple[Any, Any]:
    """A run's generator as it is, and real images that it never saw, where there are such."""
    from gansmith.evaluation import real
    from gansmith.runs import Run
    from gansmith.runs.load import load

    run = Run(path)
    return load(run), real.of_run(run).unseen


def make(run: Path | None, pretrained: str | None, rounds: int, seed: int) -> dict[str, Any]:
    """The quiz of `gansmith quiz` with the same seed: pictures as base64 of PNGs, and the key."""
    from gansmith import render
    from gansmith.evaluation import human
    from gansmith.runs import Run

    if run is not None:
        newest = max((each.stat().st_mtime_ns for each in Run(run).checkpoints.glob("step-*")), default=0)
        generator, images = _of_run(run, newest)
    else:
        generator, images = _pretrained(str(pretrained))
    quiz = human.make(generator, images, rounds=rounds, seed=seed)
    pictures = (render.png(render.sheet(image[None], columns=1, scale=1, gap=0)) for image in quiz.images)
    return {
        "generator": run.name if run is not None else pretrained,
        "real": f"{images.name}, {images.split} images",
        "pictures": tuple(b64encode(picture).decode() for picture in pictures),
        "key": tuple(bool(each) for each in quiz.forged),
        "seed": seed,
        "run": run,
        "about": {
            "step": generator.about.get("steps", 0),
            "seed": seed,
            "real": f"{images.split} images",
            "generator": generator.digest[:16],
        },
    }


def score(
    key: tuple[bool, ...], answers: list[bool], seed: int, run: Path | None, about: dict[str, Any]
) -> dict[str, Any]:
    """What :func:`gansmith.evaluation.human.score` says of answers to the first rounds, with its verdict.

    Kept in the folder of a run as `gansmith quiz` keeps it, with who played what.
    """
    import numpy as np

    from gansmith.evaluation import human

    quiz = human.Quiz(np.zeros((len(key), 1, 1, 1), np.uint8), np.array(key, bool), seed)
    found = human.score(quiz, answers)
    if run is not None:
        human.keep(run, human.row(found, about))
    return {
        "rounds": found.rounds,
        "right": found.right,
        "chance": finite(found.chance),
        "verdict": found.verdict,
        "forged": found.forged,
        "taken_for_real": found.taken_for_real,
    }
