"""evaluate: generated images, real images and a protocol -> a Report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gansmith import render
from gansmith._version import __version__
from gansmith.data import Dataset
from gansmith.data.build import SizeNeededError
from gansmith.encoders import encoder as encoders
from gansmith.encoders.encoder import Encoder
from gansmith.errors import UserError
from gansmith.evaluation import floors as real_side
from gansmith.evaluation import gallery, inputs, reference, scores, wording
from gansmith.evaluation.floors import Ticks
from gansmith.evaluation.inputs import LEAST, Images, Made, Reference, Which
from gansmith.evaluation.reference import Split
from gansmith.evaluation.report import FILE, GALLERY, Figure, Protocol, Report, Share, Subject
from gansmith.evaluation.scores import Eyes, Found, Real
from gansmith.files import write_bytes
from gansmith.generator import Generator
from gansmith.metrics import confidence, stacked_mnist
from gansmith.metrics.classes import class_shares, predicted
from gansmith.progress import Progress, Ticker
from gansmith.runs import Run

SAMPLES = 10_000
SEEDS = 3


@dataclass(frozen=True)
class Measured:
    """A report, and the gallery of generated images beside the training images nearest to them."""

    report: Report
    gallery: render.Image


def evaluate(
    source: str | Path | Run | Generator | np.ndarray,
    *,
    data: str | Path | None = None,
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
            generator, or images uint8 (N, C, H, W).
        data: the real images: a name or a path; of a run, those it trains on.
        samples: how many to generate for each latent seed; 10,000 if not given, fewer where there are fewer real ones.
        seed: the first latent seed.
        seeds: how many of them.
        encoder: an encoder's file, instead of the one that fits the data.
        which: "best" evaluates the checkpoint that measured best while training.
        out: the folder that names of runs are looked up in.
        device: where the generator computes.
        progress: told how long work gets on.

    Raises:
        UserError: one line: no such thing, unknown data, fewer than 16 images, or images that cannot be measured.
    """
    return measure(
        inputs.resolve(source, which=which, out=out, device=device),
        data=data,
        samples=samples,
        seed=seed,
        seeds=seeds,
        encoder=encoder,
        progress=progress,
    ).report


def measure(
    what: Made | Path | np.ndarray,
    *,
    data: str | Path | None = None,
    samples: int | None = None,
    seed: int = 0,
    seeds: int = SEEDS,
    encoder: str | Path | Encoder | None = None,
    progress: Progress | None = None,
) -> Measured:
    """As :func:`evaluate`, of something resolved; and its gallery. Writes only to the cache."""
    if samples is not None and samples < LEAST:
        raise UserError(f"`samples` {samples}: give {LEAST} or more; the default is {SAMPLES:,}")
    if seeds < 1 or seed < 0:
        raise UserError(f"`seed` {seed}, {seeds} seeds: the seed may not be negative, and there is at least one")
    train, test = _real_images(what, data, progress)
    given = _given(what, train, progress)
    wanted = samples or SAMPLES
    if isinstance(given, Images):
        wanted = min(wanted, len(given.images))
    split = reference.divide(train, test, wanted)
    if min(split.count, len(split.real)) < LEAST:
        raise UserError(
            f"{wording.named(given.subject)}: {split.count} images cannot be measured; give {LEAST} or more"
        )
    eyes = real_side.eyes_for(train, encoder)
    real, floors = real_side.prepare(split, eyes, progress)
    sets = _sets(given, split.count, seed, seeds)
    found = [_found(blocks, eyes, real, split, number, progress) for number, blocks in enumerate(sets)]
    if train.name == "stacked-mnist":
        _add_modes(found[0][0], floors, given, train, samples or stacked_mnist.SAMPLES, seed, progress)
    notes = [
        *_notes(given, split, samples or SAMPLES, eyes),
        *dict.fromkeys(note for each, _ in found for note in each.told()),
    ]
    protocol = Protocol(
        encoder=eyes.encoder.full_name,
        judge=eyes.judge and eyes.judge.full_name,
        control=eyes.control and eyes.control.full_name,
        data=train.name,
        against=split.told,
        fingerprint=split.real.dataset.fingerprint,
        real=len(split.real),
        generated=split.count,
        seeds=tuple(range(seed, seed + len(sets))) if isinstance(given, Made) else (),
        sets=len(split.others),
        gansmith=__version__,
    )
    figures = wording.told(list(_figures([each for each, _ in found], floors, eyes, split)))
    classes = _classes(eyes, real, found[0][1])
    report = Report(
        subject=given.subject,
        protocol=protocol,
        figures=tuple(figures),
        classes=classes,
        notes=(*notes, *wording.class_notes(classes)),
    )
    return Measured(report, gallery.draw(given, found[0][0].closest, train, split.count, seed))


def save(run: Run, measured: Measured) -> None:
    """Keeps an evaluation in the run's folder, where `gansmith report` finds it."""
    measured.report.save(run.path / FILE)
    write_bytes(run.path / GALLERY, render.png(measured.gallery))


def kept(
    run: Run,
    made: Made,
    *,
    data: str | Path | None,
    samples: int | None,
    seed: int,
    seeds: int,
    encoder: str | Path | Encoder | None,
) -> Report | None:
    """The evaluation that a run's folder holds, if it is of this checkpoint and was measured in this way."""
    if data is not None or encoder is not None or not (run.path / FILE).exists():
        return None
    try:
        report = Report.read(run.path / FILE)
    except UserError:
        return None
    told = report.protocol
    same = (
        report.subject == made.subject
        and told.seeds == tuple(range(seed, seed + seeds))
        and told.generated == (samples or SAMPLES)
        and told.gansmith == __version__
    )
    return report if same else None


def _real_images(
    what: Made | Path | np.ndarray, data: str | Path | None, progress: Progress | None
) -> tuple[Dataset, Dataset | None]:
    """The real images to measure against."""
    if isinstance(what, Made):
        recipe = what.generator.recipe
        known = Reference(data, recipe.size) if data is not None else what.reference
        if known is None:
            raise UserError(f"{what.subject.name}: name the real images that it imitates, such as `data` mnist")
        train, test = reference.load(known.source, size=recipe.size, fit=known.fit, progress=progress)
        if known.fingerprint is not None and train.fingerprint != known.fingerprint:
            raise UserError(
                f"{known.source}: the data changed since {what.subject.name} was trained; restore them, or name others "
                "with `data`"
            )
        if train.shape[0] != recipe.channels:
            colour = {1: "grey", 3: "RGB"}
            raise UserError(
                f"{train.name} is {colour[train.shape[0]]}, but {what.subject.name} makes {colour[recipe.channels]} "
                "images; name other real images with `data`"
            )
        return train, test
    if data is None:
        raise UserError("images: name the real images that they imitate, such as `data` mnist")
    try:
        return reference.load(data, size=None, progress=progress)
    except SizeNeededError:
        size = int(what.shape[2]) if isinstance(what, np.ndarray) else inputs.size_of(what, progress)
        if size is None:
            raise
        return reference.load(data, size=size, progress=progress)


def _given(what: Made | Path | np.ndarray, like: Dataset, progress: Progress | None) -> Made | Images:
    if isinstance(what, Made):
        return what
    if isinstance(what, Path):
        return inputs.read(what, like, progress)
    return inputs.fitted(what, like, Subject(name="images", kind="images"))


def _sets(given: Made | Images, count: int, seed: int, seeds: int) -> list[Iterator[np.ndarray]]:
    """The sets of images to measure: one for each latent seed, or as many disjoint ones as there are images for."""
    if isinstance(given, Made):
        return [given.blocks(count, each) for each in range(seed, seed + seeds)]
    order = np.random.default_rng(seed).permutation(len(given.images))
    sets = min(seeds, len(order) // count)
    return [_blocks(given.images, np.sort(order[i * count : (i + 1) * count])) for i in range(sets)]


def _blocks(images: np.ndarray, indices: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(indices), reference.BLOCK):
        yield images[indices[start : start + reference.BLOCK]]


def _found(
    blocks: Iterator[np.ndarray], eyes: Eyes, real: Real, split: Split, number: int, progress: Progress | None
) -> tuple[Found, scores.Seen]:
    ticks = Ticks(Ticker(progress, f"making and encoding images, set {number + 1}", split.count))
    seen = eyes.see(ticks.through(blocks), full=number == 0)
    return scores.measure(seen, real, full=number == 0, neighbours=number == 0), seen


def _figures(found: Sequence[Found], floors: dict[str, list[float]], eyes: Eyes, split: Split) -> Iterator[Figure]:
    first = found[0]
    for metric in wording.METRICS:
        values = tuple(each.values[metric.key] for each in found if metric.key in each.values)
        if not values:
            continue
        low = high = None
        if len(values) > 1:
            interval = confidence.over_seeds(values)
            low, high = interval.low, interval.high
        elif metric.share:
            interval = confidence.of_share(values[0] * split.count, split.count)
            low, high = interval.low, interval.high
        floor = floors.get(metric.key)
        figure = Figure(
            key=metric.key,
            name=metric.name.format(
                encoder=eyes.encoder.full_name,
                control=eyes.control and eyes.control.full_name,
                against="test" if split.held_out else "the other half",
            ),
            better=metric.better,
            value=float(np.mean(values)),
            values=values,
            low=low,
            high=high,
            floor=float(np.mean(floor)) if floor else None,
            spread=_spread(floor, first.spreads.get(metric.key), split.count if metric.share else 0),
        )
        yield figure


def _spread(floor: list[float] | None, known: float | None, count: int) -> float | None:
    """Standard deviation of a floor; of the difference of two shares of ``count`` where there is but one."""
    if floor and len(floor) > 1:
        return float(np.std(floor, ddof=1))
    if floor and count and known is None:
        return float(np.sqrt(2 * floor[0] * (1 - floor[0]) / count))
    return known


def _classes(eyes: Eyes, real: Real, seen: scores.Seen) -> tuple[Share, ...]:
    if seen.logits is None or real.seen.logits is None:
        return ()
    count = len(eyes.encoder.classes)
    shares = [class_shares(predicted(logits), count) for logits in (real.seen.logits, seen.logits)]
    return tuple(
        Share(name=name, real=float(ours), generated=float(theirs))
        for name, ours, theirs in zip(eyes.encoder.classes, *shares, strict=True)
    )


def _add_modes(
    found: Found,
    floors: dict[str, list[float]],
    given: Made | Images,
    train: Dataset,
    count: int,
    seed: int,
    progress: Progress | None,
) -> None:
    """Modes and KL of stacked digits, at the size that is the custom, with what a perfect sampler would score."""
    if isinstance(given, Images):
        count = min(count, len(given.images))
        blocks = _blocks(given.images, np.arange(count))
    else:
        blocks = given.blocks(count, seed)
    ticks = Ticks(Ticker(progress, "counting modes", count))
    found.values |= scores.modes(ticks.through(blocks), encoders.builtin("mnist"))
    assert train.labels is not None
    floor = stacked_mnist.floor(count, truth=class_shares(train.labels, stacked_mnist.MODES))
    floors |= {"modes": [floor.modes], "kl": [floor.kl]}
    found.spreads |= {"modes": floor.modes_spread, "kl": floor.kl_spread}
    found.notes.append(
        f"modes and KL are of {count:,} images, each channel read by {encoders.builtin('mnist').full_name}"
    )


def _notes(given: Made | Images, split: Split, wanted: int, eyes: Eyes) -> Iterator[str]:
    if isinstance(given, Images):
        yield from given.notes
        if len(given.images) > split.count:
            yield f"{split.count:,} of the {len(given.images):,} images a set, chosen by the seed"
    if split.count < wanted:
        yield f"{split.count:,} images, not {wanted:,}: there are no more; figures of other counts cannot be compared"
    if not split.held_out:
        yield (
            "there is no test split: one half of the training images stands for the real ones, the other gives the "
            "floor, and memorisation cannot be told"
        )
    if not eyes.encoder.classes:
        yield (
            f"{eyes.encoder.full_name} is untrained and knows no classes: classifier score, classes and share "
            "recognised are left out; `gansmith encoder train` makes one from labelled data, for --encoder"
        )
