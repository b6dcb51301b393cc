"""The value that stands between preparing a training and making it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gansmith import data, hardware
from gansmith.data import Fit
from gansmith.data.kinds import Kinds
from gansmith.evaluation import online
from gansmith.experiment.start import Start
from gansmith.recipe import Recipe
from gansmith.runs import Run
from gansmith.training.options import Settings
from gansmith.training.parallel import ALONE, Group


@dataclass(frozen=True)
class Experiment:
    """A training that was checked in every respect and can start: nothing is written yet but the data cache."""

    recipe: Recipe
    dataset: data.Dataset
    settings: Settings
    choice: hardware.Choice
    out: Path
    fit: Fit
    minutes: float | None
    """How long to train from here; None where steps end it."""
    seconds_per_step: float
    resumed: Run | None = None
    start_step: int = 0
    start_from: Path | None = None
    warnings: tuple[str, ...] = ()
    measuring: online.Measuring = online.NEVER
    start: Start | None = None
    """The trained networks that it begins with; None for untrained ones, and for a run that goes on."""
    kinds: Kinds | None = None
    """The kinds of the images, for a recipe that tells them."""
    group: Group = ALONE
    """The processes that train together; all but the first measure and write nothing."""

    @property
    def told(self) -> data.Dataset:
        """The training images with what the players are told of them in the place of labels."""
        return self.dataset if self.kinds is None else self.kinds.told(self.dataset)

    @property
    def places(self) -> NDArray[np.float32] | None:
        """Where the kinds lie, of which :func:`gansmith.training.loop.new_state` tells the discriminator."""
        return None if self.kinds is None else self.kinds.places

    def batches(self, own: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None) -> data.Batches:
        """The stream of training images; ``own`` as of :class:`gansmith.data.Batches`."""
        recipe, seed = self.recipe, self.settings.seed
        return data.Batches(self.told, recipe.batch_images, seed, own, pack=recipe.pack, alike=recipe.labelled)

    @property
    def steps(self) -> int | None:
        """Where it ends; None when time decides."""
        return self.settings.steps

    @property
    def expected_steps(self) -> int:
        """The step at which it will end, as far as can be told."""
        return self.steps or int(self.start_step + self.estimated_seconds / self.seconds_per_step)

    @property
    def estimated_seconds(self) -> float:
        """How long training will take, from a step made on throw-away networks."""
        if self.steps is None:
            return (self.minutes or 0.0) * 60
        return (self.steps - self.start_step) * self.seconds_per_step
