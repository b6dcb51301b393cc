"""What is drawn at the end of a training: an animation that a page can carry."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gansmith import render
from gansmith.experiment import artifacts

pytestmark = pytest.mark.painted


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_an_animation_over_the_limit_has_smaller_frames_not_fewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, suffix: str
) -> None:
    sheets = []
    for step in (0, 10, 20):
        images = np.random.default_rng(step).integers(0, 256, (64, channels, 12, 12), dtype=np.uint8)
        path = tmp_path / f"step-{step:06d}.png"
        render.sheet(images, columns=8).save(path)
        sheets.append((step, path))
    settings, data = SimpleNamespace(animation=f"samples{suffix}"), SimpleNamespace(shape=(channels, 12, 12))
    run: Any = SimpleNamespace(path=tmp_path, settings=settings, data=data, sheets=lambda: sheets)

    def drawn(limit: int) -> tuple[int, int, int]:
        monkeypatch.setattr(artifacts, "ANIMATION_BYTES", limit)
        artifacts.animate(run)
        with Image.open(tmp_path / f"samples{suffix}") as animation:
            return animation.n_frames, animation.width, (tmp_path / f"samples{suffix}").stat().st_size

    frames, width, size = drawn(10_000_000)
    assert (frames, width) == (3, 8 * (4 * 12 + 2) + 2)
    frames, width, smaller = drawn(size - 1)
    assert (frames, width) == (3, 8 * (12 + 2) + 2)
    assert smaller < size
    assert drawn(1)[:2] == (3, (8 * (12 + 2) + 2) // 2)
