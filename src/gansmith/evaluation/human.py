"""Can a person tell real from forged images? The rounds of a quiz, and a verdict on the answers."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import FROM_0, ROUNDS, UserError
from gansmith.generator import Generator
from gansmith.text import finite

if TYPE_CHECKING:
    from gansmith.data import Dataset

SURE = 0.05
"""Probability under guessing below which a score counts as more than that."""


@dataclass(frozen=True, eq=False, repr=False)
class Quiz:
    """Images in the order in which they are shown, and the key."""

    images: NDArray[np.uint8]
    """(rounds, C, S, S)."""
    forged: NDArray[np.bool_]
    """(rounds,): whether the image is generated."""
    seed: int

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"Quiz({len(self)} images, real or forged, seed {self.seed})"

    def _repr_png_(self) -> bytes:
        """The images without the key."""
        from gansmith import render

        return render.png(render.sheet(self.images))


@dataclass(frozen=True)
class Score:
    """How many answers were right, and what that means."""

    rounds: int
    """Rounds that were answered."""
    right: int
    chance: float
    """Probability that someone who guesses has as many right, or more: the exact binomial test, one-sided."""
    taken_for_real: int
    """Forged images that were called real."""
    forged: int
    """Forged images among those answered."""

    @property
    def verdict(self) -> str:
        """What the score means, in words."""
        if self.chance < SURE:
            return "better than guessing: the forgeries give themselves away"
        if sum(math.comb(self.rounds, k) for k in range(self.right + 1)) / 2**self.rounds < SURE:
            return "worse than guessing: what gives them away was read the wrong way round"
        if 0.5**self.rounds >= SURE:
            return "too few rounds to tell from guessing"
        return "no better than guessing: the forgeries pass"


def make(generator: Generator, dataset: "Dataset", *, rounds: int = 20, seed: int = 0) -> Quiz:
    """A quiz in which each image is real or generated with equal chance; the same seed makes the same quiz.

    Args:
        generator: the forger; a conditional one makes each class equally often.
        dataset: real images of the generator's shape, preferably others than it was trained on.
        rounds: 1 to 1000.
        seed: of the coin, of the choice of real images, and of the generated ones.

    Raises:
        UserError: one line: absurd numbers, or images of another shape.
    """
    rounds, seed = ROUNDS.check("rounds", rounds), FROM_0.check("seed", seed)
    if seed < 0:
        raise UserError(f"`seed` {seed}: must not be negative")
    shape = (generator.recipe.channels, generator.recipe.size, generator.recipe.size)
    if dataset.shape != shape:
        raise UserError(f"{dataset.name}: its images are {dataset.shape}, the generator's {shape}; they must be alike")
    rng = np.random.default_rng([seed, 0x9012])
    forged = rng.random(rounds) < 0.5
    real = rng.choice(len(dataset), rounds, replace=rounds > len(dataset))
    images = np.where(forged[:, None, None, None], generator.sample(rounds, seed=seed).images, dataset.take(real))
    return Quiz(images, forged, seed)


def score(quiz: Quiz, answers: Sequence[bool]) -> Score:
    """The score of answers to the first rounds: True for forged. Raises UserError for none, or too many."""
    if not 1 <= len(answers) <= len(quiz):
        raise UserError(f"{len(answers)} answers for {len(quiz)} rounds: nothing to score")
    said, forged = np.array(answers, bool), quiz.forged[: len(answers)]
    right = int((said == forged).sum())
    return Score(len(said), right, chance(right, len(said)), int((forged & ~said).sum()), int(forged.sum()))


def row(result: Score, about: dict[str, Any]) -> dict[str, Any]:
    """A row of a run's quiz.jsonl: who played what (``about``), the time in UTC, and the score."""
    return {
        **about,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": result.rounds,
        "right": result.right,
        "chance": finite(result.chance),
        "forged": result.forged,
        "taken_for_real": result.taken_for_real,
    }


def keep(run: Path, kept: dict[str, Any]) -> Path:
    """Appends a row to the quiz.jsonl of a run's folder, and returns its path."""
    path = run / "quiz.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(kept) + "\n")
    return path


def chance(right: int, rounds: int) -> float:
    """P(X >= right) for X binomial(rounds, 1/2), exactly."""
    return float(sum(math.comb(rounds, k) for k in range(right, rounds + 1)) / 2**rounds)
