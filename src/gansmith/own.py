"""Bring your own: networks, losses, penalties, augmentations and training steps, each registered by name.

A file of them is loaded by ``--recipes my_recipes.py`` on the command line and by :func:`load` in Python; an installed
package names its module under the entry point group ``gansmith.recipes``.

>>> from torch import nn
>>> from gansmith import own
>>> @own.recipe("tiny", base="mlp", steps=2000)
... def tiny(recipe):
...     pixels = recipe.channels * recipe.size**2
...     image = nn.Unflatten(1, (recipe.channels, recipe.size, recipe.size))
...     generator = nn.Sequential(nn.Linear(recipe.noise.size, 64), nn.ReLU(), nn.Linear(64, pixels), nn.Tanh(), image)
...     return generator, nn.Sequential(nn.Flatten(), nn.Linear(pixels, 64), nn.ReLU(), nn.Linear(64, 1))

A step of one's own replaces :func:`gansmith.training.step.step`: a function ``step(state, recipe, real, labels)`` of

- ``state``, a :class:`TrainState`: both networks, their optimisers, and ``share``, how much of the run is over;
- ``recipe``, the :class:`gansmith.Recipe`;
- ``real``, images (N, C, S, S) within ``recipe.pixels``, N being ``recipe.batch_images``;
- ``labels`` (N,), what the players are told, or None;

which updates both networks and returns a :class:`StepOutput`. Whatever is drawn comes from torch's global random
stream, which is seeded before each step: nothing random outlives it. What it has to remember is a buffer of a network,
so that checkpoints hold it. The loop counts the step and moves the generator's average if the step did not call
:func:`end_step`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from gansmith import recipes
from gansmith.errors import UserError
from gansmith.recipe import Recipe
from gansmith.recipes.own import Networks, claim, register
from gansmith.recipes.own import load as load_file
from gansmith.training import parts
from gansmith.training.step import (
    StepOutput,
    TrainState,
    discriminate,
    discriminator_gradients,
    end_step,
    generator_gradients,
    sample_latents,
    update_discriminator,
    update_generator,
)

__all__ = [
    "StepOutput",
    "TrainState",
    "augmentation",
    "discriminate",
    "discriminator_gradients",
    "end_step",
    "generator_gradients",
    "load",
    "loss",
    "penalty",
    "recipe",
    "sample_latents",
    "update_discriminator",
    "update_generator",
]

Step = Callable[..., StepOutput]
F = TypeVar("F", bound=Callable[..., Any])


def recipe(
    name: str, *, base: str | Recipe = "house", step: Step | None = None, **changes: Any
) -> Callable[[Networks], Recipe]:
    """Registers the decorated function, which builds two networks, as a recipe; the name stands for its value then.

    The function takes the :class:`gansmith.Recipe` and returns ``(generator, discriminator)``, any two modules: latents
    (N, recipe.noise.size) -> images (N, C, S, S) within ``recipe.pixels``, and images -> logits (N, 1), positive for
    real; None, for one or both, stands for the base's. It is called with other values for other sizes, channels and
    noise. Its docstring's first line is the note that `gansmith recipes` shows.

    Args:
        name: small letters, digits and hyphens.
        base: the recipe whose other fields it has, by name or value. Of the kinds of images and the one pass for both
            players that `house` has, what the networks cannot do is left out, unless ``changes`` ask for it.
        step: a training step of its own; see :mod:`gansmith.own`.
        changes: fields that are other than the base's, such as ``steps=2000`` or ``loss="hinge"``; nested ones as
            mappings, such as ``generator_optimizer={"lr": 1e-4}``.

    Raises UserError, in one line, for a name that is taken, and fields that make no sense.
    """
    value = recipes.get(base) if isinstance(base, str) else base

    def decorate(networks: Networks) -> Recipe:
        return register(name, networks, value, changes, step)

    return decorate


def loss(name: str, *, paired: bool = False) -> Callable[[F], F]:
    """Registers a pure function of logits as a loss: ``recipe.loss`` may be its name then.

    It takes the logits (N, 1) of real and of generated images and returns two scalars, what the discriminator makes
    small and what the generator does. In the generator's turn no gradient flows through the logits of real images.

    Args:
        name: small letters, digits and hyphens.
        paired: a logit means something only beside another, as in relativistic games: accuracies are of pairs.
    """

    def decorate(terms: F) -> F:
        claim("loss", name, terms)
        parts.LOSSES[name] = parts.Game(terms, paired)
        return terms

    return decorate


def penalty(name: str) -> Callable[[F], F]:
    """Registers a penalty on the discriminator: ``recipe.penalty.kind`` may be its name then.

    It takes ``discriminate``, a function of images (M, C, S, S) that gives logits (M, 1), M being N or 2 N, and N real
    and N generated images, without gradients, and returns a scalar, which is weighted by ``penalty.gamma``.
    """

    def decorate(term: F) -> F:
        claim("penalty.kind", name, term)
        parts.PENALTIES[name] = term
        return term

    return decorate


def augmentation(name: str) -> Callable[[F], F]:
    """Registers a change of what the discriminator sees: ``recipe.augment.own`` may be its name then.

    It takes images (N, C, S, S) within ``recipe.pixels`` and returns as many, through which gradients flow; what is
    random comes from torch's global stream. ``augment.share`` of the images are changed.
    """

    def decorate(change: F) -> F:
        claim("augment.own", name, change)
        parts.AUGMENTATIONS[name] = change
        return change

    return decorate


def load(path: str | Path) -> tuple[str, ...]:
    """Runs a Python file that registers recipes and their parts; returns the names of its recipes.

    A file that was loaded before and is unchanged is not run again. Raises UserError where there is no such file, it
    raises an exception, or it registers nothing.
    """
    if not isinstance(path, str | Path):
        raise UserError(f"`recipes` {path!r}: give the path of a .py file")
    return load_file(path)
