"""A folder with the golden runs of an earlier version, as `gansmith` left it, to work in."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from snapshots import GOLDEN, RUNS


@pytest.fixture(scope="session")
def golden_workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """runs/ with all golden runs, shapes.npz that they were trained on, and files that are no good."""
    folder = tmp_path_factory.mktemp("frozen")
    shutil.copy(GOLDEN / "shapes.npz", folder)
    for name in RUNS:
        shutil.copytree(GOLDEN / name, folder / "runs" / name)
        (folder / "runs" / name / "report.html").touch()  # stands for the large one that makes a run finished
    (folder / "runs" / "last").symlink_to("mlp")
    (folder / "empty").mkdir()
    (folder / "few").mkdir()
    pixels = np.load(folder / "shapes.npz")["test_images"]
    np.savez(folder / "mismatch.npz", train_images=pixels, train_labels=np.arange(5))
    np.savez(folder / "unlabelled.npz", images=pixels)
    Image.fromarray(pixels[0]).save(folder / "bar.png")
    Image.fromarray(pixels[1]).save(folder / "few" / "0.png")
    (folder / "text.png").write_text("not a picture")
    (folder / "broken.toml").write_text("batch_size = = 3\n")
    (folder / "unknown.toml").write_text("batchsize = 3\n")
    (folder / "broken.json").write_text("{}")
    return folder


@pytest.fixture
def workshop(golden_workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Works in a copy of it."""
    folder = tmp_path / "workshop"
    shutil.copytree(golden_workshop, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def shared_workshop(golden_workshop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Works in the workshop itself, for tests that leave it as it was."""
    monkeypatch.chdir(golden_workshop)
    return golden_workshop
