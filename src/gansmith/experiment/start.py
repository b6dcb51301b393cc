"""Where a training begins from: the networks of another run's newest checkpoint, checked against the recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from torch import Tensor

from gansmith import recipes, runs
from gansmith.data import Dataset, Fit, kinds
from gansmith.data.kinds import Kinds
from gansmith.errors import UserError
from gansmith.files import read_json, read_tensors
from gansmith.recipe import Recipe
from gansmith.runs import Run, checkpoint
from gansmith.training.options import Origin
from gansmith.training.step import TrainState

PLAYERS = ("generator", "discriminator")
COLOUR = {1: "grey", 3: "RGB"}


@dataclass(frozen=True, eq=False)
class Start:
    """The trained networks that a training begins with."""

    run: Run
    origin: Origin
    weights: Mapping[str, Mapping[str, Tensor]]
    """Of each player, by the names of its state_dict()."""

    def check_recipe(self, recipe: Recipe) -> None:
        """Raises UserError, in one line, where the weights are of other networks than the recipe's."""
        name, size, labels = self.run.name, self.run.recipe.size, self.run.recipe.conditional
        if recipe.size != size:
            raise UserError(f"`size` {recipe.size}: {name} makes images of {size}x{size}; leave it out")
        if recipe.conditional != labels:
            raise UserError(
                f"`conditional` {recipe.conditional}: {name} was trained with {labels}; leave it out, or train anew "
                "without `from_`"
            )
        for player in PLAYERS:
            with recipes.unfilled(recipe):
                wanted = _shapes(getattr(recipes, player)(recipe).state_dict())
            found = _shapes(self.weights[player])
            for tensor in sorted(wanted.keys() | found.keys()):
                if wanted.get(tensor) != found.get(tensor):
                    raise UserError(
                        f"the weights of {name} do not fit the recipe: {tensor} of the {player} is "
                        f"{found.get(tensor, 'missing')}, not {wanted.get(tensor, 'there')}; leave out what changes "
                        "the networks, or train anew without `from_`"
                    )

    def check_data(self, recipe: Recipe, dataset: Dataset) -> None:
        """Raises UserError, in one line, where data have another colour or, for a recipe that learns them, classes."""
        name, was = self.run.name, self.run.recipe
        if dataset.shape[0] != was.channels:
            raise UserError(
                f"{dataset.name} is {COLOUR[dataset.shape[0]]}, but {name} makes {COLOUR[was.channels]} images; give "
                "other data, or train anew without `from_`"
            )
        if recipe.classes != was.classes:
            raise UserError(
                f"{dataset.name} has {recipe.classes:,} classes, but {name} learned {was.classes:,}; give data with as "
                "many, or train anew without `from_`"
            )

    def warnings(self, dataset: Dataset) -> list[str]:
        """A line where labels will mean other classes than before."""
        before = self.run.data.classes
        if not self.run.recipe.classes or dataset.classes == before:
            return []
        label = next(i for i, (old, new) in enumerate(zip(before, dataset.classes, strict=True)) if old != new)
        return [f"label {label} is {dataset.classes[label]} from here, and was {before[label]} in {self.run.name}"]

    @property
    def names(self) -> tuple[str, Recipe, Fit]:
        """The run's data, its recipe, and how its images were made square."""
        return self.run.data.source, self.run.recipe, self.run.data.fit

    def kinds(self, dataset: Dataset) -> Kinds | None:
        """The run's kinds, of these images; None where it knows none."""
        if not self.run.recipe.kinds or self.run.recipe.information:
            return None
        return kinds.load(self.run.path / "kinds.npz", self.run.data.count).of(dataset)

    def load(self, state: TrainState) -> None:
        """Puts the weights into fresh networks, whose optimisers stay as they are."""
        state.generator.load_state_dict(self.weights["generator"])
        state.discriminator.load_state_dict(self.weights["discriminator"])
        if state.average is not None:
            state.average.load_state_dict(self.weights["generator"])


def start_of(where: str | Path | Run, *, out: str | Path) -> Start:
    """Reads the networks of a run's newest whole checkpoint.

    Raises UserError, in one line, where there is no such run, none of its checkpoints is whole, or it is an exported
    generator, which has no discriminator.
    """
    if isinstance(where, str | Path) and runs.exported(where, out=out):
        raise UserError(f"`from_` {where}: is an exported generator, without its discriminator; name a run")
    run = where if isinstance(where, Run) else runs.find(where, out=out)
    newest = checkpoint.newest(run.checkpoints, [])
    if newest is None:
        raise UserError(f"`from_` {run.path}: no checkpoint is whole; name another run")
    checkpoint.check_run(newest, run.identity)
    weights = {player: read_tensors(newest / f"{player}.safetensors") for player in PLAYERS}
    hashes = read_json(newest / "manifest.json")
    digest = sha256("".join(str(hashes[f"{player}.safetensors"]) for player in PLAYERS).encode()).hexdigest()
    return Start(run, Origin(run=run.name, step=checkpoint.state(newest)["step"], digest=digest), weights)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
