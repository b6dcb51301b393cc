"""Truncation: latents drawn nearer to the centre give safer images and fewer kinds of them; what that trade costs.

After the truncation trick of BigGAN (Brock et al. 2019) in the linear form of StyleGAN (Karras et al. 2019):
z' = c + psi (z - c), with c the centre of the noise. Uniform noise thus keeps its shape on a smaller interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from gansmith import render
from gansmith.encoders.encoder import Encoder
from gansmith.errors import UserError
from gansmith.evaluation import reference
from gansmith.evaluation.real import RealImages
from gansmith.generator import Generator, conditions
from gansmith.latent import vectors
from gansmith.latent.shown import Shown
from gansmith.latent.vectors import Images, Points, Vectors, steady
from gansmith.metrics.prdc import RECALL_K, Cloud, Support, support
from gansmith.progress import Progress, Ticker

PSIS = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
MAX_PSIS = 20
BLOCK = 512

Encode = Callable[[Images], ArrayLike]
"""Images (N, C, H, W) -> features (N, D)."""


@dataclass(frozen=True, eq=False, repr=False)
class Truncated(Shown):
    """The same points at several strengths."""

    psis: tuple[float, ...]
    images: Images
    """(P, N, C, S, S)."""
    vectors: tuple[Vectors, ...]
    """P times N."""

    def picture(self, *, scale: int | None = None) -> render.Image:
        """A row of images for each strength."""
        from gansmith.latent import figures

        return figures.rows([f"psi {psi:g}" for psi in self.psis], list(self.images), scale=scale)


def truncate(generator: Generator, points: Points, psis: Sequence[float] = PSIS, *, seed: int = 0) -> Truncated:
    """Each point at each strength psi: 1 leaves it, 0 takes it to the noise's centre, more than 1 goes beyond.

    Raises UserError in one line for absurd strengths, and as :func:`gansmith.latent.points` does.
    """
    check(psis)
    given = vectors.points(generator, points, seed=seed)
    rows = tuple(shrunk(generator, given, psi) for psi in psis)
    still = steady(generator)
    return Truncated(tuple(psis), np.stack([vectors.images(still, row) for row in rows]), rows)


def check(psis: Sequence[float]) -> None:
    """Raises UserError for strengths that make no sense."""
    if not 1 <= len(psis) <= MAX_PSIS or not all(0 <= psi <= 2 for psi in psis):
        raise UserError(f"`psi` {','.join(f'{psi:g}' for psi in psis[:8])}: give 1 to {MAX_PSIS} numbers from 0 to 2")


def shrunk(generator: Generator, given: Vectors, psi: float) -> Vectors:
    """The vectors at strength ``psi`` about the noise's centre; 1 gives them exactly."""
    center = generator.recipe.noise.center
    latents = given.latents if psi == 1 else (center + psi * (given.latents - center)).astype(np.float32)
    return Vectors(latents, given.names, given.labels)


def trade(
    generator: Generator,
    real: Cloud,
    encode: Encode,
    psis: Sequence[float] = PSIS,
    *,
    count: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Support, ...]:
    """Precision and recall of ``count`` images at each strength, always of the same latents.

    Args:
        generator: makes the images.
        real: features of real images, with their neighbours.
        encode: the encoder that made those features.
        psis: the strengths.
        count: how many images at each.
        seed: which.
        progress: called with how many images are done.
    """
    check(psis)
    still, supports, done = steady(generator), list[Support](), 0
    tick = Ticker(progress, "measuring images", count * len(psis))
    z = generator.latents(count, seed=seed).numpy()
    told = conditions(generator.recipe, count=count)
    given = Vectors(z, ("",) * count, None if told is None else told.numpy())
    for psi in psis:
        row, features = shrunk(still, given, psi), []
        for start in range(0, count, BLOCK):
            part = row[start : start + BLOCK]
            features.append(np.asarray(encode(still.images(torch.from_numpy(part.latents), part.labels)), np.float64))
            done += len(part)
            tick(done)
        supports.append(support(real, np.concatenate(features)))
    return tuple(supports)


@dataclass(frozen=True)
class Trade:
    """Precision and recall at several strengths of truncation."""

    supports: tuple[Support, ...]
    floor: Support
    """Of as many real images against other real ones: what a perfect generator would score."""
    protocol: str


def measured(
    generator: Generator,
    images: RealImages,
    encoder: Encoder,
    psis: tuple[float, ...],
    *,
    samples: int,
    seed: int,
    progress: Progress | None = None,
) -> Trade:
    """Precision and recall at each strength, against the test split where there is one, with the floor.

    ``images`` are those that the generator imitates.
    """
    split = reference.divide(images.train, images.held_out, samples)
    real, other = (Cloud.of(reference.encode(part, encoder).features) for part in (split.real, split.others[0]))
    supports = trade(
        generator,
        real,
        lambda made: encoder.encode(made).features,
        psis,
        count=split.count,
        seed=seed,
        progress=progress,
    )
    protocol = (
        f"Precision and recall (k = {RECALL_K}, <=) on {encoder.full_name}: {split.count:,} generated images of seed "
        f"{seed} against {len(split.real):,} of {split.description}"
    )
    return Trade(supports, support(real, other), protocol)
