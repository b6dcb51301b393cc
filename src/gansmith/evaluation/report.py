"""The report of an evaluation, as values: figures with their floors, class shares, and the protocol they belong to."""

import json
import math
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from gansmith import markup
from gansmith.errors import UserError
from gansmith.files import read_json, write_json
from gansmith.recipe import Value, explain
from gansmith.runs.quality import EVALUATION

FILE = EVALUATION
GALLERY = "nearest-real.png"

NO_RATIO = {"fd_infinity", "kid"}
"""Keys of figures whose floor is about 0, so that a ratio to it means nothing."""

Better = Literal["lower", "higher"]


class Figure(Value):
    """One metric's value, and what real images score in the place of generated ones."""

    key: str
    name: str = Field(description="the metric, its encoder and what it is measured against")
    better: Better
    value: float = Field(description="mean over the latent seeds")
    values: tuple[float, ...] = Field(description="one for each latent seed it was measured with")
    low: float | None = Field(None, description="95 % interval over latent seeds, or of a share")
    high: float | None = None
    floor: float | None = Field(None, description="the mean of real images, as many")
    spread: float | None = Field(None, description="standard deviation over sets of real images")
    words: str = ""

    @property
    def times(self) -> float | None:
        """Value over floor, where the floor is far enough from 0 to divide by."""
        if self.floor is None or self.floor <= max(2 * (self.spread or 0.0), 1e-9) or self.key in NO_RATIO:
            return None
        return self.value / self.floor

    @property
    def noise(self) -> float:
        """The larger of two standard deviations: over sets of real images, and over latent seeds."""
        return max(self.spread or 0.0, deviation(self.values))


class Share(Value):
    """How often a class occurs: of real images, and of generated ones."""

    name: str
    real: float
    generated: float


class Protocol(Value):
    """How the figures were measured: two of them may be compared only where this is the same."""

    encoder: str = Field(description="name@digest of the features' encoder")
    judge: str | None = Field(None, description="the second classifier, of the share recognised")
    control: str | None = None
    data: str
    against: str = Field(description="the real images that generated ones are measured against")
    fingerprint: str = Field(description="SHA-256 of the data set they are of")
    real: int = Field(ge=1, description="how many of them")
    generated: int = Field(ge=1, description="how many for each latent seed")
    seeds: tuple[int, ...] = Field(description="latent seeds; none for images that were given")
    sets: int = Field(ge=1, description="sets of real training images for the floor, each of as many as are generated")
    quantised: Literal["uint8"] = "uint8"
    shares: bool = Field(False, description="the classes are asked for as often as the data have them, not in turn")
    gansmith: str

    @property
    def line(self) -> str:
        """All of it in one line."""
        made = (
            f"{self.generated:,} generated a seed, seeds {', '.join(map(str, self.seeds))}"
            if self.seeds
            else f"{self.generated:,} given images"
        )
        made += ", classes as often as in the data" if self.shares else ""
        return (
            f"FD-{self.encoder}; {self.against} ({self.fingerprint[:12]}), {self.real:,} real against {made}; "
            f"floor from {self.sets} x {self.generated:,} real training images; all as uint8; gansmith {self.gansmith}"
        )

    def same_as(self, other: "Protocol") -> bool:
        """Whether figures of both may be compared."""
        mine, theirs = (each.model_dump(exclude={"seeds", "gansmith"}) for each in (self, other))
        return mine == theirs


class Subject(Value):
    """What was evaluated."""

    name: str
    kind: Literal["run", "generator", "images"]
    recipe: str | None = None
    step: int | None = None
    which: Literal["newest", "best"] = "newest"
    seed: int | None = Field(None, description="of the training")
    group: str | None = Field(None, description="equal for runs that differ in their training seed alone")


class Report(Value):
    """An evaluation: evaluation.json."""

    format: Literal[1] = 1
    subject: Subject
    protocol: Protocol
    figures: tuple[Figure, ...]
    classes: tuple[Share, ...] = ()
    notes: tuple[str, ...] = ()
    variance: float | None = Field(
        None, gt=0, description="of the real images' features, summed over dimensions: the unit of the words"
    )

    def __getitem__(self, key: str) -> Figure:
        """The figure of a metric, such as "fd"; KeyError where it was not measured."""
        for figure in self.figures:
            if figure.key == key:
                return figure
        raise KeyError(key)

    def __repr__(self) -> str:
        from gansmith.evaluation import wording

        return f"Report({wording.headline(self)})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """The table that the command line prints."""
        from gansmith.evaluation import wording

        parts = [markup.line(wording.headline(self), strong=True), markup.table(wording.HEADERS, wording.rows(self))]
        if self.classes and len(self.classes) <= 40:
            shares = [(each.name, f"{each.real:.1%}", f"{each.generated:.1%}", "") for each in self.classes]
            parts.append(markup.table(("class", "real", "generated", ""), shares))
        parts += [markup.line(f"note: {note}") for note in self.notes]
        return markup.block(*parts, markup.line(f"protocol: {self.protocol.line}"))

    def __contains__(self, key: str) -> bool:
        return any(figure.key == key for figure in self.figures)

    def save(self, path: str | Path) -> Path:
        """Writes it as JSON, whole or not at all."""
        write_json(Path(path), json.loads(self.model_dump_json()))
        return Path(path)

    @classmethod
    def read(cls, path: str | Path) -> "Report":
        """What :meth:`save` wrote. Raises UserError in one line for anything else."""
        try:
            return cls.model_validate(read_json(Path(path)))
        except ValidationError as error:
            raise UserError(f"{path}: is no evaluation that can be read ({explain(error)})") from None


def deviation(values: tuple[float, ...]) -> float:
    """Standard deviation of a sample; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
