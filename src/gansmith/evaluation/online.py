"""Quality while training: the Frechet distance of a few generated images now and then, and how often that may be."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gansmith import files, hardware, recipes
from gansmith import generator as sampling
from gansmith.data import Dataset, Fit
from gansmith.encoders import encoder as encoders
from gansmith.encoders.encoder import Encoder
from gansmith.errors import UserError
from gansmith.evaluation import reference
from gansmith.metrics.frechet import Gaussian, frechet
from gansmith.progress import Progress
from gansmith.recipe import Recipe
from gansmith.runs import Run
from gansmith.training.events import Probe
from gansmith.training.step import StepOutput, TrainState

SAMPLES = 2000
AGAINST = 10_000  # real images at most: their mean and covariance are computed once
SHARE = 0.04  # of the training time that measuring may take by estimate; the promise is 5 %
THIN = (1, 2, 4, 5, 10, 20)  # every so many checkpoints
LEAST_STEP = 0.002  # seconds that a step takes beside its arithmetic, however small
ENCODING = 0.65  # seconds of one core, as measured, whatever the images: encoding, the distance, moving memory
SETTLE_ON = 1024
SEED = 0x9A11  # of the latents: none that people look at or evaluate with


@dataclass(frozen=True)
class Protocol:
    """What a figure of the quality curve means: quality.json."""

    metric: str
    samples: int
    against: str
    real: int
    fingerprint: str
    floor: float
    """The same of real training images, as many as are generated."""
    spread: float
    """Standard deviation of that over three sets, the least difference that means anything is twice this."""


@dataclass(frozen=True)
class Yardstick:
    """What generated images are measured with: an encoder, and the real images' features as a Gaussian."""

    encoder: Encoder
    real: Gaussian
    protocol: Protocol

    def distance(self, images: np.ndarray) -> float:
        """The Frechet distance of images uint8 (N, C, H, W) from the real ones."""
        return frechet(self.real, self.encoder.encode(images).features)


@dataclass(frozen=True)
class Measuring:
    """Every how many steps a training is measured and with what; or never, and why."""

    every: int = 0
    stick: Yardstick | None = None
    why: str = ""


NEVER = Measuring()


def encoder_of(train: Dataset) -> Encoder:
    """What images like these are measured with, unless told otherwise."""
    return encoders.for_data(train.name, train.shape, train.classes)


def yardstick(train: Dataset, *, fit: Fit = "crop", progress: Progress | None = None) -> Yardstick:
    """For images like these; what it needs of the real ones is kept in the cache.

    Raises UserError, in one line, when there are too few images.
    """
    encoder = encoder_of(train)
    split = reference.divide(train, reference.heldout(train, fit=fit, progress=progress), SAMPLES, against=AGAINST)
    wanted = encoder.dimensions + 1
    if min(len(split.real), split.count) < wanted:
        raise UserError(f"{train.name}: too few images to measure quality: {4 * wanted:,} would do")
    key = reference.key_of(
        what="yardstick",
        encoder=encoder.full_name,
        fingerprints=[split.real.dataset.fingerprint, train.fingerprint],
        counts=[len(split.real), split.count],
    )
    found = reference.recall(key)
    if found is None:
        real = Gaussian.of(reference.encode(split.real, encoder, progress=progress).features)
        floors = [frechet(real, reference.encode(part, encoder).features) for part in split.others]
        values = {"floors": floors}
        reference.remember(key, {"mean": real.mean, "covariance": real.covariance}, values)
    else:
        arrays, values = found
        real = Gaussian(len(split.real), arrays["mean"], arrays["covariance"])
    floors = values["floors"]
    protocol = Protocol(
        metric=f"FD-{encoder.full_name}",
        samples=split.count,
        against=split.told,
        real=len(split.real),
        fingerprint=split.real.dataset.fingerprint,
        floor=float(np.mean(floors)),
        spread=float(np.std(floors, ddof=1)) if len(floors) > 1 else 0.0,
    )
    return Yardstick(encoder, real, protocol)


def probe(stick: Yardstick, recipe: Recipe, every: int) -> Probe:
    """Measures the generator every so many steps, on the same latents each time; the players stay as they are."""

    def look(state: TrainState, output: StepOutput) -> dict[str, float]:
        generator = sampling.snapshot(state.generator, recipe, settle_on=SETTLE_ON)
        return {"fd": stick.distance(generator.sample(stick.protocol.samples, seed=SEED).images)}

    return Probe("quality", every, look)


def choose(
    train: Dataset,
    recipe: Recipe,
    choice: hardware.Choice,
    *,
    asked: int | None,
    steps: int,
    checkpoint_every: int,
    fit: Fit = "crop",
    progress: Progress | None = None,
) -> Measuring:
    """How a training is to be measured: every ``asked`` steps, never for 0, as often as is cheap for None.

    Raises UserError when it was asked for and cannot be.
    """
    if asked is not None and asked < 0:
        raise UserError(f"`evaluate_every` {asked}: give a number of steps, or 0 for never")
    if asked == 0:
        return Measuring(why="as asked for")
    try:
        every = asked or interval(
            recipe, device=choice.device, precision=choice.precision, steps=steps, checkpoint_every=checkpoint_every
        )
        if not every:
            return Measuring(why="it would take more than 5 % of so short a training; --evaluate-every STEPS measures")
        return Measuring(every, yardstick(train, fit=fit, progress=progress))
    except UserError as error:
        if asked:
            raise UserError(f"`evaluate_every` {asked}: {error}") from None
        return Measuring(why=str(error))


def again(every: int, train: Dataset, *, fit: Fit = "crop", progress: Progress | None = None) -> Measuring:
    """How a run that goes on is measured: as it was."""
    return Measuring(every, yardstick(train, fit=fit, progress=progress)) if every else NEVER


def interval(recipe: Recipe, *, device: str, precision: str, steps: int, checkpoint_every: int) -> int:
    """Every how many steps to measure, so that it takes less than 5 % of the time: some multiple of checkpoints.

    0, not at all, where even a single time would take more. A function of recipe, length and machine kind alone, not
    of a clock: the same command has the same rows.
    """
    step = LEAST_STEP + hardware.nominal_seconds(recipes.step_gflop(recipe), device=device, precision=precision)
    allowed = SHARE * steps * step / cost(recipe, device=device)
    checkpoints = math.ceil(steps / checkpoint_every)
    return next((thin * checkpoint_every for thin in THIN if math.ceil(checkpoints / thin) <= allowed), 0)


def cost(recipe: Recipe, *, device: str) -> float:
    """Seconds that measuring once takes, nominally: making the samples, and encoding them, which never costs more."""
    made = SAMPLES + (SETTLE_ON if recipe.statistics == "settled" else 0)
    return ENCODING + hardware.nominal_seconds(made * recipes.image_gflop(recipe), device=device)


def begin(run: Run, stick: Yardstick) -> None:
    """Notes in the run's folder what its quality curve means. A curve of another meaning is set aside."""
    path, curve = run.path / "quality.json", run.path / "quality.jsonl"
    value: dict[str, Any] = asdict(stick.protocol)
    if path.exists() and files.read_json(path) != value and curve.exists():
        curve.rename(curve.with_name("quality.older.jsonl"))
    files.write_json(path, value)


def protocol(run: Run) -> Protocol | None:
    """What a run's quality curve means; None if it has none, or one that cannot be read."""
    try:
        return Protocol(**files.read_json(run.path / "quality.json"))
    except (UserError, TypeError):
        return None


def better(run: Run) -> tuple[int, float, float] | None:
    """(step, its distance, the newest's) where an earlier checkpoint measured notably better than the newest."""
    best, told, measured = run.best(), protocol(run), run.quality()
    if best is None or told is None or not measured:
        return None
    step, distance = best
    newest = float(measured[-1]["fd"])
    margin = max(2 * told.spread, 0.1 * newest)
    return (step, distance, newest) if newest - distance > margin else None
