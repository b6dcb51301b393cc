"""Which noise makes a 7? Thousands of samples, an encoder that reads them, and hits that are no copies."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.data.types import class_of
from gansmith.encoders.encoder import Encoder
from gansmith.errors import UserError
from gansmith.generator import Generator
from gansmith.latent.attributes import MEASURES
from gansmith.latent.classes import encoder_of
from gansmith.latent.optimise import Slope, as_tensor, chosen_apart, probabilities, within
from gansmith.latent.vectors import Images, Labels, Latents, Vectors, steady
from gansmith.progress import Progress, Ticker

CONFIDENT = 0.9
"""Probability from which on the encoder is taken to be sure of a class."""
BLOCK = 512
LEAST, MOST = 512, 8192
"""Samples that are looked at: never fewer, never more."""
ENOUGH = 5
"""Confident hits for each one wanted: then no further samples are made, and the hits can be chosen far apart."""
MOST_WANTED = 1000
CLIMBERS, CLIMB, RATE = 64, 60, 0.05
"""Refinement: so many of the best samples take so many steps of Adam up the class's log-probability."""

LOOKS: Mapping[str, tuple[str, int]] = {
    "thick": ("thickness", 1),
    "thin": ("thickness", -1),
    "right": ("slant", 1),
    "left": ("slant", -1),
    "bright": ("brightness", 1),
    "dark": ("brightness", -1),
    "wide": ("width", 1),
    "narrow": ("width", -1),
}
"""What can be asked for besides a class: the measure (:mod:`gansmith.latent.attributes`) and which end of it."""


@dataclass(frozen=True, eq=False)
class Found:
    """Latents that make what was asked for: with looks those that have most of them first, else the surest first."""

    vectors: Vectors
    """(n, Z), named by the index of the sample of the seed; with a * where it was refined from there."""
    images: Images
    """(n, C, S, S)."""
    confidence: NDArray[np.float64] | None
    """(n,): the encoder's probability of the class; None if no class was asked for."""
    hit_rate: float | None
    """Share of random samples that the encoder takes for the class; of a conditional generator: that was told so."""
    looked_at: int
    """How many random samples that is a share of."""
    refined: bool
    """Whether random samples alone were too few, and gradients had to help."""
    measures: Mapping[str, NDArray[np.float64]]
    """(n,) for each attribute asked for, such as "thickness"."""
    typical: Mapping[str, float]
    """Its median over the random samples (of the class)."""

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def latents(self) -> Latents:
        """(n, Z)."""
        return self.vectors.latents


@dataclass
class _Pool:
    """Random samples as far as they are looked at, and what the encoder sees in them."""

    latents: Latents
    labels: Labels | None
    names: list[str]
    images: Images
    features: NDArray[np.float64]
    sure: NDArray[np.float64] | None
    hit: NDArray[np.bool_]

    def __getitem__(self, rows: NDArray[np.int64]) -> "_Pool":
        labels, sure = (None if a is None else a[rows] for a in (self.labels, self.sure))
        names = [self.names[row] for row in rows]
        return _Pool(self.latents[rows], labels, names, self.images[rows], self.features[rows], sure, self.hit[rows])  # type: ignore[arg-type]


def find(
    generator: Generator,
    target: str | int | None = None,
    n: int = 10,
    seed: int = 0,
    *,
    look: Sequence[str] = (),
    encoder: Encoder | None = None,
    refine: bool | None = None,
    progress: Progress | None = None,
) -> Found:
    """Noise that makes a class, or what looks as asked, or both.

    Args:
        generator: any; a conditional one is told the class, and the surest of its images are taken.
        target: a class of the encoder, by name or number; None for looks alone.
        n: how many hits, as different from each other as the encoder's features can tell. There may be fewer.
        seed: of the samples that are looked at.
        look: words of :data:`LOOKS`.
        encoder: that reads the images; None for that of the generator's data.
        refine: follow gradients from the best samples to surer ones; None does where fewer than n are sure.
        progress: told after two seconds how it gets on.

    Raises:
        UserError: one line: no such class or look, an encoder without classes, nothing found.
    """
    if not 1 <= n <= MOST_WANTED:
        raise UserError(f"{n} hits: ask for 1 to {MOST_WANTED}")
    if seed < 0:
        raise UserError(f"seed {seed}: may not be negative")
    looks = _looks(look)
    if target is None and not looks:
        raise UserError(f"nothing to find: name a class, or how it is to look: {', '.join(LOOKS)}")
    encoder = encoder or encoder_of(generator)
    told, column = _columns(generator, encoder, target)
    generator = steady(generator)
    wanted = n * ENOUGH * (1 if not looks else 3)
    pool = _sampled(generator, encoder, seed, told, column, wanted, progress)
    looked_at, hit_rate = len(pool.names), float(pool.hit.mean()) if column is not None else None
    best = 0.0 if pool.sure is None else float(pool.sure.max())
    climb = column is not None and (refine or (refine is None and _confident(pool).sum() < n))
    if climb and column is not None:
        pool = _refined(generator, encoder, pool, column, progress)
    rows = np.flatnonzero(_confident(pool))
    if len(rows) < n:
        rows = np.flatnonzero(pool.hit)
    if not len(rows):
        raise UserError(
            f"{target}: none of {looked_at:,} samples is one, nor became one (the surest: {best:.1%}); "
            "the generator does not know this class: train longer, or with `conditional`"
        )
    pool = pool[rows]
    typical = {name: float(np.median(MEASURES[name](pool.images))) for name in looks}
    pool = _chosen(pool, n, looks)
    measures = {name: MEASURES[name](pool.images) for name in looks}
    vectors = Vectors(pool.latents, tuple(pool.names), pool.labels)
    return Found(vectors, pool.images, pool.sure, hit_rate, looked_at, climb, measures, typical)


def _looks(words: Sequence[str]) -> dict[str, int]:
    """Measures to the end that is wanted."""
    ends: dict[str, int] = {}
    for word in words:
        if word not in LOOKS:
            raise UserError(f"look {word!r}: choose from {', '.join(LOOKS)}")
        name, end = LOOKS[word]
        if ends.setdefault(name, end) != end:
            raise UserError(f"look {', '.join(words)}: nothing is both ends of {name}")
    return ends


def _columns(generator: Generator, encoder: Encoder, target: str | int | None) -> tuple[int | None, int | None]:
    """The label that a conditional generator is told, and the column of the encoder's logits, for a class."""
    if target is None:
        return None, None
    if not encoder.classes:
        raise UserError(
            f"{target}: no encoder is shipped that knows the classes of {generator.about.get('data', 'these images')}; "
            "train one with `gansmith encoder train` and give it as `encoder`"
        )
    if not generator.recipe.classes:
        return None, class_of(target, encoder.classes)
    label = generator.label(target)
    return label, class_of(generator.classes[label] if generator.classes else label, encoder.classes)


def _sampled(
    generator: Generator,
    encoder: Encoder,
    seed: int,
    told: int | None,
    column: int | None,
    wanted: int,
    progress: Progress | None,
) -> _Pool:
    """Samples 0, 1, 2, ... of the seed, until enough of them are sure or there are MOST."""
    parts: list[_Pool] = []
    found = count = 0
    begun = time.monotonic()
    tick = Ticker(progress, "looking at samples", MOST)
    while count < LEAST or (found < wanted and count < MOST):
        latents = generator.latents(BLOCK, seed=seed, start=count)
        labels = None
        if generator.recipe.classes:
            turns = np.arange(count, count + BLOCK) % generator.recipe.classes
            labels = turns if told is None else np.full(BLOCK, told)
        images = generator.images(latents, labels)
        names = [str(index) for index in range(count, count + BLOCK)]
        parts.append(_seen(encoder, latents.numpy(), labels, names, images, column))
        count += BLOCK
        found += int(_confident(parts[-1]).sum())
        tick(count)
    if progress is not None and count < MOST and time.monotonic() - begun > 2:
        progress("looking at samples", count, count)
    return _joined(parts)


def _seen(
    encoder: Encoder, latents: Latents, labels: Labels | None, names: list[str], images: Images, column: int | None
) -> _Pool:
    seen = encoder.encode(images)
    if column is None or seen.logits is None:
        return _Pool(latents, labels, names, images, seen.features, None, np.ones(len(names), bool))
    sure = probabilities(seen.logits)[:, column]
    return _Pool(latents, labels, names, images, seen.features, sure, seen.logits.argmax(axis=1) == column)


def _joined(parts: Sequence[_Pool]) -> _Pool:
    labels = [part.labels for part in parts if part.labels is not None]
    sure = [part.sure for part in parts if part.sure is not None]
    return _Pool(
        np.concatenate([part.latents for part in parts]),
        np.concatenate(labels) if labels else None,
        [name for part in parts for name in part.names],
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.features for part in parts]),
        np.concatenate(sure) if sure else None,
        np.concatenate([part.hit for part in parts]),
    )


def _confident(pool: _Pool) -> NDArray[np.bool_]:
    return pool.hit if pool.sure is None else pool.hit & (pool.sure >= CONFIDENT)


def _refined(generator: Generator, encoder: Encoder, pool: _Pool, column: int, progress: Progress | None) -> _Pool:
    """The pool with the surest samples moved uphill, where that made them surer."""
    assert pool.sure is not None
    rows = np.argsort(-pool.sure, kind="stable")[:CLIMBERS]
    best, rest = pool[rows], pool[np.setdiff1d(np.arange(len(pool.names)), rows)]
    slope = Slope(generator, encoder)
    z = torch.from_numpy(best.latents).to(generator.device).requires_grad_()
    labels = as_tensor(best.labels)
    labels = None if labels is None else labels.to(generator.device)
    optimizer = torch.optim.Adam([z], RATE * generator.recipe.noise.scale)
    tick = Ticker(progress, "refining", CLIMB)
    for step in range(CLIMB):
        _, logits = slope.look(slope.images(z, labels))
        assert logits is not None
        (z.grad,) = torch.autograd.grad(-logits.log_softmax(1)[:, column].clamp(max=-0.01).sum(), z)
        optimizer.step()
        with torch.no_grad():
            z.copy_(within(generator.recipe.noise, z))
        tick(step + 1)
    moved = z.detach().cpu()
    names = [f"{name}*" for name in best.names]
    images = generator.images(moved, best.labels)
    climbed = _seen(encoder, moved.numpy(), best.labels, names, images, column)
    assert climbed.sure is not None
    assert best.sure is not None
    better = climbed.sure > best.sure
    parts = [climbed[np.flatnonzero(better)], best[np.flatnonzero(~better)], rest]
    return _joined([part for part in parts if part.names])


def _chosen(pool: _Pool, n: int, looks: Mapping[str, int]) -> _Pool:
    """n of a pool that differ much: from all of it, or from those that most look as asked; ordered."""
    if looks:
        scores = []
        for name, end in looks.items():
            values = MEASURES[name](pool.images)
            scores.append(end * (values - values.mean()) / max(float(values.std()), 1e-9))
        order = np.argsort(-np.min(scores, axis=0), kind="stable")  # by the look that it has least of
        kept = max(2 * n, len(pool.names) // 20)
    else:
        assert pool.sure is not None
        order = np.argsort(-pool.sure, kind="stable")
        kept = max(4 * n, len(pool.names) // 2)  # those farthest apart of all would be the doubtful ones
    pool = pool[order[:kept]]
    return pool[np.sort(chosen_apart(pool.features, n))]
