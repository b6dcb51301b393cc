"""A run's folder to one report.html: everything to see, in one file that needs no network and no other file.

Each section is a function from the evidence to a :class:`Section`, or None where its part of the run is missing; the
page is the list :data:`SECTIONS`. To show more, write another such function and put it there.
"""

import functools
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from gansmith.errors import UserError
from gansmith.files import write_text
from gansmith.report.diagnosis import page_of_findings
from gansmith.report.html import MEDIA_TYPES, duration, flat, img, source_hash, table
from gansmith.report.quality import quality_page
from gansmith.runs import Run, rows

__all__ = ["SECTIONS", "Evidence", "Section", "write_report"]

ANIMATION_BYTES = 1_200_000  # a larger animation stays beside the page
SLIDES = 12
SLIDES_BYTES = 560_000


@dataclass(frozen=True)
class Evidence:
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
        """How far training is known to have come."""
        logged = [int(row.get("step", 0)) for row in (*self.metrics[-1:], *self.timing[-1:])]
        return max([*logged, *(step for step, _ in self.sheets[-1:])], default=0)

    @property
    def address(self) -> str:
        """The run as the command line finds it from the folder above `runs`: no path of this machine."""
        path = self.run.path.resolve()
        return f"{path.parent.name}/{path.name}"


@dataclass(frozen=True)
class Section:
    """A part of the page: its anchor, its heading, and its HTML."""

    anchor: str
    title: str
    html: str


def write_report(folder: Path) -> Path:
    """Writes `report.html` into a run's folder from what lies there, finished or not, and returns its path.

    The same folder gives the same bytes; an earlier report is replaced in one piece.
    """
    evidence = gather(folder)
    path = folder / "report.html"
    write_text(path, page(evidence))
    return path


def gather(folder: Path) -> Evidence:
    """Reads a run's folder."""
    run = Run(folder)
    named: dict[str, Any] = {name: _read(folder / f"{name}.json") for name in ("recipe", "data", "environment")}
    logs: dict[str, Any] = {name: _rows(folder / f"{name}.jsonl") for name in ("metrics", "timing")}
    return Evidence(run=run, settings=_read(folder / "run.json"), sheets=run.sheets(), **named, **logs)


def page(evidence: Evidence) -> str:
    """The whole document."""
    beside = resources.files("gansmith.report")
    css, script = (beside.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src {source_hash(css)}; script-src {source_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    sections = [section for make in SECTIONS if (section := make(evidence)) is not None]
    links = "".join(f'<a href="#{section.anchor}">{escape(section.title)}</a>\n' for section in sections)
    body = "\n".join(
        f'<section id="{section.anchor}" aria-labelledby="{section.anchor}-title">\n'
        f'<h2 id="{section.anchor}-title">{escape(section.title)}</h2>\n{section.html}\n</section>'
        for section in sections
    )
    name = escape(evidence.run.path.resolve().name)
    version = escape(str(evidence.environment.get("gansmith", "")))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name} - gansmith</title>
<link rel="icon" href="data:,">
<style>{css}</style>
</head>
<body>
<header>
<h1>{name}</h1>
{_headline(evidence)}
<nav aria-label="sections">
{links}</nav>
</header>
<main>
{body}
</main>
<footer class="quiet">Written by gansmith {version}. Everything on this page is inside this one file.</footer>
<script>{script}</script>
</body>
</html>
"""


def samples(evidence: Evidence) -> Section | None:
    """The final sheet beside the run's facts; while training goes on, the newest sheet."""
    step = f"{evidence.step:,}"
    image = img(evidence.run.path / "sheet.png", f"Sheet of images that the generator makes after {step} steps")
    told = f"Made by the generator after {step} steps, not chosen by hand."
    if not image and evidence.sheets:
        newest, path = evidence.sheets[-1]
        image = img(path, f"Sheet of 64 images that the generator made at step {newest:,}")
        told = f"The newest sheet of the fixed noise, at step {newest:,}."
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n" for name, value in _facts(evidence))
    figure = f"<figure>{image}<figcaption>{told}</figcaption></figure>" if image else ""
    if not figure and not facts:
        return None
    return Section("samples", "Samples", f'<div class="columns hero">{figure}\n<dl class="facts">\n{facts}</dl></div>')


def learning(evidence: Evidence) -> Section | None:
    """From noise to pictures: the step-by-step sheets under a slider, and the animation."""
    slides = "\n".join(
        f"<figure>{image}<figcaption>step {step:,}{' (untrained)' if step == 0 else ''}</figcaption></figure>"
        for step, image in _slides(evidence.sheets)
    )
    animation = _animation(evidence)
    if not slides and not animation:
        return None
    parts = [f'<div><h3>Step by step</h3>\n<div class="strip">\n{slides}\n</div></div>'] if slides else []
    parts += [f'<div class="moving"><h3>As it learned</h3>\n{animation}</div>'] if animation else []
    told = "The same 64 points of noise each time, so that each place shows how one image took shape."
    html = f'<p class="quiet">{told}</p>\n<div class="columns halves">{"".join(parts)}</div>'
    return Section("learning", "From noise", html)


def comparison(evidence: Evidence) -> Section | None:
    """Real beside generated."""
    image = img(
        evidence.run.path / "real-and-generated.png", "Two sheets: real images on the left, generated ones on the right"
    )
    if not image:
        return None
    told = "Look for what the generated ones lack: kinds that never come, strokes that break, images that repeat."
    return Section("comparison", "Real beside generated", f'<p class="quiet">{told}</p>\n<figure>{image}</figure>')


def quiz(evidence: Evidence) -> Section | None:
    """Real and generated images mixed, and the key, hidden until it is asked for."""
    folder = evidence.run.path
    image = img(folder / "quiz.png", "Sheet that mixes real and generated images")
    key = img(folder / "quiz-key.png", "The same sheet with the generated images outlined in red")
    if not image:
        return None
    told = "Some of these are real, some are forged. Decide before you look at the key."
    figure = f"<figure>{key}<figcaption>The forged ones are outlined in red.</figcaption></figure>"
    hidden = f"<details><summary>Show the key</summary>\n{figure}</details>" if key else ""
    return Section("quiz", "Can you tell?", f'<p class="quiet">{told}</p>\n<figure>{image}</figure>\n{hidden}')


def training(evidence: Evidence) -> Section | None:
    """The plots, each with how to read it and where it ended."""
    last = evidence.metrics[-1] if evidence.metrics else {}
    readings = {
        "losses": (
            "Losses",
            ("discriminator_loss", "generator_loss"),
            "The players pull against each other, so no curve falls to zero in a healthy run: both settle and tremble. "
            "A discriminator at zero beside a climbing generator means that one side has won.",
        ),
        "accuracies": (
            "Accuracies",
            ("discriminator_accuracy", "generator_accuracy"),
            "Discriminator: how often it tells real from generated. Generator: how often its images pass for real. "
            "At 0.5 the discriminator guesses.",
        ),
        "pixels": (
            "Pixels",
            ("pixel_mean", "pixel_std"),
            "Mean and standard deviation of generated pixels should come to lie on the dashed lines: the data's.",
        ),
    }
    parts = []
    for name, (title, keys, told) in readings.items():
        ends = [f"{key.replace('_', ' ')} {last[key]:.3g}" for key in keys if isinstance(last.get(key), float)]
        ended = f"At step {last.get('step', 0):,}: {', '.join(ends)}." if ends else ""
        image = img(evidence.run.path / f"{name}.png", f"Plot of {title.lower()} over the steps. {ended}", css="plot")
        if image:
            parts.append(
                f'<div class="columns reading"><figure>{image}</figure>\n'
                f"<div><h3>{title}</h3><p>{told}</p><p>{escape(ended)}</p></div></div>"
            )
    return Section("training", "How training went", "\n".join(parts)) if parts else None


def quality(evidence: Evidence) -> Section | None:
    """How far from real the images are: the curve of training, and the table of an evaluation."""
    html = quality_page(evidence.run)
    return Section("quality", "How close to real", html) if html else None


def diagnosis(evidence: Evidence) -> Section | None:
    """What the doctor says, and on what evidence."""
    said = page_of_findings(evidence.run)
    image = img(evidence.run.path / "doctor.png", "Plots of the signals that were looked at", css="plot")
    return Section("diagnosis", "Diagnosis", f"{said}\n<figure>{image}</figure>" if image else said) if said else None


def go_on(evidence: Evidence) -> Section | None:
    """The commands to go on with this run."""
    where, step = shlex.quote(evidence.address), evidence.step
    commands = []
    if (evidence.run.path / "checkpoints").is_dir():
        done = evidence.run.state == "finished"
        wish = "Train it further" if done else "Go on where it stopped; it continues bit for bit"
        commands.append((wish, f"gansmith train --resume {where}" + (f" --steps {2 * step}" if done and step else "")))
    if evidence.run.generator.is_dir() or commands:
        load = f"gs.load({json.dumps(evidence.address, ensure_ascii=False)})"
        python = f'import gansmith as gs\n\n{load}.sample(64, seed=1).save("more.png")'
        commands.append(("Make more images", f"gansmith sample {where} -n 64 --seed 1 -o more.png"))
        commands.append(("The same from Python", python))
    html = "\n".join(
        f"<h3>{escape(told)}</h3>\n<pre><code>{escape(command)}</code></pre>" for told, command in commands
    )
    told = '<p class="quiet">From the folder in which the run was trained:</p>'
    return Section("go-on", "Go on", f"{told}\n{html}") if commands else None


def record(evidence: Evidence) -> Section | None:
    """What decided the run: recipe, settings, data and environment, as tables to unfold."""
    tables = {
        "Recipe": evidence.recipe,
        "Run": evidence.settings,
        "Data": evidence.data,
        "Environment": evidence.environment,
    }
    html = "\n".join(
        f'<details><summary>{title}</summary>\n<div class="scroll">{table(flat(values))}</div></details>'
        for title, values in tables.items()
        if values
    )
    return Section("record", "Record", html) if html else None


Maker = Callable[[Evidence], Section | None]
SECTIONS: tuple[Maker, ...] = (samples, learning, comparison, quiz, quality, training, diagnosis, go_on, record)


def _headline(evidence: Evidence) -> str:
    """One sentence; and how the run ended, unless all went well."""
    recipe, data = (escape(str(values.get("name", "?"))) for values in (evidence.recipe, evidence.data))
    sentence = f"<p>Recipe <b>{recipe}</b> trained on <b>{data}</b> for {evidence.step:,} steps.</p>"
    planned = evidence.settings.get("steps")
    of = f" of {planned:,}" if isinstance(planned, int) and evidence.settings.get("minutes") is None else ""
    notes = {
        "unfinished": f"This run has not ended: it is at step {evidence.step:,}{of}. Here is what is there so far.",
        "interrupted": f"This run was interrupted at step {evidence.step:,}{of}, and can go on from there.",
        "diverged": f"Training diverged after step {evidence.step:,}{of}: a number was no longer finite. A lower "
        "learning rate is the first thing to try.",
    }
    note = notes.get(evidence.run.state)
    return sentence + (f'\n<p class="state">{note}</p>' if note else "")


def _facts(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """The run in a few words: (name, value), only those known."""
    data, recipe, settings = evidence.data, evidence.recipe, evidence.settings
    if data:
        count, shape = data.get("count"), data.get("shape")
        images = f", {count:,} images" if isinstance(count, int) else ""
        size = f" of {' x '.join(map(str, shape[1:]))}" if isinstance(shape, list) and images else ""
        yield "data", f"{data.get('name', '?')}{images}{size}"
    if recipe:
        yield "recipe", str(recipe.get("name", "?"))
    yield "steps", f"{evidence.step:,}"
    batch = recipe.get("batch_size")
    if isinstance(batch, int):
        yield "images seen", f"{evidence.step * batch:,} in batches of {batch:,}"
    if "seed" in settings:
        yield "seed", str(settings["seed"])
    for name in ("device", "precision", "threads", "layers"):
        value = evidence.environment.get(name, settings.get(name))
        if value is not None:
            yield name, str(value)
    if evidence.timing and isinstance(evidence.timing[-1].get("seconds"), int | float):
        seconds = float(evidence.timing[-1]["seconds"])
        rate = f", {evidence.step * batch / seconds:,.0f} images/s" if isinstance(batch, int) and seconds else ""
        yield "training time", duration(seconds) + rate


def _slides(sheets: Sequence[tuple[int, Path]]) -> list[tuple[int, str]]:
    """Sheets evenly chosen, first and last among them, as many as the page can carry."""
    encode = functools.cache(img)
    chosen: list[tuple[int, str]] = []
    for count in range(min(SLIDES, len(sheets)), 0, -1):
        places = [round(i * (len(sheets) - 1) / max(1, count - 1)) for i in range(count)]
        some = [sheets[place] for place in places]
        pictures = [(step, encode(path, f"64 images of the same noise at step {step:,}")) for step, path in some]
        chosen = [(step, picture) for step, picture in pictures if picture]
        if count <= 4 or sum(len(picture) for _, picture in chosen) <= SLIDES_BYTES * 4 / 3:
            break
    return chosen


def _animation(evidence: Evidence) -> str:
    name = str(evidence.settings.get("animation", "samples.webp"))
    path = evidence.run.path / Path(name).name
    if not path.is_file() or path.suffix.lower() not in MEDIA_TYPES:
        return ""
    if path.stat().st_size > ANIMATION_BYTES:
        return f"<p>It is too large for this page; <code>{escape(path.name)}</code> in the run's folder shows it.</p>"
    image = img(path, "Animation of the sheets of the same noise, from the first step to the last", as_is=True)
    return f"<figure>{image}</figure>" if image else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, UserError):
        return {}
    return value if isinstance(value, dict) else {}


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return [row for row in rows(path) if isinstance(row, dict)]
    except (OSError, UserError):
        return []
