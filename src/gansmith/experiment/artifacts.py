"""The pictures drawn when a training ends: sheets, the quiz with its key, animation, plots."""

from typing import TYPE_CHECKING

from PIL import Image

from gansmith import render
from gansmith.files import write_bytes
from gansmith.generator import Generator
from gansmith.report.contents import ANIMATION_BYTES
from gansmith.runs import Run, quality

if TYPE_CHECKING:
    from gansmith.data import Dataset

SHEET_OF = 40
ANIMATION_SIDE = 480
"""Pixels that the animation is wide where its bytes allow."""


def draw(run: Run, generator: Generator, dataset: "Dataset", seed: int) -> None:
    """Draws the pictures of a run: final sheet, real beside generated, the quiz with its key, animation and plots.

    Args:
        run: its folder takes the pictures.
        generator: the exported one.
        dataset: the real images.
        seed: decides the samples and which real images are shown.
    """
    import numpy as np

    samples = generator.sample(SHEET_OF, seed=seed)
    pictures = samples.images
    chosen = np.random.default_rng(seed).choice(len(dataset), min(SHEET_OF, len(dataset)), replace=False)
    real = dataset.take(chosen)
    write_bytes(run.path / "sheet.png", render.png(render.sheet(pictures, columns=samples.columns or 8)))
    both = render.beside(real[:SHEET_OF], pictures, left_title="real", right_title="generated")
    write_bytes(run.path / "real-and-generated.png", render.png(both))
    half = min(len(real), SHEET_OF // 2)
    mixed, generated = render.mix(real[:half], pictures[:half], seed=seed)
    marked = [index for index, is_generated in enumerate(generated) if is_generated]
    write_bytes(run.path / "quiz.png", render.png(render.sheet(mixed, columns=8)))
    write_bytes(run.path / "quiz-key.png", render.png(render.sheet(mixed, columns=8, marked=marked)))
    animate(run)
    plot_training(run)
    plot_quality(run)


def animate(run: Run) -> None:
    """The sheets of the fixed noise as one animation, small enough for the report where that is possible.

    Crisp if it can be. The pixels of colour images all change from sheet to sheet, so theirs may need to be lossy, with
    images of their own size or of half that.
    """
    target, sheets = run.path / run.settings.animation, []
    for step, path in run.sheets():
        with Image.open(path) as sheet:
            sheet.load()
            sheets.append((step, sheet))
    for widest, lossy, reduced in ((ANIMATION_SIDE, False, 1), (0, True, 1), (0, True, 2)) if sheets else ():
        smaller = [(step, _enlarged(sheet, run.data.shape, widest).reduce(reduced)) for step, sheet in sheets]
        render.animation([render.caption(sheet, f"step {step:,}") for step, sheet in smaller], target, lossy=lossy)
        if target.stat().st_size <= ANIMATION_BYTES:
            return


def _enlarged(sheet: Image.Image, shape: tuple[int, int, int], widest: int) -> Image.Image:
    """A sheet with its images enlarged as far as it stays within `widest` pixels, if at all."""
    found = render.cells(sheet, *shape[1:])
    return sheet if found is None else render.sheet(found[0], columns=found[1], widest=widest)


def plot_quality(run: Run) -> None:
    """The Frechet distance over the steps, if it was measured, with that of real images."""
    measured, protocol = run.quality(), quality.protocol(run)
    if not measured or protocol is None:
        return
    render.plot(
        run.path / "quality.png",
        {"generated images": ([row["step"] for row in measured], [row["fd"] for row in measured])},
        title="Distance from real images",
        x_label="steps",
        y_label=protocol.metric,
        levels={"real images": protocol.floor},
        logarithmic=True,
    )


def plot_training(run: Run) -> None:
    """Losses, accuracies, and the generated pixels' mean and standard deviation against the data's."""
    table = run.metrics()
    steps = [row["step"] for row in table]

    def plot(name: str, title: str, y_label: str, keys: dict[str, str], levels: dict[str, float]) -> None:
        curves = {label: (steps, [row[key] for row in table]) for label, key in keys.items()}
        render.plot(run.path / name, curves, title=title, x_label="steps", y_label=y_label, levels=levels)

    if not table:
        return
    players = ("discriminator", "generator")
    plot("losses.png", "Losses", "loss", {player: f"{player}_loss" for player in players}, {})
    plot("accuracies.png", "Accuracies", "accuracy", {p: f"{p}_accuracy" for p in players}, {"chance": 0.5})
    plot(
        "pixels.png",
        "Generated pixels",
        "value in [0, 1]",
        {"mean": "pixel_mean", "standard deviation": "pixel_std"},
        {"data's mean": run.data.pixel_mean, "data's std. deviation": run.data.pixel_std},
    )
