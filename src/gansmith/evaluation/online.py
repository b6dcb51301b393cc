"""Quality while training: the Frechet distance of a few generated images now and then, and how often that may be."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gansmith import files, hardware, recipes
from gansmith import generator as sampling
from gansmith.data import Dataset, Fit
from gansmith.encoders.encoder import Encoder
from gansmith.errors import UserError
from gansmith.evaluation import cache, reference
from gansmith.evaluation.features import encoder_of
from gansmith.evaluation.inputs import in_shares, shares_of
from gansmith.evaluation.real import RealImages
from gansmith.metrics.frechet import Gaussian, frechet
from gansmith.progress import Progress
from gansmith.recipe import Recipe
from gansmith.runs import Run
from gansmith.runs.quality import Protocol, protocol
from gansmith.training.events import Probe
from gansmith.training.step import StepOutput, TrainState

SAMPLES = 2000
AGAINST = 10_000
"""Real images at most; their mean and covariance are computed once."""
SHARE = 0.04
"""Of the training time that measuring may take by estimate; the promise is 5 %."""
THIN = (1, 2, 4, 5, 10, 20)
"""Measurements are made at every so many checkpoints."""
LEAST_STEP = 0.002
"""Seconds that a step takes beside its arithmetic, however small."""
ENCODING = 0.65
"""Seconds of one core, as measured, whatever the images: encoding, the distance, moving memory."""
SETTLE_ON = 1024
SEED = 0x9A11
"""Of the latents: none that people look at or evaluate with."""


@dataclass(frozen=True)
class FrechetReference:
    """An encoder, and the Gaussian of the real images' features that the Frechet distance is measured to."""

    encoder: Encoder
    real: Gaussian
    protocol: Protocol
    train: Dataset
    """The training images, whose classes come as often as they are asked for."""

    def distance(self, images: np.ndarray) -> float:
        """The Frechet distance of images uint8 (N, C, H, W) from the real ones."""
        return frechet(self.real, self.encoder.encode(images).features)


@dataclass(frozen=True)
class Measuring:
    """How a training is measured."""

    every: int = 0
    """Steps between measurements; 0 for none."""
    reference: FrechetReference | None = None
    why: str = ""
    """Why nothing is measured."""


NEVER = Measuring()


def frechet_reference(train: Dataset, *, fit: Fit = "crop", progress: Progress | None = None) -> FrechetReference:
    """The reference for a training on these images; the Gaussian and the floor are kept in the cache.

    Raises UserError, in one line, when there are too few images.
    """
    encoder = encoder_of(train)
    held_out = RealImages(train, fit, progress=progress).held_out
    split = reference.divide(train, held_out, SAMPLES, against=AGAINST)
    wanted = encoder.dimensions + 1
    if held_out is not None and len(split.real) < wanted:
        raise UserError(
            f"{train.name}: {len(split.real):,} test images are too few to measure quality: {wanted} would do"
        )
    if min(len(split.real), split.count) < wanted:
        least = wanted if held_out is not None else 2 * wanted
        raise UserError(
            f"{train.name}: {len(train):,} training images are too few to measure quality: {least} would do"
        )
    key = cache.key_of(
        what="yardstick",
        encoder=encoder.full_name,
        fingerprints=[split.real.dataset.fingerprint, train.fingerprint],
        counts=[len(split.real), split.count],
    )
    stored = cache.read(key)
    if stored is None:
        real = Gaussian.of(reference.encode(split.real, encoder, progress=progress).features)
        floors = [frechet(real, reference.encode(part, encoder).features) for part in split.others]
        values = {"floors": floors}
        cache.write(key, {"mean": real.mean, "covariance": real.covariance}, values)
    else:
        arrays, values = stored
        real = Gaussian(len(split.real), arrays["mean"], arrays["covariance"])
    floors = values["floors"]
    protocol = Protocol(
        metric=f"FD-{encoder.full_name}",
        samples=split.count,
        against=split.description,
        real=len(split.real),
        fingerprint=split.real.dataset.fingerprint,
        floor=float(np.mean(floors)),
        spread=float(np.std(floors, ddof=1)) if len(floors) > 1 else 0.0,
        variance=float(np.trace(real.covariance)) or None,
    )
    return FrechetReference(encoder, real, protocol, split.others[0].dataset)


def probe(reference: FrechetReference, recipe: Recipe, every: int) -> Probe:
    """Measures the generator every so many steps, on the same latents each time; training is not affected."""
    indices = np.arange(reference.protocol.samples)
    if shares := shares_of(recipe, reference.train):
        indices = in_shares(shares, len(indices))

    def measure(state: TrainState, output: StepOutput) -> dict[str, float]:
        generator = sampling.snapshot(state.shown, recipe, settle_on=SETTLE_ON)
        return {"fd": reference.distance(generator.sample(int(indices[-1]) + 1, seed=SEED).images[indices])}

    return Probe("quality", every, measure)


def choose(
    train: Dataset,
    recipe: Recipe,
    choice: hardware.Choice,
    *,
    evaluate_every: int | None,
    steps: int,
    checkpoint_every: int,
    seconds: float | None = None,
    fit: Fit = "crop",
    progress: Progress | None = None,
) -> Measuring:
    """How a training is to be measured: every ``evaluate_every`` steps, never for 0, as often as is cheap for None.

    ``seconds``: how long it is to take, where that was said.

    Raises UserError when an interval is given and the images cannot be measured.
    """
    if evaluate_every is not None and evaluate_every < 0:
        raise UserError(f"`evaluate_every` {evaluate_every}: give a number of steps, or 0 for never")
    if evaluate_every == 0:
        return Measuring(why="switched off")
    try:
        every = evaluate_every or interval(
            recipe,
            device=choice.device,
            precision=choice.precision,
            steps=steps,
            checkpoint_every=checkpoint_every,
            seconds=seconds,
        )
        if not every:
            return Measuring(why="it would take more than 5 % of so short a training")
        return Measuring(every, frechet_reference(train, fit=fit, progress=progress))
    except UserError as error:
        if evaluate_every:
            raise UserError(f"`evaluate_every` {evaluate_every}: {error}") from None
        return Measuring(why=str(error))


def again(every: int, train: Dataset, *, fit: Fit = "crop", progress: Progress | None = None) -> Measuring:
    """How a run that goes on is measured: as it was."""
    return Measuring(every, frechet_reference(train, fit=fit, progress=progress)) if every else NEVER


def interval(
    recipe: Recipe, *, device: str, precision: str, steps: int, checkpoint_every: int, seconds: float | None = None
) -> int:
    """Steps between measurements, a multiple of checkpoints, so that they take less than 5 % of the time.

    0 where even a single one would take more. It is decided by recipe, length and kind of machine, not by a clock, so
    that the same command has the same rows; a length in seconds is what was said.
    """
    if seconds is None:
        step = LEAST_STEP + hardware.nominal_seconds(recipes.step_gflop(recipe), device=device, precision=precision)
        seconds = steps * step
    allowed = SHARE * seconds / cost(recipe, device=device)
    checkpoints = math.ceil(steps / checkpoint_every)
    return next((thin * checkpoint_every for thin in THIN if math.ceil(checkpoints / thin) <= allowed), 0)


def cost(recipe: Recipe, *, device: str) -> float:
    """Seconds that one measurement takes, nominally: making the samples and encoding them."""
    made = SAMPLES + (SETTLE_ON if recipe.statistics == "settled" else 0)
    return ENCODING + hardware.nominal_seconds(made * recipes.image_gflop(recipe), device=device)


def begin(run: Run, reference: FrechetReference) -> None:
    """Writes into the run's folder what its quality curve means. A curve of another meaning is set aside."""
    path, curve = run.path / "quality.json", run.path / "quality.jsonl"
    value: dict[str, Any] = asdict(reference.protocol)
    if path.exists() and curve.exists() and not _same({**value, **files.read_json(path)}, value):
        curve.rename(curve.with_name("quality.older.jsonl"))
    files.write_json(path, value)


def _same(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether two protocols mean the same: numbers that were measured differ a little from processor to processor."""
    measured = [name for name, value in now.items() if isinstance(value, float)]
    near = all(math.isclose(before[name], now[name], rel_tol=1e-2, abs_tol=1e-6) for name in measured)
    return near and all(before[name] == value for name, value in now.items() if name not in measured)


def better(run: Run) -> tuple[int, float, float] | None:
    """(step, its distance, that of the newest checkpoint) where an earlier one measured notably better, else None."""
    best, meaning, measured = run.best(), protocol(run), run.quality()
    if best is None or meaning is None or not measured:
        return None
    step, distance = best
    newest = float(measured[-1]["fd"])
    margin = max(2 * meaning.spread, 0.1 * newest)
    return (step, distance, newest) if newest - distance > margin else None
