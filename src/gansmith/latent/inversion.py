"""A picture to the noise that makes it: the nearest of thousands of samples, then gradient descent on the latent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gansmith.encoders.encoder import Encoder
from gansmith.errors import UserError
from gansmith.generator import CHUNK, Generator
from gansmith.latent.classes import encoder_of
from gansmith.latent.optimise import Slope, as_tensor, coarse, hasty, heavy, within
from gansmith.latent.vectors import Images, Labels, Latents, Vectors, steady
from gansmith.progress import Progress, Ticker

SEED = 0x1274E7
"""Of the samples that a search begins from, when no seed is given: a sequence of its own."""
CANDIDATES, FEWER = 4096, 1024
"""Samples to begin from; fewer of heavy generators."""
STARTS, KEPT = 6, 2
"""Descents that are begun, and those that are ended: the best after a quarter of the steps."""
STEPS, RATE = 160, 0.1
SPARING = (4, 130)
"""Descents and steps of heavy generators."""
FEATURES = 0.01
"""Weight of the squared distance of features (each of variance 1 over the data) beside that of pixels, which is all
that counts once the best descents are chosen."""
MOST = 1000
TOGETHER = 8
"""Pictures that a floor inverts at once."""


@dataclass(frozen=True, eq=False)
class Inverted:
    """The latents that come nearest to N pictures."""

    vectors: Vectors
    """(N, Z), usable wherever a seed is."""
    targets: Images
    """(N, C, S, S): what was asked for."""
    images: Images
    """(N, C, S, S): what the latents make."""
    errors: NDArray[np.float64]
    """(N,): root mean square difference of the pixels, in grey levels of 255."""
    before: NDArray[np.float64]
    """(N,): the same for the nearest of the samples that the search began from."""

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def latents(self) -> Latents:
        """(N, Z)."""
        return self.vectors.latents


def invert(
    generator: Generator,
    images: Images,
    *,
    labels: Sequence[int | None] | None = None,
    names: Sequence[str] | None = None,
    seed: int = SEED,
    encoder: Encoder | None = None,
    starts: int | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
) -> Inverted:
    """The noise that comes nearest to pictures. Each picture's result depends on that picture alone.

    From 4,096 samples, or 1,024 of a slow generator, the nearest in pixels and features are taken as starts; Adam moves
    them, within where noise can lie, down the same distance; after a quarter of the steps the best two go on, and the
    better one is the result.

    Args:
        generator: any. Of a conditional one every class is tried that a picture is not given.
        images: uint8 (N, C, S, S) of the generator's shape.
        labels: (N,) classes of a conditional generator, None for unknown ones.
        names: (N,) of the vectors.
        seed: of the samples.
        encoder: whose features count beside the pixels; None for that of the generator's data.
        starts: how many descents are begun: 6 if not given, 4 with a slow generator.
        steps: of the longest: 160 if not given, 130 with a slow generator.
        progress: told after two seconds how it gets on.

    Raises:
        UserError: one line: images of another shape, labels that the generator does not know, absurd numbers.
    """
    recipe = generator.recipe
    shape = (recipe.channels, recipe.size, recipe.size)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != shape or not 1 <= len(images) <= MOST:
        raise UserError(f"pictures are {images.dtype} {images.shape}; give 1 to {MOST} of uint8 (N, {shape})")
    usual = SPARING if heavy(generator) else (STARTS, STEPS)
    starts, steps = usual[0] if starts is None else starts, usual[1] if steps is None else steps
    if not 1 <= starts <= CHUNK or not 1 <= steps <= 100_000 or seed < 0:
        raise UserError(f"{starts} starts, {steps} steps, seed {seed}: give 1 to {CHUNK}, 1 to 100,000, 0 or more")
    search = _Search(_known(generator, labels, len(images)), seed, starts, steps)
    return search.run(generator, encoder or encoder_of(generator), images, names, together=1, progress=progress)


def floor(generator: Generator, images: Images, *, progress: Progress | None = None) -> float:
    """The median error of inverting these images, in grey levels: what a picture of their kind can hope for.

    Several are inverted at once, which is faster than one by one; roundings then differ from those of :func:`invert`.
    """
    starts, steps = SPARING if heavy(generator) else (STARTS, STEPS)
    search = _Search([None] * len(images), SEED, starts, steps)
    found = search.run(generator, encoder_of(generator), images, None, together=TOGETHER, progress=progress)
    return float(np.median(found.errors))


@dataclass(frozen=True)
class _Search:
    """What is known of the pictures, and how far to look."""

    known: list[int | None]
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
        """Inverts so many pictures at once."""
        generator = steady(generator)
        candidates = _Candidates(generator, encoder, self.seed, progress)
        slope = Slope(generator, encoder)
        tick = Ticker(progress, "inverting", len(images) * self.steps)
        found, chosen, before = [], [], []
        for first in range(0, len(images), together):
            part = images[first : first + together]
            near = [
                candidates.nearest(picture, label, self.starts)
                for picture, label in zip(part, self.known[first : first + together], strict=True)
            ]
            count = min(len(rows) for rows, _ in near)  # of a class there may be fewer than are begun from
            rows = np.concatenate([rows[:count] for rows, _ in near])
            z, classes = candidates.latents[rows], None if candidates.labels is None else candidates.labels[rows]
            with coarse(generator):
                best, best_classes = _descended(
                    generator, slope, _Targets.of(part, encoder), z, classes, self.steps,
                    partial(_from, tick, first * self.steps, len(part)),
                )  # fmt: skip
            found.append(best)
            chosen.append(best_classes)
            before += [least for _, least in near]
        latents = np.concatenate(found)
        classes = np.concatenate(chosen) if generator.recipe.classes else None
        made = generator.images(torch.from_numpy(latents), classes)
        names = names or [f"picture {index}" for index in range(len(images))]
        return Inverted(Vectors(latents, tuple(names), classes), images, made, _rms(made, images), np.array(before))


@dataclass(frozen=True)
class _Targets:
    """Pictures (P, ...), and what an encoder sees in them."""

    pixels: Tensor
    features: Tensor

    @classmethod
    def of(cls, pictures: Images, encoder: Encoder) -> "_Targets":
        features = torch.from_numpy(encoder.encode(pictures).features).float()
        return cls(torch.from_numpy(pictures.astype(np.float32)), features)

    def __len__(self) -> int:
        return len(self.pixels)

    def each(self, times: int, device: torch.device) -> "_Targets":
        """Every picture so many times, one after the other: the targets of as many descents."""
        parts = (part.repeat_interleave(times, dim=0).to(device) for part in (self.pixels, self.features))
        return _Targets(*parts)


class _Candidates:
    """Samples to begin from, and what the encoder sees in them."""

    def __init__(self, generator: Generator, encoder: Encoder, seed: int, progress: Progress | None) -> None:
        recipe = generator.recipe
        count = FEWER if heavy(generator) else CANDIDATES
        self.latents = generator.latents(count, seed=seed).numpy()
        self.labels: Labels | None = np.arange(count) % recipe.classes if recipe.classes else None
        tick = Ticker(progress, "samples to begin from", count)
        images, features = [], []
        quick = replace(generator, precision="bf16") if hasty(generator) else generator
        for start in range(0, count, 512):
            rows = slice(start, start + 512)
            part = torch.from_numpy(self.latents[rows])
            images.append(quick.images(part, None if self.labels is None else self.labels[rows]))
            features.append(encoder.encode(images[-1]).features)
            tick(start + 512)
        self._images, self._features = np.concatenate(images), np.concatenate(features)
        self._encoder = encoder

    def nearest(self, picture: Images, label: int | None, count: int) -> tuple[NDArray[np.int64], float]:
        """The candidates nearest to a picture, of its class if that is known, and the least error in pixels."""
        rows = np.arange(len(self.latents))
        if label is not None and self.labels is not None:
            rows = rows[self.labels == label]
        pixels = _rms(self._images[rows], picture[None])
        away = self._features[rows] - self._encoder.encode(picture[None]).features
        distance = (pixels / 255) ** 2 + FEATURES * (away**2).mean(axis=1)
        return rows[np.argsort(distance, kind="stable")[:count]], float(pixels.min())


def _descended(
    generator: Generator,
    slope: Slope,
    targets: _Targets,
    starts: Latents,
    labels: Labels | None,
    steps: int,
    tick: Callable[[int], None],
) -> tuple[Latents, Labels]:
    """Where the best start of each picture (P * S, Z) went (P, Z), and its class (P,), -1 without."""
    z, classes = torch.from_numpy(starts), as_tensor(labels)
    begun = max(1, steps // 4)
    for done, length, weight, most in ((0, begun, FEATURES, KEPT), (begun, steps - begun, 0.0, 1)):
        z, away = _descent(generator, slope, targets, z, classes, length, weight, partial(_from, tick, done, 1))
        each = away.view(len(targets), -1)
        kept = (each.argsort(dim=1, stable=True)[:, :most] + each.shape[1] * torch.arange(len(each))[:, None]).flatten()
        z, classes = z[kept], None if classes is None else classes[kept]
    return z.numpy(), np.full(len(z), -1) if classes is None else classes.numpy()


def _descent(
    generator: Generator,
    slope: Slope,
    targets: _Targets,
    starts: Tensor,
    labels: Tensor | None,
    steps: int,
    weight: float,
    tick: Callable[[int], None],
) -> tuple[Tensor, Tensor]:
    """The nearest that each start (N, Z) came to its target on its way, and how near (N,): mean square of pixels."""
    noise, device = generator.recipe.noise, generator.device
    wanted = targets.each(len(starts) // len(targets), device)
    labels = None if labels is None else labels.to(device)
    z = starts.clone().to(device).requires_grad_()
    optimizer = torch.optim.Adam([z], RATE * noise.scale)
    best, least = z.detach().clone(), torch.full((len(z),), torch.inf, device=device)
    for step in range(steps + 1):
        images = slope.images(z, labels)
        away = ((images - wanted.pixels) / 255).square().flatten(1).mean(1)
        with torch.no_grad():  # the last step need not be the best
            nearer = away < least
            best[nearer], least[nearer] = z[nearer], away[nearer]
        if step == steps:
            break
        loss = away
        if weight:
            loss = away + weight * (slope.look(images)[0] - wanted.features).square().mean(1)
        (z.grad,) = torch.autograd.grad(loss.sum(), z)
        optimizer.param_groups[0]["lr"] = RATE * noise.scale * (1 - 0.9 * step / steps)
        optimizer.step()
        with torch.no_grad():
            z.copy_(within(noise, z))
        tick(step + 1)
    return best.cpu(), least.cpu()


def _from(tick: Callable[[int], None], before: int, times: int, done: int) -> None:
    tick(before + times * done)


def _rms(a: Images, b: Images) -> NDArray[np.float64]:
    """Root mean square difference (N,), in grey levels."""
    difference = a.astype(np.float32) - b.astype(np.float32)
    return np.asarray(np.sqrt(np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64)))


def _known(generator: Generator, labels: Sequence[int | None] | None, count: int) -> list[int | None]:
    """A class or None for each picture."""
    if labels is None:
        return [None] * count
    if len(labels) != count:
        raise UserError(f"{len(labels)} labels for {count} pictures: give one each")
    return [None if label is None else generator.label(label) for label in labels]
