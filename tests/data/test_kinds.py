"""Kinds: nearly of equal size, alike inside, the same again, kept, and refused where images are too few."""

from pathlib import Path

import numpy as np
import pytest

from gansmith import data
from gansmith.data import kinds
from gansmith.data.description import describe, edges, pixels_of
from gansmith.errors import UserError


def some(count: int = 1203) -> data.Dataset:
    digits = data.load("mnist")
    return data.from_arrays(digits.take(np.arange(count)), digits.labels[:count], classes=digits.classes)


def test_they_are_nearly_of_equal_size_and_of_one_class() -> None:
    digits = some()
    found = kinds.find(digits, 40, by_class=False)
    sizes = np.bincount(found.conditions, minlength=40)
    assert sizes.min() >= 0.97 * 1203 // 40
    assert sizes.max() <= np.ceil(1.03 * 1203 / 40)
    purest = [np.bincount(digits.labels[found.conditions == kind]).max() for kind in range(40)]
    assert sum(purest) / len(digits) > 0.846  # 0.2 by chance, 0.78 by pixels alone
    again = kinds._find(digits, 40, 1, None)
    assert np.array_equal(again.conditions, found.conditions)


def test_the_nearest_are_found_among_any_number() -> None:
    random = np.random.default_rng(0)
    for rows, among, count in ((300, 1000, 6), (5, 7, 7), (1, 1, 1), (40, 129, 3)):
        points, others = (random.normal(size=(n, 8)).astype(np.float32) for n in (rows, among))
        distances = ((points[:, None] - others[None]) ** 2).sum(axis=2)
        expected = np.sort(distances.argsort(axis=1)[:, :count], axis=1)
        done: list[int] = []
        assert np.array_equal(np.sort(kinds._nearest(points, others, count, done.append), axis=1), expected)
        assert done[-1] == rows


def test_few_kinds_lie_on_both_sides_of_a_gap() -> None:
    """However little there is to tell apart on one side, it has about as many kinds as its share of the images."""
    random = np.random.default_rng(0)
    images = random.normal(size=(1000, 5)).astype(np.float32)
    images[:600] = 8 + 0.2 * images[:600]
    conditions = kinds._evenly(images, kinds._centres(images, 10, random, lambda: None))
    beyond, all_ = (np.bincount(some, minlength=10) for some in (conditions[:600], conditions))
    assert np.minimum(beyond, all_ - beyond).sum() < 100  # 345 where centres stay on their side


@pytest.mark.parametrize(("rows", "count"), [(240, 8), (17, 2), (1000, 7), (64, 8)])
def test_no_kind_is_large_or_small_wherever_the_images_lie(rows: int, count: int) -> None:
    """Even where most are the same image, and where one centre is far from all."""
    random = np.random.default_rng(rows)
    images = random.normal(size=(rows, 5)).astype(np.float32)
    images[: rows * 2 // 3] = images[0]
    centres = random.normal(size=(count, 5)).astype(np.float32)
    centres[-1] += 100
    sizes = np.bincount(kinds._evenly(images, centres), minlength=count)
    assert sizes.min() >= np.floor(0.97 * rows / count)
    assert sizes.max() <= np.ceil(1.03 * rows / count)


def test_kinds_of_classes_stay_inside_them() -> None:
    digits = some()
    found = kinds.find(digits, 3, by_class=True)
    assert np.array_equal(found.conditions // 3, digits.labels)
    told = found.told(digits)
    assert told.classes[4] == "1, kind 1"
    assert told.fingerprint == digits.fingerprint
    held = found.read(digits, np.arange(50))
    assert np.array_equal(held // 3, digits.labels[:50])
    assert (held == found.conditions[:50]).mean() > 0.7


def test_other_images_get_the_same_kinds() -> None:
    digits, more = some(1203), some(2000)
    for by_class, number in ((False, 20), (True, 2)):
        first = kinds.find(digits, number, by_class=by_class)
        grown = first.of(more)
        sizes = np.bincount(grown.conditions, minlength=20)
        assert sizes.max() - sizes.min() <= (7 if not by_class else sizes.max() // 2)
        assert (grown.conditions[:1203] == first.conditions).mean() > 0.75  # 0.05, or 0.5 in a class, by chance


def test_they_are_kept_and_damage_is_named(tmp_path: Path) -> None:
    digits = some(200)
    found = kinds.find(digits, 5, by_class=False)
    path = tmp_path / "kinds.npz"
    found.save(path)
    assert np.array_equal(kinds.load(path, 200).conditions, found.conditions)
    with pytest.raises(UserError, match="other images"):
        kinds.load(path, 201)
    for content in (b"", b"PK\x03\x04", path.read_bytes()[:300]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="cannot be read"):
            kinds.load(path, 200)
    with pytest.raises(UserError, match="cannot be read"):
        kinds.load(tmp_path / "none.npz", 200)


def test_too_few_images_name_what_would_do() -> None:
    with pytest.raises(UserError, match=r"^`kinds` 100: arrays has 50 images.* give `kinds` 6 or less, or 0 for none$"):
        kinds.find(some(50), 100, by_class=False)
    with pytest.raises(UserError, match="the smallest class"):
        kinds.find(some(50), 3, by_class=True)


def test_kinds_of_pixels_alone_are_still_told_apart() -> None:
    """Those of runs that were trained before edges were described."""
    digits = some(600)
    found = kinds.find(digits, 10, by_class=False)
    pixels = np.concatenate([rows[:, :784] for rows in describe(digits, np.arange(600))])
    rows = pixels - pixels.mean(axis=0)
    centres = np.stack([rows[found.conditions == kind].mean(axis=0) for kind in range(10)])
    earlier = kinds.Kinds(pixels.mean(axis=0), np.eye(784, dtype=np.float32), centres, found.conditions, 10)
    nearest = ((rows[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert np.array_equal(earlier.read(digits, np.arange(600)), nearest)


@pytest.mark.parametrize(("shape", "pixels"), [((1, 28, 28), 784), ((3, 64, 64), 768), ((3, 8, 8), 192)])
def test_a_description_is_pixels_then_edges(shape: tuple[int, int, int], pixels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)
    rows = np.concatenate(list(describe(data.from_arrays(images), np.arange(5))))
    assert pixels_of(shape) == pixels
    assert np.allclose((rows[:, pixels:] ** 4).sum(axis=1), 1, atol=1e-3)
    assert 0 <= rows.min() <= rows.max() <= 1 + 1e-6


@pytest.mark.parametrize(("angle", "axis"), [(0, 0), (90, 1), (45, 2), (135, 3)])
def test_an_edge_is_in_the_direction_it_runs_in(angle: float, axis: int) -> None:
    """Light to dark counts as dark to light."""
    y, x = np.mgrid[:12, :12].astype(np.float32) - 5.5
    wave = np.cos(x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))).astype(np.float32)
    shares = np.square(edges(np.stack([wave, -wave])[:, None])).reshape(2, 4, 9)
    assert np.array_equal(shares[0], shares[1])
    inside = shares[0, :, 4]  # away from the border, where gradients are left out
    assert inside[axis] > 0.99 * inside.sum()
