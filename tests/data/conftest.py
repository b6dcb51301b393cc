"""Fixtures of the data room's tests: a cache of one's own, and small files that are made on the spot."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_samples import Array, idx_bytes, noise
from PIL import Image


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for every test."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("GANSMITH_CACHE", str(cache))
    return cache


@pytest.fixture(scope="session")
def _shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared-cache")


@pytest.fixture
def shared_cache(_shared_cache: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that the tests of a session share, for data sets that take long to decode."""
    monkeypatch.setenv("GANSMITH_CACHE", str(_shared_cache))
    return _shared_cache


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of PNGs: `make_folder("birds", {"a/1.png": pixels, "note.txt": "text"})`."""

    def make(name: str, files: dict[str, Array | str | bytes]) -> Path:
        root = tmp_path / name
        root.mkdir(parents=True, exist_ok=True)
        for relative, content in files.items():
            path = root / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                Image.fromarray(content).save(path)
        return root

    return make


@pytest.fixture
def two_classes(make_folder: Callable[..., Path]) -> Path:
    """A folder of 20 grey 28x28 images in the classes "cat" and "dog"."""
    files = {f"{'cat' if i < 8 else 'dog'}/{i}.png": noise(i, 28, 28) for i in range(20)}
    return make_folder("pets", files)


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    """A folder with the four standard files: 30 training and 10 test images, the training ones gzipped."""
    root = tmp_path / "digits"
    root.mkdir()
    labels = np.arange(40, dtype=np.uint8) % 5
    (root / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(noise(0, 30, 20, 20))))
    (root / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels[:30])))
    (root / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(noise(1, 10, 20, 20)))
    (root / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(labels[30:]))
    return root
