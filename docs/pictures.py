"""Makes the pictures of docs/ from a run, in docs/images.

`python docs/pictures.py RUN NAME` writes a lesson's NAME-progress.png, `python docs/pictures.py RUN explore` those of
docs/explore.md, `python docs/pictures.py RUN conditional` that of docs/conditional.md, `... RUNS recipes` that of
docs/recipes.md, of the folder that benchmarks/recipes.py fills, `... TITLE=FOLDER;... colour` that of docs/house.md,
of folders that `python -m benchmarks.quality` writes.
"""

import shlex
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import gansmith as gs
from gansmith import data, render
from gansmith.cli import main
from gansmith.latent import figures
from gansmith.runs import every, find

IMAGES = Path(__file__).parent / "images"
ROWS = 5  # of 8
SHOWN = 12
EXPLORE = {
    "constants.png": "morph",
    "rows.png": "morph --seeds 20,17,48,36 --loop",
    "loop.webp": "morph --seeds 20,17,48,36 --loop",
    "mix.png": "mix '31 - 35 + 54'",
    "mix-means.png": "mix 'mean(31,45,55) - mean(15,30,35,42) + 58'",
    "directions.png": "directions --seeds 20",
    "attributes.png": "directions --method attributes --seeds 20",
    "truncate.png": "truncate",
    "neighbours.png": "neighbours --seed 5",
}
"""The pictures of docs/explore.md by the verbs that make them of a run."""


def progress(where: str, name: str) -> Path:
    """The same noise untrained, early, and at the end: three sheets side by side, each named."""
    sheets = find(where).sheets()
    chosen = [sheets[0], sheets[max(1, len(sheets) // 10)], sheets[-1]]
    parts = []
    for step, path in chosen:
        with Image.open(path) as sheet:
            height = round(sheet.height * ROWS / 8)
            part = sheet.convert("L").crop((0, 0, sheet.width, height)).resize((400, round(400 * height / sheet.width)))
        parts.append(render.caption(part, f"step {step:,}" if step else "untrained"))
    return _beside(parts, f"{name}-progress.png")


def colour(where: str) -> Path:
    """The left half of each folder's sheet, named: "house=FOLDER;another=FOLDER"."""
    parts = []
    for title, folder in (each.split("=") for each in where.split(";")):
        with Image.open(Path(folder) / "sheet.png") as sheet:
            part = sheet.convert("RGB").crop((0, 0, sheet.width // 2, sheet.height))
            parts.append(render.caption(part.resize((400, round(400 * part.height / part.width))), title))
    return _beside(parts, "house-colour.png")


def _beside(parts: list[Image.Image], name: str) -> Path:
    whole = Image.new(parts[0].mode, (sum(part.width + 8 for part in parts) - 8, parts[0].height), "white")
    for index, part in enumerate(parts):
        whole.paste(part, (index * (part.width + 8), 0))
    IMAGES.mkdir(exist_ok=True)
    if whole.mode == "RGB":
        whole = whole.quantize(256)
    whole.save(IMAGES / name, optimize=True)
    return IMAGES / name


def explore(where: str) -> None:
    """Every picture of docs/explore.md."""
    for name, command in EXPLORE.items():
        verb, *options = shlex.split(command)
        expression = [options.pop(0)] if verb == "mix" else []
        if main([verb, where, *expression, *options, "-o", str(IMAGES / f"explore-{name}")]):
            raise SystemExit(f"{command} failed")


def recipes(root: str) -> Path:
    """The first images of seed 0 of every recipe, below as many real ones."""
    folders = {path.name: path for path in Path(root).iterdir() if path.is_dir()}
    rows = [("real MNIST", data.load("mnist", split="test").take(np.arange(SHOWN)))]
    for name in (name for name in (*gs.recipes.names(), "fashion-mlp-bn") if name in folders):
        run = next(run for run in every(folders[name]) if run.settings.seed == 0)
        if name.startswith("fashion"):
            rows.append(("real Fashion-MNIST", data.load("fashion-mnist", split="test").take(np.arange(SHOWN))))
        title = f"{run.recipe.name}\n{run.metrics()[-1]['step']:,} steps"
        rows.append((title, gs.load(run).sample(SHOWN, seed=0).images))
    return figures.save(IMAGES / "recipes.png", figures.rows(*zip(*rows, strict=True)))


def conditional(where: str) -> Path:
    """Six noises down, all classes across."""
    generator = gs.load(where)
    classes = generator.recipe.classes
    z = generator.latents(6, seed=0).repeat_interleave(classes, dim=0)
    sheet = render.sheet(generator.images(z, list(range(classes)) * 6), columns=classes)
    return figures.save(IMAGES / "conditional-classes.png", sheet)


if __name__ == "__main__":
    run, name = sys.argv[1:]
    if name == "explore":
        explore(run)
    elif name in {"recipes", "conditional", "colour"}:
        print({"recipes": recipes, "conditional": conditional, "colour": colour}[name](run))
    else:
        print(progress(run, name))
