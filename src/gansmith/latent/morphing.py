"""Morphs: paths through latent space, paced so that the picture changes by the same amount from frame to frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.errors import UserError
from gansmith.generator import CHUNK, Generator
from gansmith.latent import vectors as points_of
from gansmith.latent.vectors import Images, Latents, Points, Vectors, steady
from gansmith.nn import EMBEDDING, ConditionalGenerator
from gansmith.recipe import Noise

Path = Literal["auto", "straight", "spherical"]
Pace = Literal["even", "latent"]
Measure = Callable[[Images], NDArray[np.floating]]
"""Images (N, C, H, W) -> features (N, D), whose Euclidean distances say how different two images look."""

STEPS = 10
"""Of the published morph along the constant vectors: -1 to +1 in steps of 0.2."""
MAX_FRAMES = 2000


@dataclass(frozen=True, eq=False)
class Morph:
    """Frames of a morph."""

    images: Images
    """(F, C, S, S)."""
    vectors: Vectors
    """Of each frame; of a conditional generator with the class it is nearest to."""
    keys: tuple[int, ...]
    """Frames that are the given points, exactly."""
    loop: bool
    """Whether the first frame follows the last."""
    constant: bool = False
    """Whether it goes along the constant vectors."""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def captions(self) -> tuple[str, ...]:
        """The points' names at their frames, and elsewhere nothing; all values along the constant vectors."""
        shown = range(len(self)) if self.constant else self.keys
        return tuple(name if index in shown else "" for index, name in enumerate(self.vectors.names))


def morph(
    generator: Generator,
    points: Points | None = None,
    *,
    seed: int = 0,
    frames: int | None = None,
    between: int | None = None,
    loop: bool = False,
    path: Path = "auto",
    pace: Pace | None = None,
    measure: Measure | None = None,
) -> Morph:
    """A morph through key points, or along the constant vectors as published.

    Args:
        generator: makes the images.
        points: two or more, as :func:`gansmith.latent.points` takes them; None for the vectors whose coordinates are
            all equal, from -1 to +1 times the noise's scale about its centre.
        seed: that image indices belong to.
        frames: how many in all, both ends included; 11 along the constant vectors, else 60.
        between: how many from each point to the next, in the place of ``frames``.
        loop: go back to the first point, without showing it twice.
        path: "spherical" goes round the centre of the noise, at lengths between those of the two ends, as fits normal
            noise; "straight" as fits uniform noise, and is taken along the constant vectors; "auto" is what fits.
        pace: "even" for equal distances between images; "latent" for equal steps along the path, which is taken along
            the constant vectors if neither is asked for.
        measure: what the distances of "even" are between; pixels if not given.

    Raises:
        UserError: one line: too few points or frames, or points as :func:`gansmith.latent.points` refuses.
    """
    noise = generator.recipe.noise
    constant = points is None
    keys = constants(generator, (-1.0, 1.0)) if points is None else points_of.points(generator, points, seed=seed)
    if len(keys) < 2:
        raise UserError(f"a morph needs 2 or more points, not {len(keys)}: name more, such as 3,14")
    if path == "auto":
        path = "straight" if constant or noise.distribution == "uniform" else "spherical"
    track = Track(generator, keys, loop=loop, spherical=path == "spherical")
    intervals = _intervals(track.segments, frames or (STEPS + 1 if constant else 60), between, loop)
    if pace == "latent" or (pace is None and constant):
        counts = _shared(np.ones(track.segments), intervals)
        where = [np.linspace(0, 1, count, endpoint=False) for count in counts]
    else:
        counts, where = _even(track, intervals, fixed=between is not None, measure=measure or _pixels)
    found = track.morph(where)
    return replace(found, vectors=_valued(found.vectors, noise), constant=True) if constant else found


def constants(generator: Generator, values: Sequence[float]) -> Vectors:
    """The vectors whose coordinates all are centre + value * scale of the noise."""
    noise = generator.recipe.noise
    column = noise.center + noise.scale * np.array(values, np.float64)[:, None]
    latents = np.repeat(column, noise.size, axis=1).astype(np.float32)
    labels = np.zeros(len(values), np.int64) if generator.recipe.classes else None
    return Vectors(latents, tuple(f"{value:+.1f}" for value in values), labels)


def _valued(vectors: Vectors, noise: Noise) -> Vectors:
    """Constant vectors, named by their value."""
    return vectors.named([f"{(row[0] - noise.center) / noise.scale:+.1f}" for row in vectors.latents])


def interpolate(noise: Noise, a: Latents, b: Latents, t: NDArray[np.float64], *, spherical: bool) -> Latents:
    """Latents (T, Z) at shares ``t`` (T,) of the way from ``a`` (Z,) to ``b`` (Z,), which 0 and 1 give exactly.

    Spherical: about the noise's centre the direction turns at a constant rate (Shoemake 1985), and the length goes
    evenly from one to the other. Opposite directions turn through one at a right angle, always the same.
    """
    start, end, share = a.astype(np.float64), b.astype(np.float64), t[:, None]
    if spherical:
        result = noise.center + _turned(start - noise.center, end - noise.center, share)
    else:
        result = start + share * (end - start)
    latents = result.astype(np.float32)
    latents[t == 0], latents[t == 1] = a, b
    return latents


def _turned(a: NDArray[np.float64], b: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = [float(np.linalg.norm(each)) for each in (a, b)]
    if min(lengths) < 1e-9 * max(1.0, *lengths):  # the centre has no direction
        return a + t * (b - a)
    from_, to = a / lengths[0], b / lengths[1]
    across = to - from_ * (from_ @ to)
    if np.linalg.norm(across) < 1e-6:
        if from_ @ to > 0:  # the same direction
            return a + t * (b - a)
        basis = np.zeros(len(a))
        basis[np.abs(from_).argmin()] = 1
        across = basis - from_ * (from_ @ basis)
        if len(a) == 1:  # a line has no way round
            return a + t * (b - a)
    across /= np.linalg.norm(across)
    angle = np.arctan2(across @ to, from_ @ to)
    return ((1 - t) * lengths[0] + t * lengths[1]) * (np.cos(t * angle) * from_ + np.sin(t * angle) * across)


class Track:
    """A path through key points that can be looked at anywhere.

    Of a conditional generator the vectors that stand for the classes are interpolated too, always straight.
    """

    def __init__(self, generator: Generator, keys: Vectors, *, loop: bool, spherical: bool) -> None:
        self.generator, self.keys, self.loop, self.spherical = steady(generator), keys, loop, spherical
        self.segments = len(keys) if loop else len(keys) - 1
        network = self.generator.network
        self.marks: Latents | None = None
        if isinstance(network, ConditionalGenerator) and keys.labels is not None:
            recipe = self.generator.recipe
            wider = recipe.noise.model_copy(update={"size": recipe.noise.size + EMBEDDING})
            plain = recipe.model_copy(update={"noise": wider, "conditional": "none", "classes": 0})
            with torch.no_grad():
                where = torch.from_numpy(keys.labels).to(self.generator.device)
                self.marks = network.vectors(where).cpu().numpy()
            self.generator = Generator(network.body, plain)

    def latents(self, where: Sequence[NDArray[np.float64]]) -> Latents:
        """Latents (T, Z) at the shares of each segment that ``where`` lists."""
        return np.concatenate([self._piece(index, t, self.keys.latents) for index, t in enumerate(where)])

    def images(self, where: Sequence[NDArray[np.float64]], latents: Latents) -> Images:
        """What those latents look like there."""
        if self.marks is not None:
            marks = [self._piece(index, t, self.marks, spherical=False) for index, t in enumerate(where)]
            latents = np.concatenate([latents, np.concatenate(marks)], axis=1)
        return self.generator.images(torch.from_numpy(latents))

    def morph(self, where: Sequence[NDArray[np.float64]]) -> Morph:
        """The frames at the shares of each segment that ``where`` lists; an open path's last point is added."""
        if not self.loop:
            where = [*where[:-1], np.append(where[-1], 1.0)]
        latents = self.latents(where)
        sizes = [len(t) for t in where]
        keys = [int(start) for start in np.cumsum([0, *sizes[:-1]])] + ([] if self.loop else [sum(sizes) - 1])
        names = [f"{t:.2f}" for piece in where for t in piece]
        for frame, name in zip(keys, self.keys.names, strict=True):
            names[frame] = name
        labels = self.keys.labels
        if labels is not None:
            nearest = [(index + (t > 0.5)) % len(labels) for index, t in enumerate(where)]
            labels = labels[np.concatenate(nearest)]
        return Morph(self.images(where, latents), Vectors(latents, tuple(names), labels), tuple(keys), self.loop)

    def _piece(self, index: int, t: NDArray[np.float64], ends: Latents, *, spherical: bool | None = None) -> Latents:
        a, b = ends[index], ends[(index + 1) % len(ends)]
        round_ = self.spherical if spherical is None else spherical
        return interpolate(self.generator.recipe.noise, a, b, t, spherical=round_)


def _intervals(segments: int, frames: int, between: int | None, loop: bool) -> int:
    """Steps from frame to frame, the step back to the first of a loop included."""
    intervals = (between + 1) * segments if between is not None else frames if loop else frames - 1
    shown = intervals if loop else intervals + 1
    if between is not None and not 0 <= between <= MAX_FRAMES:
        raise UserError(f"`between` {between}: give a number of frames from 0 to {MAX_FRAMES}")
    if intervals < segments or shown > MAX_FRAMES:
        least = segments if loop else segments + 1
        raise UserError(f"`frames` {shown}: give {least} (as many as points) to {MAX_FRAMES}")
    return intervals


def _even(
    track: Track, intervals: int, *, fixed: bool, measure: Measure
) -> tuple[NDArray[np.int64], list[NDArray[np.float64]]]:
    """How many steps each segment gets and where, so that all are of the same length between images.

    The path is looked at in as many places as there are steps, in whole batches, and taken as straight between them.
    """
    batches = -(-intervals // CHUNK)
    fine = np.linspace(0, 1, max(4, (batches * CHUNK - 1) // track.segments) + 1)
    looks = [fine[:-1]] * track.segments
    if not track.loop:
        looks = [*looks[:-1], fine]
    features = measure(track.images(looks, track.latents(looks)))
    if track.loop:
        features = np.concatenate([features, features[:1]])
    apart = np.linalg.norm(np.diff(features, axis=0), axis=1)
    lengths = apart.reshape(track.segments, -1) + 1e-9  # where nothing changes the pace is that of the latents
    counts = _shared(np.ones(track.segments) if fixed else lengths.sum(axis=1), intervals)
    where = []
    for count, steps in zip(counts, lengths, strict=True):
        gone = np.concatenate([[0.0], np.cumsum(steps)])
        where.append(np.interp(np.linspace(0, gone[-1], count, endpoint=False), gone, fine))
    return counts, where


def _pixels(images: Images) -> NDArray[np.float32]:
    return np.asarray(images.reshape(len(images), -1) / np.float32(255), np.float32)


def _shared(weights: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """``total`` divided in proportion to ``weights``, by largest remainder, at least 1 each."""
    spare = total - len(weights)
    exact = spare * weights / weights.sum()
    counts = np.array(np.floor(exact), np.int64)
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: spare - counts.sum()]] += 1
    return np.asarray(counts + 1)
