"""Labels that are there are used, or their loss is said; what is no label makes no class; how classes are named."""

import gzip
import json
import struct
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_samples import Array, idx_bytes, noise

from gansmith import data

Make = Callable[..., Path]


def many(folder: str, count: int = 8, seed: int = 0) -> dict[str, Array]:
    return {
        f"{folder}/{i}.png".lstrip("/"): noise(zlib.crc32(folder.encode()) % 99_999 + seed + i, 8, 8)
        for i in range(count)
    }


def notes_of(source: Path, **options: Any) -> str:
    return " | ".join(data.inspect(source, **options).notes)


@pytest.mark.parametrize(
    ("test", "test_classes"),
    [
        (many("test", 9), ()),
        (many("test", 9) | many("test/cat", 3), ()),
        (many("test/cat", 9), ("cat", "dog")),
        (many("test/bird", 9) | many("test/dog", 2), ("bird", "cat", "dog")),
    ],
    ids=["flat", "mostly flat", "one class", "another class"],
)
def test_a_split_keeps_its_labels_whatever_the_other_has(
    make_folder: Make, test: dict[str, Array], test_classes: tuple[str, ...]
) -> None:
    folder = make_folder("d", many("train/cat") | many("train/dog") | test)
    train, other = data.load(folder), data.load(folder, split="test")
    assert train.labels is not None
    assert [train.classes[label] for label in train.labels] == ["cat"] * 8 + ["dog"] * 8
    assert other.classes == test_classes
    if other.labels is None:
        assert "the test images are not sorted into classes" in notes_of(folder)
    else:
        assert train.classes == other.classes


def test_training_images_of_one_class_know_it_from_the_test_split(make_folder: Make) -> None:
    folder = make_folder("d", many("train/cat", 9) | many("test/cat", 8) | many("test/dog", 8))
    train = data.load(folder)
    assert train.classes == ("cat", "dog")
    assert train.labels is not None
    assert set(train.labels.tolist()) == {0}


def test_a_new_class_in_the_test_split_renumbers_the_training_labels(make_folder: Make) -> None:
    """The labels in the cache are those of the same files under another numbering."""
    folder = make_folder("d", many("train/b") | many("train/c") | many("test/b"))
    assert data.load(folder).labels.tolist() == [0] * 8 + [1] * 8  # type: ignore[union-attr]
    make_folder("d", many("test/a"))
    train = data.load(folder)
    assert train.classes == ("a", "b", "c")
    assert train.labels.tolist() == [1] * 8 + [2] * 8  # type: ignore[union-attr]


def test_a_loose_picture_beside_the_splits_does_not_undo_them(make_folder: Make) -> None:
    folder = make_folder("d", many("train/cat") | many("train/dog") | many("test/cat") | {"cover.png": noise(5, 8, 8)})
    train = data.load(folder)
    assert (train.classes, len(train)) == (("cat", "dog"), 16)
    assert [problem.file for problem in train.problems] == ["cover.png"]


def test_splits_beside_another_folder_are_classes_and_this_is_said(make_folder: Make) -> None:
    folder = make_folder("d", many("train") | many("test") | many("unlabeled"))
    assert "test and train lie beside unlabeled" in notes_of(folder)


def listing_files() -> dict[str, Array]:
    return {f"img/{i}.png": noise(700 + i, 8, 8) for i in range(10)}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset.json", json.dumps({"labels": [[f"img/{i}.png", i % 2] for i in range(10)]})),
        ("dataset.json", json.dumps({"labels": {f"img/{i}.png": i % 2 for i in range(10)}})),
        ("img/metadata.csv", "file_name,label\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(10))),
        ("img/metadata.jsonl", "\n".join(json.dumps({"file_name": f"{i}.png", "label": i % 2}) for i in range(10))),
        ("labels.csv", "id;breed\n" + "".join(f"{i};{i % 2}\n" for i in range(10))),
        ("train.tsv", "".join(f"img/{i}.png\t{i % 2}\n" for i in range(10))),
    ],
    ids=["pairs", "mapping", "metadata.csv", "metadata.jsonl", "ids", "no header"],
)
def test_labels_in_a_file_beside_the_images(make_folder: Make, name: str, content: str) -> None:
    folder = make_folder("d", {**listing_files(), name: content})
    found = data.load(folder)
    assert found.classes == ("0", "1")
    assert found.labels.tolist() == [i % 2 for i in range(10)]  # type: ignore[union-attr]
    assert f"the labels are those of {name}" in notes_of(folder)


def test_a_table_is_about_the_folder_of_its_name(make_folder: Make) -> None:
    files = {
        f"{split}/{i}.png": noise(i + 99 * (split == "test"), 8, 8) for i in range(9) for split in ("train", "test")
    }
    folder = make_folder(
        "d", {**files, "train_labels.csv": "id,x,class\n" + "".join(f"{i},0,{i % 2}\n" for i in range(9))}
    )
    assert data.load(folder).classes == ("0", "1")
    assert data.load(folder, split="test").labels is None
    assert "passed over" not in notes_of(folder)


def test_changed_labels_of_the_same_files_are_noticed(make_folder: Make) -> None:
    def labelled(shift: int) -> list[int]:
        rows = [[f"img/{i}.png", (i + shift) % 2] for i in range(10)]
        folder = make_folder("d", {**listing_files(), "dataset.json": json.dumps({"labels": rows})})
        return data.load(folder).labels.tolist()  # type: ignore[union-attr, no-any-return]

    assert labelled(0) == [1 - label for label in labelled(1)]
    assert labelled(0)[0] == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[" * 50_000, "dataset.json may hold labels and cannot be read"),
        (json.dumps({"labels": [["img/1.png", 3]]}), "labels for 1 of 10 images only: not used"),
        (json.dumps({"labels": [[f"img/{i}.png", [1, 1]] for i in range(10)]}), "no single label"),
    ],
    ids=["damaged", "few", "several labels"],
)
def test_listed_labels_that_cannot_be_used_are_named(make_folder: Make, content: str, words: str) -> None:
    folder = make_folder("d", {**listing_files(), "dataset.json": content})
    assert data.load(folder).labels is None
    assert words in notes_of(folder)


def test_images_that_a_listing_forgets_are_named(make_folder: Make) -> None:
    rows = [[f"img/{i}.png", i % 2] for i in range(9)]
    found = data.load(make_folder("d", {**listing_files(), "dataset.json": json.dumps({"labels": rows})}))
    assert [str(problem) for problem in found.problems] == ["img/9.png: has no label in dataset.json; add it there"]


@pytest.mark.parametrize(
    ("files", "packs"),
    [
        ({f"{i // 8:05d}/img{i:08d}.png": noise(i, 8, 8) for i in range(20)}, True),
        ({f"{i // 8 * 8:05d}/{i:05d}.png": noise(i, 8, 8) for i in range(24)}, True),
        ({f"set/{i // 4:06d}/{i}.png": noise(i, 8, 8) for i in range(3, 20)}, True),
        ({f"{i // 8:05d}/{i % 8:05d}.png": noise(i, 8, 8) for i in range(20)}, False),
        ({f"{i // 8}/{i}.png": noise(i, 8, 8) for i in range(20)}, False),
        ({f"{i % 3:05d}/{i:05d}.png": noise(i, 8, 8) for i in range(20)}, False),
    ],
    ids=["dataset_tool", "FFHQ", "some missing", "own numbers", "short names", "interleaved"],
)
def test_packs_of_numbered_files_are_no_classes(make_folder: Make, files: dict[str, Array], packs: bool) -> None:
    folder = make_folder("d", files)
    assert (data.load(folder).labels is None) == packs
    assert ("are packs of files numbered throughout" in notes_of(folder)) == packs


@pytest.mark.parametrize("key", ["label", "targets", "Y", "class_id", "digit", "fine_label_names"])
def test_npz_labels_under_any_likely_key(tmp_path: Path, key: str) -> None:
    np.savez(tmp_path / "d.npz", images=noise(0, 30, 8, 8), other=np.zeros((30, 5)), **{key: np.arange(30) % 5})
    assert len(data.load(tmp_path / "d.npz").classes) == 5
    assert f"the labels are those of {key}" in notes_of(tmp_path / "d.npz")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"age": np.arange(30)}, "not used: age, 30 values each; call one of them labels"),
        ({"fine_label": np.arange(30), "coarse_label": np.arange(30) % 3}, "not used: fine_label, coarse_label"),
        ({"test_images": noise(1, 9, 8, 8), "test_labels": np.arange(9)}, "the train images have no labels"),
    ],
    ids=["no likely name", "two", "the other split only"],
)
def test_npz_arrays_that_may_be_labels_are_named(tmp_path: Path, arrays: dict[str, Array], words: str) -> None:
    name = "train_images" if "test_images" in arrays else "images"
    np.savez(tmp_path / "d.npz", **{name: noise(0, 30, 8, 8)}, **arrays)
    assert data.load(tmp_path / "d.npz").labels is None
    assert words in notes_of(tmp_path / "d.npz")


def test_npz_labels_in_an_archive_of_their_own(tmp_path: Path) -> None:
    np.savez(tmp_path / "k49-train-imgs.npz", noise(0, 20, 8, 8))
    np.savez(tmp_path / "k49-train-labels.npz", np.arange(20) % 4)
    found = data.load(tmp_path / "k49-train-imgs.npz")
    assert found.classes == tuple("0123")
    np.savez(tmp_path / "k49-train-labels.npz", np.arange(20) % 2)
    assert data.load(tmp_path / "k49-train-imgs.npz").classes == tuple("01")


@pytest.mark.parametrize(
    ("name", "code", "kind"),
    [("labels-idx2-int.gz", 12, ">i4"), ("labels-idx1-short", 11, ">i2"), ("labels.idx1-float", 13, ">f4")],
)
def test_idx_labels_of_any_type(tmp_path: Path, name: str, code: int, kind: str) -> None:
    labels = np.arange(20) % 4 * 100
    table = np.stack([labels, np.arange(20) * 7], axis=1) if "idx2" in name else labels
    raw = bytes([0, 0, code, table.ndim]) + struct.pack(f">{table.ndim}I", *table.shape) + table.astype(kind).tobytes()
    (tmp_path / "q-train-images-idx3-ubyte").write_bytes(idx_bytes(noise(0, 20, 8, 8)))
    (tmp_path / f"q-train-{name}").write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    source = tmp_path / "q-train-images-idx3-ubyte"
    assert data.load(source).classes == ("0", "100", "200", "300")
    assert ("of the 2 columns" in notes_of(source)) == ("idx2" in name)


def test_a_labels_file_that_is_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(noise(0, 20, 8, 8)))
    (tmp_path / "train-labels.csv").write_text("1\n2\n")
    assert "train-labels.csv may hold the labels and is not read" in notes_of(tmp_path / "train-images-idx3-ubyte")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([str(i % 11) for i in range(44)], tuple(map(str, range(11)))),
        ([f"class {i % 12}" for i in range(44)], tuple(f"class {i}" for i in range(12))),
        ([f"v{i % 3}.{i % 11}".encode() for i in range(44)], tuple(f"v{a}.{b}" for a in range(3) for b in range(11))),
    ],
    ids=["numbers", "words", "bytes"],
)
def test_text_labels_are_in_natural_order(tmp_path: Path, labels: list[Any], classes: tuple[str, ...]) -> None:
    np.savez(tmp_path / "d.npz", images=noise(0, 44, 8, 8), labels=np.array(labels))
    found = data.load(tmp_path / "d.npz")
    assert found.classes == tuple(
        name for name in classes if name in {str(np.str_(x, "utf8") if isinstance(x, bytes) else x) for x in labels}
    )
    shown = [label.decode() if isinstance(label, bytes) else label for label in labels]
    assert [found.classes[label] for label in found.labels] == shown  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [str, int, np.bytes_], ids=["text", "numbers", "bytes"])
def test_one_numbering_over_splits_of_different_kinds(tmp_path: Path, kind: Any) -> None:
    train, test = [i % 3 for i in range(12)], [str(i % 11) for i in range(22)]
    np.savez(
        tmp_path / "d.npz",
        x_train=noise(0, 12, 8, 8),
        y_train=np.array([kind(str(label)) for label in train]),
        x_test=noise(1, 22, 8, 8),
        y_test=np.array(test),
    )
    both = data.load(tmp_path / "d.npz"), data.load(tmp_path / "d.npz", split="test")
    assert both[0].classes == both[1].classes == tuple(map(str, range(11)))
    assert both[1].labels.tolist() == [int(label) for label in test]  # type: ignore[union-attr]


def test_a_name_is_one_class_in_either_unicode_form(make_folder: Make) -> None:
    decomposed = unicodedata.normalize("NFD", "é")
    folder = make_folder("d", many("train/é") | many("train/x") | many(f"test/{decomposed}", seed=50) | many("test/x"))
    assert data.load(folder).classes == ("x", "é")
    assert data.load(folder, split="test").classes == ("x", "é")


def test_a_path_that_is_a_bare_name_means_the_data_set(
    make_folder: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_cache: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert data.load(Path("mnist")).source == "mnist"
    assert data.test_count(Path("stacked-mnist")) == 26_000
    assert data.inspect(Path("colour-mnist"), split="test").kind == "derived"
    make_folder("mnist", many(""))
    assert data.load(Path("mnist")).source == str(tmp_path / "mnist")
    assert data.load("mnist").source == "mnist"
    with pytest.raises(ValueError, match="give a name"):
        data.load(None)  # type: ignore[arg-type]
