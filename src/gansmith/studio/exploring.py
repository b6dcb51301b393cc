"""What the page Explore shows, computed in a worker that keeps the last few generators loaded.

A point is a plain dictionary: image ``index`` of ``seed``, or a ``latent`` with its ``condition``; then ``label``,
``truncation``, and ``moves``, one number of standard deviations for each found direction.
"""

import tempfile
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gansmith import latent, render
from gansmith.data.images import UnusableError, decode, quiet_decoders
from gansmith.errors import UserError
from gansmith.generator import Generator
from gansmith.latent import classes, photo, truncation, vectors
from gansmith.latent.vectors import Images, Latents, Vectors
from gansmith.runs import Run
from gansmith.runs.load import load

Point = dict[str, Any]
Source = tuple[Path, tuple[Any, ...]]
"""A run's folder or an exported one, and what changes when its generator does."""
WALL, COLUMNS = 48, 8
MAP = 7
"""Images to a side of the map."""
REACH = 3.0
"""Standard deviations to each side that the map shows."""
PCA = 6
"""Directions that are found beside those of attributes."""
FEW = 2
"""Images that are computed for one that is shown: a twentieth of the time of 64."""
STARTS, STEPS = 4, 90
"""A shorter search than usual for the noise of a drawing: somebody waits."""


@lru_cache(maxsize=4)
def _generator(path: Path, stamp: tuple[Any, ...]) -> Generator:
    torch.set_num_threads(1)
    found = load(Run(path)) if (path / "run.json").is_file() else Generator.from_pretrained(path)
    return vectors.steady(found)


@lru_cache(maxsize=4)
def _quick(path: Path, stamp: tuple[Any, ...]) -> Generator:
    """The same generator for one image at a time: it computes FEW at once, not 64; roundings alone may differ."""
    whole = _generator(path, stamp)
    quick = Generator(whole.network, whole.recipe, whole.classes, whole.about)
    quick.chunk = FEW
    return quick


def about(source: Source) -> dict[str, Any]:
    """What can be set: the shape of images, classes where the generator takes labels, and where it comes from."""
    generator = _generator(*source)
    recipe = generator.recipe
    names = [str(name) for name in generator.classes] or [str(index) for index in range(recipe.classes)]
    return {
        "recipe": recipe.name,
        "data": str(generator.about.get("data", "")),
        "steps": generator.about.get("steps"),
        "size": recipe.size,
        "channels": recipe.channels,
        "noise": recipe.noise.size,
        "classes": names if recipe.classes else [],
        "kinds": max(1, recipe.kinds),
        "wall": WALL,
        "columns": COLUMNS,
        "reach": REACH,
        "digits": photo.wants_digits(generator),
    }


def directions(source: Source) -> dict[str, Any]:
    """Directions of attributes, then principal ones: names, effects in grey levels, R² where known, and vectors."""
    generator = _generator(*source)
    parts = [
        latent.directions(generator, method="attributes"),
        latent.directions(generator, method="pca", count=min(PCA, generator.recipe.noise.size)),
    ]
    found = [
        {"name": name, "effect": round(float(effect), 2), "fit": None if fit is None else round(float(fit), 2)}
        for part in parts
        for name, effect, fit in zip(part.names, part.effects, part.fits, strict=True)
    ]
    moves = np.concatenate([part.vectors for part in parts]).astype(np.float32)
    return {"directions": found, "vectors": moves.tobytes()}


def _moves(generator: Generator, moves: Sequence[float], given: bytes) -> Latents:
    """The sum (Z,) of moves along directions."""
    found = np.frombuffer(given, np.float32).reshape(-1, generator.recipe.noise.size)
    if len(moves) > len(found):
        raise UserError(f"{len(moves)} moves: this generator has {len(found)} directions")
    return np.asarray(np.asarray(moves, np.float32) @ found[: len(moves)], np.float32)


def _vector(generator: Generator, point: Point, given: bytes) -> Vectors:
    """The vector of a point."""
    recipe = generator.recipe
    if point.get("latent") is None:
        base = vectors.seeded(generator, [point["index"]], seed=point["seed"])
    else:
        told = None if not recipe.conditions else np.array([point["condition"]], np.int64)
        base = Vectors(np.asarray(point["latent"], np.float32)[None], ("found",), told)
        base = vectors.points(generator, base)
    if point.get("label") is not None:
        label = np.array([generator.label(point["label"])])
        base = Vectors(base.latents, base.names, classes.told(generator, label, base.labels))
    base = truncation.shrunk(generator, base, point["truncation"])
    if point["moves"]:
        base = Vectors(base.latents + _moves(generator, point["moves"], given), base.names, base.labels)
    return base


def _images(generator: Generator, found: Vectors) -> Images:
    return generator.images(torch.from_numpy(found.latents), found.labels)


def _png(images: Images, *, columns: int = COLUMNS, scale: int = 1) -> bytes:
    return render.png(render.sheet(images, columns=columns, scale=scale, gap=0))


def wall(source: Source, seed: int, label: int | None, strength: float, scale: int = 1) -> bytes:
    """The first WALL images of a seed as a PNG without gaps, as `gansmith sample` makes them at full strength."""
    generator = _generator(*source)
    found = vectors.seeded(generator, range(WALL), seed=seed)
    if label is not None:
        points = [{"seed": seed, "index": index, "label": label, "truncation": 1, "moves": []} for index in range(WALL)]
        found = vectors.join([_vector(generator, point, b"") for point in points])
    return _png(_images(generator, truncation.shrunk(generator, found, strength)), scale=scale)


def picture(source: Source, point: Point, given: bytes, scale: int) -> bytes:
    """The image of a point as a PNG."""
    generator = _quick(*source)
    return _png(_images(generator, _vector(generator, point, given)), columns=1, scale=scale)


def chart(source: Source, point: Point, given: bytes, across: int, up: int) -> bytes:
    """The map: MAP x MAP images about a point as a PNG, one direction from left to right, another from bottom to top.

    The point's own moves along these two count from the middle.
    """
    generator = _generator(*source)
    moves = list(point["moves"]) + [0.0] * (max(across, up) + 1 - len(point["moves"]))
    offsets = np.linspace(-REACH, REACH, MAP)
    every = []
    for y in offsets[::-1]:
        for x in offsets:
            moves[across], moves[up] = float(x), float(y)
            every.append(_vector(generator, {**point, "moves": list(moves)}, given))
    return _png(_images(generator, vectors.join(every)), columns=MAP)


def film(source: Source, points: list[Point], given: bytes, frames: int, loop: bool, suffix: str) -> bytes:
    """A morph through points: a PNG of its frames without gaps, 8 to a row, or an animation."""
    generator = _generator(*source)
    keys = vectors.join([_vector(generator, point, given) for point in points])
    made = latent.morph(generator, keys, frames=frames, loop=loop)
    if suffix == "png":
        return _png(made.images)
    with tempfile.TemporaryDirectory() as folder:
        return made.save(Path(folder) / f"morph.{suffix}").read_bytes()


def mix(source: Source, points: list[Point], given: bytes) -> dict[str, Any]:
    """The point a - b + c with the label of a, as `gansmith mix` makes it; of two points, the one in the middle."""
    generator = _generator(*source)
    if len(points) == 2:
        keys = vectors.join([_vector(generator, point, given) for point in points])
        middle = latent.morph(generator, keys, frames=3, pace="latent").vectors[1:2]
        return _as_point(middle.latents[0], None if middle.labels is None else int(middle.labels[0]))
    a, b, c = (_vector(generator, point, given) for point in points)
    total = a.latents[0].astype(np.float64) - b.latents[0] + c.latents[0]
    return _as_point(total, None if a.labels is None else int(a.labels[0]))


def _as_point(found: Any, condition: int | None) -> dict[str, Any]:
    return {"latent": [float(value) for value in np.asarray(found, np.float32)], "condition": condition or 0}


def latent_of(source: Source, point: Point, given: bytes) -> dict[str, Any]:
    """A point with all that was done to it as a latent and its condition."""
    found = _vector(_generator(*source), point, given)
    return _as_point(found.latents[0], None if found.labels is None else int(found.labels[0]))


def saved(source: Source, point: Point, given: bytes) -> bytes:
    """A point as the .npz file that all latent commands take."""
    generator = _generator(*source)
    with tempfile.TemporaryDirectory() as folder:
        return vectors.save(Path(folder) / "point.npz", _vector(generator, point, given), generator).read_bytes()


def _decoded(picture: bytes) -> Images:
    """A picture as it came, uint8 (C, H, W). Raises UserError where it is none."""
    try:
        with quiet_decoders():
            return decode(picture, None, "crop").pixels
    except UnusableError as error:
        raise UserError(f"this picture {error}") from None


def invert(source: Source, drawing: bytes) -> dict[str, Any]:
    """The point whose image is nearest to a drawing or picture, and what the search was given, as base64 of a PNG."""
    generator = _generator(*source)
    recipe = generator.recipe
    given = _decoded(drawing)
    digit = photo.wants_digits(generator)
    wanted = photo.normalised(given) if digit else photo.fitted(given, channels=recipe.channels, size=recipe.size)
    found = latent.invert(generator, wanted[None], starts=STARTS, steps=STEPS)
    labels = found.vectors.labels
    return {
        **_as_point(found.latents[0], None if labels is None else int(labels[0])),
        "error": round(float(found.errors[0]), 1),
        "target": b64encode(_png(wanted[None], columns=1)).decode(),
    }


def complete(source: Source, picture: bytes, unknown: bytes | None, count: int) -> dict[str, Any]:
    """Several answers to what is white in ``unknown``, or, without it, to what surrounds the strokes of a drawing.

    Each is a point with its picture as base64 of a PNG, in which what is known is as it was given.
    """
    generator = _generator(*source)
    recipe = generator.recipe
    given = photo.fitted(_decoded(picture), channels=recipe.channels, size=recipe.size)
    rubbed = None if unknown is None else photo.fitted(_decoded(unknown), channels=1, size=recipe.size)
    known = photo.known_pixels(given, rubbed)
    if not known.any():
        raise UserError("nothing of this picture is known: draw something, or rub out less")
    found = latent.complete(generator, given[None], known, n=count, steps=STEPS)
    labels = found.vectors.labels
    return {
        "target": b64encode(_png(np.where(known, given, 96).astype(np.uint8)[None], columns=1)).decode(),
        "answers": [
            {
                **_as_point(found.vectors.latents[index], None if labels is None else int(labels[index])),
                "error": round(float(found.errors[0, index]), 1),
                "picture": b64encode(_png(image[None], columns=1)).decode(),
            }
            for index, image in enumerate(found.images[0])
        ],
    }


ANSWERS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (about, directions, wall, picture, chart, film, mix, latent_of, saved, invert, complete)
}
