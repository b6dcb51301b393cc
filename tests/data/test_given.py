"""Images given in Python: every form is read as the same images in a file are, and found again by later processes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_samples import noise
from PIL import Image
from torch.utils.data import DataLoader, Subset, TensorDataset

import gansmith as gs
from gansmith import data
from gansmith.errors import UserError

GREY = noise(0, 20, 12, 12)
RGB = noise(1, 20, 12, 12, 3)
LABELS = np.arange(20) % 4


class Pairs(torch.utils.data.Dataset[Any]):
    """A map-style data set, as torchvision's are: (image, label), and the classes' names."""

    classes = ("owl", "cat", "dog", "ant")

    def __init__(self, change: Callable[[Any], Any] = lambda image: image) -> None:
        self.change = change

    def __len__(self) -> int:
        return len(RGB)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.change(RGB[index]), int(LABELS[index])


def unit(image: Any) -> Any:
    """As torchvision's ToTensor: (C, H, W) in [0, 1]."""
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


GIVEN: dict[str, Any] = {
    "NHWC": RGB,
    "NCHW": RGB.transpose(0, 3, 1, 2),
    "fortran": np.asfortranarray(RGB),
    "int64": RGB.astype(np.int64),
    "tensor": torch.from_numpy(RGB),
    "needs gradients": torch.from_numpy(RGB / 255).float().requires_grad_(),
    "[0, 1]": RGB / 255,
    "[-1, 1]": (RGB / 127.5 - 1).astype(np.float32),
    "[0, 255]": RGB.astype(np.float32),
    "pictures": [Image.fromarray(image) for image in RGB],
    "list of arrays": list(RGB),
    "tensors": [unit(image) for image in RGB],
    "normalised": [unit(image) * 2 - 1 for image in RGB],
    "1-tuples": TensorDataset(torch.from_numpy(RGB)),
    "columns": [{"image": image, "name": "x"} for image in RGB],
}


@pytest.mark.parametrize("form", GIVEN)
def test_each_form_gives_the_same_images(form: str) -> None:
    found = data.load(GIVEN[form])
    assert found.fingerprint == data.from_arrays(RGB.transpose(0, 3, 1, 2)).fingerprint
    assert (len(found), found.shape, found.labels) == (20, (3, 12, 12), None)


LABELLED: dict[str, Any] = {
    "pair": (RGB, LABELS),
    "tensors": (torch.from_numpy(RGB), torch.from_numpy(LABELS)),
    "one-hot": (RGB, np.eye(4)[LABELS]),
    "pictures": ([Image.fromarray(image) for image in RGB], LABELS.tolist()),
    "torch": TensorDataset(torch.from_numpy(RGB), torch.from_numpy(LABELS)),
    "iterator": ((Image.fromarray(image), label) for image, label in zip(RGB, LABELS, strict=True)),
    "columns": [{"img": image, "label": int(label)} for image, label in zip(RGB, LABELS, strict=True)],
}


@pytest.mark.parametrize("form", LABELLED)
def test_labels_come_with_the_images(form: str) -> None:
    found = data.load(LABELLED[form])
    assert found.classes == ("0", "1", "2", "3")
    assert found.fingerprint == data.from_arrays(RGB.transpose(0, 3, 1, 2), LABELS).fingerprint


def test_names_of_classes_come_from_the_data_set() -> None:
    for given in (Pairs(), Pairs(unit), Pairs(Image.fromarray), Subset(Pairs(), range(20))):
        found = data.load(given)
        assert (found.name, found.classes) == ("pairs", Pairs.classes)
        assert found.labels is not None
        assert found.labels.tolist() == LABELS.tolist()
    named = data.load((RGB, [Pairs.classes[label] for label in LABELS]))
    assert named.classes == ("ant", "cat", "dog", "owl")


def test_hugging_faces_data_sets() -> None:
    datasets = pytest.importorskip("datasets")
    pictures = [Image.fromarray(image) for image in RGB]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["owl", "cat", "dog", "ant"])}
    )
    table = datasets.Dataset.from_dict({"image": pictures, "label": LABELS.tolist()}, features=features)
    same = data.from_arrays(RGB.transpose(0, 3, 1, 2), LABELS, classes=Pairs.classes)
    for given in (table, table.with_format("torch"), table.to_iterable_dataset()):
        found = data.load(given)
        assert (found.fingerprint, found.classes) == (same.fingerprint, Pairs.classes)
    both = datasets.DatasetDict({"train": table, "validation": table.select(range(8))})
    assert (data.test_count(both), len(data.load(both, split="test"))) == (8, 8)


def test_both_splits_number_their_classes_alike() -> None:
    train, test = (GREY, np.full(20, 7)), (GREY[:10], np.arange(10))
    for given in ({"train": train, "test": test}, (train, test)):
        found = data.load(given)
        assert found.classes == tuple(map(str, range(10)))
        assert found.labels is not None
        assert set(found.labels.tolist()) == {7}
        held_out = data.load(found.source, split="test")
        assert (len(held_out), data.test_count(found.source), held_out.classes) == (10, 10, found.classes)


def test_images_of_several_sizes_are_treated_as_files_are() -> None:
    pictures = [Image.fromarray(noise(n, 12 + n, 20)) for n in range(12)]
    with pytest.raises(UserError, match="not all squares"):
        data.load(iter(pictures))
    found = data.inspect([*pictures, pictures[0], Image.new("L", (4, 4))], size=16)
    assert (found.kind, found.found, found.count) == ("images given in Python", 14, 12)
    assert [problem.kind for problem in found.problems] == ["duplicate", "tiny"]
    turned = Image.fromarray(noise(3, 8, 16))
    turned.getexif()[0x0112] = 6
    assert data.load([turned, *pictures[:8]], size=8, fit="pad").take([0])[0, 0, :, 0].std() == 0  # it stands upright


def test_a_data_set_is_known_by_where_it_was_loaded_from(two_classes: Path) -> None:
    loaded = data.load(two_classes, size=16)
    assert data.load(loaded, size=16).source == str(two_classes)
    assert np.array_equal(data.load(loaded, size=8).take([0]), data.load(two_classes, size=8).take([0]))
    (two_classes / "cat" / "0.png").unlink()  # it is no longer what lies there
    again = data.load(loaded, size=16)
    assert (again.source.split("@")[0], again.fingerprint) == ("pets", loaded.fingerprint)
    assert data.load(data.load("mnist", split="test")).source.startswith("mnist-given@")


def test_what_a_process_was_given_later_ones_find(fresh_cache: Path) -> None:
    found = data.load({"train": (GREY, LABELS), "test": GREY[:9]}, size=16)
    code = (
        "import sys; from gansmith import data; found = data.load(sys.argv[1], size=16);"
        "print(found.fingerprint, len(data.load(sys.argv[1], split='test', size=16)), found.classes[-1])"
    )
    environment = os.environ | {"GANSMITH_CACHE": str(fresh_cache)}

    def ask(*change: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", code.replace(*change) if change else code, found.source]
        return subprocess.run(words, capture_output=True, text=True, env=environment, check=False)

    assert ask().stdout.split() == [found.fingerprint, "9", "3"]
    assert "is kept at another size; give `size` 16" in ask("size=16", "size=28").stderr
    for path in (fresh_cache / "data").glob("*/images.npy"):
        path.write_bytes(b"")
    assert "given in Python, and are no longer in the cache; give the same again" in ask().stderr
    (fresh_cache / "given" / f"{found.source}.json").write_text("[")
    assert "no longer in the cache" in ask().stderr


def test_a_cache_that_cannot_be_written_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "file" / "cache"))
    for given in (GREY[::-1], [Image.fromarray(image) for image in GREY[::-1]]):
        found = data.load(given)
        assert data.load(found.source).fingerprint == found.fingerprint


def test_the_same_images_have_the_same_name_and_others_another() -> None:
    first = data.load((GREY, LABELS)).source
    assert first.startswith("arrays@")
    assert data.load((GREY.copy(), LABELS.tolist())).source == first
    changed = GREY.copy()
    changed[3, 2, 1] ^= 1
    others = [(changed, LABELS), (GREY, LABELS[::-1]), GREY, (GREY, LABELS + 1)]
    names = {data.load(other).source for other in others}
    assert first not in names
    assert len(names) == 4


def test_an_item_is_asked_for_once() -> None:
    asked: list[int] = []

    class Counted(Pairs):
        def __getitem__(self, index: int) -> tuple[Any, int]:
            asked.append(index)
            return super().__getitem__(index)

    data.load(Counted())
    assert asked == list(range(20))


def test_what_black_and_white_are_may_be_said() -> None:
    found = data.from_arrays((GREY / 255 - 0.5) * 6, pixels=(-3, 3))
    assert found.fingerprint == data.from_arrays(GREY[:, None]).fingerprint
    assert data.from_arrays(np.full((9, 8, 8), 7.0), pixels=(0, 5)).take([0]).min() == 255


def endless() -> Iterator[object]:
    yield object()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            noise(0, 9, 12, 12, 2),
            r"shape \(9, 12, 12, 2\): axis 0 counts 9, neither axis 3 \(2\) nor axis 1",
        ),
        (noise(0, 9), r"shape \(9,\); reshape them to \(N, H, W\)"),
        (noise(0, 9, 3, 40), r"read as \(N, H, W\), are 40x3 pixels"),
        (GREY.astype(float) * 9, r"pixels from 0 to 2295 are in none of the ranges .*from_arrays\(images, pixels="),
        (GREY - 300.0, r"pixels from -300 to -45 are in none"),
        (np.where(GREY == 0, np.nan, 0.5), "not finite"),
        ([np.full((12, 12), np.inf)], "item 0: has pixels that are not finite"),
        (GREY.astype(str), "values of type <U3"),
        ((GREY, LABELS[:9]), "9 labels for 20 images"),
        ((GREY, [[0], [1, 2]] * 10), "labels of several lengths"),
        ({"images": GREY}, 'with the keys images; give {"train": images'),
        (DataLoader(Pairs()), r"loader of batches; give the data set itself, its `.dataset`"),
        (["a", "b"], "item 0: is str; give images of Pillow"),
        (endless(), "item 0: is object"),
        ([(GREY[0], 1), (GREY[1], None)], "item 1 has no label"),
        ([{"words": "x"}], "has the columns words; call the one that holds the images image"),
        ([], "only 0 of 0 images"),
        (GREY[:3], "only 3 of 3 images"),
        (None, "data None: give a name, a path, or images: an array"),
        (3, "data 3: give a name"),
        (b"bytes", "give a name"),
    ],
)
def test_refusals_in_one_line(given: Any, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        data.load(given)
    assert "\n" not in str(caught.value)


def test_a_split_that_was_not_given() -> None:
    with pytest.raises(UserError, match="has no test images; give"):
        data.load(GREY, split="test")
    found = data.load(GREY)
    with pytest.raises(UserError, match="has no test images; give"):
        data.load(found.source, split="test")


def test_what_a_data_set_raises_arrives_as_itself() -> None:
    def broken(image: Any) -> Any:
        raise ZeroDivisionError("the data set's own")

    with pytest.raises(ZeroDivisionError, match="own"):
        data.load(Pairs(broken))


def test_labels_that_are_several_for_an_image_are_left_out_with_a_word(tmp_path: Path) -> None:
    images = np.stack([noise(i, 8, 8) for i in range(20)])
    for labels in (np.ones((20, 14), np.uint8), images):
        with pytest.warns(UserWarning, match=r"labels of shape \(20, .*\) are several for an image, and left out"):
            found = data.load((images, labels))
        assert found.labels is None
    with pytest.raises(UserError, match=r"has no labels; .*, or give \(images, labels\)"):
        gs.train(images, recipe="mlp", conditional=True, steps=1, out=tmp_path)
