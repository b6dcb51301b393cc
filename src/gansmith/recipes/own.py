"""Recipes of the user's own: registered by name, loaded from a file that the user names or by an installed package."""

import hashlib
import inspect
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gansmith import recipe as values
from gansmith.errors import UserError, out_of_memory
from gansmith.recipe import OWN, Recipe, RecipeFile
from gansmith.recipes.entries import Entry
from gansmith.text import one_line, printable

if TYPE_CHECKING:
    from torch import Tensor, nn

Networks = Callable[[Recipe], "tuple[nn.Module | None, nn.Module | None] | None"]
ENTRIES: dict[str, Entry] = {}
GROUP = "gansmith.recipes"
START = Path(__file__).parent / "start.txt"
"""The file that `gansmith new-recipe` writes; NAME stands for the recipe's."""
MAX_BYTES = 4 << 20
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_loaded: dict[Path, str] = {}
"""SHA-256 of each file that was loaded."""
_current: list[RecipeFile] = []
"""The file that is being loaded."""
_installed = False


class RecipeFileError(UserError):
    """A recipe file, or a function in it, raised an exception; ``details`` is its traceback, of the file alone."""

    def __init__(self, message: str, details: str = "") -> None:  # pickle knows the message alone
        super().__init__(message)
        self.details = details


def register(
    name: str, networks: Networks, base: Recipe, changes: Mapping[str, Any], step: Callable[..., Any] | None
) -> Recipe:
    """Makes a function of a recipe's value that builds two networks known under a name; returns the value."""
    file = claim("name", name, networks)
    _check_step(name, step)
    recipe = base.in_two_passes(changes).override(name=name)
    said = {field for field, _ in values.fields() if recipe_field(recipe, field) != recipe_field(base, field)}
    said |= {each.replace("-", "_").partition(".")[0] for each in changes}
    ENTRIES[name] = Entry(
        title=name,
        author=file.package or (f"{file.name}.py" if file.path else "a notebook"),
        year="",
        note=(inspect.getdoc(networks) or "your own").partition("\n")[0].rstrip("."),
        recipe=recipe,
        generator=lambda recipe: _built(networks, recipe, base.name, "generator"),
        discriminator=lambda recipe: _built(networks, recipe, base.name, "discriminator"),
        parameters=None,
        operations=None,
        step=step,
        said=frozenset(said),
    )
    return recipe


def _check_step(name: str, step: Any) -> None:
    """Raises UserError for a step that cannot be called as training does."""
    if step is None:
        return
    try:
        inspect.signature(step).bind("state", "recipe", "real", "labels")
    except (TypeError, ValueError):
        given = f"takes {inspect.signature(step)}" if callable(step) else f"is {step!r}"
        raise UserError(f"recipe {name}: its step {given}; give a function of (state, recipe, real, labels)") from None


def claim(field: str, name: str, function: Callable[..., Any]) -> RecipeFile:
    """Notes that a name of one's own is a value of a recipe's field, and in which file it is defined.

    Raises UserError for what is no name, a name that comes with gansmith, and one that another file has.
    """
    what = check_name(field, name)
    if not callable(function):
        raise UserError(f"{what} {name}: decorate a function")
    file, before = _current[-1] if _current else _file_of(function), OWN.get((field, name))
    if before is not None and before.path and file.path and before.path != file.path:
        raise UserError(f"{what} {name}: {before.path} defines one of this name too; rename one of them")
    OWN[field, name] = file
    return file


def check_name(field: str, name: str) -> str:
    """What a name of one's own is a name of, in words. Raises UserError for no name, and one that is taken."""
    from gansmith import recipes

    what = {"name": "recipe", "loss": "loss", "penalty.kind": "penalty", "augment.own": "augmentation"}[field]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserError(f"{what} {name!r}: give a name of small letters, digits and hyphens, such as mine")
    builtin = {"name": recipes.BUILT_IN, "loss": values.LOSSES, "penalty.kind": values.PENALTIES}.get(field, ())
    if name in builtin:
        raise UserError(f"{what} {name}: comes with gansmith; give yours another name")
    return what


def load(path: str | Path) -> tuple[str, ...]:
    """Runs a Python file that registers recipes, losses, penalties or augmentations; returns the names of its recipes.

    A file that was loaded before and is unchanged is not run again. Raises UserError where there is no such file, it
    raises an exception, or it registers nothing.
    """
    given = printable(str(path))
    try:
        place = Path(path).expanduser().resolve(strict=True)
        content = place.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        what = f"{one_line(error)}; `gansmith new-recipe NAME` writes a file to start from"
        raise UserError(f"`recipes` {given}: {what}") from None
    if len(content) > MAX_BYTES or place.suffix != ".py":
        raise UserError(f"`recipes` {given}: is no Python file of recipes; give a .py file")
    digest = hashlib.sha256(content).hexdigest()
    if _loaded.get(place) != digest:
        file = RecipeFile(name=place.stem, path=str(place), sha256=digest)
        _run(place, content, file)
        _loaded[place] = digest
    return tuple(name for (field, name), file in OWN.items() if field == "name" and file.path == str(place))


def _run(place: Path, content: bytes, file: RecipeFile) -> None:
    """Executes a file; what it registers is known only if it ends well."""
    module = ModuleType(f"gansmith_own_{re.sub('[^0-9a-zA-Z]', '_', place.stem)}_{file.sha256[:8]}")
    module.__file__, module.__spec__ = str(place), ModuleSpec(module.__name__, None, origin=str(place))
    with _all_or_nothing():
        for key in [key for key, known in OWN.items() if known.path == str(place)]:  # of its text before a change
            del OWN[key]
        sys.modules[module.__name__] = module
        _current.append(file)
        try:
            with blaming(file):
                exec(compile(content, str(place), "exec"), module.__dict__)
            if not any(known == file for known in OWN.values()):
                raise UserError(f"`recipes` {place}: registers nothing; decorate a function with @own.recipe(NAME)")
        except BaseException:
            del sys.modules[module.__name__]
            raise
        finally:
            _current.pop()


@contextmanager
def _all_or_nothing() -> Iterator[None]:
    """What is registered inside is known only if it ends well."""
    names, entries = dict(OWN), dict(ENTRIES)
    try:
        yield
    except BaseException:
        for table, before in ((OWN, names), (ENTRIES, entries)):
            table.clear()
            table.update(before)  # type: ignore[arg-type]
        raise


def load_installed() -> None:
    """Loads the recipes of installed packages, once: modules under the entry point group ``gansmith.recipes``."""
    global _installed  # noqa: PLW0603
    if _installed:
        return
    _installed = True
    for point in entry_points(group=GROUP):
        try:
            with _all_or_nothing():
                point.load()
        except (Exception, SystemExit) as error:  # another package's fault must not keep gansmith from working
            frame = traceback.extract_tb(error.__traceback__)[-1]
            at = "" if frame.filename.startswith("<") else f"{frame.filename}, line {frame.lineno}: "
            said = f"{at}{type(error).__name__}: {one_line(error)}"
            warnings.warn(f"the recipes of {_package(point)} cannot be loaded ({said})", stacklevel=1)


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


@contextmanager
def blaming(*files: RecipeFile, always: bool = True) -> Iterator[None]:
    """An exception raised inside, in a user's file, becomes one line that names the line, with its own traceback.

    With ``always``, one that passed no line of these files is the first one's too; else it is left as it is.
    """
    try:
        yield
    except RecipeFileError:
        raise
    except (Exception, SystemExit) as error:
        paths = {file.path for file in files}
        frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename in paths]
        user, lost = isinstance(error, UserError), not frames and not always
        if not files or out_of_memory(error) or lost or (user and not always):
            raise
        line = frames[-1].lineno if frames else getattr(error, "lineno", None)
        path = frames[-1].filename if frames else files[0].path
        place = f"{path or 'the notebook'}{f', line {line}' if line else ''}"
        kind = "" if user else f"{type(error).__name__}: "
        details = "" if user else "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)])
        raise RecipeFileError(f"{place}: {kind}{one_line(error)}", details) from error


def check(recipe: Recipe) -> None:
    """Runs networks of one's own on two images, as in training and after it.

    Raises UserError, in one line, where their outputs do not fit, or no gradient reaches what must learn.
    """
    file = OWN.get(("name", recipe.name))
    if file is None:
        return
    import torch

    from gansmith import recipes

    shape = (2, recipe.channels, recipe.size, recipe.size)
    with torch.random.fork_rng(devices=[]), blaming(file):
        generator, discriminator = recipes.generator(recipe), recipes.discriminator(recipe)
        told = (torch.zeros(2, dtype=torch.long),) if recipes.conditioned(recipe) else ()
        for when, training in (("", False), (" in training", True)):
            given = f"latents (2, {recipe.noise.size})"
            with _given(f"generator of {given}"):
                images = generator.train(training)(torch.zeros(2, recipe.noise.size), *told)
            _fits(f"recipe {recipe.name}: its generator makes{when}", images, shape, given)
            seen = torch.zeros(shape, requires_grad=True)
            with _given(f"discriminator of images {shape}"):
                logits = discriminator.train(training)(seen, *told)
            logits = logits[0] if isinstance(logits, tuple) else logits
            _fits(f"recipe {recipe.name}: its discriminator answers{when}", logits, (2, 1), f"images {shape}")
        who = f"recipe {recipe.name}: its discriminator's logits"
        _check_ends(recipe, images, logits)
        _flows(f"recipe {recipe.name}: its generator's images", images, generator.parameters(), "its weights")
        _flows(who, logits, discriminator.parameters(), "its weights")
        _flows(who, logits, [seen], "the images")


@contextmanager
def _given(what: str) -> Iterator[None]:
    """A RuntimeError raised inside, of shapes for the most part, says too whose it is and what went in."""
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            error.args = (f"{one_line(error)} (in the {what})",)
        raise


def _check_ends(recipe: Recipe, images: "Tensor", logits: "Tensor") -> None:
    """Raises UserError where a sigmoid stands at the end that must not, as it does in many a tutorial."""
    if _ends_in_sigmoid(logits):
        raise UserError(
            f"recipe {recipe.name}: its discriminator ends in a sigmoid; leave it out: logits are wanted, numbers of "
            "any size that are positive for real, and the loss has the sigmoid"
        )
    if recipe.pixels[0] < 0 and _ends_in_sigmoid(images):
        raise UserError(
            f"recipe {recipe.name}: its generator ends in a sigmoid, which gives 0 to 1, and `pixels` are "
            f"{recipe.pixels}; end in nn.Tanh(), or say pixels=(0, 1)"
        )


def _ends_in_sigmoid(output: "Tensor") -> bool:
    """Whether what computed it last, but for its shape, was a sigmoid."""
    node: Any = output.grad_fn
    while node is not None and re.match("(Unsafe)?View|Reshape|Permute|Transpose|Clone|Unsqueeze|Squeeze", node.name()):
        node = node.next_functions[0][0]
    return node is not None and node.name().startswith("Sigmoid")


def _fits(who: str, found: Any, wanted: tuple[int, ...], given: str) -> None:
    shape = tuple(getattr(found, "shape", ()))
    if shape != wanted:
        square = len(shape) == len(wanted) == 4 and shape[:2] == wanted[:2] and shape[2] == shape[3] >= 8
        other = f", or `size` {shape[2]}" if square else ""
        raise UserError(f"{who} {shape or type(found).__name__} of {given}; it must be {wanted}{other}")


def _flows(who: str, output: "Tensor", wanted: "Iterable[Tensor]", what: str) -> None:
    """Raises UserError where no gradient flows from an output to any of these tensors."""
    import torch

    to = [each for each in wanted if each.requires_grad]
    slopes = torch.autograd.grad(output.sum(), to, retain_graph=True, allow_unused=True) if output.requires_grad else ()
    if all(each is None for each in slopes):
        raise UserError(f"{who}: no gradient flows from them to {what}; nothing would be learned")


def fitting(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """A recipe of one's own without what it has from its base alone and its networks cannot do.

    Kinds are told to generators of any number of latent coordinates and to discriminators that are chains, and packs
    judged by them; one pass for both players needs one that judges each image alone, without batch norm.
    """
    if recipe.name not in ENTRIES or not (recipe.kinds or recipe.one_pass or recipe.pack > 1):
        return recipe
    import torch

    from gansmith.nn.batch_norm import has_batch_norm

    said = {*ENTRIES[recipe.name].said, *(each.replace("-", "_").partition(".")[0] for each in changes)}
    with torch.random.fork_rng(devices=[]), blaming(OWN["name", recipe.name]):
        discriminator = ENTRIES[recipe.name].discriminator(recipe)
    left: dict[str, Any] = {}
    if chain(discriminator) is None or (recipe.kinds and not _widens(recipe)):
        left |= {name: nothing for name, nothing in (("kinds", 0), ("pack", 1)) if name not in said}
    if "one_pass" not in said and has_batch_norm(discriminator):
        left["one_pass"] = False
    return recipe.override(left) if left else recipe


def _widens(recipe: Recipe) -> bool:
    """Whether its generator takes as many latent coordinates as the recipe says, rather than a number of its own."""
    import torch

    from gansmith import recipes

    wider = recipe.noise.size + recipes.condition_size(recipe)
    noise = recipe.noise.model_copy(update={"size": wider})
    generator = ENTRIES[recipe.name].generator(recipe.model_copy(update={"noise": noise}))
    try:
        with torch.no_grad():
            generator(torch.zeros(2, wider))
    except RuntimeError:
        return False
    return True


def chain(discriminator: "nn.Module") -> "nn.Sequential | None":
    """A discriminator as a chain of layers that ends in a linear one to a single logit; None if it is none."""
    from torch import nn

    last = list(discriminator.children())[-1:]
    linear = isinstance(discriminator, nn.Sequential) and last and isinstance(last[0], nn.Linear)
    return discriminator if linear and last[0].out_features == 1 else None  # type: ignore[return-value]


def recipe_field(recipe: Recipe, dotted: str) -> Any:
    """The value of a field by its dotted name."""
    value: Any = recipe
    for part in dotted.split("."):
        value = getattr(value, part)
    return value


def _built(networks: Networks, recipe: Recipe, base: str, player: str) -> "nn.Module":
    from torch import nn

    from gansmith import recipes

    pair: Any = networks(recipe)
    pair = (None, None) if pair is None else pair
    if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(each, nn.Module | None) for each in pair):
        given = f"a tuple of {len(pair)}" if isinstance(pair, tuple) else type(pair).__name__
        raise UserError(
            f"recipe {recipe.name}: returns {given}; return (generator, discriminator), two nn.Modules, or None in the "
            "place of one for that of the base"
        )
    built: nn.Module | None = pair[0 if player == "generator" else 1]
    if built is None:
        built = getattr(recipes.entry(base), player)(recipe)
    return built


def _file_of(function: Callable[..., Any]) -> RecipeFile:
    """Where a function that was not loaded by :func:`load` is defined: a module's file, or a notebook's cell."""
    module = getattr(function, "__module__", None) or "__main__"
    try:
        path = Path(inspect.getsourcefile(function) or "").resolve(strict=True)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, TypeError):
        try:
            source = inspect.getsource(function)
        except (OSError, TypeError):
            source = ""
        return RecipeFile(name=module, path="", sha256=hashlib.sha256(source.encode()).hexdigest())
    top = module.partition(".")[0]
    package = next((_package(each) for each in entry_points(group=GROUP) if each.module.partition(".")[0] == top), "")
    return RecipeFile(name=module if package else path.stem, path=str(path), sha256=digest, package=package)
