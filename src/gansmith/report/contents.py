"""What a run's report shows, as plain values read from the run's folder; whatever is missing or damaged is left out."""

import functools
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gansmith.errors import UserError
from gansmith.files import read_json
from gansmith.report import diagnosis, quality
from gansmith.report.pictures import MEDIA_TYPES, Picture, embed
from gansmith.runs import Run, rows
from gansmith.text import duration

ANIMATION_BYTES = 1_200_000
"""A larger animation stays beside the page."""
SLIDES = 12
SLIDES_BYTES = 560_000

TITLES = {
    "samples": "Samples",
    "progress": "From noise",
    "comparison": "Real beside generated",
    "quiz": "Can you tell?",
    "quality": "How close to real",
    "training": "How training went",
    "diagnosis": "Diagnosis",
    "commands": "Go on",
    "record": "Record",
}
"""The sections in their order: field of :class:`RunPage`, heading."""


@dataclass(frozen=True)
class Samples:
    """A sheet of images beside the run's facts."""

    picture: Picture | None
    caption: str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Progress:
    """The same latents while training: (step, sheet) for some steps, and an animation or the file of a large one."""

    slides: Sequence[tuple[int, Picture]]
    animation: Picture | None
    file: str


@dataclass(frozen=True)
class Quiz:
    """Real and generated images mixed, and which is which."""

    sheet: Picture
    key: Picture | None


@dataclass(frozen=True)
class Plot:
    """A plot of training, how to read it, and where it ended."""

    title: str
    meaning: str
    last: str
    picture: Picture


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """Everything that a run's report shows; a section that is None or empty is left out."""

    name: str
    version: str
    recipe: str
    data: str
    step: int
    note: str
    """How the run ended, unless all went well."""
    samples: Samples | None
    progress: Progress | None
    comparison: Picture | None
    quiz: Quiz | None
    quality: quality.Quality | None
    training: Sequence[Plot]
    diagnosis: diagnosis.Diagnosis | None
    commands: Mapping[str, str]
    record: Mapping[str, Mapping[str, str]]

    @property
    def sections(self) -> list[tuple[str, str]]:
        """(field, heading) of the sections that there are."""
        return [(field, title) for field, title in TITLES.items() if getattr(self, field)]

    @property
    def verdicts(self) -> dict[str, str]:
        """The run in two sentences: how near to real its images are, and how training went."""
        return {
            "quality": (self.quality and self.quality.words) or "not measured yet",
            "training": self.diagnosis.verdict if self.diagnosis else "Too early to say.",
        }


@dataclass(frozen=True)
class _Folder:
    """What a run's folder holds now; whatever is missing or unreadable is empty."""

    run: Run
    settings: Mapping[str, Any]
    recipe: Mapping[str, Any]
    data: Mapping[str, Any]
    environment: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    timing: Sequence[Mapping[str, Any]]
    sheets: Sequence[tuple[int, Path]]

    @property
    def step(self) -> int:
        """The last step that left a trace."""
        logged = [row["step"] for row in (*self.metrics[-1:], *self.timing[-1:])]
        return max([*logged, *(step for step, _ in self.sheets[-1:])], default=0)

    def embed(self, name: str, alt: str) -> Picture | None:
        """A picture of the folder."""
        return embed(self.run.path / name, alt)


def gather(path: Path) -> RunPage:
    """Reads a run's folder."""
    run = Run(path)
    names = {"settings": "run", "recipe": "recipe", "data": "data", "environment": "environment"}
    values = {key: _read(path / f"{name}.json") for key, name in names.items()}
    logs = {name: _rows(path / f"{name}.jsonl") for name in ("metrics", "timing")}
    folder = _Folder(run=run, sheets=run.sheets(), **values, **logs)  # type: ignore[arg-type]
    record = {
        "Recipe": folder.recipe,
        "Run": folder.settings,
        "Data": folder.data,
        "Environment": folder.environment,
    }
    return RunPage(
        name=path.resolve().name,
        version=str(folder.environment.get("gansmith", "")),
        recipe=str(folder.recipe.get("name", "?")),
        data=str(folder.data.get("name", "?")),
        step=folder.step,
        note=_note(folder),
        samples=_samples(folder),
        progress=_progress(folder),
        comparison=folder.embed(
            "real-and-generated.png", "Two sheets: real images on the left, generated ones on the right"
        ),
        quiz=_quiz(folder),
        quality=quality.read(run),
        training=list(_training(folder)),
        diagnosis=diagnosis.read(run),
        commands=dict(_commands(folder)),
        record={title: flat(values) for title, values in record.items() if values},
    )


def _note(folder: _Folder) -> str:
    planned = folder.settings.get("steps")
    of = f" of {planned:,}" if isinstance(planned, int) and folder.settings.get("minutes") is None else ""
    notes = {
        "unfinished": f"This run has not ended: it is at step {folder.step:,}{of}. Here is what is there so far.",
        "interrupted": f"This run was interrupted at step {folder.step:,}{of}, and can go on from there.",
        "diverged": f"Training diverged after step {folder.step:,}{of}: a number was no longer finite. A lower "
        "learning rate is the first thing to try.",
    }
    return notes.get(folder.run.state, "")


def _samples(folder: _Folder) -> Samples | None:
    """The final sheet beside the run's facts; while training goes on, the newest sheet."""
    picture = folder.embed("sheet.png", f"Sheet of images that the generator makes after {folder.step:,} steps")
    caption = f"Made by the generator after {folder.step:,} steps. Uncurated."
    if picture is None and folder.sheets:
        newest, path = folder.sheets[-1]
        picture = embed(path, f"Sheet of 64 images that the generator made at step {newest:,}")
        caption = f"The newest sheet of the fixed latents, at step {newest:,}."
    facts = dict(_facts(folder))
    return Samples(picture, caption, facts) if picture or facts else None


def _facts(folder: _Folder) -> Iterator[tuple[str, str]]:
    """The run in a few words: (name, value), only those known."""
    data, recipe, settings = folder.data, folder.recipe, folder.settings
    if data:
        count, shape = data.get("count"), data.get("shape")
        images = f", {count:,} images" if isinstance(count, int) else ""
        size = f" of {' x '.join(map(str, shape[1:]))}" if isinstance(shape, list) and images else ""
        yield "data", f"{data.get('name', '?')}{images}{size}"
    if recipe:
        yield "recipe", str(recipe.get("name", "?"))
    yield "steps", f"{folder.step:,}"
    batch = recipe.get("batch_size")
    if isinstance(batch, int):
        yield "images seen", f"{folder.step * batch:,} in batches of {batch:,}"
    origin = settings.get("origin")
    if isinstance(origin, Mapping):
        yield "began from", f"{origin.get('run')}, step {origin.get('step')} ({str(origin.get('digest'))[:6]})"
    if "seed" in settings:
        yield "seed", str(settings["seed"])
    for name in ("device", "precision", "threads"):
        value = folder.environment.get(name, settings.get(name))
        if value is not None:
            yield name, str(value)
    if folder.timing and isinstance(folder.timing[-1].get("seconds"), int | float):
        seconds = float(folder.timing[-1]["seconds"])
        rate = f", {folder.step * batch / seconds:,.0f} images/s" if isinstance(batch, int) and seconds else ""
        yield "training time", duration(seconds) + rate


def _progress(folder: _Folder) -> Progress | None:
    """The sheets of the fixed latents, and the animation unless it is too large."""
    slides = _slides(folder.sheets)
    path = folder.run.path / Path(str(folder.settings.get("animation", "samples.webp"))).name
    there = path.is_file() and path.suffix.lower() in MEDIA_TYPES
    too_large = there and path.stat().st_size > ANIMATION_BYTES
    alt = "Animation of the sheets of the same latents, from the first step to the last"
    animation = embed(path, alt, as_is=True) if there and not too_large else None
    file = path.name if too_large else ""
    return Progress(slides, animation, file) if slides or animation or file else None


def _slides(sheets: Sequence[tuple[int, Path]]) -> list[tuple[int, Picture]]:
    """Sheets evenly chosen, first and last among them, as many as the page can carry."""
    read = functools.cache(embed)
    chosen: list[tuple[int, Picture]] = []
    for count in range(min(SLIDES, len(sheets)), 0, -1):
        places = [round(i * (len(sheets) - 1) / max(1, count - 1)) for i in range(count)]
        some = [sheets[place] for place in places]
        pictures = [(step, read(path, f"64 images of the same latents at step {step:,}")) for step, path in some]
        chosen = [(step, picture) for step, picture in pictures if picture]
        if count <= 4 or sum(len(picture.source) for _, picture in chosen) <= SLIDES_BYTES * 4 / 3:
            break
    return chosen


def _quiz(folder: _Folder) -> Quiz | None:
    sheet = folder.embed("quiz.png", "Sheet that mixes real and generated images")
    key = folder.embed("quiz-key.png", "The same sheet with the generated images outlined in red")
    return Quiz(sheet, key) if sheet else None


def _training(folder: _Folder) -> Iterator[Plot]:
    last = folder.metrics[-1] if folder.metrics else {}
    plots = {
        "losses": (
            "Losses",
            ("discriminator_loss", "generator_loss"),
            "The two networks work against each other, so no curve falls to zero in a healthy run: both settle and "
            "fluctuate. A discriminator at zero beside a climbing generator means that one side has won.",
        ),
        "accuracies": (
            "Accuracies",
            ("discriminator_accuracy", "generator_accuracy"),
            "Discriminator: the share of images that it classifies correctly as real or generated. Generator: the "
            "share of its images that pass for real. At 0.5 the discriminator guesses.",
        ),
        "pixels": (
            "Pixels",
            ("pixel_mean", "pixel_std"),
            "Mean and standard deviation of generated pixels should approach the dashed lines: those of the data.",
        ),
    }
    for name, (title, keys, meaning) in plots.items():
        ends = [f"{key.replace('_', ' ')} {last[key]:.3g}" for key in keys if isinstance(last.get(key), float)]
        ended = f"At step {last['step']:,}: {', '.join(ends)}." if ends else ""
        picture = folder.embed(f"{name}.png", f"Plot of {title.lower()} over the steps. {ended}")
        if picture:
            yield Plot(title, meaning, ended, picture)


def _commands(folder: _Folder) -> Iterator[tuple[str, str]]:
    """(purpose, command) to go on with this run, as seen from the folder above `runs`: no path of this machine."""
    path, step = folder.run.path.resolve(), folder.step
    address = f"{path.parent.name}/{path.name}"
    where = shlex.quote(address)
    resumable = folder.run.checkpoints.is_dir()
    if resumable:
        done = folder.run.state == "finished"
        purpose = "Train it further" if done else "Resume where it stopped; the result is the same bit for bit"
        yield purpose, f"gansmith train --resume {where}" + (f" --steps {2 * step}" if done and step else "")
    if resumable or folder.run.generator.is_dir():
        yield "Make more images", f"gansmith sample {where} -n 64 --seed 1 -o more.png"
        yield "Measure how close to real they are", f"gansmith evaluate {where}"
        load = f"gs.load({json.dumps(address, ensure_ascii=False)})"
        yield "Make images from Python", f'import gansmith as gs\n\n{load}.sample(64, seed=1).save("more.png")'


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as `generator_optimizer.lr: 0.001`; of a path, only its last part."""
    flattened: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flattened |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            first = ", ".join(map(str, value[:20]))
            flattened[prefix + name] = first + (f", ... ({len(value):,} in all)" if len(value) > 20 else "")
        elif isinstance(value, str) and Path(value).is_absolute():
            flattened[prefix + name] = Path(value).name
        else:
            flattened[prefix + name] = (
                value if isinstance(value, str) else "none" if value is None else json.dumps(value)
            )
    return flattened


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except UserError:
        return {}


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return list(rows(path))
    except OSError:
        return []
