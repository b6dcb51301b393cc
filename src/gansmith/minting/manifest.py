"""What a minted set is: mint.json, with all that decides its images, and the shards that are there."""

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from gansmith import markup
from gansmith.errors import MINTED, UserError
from gansmith.files import read_json
from gansmith.hardware import Precision
from gansmith.recipe import Value, explain
from gansmith.text import printable

FILE = "mint.json"
Layout = Literal["folder", "npz", "parquet", "tar"]
Filter = Literal["recognised", "novel", "distinct"]
Labels = Literal["asked", "pseudo", "none"]
"""Images of a set."""
REASONS = ("unrecognised", "copies", "repeats", "surplus")
"""Why images were left out, in the order in which it is asked: read differently by the two classifiers, a near copy of
a training image, a near copy of an earlier one of the set, of a class that was full."""


class Origin(Value):
    """The generator that made a set."""

    name: str
    """As it was named: a run, or an exported folder's name."""
    recipe: str
    digest: str
    """SHA-256 over recipe and weights."""
    data: str = ""
    """What it was trained on, where that is known."""
    steps: int | None = None
    seed: int | None = None
    """Of the training."""
    privacy: str | None = None
    """The guarantee of a private training, in words; None without one."""


class Shard(Value):
    """A part of the set that is whole on disk."""

    name: str
    """A file below the set's folder; for the layout folder, the file of the last picture."""
    bytes: int = Field(ge=0)
    rows: int = Field(ge=1)
    first: int = Field(ge=0)
    """The number of its first image in the sequence of the seed."""
    last: int = Field(ge=0)
    tried: int = Field(ge=1)
    """Images of the sequence that were looked at for it."""
    counts: tuple[int, ...]
    """Of each class; empty without labels."""
    left_out: dict[str, int]
    """How many, by :data:`REASONS`."""
    sha256: str
    """Of the file; for the layout folder, of its pictures one after another."""

    @field_validator("name")
    @classmethod
    def _inside(cls, name: str) -> str:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts or "\\" in name or "\0" in name:
            raise ValueError("it is no file of the set")
        return name


class Plan(Value):
    """All that decides which images a set holds, and in which files: equal plans make equal files."""

    generator: Origin
    n: int = Field(ge=MINTED.low, le=MINTED.high)
    seed: int
    layout: Layout
    shard_rows: int = Field(ge=1)
    balance: bool
    filters: tuple[Filter, ...]
    labels: Labels
    classes: tuple[str, ...]
    """The names of the labels 0, 1, ...; empty without labels."""
    class_counts: tuple[int, ...] = ()
    """Of the images that the generator learned from, where its labels are asked for as often; empty if in turn."""
    shape: tuple[int, int, int]
    """(C, H, W), as a recipe allows them."""
    precision: Precision
    encoder: str | None = None
    """name@digest of what reads the images, where anything does."""
    judge: str | None = None
    near: float | None = None
    """Of the filters novel and distinct: how near is too near, see :class:`gansmith.minting.sieve.Closeness`."""
    gansmith: str

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.shape[0] not in (1, 3) or not all(8 <= side <= 1024 for side in self.shape[1:]):
            raise ValueError("shape: no recipe makes such images")
        if self.labelled != bool(self.classes):
            raise ValueError("labels and classes do not belong together")
        if self.class_counts and (self.balance or len(self.class_counts) != len(self.classes)):
            raise ValueError("class_counts and classes do not belong together")
        if self.class_counts and not (min(self.class_counts) >= 0 and any(self.class_counts)):
            raise ValueError("class_counts: are numbers of images, 0 or more, not all 0")
        return self

    @property
    def labelled(self) -> bool:
        """Whether each image has a label."""
        return self.labels != "none"

    @property
    def quotas(self) -> tuple[int, ...] | None:
        """How many images of each class are wanted; None where that is left open."""
        if not self.balance:
            return None
        each, more = divmod(self.n, len(self.classes))
        return tuple(each + (label < more) for label in range(len(self.classes)))

    @property
    def files(self) -> int:
        """How many shards there will be."""
        return -(-self.n // self.shard_rows)


class Minted(Value):
    """A minted set, finished or not: mint.json."""

    format: Literal[1] = 1
    made_by: Literal["gansmith"] = "gansmith"
    plan: Plan
    shards: tuple[Shard, ...] = ()

    def __repr__(self) -> str:
        return f"Minted({self.rows:,} of {self.plan.n:,} images in {len(self.shards):,} shards, {self.plan.layout})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        plan = self.plan
        rows = [
            ("images", f"{self.rows:,} of {plan.n:,}"),
            ("made for them", f"{self.tried:,}"),
            ("shards", f"{len(self.shards):,}, {plan.layout}"),
            ("seed", plan.seed),
            *((f"class {name}", f"{count:,}") for name, count in self.counts.items()),
        ]
        return markup.block(markup.table(("minted", ""), rows))

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.rows > self.plan.n or any(shard.rows > self.plan.shard_rows for shard in self.shards):
            raise ValueError("its shards hold more images than were asked for")
        if any(len(shard.counts) not in (0, len(self.plan.classes)) for shard in self.shards):
            raise ValueError("its counts are of other classes")
        return self

    @property
    def rows(self) -> int:
        """Images that are there."""
        return sum(shard.rows for shard in self.shards)

    @property
    def complete(self) -> bool:
        """Whether all images are there."""
        return self.rows == self.plan.n

    @property
    def tried(self) -> int:
        """Images that were made for it, those left out included."""
        return sum(shard.tried for shard in self.shards)

    @property
    def next(self) -> int:
        """The first image of the sequence that has not been looked at."""
        return self.shards[-1].last + 1 if self.shards else 0

    @property
    def counts(self) -> dict[str, int]:
        """How many images of each class are there; empty without labels."""
        total = [0] * len(self.plan.classes)
        for shard in self.shards:
            total = [a + b for a, b in zip(total, shard.counts, strict=True)]
        return dict(zip(self.plan.classes, total, strict=True))

    @property
    def left_out(self) -> dict[str, int]:
        """How many images were left out, by reason."""
        return {
            reason: sum(shard.left_out.get(reason, 0) for shard in self.shards)
            for reason in REASONS
            if any(reason in shard.left_out for shard in self.shards)
        }

    @classmethod
    def read(cls, folder: str | Path) -> "Minted":
        """The manifest of a folder. Raises UserError, in one line, where there is none that can be read."""
        path = Path(folder) / FILE
        if not path.is_file():
            raise UserError(f"{printable(str(folder))}: is no minted set (it has no {FILE}); `gansmith mint` makes one")
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            raise UserError(f"{path}: cannot be read ({explain(error)}); name a new folder") from None

    def index(self) -> dict[str, Any]:
        """What index.json says: how many images each file holds, so that a position is found by arithmetic."""
        files = [
            {"file": each.name, "count": each.rows, "bytes": each.bytes, "sha256": each.sha256} for each in self.shards
        ]
        return {"format": self.plan.layout, "total": self.rows, "classes": self.counts, "shards": files}

    def whole(self, folder: Path) -> "Minted":
        """With those shards alone that are on disk as they were written, up to the first that is not."""
        return self.model_copy(update={"shards": tuple(takewhile(lambda shard: _there(folder, shard), self.shards))})


def _there(folder: Path, shard: Shard) -> bool:
    try:
        return (folder / shard.name).stat().st_size == shard.bytes
    except OSError:
        return False


def differences(there: Plan, wanted: Plan) -> Iterator[str]:
    """What differs between two plans, in words: "seed 0, not 1"."""
    for name in Plan.model_fields:
        one, other = getattr(there, name), getattr(wanted, name)
        if one != other:
            if name == "generator":
                if one.digest == other.digest:  # by another name
                    continue
                yield f"generator {one.name} ({one.digest[:6]}), not {other.name} ({other.digest[:6]})"
            else:
                yield f"{name} {one}, not {other}"
