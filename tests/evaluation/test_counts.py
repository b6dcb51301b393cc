"""Counts: every image that is given is scored, and where there are too few the right side is named."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import gansmith as gs
from gansmith.cli import main
from gansmith.evaluation import inputs


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """digits.npz, and a run on it in runs/digits-mlp-001."""
    folder = tmp_path_factory.mktemp("place")
    digits = gs.data.load("mnist").take(np.arange(1200))
    np.savez(folder / "digits.npz", train_images=digits[:800], test_images=digits[800:])
    gs.train(
        folder / "digits.npz", recipe="mlp", steps=4, threads=1, batch_size=8, evaluate_every=0, signals_every=0,
        out=folder / "runs", overrides={"generator.width": 0.125, "discriminator.width": 0.125},
    )  # fmt: skip
    return folder


def pictures(folder: Path, names: list[str]) -> Path:
    digits = gs.data.load("mnist", split="test").take(np.arange(len(names)))
    for name, digit in zip(names, digits, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digit[0]).save(folder / name)
    return folder


LAYOUTS = {
    "both splits": ["train/{}.png", "test/{}.png"],
    "three splits": ["train/{}.png", "val/{}.png", "test/{}.png"],
    "loose and below": ["{}.png", "{}.png", "epoch2/{}.png"],
    "below and loose": ["a/{}.png", "a/{}.png", "{}.png"],
    "deep": ["a/b/{}.png", "a/c/d/{}.png"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_in_any_sub_folder_are_scored(layout: str, place: Path, tmp_path: Path) -> None:
    forms = LAYOUTS[layout]
    folder = pictures(tmp_path / "g", [forms[number % len(forms)].format(number) for number in range(60)])
    archive = shutil.make_archive(str(tmp_path / "g"), "zip", folder)
    for source in (folder, Path(archive)):
        report = gs.evaluate(source, data=place / "digits.npz", samples=60, seeds=1)
        assert report.protocol.generated == 60, source
        assert not any("no more" in note for note in report.notes)


def test_both_splits_of_arrays_and_samples_beside_others_are_scored(place: Path, tmp_path: Path) -> None:
    digits = gs.data.load("mnist").take(np.arange(60))
    np.savez(tmp_path / "g.npz", train_images=digits[:40], test_images=digits[40:])
    assert gs.evaluate(tmp_path / "g.npz", data=place / "digits.npz", samples=60, seeds=1).protocol.generated == 60
    folder = pictures(tmp_path / "h", [f"{number}.png" for number in range(20)])
    gs.load(place / "runs" / "digits-mlp-001").sample(20).save(folder / "made")
    assert gs.evaluate(folder, data=place / "digits.npz", samples=40, seeds=1).protocol.generated == 40


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([f"{number}.png" for number in range(24)], "has 24 training images, of which one half"),
        ([f"{'test' if number < 10 else 'train'}/{number}.png" for number in range(40)], "has 10 test images; give"),
        (
            [f"{'train' if number < 10 else 'test'}/{number}.png" for number in range(40)],
            "has 10 training images; give",
        ),
    ],
)
def test_too_few_real_images_are_blamed_on_the_real_side(names: list[str], told: str, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "d", names)
    images = gs.data.load("mnist").take(np.arange(100))
    with pytest.raises(ValueError, match=rf"images: too few real images to measure against: d {told}.*`data`"):
        gs.evaluate(images, data=folder, samples=100, seeds=1)


def test_too_few_generated_images_are_blamed_on_them(place: Path) -> None:
    images = gs.data.load("mnist").take(np.arange(40))
    with pytest.raises(ValueError, match="images: 12 generated images cannot be measured; give 16 or more"):
        gs.evaluate(images[:12], data=place / "digits.npz")
    report = gs.evaluate(images, data=place / "digits.npz")
    assert any("there are no more generated images of images" in note for note in report.notes)
    assert any("features on each side, not 40 generated ones" in note for note in report.notes)
    report = gs.evaluate(gs.data.load("mnist").take(np.arange(1000)), data=place / "digits.npz", seeds=1)
    assert any("there are no more training images of digits" in note for note in report.notes)
    assert any("400 real images to measure against, digits test" in note for note in report.notes)


def test_a_table_of_figures_is_not_called_nothing(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "few", [f"{number}.png" for number in range(40)])
    assert main(["evaluate", str(folder), "--data", str(place / "digits.npz")]) == 0
    told = capsys.readouterr().out
    assert "nothing could be measured" not in told
    assert told.splitlines()[0].endswith("too few images to tell")


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=12), st.integers(16, 500))
def test_classes_that_take_turns_are_taken_as_often_as_in_the_data(counts: list[int], count: int) -> None:
    shares = [each / sum(counts) for each in counts]
    indices = inputs.in_shares(shares, count)
    assert len(indices) == len(set(indices.tolist())) == count
    assert (np.diff(indices) > 0).all()
    found = np.bincount(indices % len(shares), minlength=len(shares))
    assert np.abs(found - np.array(shares) * count).max() < 1
    for turn, most in enumerate(found):  # the first of each class, so that none is passed over
        assert sorted(index // len(shares) for index in indices if index % len(shares) == turn) == list(range(most))
