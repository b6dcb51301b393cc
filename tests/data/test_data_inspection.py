"""What `gansmith data` has to say about a data set."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_samples import noise

from gansmith import data

Make = Callable[..., Path]


def test_everything_about_a_folder(make_folder: Make) -> None:
    files = {f"cat/{i}.png": noise(i, 30, 20, 3) for i in range(12)} | {
        f"dog/{i}.png": noise(90 + i, 9, 9) for i in range(3)
    }
    folder = make_folder("zoo", {**files, "cat/bad.png": "text", "cat/z.png": noise(1, 30, 20, 3), "list.csv": "x"})
    zoo = data.inspect(folder, size=16)
    assert (zoo.name, zoo.kind, zoo.found, zoo.count, zoo.shape) == ("zoo", "image folder", 17, 15, (3, 16, 16))
    assert zoo.sizes == ((20, 30, 13), (9, 9, 3))
    assert zoo.modes == {"RGB": 13, "L": 3}
    assert zoo.classes == (("cat", 12), ("dog", 3))
    assert [problem.kind for problem in zoo.problems] == ["not an image", "duplicate"]
    assert zoo.usable
    assert zoo.dataset is not None
    assert zoo.dataset.take([0]).shape == (1, 3, 16, 16)
    assert zoo.cache_bytes == 15 * 3 * 16 * 16
    assert zoo.notes == (
        "not images: 1 file, passed over, such as list.csv",
        "in colour: 12 of 15 images, so all are kept as RGB",
        "not square: 13 images, cropped about the centre",
        "smaller than 16 pixels: 3 images, enlarged",
    )
    text = data.describe(zoo)
    for line in (
        "15 of 17 found",
        "20x30 (13), 9x9 (3)",
        "2: cat (12), dog (3)",
        "skipped  1 not an image, 1 duplicate:",
    ):
        assert line in text
    assert "cat/bad.png: is not an image" in text
    assert "padded" in data.describe(data.inspect(folder, size=16, fit="pad"))


def test_json_and_back(two_classes: Path) -> None:
    about = data.inspect(two_classes).to_dict()
    assert json.loads(json.dumps(about)) == about
    assert about["classes"] == [{"name": "cat", "count": 8}, {"name": "dog", "count": 12}]
    assert about["usable"] is True
    fields = set(data.Inspection.__dataclass_fields__) - {"dataset", "cache_path", "cache_bytes"}
    assert fields <= set(about)


def test_mixed_sizes_are_looked_at_in_one(make_folder: Make) -> None:
    folder = make_folder("mixed", {f"{i}.png": noise(i, 20 + i, 20) for i in range(9)})
    mixed = data.inspect(folder)
    assert mixed.shape == (1, 64, 64)
    assert any("choose a size" in note for note in mixed.notes)
    assert sum(count for _, _, count in mixed.sizes) == 9


def test_too_little_is_reported_not_refused(make_folder: Make) -> None:
    few = data.inspect(make_folder("few", {"a.png": noise(0, 9, 9), "b.png": "text"}))
    assert (few.count, few.found, few.usable, few.dataset) == (1, 2, False, None)
    assert "too few images to train on: 1 usable, 8 needed" in data.describe(few)
    json.dumps(few.to_dict())


def test_long_lists_are_cut(make_folder: Make) -> None:
    files = {f"{i:02d}/{i}.png": noise(i, 9 + i, 9 + i) for i in range(20)} | {f"00/x{i}.png": "t" for i in range(30)}
    text = data.describe(data.inspect(make_folder("long", files), size=9), most=4)
    assert "(16 more)" in text
    assert "... and 26 more" in text


def test_notes_on_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=np.repeat(noise(0, 10, 9, 9), 2, axis=0) % 2)
    notes = data.inspect(tmp_path / "set.npz").notes
    assert any("exact copies of others: 10 images" in note for note in notes)
    assert any("no pixel is brighter than 1 of 255: values meant as 0 to 1 must be saved as floats" in n for n in notes)
    np.savez(tmp_path / "deep.npz", images=noise(0, 10, 9, 9).astype(np.uint16))
    notes = data.inspect(tmp_path / "deep.npz").notes
    assert any("values meant as 0 to 255 must be saved as 8-bit" in note for note in notes)
    assert len(data.load(tmp_path / "set.npz")) == 20


@pytest.mark.usefixtures("shared_cache")
@pytest.mark.parametrize("name", ["mnist", "colour-mnist", "stacked-mnist"])
def test_built_in_sets(name: str) -> None:
    about = data.inspect(name)
    assert about.credit is not None
    assert "LeCun" in about.credit
    assert about.count == sum(count for _, count in about.classes)
    assert about.test_count == data.test_count(name)
    assert about.problems == ()
    assert name in data.names()
    json.dumps(about.to_dict())
