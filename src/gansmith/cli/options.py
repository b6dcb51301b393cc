"""The flags that verbs share, each defined once: a verb names the type, and gets name, help and checks with it.

Where a type has no help, what the flag means differs from verb to verb, and the verb's docstring says it. Runs and data
are looked up while the command line is read, so that a mistyped name is refused before PyTorch is imported.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gansmith.errors import FROM_0, Range, UserError


def _check_run(_: Any, where: str) -> None:
    from gansmith import runs

    runs.find(where)


def _check_generator(_: Any, where: str) -> None:
    from gansmith import runs

    if runs.exported(where) is None:
        runs.find(where)


def _check_evaluated(_: Any, where: str) -> None:
    path = Path(where)
    images = path.exists() and not (path / "run.json").exists() and path.name != "last"
    if not images and not where.endswith(".json"):
        _check_generator(_, where)


def _check_released(_: Any, where: str) -> None:
    if not (Path(where) / "mint.json").is_file():
        _check_generator(_, where)


def _check_data(_: Any, name: str | None) -> None:
    from gansmith.data.naming import existing, is_given, is_remote, names

    known = name is None or not name.strip() or name in names() or is_given(name) or is_remote(name)
    if name is not None and not known:
        existing(name)  # says what could be meant


def _load_recipes(_: Any, path: Path | None) -> None:
    if path is not None:
        from gansmith.recipes.own import load

        load(path)


def check_folder(path: Path, flag: str) -> None:
    """Raises UserError where a file cannot be written because its folder is not there."""
    if not path.parent.is_dir():
        raise UserError(f"{flag} {path}: there is no folder {path.parent}; make it first")


def check_there(*files: str | None) -> None:
    """Raises UserError where a picture to read is no file."""
    for file in files:
        if file is not None and not Path(file).is_file():
            raise UserError(f"{file}: is no file; name a picture")


def check_picture(path: Path, flag: str) -> None:
    """Raises UserError where a picture cannot be written under this name."""
    from PIL import Image

    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise UserError(f"{flag} {path}: cannot write {path.suffix or 'a folder'}; use .png, .jpg or .webp")
    check_folder(path, flag)


def within(name: str, allowed: Range) -> Parameter:
    """What makes a flag refuse numbers that the library would refuse, before anything heavy is imported."""

    def check(_: Any, value: int | None) -> None:
        if value is not None:
            allowed.check(name, value)

    return Parameter(validator=check)


def check_sheet_scale(sheet: Path | None, scale: int | None) -> None:
    """Raises UserError where a verb is to enlarge a sheet that it does not draw."""
    if scale is not None and sheet is None:
        raise UserError("--scale: only a --sheet is enlarged; name one, or leave it out")


Recipes = Annotated[
    Path | None,
    Parameter(
        name="--recipes",
        validator=_load_recipes,
        help="a Python file of recipes of your own, which is run; a run made with it needs it again.",
    ),
]
SWITCH = Parameter(negative=(), show_default=False)
Switch = Annotated[bool, SWITCH]
Json = Annotated[bool, SWITCH, Parameter(help="print one JSON document.")]
Best = Annotated[
    bool, SWITCH, Parameter(help="use the checkpoint that measured best while training, instead of the newest.")
]
Run = Annotated[str, Parameter(validator=_check_run, help="a run's folder, its name under runs/, or last.")]
Generator = Annotated[
    str,
    Parameter(
        validator=_check_generator,
        help="a run's folder, its name under runs/, or last; an exported generator's folder, or hf://user/name on the "
        "hub; or mnist or fashion-mnist, which come with gansmith.",
    ),
]
Released = Annotated[str, Parameter(validator=_check_released)]
Evaluated = Annotated[str, Parameter(validator=_check_evaluated)]
Source = Annotated[str, Parameter(validator=_check_data)]
OptionalSource = Annotated[str | None, Parameter(validator=_check_data)]
RealImages = Annotated[
    str | None, Parameter(validator=_check_data, help="the real images, if not the run's: a name or a path.")
]
Number = Annotated[int, Parameter(name=("--number", "-n"))]
Out = Annotated[Path, Parameter(name=("--out", "-o"))]
Save = Annotated[Path | None, Parameter(help="also write the vectors (.npz or .safetensors).")]
AnySeed = Annotated[int, within("seed", FROM_0)]
Seed = Annotated[AnySeed, Parameter(help="random seed that image numbers belong to.")]
Scale = Annotated[
    int | None,
    within("scale", Range(1, 64)),
    Parameter(
        help="times that images are enlarged, each pixel a square; as far as fits a slide, if not given.",
    ),
]
Device = Annotated[str, Parameter(help="auto, cpu, cuda or cuda:1.")]
Encoder = Annotated[
    Path | None,
    Parameter(
        help="an encoder's .safetensors file (`gansmith encoder train` makes one); the shipped one if not given."
    ),
]
Size = Annotated[
    int | None, Parameter(help="height and width in pixels that images are brought to; their own if not given.")
]
Fit = Annotated[
    Literal["crop", "pad"],
    Parameter(help="what becomes of images that are not square: cropped to the centre, or padded."),
]


@Parameter(name="*")
@dataclass(frozen=True)
class Drawing:
    """The last flags of every verb that draws what one generator makes."""

    scale: Scale = None
    best: Best = False
    device: Device = "auto"
    own: Recipes = None
    json: Json = False

    def load(self, run: str) -> Any:
        """The generator, as its checkpoint has it."""
        from gansmith.runs import load

        return load.load(run, device=self.device, which="best" if self.best else "newest")

    def load_steady(self, run: str) -> Any:
        """The generator, without batch norm's dependence of an image on those beside it."""
        from gansmith.latent import vectors

        return vectors.steady(self.load(run))


DRAWING = Drawing()
