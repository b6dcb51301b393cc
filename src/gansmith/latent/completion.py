"""Pictures completed and enlarged: latents whose images agree with what is known, and which differ elsewhere.

The search is that of inversion with a distance of the known pixels alone, as in semantic inpainting (Yeh et al. 2017),
or of the image made small again, as in PULSE (Menon et al. 2020). Several starts give several answers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gansmith import render
from gansmith.errors import ANSWERS, DESCENT, FROM_0, UserError
from gansmith.generator import Generator, conditions
from gansmith.latent.inversion import CANDIDATES, CANDIDATES_IF_SLOW, SEED
from gansmith.latent.optimise import Differentiable, as_tensor, descend, farthest_points, search_precision, slow
from gansmith.latent.shown import Shown
from gansmith.latent.vectors import Images, Labels, Vectors, join, steady
from gansmith.nn.isolation import isolated
from gansmith.progress import Progress, Ticker

MOST = 1000
"""Pictures in one call, and answers to one."""
NEAR = 8
"""Samples near to what is known, for each answer, among which different ones are chosen to start from."""
TRIED = 2
"""Descents for each answer."""
STEPS, STEPS_IF_SLOW = 120, 80
WORSE = 1.5
"""Answers may miss the known part by this factor more than the best one, and by :data:`ALLOWED` levels at least."""
ALLOWED = 20.0
"""Grey levels, root mean square over the known part."""
SOFT = 0.35
"""How fast a correction fades away from the seam: by a factor of about two a pixel."""
ALLOWED_SMALL = 5.0
"""The same over a small picture, where each pixel is a mean."""
BACK = 8
"""Rounds in which an enlarged image is made lighter and darker until, made small, it is nearly the one given."""

DARK = 8.0
"""Grey levels below which a square counts as black: nothing is brought out of it."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class Completed(Shown):
    """P pictures and N answers to each, those that fit best first."""

    images: Images
    """uint8 (P, N, C, S, S): what is known is as it was given."""
    generated: Images
    """uint8 (P, N, C, S, S): the images of the latents, before what is known took its place."""
    given: Images
    """uint8 (P, C, s, s): the pictures."""
    known: Mask | None
    """(P, S, S): which pixels are known; None where pictures were enlarged."""
    vectors: Vectors
    """Latents (P * N, Z), usable wherever points are."""
    errors: NDArray[np.float64]
    """(P, N): root mean square difference of generated from given in what is known, in grey levels of 0 .. 255."""

    def __len__(self) -> int:
        return len(self.images)

    def picture(self, *, scale: int | None = None) -> render.Image:
        """A row for each picture: what is known of it, and its answers with how far they are off in that."""
        from gansmith.latent import figures

        if self.known is None:
            factor = self.images.shape[-1] // self.given.shape[-1]
            known = self.given.repeat(factor, axis=-2).repeat(factor, axis=-1)
        else:
            known = np.where(self.known[:, None], self.given, 96).astype(np.uint8)
        rows = [np.concatenate([one[None], answers]) for one, answers in zip(known, self.images, strict=True)]
        captions = ["known", *(f"{error:.0f} off" for error in self.errors[0])] if len(rows) == 1 else None
        return figures.rows([f"picture {index}" for index in range(len(rows))], rows, captions=captions, scale=scale)


@isolated()
def complete(
    generator: Generator,
    images: Images,
    known: Mask,
    *,
    n: int = 6,
    labels: Sequence[str | int | None] | None = None,
    seed: int = SEED,
    steps: int | None = None,
    progress: Progress | None = None,
) -> Completed:
    """Pictures whose unknown parts are filled in, several times, by what the generator makes there.

    Args:
        generator: of any recipe. Of a conditional one all classes are tried where a picture's is not given.
        images: the pictures, uint8 (P, C, S, S), of the generator's shape; what is in unknown parts does not matter.
        known: which pixels are known, (S, S) of all pictures, or (P, S, S).
        n: answers to each picture, 1 to 1,000, as different in the unknown part as what is known allows.
        labels: P classes of a conditional generator, by name or number; None for an unknown one.
        seed: which samples the search starts from.
        steps: of Adam, 1 to 100,000; 120 if None, 80 with a slow generator.
        progress: called with the steps done, if that takes more than two seconds.

    Raises:
        UserError: one line: images of another shape, nothing or everything known, unknown labels, absurd numbers.
    """
    shape = (generator.recipe.channels, generator.recipe.size, generator.recipe.size)
    _check_pictures(images, shape)
    if known.dtype != np.bool_ or known.shape[-2:] != shape[1:] or known.ndim not in (2, 3):
        raise UserError(f"`known` is {known.dtype} {known.shape}; give bool {shape[1:]}")
    known = np.broadcast_to(known, (len(images), *shape[1:]))
    shares = known.mean(axis=(1, 2))
    if shares.min() <= 0 or shares.max() >= 1:
        raise UserError("`known`: leave something unknown, and something known, in each picture")
    weights = torch.from_numpy(known[:, None].astype(np.float32) / shares[:, None, None, None].astype(np.float32))
    search = _Search(generator, images, n, labels, seed, steps, progress)

    def away(picture: int, made: Tensor) -> Tensor:
        target = search.targets[picture].to(made.device)
        return (weights[picture].to(made.device) * ((made - target) / 255).square()).flatten(1).mean(1)

    def elsewhere(picture: int, made: Images) -> NDArray[np.float64]:
        return np.asarray((made * ~known[picture]).reshape(len(made), -1), np.float64)

    return search.run(away, elsewhere, known)


@isolated()
def enlarge(
    generator: Generator,
    images: Images,
    *,
    n: int = 6,
    labels: Sequence[str | int | None] | None = None,
    seed: int = SEED,
    steps: int | None = None,
    progress: Progress | None = None,
) -> Completed:
    """Small pictures at the generator's size: its images that, made small again, are the pictures.

    Made small means: the mean of each square of pixels. Arguments but ``images`` are those of :func:`complete`.

    Args:
        generator: of any recipe.
        images: small pictures, uint8 (P, C, s, s); the generator's size is a multiple of s.
        n: answers to each picture.
        labels: P classes of a conditional generator, or None.
        seed: which samples the search starts from.
        steps: of Adam.
        progress: called with the steps done, if that takes more than two seconds.

    Raises UserError in one line as :func:`complete` does, and for a size that does not divide the generator's.
    """
    size = generator.recipe.size
    small = images.shape[-1] if images.ndim == 4 else 0
    if not 1 <= small < size or size % small:
        raise UserError(f"pictures are {images.shape}; give squares whose side divides {size}, such as {size // 4}")
    _check_pictures(images, (generator.recipe.channels, small, small))
    search = _Search(generator, images, n, labels, seed, steps, progress)
    factor = size // small

    def away(picture: int, made: Tensor) -> Tensor:
        target = search.targets[picture].to(made.device)
        return ((F.avg_pool2d(made, factor) - target) / 255).square().flatten(1).mean(1)

    def elsewhere(picture: int, made: Images) -> NDArray[np.float64]:
        return made.reshape(len(made), -1).astype(np.float64)

    return search.run(away, elsewhere, None)


class _Search:
    """The samples to start from, the descents, and the choice of answers."""

    def __init__(
        self, generator: Generator, images: Images, n: int, labels: Sequence[str | int | None] | None, seed: int,
        steps: int | None, progress: Progress | None,
    ) -> None:  # fmt: skip
        usual = STEPS_IF_SLOW if slow(generator) else STEPS
        self.n, seed = ANSWERS.check("n", n), FROM_0.check("seed", seed)
        self.steps = DESCENT.check("steps", usual if steps is None else steps)
        if labels is not None and len(labels) != len(images):
            raise UserError(f"{len(labels)} labels for {len(images)} pictures: give one each")
        self.classes = [None if each is None else generator.label(each) for each in labels or [None] * len(images)]
        self.generator, self.images, self.progress = steady(generator), images, progress
        self.targets = torch.from_numpy(images.astype(np.float32))
        count = max(CANDIDATES_IF_SLOW if slow(generator) else CANDIDATES, 2 * NEAR * self.n)
        self.latents, told = generator.latents(count, seed=seed), conditions(generator.recipe, count=count)
        self.told: Labels | None = None if told is None else told.numpy()
        self.samples = self.generator.images(self.latents, self.told, progress=progress)
        self.differentiable = Differentiable(self.generator, None)
        self.allowed = ALLOWED if images.shape[-1] == generator.recipe.size else ALLOWED_SMALL

    def run(
        self,
        away: Callable[[int, Tensor], Tensor],
        elsewhere: Callable[[int, Images], NDArray[np.float64]],
        known: Mask | None,
    ) -> Completed:
        """The answers. ``away``: squared distance (M,) of images from a picture; ``elsewhere``: what may differ."""
        tick = Ticker(self.progress, "completing", len(self.images) * self.steps)
        vectors, made, errors, blended = list[Vectors](), list[Images](), list[NDArray[np.float64]](), list[Images]()
        for picture in range(len(self.images)):
            z, labels = self._starts(picture, away, elsewhere)
            with search_precision(self.generator):
                z = self._descended(picture, z, as_tensor(labels), away, partial(_from, tick, picture * self.steps))
            images = self.generator.images(z, labels)
            error = 255 * away(picture, torch.from_numpy(images.astype(np.float32))).double().sqrt().numpy()
            rows = self._chosen(error, elsewhere(picture, images))
            names = tuple(
                f"answer {picture}-{index}" if len(self.images) > 1 else f"answer {index}" for index in range(len(rows))
            )
            vectors.append(Vectors(z.numpy()[rows], names, None if labels is None else labels[rows]))
            made.append(images[rows])
            errors.append(error[rows])
            given = self.images[picture]
            blended.append(
                _grown(images[rows], given) if known is None else _blended(images[rows], given, known[picture])
            )
        return Completed(np.stack(blended), np.stack(made), self.images, known, join(vectors), np.stack(errors))

    def _starts(
        self,
        picture: int,
        away: Callable[[int, Tensor], Tensor],
        elsewhere: Callable[[int, Images], NDArray[np.float64]],
    ) -> tuple[Tensor, Labels | None]:
        """Samples near to what is known: the nearest, and then those that differ most elsewhere."""
        label = self.classes[picture]
        rows = np.arange(len(self.samples))
        if label is not None and self.told is not None:
            rows = rows[self.told // max(1, self.generator.recipe.kinds) == label]
        parts = [away(picture, torch.from_numpy(self.samples[part].astype(np.float32))) for part in _parts(rows)]
        near = rows[torch.cat(parts).argsort(stable=True)[: NEAR * self.n].numpy()]
        rows = near[_spread(elsewhere(picture, self.samples[near]), TRIED * self.n)]
        return self.latents[torch.from_numpy(rows)], None if self.told is None else self.told[rows]

    def _descended(
        self, picture: int, z: Tensor, labels: Tensor | None, away: Callable[[int, Tensor], Tensor],
        tick: Callable[[int], None],
    ) -> Tensor:  # fmt: skip
        """The latent nearest to what is known on the way from each start (M, Z)."""
        labels = None if labels is None else labels.to(self.generator.device)

        def judge(z: Tensor) -> tuple[Tensor, Tensor]:
            distance = away(picture, self.differentiable.images(z, labels))
            return distance, distance

        return descend(self.generator.recipe.noise, z.to(self.generator.device), judge, self.steps, tick)[0]

    def _chosen(self, error: NDArray[np.float64], elsewhere: NDArray[np.float64]) -> NDArray[np.int64]:
        """n answers of all: those that fit well enough and differ most; where those are too few, the next best."""
        order = error.argsort(kind="stable")
        fitting = order[error[order] <= max(WORSE * error[order[0]], self.allowed)]
        fitting = order[: max(len(fitting), self.n)]
        rows = fitting[_spread(elsewhere[fitting], self.n)]
        return np.asarray(rows[error[rows].argsort(kind="stable")])


def _from(tick: Callable[[int], None], before: int, done: int) -> None:
    """Reports the steps of a picture as those of all."""
    tick(before + done)


def _spread(features: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Indices of ``count`` different rows; where rows are equal, the first of the others fill up."""
    chosen = farthest_points(features, count)
    rest = np.setdiff1d(np.arange(len(features)), chosen)
    return np.concatenate([chosen, rest])[:count]


def _parts(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + 512] for start in range(0, len(rows), 512)]


def _blended(made: Images, given: Images, known: Mask) -> Images:
    """Images (N, C, S, S) with what is known put in, and what is not moved at the seam to meet it.

    What the images miss at the known pixels continues into the unknown ones, and fades there (Poisson blending, Pérez
    et al. 2003, with a term that makes it fade).
    """
    missing = np.where(known, given.astype(np.float32) - made, 0.0)
    field = missing.copy()
    for _ in range(64):
        edge = np.pad(field, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
        around = (edge[..., :-2, 1:-1] + edge[..., 2:, 1:-1] + edge[..., 1:-1, :-2] + edge[..., 1:-1, 2:]) / 4
        field = np.where(known, missing, around / (1 + SOFT))
    images = (made + field).round().clip(0, 255).astype(np.uint8)
    return np.where(known, given, images)


def _grown(made: Images, small: Images) -> Images:
    """Images (N, C, S, S) moved towards the small picture (C, s, s): their means over squares become nearly its pixels.

    Back-projection (Irani & Peleg 1991) by factors, so that strokes become lighter or darker and black stays black.
    """
    factor = made.shape[-1] // small.shape[-1]
    images, target = torch.from_numpy(made.astype(np.float32)), torch.from_numpy(small.astype(np.float32))
    for _ in range(BACK):
        ratio = ((target + DARK) / (F.avg_pool2d(images, factor) + DARK)).clamp(0.5, 2)
        images = (images * F.interpolate(ratio, scale_factor=factor, mode="bilinear")).clamp(0, 255)
    return images.round().to(torch.uint8).numpy()


def _check_pictures(images: Images, shape: tuple[int, int, int]) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != shape or not 1 <= len(images) <= MOST:
        raise UserError(f"pictures are {images.dtype} {images.shape}; give 1 to {MOST} of uint8 (N, {shape})")
