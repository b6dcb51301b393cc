"""What is registered under the name of a recipe, and the layers that its networks have."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gansmith.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Entry:
    """A system: where it comes from, the complete recipe, how to build its networks, and their sizes."""

    title: str
    author: str
    year: str
    note: str
    recipe: Recipe
    generator: "Callable[[Recipe], nn.Module]"
    discriminator: "Callable[[Recipe], nn.Module]"
    parameters: tuple[int, int] | None
    """Of the recipe's own generator and discriminator, moving averages included; None where nobody counted."""
    operations: tuple[int, int] | None
    """Multiplications and additions that the generator makes for one image, and the discriminator."""
    step: Callable[..., Any] | None = None
    """A training step of its own: see :mod:`gansmith.own`."""
    said: frozenset[str] = frozenset()
    """The fields that a user's recipe sets itself; the others are its base's."""


@dataclass(frozen=True)
class Row:
    """One layer: its kind, output shape without N, and parameters as Keras counts them (moving averages included)."""

    layer: str
    output: tuple[int, ...]
    parameters: int
    trainable: int


@dataclass(frozen=True)
class Summary:
    """The layer tables of both networks."""

    generator: tuple[Row, ...]
    discriminator: tuple[Row, ...]
