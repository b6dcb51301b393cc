"""Morphs: paths through latent space, paced so that the image changes equally from frame to frame."""

import os
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith import markup, render
from gansmith.errors import BETWEEN, FRAMES, UserError
from gansmith.generator import CHUNK, Generator
from gansmith.latent import vectors
from gansmith.latent.shown import Shown
from gansmith.latent.vectors import Images, Latents, Points, Vectors, steady
from gansmith.nn import ConditionalGenerator
from gansmith.nn.isolation import isolated
from gansmith.recipe import Noise

Path = Literal["auto", "straight", "spherical"]
Pace = Literal["even", "latent"]
Measure = Callable[[Images], NDArray[np.floating]]
"""Images uint8 (N, C, H, W) -> features (N, D), whose Euclidean distances are those of the images."""

STEPS = 10
"""Steps of the published morph along the constant vectors: -1 to +1 by 0.2."""


@dataclass(frozen=True, eq=False, repr=False)
class Morph(Shown):
    """Frames of a morph."""

    images: Images
    """uint8 (F, C, S, S)."""
    vectors: Vectors
    """Latents (F, Z); of a conditional generator with the label of the nearest key point."""
    keys: tuple[int, ...]
    """Indices of the frames that are exactly the given points."""
    loop: bool
    """Whether the last frame leads back to the first."""
    constant: bool = False
    """Whether the path follows the constant vectors."""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def captions(self) -> tuple[str, ...]:
        """F captions: points' names at their frames and else empty; along the constant vectors, each frame's value."""
        shown = range(len(self)) if self.constant else self.keys
        return tuple(name if index in shown else "" for index, name in enumerate(self.vectors.names))

    def picture(self, *, scale: int | None = None) -> render.Image:
        """A strip: a row of frames from each key to the next."""
        from gansmith.latent import figures

        return figures.strip(self.images, captions=self.captions, keys=self.keys, loop=self.loop, scale=scale)

    def save(self, path: str | os.PathLike[str], *, scale: int | None = None, seconds: float = 0.06) -> pathlib.Path:
        """Writes a strip (.png, .jpg) or a film (.webp, .gif, .mp4, .webm), each frame shown so many seconds.

        Raises UserError in one line for other names, and for a video without PyAV.
        """
        from gansmith.latent import figures

        target = pathlib.Path(path)
        if target.suffix.lower() in figures.FILMS:
            return figures.film(self.images, target, seconds=seconds, scale=scale)
        return super().save(target, scale=scale)

    def _repr_html_(self) -> str:
        with tempfile.TemporaryDirectory() as folder:
            film = self.save(pathlib.Path(folder) / "film.webp")
            return markup.picture(film.read_bytes(), alt=repr(self), kind="webp")


@isolated()
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
        points: two or more key points, as :func:`gansmith.latent.points` takes them; None for the vectors whose
            coordinates are all equal, from -1 to +1 times the noise's scale about its centre.
        seed: the seed that image indices belong to.
        frames: frames in all, both ends included, up to 2,000; 11 along the constant vectors, else 60, if None.
        between: frames between each point and the next; replaces ``frames``.
        loop: whether to return to the first point, which is not shown twice.
        path: "spherical" turns about the centre of the noise, which suits normal noise; "straight" suits uniform
            noise; "auto" chooses by the noise, and "straight" along the constant vectors.
        pace: "even" for equal distances between successive images; "latent" for equal steps along the path; None for
            "latent" along the constant vectors and "even" elsewhere.
        measure: features whose distances "even" equalises; pixels if None.

    Raises:
        UserError: one line: too few points or frames, or points as :func:`gansmith.latent.points` refuses.
    """
    frames = None if frames is None else FRAMES.check("frames", frames)
    between = None if between is None else BETWEEN.check("between", between)
    noise = generator.recipe.noise
    constant = points is None
    keys = constants(generator, (-1.0, 1.0)) if points is None else vectors.points(generator, points, seed=seed)
    if len(keys) < 2:
        raise UserError(f"a morph needs 2 or more points, not {len(keys)}: name more, such as 3,14")
    if path == "auto":
        path = "straight" if constant or noise.distribution == "uniform" else "spherical"
    track = Track(generator, keys, loop=loop, spherical=path == "spherical")
    intervals = _intervals(track.segments, (STEPS + 1 if constant else 60) if frames is None else frames, between, loop)
    if pace == "latent" or (pace is None and constant):
        counts = _shared(np.ones(track.segments), intervals)
        where = [np.linspace(0, 1, count, endpoint=False) for count in counts]
    else:
        counts, where = _even(track, intervals, fixed=between is not None, measure=measure or _pixels)
    found = track.morph(where)
    return replace(found, vectors=_valued(found.vectors, noise), constant=True) if constant else found


def constants(generator: Generator, values: Sequence[float]) -> Vectors:
    """For each of N values, the vector whose coordinates all are the noise's centre + value * its scale: (N, Z)."""
    noise = generator.recipe.noise
    column = noise.center + noise.scale * np.array(values, np.float64)[:, None]
    latents = np.repeat(column, noise.size, axis=1).astype(np.float32)
    labels = np.zeros(len(values), np.int64) if generator.recipe.conditions else None
    return Vectors(latents, tuple(f"{value:+.1f}" for value in values), labels)


def _valued(vectors: Vectors, noise: Noise) -> Vectors:
    """Constant vectors under their values as names."""
    return vectors.named([f"{(row[0] - noise.center) / noise.scale:+.1f}" for row in vectors.latents])


def interpolate(noise: Noise, a: Latents, b: Latents, t: NDArray[np.float64], *, spherical: bool) -> Latents:
    """Latents (T, Z) at fractions ``t`` (T,) of the way from ``a`` (Z,) to ``b`` (Z,); 0 and 1 give these exactly.

    Spherical: about the noise's centre the direction turns at a constant rate (Shoemake 1985) while the length changes
    linearly. Between opposite directions the path leads through a fixed one at a right angle.
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
    """Spherical interpolation about 0 at ``t`` (T, 1) from ``a`` to ``b``; straight where there is no angle."""
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
        if len(a) == 1:  # one dimension has no right angle
            return a + t * (b - a)
    across /= np.linalg.norm(across)
    angle = np.arctan2(across @ to, from_ @ to)
    return ((1 - t) * lengths[0] + t * lengths[1]) * (np.cos(t * angle) * from_ + np.sin(t * angle) * across)


class Track:
    """A path through key points: latents and images anywhere on it.

    Of a conditional generator the embeddings of the classes are interpolated too, always straight.
    """

    def __init__(self, generator: Generator, keys: Vectors, *, loop: bool, spherical: bool) -> None:
        self.generator, self.keys, self.loop, self.spherical = steady(generator), keys, loop, spherical
        self.segments = len(keys) if loop else len(keys) - 1
        network = self.generator.network
        self.embeddings: Latents | None = None
        if isinstance(network, ConditionalGenerator) and keys.labels is not None:
            recipe = self.generator.recipe
            with torch.no_grad():
                where = torch.from_numpy(keys.labels).to(self.generator.device)
                self.embeddings = network.vectors(where).cpu().numpy()
            wider = recipe.noise.model_copy(update={"size": recipe.noise.size + self.embeddings.shape[1]})
            plain = recipe.model_copy(update={"noise": wider, "conditional": "none", "classes": 0, "kinds": 0})
            self.generator = Generator(network.body, plain)

    def latents(self, where: Sequence[NDArray[np.float64]]) -> Latents:
        """Latents (T, Z) at the fractions of each segment that ``where`` lists."""
        return np.concatenate([self._piece(index, t, self.keys.latents) for index, t in enumerate(where)])

    def images(self, where: Sequence[NDArray[np.float64]], latents: Latents) -> Images:
        """Images uint8 (T, C, S, S) of the ``latents`` at ``where``."""
        if self.embeddings is not None:
            parts = [self._piece(index, t, self.embeddings, spherical=False) for index, t in enumerate(where)]
            latents = np.concatenate([latents, np.concatenate(parts)], axis=1)
        return self.generator.images(torch.from_numpy(latents))

    def morph(self, where: Sequence[NDArray[np.float64]]) -> Morph:
        """The frames at the fractions of each segment that ``where`` lists; an open path's last point is added."""
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
        """Vectors at fractions ``t`` (T,) of segment ``index`` of the path through ``ends``."""
        a, b = ends[index], ends[(index + 1) % len(ends)]
        spherical = self.spherical if spherical is None else spherical
        return interpolate(self.generator.recipe.noise, a, b, t, spherical=spherical)


def _intervals(segments: int, frames: int, between: int | None, loop: bool) -> int:
    """The number of steps from frame to frame, with the step back to the first of a loop.

    Raises UserError for fewer frames than points, or more than 2,000.
    """
    intervals = (between + 1) * segments if between is not None else frames if loop else frames - 1
    shown = intervals if loop else intervals + 1
    if intervals < segments or shown > FRAMES.high:
        least = segments if loop else segments + 1
        raise UserError(f"`frames` {shown}: give {least} (as many as points) to {FRAMES.high}")
    return intervals


def _even(
    track: Track, intervals: int, *, fixed: bool, measure: Measure
) -> tuple[NDArray[np.int64], list[NDArray[np.float64]]]:
    """The number of steps in each segment and the fractions where they start, so that images differ equally.

    Distances are measured between as many images as there are steps, rounded up to whole batches, and interpolated.
    ``fixed`` gives all segments equally many steps.
    """
    batches = -(-intervals // CHUNK)
    fine = np.linspace(0, 1, max(4, (batches * CHUNK - 1) // track.segments) + 1)
    where = [fine[:-1]] * track.segments
    if not track.loop:
        where = [*where[:-1], fine]
    features = measure(track.images(where, track.latents(where)))
    if track.loop:
        features = np.concatenate([features, features[:1]])
    apart = np.linalg.norm(np.diff(features, axis=0), axis=1)
    lengths = apart.reshape(track.segments, -1) + 1e-9  # where no pixel changes, equal steps of latents
    counts = _shared(np.ones(track.segments) if fixed else lengths.sum(axis=1), intervals)
    where = []
    for count, steps in zip(counts, lengths, strict=True):
        distance = np.concatenate([[0.0], np.cumsum(steps)])
        where.append(np.interp(np.linspace(0, distance[-1], count, endpoint=False), distance, fine))
    return counts, where


def _pixels(images: Images) -> NDArray[np.float32]:
    """Pixels (N, D) in 0 .. 1: the default features of "even"."""
    return np.asarray(images.reshape(len(images), -1) / np.float32(255), np.float32)


def _shared(weights: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """``total`` divided into whole numbers in proportion to ``weights``, by largest remainder, each 1 or more."""
    spare = total - len(weights)
    exact = spare * weights / weights.sum()
    counts = np.array(np.floor(exact), np.int64)
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: spare - counts.sum()]] += 1
    return np.asarray(counts + 1)
