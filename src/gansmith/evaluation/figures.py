"""Scores and floors -> the figures, class shares and notes of a report."""

from collections.abc import Iterator, Sequence

import numpy as np

from gansmith.evaluation.features import Encoders, Features
from gansmith.evaluation.floors import Floor
from gansmith.evaluation.inputs import Generated, Images
from gansmith.evaluation.reference import Reference, Split
from gansmith.evaluation.report import Figure, Share
from gansmith.evaluation.scores import METRICS, Metric, Scores
from gansmith.metrics import confidence
from gansmith.metrics.classes import class_shares, predicted

_ONLY_SAME_COUNTS = "figures of other counts cannot be compared"


def figures(scores: Sequence[Scores], floors: dict[str, Floor], encoders: Encoders, split: Split) -> Iterator[Figure]:
    """A figure for each metric that was computed, over the latent seeds it was computed for."""
    for metric in METRICS:
        values = tuple(each.values[metric.key] for each in scores if metric.key in each.values)
        if not values:
            continue
        low, high = _interval(metric, values, split.count)
        floor = floors.get(metric.key)
        yield Figure(
            key=metric.key,
            name=_name(metric, encoders, split),
            better=metric.better,
            value=float(np.mean(values)),
            values=values,
            low=low,
            high=high,
            floor=floor and floor.mean,
            spread=floor and floor.spread(split.count if metric.share else None),
        )


def classes(encoders: Encoders, reference: Reference, features: Features) -> tuple[Share, ...]:
    """How often each class occurs among real and among generated images; empty where the encoder knows none."""
    if features.logits is None or reference.real.logits is None:
        return ()
    names = encoders.encoder.classes
    real, generated = (class_shares(predicted(each), len(names)) for each in (reference.real.logits, features.logits))
    return tuple(
        Share(name=name, real=float(of_real), generated=float(of_generated))
        for name, of_real, of_generated in zip(names, real, generated, strict=True)
    )


def notes(given: Generated, scores: Scores, encoders: Encoders, split: Split, wanted: int) -> Iterator[str]:
    """What has to be known beside the figures: what was done to the images, and what could not be computed."""
    yield from given.notes
    if isinstance(given, Images) and given.available > split.count:
        yield f"{split.count:,} of the {given.available:,} images a set, chosen by the seed"
    if split.count < wanted:
        side = f"generated images of {given.subject.name}" if given.available <= split.count else split.training
        yield f"{split.count:,} images, not {wanted:,}: there are no more {side}; {_ONLY_SAME_COUNTS}"
    if len(split.real) < split.count:
        yield f"{len(split.real):,} real images to measure against, {split.description}: there are no more"
    for need, metrics in scores.unmet.items():
        yield f"left out ({', '.join(_name(metric, encoders, split) for metric in metrics)}): needs {need}"


def _name(metric: Metric, encoders: Encoders, split: Split) -> str:
    return metric.name.format(
        encoder=encoders.encoder.full_name,
        control=encoders.control and encoders.control.full_name,
        against="test" if split.held_out else "the other half",
    )


def _interval(metric: Metric, values: tuple[float, ...], count: int) -> tuple[float | None, float | None]:
    """The 95 % interval: over latent seeds, or of a share of ``count`` images."""
    if len(values) > 1:
        interval = confidence.over_seeds(values)
    elif metric.share:
        interval = confidence.of_share(values[0] * count, count)
    else:
        return None, None
    return interval.low, interval.high
