"""What gansmith wrote is never data, and a refused resume can name the files that changed."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from data_samples import noise
from PIL import Image

from gansmith import data, generator, recipes, render
from gansmith.data import loading
from gansmith.data.images import is_made
from gansmith.files import EXIF
from gansmith.latent import figures

Make = Callable[..., Path]


def put(path: Path, seed: int, **how: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed, 28, 28)).save(path, **how)
    return path


def a_run(folder: Path) -> None:
    for name in ("run.json", "recipe.json", "data.json"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    for i in range(30):
        put(folder / "samples" / f"step-{i:06d}.png", 500 + i)
    put(folder / "sheet.png", 600)


def a_generator(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    put(folder / "preview.png", 601)


def samples(folder: Path) -> None:
    for i in range(40):
        put(folder / f"{i:06d}.png", 700 + i, exif=EXIF)
    put(folder / "sheet.png", 650, exif=EXIF)


def sheets(folder: Path) -> None:
    for step in range(12):
        put(folder / f"step-{step:06d}.jpg", 800 + step, exif=EXIF)


def classed_samples(folder: Path) -> None:
    samples(folder / "cat")
    samples(folder / "dog")


@pytest.mark.parametrize("write", [a_run, a_generator, samples, sheets, classed_samples])
@pytest.mark.parametrize("place", ["runs/pets-mlp-001", "x", "cat/x"])
def test_what_gansmith_wrote_into_a_folder_is_no_data(
    two_classes: Path, tmp_path: Path, write: Callable[[Path], None], place: str
) -> None:
    before = data.load(two_classes)
    write(two_classes / place)
    after = data.load(two_classes)
    assert (after.fingerprint, after.classes, after.problems) == (before.fingerprint, ("cat", "dog"), ())
    assert any("gansmith's own" in note for note in data.inspect(two_classes).notes)
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for path in sorted(two_classes.rglob("*.*")):
            archive.write(path, path.relative_to(two_classes))
    assert data.load(tmp_path / "d.zip").fingerprint == before.fingerprint


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff"])
def test_pictures_that_gansmith_wrote_among_others_are_skipped_by_name(two_classes: Path, suffix: str) -> None:
    before = data.load(two_classes)
    put(two_classes / "cat" / f"000000{suffix}", 1, exif=EXIF)
    after = data.load(two_classes)
    assert after.fingerprint == before.fingerprint
    assert [(each.file, "gansmith made" in each.what) for each in after.problems] == [(f"cat/000000{suffix}", True)]


def test_every_picture_that_gansmith_writes_bears_the_mark(tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = recipes.get("mlp")
    samples = generator.snapshot(recipes.generator(recipe), recipe, settle_on=64).sample(3)
    (tmp_path / "run.png").write_bytes(render.png(samples.sheet()))
    for suffix in ("png", "jpg", "webp"):
        samples.save(tmp_path / f"sheet.{suffix}")
    for suffix in ("png", "jpg"):
        figures.save(tmp_path / f"strip.{suffix}", samples.sheet())
    for suffix in ("gif", "webp"):
        render.animation([samples.sheet(), samples.sheet()], tmp_path / f"film.{suffix}")
    render.plot(tmp_path / "losses.png", {"loss": ([1, 2], [3, 4])}, title="Losses", x_label="steps", y_label="loss")
    samples.save(tmp_path / "folder")
    written = [path for path in tmp_path.rglob("*.*") if path.is_file()]
    assert len(written) == 12
    assert [path.name for path in written if not is_made(path.read_bytes())] == []


def test_an_animation_is_known_by_its_comment(two_classes: Path) -> None:
    put(two_classes / "cat" / "film.gif", 1, comment="gansmith")
    assert [each.file for each in data.load(two_classes).problems] == ["cat/film.gif"]


def test_nothing_but_samples_may_be_looked_at(tmp_path: Path) -> None:
    classed_samples(tmp_path / "d")
    about = data.inspect(tmp_path / "d")
    assert about.classes == (("cat", 41), ("dog", 0))  # the same pixels twice
    assert "gansmith made these images" in about.notes
    a_run(tmp_path / "runs" / "only")
    for place in ("runs", "runs/only"):
        with pytest.raises(ValueError, match="holds only what gansmith wrote; give"):
            data.load(tmp_path / place)


def test_a_users_own_numbered_files_are_data(make_folder: Make) -> None:
    folder = make_folder("d", {f"{i:06d}.png": noise(i, 28, 28) for i in range(10)})
    put(folder / "000000.png", 99, exif=EXIF)
    assert len(data.load(folder)) == 9


@pytest.mark.parametrize("packed", [False, True])
def test_changes_name_the_files(two_classes: Path, tmp_path: Path, packed: bool) -> None:
    def load() -> data.Dataset:
        if not packed:
            return data.load(two_classes)
        with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
            for path in sorted(two_classes.rglob("*.png")):
                archive.write(path, path.relative_to(two_classes))
        return data.load(tmp_path / "d.zip")

    before = load().fingerprint
    assert loading.changes(load(), before) == " (the same files, read otherwise)"
    for i in range(5):
        put(two_classes / "cat" / f"new{i}.png", 800 + i)
    (two_classes / "dog" / "19.png").unlink()
    put(two_classes / "dog" / "18.png", 900)
    expected = " (5 new: cat/new0.png, cat/new1.png, cat/new2.png, ...; 1 gone: dog/19.png; 1 changed: dog/18.png)"
    assert loading.changes(load(), before) == expected
    assert loading.changes(load(), "0" * 64) == ""


def test_changes_of_arrays_name_the_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", images=noise(0, 10, 8, 8))
    before = data.load(tmp_path / "d.npz").fingerprint
    np.savez(tmp_path / "d.npz", images=noise(1, 10, 8, 8))
    assert loading.changes(data.load(tmp_path / "d.npz"), before) == " (1 changed: d.npz)"


def test_a_sheet_may_not_take_the_place_of_data(two_classes: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", images=noise(0, 10, 8, 8))
    (tmp_path / "link").symlink_to(two_classes)
    for source, sheet in (
        (two_classes, two_classes / "cat" / "0.png"),
        (tmp_path / "link", two_classes / "cat" / ".." / "cat" / "0.png"),
        (two_classes, tmp_path / "link" / "cat" / "0.png"),
        (tmp_path / "d.npz", tmp_path / "d.npz"),
    ):
        with pytest.raises(ValueError, match="is a file of the data; name a new file"):
            loading.check_sheet(source, sheet)
    put(two_classes / "look.png", 1, exif=EXIF)
    for fine in (two_classes / "look.png", two_classes / "new.png", tmp_path / "x.png"):
        loading.check_sheet(two_classes, fine)
    loading.check_sheet("mnist", tmp_path / "d.npz")
