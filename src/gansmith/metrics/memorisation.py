"""Whether generated samples are copies: how close they lie to the training set, against samples held out from it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gansmith.metrics.confidence import Interval, of_share
from gansmith.metrics.prdc import nearest
from gansmith.metrics.validate import Array, Labels, checked, same_width

METRIC = "memorisation"


@dataclass(frozen=True, eq=False)
class Memorisation:
    """The panel: no one number of it is a verdict.

    Attributes:
        closer: share of generated samples nearer to the training set than to as many held-out samples, ties counted
            half, with its 95 % interval: 0.5 is none, 1 a copy.
        authentic: share whose nearest training sample has another training sample nearer to itself than they are
            (AuthPct / 100). Real held-out samples score :attr:`authentic_heldout`, not 1.
        authentic_heldout: the same of the held-out samples: what to hold `authentic` against.
        compared: training and held-out samples on each side of `closer`.
        nearest: int64 (N,), the nearest of all training samples to each generated one.
        distance: float64 (N,), how far it is.
        heldout_distance: float64 (H,), how far the held-out samples are from their nearest training sample.
    """

    closer: Interval
    authentic: float
    authentic_heldout: float
    compared: int
    nearest: Labels
    distance: Array
    heldout_distance: Array

    def closest(self, count: int) -> Labels:
        """The generated samples nearest to the training set, nearest first, for a gallery."""
        return np.argsort(self.distance, kind="stable")[:count].astype(np.int64)


def memorisation(generated: ArrayLike, training: ArrayLike, heldout: ArrayLike, *, seed: int = 0) -> Memorisation:
    """Distances of generated samples to the training set and to samples that training never saw.

    Equal sizes matter for `closer`: the nearest of many is nearer. Of the larger side as many are drawn as the other
    has. Both must be of the same source; then a generator that only learned the distribution is as often nearer to
    one as to the other, whatever its quality (the DCR share; compare Meehan et al. 2020, whose test is ranked by
    distance). AuthPct is by Alaa et al. 2022, section 3.3.

    Args:
        generated: features (N, D).
        training: features of the training set (M, D), 2 or more.
        heldout: features of held-out real samples (H, D).
        seed: of the draw that makes sides equal.

    Raises:
        ValueError: no samples, NaN, infinity, different widths.
    """
    fakes = checked(generated, METRIC, "generated")
    train = checked(training, METRIC, "training", at_least=2)
    others = checked(heldout, METRIC, "held-out", otherwise="hold some real images out, or use the gallery alone")
    for side in (fakes, others):
        same_width(METRIC, train, side)
    compared = min(len(train), len(others))
    random = np.random.default_rng(seed)
    some_train, some_others = (
        side if len(side) == compared else side[np.sort(random.choice(len(side), compared, replace=False))]
        for side in (train, others)
    )
    to_others = nearest(fakes, some_others).squares[:, 0]
    found = nearest(fakes, train)
    to_train = found.squares[:, 0]
    to_some = to_train if some_train is train else nearest(fakes, some_train).squares[:, 0]
    wins = float((to_some < to_others).sum() + (to_some == to_others).sum() / 2)
    real = nearest(others, train)
    return Memorisation(
        closer=of_share(wins, len(fakes)),
        authentic=_authentic(train, found.squares[:, 0], found.indices[:, 0]),
        authentic_heldout=_authentic(train, real.squares[:, 0], real.indices[:, 0]),
        compared=compared,
        nearest=found.indices[:, 0],
        distance=np.sqrt(to_train),
        heldout_distance=np.sqrt(real.squares[:, 0]),
    )


def _authentic(train: Array, squares: Array, indices: Labels) -> float:
    """The share of samples farther from their nearest training sample than that is from another one."""
    near, back = np.unique(indices, return_inverse=True)
    two = nearest(train[near], train, k=2)
    # A training sample's own nearest is itself (or a copy at distance 0); the second is its nearest other.
    return float((squares > two.squares[back, 1]).mean())
