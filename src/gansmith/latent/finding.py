"""Latents whose images are of a class or have an attribute: thousands of samples, classified and measured."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith import render
from gansmith.data.types import class_of
from gansmith.encoders.encoder import Encoder
from gansmith.errors import FROM_0, HITS, UserError
from gansmith.generator import Generator, conditions
from gansmith.latent.attributes import MEASURES
from gansmith.latent.classes import encoder_of
from gansmith.latent.optimise import Differentiable, as_tensor, farthest_points, probabilities, within
from gansmith.latent.shown import Shown
from gansmith.latent.vectors import Images, Labels, Latents, Vectors, steady
from gansmith.nn.isolation import isolated
from gansmith.progress import Progress, Ticker
from gansmith.training import optim

CONFIDENT = 0.9
"""The encoder's probability of the class from which on a sample is a confident hit."""
BLOCK = 512
"""Samples made at once."""
LEAST, MOST = 512, 8192
"""The fewest and the most samples of a search."""
ENOUGH = 5
"""Confident hits per one that is wanted, after which a search stops: enough to choose diverse ones from."""
REFINED, STEPS, RATE = 64, 60, 0.05
"""Refinement: how many of the best samples, steps of Adam on each, and its learning rate for noise of scale 1."""

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
"""Words for attributes: which one (of :mod:`gansmith.latent.attributes`), and whether much (1) or little (-1) of it."""


@dataclass(frozen=True, eq=False, repr=False)
class Found(Shown):
    """Hits of a search, ordered by the attributes that were wanted, or else by confidence."""

    vectors: Vectors
    """Latents (n, Z), named by the index of the sample of the seed, with a * where it was refined from there."""
    images: Images
    """uint8 (n, C, S, S)."""
    confidence: NDArray[np.float64] | None
    """(n,): the encoder's probability of the class; None without a class."""
    hit_rate: float | None
    """Share of the random samples that the encoder classifies so; of a conditional generator, of those of the class."""
    looked_at: int
    """The number of random samples."""
    refined: bool
    """Whether gradient ascent was used because confident samples were too few."""
    measures: Mapping[str, NDArray[np.float64]]
    """(n,) for each wanted attribute, such as "thickness"."""
    typical: Mapping[str, float]
    """The median of each wanted attribute over the random samples (of the class)."""

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def latents(self) -> Latents:
        """float32 (n, Z)."""
        return self.vectors.latents

    def picture(self, *, scale: int | None = None) -> render.Image:
        """The hits with their names."""
        columns = min(len(self), 12)
        return render.sheet(self.images, columns=columns, captions=self.vectors.names, scale=scale, widest=render.SLIDE)


@dataclass
class _Pool:
    """Samples with their images, features, probability of the class, and whether it is the most probable."""

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


@isolated()
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
    """Latents whose images are of a class, have attributes, or both, as different from each other as possible.

    Args:
        generator: makes the images; a conditional one makes the class, and its most confident images are taken.
        target: a class of the encoder, by name or number; None for attributes alone.
        n: how many hits, 1 to 1,000, chosen far apart in the encoder's features. There may be fewer.
        seed: which samples are searched.
        look: attributes, as words of :data:`LOOKS`.
        encoder: classifies the images; the encoder of the generator's data if None.
        refine: whether gradient ascent makes the best samples more confident; if None, where fewer than n are.
        progress: called with the samples done, if that takes more than two seconds.

    Raises:
        UserError: one line: an unknown class or attribute, an encoder without classes, or nothing found.
    """
    n, seed = HITS.check("n", n), FROM_0.check("seed", seed)
    looks = _looks(look)
    if target is None and not looks:
        raise UserError(f"nothing to find: name a class, or how it is to look: {', '.join(LOOKS)}")
    encoder = encoder or encoder_of(generator)
    label, column = _columns(generator, encoder, target)
    generator = steady(generator)
    wanted = n * ENOUGH * (1 if not looks else 3)
    pool = _sampled(generator, encoder, seed, label, column, wanted, progress)
    samples, hit_rate = len(pool.names), float(pool.hit.mean()) if column is not None else None
    best = 0.0 if pool.sure is None else float(pool.sure.max())
    few = int(_confident(pool).sum()) < n
    refined = column is not None and bool(refine or (refine is None and few))
    if refined and column is not None:
        pool = _refined(generator, encoder, pool, column, progress)
    rows = np.flatnonzero(_confident(pool))
    if len(rows) < n:
        rows = np.flatnonzero(pool.hit)
    if not len(rows):
        raise UserError(
            f"{target}: none of {samples:,} samples is one, nor became one (the surest: {best:.1%}); "
            "the generator does not know this class: train longer, or with `conditional`"
        )
    pool = pool[rows]
    typical = {name: float(np.median(MEASURES[name](pool.images))) for name in looks}
    pool = _chosen(pool, n, looks)
    measures = {name: MEASURES[name](pool.images) for name in looks}
    vectors = Vectors(pool.latents, tuple(pool.names), pool.labels)
    return Found(vectors, pool.images, pool.sure, hit_rate, samples, refined, measures, typical)


def _looks(words: Sequence[str]) -> dict[str, int]:
    """Attributes by name, with 1 where much of it is wanted and -1 for little, from words of :data:`LOOKS`."""
    ends: dict[str, int] = {}
    for word in words:
        if word not in LOOKS:
            raise UserError(f"look {word!r}: choose from {', '.join(LOOKS)}")
        name, end = LOOKS[word]
        if ends.setdefault(name, end) != end:
            raise UserError(f"look {', '.join(words)}: nothing is both ends of {name}")
    return ends


def _columns(generator: Generator, encoder: Encoder, target: str | int | None) -> tuple[int | None, int | None]:
    """A class's label for a conditional generator (else None), and its column among the encoder's logits."""
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
    label: int | None,
    column: int | None,
    wanted: int,
    progress: Progress | None,
) -> _Pool:
    """Samples 0, 1, 2, ... of the seed, until ``wanted`` of them are confident hits or there are ``MOST``."""
    parts: list[_Pool] = []
    found = count = 0
    start = time.monotonic()
    tick = Ticker(progress, "searching samples", MOST)
    while count < LEAST or (found < wanted and count < MOST):
        latents = generator.latents(BLOCK, seed=seed, start=count)
        labels = None
        told = conditions(generator.recipe, start=count, count=BLOCK, classes=() if label is None else [label])
        if told is not None:
            labels = told.numpy()
        images = generator.images(latents, labels)
        names = [str(index) for index in range(count, count + BLOCK)]
        parts.append(_classified(encoder, latents.numpy(), labels, names, images, column))
        count += BLOCK
        found += int(_confident(parts[-1]).sum())
        tick(count)
    if progress is not None and count < MOST and time.monotonic() - start > 2:
        progress("searching samples", count, count)
    return _joined(parts)


def _classified(
    encoder: Encoder, latents: Latents, labels: Labels | None, names: list[str], images: Images, column: int | None
) -> _Pool:
    """Samples as a pool; without a class (``column``) all are hits."""
    encoded = encoder.encode(images)
    if column is None or encoded.logits is None:
        return _Pool(latents, labels, names, images, encoded.features, None, np.ones(len(names), bool))
    sure = probabilities(encoded.logits)[:, column]
    return _Pool(latents, labels, names, images, encoded.features, sure, encoded.logits.argmax(axis=1) == column)


def _joined(parts: Sequence[_Pool]) -> _Pool:
    """One pool of several, in order."""
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
    """Which samples are confident hits, (N,)."""
    return pool.hit if pool.sure is None else pool.hit & (pool.sure >= CONFIDENT)


def _refined(generator: Generator, encoder: Encoder, pool: _Pool, column: int, progress: Progress | None) -> _Pool:
    """The pool after gradient ascent on its most probable samples, kept where it made the class more probable."""
    assert pool.sure is not None
    rows = np.argsort(-pool.sure, kind="stable")[:REFINED]
    best, rest = pool[rows], pool[np.setdiff1d(np.arange(len(pool.names)), rows)]
    differentiable = Differentiable(generator, encoder)
    z = torch.from_numpy(best.latents).to(generator.device).requires_grad_()
    labels = as_tensor(best.labels)
    labels = None if labels is None else labels.to(generator.device)
    optimizer = optim.adam([z], RATE * generator.recipe.noise.scale)
    tick = Ticker(progress, "refining", STEPS)
    for step in range(STEPS):
        _, logits = differentiable.encode(differentiable.images(z, labels))
        assert logits is not None
        (z.grad,) = torch.autograd.grad(-logits.log_softmax(1)[:, column].clamp(max=-0.01).sum(), z)
        optimizer.step()
        with torch.no_grad():
            z.copy_(within(generator.recipe.noise, z))
        tick(step + 1)
    moved = z.detach().cpu()
    names = [f"{name}*" for name in best.names]
    images = generator.images(moved, best.labels)
    ascended = _classified(encoder, moved.numpy(), best.labels, names, images, column)
    assert ascended.sure is not None
    assert best.sure is not None
    better = ascended.sure > best.sure
    parts = [ascended[np.flatnonzero(better)], best[np.flatnonzero(~better)], rest]
    return _joined([part for part in parts if part.names])


def _chosen(pool: _Pool, n: int, looks: Mapping[str, int]) -> _Pool:
    """n diverse samples of a pool, in its order: by the attributes that are wanted, or else by probability."""
    if looks:
        scores = []
        for name, end in looks.items():
            values = MEASURES[name](pool.images)
            scores.append(end * (values - values.mean()) / max(float(values.std()), 1e-9))
        order = np.argsort(-np.min(scores, axis=0), kind="stable")  # by the attribute that it has least of
        kept = max(2 * n, len(pool.names) // 20)
    else:
        assert pool.sure is not None
        order = np.argsort(-pool.sure, kind="stable")
        kept = max(4 * n, len(pool.names) // 2)  # the farthest apart of all would be doubtful ones
    pool = pool[order[:kept]]
    return pool[np.sort(farthest_points(pool.features, n))]
