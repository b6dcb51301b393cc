"""What a tracker is to a training: three methods, of which ours and a user's own are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class About:
    """The training that is tracked."""

    path: Path
    """The run's folder."""
    project: str
    """The name that runs on the same data share, such as "gansmith-mnist"."""
    config: Mapping[str, str | int | float | bool | None]
    """Recipe, options and data by dotted names, such as "recipe.generator_optimizer.lr"."""
    start_step: int = 0
    """The step it goes on from: what was logged of later ones, before it was cut, is no longer true."""

    @property
    def name(self) -> str:
        """The run's name, such as "mnist-house-001"."""
        return self.path.name


@runtime_checkable
class Adapter(Protocol):
    """A tracker. Methods are called from the training's own thread, and may raise: training then goes on without it."""

    def init(self, about: About) -> None:
        """Begins, once the run's folder is there."""
        ...

    def log(self, step: int, values: Mapping[str, float], sheet: "Image | None") -> None:
        """Notes numbers of a step, such as "quality/fd", or a sheet of images of the fixed noise."""
        ...

    def finish(self, state: str) -> None:
        """Ends: "finished", "interrupted", "diverged" or "failed"."""
        ...


Track: TypeAlias = str | Adapter | Sequence[str | Adapter]
"""What names trackers: "tensorboard", an :class:`Adapter`, or several of both."""
