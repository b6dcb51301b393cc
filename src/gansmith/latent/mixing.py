"""Arithmetic on latent vectors: sums, differences and means, with the images of all terms and of the result."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gansmith import render
from gansmith.errors import UserError
from gansmith.generator import Generator
from gansmith.latent import classes, expression, vectors
from gansmith.latent.expression import ClassMean, Group, Leaf, Node, Sum
from gansmith.latent.shown import Shown
from gansmith.latent.vectors import Images, Vectors, join
from gansmith.nn.isolation import isolated

MAX_SHOWN = 8
"""A mean of up to so many vectors is shown with its members."""


@dataclass(frozen=True, eq=False, repr=False)
class Mixed(Shown):
    """The T terms of an expression and its result."""

    images: Images
    """uint8 (T + 1, C, S, S): the result last."""
    vectors: Vectors
    """Latents (T + 1, Z); terms are named with their sign and factor."""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def result(self) -> Vectors:
        """The result alone, as Vectors of length 1."""
        return self.vectors[-1:]

    def picture(self, *, scale: int | None = None) -> render.Image:
        """The terms and the result, with their names."""
        from gansmith.latent import figures

        return figures.terms(self.images, self.vectors.names, scale=scale)


@isolated()
def mix(
    generator: Generator, text: str, *, seed: int = 0, label: str | int | None = None, rescale: bool = False
) -> Mixed:
    """Evaluates an expression such as ``"12 - 40 + 7"``, ``"mean(1,2,3) - mean(label=4)"`` or ``"0.5 * me.npz#3"``.

    Args:
        generator: makes the images.
        text: the expression, whose grammar :mod:`gansmith.latent.expression` gives.
        seed: the seed that image numbers belong to.
        label: the class of a conditional generator's result, by name or number; the first term's if None.
        rescale: whether to bring the result to the average length of the noise; means are far shorter.

    Raises UserError in one line for a malformed expression, unknown points, or labels where there are none.
    """
    whole = expression.parse(text)
    wanted = None if label is None else generator.label(label)
    terms = list[Vectors]()
    total = np.zeros(generator.recipe.noise.size)
    for index, (factor, node) in enumerate(whole.terms):
        found = _members(generator, node, seed)
        value = _mean(found) if isinstance(node, Group | ClassMean) else found.latents[0]
        if isinstance(node, Group | ClassMean) and 1 < len(found) <= MAX_SHOWN:
            terms.append(found)
        terms.append(_vector(value, _caption(factor, node, first=index == 0), _label(found)))
        total += factor * value.astype(np.float64)
    if rescale:
        total = _rescaled(generator, total)
    told = _label(terms[0])
    if wanted is not None:
        told = int(classes.told(generator, np.array([wanted]), terms[0].labels)[0])
    every = join([*terms, _vector(total, f"= {whole.text}", told)])
    if not np.isfinite(every.latents).all():
        raise UserError(f"{text[:40]}: the result is not finite; take smaller factors")
    return Mixed(vectors.images(generator, every), every)


def _members(generator: Generator, node: Node, seed: int) -> Vectors:
    """The vectors whose mean a node stands for; of any other node, its single vector."""
    if isinstance(node, Leaf):
        return vectors.one(generator, node.text, seed=seed)
    if isinstance(node, ClassMean):
        return classes.of_class(generator, node.label, node.count, seed=seed)
    if isinstance(node, Group):
        members = [
            vectors.points(generator, each.text, seed=seed) if isinstance(each, Leaf) else _value(generator, each, seed)
            for each in node.members
        ]
        return join(members)
    return _value(generator, node, seed)


def _value(generator: Generator, node: Node, seed: int) -> Vectors:
    """The vector that a node stands for, as Vectors of length 1."""
    if not isinstance(node, Sum):
        members = _members(generator, node, seed)
        return _vector(_mean(members), node.text, _label(members))
    parts = [(factor, _value(generator, each, seed)) for factor, each in node.terms]
    total = sum((factor * part.latents[0].astype(np.float64) for factor, part in parts), np.float64(0))
    return _vector(np.asarray(total), node.text, _label(parts[0][1]))


def _mean(found: Vectors) -> NDArray[np.float64]:
    """The mean latent (Z,)."""
    return np.asarray(found.latents.mean(axis=0, dtype=np.float64))


def _label(found: Vectors) -> int | None:
    """The first label, if there is one."""
    return None if found.labels is None else int(found.labels[0])


def _vector(latent: NDArray[np.floating], name: str, label: int | None) -> Vectors:
    """A latent (Z,) as Vectors of length 1."""
    return Vectors(latent[None].astype(np.float32), (name,), None if label is None else np.array([label]))


def _rescaled(generator: Generator, latent: NDArray[np.float64]) -> NDArray[np.float64]:
    """A latent (Z,) at the average distance of the noise from its centre, unless it is the centre."""
    noise = generator.recipe.noise
    spread = noise.scale / 3**0.5 if noise.distribution == "uniform" else noise.scale
    away = latent - noise.center
    length = float(np.linalg.norm(away))
    if length < 1e-9:
        return latent
    return np.asarray(noise.center + away * (spread * noise.size**0.5 / length))


def _caption(factor: float, node: Node, *, first: bool) -> str:
    """A term as it is shown: `12`, `- 40` or `+ 0.5 * mean(1,2,3)`."""
    sign = "" if first and factor >= 0 else "+ " if factor >= 0 else "- "
    size = "" if abs(factor) == 1 else f"{abs(factor):g} * "
    text = f"({node.text})" if isinstance(node, Sum) and len(node.terms) > 1 else node.text
    return sign + size + text
