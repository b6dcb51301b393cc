"""What can be trained on and with: data by id, recipes, and requests in words of a form."""

import hashlib
import itertools
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from json import loads
from pathlib import Path
from shlex import split
from typing import Any

from gansmith import recipes
from gansmith.data import naming
from gansmith.errors import UserError
from gansmith.recipe import fields
from gansmith.runs import Run
from gansmith.studio.desk import Desk
from gansmith.text import flat, printable

FILES = (".zip", ".npz", ".npy", ".parquet", ".csv")
"""Files that hold data sets, as the lists of the pages show them."""
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", "-ubyte", "-ubyte.gz")
LOOKED_AT = 40
"""Entries of a folder that tell whether it holds pictures."""
MOST_LISTED = 200
MOST_FILES, MOST_UNPACKED = 200_000, 4 << 30
"""Of an uploaded zip: files, and bytes that they claim to hold."""
TRAINING = ("seed", "steps", "minutes")
"""Options of training that a form, or a remedy, may set."""


@dataclass(frozen=True)
class Choice:
    """A data set that can be chosen."""

    id: str
    name: str
    source: str
    """What :func:`gansmith.data.load` takes."""
    kind: str
    """ "shipped", "uploaded" or "folder"."""


def data(desk: Desk) -> Iterator[Choice]:
    """All data sets that can be chosen."""
    for name in naming.names():
        yield Choice(name, name, name, "shipped")
    for folder in _folders(desk.own / "data"):
        for path in _entries(folder):
            yield Choice(f"up-{folder.name}", path.name, str(path), "uploaded")
    for folder in desk.data:
        for path in _entries(folder):
            if path != desk.out:
                digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
                yield Choice(f"at-{digest}", printable(path.name), str(path), "folder")


def chosen(desk: Desk, data_id: str) -> Choice:
    """The data set of an id. Raises UserError where there is none."""
    for each in data(desk):
        if each.id == data_id:
            return each
    raise UserError(f"there are no data {printable(data_id)[:80]}; choose another data set")


def of_source(desk: Desk, source: str) -> Choice | None:
    """The choice that stands for a run's data; None where these cannot be chosen here."""
    return next((each for each in data(desk) if each.source == source), None)


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []


def _entries(folder: Path) -> Iterator[Path]:
    """What may be a data set: folders, and files of known kinds; nothing hidden, and no links."""
    try:
        found = sorted(folder.iterdir())[:MOST_LISTED]
    except OSError:
        return
    for path in found:
        if path.name.startswith((".", "_")) or path.is_symlink():
            continue
        if path.suffix.lower() in FILES or _holds_images(path):
            yield path


def _holds_images(folder: Path, depth: int = 1) -> bool:
    """Whether pictures, or IDX files, lie in a folder or in one of its own; the first few entries tell."""
    if not folder.is_dir() or (folder / "run.json").exists():
        return False
    try:
        with os.scandir(folder) as entries:
            first = list(itertools.islice(entries, LOOKED_AT))
    except OSError:
        return False
    if any(each.name.lower().endswith(PICTURES) and each.is_file() for each in first):
        return True
    inner = [Path(each.path) for each in first if each.is_dir(follow_symlinks=False) and not each.name.startswith(".")]
    return depth > 0 and any(_holds_images(each, depth - 1) for each in inner)


def check_zip(path: Path, name: str) -> None:
    """Refuses an uploaded zip of too many files, or of too much. Raises UserError.

    Whether images in it are too large, or bombs, is seen where they are read, for the size that a zip claims may lie.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        raise UserError(f"{name}: is no whole zip; make it again") from None
    if len(members) > MOST_FILES:
        raise UserError(
            f"{name}: {len(members):,} files; at most {MOST_FILES:,} can be uploaded, give the folder instead"
        )
    if sum(member.file_size for member in members) > MOST_UNPACKED:
        raise UserError(f"{name}: unpacks to more than {MOST_UNPACKED >> 30} GiB; give the folder instead")


def changes(words: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(options of training, changes to the recipe) of names with values. Raises UserError for a name unknown."""
    known = dict(fields())
    options, overrides = {}, {}
    for name, value in words.items():
        if name in TRAINING:
            if value is not None:
                options[name] = value
        elif name in known:
            overrides[name] = value
        else:
            raise UserError(f"{printable(name)[:60]}: neither an option of training nor a field of a recipe")
    return options, overrides


def again(desk: Desk, run: Run) -> dict[str, Any]:
    """The request of a form that repeats a run. Raises UserError where its data cannot be chosen here."""
    choice = of_source(desk, run.data.source)
    if choice is None:
        raise UserError(f"the data of {run.name} are not among those that can be chosen here; start it in a terminal")
    origin = run.settings.origin
    return {
        "data": choice.id,
        "from_run": None if origin is None or not (desk.out / origin.run).is_dir() else origin.run,
        "recipe": run.recipe.name,
        "conditional": False if run.recipe.conditional == "none" else run.recipe.conditional,
        "options": {**_length(run), "seed": run.settings.seed, **differences(run)},
    }


def _length(run: Run) -> dict[str, Any]:
    settings = run.settings
    return {"steps": settings.steps} if settings.minutes is None else {"minutes": settings.minutes}


def differences(run: Run) -> dict[str, Any]:
    """The fields of a run's recipe that are not as the recipe is published, but for what data and length decide."""
    decided = {"name", "steps", "classes", "channels", "kinds", "conditional"}
    now, published = (flat(recipe.model_dump(mode="json")) for recipe in (run.recipe, recipes.get(run.recipe.name)))
    return {k: v for k, v in now.items() if k not in decided and published.get(k) != v}


def of_remedy(remedy: str) -> dict[str, Any]:
    """What the flags of a remedy change: {"recipe": ..., "conditional": ..., "options": {...}}."""
    found: dict[str, Any] = {"options": {}}
    words = split(remedy)
    while words:
        name = words.pop(0).removeprefix("--").replace("-", "_")
        values = []
        while words and not words[0].startswith("--"):
            values.append(words.pop(0))
        if name == "recipe":
            found["recipe"] = values[0]
        elif name == "conditional":
            found["conditional"] = values[0] if values else "projection"
        else:
            found["options"][name] = _value(values[0]) if len(values) == 1 else [_value(each) for each in values]
    return found


def _value(word: str) -> Any:
    """A word of the command line as JSON would say it."""
    try:
        return loads(word)
    except ValueError:
        return word


def listed() -> list[dict[str, Any]]:
    """The recipes, as a form shows them."""
    from gansmith.recipes.own import load_installed

    load_installed()
    rows = []
    for name in recipes.names():
        entry = recipes.entry(name)
        generator, discriminator = recipes.counted(name)[1] or (None, None)
        rows.append(
            {
                "name": name,
                "note": entry.note,
                "author": entry.author,
                "year": entry.year,
                "steps": entry.recipe.steps,
                "batch_size": entry.recipe.batch_size,
                "generator": generator,
                "discriminator": discriminator,
            }
        )
    return rows
