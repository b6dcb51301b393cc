"""GAN inversion: the latent whose image is nearest to a picture, by samples to start from and gradient descent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gansmith import render
from gansmith.encoders.encoder import Encoder
from gansmith.errors import DESCENT, FROM_0, Range, UserError
from gansmith.generator import CHUNK, Generator, conditions
from gansmith.latent.classes import encoder_of
from gansmith.latent.optimise import (
    Differentiable,
    as_tensor,
    descend,
    search_precision,
    searches_in_bf16,
    slow,
)
from gansmith.latent.shown import Shown
from gansmith.latent.vectors import Images, Labels, Latents, Vectors, steady
from gansmith.nn.isolation import isolated
from gansmith.progress import Progress, Ticker

SEED = 0x1274E7
"""Default seed of the samples that a search starts from: one that nothing else uses."""
CANDIDATES, CANDIDATES_IF_SLOW = 4096, 1024
"""Samples among which a search chooses its starts; fewer of slow generators."""
STARTS, KEPT = 6, 2
"""Descents at the start, and after a quarter of the steps, when only the best go on."""
STEPS = 160
"""Steps of Adam."""
IF_SLOW = (4, 130)
"""Descents and steps of slow generators."""
FEATURES = 0.01
"""Weight of the squared distance of features (each of variance 1 over the data) beside that of pixels, in the first
quarter of the steps; afterwards only pixels count."""
MOST = 1000
"""Pictures in one call."""
TOGETHER = 8
"""Pictures that :func:`floor` inverts at once."""


@dataclass(frozen=True, eq=False, repr=False)
class Inverted(Shown):
    """N pictures and the latents whose images are nearest to them."""

    vectors: Vectors
    """Latents (N, Z), usable wherever points are."""
    targets: Images
    """uint8 (N, C, S, S): the pictures."""
    images: Images
    """uint8 (N, C, S, S): the images of the latents."""
    errors: NDArray[np.float64]
    """(N,): root mean square difference of the pixels of images and targets, in grey levels of 0 .. 255."""
    before: NDArray[np.float64]
    """(N,): the same for the nearest of the samples that the search started from."""

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def latents(self) -> Latents:
        """float32 (N, Z)."""
        return self.vectors.latents

    def picture(self, *, scale: int | None = None) -> render.Image:
        """The pictures, and below each the image found for it."""
        from gansmith.latent import figures

        return figures.rows(["picture", "found"], [self.targets, self.images], scale=scale)


@isolated()
def invert(
    generator: Generator,
    images: Images,
    *,
    labels: Sequence[str | int | None] | None = None,
    names: Sequence[str] | None = None,
    seed: int = SEED,
    encoder: Encoder | None = None,
    starts: int | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
) -> Inverted:
    """The latents whose images are nearest to pictures. Each picture's result depends on that picture alone.

    Of 4,096 samples, or 1,024 of a slow generator, those nearest in pixels and features are the starts. Adam descends
    from them in that distance, within the noise's support; after a quarter of the steps the best two go on, in
    pixels alone, and the better one is the result.

    Args:
        generator: makes the images. Of a conditional one all classes are tried where a picture's is not given.
        images: the pictures, uint8 (N, C, S, S), N up to 1,000, of the generator's shape.
        labels: N classes of a conditional generator, by name or number; None for an unknown one.
        names: N names for the vectors.
        seed: which samples.
        encoder: gives the features; the encoder of the generator's data if None.
        starts: descents per picture, 1 to 64; 6 if None, 4 with a slow generator.
        steps: steps of the longest descent, 1 to 100,000; 160 if None, 130 with a slow generator.
        progress: called with the steps done, if that takes more than two seconds.

    Raises:
        UserError: one line: images of another shape, unknown labels, or numbers outside these ranges.
    """
    recipe = generator.recipe
    shape = (recipe.channels, recipe.size, recipe.size)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != shape or not 1 <= len(images) <= MOST:
        raise UserError(f"pictures are {images.dtype} {images.shape}; give 1 to {MOST} of uint8 (N, {shape})")
    usual = IF_SLOW if slow(generator) else (STARTS, STEPS)
    starts = Range(1, CHUNK).check("starts", usual[0] if starts is None else starts)
    steps, seed = DESCENT.check("steps", usual[1] if steps is None else steps), FROM_0.check("seed", seed)
    search = _Search(_classes(generator, labels, len(images)), seed, starts, steps)
    return search.run(generator, encoder or encoder_of(generator), images, names, together=1, progress=progress)


@isolated()
def floor(generator: Generator, images: Images, *, progress: Progress | None = None) -> float:
    """The median error of inverting ``images`` uint8 (N, C, S, S), in grey levels: for comparison with one's own.

    Eight are inverted at once, which is faster than one by one; roundings then differ from those of :func:`invert`.
    """
    starts, steps = IF_SLOW if slow(generator) else (STARTS, STEPS)
    search = _Search([None] * len(images), SEED, starts, steps)
    found = search.run(generator, encoder_of(generator), images, None, together=TOGETHER, progress=progress)
    return float(np.median(found.errors))


@dataclass(frozen=True)
class _Search:
    """The pictures' labels, as far as they are known, and the extent of the search."""

    labels: list[int | None]
    seed: int
    starts: int
    steps: int

    def run(
        self,
        generator: Generator,
        encoder: Encoder,
        images: Images,
        names: Sequence[str] | None,
        *,
        together: int,
        progress: Progress | None,
    ) -> Inverted:
        """Inverts pictures, ``together`` at once."""
        generator = steady(generator)
        candidates = _Candidates(generator, encoder, self.seed, progress)
        differentiable = Differentiable(generator, encoder)
        tick = Ticker(progress, "inverting", len(images) * self.steps)
        found, chosen, before = [], [], []
        for first in range(0, len(images), together):
            part = images[first : first + together]
            near = [
                candidates.nearest(picture, label, self.starts)
                for picture, label in zip(part, self.labels[first : first + together], strict=True)
            ]
            count = min(len(rows) for rows, _ in near)  # a class may have fewer candidates than starts
            rows = np.concatenate([rows[:count] for rows, _ in near])
            z, classes = candidates.latents[rows], None if candidates.labels is None else candidates.labels[rows]
            with search_precision(generator):
                best, best_classes = _descended(
                    generator, differentiable, _Targets.of(part, encoder), z, classes, self.steps,
                    partial(_from, tick, first * self.steps, len(part)),
                )  # fmt: skip
            found.append(best)
            chosen.append(best_classes)
            before += [least for _, least in near]
        latents = np.concatenate(found)
        classes = np.concatenate(chosen) if generator.recipe.conditions else None
        made = generator.images(torch.from_numpy(latents), classes)
        names = names or [f"picture {index}" for index in range(len(images))]
        return Inverted(Vectors(latents, tuple(names), classes), images, made, _rms(made, images), np.array(before))


@dataclass(frozen=True)
class _Targets:
    """P pictures and their features."""

    pixels: Tensor
    """float32 (P, C, S, S), 0 .. 255."""
    features: Tensor
    """float32 (P, D)."""

    @classmethod
    def of(cls, pictures: Images, encoder: Encoder) -> "_Targets":
        """The targets for pictures uint8 (P, C, S, S)."""
        features = torch.from_numpy(encoder.encode(pictures).features).float()
        return cls(torch.from_numpy(pictures.astype(np.float32)), features)

    def __len__(self) -> int:
        return len(self.pixels)

    def each(self, times: int, device: torch.device) -> "_Targets":
        """Every picture ``times`` times, one after the other: the targets of as many descents."""
        parts = (part.repeat_interleave(times, dim=0).to(device) for part in (self.pixels, self.features))
        return _Targets(*parts)


class _Candidates:
    """Samples to start from, with their images and features."""

    def __init__(self, generator: Generator, encoder: Encoder, seed: int, progress: Progress | None) -> None:
        recipe = generator.recipe
        self.kinds = max(1, recipe.kinds)
        count = CANDIDATES_IF_SLOW if slow(generator) else CANDIDATES
        self.latents = generator.latents(count, seed=seed).numpy()
        told = conditions(recipe, count=count)
        self.labels: Labels | None = None if told is None else told.numpy()
        tick = Ticker(progress, "samples to start from", count)
        images, features = [], []
        quick = replace(generator, precision="bf16") if searches_in_bf16(generator) else generator
        for start in range(0, count, 512):
            rows = slice(start, start + 512)
            part = torch.from_numpy(self.latents[rows])
            images.append(quick.images(part, None if self.labels is None else self.labels[rows]))
            features.append(encoder.encode(images[-1]).features)
            tick(start + 512)
        self._images, self._features = np.concatenate(images), np.concatenate(features)
        self._encoder = encoder

    def nearest(self, picture: Images, label: int | None, count: int) -> tuple[NDArray[np.int64], float]:
        """Indices of the ``count`` candidates nearest to a picture (C, S, S), and the least error in pixels.

        With a label, only candidates of that class count.
        """
        rows = np.arange(len(self.latents))
        if label is not None and self.labels is not None:
            rows = rows[self.labels // self.kinds == label]
        pixels = _rms(self._images[rows], picture[None])
        away = self._features[rows] - self._encoder.encode(picture[None]).features
        distance = (pixels / 255) ** 2 + FEATURES * (away**2).mean(axis=1)
        return rows[np.argsort(distance, kind="stable")[:count]], float(pixels.min())


def _descended(
    generator: Generator,
    differentiable: Differentiable,
    targets: _Targets,
    starts: Latents,
    labels: Labels | None,
    steps: int,
    tick: Callable[[int], None],
) -> tuple[Latents, Labels]:
    """The best latent (P, Z) reached from each picture's starts (P * S, Z), and its label (P,), -1 without."""
    z, classes = torch.from_numpy(starts), as_tensor(labels)
    first = max(1, steps // 4)
    for done, length, weight, most in ((0, first, FEATURES, KEPT), (first, steps - first, 0.0, 1)):
        z, away = _descent(
            generator, differentiable, targets, z, classes, length, weight, partial(_from, tick, done, 1)
        )
        each = away.view(len(targets), -1)
        kept = (each.argsort(dim=1, stable=True)[:, :most] + each.shape[1] * torch.arange(len(each))[:, None]).flatten()
        z, classes = z[kept], None if classes is None else classes[kept]
    return z.numpy(), np.full(len(z), -1) if classes is None else classes.numpy()


def _descent(
    generator: Generator,
    differentiable: Differentiable,
    targets: _Targets,
    starts: Tensor,
    labels: Tensor | None,
    steps: int,
    weight: float,
    tick: Callable[[int], None],
) -> tuple[Tensor, Tensor]:
    """The latent nearest to its target on the way from each start (N, Z), and its mean squared error of pixels (N,).

    ``weight`` is that of the squared distance of features in the loss; errors are in units of full white.
    """
    wanted = targets.each(len(starts) // len(targets), generator.device)
    labels = None if labels is None else labels.to(generator.device)

    def judge(z: Tensor) -> tuple[Tensor, Tensor]:
        images = differentiable.images(z, labels)
        away = ((images - wanted.pixels) / 255).square().flatten(1).mean(1)
        if not weight:
            return away, away
        return away, away + weight * (differentiable.encode(images)[0] - wanted.features).square().mean(1)

    return descend(generator.recipe.noise, starts.to(generator.device), judge, steps, tick)


def _from(tick: Callable[[int], None], before: int, times: int, done: int) -> None:
    """Reports ``before`` plus ``times * done``: the progress of a part in that of the whole."""
    tick(before + times * done)


def _rms(a: Images, b: Images) -> NDArray[np.float64]:
    """Root mean square difference (N,) of images uint8 (N, C, H, W), in grey levels."""
    difference = a.astype(np.float32) - b.astype(np.float32)
    return np.asarray(np.sqrt(np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64)))


def _classes(generator: Generator, labels: Sequence[str | int | None] | None, count: int) -> list[int | None]:
    """The label of each of ``count`` pictures, or None. Raises UserError for unknown ones."""
    if labels is None:
        return [None] * count
    if len(labels) != count:
        raise UserError(f"{len(labels)} labels for {count} pictures: give one each")
    return [None if label is None else generator.label(label) for label in labels]
