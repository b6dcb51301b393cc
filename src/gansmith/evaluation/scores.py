"""The figures themselves: images to features, and features to every metric that makes sense for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.encoders.encoder import Encoded, Encoder
from gansmith.evaluation.reference import join
from gansmith.metrics import stacked_mnist
from gansmith.metrics.classes import class_shares, classifier_score, entropy, predicted, recognised
from gansmith.metrics.frechet import Gaussian, frechet, frechet_infinity
from gansmith.metrics.kid import kid
from gansmith.metrics.memorisation import memorisation
from gansmith.metrics.ndb import Bins, ndb
from gansmith.metrics.prdc import Cloud, nearest, support

Array = NDArray[np.float64]
COPIES_OF = 1000  # generated images, and held-out ones, whose nearest of all training images are looked for


@dataclass(frozen=True)
class Eyes:
    """The networks that look at the images of one evaluation."""

    encoder: Encoder
    judge: Encoder | None = None
    control: Encoder | None = None

    def see(self, blocks: Iterator[np.ndarray], *, full: bool = True) -> "Seen":
        """Everything that metrics need of images that come in blocks; without ``full``, the encoder's part alone."""
        main: list[Encoded] = []
        judged: list[Encoded] = []
        plain: list[Encoded] = []
        for block in blocks:
            main.append(self.encoder.encode(block))
            if full and self.judge is not None:
                judged.append(self.judge.encode(block))
            if full and self.control is not None:
                plain.append(self.control.encode(block))
        own = join(iter(main))
        return Seen(
            own.features,
            own.logits,
            join(iter(judged)).logits if judged else None,
            join(iter(plain)).features if plain else None,
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """Features float64 (N, D), logits (N, K) and the judge's, and the control's features; None where there are none."""

    features: Array
    logits: Array | None = None
    judged: Array | None = None
    plain: Array | None = None

    @property
    def classes(self) -> int:
        """How many classes the encoder knows."""
        return 0 if self.logits is None else self.logits.shape[1]


@dataclass(frozen=True, eq=False)
class Real:
    """The real side: images to measure against, and training images, with what is computed of them once."""

    seen: Seen
    train: Array
    """Features of as many training images as are generated."""
    whole: Array
    """Features of all training images, or of 60,000."""
    bins: Bins | None
    held_out: bool
    cloud: Cloud | None = None
    gaussian: Gaussian = field(init=False)
    train_gaussian: Gaussian = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "gaussian", Gaussian.of(self.seen.features))
        object.__setattr__(self, "train_gaussian", Gaussian.of(self.train))


@dataclass
class Found:
    """Values by key; notes on what had to be left out; the training images nearest to generated ones."""

    values: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """Metrics by the reason why they could not be measured."""
    closest: NDArray[np.int64] | None = None
    """Which generated samples lie nearest to training images, nearest first."""
    authentic_floor: float | None = None
    spreads: dict[str, float] = field(default_factory=dict)
    """Of floors that are known without sets of real images."""

    def attempt(self, what: str, measure: Callable[[], dict[str, float]]) -> None:
        """Adds what ``measure`` finds, or why it cannot."""
        try:
            self.values |= measure()
        except ValueError as error:
            self.left_out.setdefault(str(error), []).append(what)

    def told(self) -> list[str]:
        """All that has to be said, a line each."""
        return [*self.notes, *(f"left out ({', '.join(whats)}): {why}" for why, whats in self.left_out.items())]


def measure(seen: Seen, real: Real, *, full: bool = True, neighbours: bool = True, itself: bool = False) -> Found:
    """Every figure of these images that makes sense.

    Args:
        seen: of the images to measure.
        real: what to measure against.
        full: whether to take the slow metrics, which one latent seed has to do for: KID, FD∞, NDB, memorisation.
        neighbours: whether to take precision, recall, density and coverage.
        itself: the images are the training images of ``real``: what measures against those is left out.
    """
    found = Found()
    found.attempt("Frechet distance", lambda: {"fd": frechet(real.gaussian, seen.features)})
    if real.held_out and not itself:
        found.attempt("Frechet distance to train", lambda: {"fd_train": frechet(real.train_gaussian, seen.features)})
    if neighbours:
        found.attempt("precision, recall, density and coverage", lambda: _support(real, seen))
    if seen.logits is not None:
        logits = seen.logits
        found.attempt("classifier score", lambda: {"classifier_score": classifier_score(logits)})
        found.attempt("classes", lambda: {"class_entropy": entropy(class_shares(predicted(logits), logits.shape[1]))})
    if not full:
        return found
    if seen.logits is not None and seen.judged is not None:
        pair = seen.logits, seen.judged
        found.attempt("share recognised", lambda: {"recognised": recognised(*pair).share})
    found.attempt("FD∞", lambda: {"fd_infinity": frechet_infinity(real.gaussian, seen.features).value})
    found.attempt("KID", lambda: {"kid": kid(real.seen.features, seen.features).value})
    if seen.plain is not None and real.seen.plain is not None:
        plain = real.seen.plain, seen.plain
        found.attempt("control", lambda: {"fd_control": frechet(*plain)})
    if not itself and real.bins is not None:
        bins = real.bins
        found.attempt("NDB", lambda: {"ndb": float(ndb(bins, seen.features).different)})
    if real.held_out and not itself:
        found.attempt("memorisation", lambda: _memorised(found, real, seen))
    return found


def _support(real: Real, seen: Seen) -> dict[str, float]:
    both = support(real.cloud if real.cloud is not None else real.seen.features, seen.features)
    return {name: float(getattr(both, name)) for name in ("precision", "recall", "density", "coverage")}


def _memorised(found: Found, real: Real, seen: Seen) -> dict[str, float]:
    """Copies are looked for among all training images, though for some of the generated ones only: it takes long."""
    copies = memorisation(seen.features[:COPIES_OF], real.whole, real.seen.features[:COPIES_OF])
    found.closest = copies.closest(COPIES_OF)
    found.authentic_floor = copies.authentic_heldout
    return {"closer": _closer(seen.features, real.train, real.seen.features), "authentic": copies.authentic}


def _closer(features: Array, train: Array, heldout: Array) -> float:
    """Share of the images nearer to training images than to as many held-out ones, ties counted half."""
    count = min(len(train), len(heldout))
    to_train, to_heldout = (nearest(features, side[:count]).squares[:, 0] for side in (train, heldout))
    return float((to_train < to_heldout).mean() + (to_train == to_heldout).mean() / 2)


def modes(blocks: Iterator[np.ndarray], digits: Encoder) -> dict[str, float]:
    """Modes and KL of stacked digits uint8 (n, 3, H, W), each channel read by an encoder of digits."""
    labels = []
    for block in blocks:
        count, channels, height, width = block.shape
        scores = digits.encode(np.ascontiguousarray(block).reshape(count * channels, 1, height, width)).logits
        assert scores is not None
        labels.append(scores.argmax(1).reshape(count, channels))
    found = stacked_mnist.modes_and_kl(np.concatenate(labels))
    return {"modes": float(found.modes), "kl": found.kl}


def bins_of(train: Array) -> Bins | None:
    """The training images' bins; None where they are too few."""
    try:
        return Bins.of(train)
    except ValueError:
        return None


def as_arrays(seen: Seen, prefix: str) -> dict[str, NDArray[Any]]:
    """What is there, by name, for the cache."""
    parts = {"features": seen.features, "logits": seen.logits, "judged": seen.judged, "plain": seen.plain}
    return {f"{prefix}.{name}": array for name, array in parts.items() if array is not None}


def from_arrays(arrays: dict[str, NDArray[Any]], prefix: str) -> Seen:
    """The reverse of :func:`as_arrays`."""
    names = ("features", "logits", "judged", "plain")
    return Seen(**{name: arrays[f"{prefix}.{name}"] for name in names if f"{prefix}.{name}" in arrays})
