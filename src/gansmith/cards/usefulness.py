"""What generated images are good for: classifiers learn from them, real ones, and both, and are tested on real ones."""

from collections.abc import Iterator

import numpy as np

from gansmith.cards.classifier import Labelled, accuracy, describe, fit, logits
from gansmith.metrics.confidence import Interval, over_seeds
from gansmith.metrics.membership import auc
from gansmith.progress import Progress, Ticker
from gansmith.recipe import Value

SEEDS = 3
STEPS, STEPS_FULL = 300, 3000
SHARES = (0.01, 0.1, 1.0)
LEAST = 20
"""Real images, below which a share of them is left out."""


class Score(Value):
    """An accuracy, or the area under a curve, over seeds with its 95 % interval (Student's t)."""

    value: float
    low: float
    high: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: list[float]) -> "Score":
        """The mean of two seeds or more; for one, the value alone."""
        found = over_seeds(values) if len(values) > 1 else Interval(values[0], values[0], values[0])
        return cls(value=found.value, low=max(0.0, found.low), high=min(1.0, found.high), values=tuple(values))


class Usefulness(Value):
    """Accuracies on unseen real images, by what was learned from."""

    synthetic: Score
    """Train on synthetic, test on real."""
    reverse: Score
    """Train on all real images, test on synthetic: whether the images show what their labels say."""
    shares: tuple["Share", ...]
    tested: int
    """Real test images."""
    shown: int
    """Synthetic images that were learned from."""
    labels: str
    """What the synthetic images' labels are."""
    protocol: str


class Share(Value):
    """With a share of the real training images."""

    share: float
    count: int
    real: Score
    augmented: Score
    """Real images alone, with plain augmentation."""
    both: Score
    """Half of each batch real, half synthetic."""


class TwoSample(Value):
    """A classifier that tells release from unseen real images: the area under its curve; 0.5 is ideal."""

    score: Score
    floor: Score
    """Training images in the place of the release."""
    trained: int
    """Images of each side that it learned from; as many others are tested."""
    protocol: str


def usefulness(
    train: Labelled,
    test: Labelled,
    synthetic: Labelled,
    classes: int,
    *,
    labels: str,
    steps: int = STEPS,
    seeds: int = SEEDS,
    progress: Progress | None = None,
) -> Usefulness:
    """Compares what classifiers learn from real, synthetic and both, with one budget for all and seeds 0, 1, ...

    Each seed draws its own share of the training images, the same for real, augmented and both.
    """
    shares = [(share, count) for share in SHARES if (count := round(share * len(train))) >= min(LEAST, len(train))]
    tick, done = Ticker(progress, "training classifiers", seeds * (1 + 3 * len(shares))), 0
    found: dict[object, list[float]] = {}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(train))
        for key, options in _ways(train, synthetic, order, [count for _, count in shares]):
            network = fit(**options, classes=classes, steps=steps, seed=seed)
            found.setdefault(key, []).append(accuracy(network, test))
            if key == (len(train), "real"):
                found.setdefault("reverse", []).append(accuracy(network, synthetic))
            done += 1
            tick(done)
    return Usefulness(
        synthetic=Score.of(found["synthetic"]),
        reverse=Score.of(found["reverse"]),
        shares=tuple(
            Share(
                share=share,
                count=count,
                **{kind: Score.of(found[count, kind]) for kind in ("real", "augmented", "both")},
            )
            for share, count in shares
        ),
        tested=len(test),
        shown=len(synthetic),
        labels=labels,
        protocol=f"{describe(steps)}; {seeds} seeds; nothing was tuned on the test images",
    )


def _ways(train: Labelled, synthetic: Labelled, order: np.ndarray, counts: list[int]) -> Iterator[tuple[object, dict]]:  # type: ignore[type-arg]
    """What each classifier is shown: (key, arguments of fit)."""
    yield "synthetic", {"shown": synthetic}
    for count in counts:
        some = train.take(np.sort(order[:count]))
        yield (count, "real"), {"shown": some}
        yield (count, "augmented"), {"shown": some, "augment": True}
        yield (count, "both"), {"shown": some, "beside": synthetic}


def two_sample(
    unseen: np.ndarray,
    release: np.ndarray,
    train: np.ndarray,
    *,
    steps: int = STEPS,
    seeds: int = SEEDS,
    progress: Progress | None = None,
) -> TwoSample:
    """How well a classifier tells a release from unseen real images (Lopez-Paz & Oquab 2017), and training images.

    Half of each side is learned from, the other half tested; sides are made equal. All uint8 (N, C, H, W).
    """
    count = min(len(unseen), len(release), len(train)) // 2
    tick, done = Ticker(progress, "telling generated from real", 2 * seeds), 0
    areas: list[list[float]] = [[], []]
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        real = unseen[random.permutation(len(unseen))[: 2 * count]]
        for side, values in zip((release, train), areas, strict=True):
            other = side[random.permutation(len(side))[: 2 * count]]
            shown = Labelled(np.concatenate([real[:count], other[:count]]), np.repeat(np.arange(2), count))
            network = fit(shown, 2, steps=steps, seed=seed)
            scores = [np.diff(logits(network, part[count:]))[:, 0] for part in (other, real)]
            values.append(auc(*scores))
            done += 1
            tick(done)
    score, floor = map(Score.of, areas)
    return TwoSample(score=score, floor=floor, trained=count, protocol=f"{describe(steps)}; {seeds} seeds")
