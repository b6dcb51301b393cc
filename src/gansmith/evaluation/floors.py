"""The real side of an evaluation: its features, and the floors, which are computed once and kept in the cache."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gansmith._version import __version__
from gansmith.data import Dataset
from gansmith.encoders import encoder as encoders
from gansmith.encoders.encoder import Encoder
from gansmith.evaluation import online, reference, scores
from gansmith.evaluation.reference import Part, Split
from gansmith.evaluation.scores import Eyes, Real
from gansmith.metrics.ndb import Bins
from gansmith.metrics.prdc import Cloud
from gansmith.progress import Progress, Ticker

WHOLE = 60_000


def eyes_for(train: Dataset, asked: str | Path | Encoder | None) -> Eyes:
    """The encoder, and beside a shipped one its judge; beside a trained one, the control that no one trained."""
    own = online.encoder_of(train)
    if isinstance(asked, Encoder):
        own = asked
    elif asked is not None:
        own = encoders.load(asked)
    shipped = own.name in encoders.names() and own.digest == encoders.builtin(own.name).digest
    control = encoders.control(train.shape)
    return Eyes(
        own, encoders.judge(own.name) if shipped else None, control if own.full_name != control.full_name else None
    )


def prepare(split: Split, eyes: Eyes, progress: Progress | None) -> tuple[Real, dict[str, list[float]]]:
    """The real images' features, and what real training images score in the place of generated ones: the floors."""
    networks = [each.card.digest for each in (eyes.encoder, eyes.judge, eyes.control) if each is not None]
    key = reference.key_of(
        what="evaluation",
        gansmith=__version__,
        networks=networks,
        fingerprints=[split.real.dataset.fingerprint, split.others[0].dataset.fingerprint],
        counts=[len(split.real), split.count, len(split.others), WHOLE, scores.COPIES_OF],
    )
    kept = reference.recall(key)
    if kept is not None:
        arrays, floors = kept
        seen = scores.from_arrays(arrays, "real")
        bins = Bins(arrays["centres"], arrays["counts"]) if "centres" in arrays else None
        cloud = Cloud(seen.features, arrays["squares"]) if "squares" in arrays else None
        whole = _whole(split, eyes, arrays["train"], progress)
        return Real(seen, arrays["train"], whole, bins, split.held_out, cloud), floors
    ticks = Ticks(Ticker(progress, "encoding real images, once", len(split.real) + split.count * len(split.others)))
    seen = eyes.see(ticks.through(split.real.blocks()))
    others = [
        eyes.see(ticks.through(part.blocks()), full=number == min(1, len(split.others) - 1))
        for number, part in enumerate(split.others)
    ]
    train = others[0].features
    whole = _whole(split, eyes, train, progress)
    cloud = _cloud(seen.features)
    real = Real(seen, train, whole, scores.bins_of(train), split.held_out, cloud)
    floors = _floors(real, others)
    arrays = {**scores.as_arrays(seen, "real"), "train": train}
    if real.bins is not None:
        arrays |= {"centres": real.bins.centres, "counts": real.bins.counts}
    if cloud is not None:
        arrays["squares"] = cloud.squares
    reference.remember(key, arrays, floors)
    return real, floors


def _whole(split: Split, eyes: Eyes, some: np.ndarray, progress: Progress | None) -> np.ndarray:
    """Features of all training images, or of some of very many, to look for copies of; kept for itself, for it does
    not depend on how many images are measured. ``some`` where nothing is held out to compare with.
    """
    if not split.held_out:
        return some
    train = split.others[0].dataset
    part = Part(train, np.sort(np.random.default_rng(1).permutation(len(train))[:WHOLE]))
    key = reference.key_of(
        what="whole", network=eyes.encoder.card.digest, fingerprint=train.fingerprint, count=len(part)
    )
    kept = reference.recall(key)
    if kept is not None:
        return kept[0]["features"]
    ticks = Ticks(Ticker(progress, "encoding all training images, once", len(part)))
    features = eyes.see(ticks.through(part.blocks()), full=False).features
    reference.remember(key, {"features": features}, {})
    return features


class Ticks:
    """Counts images that pass through, from one set to the next."""

    def __init__(self, ticker: Ticker) -> None:
        self._ticker, self._done = ticker, 0

    def through(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """The blocks, counted."""
        for block in blocks:
            yield block
            self._done += len(block)
            self._ticker(self._done)


def _cloud(features: np.ndarray) -> Cloud | None:
    try:
        return Cloud.of(features)
    except ValueError:
        return None


def _floors(real: Real, others: Sequence[scores.Seen]) -> dict[str, list[float]]:
    """Of each figure, its values for sets of real images; the first set is the training images of ``real``."""
    floors: dict[str, list[float]] = {}
    whole = min(1, len(others) - 1)
    for number, seen in enumerate(others):
        found = scores.measure(seen, real, full=number == whole, itself=number == 0)
        for key, value in found.values.items():
            floors.setdefault(key, []).append(value)
        if found.authentic_floor is not None:
            floors["authentic"] = [found.authentic_floor]
    return floors
