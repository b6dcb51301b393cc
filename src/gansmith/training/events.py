"""What training reports while it runs: events for observers, and probes that measure now and then. Needs no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from gansmith.training.step import StepOutput, TrainState


@dataclass(frozen=True)
class Progress:
    """A step was made. Only logged steps have metrics."""

    step: int
    images: int
    metrics: Mapping[str, float] | None


@dataclass(frozen=True)
class Snapshot:
    """Images uint8 (64, C, H, W) that the generator makes of the same fixed latents.

    With labels there are fewer latents: each is repeated for every class, and each of ``columns`` shows one class.
    """

    step: int
    images: "np.ndarray"
    columns: int = 8


@dataclass(frozen=True)
class Saved:
    """A checkpoint is safely on disk."""

    step: int
    path: Path


@dataclass(frozen=True)
class Measured:
    """The values that a probe of this kind returned."""

    step: int
    images: int
    kind: str
    values: Mapping[str, float]


Event = Progress | Snapshot | Saved | Measured
Observer = Callable[[Event], None]


@dataclass(frozen=True)
class Probe:
    """A measurement made every so many steps: a function of the training state and the last step's output.

    It leaves networks and optimisers as they were. It may draw random numbers: every step seeds its own stream.
    """

    kind: str
    every: int
    look: "Callable[[TrainState, StepOutput], Mapping[str, float]]"
