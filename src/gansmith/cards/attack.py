"""The attack of a card: membership inference on equally many training and unseen images, and the most exposed ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith import recipes
from gansmith.data import Dataset
from gansmith.encoders.encoder import Encoder
from gansmith.errors import UserError
from gansmith.files import read_tensors
from gansmith.metrics import membership
from gansmith.metrics.confidence import Interval
from gansmith.metrics.membership import RATES, Told
from gansmith.metrics.prdc import nearest
from gansmith.nn import ConditionalDiscriminator
from gansmith.nn.isolation import isolated
from gansmith.nn.unfilled import with_memory
from gansmith.progress import Progress, Ticker
from gansmith.recipe import Recipe, Value
from gansmith.runs import Run, checkpoint
from gansmith.training.step import discriminate

MOST, LEAST = 5000, 16
"""Records on each side: that many at most, and at least."""
EXPOSED, FEWEST = 0.01, 10
"""The share of members that is shown as the most exposed, and how many at least."""
CHUNK = 256
Indices = NDArray[np.int64]
Pixels = NDArray[np.uint8]


class Rate(Value):
    """A share with its interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, interval: Interval) -> "Rate":
        """The same, for a file."""
        return cls(value=interval.value, low=interval.low, high=interval.high)


class Attack(Value):
    """One way to tell members, and what it gains."""

    key: str
    name: str
    access: str
    """What the attacker has."""
    source: str
    auc: Rate
    caught: tuple[Rate | None, ...]
    """True positives at :data:`gansmith.metrics.membership.RATES` of false ones; None where records are too few."""
    floor: float | None = None
    """The AUC where real images that are neither members nor others stand in for the release."""
    floor_caught: tuple[float | None, ...] = ()

    @property
    def succeeds(self) -> bool:
        """Whether it tells members from others: the lower end of an interval lies above the floor and above a guess."""
        floors = self.floor_caught or (None,) * len(RATES)
        shares = zip(self.caught, RATES, floors, strict=True)
        return self.auc.low > max(0.5, self.floor or 0.0) or any(
            rate is not None and rate.low > max(guess, floor or 0.0) for rate, guess, floor in shares
        )


class Attacks(Value):
    """All attacks on a release, and how they were made."""

    rows: tuple[Attack, ...]
    members: int
    """Training images that were attacked, and as many unseen ones."""
    population: int
    """Training images in all, of which the members are drawn."""
    reference: int
    """Unseen images that the attacker has to compare with."""
    release: int
    """Published images that the attacker sees."""
    release_floor: int | None
    """Real images that stand in for them in the floor."""
    rates: tuple[float, ...] = RATES
    looks: int = 1
    """Figures whose intervals hold together in 95 % of cases: one attack of many is soon lucky."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Sides:
    """Who is attacked, and with what."""

    train: Dataset
    test: Dataset
    members: Indices
    """Of the training images."""
    others: Indices
    """Of the unseen images, as many."""
    reference: Indices
    """Of the unseen images, none of ``others``: what the attacker compares with."""
    stand_in: Indices
    """Of the training images, none of ``members``; may be empty."""

    @classmethod
    def of(cls, train: Dataset, test: Dataset | None, release: int, *, most: int | None = None) -> "Sides | None":
        """Members and others in equal numbers, and half of what is unseen for the attacker; None where too few are.

        Always the same choice of the same data. ``release``: how many images are published; ``most``: records on each
        side, MOST if None.
        """
        if test is None:
            return None
        most = most or MOST
        unseen, seen = (np.random.default_rng(7).permutation(len(each)) for each in (test, train))
        count = min(most, len(train), len(test) // 2)
        if count < LEAST:
            return None
        rest = seen[count:][:release]
        return cls(
            train,
            test,
            np.sort(seen[:count]),
            np.sort(unseen[:count]),
            np.sort(unseen[count:][: max(most, count)]),
            np.sort(rest) if len(rest) >= max(count // 2, 100) else np.empty(0, np.int64),
        )


@dataclass(frozen=True, eq=False)
class Exposed:
    """The members that the black-box attack which catches most at 1 % false alarms is surest of, each beside what is
    published nearest to it.
    """

    members: Pixels
    published: Pixels


def attack(
    sides: Sides, published: Pixels, encoder: Encoder, run: Run | None = None, *, progress: Progress | None = None
) -> tuple[Attacks, Exposed]:
    """Attacks a release in each way that what is known allows.

    Args:
        sides: who is attacked.
        published: uint8 (N, C, S, S), the release, all of which the attacker has.
        encoder: whose features are compared beside pixels.
        run: whose newest checkpoint has the discriminator; without one that attack is left out.
        progress: called during long work.
    """
    member, other, reference = (
        sides.train.take(sides.members), sides.test.take(sides.others), sides.test.take(sides.reference)
    )  # fmt: skip
    records = np.concatenate([member, other])
    stand_in = sides.train.take(sides.stand_in) if len(sides.stand_in) else None
    rows, scores, black_box = [], {}, list(_black_box(encoder))
    tick = Ticker(progress, "attacking the release", len(black_box))
    tried = len(black_box) + (run is not None)
    looks = tried * (1 + sum(rate * len(member) >= 1 for rate in RATES))  # an AUC, and a share caught at each rate
    for done, (key, name, source, score) in enumerate(black_box):
        found = score(records, published, reference)
        floor = None if stand_in is None else score(records, stand_in, reference)
        scores[key] = found[: len(member)]
        rows.append(_row(key, name, "the published images, and others of their kind", source, found, floor, looks))
        tick(done + 1)
    notes = []
    if run is None:
        notes.append("the discriminator's score was not tried: an exported generator or a minted set has none")
    else:
        found = _critic(run, sides, progress)
        source = "Hayes et al. 2019, LOGAN"
        rows.append(_row("critic", "the discriminator's logit", "the checkpoint", source, found, None, looks))
    if not len(sides.stand_in):
        notes.append("no floor: too few training images are left to stand in for the release; a guess scores 0.5")
    strongest = max((row for row in rows if row.key in scores), key=_strength)
    found = Attacks(
        rows=tuple(rows),
        members=len(member),
        population=len(sides.train),
        reference=len(reference),
        release=len(published),
        release_floor=len(sides.stand_in) or None,
        looks=looks,
        notes=tuple(notes),
    )
    return found, _exposed(scores[strongest.key], member, published)


def _strength(row: Attack) -> tuple[float, float]:
    """By the share caught with the fewest false alarms that most attacks can be counted at, then by the AUC."""
    return (row.caught[0].value if row.caught[0] else 0.0, row.auc.value)


def _black_box(encoder: Encoder) -> Iterator[tuple]:  # type: ignore[type-arg]
    """(key, name, source, score of records, release and reference) of each attack that needs published images alone."""
    known: dict[int, np.ndarray] = {}

    def features(images: Pixels) -> np.ndarray:
        if id(images) not in known:
            known[id(images)] = encoder.encode(images).features
        return known[id(images)]

    def flat(images: Pixels) -> np.ndarray:
        return images.reshape(len(images), -1).astype(np.float64)

    ratio, density = membership.distance_ratio, membership.density_ratio
    calibrated = "Chen et al. 2020, GAN-Leaks"
    yield "pixels", "distance ratio, pixels", calibrated, lambda *sides: ratio(*map(flat, sides))
    yield "features", "distance ratio, features", calibrated, lambda *sides: ratio(*map(features, sides))
    name = "density ratio, features"
    yield "density", name, "van Breugel et al. 2023, DOMIAS", lambda *sides: density(*map(features, sides))


def _row(
    key: str, name: str, access: str, source: str, scores: np.ndarray, floor: np.ndarray | None, looks: int
) -> Attack:
    found = _told(scores, looks)
    low = None if floor is None else _told(floor, looks)
    return Attack(
        key=key,
        name=name,
        access=access,
        source=source,
        auc=Rate.of(found.auc),
        caught=tuple(each and Rate.of(each) for each in found.caught),
        floor=low and low.auc.value,
        floor_caught=() if low is None else tuple(each and each.value for each in low.caught),
    )


def _told(scores: np.ndarray, looks: int) -> Told:
    half = len(scores) // 2
    return membership.told(scores[:half], scores[half:], looks=looks)


def _exposed(scores: np.ndarray, members: Pixels, published: Pixels) -> Exposed:
    """The highest scores first, and what was published nearest to each in pixels."""
    surest = members[np.argsort(-scores, kind="stable")[: max(FEWEST, round(EXPOSED * len(members)))]]
    flat = (images.reshape(len(images), -1).astype(np.float64) for images in (surest, published))
    return Exposed(surest, published[nearest(*flat).indices[:, 0]])


def _critic(run: Run, sides: Sides, progress: Progress | None) -> np.ndarray:
    """The discriminator's logits of members and others, each with its own class; the highest over kinds."""
    network = discriminator(run)
    recipe = run.recipe
    told = recipe.classes and tuple(sides.train.classes) == tuple(run.data.classes)  # the real images may be others
    found = []
    tick = Ticker(progress, "asking the discriminator", 2 * len(sides.members))
    for dataset, chosen in ((sides.train, sides.members), (sides.test, sides.others)):
        for start in range(0, len(chosen), CHUNK):
            some = chosen[start : start + CHUNK]
            labels = dataset.labels[some] if told and dataset.labels is not None else None
            found.append(_logits(network, recipe, dataset.take(some), labels))
            tick(sum(map(len, found)))
    return np.concatenate(found)


@isolated()
def discriminator(run: Run) -> torch.nn.Module:
    """The discriminator of a run's newest checkpoint, in inference mode. Raises UserError where there is none."""
    path = checkpoint.newest(run.checkpoints, [])
    if path is None:
        raise UserError(f"{run.path} has no whole checkpoint to attack with; train it, or name its generator's folder")
    checkpoint.check_run(path, run.identity)
    with recipes.unfilled(run.recipe):
        network = recipes.discriminator(run.recipe)
    with_memory(network).load_state_dict(read_tensors(path / "discriminator.safetensors"))
    return network.eval()


@torch.no_grad()
def _logits(network: torch.nn.Module, recipe: Recipe, images: Pixels, labels: np.ndarray | None) -> np.ndarray:
    black, white = recipe.pixels
    inputs = torch.from_numpy(images).float() * ((white - black) / 255) + black
    if not recipes.conditioned(recipe):
        return discriminate(network, inputs, None)[0].double().numpy()[:, 0]
    assert isinstance(network, ConditionalDiscriminator)
    logits = network.of_each(inputs)
    if labels is not None and logits.shape[1] > 1:  # the kinds of an image's own class
        logits = logits.view(len(inputs), recipe.classes, -1)[torch.arange(len(inputs)), torch.from_numpy(labels)]
    highest: np.ndarray = logits.double().amax(dim=1).numpy()
    return highest
