"""Encoders: the shipped ones are those measured, features depend on their image alone, files are read warily."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from gansmith import data
from gansmith.cli import main
from gansmith.data import builtin as official
from gansmith.encoders import encoder, file, train
from gansmith.encoders.network import Architecture, Network, channels_last, converted, folded

SHIPPED = {
    "mnist": ("mnist@b0dc9d", "mnist-judge@c4770a"),
    "fashion-mnist": ("fashion-mnist@ed73b2", "fashion-mnist-judge@4ab7b7"),
}
LEAST = {"mnist": 0.994, "fashion-mnist": 0.92}
fashion = pytest.param(
    "fashion-mnist",
    marks=pytest.mark.skipif(not official.DEBIAN.exists(), reason="needs Debian's package dataset-fashion-mnist"),
)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """The first 300 test images of MNIST: two chunks and a part."""
    return data.load("mnist", split="test").take(np.arange(300))


def both(name: str) -> tuple[encoder.Encoder, encoder.Encoder]:
    """The shipped encoder and its judge."""
    return encoder.builtin(name), encoder.judge(name)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_encoders_are_the_ones_that_were_measured(name: str) -> None:
    assert tuple(each.full_name for each in both(name)) == SHIPPED[name]
    for each in both(name):
        assert each.card.test is not None
        assert each.card.test.images == 10_000
        assert each.test_accuracy is not None
        assert each.test_accuracy >= LEAST[name]
        assert each.shape == (1, 28, 28)
        assert 64 <= each.dimensions <= 128
    assert sum(path.stat().st_size for path in encoder.SHIPPED.iterdir()) < 3_000_000


def test_they_know_the_data_that_they_were_trained_on() -> None:
    mnist = data.load("mnist")
    for each in both("mnist"):
        assert each.trained_on == mnist.fingerprint
        assert each.classes == mnist.classes


@pytest.mark.parametrize("name", ["mnist", fashion])
def test_accuracy_and_independence_on_images_that_none_was_trained_on(name: str) -> None:
    test = data.load(name, split="test")
    assert test.labels is not None
    images, labels = test.take(np.arange(2000)), test.labels[:2000]
    wrong = []
    for each in both(name):
        assert each.classes == test.classes
        found = each.encode(images)
        assert found.labels is not None
        wrong.append(found.labels != labels)
        assert abs((1 - wrong[-1].mean()) - (each.test_accuracy or 0)) < 0.012  # 2 sigma of 2,000 at 93 %
    alone = [int((wrong[0] & ~wrong[1]).sum()), int((wrong[1] & ~wrong[0]).sum())]
    assert min(alone) >= 2  # each sees something that the other does not


def test_the_judge_is_another_network() -> None:
    one, other = both("mnist")
    assert one.card.architecture.widths != other.card.architecture.widths
    assert one.card.training["seed"] != other.card.training["seed"]
    assert one.digest != other.digest


@pytest.mark.parametrize("each", [lambda: encoder.builtin("mnist"), lambda: encoder.control((1, 28, 28))])
def test_an_image_s_features_are_its_own(each: Any, digits: np.ndarray) -> None:
    network = each()
    whole = network.encode(digits)
    alone = network.encode(digits[137:138])
    assert np.array_equal(alone.features[0], whole.features[137])
    order = np.random.default_rng(0).permutation(len(digits))
    shuffled = network.encode(digits[order])
    assert np.array_equal(shuffled.features, whole.features[order])
    for start in range(0, 300, 77):
        assert np.array_equal(network.encode(digits[start : start + 77]).features, whole.features[start : start + 77])
    if whole.logits is not None:
        assert np.array_equal(shuffled.logits, whole.logits[order])
    assert whole.features.dtype == np.float64
    assert len(network.encode(digits[:0])) == 0


def test_features_are_centred_and_scaled(digits: np.ndarray) -> None:
    features = encoder.builtin("mnist").encode(digits).features
    assert abs(features.mean()) < 0.2
    assert 0.8 < features.std() < 1.2


def test_images_of_another_shape_are_converted(digits: np.ndarray) -> None:
    network = encoder.builtin("mnist")
    plain = network.encode(digits[:50])
    rgb = network.encode(np.repeat(digits[:50], 3, axis=1))
    assert np.allclose(rgb.features, plain.features, atol=1e-3)
    double = np.repeat(np.repeat(digits[:50], 2, axis=2), 2, axis=3)
    assert np.mean(network.encode(double).labels == plain.labels) > 0.9
    red = np.zeros((1, 3, 28, 28), np.uint8)
    red[:, 0] = 200
    assert torch.allclose(converted(red, (1, 28, 28)), torch.tensor(0.299 * 200))


def test_the_control_is_always_the_same_and_names_nothing(digits: np.ndarray) -> None:
    control = encoder.control((1, 28, 28))
    assert control.full_name == "control@f50a4a"
    assert encoder.control((3, 64, 64)).full_name == "control@b62eb7"
    assert encoder.control((3, 200, 100)).shape == (3, 64, 64)
    found = control.encode(digits)
    assert found.logits is None
    assert found.labels is None
    assert control.test_accuracy is None
    assert control.trained_on is None
    noise = np.random.default_rng(0).integers(0, 256, digits.shape, dtype=np.uint8)
    halves = np.abs(found.features[:150].mean(0) - found.features[150:].mean(0)).sum()
    assert np.abs(control.encode(noise).features.mean(0) - found.features.mean(0)).sum() > 10 * halves
    with pytest.raises(ValueError, match=r"shape \(2, 28, 28\): give"):
        encoder.control((2, 28, 28))


def test_data_are_measured_with_what_was_trained_for_them() -> None:
    numerals = tuple("0123456789")
    assert encoder.for_data("mnist", (1, 28, 28), numerals).name == "mnist"
    assert encoder.for_data("mnist-small", (1, 28, 28), numerals).name == "mnist"
    assert encoder.for_data("mnist-small", (1, 28, 28), ()).name == "control"
    assert encoder.for_data("fashion-mnist", (1, 28, 28), ()).name == "fashion-mnist"
    for name in ("colour-mnist", "stacked-mnist", "mine"):
        assert encoder.for_data(name, (3, 28, 28), numerals).name == "control"
    with pytest.raises(ValueError, match="no encoder is shipped for cats: choose mnist or fashion-mnist"):
        encoder.builtin("cats")


@pytest.mark.parametrize(
    "images",
    [np.zeros((3, 28, 28), np.uint8), np.zeros((3, 2, 28, 28), np.uint8), np.zeros((3, 1, 28, 28)), [1]],
)
def test_what_is_no_images_is_refused(images: Any) -> None:
    with pytest.raises(ValueError, match=r"images to encode .* give"):
        encoder.control((1, 28, 28)).encode(images)


def test_ten_thousand_images_take_seconds(digits: np.ndarray) -> None:
    network = encoder.builtin("mnist")
    images = np.tile(digits[:200], (5, 1, 1, 1))
    network.encode(images[:128])
    start = time.process_time()
    network.encode(images)
    assert time.process_time() - start < 1.5  # 0.3 where it was written, so 10,000 take 3 s of one core


def test_folding_changes_nothing() -> None:
    torch.manual_seed(0)
    architecture = Architecture(
        channels=3, height=20, width=32, widths=(8, 12, 12), pools=1, dimensions=16, classes=4, black=-1.0, white=1.0
    )
    network = channels_last(Network(architecture, norm=True)).train()
    images = torch.rand(64, 3, 20, 32) * 255
    for _ in range(3):
        network(images)
    with torch.no_grad():
        for before, after in zip(network.eval()(images), folded(network)(images), strict=True):
            assert torch.allclose(before, after, atol=1e-4)


@pytest.fixture(scope="module")
def trained() -> tuple[encoder.Encoder, np.ndarray]:
    """An encoder trained on 300 digits for a few batches, and the images it was tested on."""
    digits = data.load("mnist")
    assert digits.labels is not None
    images, labels = digits.take(np.arange(400)), digits.labels[:400]
    settings = replace(train.settings_for("mine", judge=True, count=300), widths=(8, 16, 16), images=2500)
    result = train.train(
        images[:300], labels[:300], images[300:], labels[300:], name="mine", classes=digits.classes, settings=settings
    )
    return result, images[300:]


def test_training_is_repeatable_and_leaves_the_random_state(trained: Any, tmp_path: Path) -> None:
    digits = data.load("mnist")
    assert digits.labels is not None
    images, labels = digits.take(np.arange(60)), digits.labels[:60]
    settings = train.Settings(widths=(4, 8), images=240)
    state = torch.get_rng_state()

    def digest(seed: int) -> str:
        made = train.train(
            images, labels, images, labels, name="a", classes=digits.classes, settings=settings, seed=seed
        )
        return made.digest

    assert digest(1) == digest(1) != digest(2)
    trained[0].save(tmp_path / "a.safetensors")
    encoder.load(tmp_path / "a.safetensors")
    assert torch.equal(state, torch.get_rng_state())


def test_a_file_keeps_all_of_it(trained: Any, tmp_path: Path) -> None:
    made, images = trained
    assert made.test_accuracy > 0.5
    again = encoder.load(made.save(tmp_path / "mine.safetensors"))
    assert again.card == made.card
    assert np.array_equal(again.encode(images).features, made.encode(images).features)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.safetensors"]
    with pytest.raises(ValueError, match=r"\.safetensors"):
        made.save(tmp_path / "mine.pt")


def forged(made: encoder.Encoder, **changes: Any) -> bytes:
    """The bytes of an encoder's file whose card or tensors were tampered with."""
    card = json.loads(made.card.model_dump_json())
    tensors = file.stored(made.network)
    for name, value in changes.items():
        if name in card:
            card[name] = value
        elif name in card["architecture"]:
            card["architecture"][name] = value
        else:
            tensors[name.replace("__", ".")] = value
    return save(tensors, metadata={file.KEY: json.dumps(card)})


HOSTILE = {
    "another format": ({"format": 2}, "format"),
    "a name that is a path": ({"name": "../../etc"}, "name"),
    "classes that are too few": ({"classes": ["0"]}, "classes"),
    "a network as large as the moon": ({"widths": [10**9, 16, 16]}, "architecture.widths.0"),
    "other widths": ({"widths": [16, 16, 16]}, "convolutions"),
    "pooled away": ({"pools": 4}, "pools"),
    "an unknown field": ({"architecture": {"run": "rm"}}, "architecture"),
    "better than perfect": ({"test": {"images": 10, "correct": 11}}, "right"),
    "weights in float32": ({"head__bias": torch.zeros(10)}, "F32"),
    "weights that are no numbers": ({"head__bias": torch.full((10,), float("nan")).half()}, "finite"),
    "another weight": ({"head__bias": torch.ones(10).half()}, "digest"),
    "one weight more": ({"more": torch.ones(1)}, "tensors"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_that_was_tampered_with_is_refused_in_one_line(case: str, trained: Any, tmp_path: Path) -> None:
    changes, expected = HOSTILE[case]
    path = tmp_path / "forged.safetensors"
    path.write_bytes(forged(trained[0], **changes))
    with pytest.raises(ValueError, match=expected) as caught:
        encoder.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_encoder_is_refused(trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(ValueError, match="no encoder here"):
        encoder.load(path)
    good = forged(trained[0])
    for content in (b"", b"PK\x03\x04 not one", good[:-7], good[:40], save({"a": torch.zeros(1)}), b"\xff" * 400):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no encoder that can be read"):
            encoder.load(path)
    path.write_bytes(good)
    assert encoder.load(path).name == "mine"
    monkeypatch.setattr(file, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="is larger than"):
        encoder.load(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Works in a folder with digits.npz: 60 zeros, 60 ones and 60 twos without a test split; and data of no use."""
    digits = data.load("mnist")
    assert digits.labels is not None
    rows = np.concatenate([np.flatnonzero(digits.labels == label)[:60] for label in (0, 1, 2)])
    images = digits.take(rows)[:, 0]
    np.savez(tmp_path / "digits.npz", train_images=images, train_labels=digits.labels[rows])
    np.savez(tmp_path / "unlabelled.npz", train_images=images)
    np.savez(tmp_path / "alike.npz", train_images=images, train_labels=np.zeros(len(rows), int))
    np.savez(tmp_path / "rare.npz", train_images=images, train_labels=np.arange(len(rows)) // 178)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_user_s_own_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["encoder", "train", "digits.npz", "-o", "mine.safetensors", "--images", "1500", "--json"]
    assert main(command) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["test accuracy"] > 0.7  # a third is chance
    assert made["classes"] == ["0", "1", "2"]
    loaded = encoder.load(folder / "mine.safetensors")
    assert loaded.full_name == made["encoder"]
    assert loaded.card.test is not None
    assert (loaded.card.training["distinct_images"], loaded.card.test.images) == (162, 18)
    assert not any("pickle" in str(value) for value in load_file(folder / "mine.safetensors"))
    assert main(["encoder", "show", "mine.safetensors", "--test", "digits.npz"]) == 0
    assert "of 180" in capsys.readouterr().out


def test_the_list_and_a_shipped_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoder", "show", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["encoder"].split("@")[0] for row in rows] == [
        *("mnist", "mnist-judge", "fashion-mnist", "fashion-mnist-judge", "control")
    ]
    assert main(["encoder", "show", "mnist", "--judge"]) == 0
    assert SHIPPED["mnist"][1] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "unlabelled.npz", "-o", "x.safetensors"], "has no labels"),
        (["train", "alike.npz", "-o", "x.safetensors"], "only one class"),
        (["train", "rare.npz", "-o", "x.safetensors"], "only 2 images of class '1'"),
        (["train", "digits.npz", "-o", "x.pt"], "ends so"),
        (["train", "digits.npz", "-o", "x.safetensors", "--name", "My Own"], "lower case"),
        (["train", "digits.npz", "-o", "x.safetensors", "--images", "0"], "--images 0"),
        (["train", "nowhere", "-o", "x.safetensors"], "nowhere"),
        (["show", "nowhere.safetensors"], "no encoder here"),
        (["show", "digits.npz"], "is no encoder"),
        (["show", "digits.npz", "--judge"], "--judge"),
        (["show", "mnist", "--test", "digits.npz"], "classes are not those of"),
    ],
)
def test_refusals(words: list[str], expected: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoder", *words]) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert said.count("\n") == 1
    assert not list(folder.glob("x*"))
