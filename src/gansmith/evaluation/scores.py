"""The metrics: one table of what is computed of features, under which conditions, and which way is better."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np

from gansmith.evaluation.features import Features
from gansmith.evaluation.reference import Reference
from gansmith.evaluation.report import Better
from gansmith.metrics import stacked_mnist
from gansmith.metrics.classes import class_shares, classifier_score, entropy, predicted, recognised
from gansmith.metrics.frechet import frechet, frechet_infinity
from gansmith.metrics.kid import kid
from gansmith.metrics.memorisation import Memorisation, memorisation
from gansmith.metrics.ndb import ndb
from gansmith.metrics.prdc import Support, nearest, support
from gansmith.metrics.validate import Array, Labels

T = TypeVar("T")
COPIES_OF = 1000
"""Generated images, and held-out ones, whose nearest of all training images are searched for: it takes long."""


@dataclass(frozen=True, eq=False)
class Sides:
    """Features of a set of images beside the reference, with what several metrics share."""

    generated: Features
    reference: Reference

    @property
    def dimensions(self) -> int:
        """Of the encoder's features."""
        return int(self.generated.features.shape[1])

    @property
    def control_dimensions(self) -> int:
        """Of the control's features; 0 where there is no control."""
        control = self.generated.control_features
        return 0 if control is None else int(control.shape[1])

    @property
    def for_infinity(self) -> int:
        """How many images FD∞ needs."""
        return 4 * (self.dimensions + 1)

    @property
    def fewest(self) -> int:
        """How many images the smaller side has."""
        return min(len(self.generated), len(self.reference.real))

    @property
    def few(self) -> str:
        """How many images the smaller side has, and which that is."""
        generated, real = len(self.generated), len(self.reference.real)
        return f"{generated:,} generated ones" if generated <= real else f"{real:,} real ones"

    @cached_property
    def support(self) -> Support:
        """Precision, recall, density and coverage, which come from one pass over all pairs."""
        return support(self.reference.cloud, self.generated.features)

    @cached_property
    def copies(self) -> Memorisation:
        """How near some of the images lie to all training images."""
        real = self.reference.real.features[:COPIES_OF]
        return memorisation(self.generated.features[:COPIES_OF], _present(self.reference.all_train), real)

    @property
    def closer(self) -> float:
        """Share of the images nearer to training images than to as many held-out ones, ties counted half."""
        images, train, held_out = self.generated.features, self.reference.train, self.reference.real.features
        count, random = min(len(train), len(held_out)), np.random.default_rng(0)
        equal = (side[random.permutation(len(side))[:count]] for side in (train, held_out))  # classes may lie in a row
        to_train, to_held_out = (nearest(images, side).squares[:, 0] for side in equal)
        return float((to_train < to_held_out).mean() + (to_train == to_held_out).mean() / 2)

    @property
    def logits(self) -> Array:
        """The encoder's logits, for metrics that need classes."""
        return _present(self.generated.logits)

    @cached_property
    def modes(self) -> stacked_mnist.Modes:
        """Which modes occur among stacked digits, for metrics that need those."""
        return stacked_mnist.modes_and_kl(_present(self.generated.digits))


@dataclass(frozen=True)
class Need:
    """A condition of metrics."""

    met: Callable[[Sides], bool]
    words: str = ""
    """What is needed, with values of Sides in braces; empty where it goes without saying."""


COVARIANCE = Need(
    lambda s: s.fewest > s.dimensions, "more images than the {0.dimensions} features on each side, not {0.few}"
)
CONTROL = Need(lambda s: s.control_dimensions > 0)
CONTROL_COVARIANCE = Need(
    lambda s: s.fewest > s.control_dimensions,
    "more images than the {0.control_dimensions} features on each side, not {0.few}",
)
MANY = Need(lambda s: len(s.generated) >= s.for_infinity, "{0.for_infinity:,} images a set or more")
VARIETY = Need(lambda s: bool(np.ptp(s.reference.real.features, axis=0).any()), "real images that are not all alike")
CLASSES = Need(
    lambda s: s.generated.logits is not None,
    "an encoder that knows the classes; `gansmith encoder train` makes one of labelled data",
)
JUDGE = Need(lambda s: s.generated.judge_logits is not None, "a second classifier, which shipped encoders alone have")
HELD_OUT = Need(
    lambda s: s.reference.held_out,
    "a test split; without one, half of the training images stand for the real ones, the other half gives the floor",
)
BINS = Need(lambda s: s.reference.bins is not None, "1,000 images a set or more, and 100 different training images")
STACKED = Need(lambda s: s.generated.digits is not None)


@dataclass(frozen=True)
class Metric:
    """A figure of the report: what it is called and means, when it can be computed, and how."""

    key: str
    name: str
    """In a report, with the encoder, the control and what it is measured against in braces."""
    words: str
    """What it says."""
    better: Better
    value: Callable[[Sides], float]
    needs: tuple[Need, ...] = ()
    cost: Literal["low", "medium", "high"] = "high"
    """Low: computed for every latent seed and every set of the floor. Medium: for the first seed and every set of the
    floor. High: for the first seed and one set."""
    share: bool = False
    """Whether it is a share of the images."""
    of_training: bool = False
    """Whether it measures against training images: says nothing of those themselves."""
    floor: Callable[[Sides], float] | None = None
    """What real images score, where the metric computes that itself."""


METRICS = (
    Metric(
        "fd", "FD-{encoder} to {against}", "how far the images are from real ones, as a whole", "lower",
        lambda s: frechet(s.reference.gaussian, s.generated.features), (COVARIANCE,), "low",
    ),
    Metric(
        "fd_train", "FD-{encoder} to train", "the same, from as many training images", "lower",
        lambda s: frechet(s.reference.train_gaussian, s.generated.features), (HELD_OUT, COVARIANCE), "low",
        of_training=True,
    ),
    Metric(
        "fd_infinity", "FD∞-{encoder}", "the same, as if infinitely many were generated", "lower",
        lambda s: frechet_infinity(s.reference.gaussian, s.generated.features).value, (COVARIANCE, MANY),
    ),
    Metric(
        "fd_control", "FD-{control} to {against}", "the same, in features of an untrained network", "lower",
        lambda s: frechet(_present(s.reference.control), _present(s.generated.control_features)),
        (CONTROL, CONTROL_COVARIANCE),
    ),
    Metric(
        "kid", "KID-{encoder}", "the same, unbiased at any count", "lower",
        lambda s: kid(s.reference.real.features, s.generated.features).value,
    ),
    Metric(
        "precision", "precision (k = 3)", "share that lies among real images: do they look real?", "higher",
        lambda s: s.support.precision, (VARIETY,), "medium", share=True,
    ),
    Metric(
        "recall", "recall (k = 3)", "share of real images among generated ones: all kinds?", "higher",
        lambda s: s.support.recall, (VARIETY,), "medium", share=True,
    ),
    Metric(
        "density", "density (k = 5)", "how thickly real images surround generated ones", "higher",
        lambda s: s.support.density, (VARIETY,), "medium",
    ),
    Metric(
        "coverage", "coverage (k = 5)", "share of real images with a generated one close by", "higher",
        lambda s: s.support.coverage, (VARIETY,), "medium", share=True,
    ),
    Metric(
        "recognised", "recognised", "share to which two classifiers give the same class", "higher",
        lambda s: recognised(s.logits, _present(s.generated.judge_logits)).share, (CLASSES, JUDGE), share=True,
    ),
    Metric(
        "classifier_score", "classifier score", "how clear each image is, and how varied all are", "higher",
        lambda s: classifier_score(s.logits), (CLASSES,), "low",
    ),
    Metric(
        "class_entropy", "class entropy", "how evenly the classes occur", "higher",
        lambda s: entropy(class_shares(predicted(s.logits), s.logits.shape[1])), (CLASSES,), "low",
    ),
    Metric(
        "ndb", "bins that differ, of 100", "kinds of images that occur too often or too rarely", "lower",
        lambda s: ndb(_present(s.reference.bins), s.generated.features).different, (BINS,), of_training=True,
    ),
    Metric(
        "closer", "closer to train than to test", "0.5: nothing was memorised", "lower",
        lambda s: s.closer, (HELD_OUT,), share=True, of_training=True,
    ),
    Metric(
        "authentic", "authentic", "share that is no near copy of a training image", "higher",
        lambda s: s.copies.authentic, (HELD_OUT,), share=True, of_training=True,
        floor=lambda s: s.copies.authentic_heldout,
    ),
    Metric(
        "modes", "modes, of 1,000", "combinations of three digits that occur", "higher",
        lambda s: s.modes.modes, (STACKED,),
    ),
    Metric(
        "kl", "KL to uniform", "how unevenly they occur", "lower",
        lambda s: s.modes.kl, (STACKED,),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Scores:
    """What one set of images scores."""

    values: dict[str, float]
    """By the metric's key."""
    unmet: dict[str, list[Metric]]
    """Metrics that could not be computed, by what they need."""
    closest: Labels | None = None
    """Which images lie nearest to training images, nearest first, where that was searched for."""


def score(features: Features, reference: Reference, *, first: bool = True) -> Scores:
    """What generated images score: all metrics whose needs are met, of further latent seeds the cheap ones alone."""
    sides = Sides(features, reference)
    values: dict[str, float] = {}
    unmet: dict[str, list[Metric]] = {}
    for metric in METRICS:
        if not (first or metric.cost == "low"):
            continue
        need = next((need for need in metric.needs if not need.met(sides)), None)
        if need is None:
            values[metric.key] = float(metric.value(sides))
        elif need.words:
            unmet.setdefault(need.words.format(sides), []).append(metric)
    return Scores(values, unmet, sides.copies.closest(COPIES_OF) if "authentic" in values else None)


def score_real(features: Features, reference: Reference, *, training: bool, full: bool) -> dict[str, float]:
    """What real images score in the place of generated ones, by the metric's key.

    Args:
        features: of a set of real images.
        reference: what they are measured against.
        training: whether they are the very training images of the reference.
        full: whether the metrics of high cost are computed too.
    """
    sides = Sides(features, reference)
    return {
        metric.key: float((metric.floor or metric.value)(sides))
        for metric in METRICS
        if (full or metric.cost != "high")
        and not (training and metric.of_training)
        and all(need.met(sides) for need in metric.needs)
    }


def _present(value: T | None) -> T:
    """What a need promises to be there."""
    assert value is not None
    return value
