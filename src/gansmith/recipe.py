"""A Recipe: the frozen, complete value that decides a training run, all but the data and the seed.

Data and seed aside, two runs of equal recipes are the same run. A recipe knows no tensors: the networks it names are
built by :mod:`gansmith.recipes`.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gansmith.errors import UserError


class Value(BaseModel):
    """A frozen, typed value; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class RecipeFile(Value):
    """The Python source that something of one's own is defined in: a recipe, a loss, a penalty or an augmentation."""

    name: str
    """The module's."""
    path: str
    """Where the file was; empty for what was typed into a notebook."""
    sha256: str
    """Over its text."""
    package: str = ""
    """The installed package that offers it by an entry point; empty for a file that is named."""

    @property
    def where(self) -> str:
        """What people know it by."""
        return f"the package {self.package}" if self.package else self.path or "a notebook"


OWN: dict[tuple[str, str], RecipeFile] = {}
"""Where each name of one's own comes from, by the field that it is a value of, such as ("loss", "mine")."""
Loss = Literal["non-saturating", "relativistic", "hinge", "wasserstein", "least-squares"]
PenaltyKind = Literal["none", "r1", "r1-r2", "gradient"]
LOSSES: tuple[str, ...] = get_args(Loss)
PENALTIES: tuple[str, ...] = get_args(PenaltyKind)


def _known(field: str, name: str, *given: str) -> str:
    """The name, if it is one of those ``given`` or one's own. Raises ValueError, which pydantic makes its complaint."""
    own = [each for place, each in OWN if place == field]
    if name in given or name in own:
        return name
    every = [repr(each) for each in (*given, *own)]
    if not every:
        raise ValueError("Load the file that defines it: `recipes` FILE")
    known = f"Input should be {', '.join(every[:-1])} or {every[-1]}" if every[1:] else f"Only {every[0]} is"
    raise ValueError(known if OWN else f"{known}; one of your own needs its file: `recipes` FILE")


def where_missing(files: Sequence[RecipeFile]) -> str:
    """What to do where a recipe cannot be read because files of one's own are not loaded; empty if they all are."""
    keys = {key for file in OWN.values() for key in _identities(file)}
    missing = [each for each in files if not keys & _identities(each)]
    if not missing:
        return ""
    file = missing[0]
    if file.package:
        return f"it is defined in {file.where}, which is not installed here, or cannot be loaded; install it again"
    if not file.path:
        return "it is defined in a notebook; run that cell first"
    gone = "" if Path(file.path).exists() else ", where it is no longer" if Path(file.path).name != file.path else ""
    return (
        f"it is defined in {file.path}{gone}; to run that file, name it: `recipes` {file.path}, or own.load in Python"
    )


def _identities(file: RecipeFile) -> set[tuple[str, str]]:
    """A file stays the same under its name, at whatever place, with its text, and in its package."""
    return {(file.name, each) for each in (Path(file.path).name, file.sha256, file.package and file.where) if each}


def changed_since(files: Sequence[RecipeFile]) -> list[RecipeFile]:
    """The files of one's own that are loaded, but with another text than these say."""
    texts = {file.sha256 for file in OWN.values()}
    names = {file.name for file in OWN.values()}
    return [file for file in files if file.sha256 not in texts and file.name in names]


class Optimizer(Value):
    """The optimiser of one network, with numbers as Keras and TensorFlow 1 define them (gansmith.training.optim)."""

    kind: Literal["adam", "rmsprop"] = Field(description="update rule")
    lr: float = Field(gt=0, le=10, description="learning rate at step 0")
    beta1: float = Field(0.9, ge=0, lt=1, description="Adam: decay of the mean of gradients")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam: decay of the mean of squared gradients; RMSprop's rho")
    eps: float = Field(1e-7, gt=0, le=1, description="added to the root of the mean of squares")
    clip_value: float | None = Field(None, gt=0, description="clip each gradient element to [-v, v]")
    decay: float = Field(0.0, ge=0, le=1, description="learning rate is lr / (1 + decay * step)")
    warm_up: float = Field(0.0, ge=0, le=1, description="share of the run in which the rate rises from 0 to lr")
    cool_from: float = Field(1.0, ge=0, le=1, description="share of the run after which the rate falls, as a cosine")
    cool_to: float = Field(0.0, ge=0, le=1, description="the rate at the run's end, over lr, if it falls")
    beta2_end: float | None = Field(None, ge=0, lt=1, description="Adam: beta2 at the run's end, reached evenly")


class Noise(Value):
    """What latent vectors are drawn from: independent coordinates."""

    size: int = Field(100, ge=1, le=4096, description="coordinates of a latent vector z")
    distribution: Literal["uniform", "normal"] = Field("normal", description="shape of each coordinate's distribution")
    center: float = Field(0.0, description="middle of the uniform interval; mean of the normal")
    scale: float = Field(1.0, gt=0, description="half the width of the uniform interval; std of the normal")


class Network(Value):
    """The numbers that a recipe's network reads; its layers are in the recipe's own file."""

    width: float = Field(1.0, gt=0, le=32, description="factor on the number of hidden channels or units")
    slope: float = Field(0.0, ge=0, le=1, description="LeakyReLU's slope for negative inputs; 0 is ReLU")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of activations dropped in training")

    def scaled(self, published: int) -> int:
        """A published number of channels or units times ``width``, at least 1."""
        return max(1, round(published * self.width))


class Penalty(Value):
    """A term of the discriminator's loss that keeps its slope, the gradient of D(x) by x, small."""

    kind: PenaltyKind | str = Field(
        "none",
        description="r1: at real images (Mescheder et al. 2018); r1-r2: at generated ones too; gradient: to length 1, "
        "between the two (Gulrajani et al. 2017)",
    )
    gamma: float = Field(1.0, ge=0, le=1e4, description="r1, r1-r2: loss + gamma / 2 * |slope|^2; gradient: its lambda")
    gamma_end: float | None = Field(None, ge=0, le=1e4, description="gamma at the run's end, reached evenly")
    every: int = Field(1, ge=1, le=1000, description="only each so many steps, and then so many times as strong")
    share: float = Field(1.0, gt=0, le=1, description="at this share of the batch")
    difference: float = Field(
        0.0, ge=0, le=1, description="length of a finite difference that stands for the slope; 0: the exact one"
    )

    @field_validator("kind")
    @classmethod
    def _kind_is_known(cls, value: str) -> str:
        return _known("penalty.kind", value, *PENALTIES)


class Average(Value):
    """A moving average of the generator's weights, which makes the images that are looked at, measured and exported."""

    span: float = Field(0.0, ge=0, lt=1, description="share of the run so far that it reaches over; 0 for none")
    half_life: float = Field(0.0, ge=0, description="or the images after which a weight counts half; 0 for none")

    @property
    def on(self) -> bool:
        """Whether there is one."""
        return self.span > 0 or self.half_life > 0


class Augment(Value):
    """Random changes that both players' images go through before the discriminator sees them (Zhao et al. 2020)."""

    shift: float = Field(0.0, ge=0, le=0.5, description="moved by up to this share of the size")
    cutout: float = Field(0.0, ge=0, le=1, description="a square of this share of the size made grey")
    colour: float = Field(0.0, ge=0, le=1, description="strength of changes of brightness, contrast and saturation")
    share: float = Field(1.0, ge=0, le=1, description="of the images that are changed")
    ramp: float = Field(0.0, ge=0, le=1, description="share of the run in which that rises from 0")
    own: str | None = Field(None, description="and one of one's own, by its name, after the others")

    @field_validator("own")
    @classmethod
    def _own_is_known(cls, value: str | None) -> str | None:
        return value and _known("augment.own", value)

    @property
    def on(self) -> bool:
        """Whether any image is changed."""
        return self.share > 0 and (self.shift > 0 or self.cutout > 0 or self.colour > 0 or self.own is not None)


SHOWN_BY: list[Callable[[Any], str]] = []
"""What makes HTML of a recipe: :mod:`gansmith.recipes` puts its own here."""


class Recipe(Value):
    """All that decides a training run but data and seed. Derive variants with :meth:`override`."""

    def __repr__(self) -> str:
        return f"Recipe({self.name}, {self.channels}x{self.size}x{self.size}, batches of {self.batch_size:,})"

    __str__ = __repr__

    def _repr_html_(self) -> str | None:
        """Its layers, where what counts them is loaded, as it is wherever recipes come from."""
        return None if not SHOWN_BY else SHOWN_BY[0](self)

    name: str = Field(description="which networks: a name that `gansmith recipes` lists")
    size: int = Field(28, ge=8, le=1024, description="height and width of images in pixels")
    channels: Literal[1, 3] = Field(1, description="1 grey, 3 RGB; taken from the data unless given")
    pixels: tuple[float, float] = Field((0.0, 1.0), description="values that black and white have for the networks")
    noise: Noise = Field(Noise(), description="the latent distribution")
    generator: Network = Field(Network(), description="the generator's numbers")
    discriminator: Network = Field(Network(), description="the discriminator's numbers")
    generator_optimizer: Optimizer = Field(description="the generator's optimiser")
    discriminator_optimizer: Optimizer = Field(description="the discriminator's optimiser")
    batch_size: int = Field(ge=2, le=65536, description="real images, and as many fakes, in a step")
    steps: int = Field(ge=1, le=100_000_000, description="discriminator and generator updates: the headline length")
    real_label: float = Field(1.0, gt=0.5, le=1, description="target for real images; 0.9 is one-sided label smoothing")
    fakes: Literal["inference", "training"] = Field(
        "training", description="mode of the generator when it makes fakes for the discriminator"
    )
    share_noise: bool = Field(False, description="one noise batch serves both updates of a step")
    loss: Loss | str = Field("non-saturating", description="the game's losses")
    penalty: Penalty = Field(Penalty(), description="on the discriminator's slope")
    average: Average = Field(Average(), description="of the generator's weights")
    augment: Augment = Field(Augment(), description="of what the discriminator sees")
    discriminator_updates: int = Field(1, ge=1, le=100, description="in a step, each on a batch of its own")
    generator_updates: int = Field(1, ge=1, le=100, description="in a step, each with noise of its own")
    pack: int = Field(
        1,
        ge=1,
        le=16,
        description="images of one class or kind that the discriminator judges together, beside each alone (Lin et al. "
        "2018)",
    )
    one_pass: bool = Field(
        False, description="one pass of the discriminator serves both updates, which are then made at once"
    )
    apart: bool = Field(
        False, description="real and generated images pass the discriminator in batches of their own, for batch norm"
    )
    spectral_norm: bool = Field(
        False, description="divide each weight of the discriminator by its largest singular value (Miyato et al. 2018)"
    )
    reduction: Literal["mean", "sum"] = Field(
        "mean", description="the discriminator's loss: mean over real and fake, or the sum of their two means"
    )
    statistics: Literal["moving", "settled", "batch"] = Field(
        "moving",
        description="batch-norm statistics for sampling: moving averages, settled once after training, or the batch's",
    )
    conditional: Literal["none", "projection", "auxiliary"] = Field(
        "none", description="train on labels: the head that the discriminator reads them with"
    )
    classes: int = Field(0, ge=0, description="labels that a conditional recipe knows; taken from the data")
    kinds: int = Field(
        0, ge=0, le=10_000, description="groups of like images, found in the data or in each class, that are told too"
    )
    shared_kinds: bool = Field(
        False, description="the discriminator learns of a kind also what holds for kinds near it in the data"
    )
    condition: Literal["vector", "one-hot"] = Field(
        "vector",
        description="what tells the generator a class or kind, beside the noise: a learned vector, or 0s and a 1",
    )
    condition_length: float = Field(
        1.0, gt=0, le=100, description="length of the vector that tells the generator a class or kind, beside the noise"
    )
    information: float = Field(
        0.0,
        ge=0,
        le=1e3,
        description="weight of reading the kind from the image (Chen et al. 2016): kinds are then made up by the game, "
        "and not found in the data; 0 for none",
    )
    codes: int = Field(0, ge=0, le=4096, description="coordinates of the noise, its first, that are read too")

    @field_validator("loss")
    @classmethod
    def _loss_is_known(cls, value: str) -> str:
        return _known("loss", value, *LOSSES)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.pixels[0] >= self.pixels[1]:
            raise UserError(f"pixels {self.pixels}: black must be below white, such as (0, 1) or (-1, 1)")
        if self.classes and self.conditional == "none":
            raise UserError(f"classes = {self.classes}: only a conditional recipe has labels; leave classes out")
        if self.one_pass:
            self._check_one_pass()
        if self.kinds == 1:
            raise UserError("kinds = 1: give 2 or more, or 0 for none")
        if self.information:
            self._check_information()
        elif self.codes:
            raise UserError(f"codes = {self.codes}: are read back where information is above 0; give that, or no codes")
        if self.batch_size % self.pack:
            raise UserError(f"pack = {self.pack}: does not divide a batch of {self.batch_size}; change one of them")
        if self.generator_updates > 1 and self.share_noise:
            raise UserError("share_noise: with several generator_updates each has noise of its own; leave it out")
        return self

    @property
    def batch_images(self) -> int:
        """Real images of a step: a batch for each update of the discriminator."""
        return self.batch_size * self.discriminator_updates

    @property
    def labelled(self) -> bool:
        """Whether training images come with conditions, which the data decide."""
        return self.conditions > 0 and not self.information

    @property
    def turns(self) -> int:
        """How many classes, or kinds that the game makes up, take turns in order; 0 where none do."""
        return self.classes or (self.kinds if self.information else 0)

    def _check_information(self) -> None:
        if self.conditional != "none":
            raise UserError("information: the game makes up kinds of its own, without labels; leave conditional out")
        if not self.kinds:
            raise UserError(f"information = {self.information}: is of kinds; give kinds, 2 or more")
        if self.pack > 1:
            raise UserError("information: each image has a kind of its own that the game makes up; leave pack out")
        if self.codes > self.noise.size:
            raise UserError(f"codes = {self.codes}: the noise has {self.noise.size} coordinates; give fewer")

    def _check_one_pass(self) -> None:
        """What makes the generator's gradient a multiple, image by image, of the discriminator's."""
        if self.loss == "hinge":
            raise UserError("one_pass: the hinge loss stops where D is sure, and G learns from there; leave it out")
        if self.loss not in LOSSES or self.penalty.kind not in PENALTIES:
            raise UserError("one_pass: goes with the losses and penalties that come with gansmith; leave it out")
        if self.discriminator_updates > 1 or self.generator_updates > 1:
            raise UserError("one_pass: both players make one update a step; leave it, or the numbers of updates, out")
        if self.conditional == "auxiliary" or self.fakes == "inference" or self.penalty.kind == "gradient":
            raise UserError("one_pass: goes with neither an auxiliary head, fakes of inference nor a gradient penalty")
        if self.apart or self.information:
            raise UserError("one_pass: one batch holds all images; leave it, or apart and information, out")
        if self.penalty.share < 1 or self.penalty.difference > 0:
            raise UserError("one_pass: takes its penalty exactly, at the whole batch")

    @property
    def files(self) -> tuple[RecipeFile, ...]:
        """The Python sources of what in it is of one's own; none where all comes with gansmith."""
        names = {
            "name": self.name,
            "loss": self.loss,
            "penalty.kind": self.penalty.kind,
            "augment.own": self.augment.own,
        }
        found = (OWN.get((field, name)) for field, name in names.items() if name is not None)
        return tuple(dict.fromkeys(filter(None, found)))

    @property
    def conditions(self) -> int:
        """How many conditions the networks are told: classes, kinds, or the kinds of all classes; 0 for none."""
        return max(self.classes, 1) * max(self.kinds, 1) if self.classes or self.kinds else 0

    def in_two_passes(self, changes: Mapping[str, Any]) -> "Recipe":
        """As :meth:`override`, but in two passes where the changes do not allow ``one_pass`` and do not ask for it."""
        if not self.one_pass or "one_pass" in changes:
            return self.override(changes)
        try:
            return self.override(changes)
        except UserError:
            return self.override({**changes, "one_pass": False})

    def override(self, changes: Mapping[str, Any] | None = None, **more: Any) -> "Recipe":
        """A copy with other values.

        Args:
            changes: dotted or nested names to values: ``{"discriminator_optimizer.lr": 1e-4}`` or
                ``{"discriminator_optimizer": {"lr": 1e-4}}``. Dashes count as underscores.
            more: top-level names, the same way.

        Raises:
            UserError: one line naming the field, what is wrong, and for an unknown name the nearest known ones.
        """
        values = self.model_dump()
        given = dict(_flatten({**named(changes, "changes"), **more}))
        for name, value in given.items():
            _assign(values, name, value)
        found = parse(values)
        if found.shared_kinds and "shared_kinds" in given and (found.information or not found.kinds):
            raise UserError(
                "shared_kinds: is of kinds that are found in the data; give kinds, 2 or more, or leave it out"
            )
        return found

    def complete(self) -> dict[str, Any]:
        """Every field as a plain value, but for a name of one's own where there is none."""
        return self.model_dump(mode="json", exclude={"augment": {"own"}} if self.augment.own is None else None)

    def to_json(self) -> str:
        """The complete recipe as indented JSON, but for parts of the method that it does not use, such as labels."""
        return self.model_dump_json(indent=2, exclude=self._unused()) + "\n"

    def values(self) -> dict[str, Any]:
        """The recipe as plain values, without the parts of the method that it does not use.

        So a recipe has the same values in every version that knows all it uses.
        """
        return self.model_dump(mode="json", exclude=self._unused())

    def _unused(self) -> Any:
        """The optional fields that are at their defaults, as pydantic's ``exclude`` takes them."""
        fields = type(self).model_fields
        unused: dict[str, Any] = {name: True for name in OPTIONAL if getattr(self, name) == fields[name].default}
        if self.augment.own is None:
            unused.setdefault("augment", {"own"})
        for player in ("generator_optimizer", "discriminator_optimizer"):
            numbers = getattr(self, player)
            unused[player] = {n for n in SCHEDULE if getattr(numbers, n) == Optimizer.model_fields[n].default}
        return unused

    def to_toml(self) -> str:
        """The complete recipe as TOML, each field with its meaning; unset optional fields are comments."""
        return _toml(self)


DOTS = 100
"""More in a line of TOML are no names of fields."""
DEEPEST = 8
"""More dots are in no name that a line should be wasted on."""
OPTIONAL = (
    *("loss", "penalty", "average", "augment", "discriminator_updates", "generator_updates", "pack"),
    *("one_pass", "apart", "spectral_norm", "conditional", "classes", "kinds", "condition", "condition_length"),
    *("shared_kinds", "information", "codes"),
)
SYNONYMS = {"learning_rate": "lr", "epochs": "steps", "latent_dim": "noise.size"}
"""Names of other libraries, and what is meant by them here."""
SCHEDULE = ("warm_up", "cool_from", "cool_to", "beta2_end")
"""Fields of a recipe and of its optimisers that stand in its file only where they are not at their defaults."""


def parse(values: Mapping[str, Any]) -> Recipe:
    """A recipe from plain values (of JSON or TOML). Raises UserError in one line."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise UserError(explain(error)) from None


def from_json(text: str) -> Recipe:
    """A recipe from the JSON that :meth:`Recipe.to_json` writes. Raises UserError in one line."""
    try:
        values = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"recipe is not JSON: {error}") from None
    return parse(values)


def overrides_from_toml(text: str, *, where: str) -> dict[str, Any]:
    """The changes that a TOML file asks for. Raises UserError naming ``where`` and the line."""
    try:
        for line in text.splitlines():
            if line.partition("#")[0].count(".") > DOTS:  # tomllib takes time and memory by their square
                raise RecursionError
        return tomllib.loads(text)
    except RecursionError:
        raise UserError(f"{where}: is nested too deeply; `gansmith recipes NAME` prints what it may hold") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{where} is not TOML: {error}") from None


def fields(model: type[BaseModel] = Recipe, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf field of a recipe as (dotted name, pydantic FieldInfo)."""
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from fields(info.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, info


def explain(error: ValidationError) -> str:
    """Pydantic's first complaint in one line: the field, what is wrong, what was given."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return unknown(name) if error.title == "Recipe" else f"{name} is not known here"
    message = first["msg"].removeprefix("Value error, ")
    if not name:
        return message
    if first["type"] == "missing":
        return f"{name} is missing"
    return f"{name} = {first['input']!r}: {message[0].lower() + message[1:]}".replace("\n", " ")


def unknown(name: str) -> str:
    """One line for a name no recipe has, with the fields that it may mean, or the nearest ones."""
    known = [field for field, _ in fields()]
    near = meant(name) or difflib.get_close_matches(name[:200], known, n=3, cutoff=0.5)
    group, dot, leaf = near[0].partition(".") if len(near) == 1 else ("", "", "")
    python = f", in Python {group}={{'{leaf}': ...}}" if dot else ""
    name = name if len(name) <= 60 else f"{name[:60]}..."
    hint = f"; did you mean {' or '.join(near)}{python}?" if near else "; `gansmith recipes NAME` lists all"
    return f"a recipe has no {name if name.isprintable() else repr(name)}{hint}"


def named(changes: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    """Values by names of fields, as given. Raises UserError for what is no mapping, or has names that are no text."""
    if changes is None:
        return {}
    if not isinstance(changes, Mapping):
        raise UserError(f"`{what}`: give a mapping of names to values, not {type(changes).__name__}")
    for name in changes:
        if not isinstance(name, str):
            raise UserError(f"`{what}`: {name!r:.60} is no name of a field; give text, such as 'batch_size'")
    return dict(changes)


def meant(name: str) -> list[str]:
    """The fields that a name leaves words out of, but not the last, such as lr, generator_lr and penalty_gamma."""
    name = name[:200].replace("-", "_")
    for theirs, ours in SYNONYMS.items():
        name = name.replace(theirs, ours)
    words = re.split("[._]", name)

    def has_all(field: str) -> bool:
        left = iter(each := re.split("[._]", field))
        return each[-1] == words[-1] and all(word in left for word in words)

    return [field for field, _ in fields() if has_all(field)]


def _group(name: str, given: object) -> str:
    """One line for one value in the place of a group of fields, with a field that it may be meant for."""
    group = next(info.annotation for field, info in Recipe.model_fields.items() if field == name)
    assert isinstance(group, type)
    assert issubclass(group, BaseModel)
    shown = " ".join(repr(given).split())[:60]
    said = f"{name} = {shown}: is a group of fields ({', '.join(group.model_fields)}); name one"
    if given is None or isinstance(given, bool):
        return said
    for leaf in group.model_fields:
        try:
            group.model_validate({leaf: given})
        except ValidationError as error:
            if any(each["loc"] == (leaf,) for each in error.errors()):
                continue
        return f"{said}, such as {name}.{leaf} = {given!r}, in Python {name}={{{leaf!r}: {given!r}}}"
    return said


def _flatten(changes: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in named(changes, "changes").items():
        full = prefix + name.replace("-", "_")
        if isinstance(value, Mapping):
            if full.count(".") > DEEPEST:
                raise UserError(unknown(full))
            yield from _flatten(value, full + ".")
        else:
            yield full, value.model_dump() if isinstance(value, BaseModel) else value


def _assign(values: dict[str, Any], name: str, value: Any) -> None:
    *parents, leaf = name.split(".")
    for parent in parents:
        values = values.get(parent)  # type: ignore[assignment]
        if not isinstance(values, dict):
            raise UserError(unknown(name))
    if leaf not in values:
        raise UserError(unknown(name))
    if isinstance(values[leaf], dict) and not isinstance(value, dict):
        raise UserError(_group(leaf, value))
    values[leaf] = value


def _toml(value: Value, table: str = "") -> str:
    lines = [f"\n[{table}]"] if table else []
    nested = []
    for name, info in type(value).model_fields.items():
        item = getattr(value, name)
        if isinstance(item, Value):
            nested.append(_toml(item, f"{table}.{name}" if table else name))
            continue
        text = f"# {name} =" if item is None else f"{name} = {_toml_scalar(item)}"
        lines.append(f"{text:<32} # {info.description}")
    return "\n".join(lines) + "\n" + "".join(nested)


def _toml_scalar(item: Any) -> str:
    return json.dumps(list(item) if isinstance(item, tuple) else item)
