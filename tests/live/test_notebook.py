"""What a notebook shows: one display that is updated while training runs; results as pictures and tables, escaped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gansmith as gs
from gansmith import live, markup
from gansmith.errors import UserError
from gansmith.evaluation.report import Report
from gansmith.latent.inversion import Inverted
from gansmith.live import Notebook
from gansmith.runs.run import PRETRAINED
from gansmith.training.events import Measured, Progress, Snapshot


class Page:
    """A notebook's output: each display with all that it showed."""

    def __init__(self) -> None:
        self.displays: list[list[str]] = []

    def __call__(self, html: str) -> Callable[[str], None]:
        self.displays.append([html])
        return self.displays[-1].append


def test_one_display_is_updated_with_sheet_curves_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gansmith.live.notebook.SECONDS", 0.0)
    page = Page()
    with Notebook(total_steps=40, show=page, said=lambda distance: "far <b>from</b> real") as shown:
        shown(Snapshot(0, np.zeros((64, 1, 8, 8), np.uint8)))
        for step in range(1, 41):
            shown(Progress(step, 8 * step, {"generator_loss": 1 / step, "discriminator_loss": step}))
        shown(Measured(40, 320, "quality", {"fd": 3.0}))
        shown(Measured(40, 320, "signals", {"fd": 99.0}))
    (updates,) = page.displays
    assert len(updates) > 40
    assert "step 40 of 40" in updates[-1]
    assert "40 steps, took" in updates[-1]
    assert updates[-1].count("<polyline") == 2
    assert updates[-1].count("data:image/png;base64,") == 1
    assert "Frechet distance 3, far &lt;b&gt;from" in updates[-1]
    assert "width:50.0%" in updates[20] + updates[21] + updates[22]


def test_a_long_training_keeps_few_points() -> None:
    shown = Notebook(total_steps=None, minutes=1, show=Page())
    for step in range(1, 5001):
        shown(Progress(step, step, {"generator_loss": 1.0}))
    curve = shown._curves["generator_loss"]
    assert len(curve) <= 400
    assert (curve[0][0], curve[-1][0]) == (1, 5000)


def test_nothing_is_shown_where_nobody_watches_or_wants_it() -> None:
    place: dict[str, Any] = {"total_steps": 1, "minutes": None, "start_step": 0, "batch_size": 1}
    assert live.display(False, **place) is None
    assert live.display(None, **place) is None  # no terminal here
    assert isinstance(live.display(True, **place), live.Panel)


def test_what_is_shown_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    html = markup.table([evil], [[evil]]) + markup.line(evil) + markup.picture(b"", alt=f'"{evil}')
    assert "<script" not in html
    report = Report.read(PRETRAINED / "mnist" / "evaluation.json")
    subject = report.subject.model_copy(update={"name": evil})
    shares = tuple(share.model_copy(update={"name": evil}) for share in report.classes)
    shown = report.model_copy(update={"subject": subject, "classes": shares, "notes": (evil,)})._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


@pytest.fixture(scope="module")
def generator() -> gs.Generator:
    return gs.load("mnist")


def test_results_are_a_short_line_and_a_picture(generator: gs.Generator, tmp_path: Path) -> None:
    z = generator.latents(2)
    samples, found = generator(z), gs.latent.find(generator, n=3, look=["thick"])
    truncated = gs.latent.truncate(generator, [0, 1], psis=(0.5, 1.0))
    results = [gs.latent.morph(generator, [0, 1], frames=4), gs.latent.mix(generator, "1 - 2 + 3"), found, truncated]
    results.append(Inverted(found.vectors, found.images, found.images, np.zeros(3), np.zeros(3)))
    for index, result in enumerate(results):
        assert len(repr(result)) < 80
        assert result._repr_png_().startswith(b"\x89PNG")
        with Image.open(result.save(tmp_path / f"{index}.png")) as picture:
            assert picture.width > 28
    for quiet in (generator, samples, found.vectors, generator.recipe, gs.examine):
        assert "array(" not in repr(quiet)
        assert "\n" not in repr(quiet)
    with pytest.raises(UserError, match="cannot write"):
        results[1].save(tmp_path / "x.txt")


def test_a_morph_is_a_film(generator: gs.Generator, tmp_path: Path) -> None:
    morph = gs.latent.morph(generator, [0, 1], frames=4)
    assert "data:image/webp;base64," in morph._repr_html_()
    with Image.open(morph.save(tmp_path / "film.webp")) as film:
        assert film.n_frames == 4


def test_latents_are_called_like_a_function(generator: gs.Generator) -> None:
    z = generator.latents(3)
    assert np.array_equal(generator(z).images, generator.images(z))
    assert generator(z[0]).images.shape == (1, 1, 28, 28)
    assert np.array_equal(generator(z[0], [7]).labels, [7 // max(1, generator.recipe.kinds)])
