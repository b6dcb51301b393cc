"""The real side of an evaluation: the reference and the floors, computed once and kept in the cache."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gansmith._version import __version__
from gansmith.data import Dataset
from gansmith.evaluation import cache, scores
from gansmith.evaluation.features import Encoders, Features
from gansmith.evaluation.reference import Counter, Part, Reference, Split, bins_of
from gansmith.metrics import stacked_mnist
from gansmith.metrics.classes import class_shares
from gansmith.metrics.ndb import Bins
from gansmith.metrics.prdc import Cloud
from gansmith.metrics.validate import Array
from gansmith.progress import Progress

WHOLE = 60_000
"""Training images at most that copies are searched for among."""


@dataclass(frozen=True)
class Floor:
    """What real images score in the place of generated ones."""

    values: tuple[float, ...]
    """One for each set of real images."""
    known_spread: float | None = None
    """The standard deviation over such sets, where it is known without measuring several."""

    @property
    def mean(self) -> float:
        """Over the sets."""
        return float(np.mean(self.values))

    def spread(self, count: int | None = None) -> float | None:
        """The standard deviation over sets; where there is but one, that of the difference of two shares of ``count``
        images; None where neither is known.
        """
        if len(self.values) > 1:
            return float(np.std(self.values, ddof=1))
        if count and self.known_spread is None:
            return float(np.sqrt(2 * self.values[0] * (1 - self.values[0]) / count))
        return self.known_spread


def prepare(split: Split, encoders: Encoders, progress: Progress | None = None) -> tuple[Reference, dict[str, Floor]]:
    """The reference, and the floor of each metric by its key."""
    key = cache.key_of(
        what="evaluation",
        gansmith=__version__,
        networks=encoders.digests,
        fingerprints=[split.real.dataset.fingerprint, split.others[0].dataset.fingerprint],
        counts=[len(split.real), split.count, len(split.others), WHOLE, scores.COPIES_OF],
    )
    stored = cache.read(key)
    if stored is not None:
        arrays, values = stored
        real, train = Features.from_arrays(arrays, "real"), arrays["train"]
        bins = Bins(arrays["centres"], arrays["counts"]) if "centres" in arrays else None
        cloud = Cloud(real.features, arrays["squares"])
        all_train = _all_train(split, encoders, train, progress)
        return Reference(real, train, all_train, split.held_out, bins, cloud), _floors(values)
    real, *others = _features(split, encoders, progress)
    train = others[0].features
    reference = Reference(
        real,
        train,
        _all_train(split, encoders, train, progress),
        split.held_out,
        bins_of(train),
        Cloud.of(real.features),
    )
    values = {}
    for number, features in enumerate(others):
        found = scores.score_real(features, reference, training=number == 0, full=number == _full(split))
        for name, value in found.items():
            values.setdefault(name, []).append(value)
    arrays = {**real.arrays("real"), "train": train, "squares": reference.cloud.squares}
    if reference.bins is not None:
        arrays |= {"centres": reference.bins.centres, "counts": reference.bins.counts}
    cache.write(key, arrays, values)
    return reference, _floors(values)


def of_modes(train: Dataset, count: int) -> dict[str, Floor]:
    """The floors of modes and KL: what a perfect sampler of the stacks would score with ``count`` images."""
    assert train.labels is not None
    floor = stacked_mnist.floor(count, truth=class_shares(train.labels, stacked_mnist.MODES))
    return {"modes": Floor((floor.modes,), floor.modes_spread), "kl": Floor((floor.kl,), floor.kl_spread)}


def _floors(values: Mapping[str, list[float]]) -> dict[str, Floor]:
    return {name: Floor(tuple(found)) for name, found in values.items()}


def _full(split: Split) -> int:
    """The set of real images that the metrics of high cost are computed for: the second, for the first is what some of
    them measure against.
    """
    return min(1, len(split.others) - 1)


def _features(split: Split, encoders: Encoders, progress: Progress | None) -> list[Features]:
    """Of the real images, then of each other set."""
    counter = Counter(progress, "encoding real images, once", len(split.real) + split.count * len(split.others))
    real = encoders.features(counter.count(split.real.blocks()))
    others = [
        encoders.features(counter.count(part.blocks()), full=number == _full(split))
        for number, part in enumerate(split.others)
    ]
    return [real, *others]


def _all_train(split: Split, encoders: Encoders, train: Array, progress: Progress | None) -> Array:
    """Features of all training images, or of WHOLE of them; ``train`` where nothing is held out to compare with.

    An entry of its own in the cache: it does not depend on how many images are measured.
    """
    if not split.held_out:
        return train
    dataset = split.others[0].dataset
    part = Part(dataset, np.sort(np.random.default_rng(1).permutation(len(dataset))[:WHOLE]))
    key = cache.key_of(
        what="whole", network=encoders.encoder.card.digest, fingerprint=dataset.fingerprint, count=len(part)
    )
    stored = cache.read(key)
    if stored is not None:
        return stored[0]["features"]
    counter = Counter(progress, "encoding all training images, once", len(part))
    features = encoders.features(counter.count(part.blocks()), full=False).features
    cache.write(key, {"features": features}, {})
    return features
