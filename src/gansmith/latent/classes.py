"""Classes: vectors whose images are of a class, and how strongly an encoder sees each class in images."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gansmith.data.types import Labels, class_of
from gansmith.encoders.encoder import Encoder, for_data
from gansmith.errors import UserError
from gansmith.generator import Generator, conditions
from gansmith.latent.vectors import Images, Vectors, seeded


def encoder_of(generator: Generator) -> Encoder:
    """The encoder for a generator's images: the shipped one of its data if there is one, else the control."""
    recipe = generator.recipe
    shape = (recipe.channels, recipe.size, recipe.size)
    return for_data(str(generator.about.get("data", "")), shape, tuple(generator.classes))


def of_class(generator: Generator, label: str | int, count: int, *, seed: int = 0) -> Vectors:
    """``count`` vectors of a seed whose images are of a class.

    A conditional generator makes it on request; of any other, vectors are taken in whose images its data's encoder sees
    the class (:func:`gansmith.latent.finding.find`), which may be fewer.

    Raises UserError in one line for an unknown class, or one that cannot be found.
    """
    if generator.recipe.classes:
        first = seeded(generator, range(count), seed=seed)
        told = conditions(generator.recipe, count=count, classes=[generator.label(label)])
        return Vectors(first.latents, first.names, None if told is None else told.numpy())
    from gansmith.latent.finding import find

    return find(generator, label, count, seed=seed).vectors


def check(generator: Generator, names: Sequence[str]) -> None:
    """Raises UserError in one line for a class that :func:`of_class` does not know, before it searches for any."""
    classes = () if generator.recipe.classes else encoder_of(generator).classes
    for name in names:
        if generator.recipe.classes:
            generator.label(name)
        elif classes:
            class_of(name, classes)


def labelled(generator: Generator, given: Vectors, names: Sequence[str]) -> Vectors:
    """A conditional generator's vectors with classes: one vector for all of them, or one for each.

    Raises UserError in one line for an unknown class, or numbers that do not match.
    """
    labels = np.array([generator.label(name) for name in names], np.int64)
    if len(given) not in (1, len(labels)):
        raise UserError(f"{len(given)} points for {len(labels)} labels: give one, or one for each")
    latents = given.latents.repeat(len(labels), axis=0) if len(given) == 1 else given.latents
    names = tuple(generator.classes[label] if generator.classes else str(label) for label in labels)
    return Vectors(latents, names, told(generator, labels, given.labels))


def told(generator: Generator, labels: Labels, before: Labels | None) -> Labels:
    """What a generator is told for these classes: vectors keep the kinds they had, whatever the class; else the first.

    With K kinds in each class that is class * K + kind.
    """
    kinds = max(1, generator.recipe.kinds)
    return labels * kinds + (0 if before is None else before % kinds)


def scores(generator: Generator) -> dict[str, Callable[[Images], NDArray[np.float64]]]:
    """For each class, how strongly the encoder of the generator's data sees it in images: its logit less the mean.

    Raises UserError in one line where no encoder knows classes.
    """
    encoder = encoder_of(generator)
    if not encoder.classes:
        raise UserError("no encoder knows the classes of this generator's data; take another `method`")
    latest: list[tuple[Images, NDArray[np.float64]]] = []

    def of_class(index: int, images: Images) -> NDArray[np.float64]:
        if not latest or latest[-1][0] is not images:  # all classes are scored on the same images
            logits = encoder.encode(images).logits
            assert logits is not None
            latest[:] = [(images, logits - logits.mean(axis=1, keepdims=True))]
        return latest[-1][1][:, index]

    return {name: partial(of_class, index) for index, name in enumerate(encoder.classes)}
