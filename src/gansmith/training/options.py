"""Training options: each knob of a training once, with its default, its check and its sentence; no torch here."""

from operator import index
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import BeforeValidator, Field, ValidationError, model_serializer, model_validator

from gansmith.errors import UserError
from gansmith.recipe import RecipeFile, Value
from gansmith.training.guarantee import Privacy

ANIMATIONS = {False: "samples.webp", True: "samples.gif"}


def _whole(value: Any) -> Any:
    """A whole number of any library, such as NumPy's, as Python's; True and False are none."""
    if isinstance(value, bool):
        raise ValueError("not a whole number")
    try:
        return index(value)
    except TypeError:
        return value


Whole = Annotated[int, BeforeValidator(_whole), Field(strict=True)]
Steps = Annotated[Whole, Field(ge=1)]
StepsOrNever = Annotated[Whole, Field(ge=0)]


def _option(default: Any, description: str, *, give: str, **check: Any) -> Any:
    """A field: its sentence in `--help`, and how a refused value's line ends."""
    return Field(default, description=description, json_schema_extra={"give": give}, **check)


class TrainingOptions(Value):
    """How a recipe is trained, beside what the recipe says.

    Each field is a flag of `gansmith train` and a keyword of :func:`gansmith.train`. What is left open, None or "auto",
    is decided from recipe, length and machine before training starts; run.json holds what was decided.
    """

    steps: Steps | None = _option(
        None,
        "updates of both players; the recipe's headline length if neither this nor minutes is given",
        give="1 or more",
    )
    minutes: float | None = _option(
        None, "train for this long instead", gt=0, le=365 * 24 * 60, give="more than 0 and at most a year"
    )
    seed: Whole = _option(
        0, "decides everything random; 0 if not given", ge=0, lt=2**63, give="a whole number from 0 to 2**63 - 1"
    )
    device: str = _option("auto", "auto, cpu, cuda or cuda:1", give="auto, cpu, cuda or cuda:1")
    precision: Literal["auto", "fp32", "bf16"] = _option("auto", "of the arithmetic", give="auto, fp32 or bf16")
    threads: Whole | None = _option(
        None, "CPU threads; all that this process may use if not given", ge=1, le=1024, give="a number from 1 to 1024"
    )
    fast: Literal["auto", "off"] = _option(
        "auto",
        "off uses the plain layers in place of the fast ones, which compute the same function",
        give="auto or off",
    )
    sheet_every: Steps | None = _option(None, "steps between sheets of samples", give="a number of steps, at least 1")
    log_every: Steps | None = _option(None, "steps between rows of metrics", give="a number of steps, at least 1")
    checkpoint_every: Steps | None = _option(None, "steps between checkpoints", give="a number of steps, at least 1")
    signals_every: StepsOrNever | None = _option(
        None,
        "steps between the doctor's measurements, 0 for none; as often as takes under 2 % of the time, if not given",
        give="a number of steps, or 0 for never",
    )
    evaluate_every: StepsOrNever | None = _option(
        None,
        "steps between measurements of quality, 0 for none; at checkpoints, as often as takes under 5 % of the time, "
        "if not given",
        give="a number of steps, or 0 for never",
    )
    sanity_steps: Whole = _option(
        0,
        "first train a discriminator alone for so many steps, to see that it can tell real from untrained",
        ge=0, le=100_000, give="0 to 100,000",
    )  # fmt: skip
    private: bool = _option(
        False,
        "train with differential privacy: only a noised discriminator sees the data; takes epsilon and steps",
        give="True or False",
    )
    epsilon: float | None = _option(
        None, "of the guarantee: how much any one training image may show; 10 is weak, 1 is strong", gt=0, le=1000,
        give="more than 0 and at most 1,000",
    )  # fmt: skip
    delta: float | None = _option(
        None, "of the guarantee: with which probability it may fail; 1e-5 if not given", gt=0, lt=1,
        give="more than 0 and less than 1 over the number of images",
    )  # fmt: skip
    gif: bool = _option(False, "write the animation as GIF instead of WebP", give="True or False")

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.steps is not None and self.minutes is not None:
            raise UserError("`steps` and `minutes`: give one of them")
        if self.private:
            self._check_private()
        elif self.epsilon is not None or self.delta is not None:
            name = "epsilon" if self.epsilon is not None else "delta"
            raise UserError(f"`{name}`: is of a private training; give `private` too")
        return self

    def _check_private(self) -> None:
        """What would be measured on data, and change what is kept, is refused; and how long must be known."""
        if self.epsilon is None:
            raise UserError("`private`: give `epsilon` too, such as 10")
        if self.minutes is not None:
            raise UserError("`private`: how much noise it takes depends on the number of steps; give `steps`")
        for name in ("evaluate_every", "sanity_steps", "signals_every"):
            if getattr(self, name):
                raise UserError(f"`{name}`: measures on training data, which `private` does not count; leave it out")

    @classmethod
    def of(cls, **given: Any) -> Self:
        """The options from keywords. Raises UserError, in one line, for a value that makes no sense."""
        try:
            return cls(**given)
        except ValidationError as error:
            raise UserError(_refusal(error)) from None


class Origin(Value):
    """The checkpoint whose networks a run began with."""

    run: str
    """Its run's name."""
    step: int = Field(ge=0)
    digest: str
    """SHA-256 over the weights of both networks, 64 hex digits."""


class Settings(TrainingOptions):
    """run.json: the options of a run with nothing left open. It ends at a step or after minutes, never both."""

    format: Literal[1] = 1
    precision: Literal["fp32", "bf16"]
    threads: Whole = Field(ge=1, le=1024)
    sheet_every: Steps
    log_every: Steps
    checkpoint_every: Steps
    signals_every: StepsOrNever = 0  # as in runs from before there were signals
    evaluate_every: StepsOrNever = 0
    origin: Origin | None = None
    """None for networks that began untrained."""
    privacy: Privacy | None = None
    """What a private training promises, and by what noise."""
    recipes: tuple[RecipeFile, ...] = ()
    """The Python sources of what in its recipe is of the user's own."""

    @property
    def animation(self) -> str:
        """The name of the animation's file."""
        return ANIMATIONS[self.gif]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "animation" not in values:
            return values
        values = dict(values)
        name = values.pop("animation")
        if name not in ANIMATIONS.values():
            raise ValueError(f"animation {name!r} is neither {' nor '.join(ANIMATIONS.values())}")
        return values | {"gif": name == ANIMATIONS[True]}

    @model_serializer(mode="wrap")
    def _write(self, write: Any) -> dict[str, Any]:
        values: dict[str, Any] = write(self)
        del values["gif"]
        for name in ("origin", "privacy", "epsilon", "delta"):
            if values[name] is None:
                del values[name]
        if not values["private"]:
            del values["private"]
        if not values["recipes"]:
            del values["recipes"]
        return values | {"animation": self.animation}


def _refusal(error: ValidationError) -> str:
    """Pydantic's first complaint as a line that names the parameter, its value and what to give."""
    first = error.errors()[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    name = str(first["loc"][0])
    if name not in TrainingOptions.model_fields:
        return f"`{name}`: training has no such option"
    extra = TrainingOptions.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return f"`{name}` {first['input']}: give {extra['give']}".replace("\n", " ")


def plain(annotation: Any) -> Any:
    """A type without pydantic's checks: these are made once, where the value is built."""
    if get_origin(annotation) is Annotated:
        return plain(get_args(annotation)[0])
    if isinstance(annotation, UnionType) or get_origin(annotation) is Union:
        return Union[tuple(plain(part) for part in get_args(annotation))]  # noqa: UP007  # of computed parts
    return annotation
