"""Dataset and Batches: pure functions of seed and position, whatever lies beneath."""

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_samples import noise
from hypothesis import given
from hypothesis import strategies as st

from gansmith import data
from gansmith.errors import UserError


def numbered(count: int) -> data.Dataset:
    """Images whose every pixel is their number."""
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 1, 8, 8))
    return data.from_arrays(images, np.arange(count) % 3)


@given(st.integers(1, 30), st.integers(0, 200), st.integers(0, 2**40), st.integers(1, 30))
def test_batches_are_cut_from_one_stream(size: int, position: int, seed: int, other_size: int) -> None:
    whole = data.Batches(numbered(30), 30, seed)
    lap = position // 30
    stream = np.concatenate([whole.at(30 * number)[:, 0, 0, 0] for number in range(lap, lap + 3)])
    for number in range(3):
        assert sorted(stream[30 * number : 30 * number + 30].tolist()) == list(range(30))
    start = position - 30 * lap
    batches = data.Batches(numbered(30), size, seed)
    data.Batches(numbered(30), other_size, seed).at(position)
    assert batches.at(position)[:, 0, 0, 0].tolist() == stream[start : start + size].tolist()
    assert batches.labels_at(position).tolist() == (stream[start : start + size] % 3).tolist()


def test_the_order_of_reading_does_not_matter() -> None:
    fresh, used = data.Batches(numbered(50), 7, 3), data.Batches(numbered(50), 7, 3)
    for position in (1000, 0, 48, 49, 50, 5):
        used.at(position)
    assert np.array_equal(fresh.at(343), used.at(343))


def test_laps_and_seeds_differ() -> None:
    batches = data.Batches(numbered(50), 50, 3)
    assert not np.array_equal(batches.at(0), batches.at(50))
    assert not np.array_equal(batches.at(0), data.Batches(numbered(50), 50, 4).at(0))


def test_the_order_is_pinned() -> None:
    """A resumed run must see the images it would have seen."""
    assert data.Batches(numbered(10), 10, 0).at(0)[:, 0, 0, 0].tolist() == FIRST_LAP
    assert data.Batches(numbered(10), 10, 0).at(10)[:, 0, 0, 0].tolist() == SECOND_LAP


FIRST_LAP = [4, 6, 2, 7, 3, 5, 9, 0, 8, 1]
SECOND_LAP = [9, 1, 3, 8, 7, 6, 0, 4, 2, 5]


def test_batches_own_their_memory(two_classes: Path) -> None:
    pets = data.load(two_classes)
    batch = data.Batches(pets, 5, 0).at(18)
    assert (batch.dtype, batch.shape) == (np.uint8, (5, 1, 28, 28))
    assert batch.flags.c_contiguous
    assert batch.flags.writeable
    batch[:] = 0
    assert np.array_equal(pets.take([2])[0, 0], noise(2, 28, 28))


@pytest.mark.parametrize(
    ("size", "seed", "words"), [(31, 0, "larger than the data"), (0, 0, "or more"), (5, -1, "seed")]
)
def test_impossible_batches(size: int, seed: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        data.Batches(numbered(30), size, seed)


def test_take() -> None:
    images = numbered(30)
    assert images.take([3, 3, 0])[:, 0, 0, 0].tolist() == [3, 3, 0]
    assert images.take([]).shape == (0, 1, 8, 8)
    assert images.take(np.array([1], np.uint8)).shape == (1, 1, 8, 8)
    for outside in ([30], [-1]):
        with pytest.raises(IndexError, match="outside"):
            images.take(outside)
    for wrong in ([0.5], 3, [[1]]):
        with pytest.raises(ValueError, match="list of integers"):
            images.take(wrong)


def test_from_arrays() -> None:
    pixels = noise(0, 9, 3, 8, 8)
    made = data.from_arrays(pixels, np.arange(9) % 2, classes=["a", "b"], name="My Set")
    assert (made.name, made.classes, made.shape, len(made)) == ("my-set", ("a", "b"), (3, 8, 8), 9)
    assert made.mean_and_std() == pytest.approx((pixels.mean() / 255, pixels.std() / 255))
    assert repr(made) == "<Dataset my-set (train): 9 images, 8x8 RGB, 2 classes>"
    pixels[:] = 0
    assert made.take([0]).any()
    other = data.from_arrays(noise(0, 9, 3, 8, 8), np.arange(9) % 2, classes=["a", "b"])
    assert made.fingerprint == other.fingerprint
    assert made.fingerprint != data.from_arrays(noise(0, 9, 3, 8, 8)).fingerprint
    assert made.fingerprint != data.from_arrays(noise(0, 9, 3, 8, 8), np.zeros(9, int)).fingerprint
    for images in (noise(0, 9, 8, 8).astype(str), noise(0, 0, 1, 8, 8)):
        with pytest.raises(ValueError, match="give uint8"):
            data.from_arrays(images)
    for images in (noise(0, 9, 2, 8, 8), noise(0, 9, 8)):
        with pytest.raises(ValueError, match="reshape them"):
            data.from_arrays(images)
    for labels in ([0] * 8, [0.5] * 9, [-1] * 9):
        with pytest.raises(ValueError, match="give 9 integers"):
            data.from_arrays(pixels, labels)
    with pytest.raises(ValueError, match="has no name"):
        data.from_arrays(pixels, [2] * 9, classes=["a", "b"])


def test_the_room_needs_no_torch() -> None:
    code = "import sys, gansmith.data; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_public_names_are_the_exported_ones() -> None:
    assert set(data.__all__) == set(dir(data)) == set(data._HOMES)
    found = {name: getattr(data, name) for name in data.__all__}
    assert not [name for name, value in found.items() if isinstance(value, types.ModuleType)]
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        data.lode  # noqa: B018


@pytest.mark.parametrize(
    "span", [(0,), (), "ab", 5, (0, 1, 2), (1, 1), (0, float("nan")), (0, float("inf")), (None, 1)]
)
def test_black_and_white_are_two_numbers(span: Any) -> None:
    with pytest.raises(UserError, match=r"images: pixels|arrays: pixels"):
        data.from_arrays(noise(0, 9, 8, 8) / 255, pixels=span)
