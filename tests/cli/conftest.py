"""A folder to work in, as a user has it: data sets good and bad, and one finished run."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gansmith.cli import main

SMALL = ["train", "digits.npz", "--recipe", "mlp", "--batch-size", "16", "--threads", "1"]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small data sets, good and bad, and one finished run in runs/."""
    folder = tmp_path_factory.mktemp("workshop")
    pixels = np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)
    np.savez(folder / "digits.npz", train_images=pixels, train_labels=np.arange(64) % 4)
    np.savez(folder / "mismatch.npz", train_images=pixels, train_labels=np.arange(63) % 4)
    (folder / "empty").mkdir()
    (folder / "texts").mkdir()
    (folder / "few").mkdir()
    for index in range(12):
        (folder / "texts" / f"{index}.png").write_text("not a picture")
        Image.fromarray(pixels[index]).save(folder / "few" / f"{index}.png")
    (folder / "few" / "broken.png").write_text("not a picture")
    with zipfile.ZipFile(folder / "escape.zip", "w") as archive:
        archive.write(folder / "few" / "0.png", "../escaped.png")
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.png", bytes(200_000_000))
    (folder / "broken.zip").write_text("PK")
    (folder / "broken.toml").write_text("batch_size = = 3\n")
    (folder / "unknown.toml").write_text("batchsize = 3\n")
    (folder / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*SMALL, "--steps", "4", "--quiet"]) == 0
    return folder


@pytest.fixture
def inside(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Works in the workshop. Tests leave it as it was, or write to names of their own."""
    monkeypatch.chdir(workshop)
    return workshop
