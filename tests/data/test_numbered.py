"""Data sets in several files: NumPy archives that are numbered, and tars as WebDataset lays them out."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_samples import noise, png_bytes

from gansmith import data
from gansmith.errors import UserError


def archives(folder: Path, *, count: int = 3, side: int = 9, labelled: int = 3, split: str = "train") -> Path:
    folder.mkdir(exist_ok=True)
    for at in range(count):
        labels = {"labels": np.arange(4) + 8} if at < labelled else {}
        np.savez(folder / f"{split}-{at:05d}.npz", images=noise(at, 4, side, side), **labels)
    return folder


def tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return path


def pictures(start: int, count: int = 6, **more: Any) -> dict[str, bytes]:
    """Pictures with their labels, the even number as a name."""
    found = {}
    for at in range(start, start + count):
        found |= {f"{at}.png": png_bytes(noise(at, 9, 9)), f"{at}.cls": str(8 + at % 4).encode()}
    return found | more


def test_numbered_archives_are_one_sequence(tmp_path: Path) -> None:
    folder = archives(archives(tmp_path / "set"), split="test", count=2)
    found, test = data.load(folder), data.load(folder, split="test")
    assert found.take(np.arange(12)).tolist() == [[image.tolist()] for at in range(3) for image in noise(at, 4, 9, 9)]
    assert found.classes == test.classes == ("8", "9", "10", "11")
    assert found.labels is not None
    assert found.labels.tolist() == 3 * [0, 1, 2, 3]
    assert data.inspect(folder).test_count == len(test) == 8


def test_tars_of_webdataset_are_data_in_the_order_of_their_files(tmp_path: Path) -> None:
    tar(tmp_path / "set" / "a-000001.tar", pictures(6, **{"6.json": b"{}", ".hidden.png": b"x"}))
    tar(tmp_path / "set" / "a-000000.tar", pictures(0))
    found, about = data.load(tmp_path / "set"), data.inspect(tmp_path / "set")
    assert found.take(np.arange(12)).tolist() == [[noise(at, 9, 9).tolist()] for at in range(12)]
    assert found.classes == ("8", "9", "10", "11")
    assert found.labels is not None
    assert found.labels.tolist() == [at % 4 for at in range(12)]
    assert about.notes == ("not images: 1 file, passed over, such as a-000001.tar/6.json",)
    assert data.load(tar(tmp_path / "one.tar", pictures(0, 8))).name == "one"


def test_the_classes_are_called_as_the_index_says_if_all_labels_are_in_it(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(12)]
    tar(tmp_path / "set" / "000000.tar", pictures(0, 9))
    for known, classes in ((12, tuple(names)), (11, ("8", "9", "10", "11"))):
        (tmp_path / "set" / "index.json").write_text(json.dumps({"classes": dict.fromkeys(names[:known], 1)}))
        found = data.load(tmp_path / "set")
        assert found.classes == classes
        assert found.labels is not None
        assert found.classes[found.labels[3]] in ("class 11", "11")


def test_without_labels_there_are_no_classes(tmp_path: Path) -> None:
    tar(tmp_path / "tars" / "0.tar", {name: each for name, each in pictures(0, 9).items() if name.endswith("png")})
    assert data.load(tmp_path / "tars").classes == data.load(archives(tmp_path / "npz", labelled=0)).classes == ()


def refusal(source: Path, split: Any = "train") -> str:
    with pytest.raises(UserError, match=r"; ") as caught:
        data.load(source, split=split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_does_not_belong_together_is_refused_in_a_line(tmp_path: Path) -> None:
    assert "train-00002.npz: has no labels, as files beside it have" in refusal(archives(tmp_path / "a", labelled=2))
    np.savez(archives(tmp_path / "b") / "train-00001.npz", images=noise(0, 4, 8, 8))
    assert "train-00001.npz: has 8x8 images, and train-00000.npz 9x9" in refusal(tmp_path / "b")
    np.savez(archives(tmp_path / "c") / "mine.npz", images=noise(0, 4, 8, 8))
    assert "4 files such as mine.npz; give one of them; each is a set of its own" in refusal(tmp_path / "c")
    assert "has no test images; put a file test-00000.npz beside" in refusal(archives(tmp_path / "d"), "test")


def test_tars_that_cannot_be_used_are_refused_in_a_line(tmp_path: Path) -> None:
    whole = tar(tmp_path / "set" / "0.tar", pictures(0, 9))
    whole.write_bytes(whole.read_bytes()[:700])
    assert "0.tar: is not a whole tar (" in refusal(tmp_path / "set")
    assert "2.tar: holds no images; give tars as WebDataset" in refusal(tar(tmp_path / "2.tar", {"a.txt": b"x"}))
    some = pictures(0, 9)
    del some["5.cls"]
    assert "3.tar/5.png has no label beside it" in refusal(tar(tmp_path / "3.tar", some))
    loose = {f"cat/{at}.png": png_bytes(noise(at, 9, 9)) for at in range(9)}
    assert "4.tar/cat/0.png lies in a folder; unpack it" in refusal(tar(tmp_path / "4.tar", loose))


@pytest.mark.parametrize("index", [{"shards": [{"file": "train-00001.npz"}]}, {"shards": 3}, {"shards": [3, {}]}, []])
def test_a_file_that_the_index_lists_is_missed(index: Any, tmp_path: Path) -> None:
    folder = archives(tmp_path / "set")
    (folder / "index.json").write_text(json.dumps(index))
    assert len(data.load(folder)) == 12
    (folder / "train-00001.npz").unlink()
    if isinstance(index, dict) and index["shards"] == [{"file": "train-00001.npz"}]:
        with pytest.raises(UserError, match=r"train-00001\.npz: is missing, and index\.json lists it; restore it"):
            data.load(folder)
    else:  # an index of other hands
        assert len(data.load(folder)) == 8
