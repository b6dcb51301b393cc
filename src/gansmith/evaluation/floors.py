"""The real side of an evaluation: the reference and the floors, computed once and kept in the cache."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gansmith._version import __version__
from gansmith.data import Dataset
from gansmith.encoders.encoder import Encoder
from gansmith.evaluation import cache, scores
from gansmith.evaluation.features import Encoders, Features
from gansmith.evaluation.reference import Counter, Part, Reference, Split, bins_of, encode
from gansmith.metrics import stacked_mnist
from gansmith.metrics.classes import class_shares
from gansmith.metrics.frechet import Gaussian
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
    """The reference, and the floor of each metric by its key.

    They are two entries of the cache. The floors and the control's Gaussian are small: of data that come with gansmith
    they lie in the package.
    """
    about = {
        "gansmith": __version__,
        "networks": encoders.digests,
        "fingerprints": [split.real.dataset.fingerprint, split.others[0].dataset.fingerprint],
        "counts": [len(split.real), split.count, len(split.others), WHOLE, scores.COPIES_OF],
    }
    reference = _reference(split, encoders, cache.key_of(what="reference", **about), progress)
    key = cache.key_of(what="floors", **about)
    stored, control = cache.read(key), None
    if stored is None:
        if encoders.control is not None:
            control = Gaussian.of(encode(split.real, encoders.control, progress=progress).features)
        reference = replace(reference, control=control)
        values = _measured(split, encoders, reference, progress)
        cache.write(key, {} if control is None else {"mean": control.mean, "covariance": control.covariance}, values)
    else:
        arrays, values = stored
        if arrays:
            control = Gaussian(len(split.real), arrays["mean"], arrays["covariance"])
        reference = replace(reference, control=control)
    return reference, {name: Floor(tuple(found)) for name, found in values.items()}


def of_modes(train: Dataset, count: int) -> dict[str, Floor]:
    """The floors of modes and KL: what a perfect sampler of the stacks would score with ``count`` images."""
    assert train.labels is not None
    floor = stacked_mnist.floor(count, truth=class_shares(train.labels, stacked_mnist.MODES))
    return {"modes": Floor((floor.modes,), floor.modes_spread), "kl": Floor((floor.kl,), floor.kl_spread)}


def _full(split: Split) -> int:
    """The set of real images that the metrics of high cost are computed for: the second, for the first is what some of
    them measure against.
    """
    return min(1, len(split.others) - 1)


def _measured(
    split: Split, encoders: Encoders, reference: Reference, progress: Progress | None
) -> dict[str, list[float]]:
    """What each set of real images scores, by the metric's key."""
    counter = Counter(progress, "encoding sets of real images, once", split.count * len(split.others))
    values: dict[str, list[float]] = {}
    for number, part in enumerate(split.others):
        full = number == _full(split)
        features = encoders.features(counter.count(part.blocks()), full=full)
        for name, value in scores.score_real(features, reference, training=number == 0, full=full).items():
            values.setdefault(name, []).append(value)
    return values


def _reference(split: Split, encoders: Encoders, key: str, progress: Progress | None) -> Reference:
    """Everything but the control's Gaussian; kept under a key."""
    stored = cache.read(key)
    if stored is not None:
        arrays, _ = stored
        real, train = Features(arrays["features"], arrays.get("logits")), arrays["train"]
        bins = Bins(arrays["centres"], arrays["counts"]) if "centres" in arrays else None
        cloud = Cloud(real.features, arrays["squares"])
        return Reference(real, train, _all_train(split, encoders, progress), split.held_out, bins, cloud)
    encoded = encode(split.real, encoders.encoder, progress=progress)
    all_train = _all_train(split, encoders, progress)
    train = encode(split.others[0], encoders.encoder, progress=progress).features
    reference = Reference(
        Features(encoded.features, encoded.logits),
        train,
        all_train,
        split.held_out,
        bins_of(train),
        Cloud.of(encoded.features),
    )
    arrays = {"features": encoded.features, "train": train, "squares": reference.cloud.squares}
    if encoded.logits is not None:
        arrays["logits"] = encoded.logits
    if reference.bins is not None:
        arrays |= {"centres": reference.bins.centres, "counts": reference.bins.counts}
    cache.write(key, arrays, {})
    return reference


def _all_train(split: Split, encoders: Encoders, progress: Progress | None) -> Array | None:
    """Features of all training images, or of WHOLE of them; None where nothing is held out to compare with.

    An entry of its own in the cache: it does not depend on how many images are measured. Those of MNIST lie in the
    package, rounded: see :func:`rounded`.
    """
    if not split.held_out:
        return None
    key, part = whole(split.others[0].dataset, encoders.encoder)
    stored = cache.read(key)
    if stored is not None:
        arrays, values = stored
        return arrays["features"] if not values else arrays["features"] * values["step"]
    counter = Counter(progress, "encoding all training images, once", len(part))
    features = encoders.features(counter.count(part.blocks()), full=False).features
    cache.write(key, {"features": features}, {})
    return features


def whole(dataset: Dataset, encoder: Encoder) -> tuple[str, Part]:
    """The key of the features of all training images, and which images those are."""
    part = Part(dataset, np.sort(np.random.default_rng(1).permutation(len(dataset))[:WHOLE]))
    about = {"network": encoder.card.digest, "fingerprint": dataset.fingerprint, "count": len(part)}
    return cache.key_of(what="whole", **about), part


def rounded(features: Array) -> tuple[NDArray[np.int8], dict[str, float]]:
    """Features in 8 bits, and the step that they are multiples of: small enough for the package.

    MNIST's are rounded by 0.02 at most, where the nearest neighbour of an image is 1.9 away; the shares of the
    memorisation panel move by less than half of their interval.
    """
    step = float(np.abs(features).max() / 127)
    return np.round(features / step).astype(np.int8), {"step": step}
