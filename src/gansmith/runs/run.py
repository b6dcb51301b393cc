"""The run folder: its name and its files. Everything a run leaves is found through a :class:`Run`."""

import hashlib
import json
import math
import os
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from gansmith import markup
from gansmith.errors import UserError
from gansmith.files import read_json, read_text, write_text
from gansmith.recipe import Recipe, Value, changed_since, explain, from_json, where_missing
from gansmith.runs import fetching
from gansmith.text import one_line, printable
from gansmith.training.options import Settings

FORMAT = 1
COLUMNS: Mapping[str, Collection[str]] = {
    "metrics.jsonl": (
        *(f"{player}_{name}" for player in ("discriminator", "generator") for name in ("loss", "accuracy")),
        "pixel_mean",
        "pixel_std",
    ),
    "timing.jsonl": ("seconds", "images_per_second"),
    "quality.jsonl": ("fd",),
    "signals.jsonl": (),
}
"""The logs of a training, and the columns beside the step without which a row of each is damaged."""
if TYPE_CHECKING:
    from gansmith.generator import Samples

V = TypeVar("V", bound=Value)


class DataFacts(Value):
    """data.json: which data a run trains on, and what they looked like."""

    name: str
    source: str
    fit: Literal["crop", "pad"]
    fingerprint: str
    count: int = Field(ge=1)
    test_count: int | None
    test_fingerprint: str | None = None
    """None where there is no test split of the shape, and in runs from before it was kept."""
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    class_counts: tuple[int, ...] = ()
    """Images of each class; empty without labels, and in runs from before they were counted."""
    pixel_mean: float
    pixel_std: float


@dataclass(frozen=True)
class Run:
    """One training run on disk: ``runs/mnist-mlp-001``."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @cached_property
    def settings(self) -> Settings:
        """run.json: seed, steps or minutes, intervals, device, precision, threads."""
        return _read_value(Settings, self.path / "run.json")

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe it trains."""
        from gansmith import recipes

        try:
            recipe = from_json(read_text(self.path / "recipe.json"))
            recipes.entry(recipe.name)
        except UserError as error:
            raise UserError(f"{self.path / 'recipe.json'}: {self._missing() or error}") from None
        for file in changed_since(self.settings.recipes) if recipe.files else ():
            warnings.warn(f"{file.where} changed since {self.name} was trained with it", stacklevel=1)
        return recipe

    def _missing(self) -> str:
        """Which file of the user's own has to be loaded, where that is known."""
        with suppress(UserError):
            return where_missing(self.settings.recipes)
        return ""

    @property
    def recipe_name(self) -> str:
        """The name of its recipe, which may be one whose file is not loaded."""
        name = read_json(self.path / "recipe.json").get("name")
        if not isinstance(name, str):
            raise UserError(f"{self.path / 'recipe.json'}: name is missing; the run is damaged")
        return name

    @cached_property
    def data(self) -> DataFacts:
        """data.json: the data set's name, source, fingerprint, counts."""
        return _read_value(DataFacts, self.path / "data.json")

    @cached_property
    def identity(self) -> dict[str, str | int]:
        """What ties checkpoints to a run: its recipe (a digest, without the length), seed, data (a fingerprint), and
        the digest of the networks that it began with, if they were trained before.
        """
        trained = self.recipe.model_dump_json(exclude_defaults=True, exclude={"steps", "statistics"})
        recipe = hashlib.sha256(trained.encode()).hexdigest()[:16]
        origin = {} if self.settings.origin is None else {"origin": self.settings.origin.digest}
        return {"recipe": recipe, "seed": self.settings.seed, "data": self.data.fingerprint, **origin}

    @property
    def checkpoints(self) -> Path:
        """Where its checkpoints are."""
        return self.path / "checkpoints"

    @property
    def generator(self) -> Path:
        """Where the exported generator is, once there is one."""
        return self.path / "generator"

    @property
    def finished(self) -> bool:
        """Whether training reached its end and everything was drawn."""
        return (self.path / "report.html").exists() and self.state == "finished"

    @property
    def state(self) -> str:
        """ "finished", "interrupted", "diverged", or "unfinished" for a run that was killed or still trains."""
        path = self.path / "state.txt"
        return read_text(path).strip() if path.exists() else "unfinished"

    def mark(self, state: str) -> None:
        """Notes how training ended."""
        write_text(self.path / "state.txt", state + "\n")

    def metrics(self) -> list[dict[str, float]]:
        """All logged rows, oldest first; a torn last line is left out."""
        return list(rows(self.path / "metrics.jsonl"))

    def quality(self) -> list[dict[str, float]]:
        """What was measured while it trained, oldest first: rows with step and fd, the Frechet distance."""
        return [row for row in rows(self.path / "quality.jsonl") if _is_measured(row)]

    def best(self, *, saving: int | None = None) -> tuple[int, float] | None:
        """(step, Frechet distance) of the best measured checkpoint that is there, or is being saved now."""
        matches = (re.fullmatch(r"step-(\d+)", path.name) for path in self.checkpoints.glob("step-*"))
        there = {saving, *(int(match[1]) for match in matches if match)}
        found = [(float(row["fd"]), int(row["step"])) for row in self.quality() if row["step"] in there]
        return None if not found else (min(found)[1], min(found)[0])

    def sheets(self) -> list[tuple[int, Path]]:
        """(step, file) of each sheet of the fixed noise, in order."""
        found = ((re.fullmatch(r"step-(\d+)\.png", path.name), path) for path in (self.path / "samples").glob("*.png"))
        return sorted((int(match[1]), path) for match, path in found if match)

    def sample(self, n: int = 64, *, seed: int = 0, start: int = 0, label: Any = None) -> "Samples":
        """Images of its generator, as :meth:`gansmith.Generator.sample` makes them.

        Raises UserError, in one line, where there is no generator yet.
        """
        from gansmith.runs.load import load

        return load(self).sample(n, seed=seed, start=start, label=label)

    def _repr_png_(self) -> bytes | None:
        sheet = self.path / "sheet.png"
        return sheet.read_bytes() if sheet.exists() else None

    def _repr_html_(self) -> str:
        """State, quality, and the sheet where there is one."""
        from gansmith.runs import quality

        known, sheet = quality.known(self), self.path / "sheet.png"
        lines = [f"{self.data.name}, {self.recipe_name}: {self.state}", known.sentence if known else "not measured"]
        drawn = markup.picture(sheet.read_bytes(), alt=f"images of {self.name}") if sheet.exists() else ""
        return markup.block(markup.line(self.path, strong=True), *map(markup.line, lines), drawn)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.recipe_name}, {self.state})"


def create(out: Path, data: str, recipe: str) -> Run:
    """A new folder ``out/<data>-<recipe>-NNN`` with the next free number.

    Raises UserError when ``out`` cannot be written.
    """
    stem = f"{data}-{recipe}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        number = max(_numbers(out, stem), default=0) + 1
        while True:
            path = out / f"{stem}-{number:03d}"
            try:
                path.mkdir()
                return Run(path)
            except FileExistsError:
                if not path.is_dir():
                    raise
                number += 1
    except OSError as error:
        raise UserError(f"`out` {out}: cannot be written ({error.strerror}); name another folder") from None


def point_last(run: Run) -> None:
    """Makes ``last`` beside the run name it: a symbolic link, or a text file where links are not allowed.

    Raises UserError when a folder is in the way.
    """
    last, fresh = run.path.parent / "last", run.path.parent / f".last-{os.getpid()}"
    if last.is_dir() and not last.is_symlink():
        raise UserError(f"{last}: is a folder, and in the way of the link to the newest run; give it another name")
    try:
        fresh.unlink(missing_ok=True)
        try:
            fresh.symlink_to(run.name, target_is_directory=True)
        except OSError:
            fresh.write_text(run.name)
        fresh.replace(last)
    finally:
        fresh.unlink(missing_ok=True)


PRETRAINED = Path(__file__).parents[1] / "pretrained"
"""Generators that come with gansmith, each an exported folder; benchmarks/pretrained.py makes them."""


def pretrained() -> list[str]:
    """The names of the generators that come with gansmith."""
    return sorted(path.parent.name for path in PRETRAINED.glob("*/model.safetensors"))


def exported(where: str | Path, *, out: str | Path = "runs") -> Path | None:
    """The folder of the exported generator that ``where`` means: its path, hf://user/name, or a pretrained one's name.

    None for anything else. A file, a folder or a run of the same name comes before a pretrained one.
    """
    if isinstance(where, str) and where.startswith(fetching.PREFIX):
        return fetching.fetch(where)
    path = Path(where)
    try:
        if (path / "model.safetensors").is_file():
            return path
        if not isinstance(where, str) or where not in pretrained() or path.exists() or (Path(out) / where).exists():
            return None
    except (OSError, ValueError):  # no name of a file
        return None
    return PRETRAINED / where


def find(where: str | Path, *, out: str | Path = "runs") -> Run:
    """The run that ``where`` means: a folder, a name under ``out``, or "last".

    Raises:
        UserError: one line: no such run, not a run's folder, or one of another version.
    """
    for each in (where, out):
        if not isinstance(each, str | Path):
            raise UserError(f"run {' '.join(repr(each).split())[:60]}: give a folder, a run's name, or last")
    try:
        run = _named(Path(where), Path(out))
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"no run {printable(str(where))[:80]}; it is no name of a file ({one_line(error)})") from None
    if not (run.path / "run.json").exists():
        raise UserError(f"{run.path} is not a run's folder (it has no run.json)")
    found = read_json(run.path / "run.json").get("format")
    if found != FORMAT:
        raise UserError(f"{run.path} was written in format {found}; this gansmith reads format {FORMAT}")
    return run


def name_of(where: "str | Path | Run", *, out: str | Path = "runs") -> str:
    """What a generator is called, however it is reached: its run's own name, also for "last"; else its folder's."""
    if isinstance(where, Run):
        return where.name
    try:
        return find(where, out=out).name
    except UserError:
        return Path(where).name


def _named(where: Path, out: Path) -> Run:
    """The folder that a name means, whatever is in it. Raises UserError when there is none."""
    for path in (where, out / where):
        if path.is_file() and path.name == "last":
            path = path.parent / read_text(path).strip()
        if path.is_dir():
            return Run(path.parent / path.readlink() if path.is_symlink() else path)
    have = [run.name for run in every(out)]
    hint = f"there are {', '.join(have[-4:])}" if have else f"there are none in {out} yet; `gansmith train` makes one"
    if str(where).startswith("hf:"):
        hint = f"a generator on the hub has no training to look at; {hint}"
    if str(where) in pretrained():
        hint = f"the pretrained generator of this name has no training to look at; {hint}"
    raise UserError(f"no run {printable(str(where))}; {hint}")


def every(out: Path) -> Iterator[Run]:
    """All runs in a folder, by name."""
    if out.is_dir():
        for path in sorted(out.iterdir()):
            if not path.is_symlink() and (path / "run.json").is_file():
                yield Run(path)


def _numbers(out: Path, stem: str) -> Iterator[int]:
    for path in out.glob(f"{stem}-*"):
        tail = path.name[len(stem) + 1 :]
        if re.fullmatch("[0-9]{1,9}", tail):
            yield int(tail)


def _read_value(kind: type[V], path: Path) -> V:
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        raise UserError(f"{path}: {explain(error)}; the run is damaged") from None


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON-lines file. Damaged lines are left out, and one warning names the file and the lines.

    A row has a step; those of a log of :data:`COLUMNS` have its columns, and numbers alone. A last line without an end
    is what a killed training leaves behind: it is left out silently.
    """
    if not path.exists():
        return
    damaged = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            row = row_of(line, path.name)
            if row is not None:
                yield row
            elif line.endswith(b"\n"):
                damaged.append(str(number))
    if damaged:
        some = ", ".join(damaged[:5]) + (" and more" if len(damaged) > 5 else "")
        warnings.warn(f"{path}: damaged lines are left out: {some}", stacklevel=1)  # 1: the same text is shown once


def row_of(line: bytes, log: str) -> dict[str, Any] | None:
    """A line as a row of the log of this name; None for a damaged one."""
    needed = COLUMNS.get(log)
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("step"), int) or not _is_number(row["step"]):
        return None
    if needed is not None and not (row.keys() >= set(needed) and all(map(_is_number, row.values()))):
        return None
    return row


def _is_number(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)


def _is_measured(row: Mapping[str, Any]) -> bool:
    return math.isfinite(row["fd"])
