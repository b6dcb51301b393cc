"""The pictures drawn when a training ends: sheets, the quiz with its key, animation, plots."""

from typing import TYPE_CHECKING

from PIL import Image

from gansmith import render
from gansmith.evaluation import online
from gansmith.files import write_bytes
from gansmith.generator import Generator
from gansmith.runs import Run

if TYPE_CHECKING:
    from gansmith.data import Dataset

SHEET_OF = 40


def draw(run: Run, generator: Generator, dataset: "Dataset", seed: int) -> None:
    """The pictures of a run: final sheet, real beside generated, the quiz with its key, animation and plots.

    Args:
        run: whose folder they go to.
        generator: as exported.
        dataset: for the real images.
        seed: of the samples and of the choice of real images.
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
    plot(run)
    plot_quality(run)


def animate(run: Run) -> None:
    """The sheets of the fixed noise as one animation."""
    frames = []
    for step, path in run.sheets():
        with Image.open(path) as sheet:
            sheet.load()
            frames.append(render.caption(sheet, f"step {step:,}"))
    if frames:
        target = run.path / run.settings.animation
        render.animation(frames, target)


def plot_quality(run: Run) -> None:
    """The Frechet distance over the steps, if it was measured, with that of real images."""
    measured, told = run.quality(), online.protocol(run)
    if not measured or told is None:
        return
    curve = [row["step"] for row in measured], [row["fd"] for row in measured]
    render.plot(
        run.path / "quality.png",
        {"generated images": curve},
        title="Distance from real images",
        x_label="steps",
        y_label=told.metric,
        levels={"real images": told.floor},
        logarithmic=True,
    )


def plot(run: Run) -> None:
    """Losses, accuracies, and the generated pixels' mean and standard deviation against the data's."""
    table = run.metrics()
    if not table:
        return
    steps = [row["step"] for row in table]

    def curve(key: str) -> tuple[list[float], list[float]]:
        return steps, [row[key] for row in table]

    players = ("discriminator", "generator")
    losses = {player: curve(f"{player}_loss") for player in players}
    render.plot(run.path / "losses.png", losses, title="Losses", x_label="steps", y_label="loss")
    chance = {"chance": 0.5}
    accuracies = {player: curve(f"{player}_accuracy") for player in players}
    render.plot(
        run.path / "accuracies.png", accuracies, title="Accuracies", x_label="steps", y_label="accuracy", levels=chance
    )
    render.plot(
        run.path / "pixels.png",
        {"mean": curve("pixel_mean"), "standard deviation": curve("pixel_std")},
        title="Generated pixels",
        x_label="steps",
        y_label="value in [0, 1]",
        levels={"data's mean": run.data.pixel_mean, "data's standard deviation": run.data.pixel_std},
    )
