"""Which real images belong to a generator: the one answer, used wherever the two are compared."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from gansmith import data, runs
from gansmith.data import Dataset, Fit, Images
from gansmith.data.loading import changes
from gansmith.errors import UserError
from gansmith.generator import Generator
from gansmith.progress import Progress
from gansmith.recipe import Recipe
from gansmith.runs import Run

ENOUGH = 1000
"""From so many images on, a test split is measured against, however large the training split is."""


@dataclass(frozen=True, eq=False)
class RealImages:
    """The training images, and with them the test split, loaded the same way when it is first needed."""

    train: Dataset
    fit: Fit = "crop"
    """How images that are not square were made so."""
    seed: int = 0
    """Of derived data sets."""
    progress: Progress | None = None
    known_test: str | None = None
    """The fingerprint that the test split had when a generator was trained, where that is known."""

    @cached_property
    def test(self) -> Dataset | None:
        """The test split, brought to the size of the training images; None where none has their shape.

        Raises UserError in one line where it is not what it was when the generator was trained.
        """
        source, size = self.train.source, self.train.shape[1]
        test = None
        if data.test_count(source):
            test = data.load(source, split="test", size=size, fit=self.fit, seed=self.seed, progress=self.progress)
        if test is not None and test.shape != self.train.shape:
            test = None
        if self.known_test is not None and (test is None or test.fingerprint != self.known_test):
            known = "are gone since training"
            if test is not None:
                known = f"changed since training{changes(test, self.known_test)}"
            raise UserError(f"{source}: its test images {known}; restore them, or name other data with `data`")
        return test

    @property
    def held_out(self) -> Dataset | None:
        """The test split if it is large enough to measure against: 1,000 images, or an eighth of the training split."""
        enough = (data.test_count(self.train.source) or 0) >= min(ENOUGH, len(self.train) // 8)
        test = self.test if enough or self.known_test is not None else None  # one that was there is missed
        return test if enough else None

    @property
    def unseen(self) -> Dataset:
        """The test split of any size; where there is none, the training images (`split` tells which)."""
        return self.test or self.train


def find(
    where: str | Path | Run, generator: Generator, source: Images | None = None, *, progress: Progress | None = None
) -> RealImages:
    """The real images behind a generator that was loaded from a run (folder, name, "last") or an exported folder.

    Args:
        where: what the generator was loaded from.
        generator: whose size and channels they have.
        source: other data instead, as :func:`gansmith.data.load` takes them.
        progress: called during long work with data.

    Raises UserError in one line as :func:`of_run` and :func:`of_generator` do.
    """
    run = run_of(where)
    if run is None:
        return of_generator(generator, str(where), source, progress=progress)
    return of_run(run, source, progress=progress)


def run_of(where: str | Path | Run) -> Run | None:
    """The run that ``where`` names; None for an exported or pretrained generator."""
    if isinstance(where, Run):
        return where
    return None if runs.exported(where) is not None else runs.find(where)


def of_run(run: Run, source: Images | None = None, *, progress: Progress | None = None) -> RealImages:
    """The images that a run trains on, or others, made square in the same way.

    Raises UserError in one line where the data changed since training, are gone, or have other channels.
    """
    about = run.data
    real = of_data(about.source if source is None else source, size=run.recipe.size, fit=about.fit, progress=progress)
    if source is None and real.train.fingerprint != about.fingerprint:
        files = changes(real.train, about.fingerprint)
        raise UserError(
            f"{about.source}: the data changed since {run.name} was trained{files}; restore them, or name others with "
            "`data`"
        )
    if source is None:
        real = replace(real, known_test=about.test_fingerprint)
    return _fitting(real, run.recipe, run.name)


def of_generator(
    generator: Generator, name: str, source: Images | None = None, *, progress: Progress | None = None
) -> RealImages:
    """The images that an exported generator imitates, as far as it names data that come with gansmith, or others.

    Raises UserError in one line where neither is known, or they have other channels. ``name`` is the generator's in it.
    """
    if source is None:
        source = str(generator.about.get("data", ""))
        if source not in data.names():
            raise UserError(f"{name}: does not say where its data are; name them with `data`, such as `data` mnist")
    return _fitting(of_data(source, size=generator.recipe.size, progress=progress), generator.recipe, name)


def of_data(
    source: Images, *, size: int | None = None, fit: Fit = "crop", seed: int = 0, progress: Progress | None = None
) -> RealImages:
    """Named data for no generator in particular; arguments and UserErrors are those of :func:`gansmith.data.load`."""
    train = data.load(source, size=size, fit=fit, seed=seed, progress=progress)
    return RealImages(train, fit, seed, progress)


def _fitting(real: RealImages, recipe: Recipe, name: str) -> RealImages:
    """The images, if they have a recipe's channels."""
    channels = real.train.shape[0]
    if channels != recipe.channels:
        colour = {1: "grey", 3: "RGB"}
        raise UserError(
            f"{real.train.name} is {colour[channels]}, but {name} makes {colour[recipe.channels]} images; name other "
            "real images with `data`"
        )
    return real
