"""evaluate: inputs -> reference -> features -> scores, and a report of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gansmith import render
from gansmith._version import __version__
from gansmith.data import Images
from gansmith.data.build import Source
from gansmith.encoders.encoder import Encoder
from gansmith.errors import FROM_0, FROM_1, MEASURED, UserError
from gansmith.evaluation import figures, floors, gallery, inputs, wording
from gansmith.evaluation.features import Encoders, Features, digit_reader, digits_of
from gansmith.evaluation.inputs import LEAST, Generated, Made, Which
from gansmith.evaluation.reference import Counter, Split, divide
from gansmith.evaluation.report import Protocol, Report
from gansmith.evaluation.scores import score
from gansmith.generator import Generator
from gansmith.metrics import stacked_mnist
from gansmith.metrics.validate import Labels
from gansmith.nn.isolation import isolated
from gansmith.progress import Progress
from gansmith.runs import Run
from gansmith.text import amount
from gansmith.training import parallel

SAMPLES = 10_000
SEEDS = 3


@dataclass(frozen=True)
class Measured:
    """A report, and the gallery of generated images beside the training images nearest to them."""

    report: Report
    gallery: render.Image


def evaluate(
    source: Images | Run | Generator,
    *,
    data: Images | None = None,
    samples: int | None = None,
    seed: int = 0,
    seeds: int = SEEDS,
    encoder: str | Path | Encoder | None = None,
    which: Which = "newest",
    out: str | Path = "runs",
    device: str = "cpu",
    progress: Progress | None = None,
) -> Report:
    """Measures generated images against real ones.

    Args:
        source: a run (folder, name, "last"), an exported generator's folder, a folder, .zip or .npz of images, a loaded
            generator, or images of any kind that :func:`gansmith.data.load` takes.
        data: the real images: a name, a path, or images; of a run, those it trains on.
        samples: how many to generate for each latent seed; 10,000 if not given, fewer where there are fewer real ones.
        seed: the first latent seed.
        seeds: how many of them.
        encoder: an encoder's file, instead of the one that fits the data.
        which: "best" evaluates the checkpoint that measured best while training.
        out: the folder that names of runs are looked up in.
        device: where the generator computes.
        progress: called with what is done of long work.

    Under torchrun every process calls this, and they share the work; all have the report.

    Raises:
        UserError: one line: no such thing, unknown or changed data, fewer than 16 images, or images that cannot be
            measured.
    """
    with parallel.together("evaluate", samples, seed, seeds) as group:
        what = inputs.resolve(source, which=which, out=out, device=parallel.device_of(group, device))
        found = measure(what, data=data, samples=samples, seed=seed, seeds=seeds, encoder=encoder, progress=progress)
    return found.report


@isolated()
def measure(
    what: Made | Path | Source,
    *,
    data: Images | None = None,
    samples: int | None = None,
    seed: int = 0,
    seeds: int = SEEDS,
    encoder: str | Path | Encoder | None = None,
    progress: Progress | None = None,
) -> Measured:
    """Measures what :func:`gansmith.evaluation.inputs.resolve` found; arguments as of :func:`evaluate`.

    Writes only to the cache.
    """
    samples = None if samples is None else MEASURED.check("samples", samples)
    seed, seeds = FROM_0.check("seed", seed), FROM_1.check("seeds", seeds)

    # Inputs: what is evaluated, and the real images that it imitates.
    real = inputs.real_images(what, data, progress=progress)
    given = inputs.generated(what, real.train, progress)

    # Reference: the real images that it stands against, what encoders make of them, and the floors.
    split = divide(real.train, real.held_out, min(samples or SAMPLES, given.available))
    _check_counts(given, split)
    encoders = Encoders.choose(real.train, encoder)
    reference, floor = floors.prepare(split, encoders, progress)

    # Features: what encoders make of the generated images, a set for each latent seed.
    numbers = range(seed, seed + seeds)
    features = _features(given, encoders, split.count, numbers, progress)
    extra = []
    if real.train.name == "stacked-mnist":
        count = min(samples or stacked_mnist.SAMPLES, given.available)
        features[0] = replace(features[0], digits=_digits(given, count, seed, progress))
        floor |= floors.of_modes(real.train, count)
        extra.append(f"modes and KL are of {count:,} images, each channel read by {digit_reader().full_name}")

    # Scores: every metric of the table, and a report of them.
    scores = [score(each, reference, first=number == 0) for number, each in enumerate(features)]
    notes = [*figures.notes(given, scores[0], encoders, split, samples or SAMPLES), *extra]
    classes = figures.classes(encoders, reference, features[0])
    variance = float(np.trace(reference.gaussian.covariance)) or None
    report = Report(
        subject=given.subject,
        protocol=_protocol(given, encoders, split, numbers),
        figures=tuple(wording.graded(list(figures.figures(scores, floor, encoders, split)), variance)),
        classes=classes,
        notes=(*notes, *wording.class_notes(classes)),
        variance=variance,
    )
    return Measured(report, gallery.draw(given, scores[0].closest, real.train, split.count, seed))


def _check_counts(given: Generated, split: Split) -> None:
    """Raises UserError, naming the side, where there are too few images to measure."""
    if given.available < LEAST:
        raise UserError(
            f"{wording.named(given.subject)}: {amount(given.available, 'generated image')} cannot be measured; give "
            f"{LEAST} or more"
        )
    if min(len(split.real), split.count) >= LEAST:
        return
    if not split.held_out:
        few = f"{2 * min(len(split.real), split.count)} training images, of which one half stands for the real ones"
        least = f"{2 * LEAST} training images"
    else:
        kind = "test" if len(split.real) < LEAST else "training"
        few, least = f"{min(len(split.real), split.count)} {kind} images", f"{LEAST} {kind} images"
    raise UserError(
        f"{wording.named(given.subject)}: too few real images to measure against: {split.real.dataset.name} has {few}; "
        f"give it {least} or more, or name others with `data`"
    )


def _features(
    given: Generated, encoders: Encoders, count: int, seeds: Sequence[int], progress: Progress | None
) -> list[Features]:
    features = []
    for number, blocks in enumerate(given.sets(count, seeds)):
        counter = Counter(progress, f"making and encoding images, set {number + 1}", count)
        features.append(encoders.features(counter.count(blocks), full=number == 0))
    return features


def _digits(given: Generated, count: int, seed: int, progress: Progress | None) -> Labels:
    return digits_of(Counter(progress, "counting modes", count).count(given.first(count, seed)))


def _protocol(given: Generated, encoders: Encoders, split: Split, seeds: Sequence[int]) -> Protocol:
    return Protocol(
        encoder=encoders.encoder.full_name,
        judge=encoders.judge and encoders.judge.full_name,
        control=encoders.control and encoders.control.full_name,
        data=split.others[0].dataset.name,
        against=split.description,
        fingerprint=split.real.dataset.fingerprint,
        real=len(split.real),
        generated=split.count,
        seeds=tuple(seeds) if isinstance(given, Made) else (),
        sets=len(split.others),
        shares=isinstance(given, Made) and bool(given.shares),
        gansmith=__version__,
    )
