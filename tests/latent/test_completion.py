"""Pictures completed and enlarged: what is known stays, answers differ, and what is hidden is guessed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gansmith as gs
from gansmith import data, latent
from gansmith.cli import main
from gansmith.errors import UserError
from gansmith.generator import Generator
from gansmith.latent import completion

LEFT = np.zeros((28, 28), bool)
LEFT[:, :14] = True


STARTS = 300
"""Samples to start from: fewer, for speed."""


@pytest.fixture(scope="module", autouse=True)
def fewer() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completion, "CANDIDATES", STARTS)
        patch.setattr(completion, "STEPS", 2)
        yield


@pytest.fixture(scope="module")
def generator() -> Generator:
    return gs.load("mnist")


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    """A 7 and a 4 that nothing was trained on."""
    return data.load("mnist", split="test").take(np.array([0, 4]))


@pytest.fixture(scope="module")
def found(generator: Generator, real: np.ndarray) -> latent.Completed:
    return latent.complete(generator, real, LEFT, n=3, steps=40)


def test_what_is_known_stays_and_answers_differ(generator: Generator, found: latent.Completed) -> None:
    assert (found.images.shape, found.errors.shape) == ((2, 3, 1, 28, 28), (2, 3))
    assert np.array_equal(found.images[..., LEFT], np.repeat(found.given[:, None], 3, 1)[..., LEFT])
    assert not np.array_equal(found.images[:, 0], found.images[:, 1])
    assert (np.diff(found.errors, axis=1) >= 0).all()
    assert repr(found) == "Completed(2 x 3 images, 1x28x28)"
    assert found._repr_png_()[:4] == b"\x89PNG"
    assert np.array_equal(latent.images(generator, found.vectors), found.generated.reshape(6, 1, 28, 28))


def test_the_search_comes_nearer_than_the_samples_it_starts_from(generator: Generator, found: latent.Completed) -> None:
    samples = generator.sample(STARTS, seed=completion.SEED).images.astype(float)[..., LEFT]
    for given, errors in zip(found.given, found.errors, strict=True):
        nearest = np.sqrt(((samples - given[..., LEFT]) ** 2).mean(axis=(1, 2)).min())
        assert errors[0] < 0.9 * nearest


def test_the_hidden_part_of_real_digits_is_guessed(generator: Generator, found: latent.Completed) -> None:
    hidden = found.given.astype(float)[..., ~LEFT]
    guesses = generator.sample(64, seed=3).images[..., ~LEFT][None] - hidden[:, None]
    away = found.images[..., ~LEFT] - hidden[:, None]
    best, usual = (np.sqrt((each**2).mean(axis=(2, 3))) for each in (away, guesses))
    assert (best.min(axis=1) < 0.8 * np.median(usual, axis=1)).all()


def test_what_is_hidden_does_not_matter(generator: Generator, real: np.ndarray) -> None:
    picture = real[:1]
    other = np.where(LEFT, picture, 255 - picture)
    first, second = (latent.complete(generator, each, LEFT, n=2, steps=3) for each in (picture, other))
    assert np.array_equal(first.images, second.images)


def test_the_seam_is_bridged_and_fades() -> None:
    made, given = np.full((1, 1, 8, 8), 100, np.uint8), np.full((1, 8, 8), 140, np.uint8)
    known = np.zeros((8, 8), bool)
    known[:, :3] = True
    row = completion._blended(made, given, known)[0, 0, 4].astype(int)
    assert (row[:3] == 140).all()
    assert 110 < row[3] < 140
    assert (np.diff(row) <= 0).all()
    assert row[-1] == pytest.approx(100, abs=3)


def test_enlarged_images_are_the_small_picture_when_made_small(generator: Generator, real: np.ndarray) -> None:
    real = real[:1]
    small = real.reshape(1, 1, 7, 4, 7, 4).mean(axis=(3, 5)).round().astype(np.uint8)
    found = latent.enlarge(generator, small, n=2, steps=40)
    assert found.known is None
    again = found.images.astype(float).reshape(1, 2, 1, 7, 4, 7, 4).mean(axis=(4, 6))
    assert np.sqrt(((again[0, 0] - small[0]) ** 2).mean()) < 8
    squares = small.repeat(4, 2).repeat(4, 3).astype(float)
    away = [np.sqrt(((each - real[0]) ** 2).mean()) for each in (found.images[0, 0], squares[0])]
    assert away[0] < away[1]


def test_what_cannot_be_completed_is_one_line(generator: Generator) -> None:
    picture = np.zeros((1, 1, 28, 28), np.uint8)
    with pytest.raises(UserError, match="leave something unknown"):
        latent.complete(generator, picture, np.ones((28, 28), bool))
    with pytest.raises(UserError, match="divides 28"):
        latent.enlarge(generator, picture[..., :5, :5])
    with pytest.raises(UserError, match="`n` 0: give 1 to 1,000 answers"):
        latent.complete(generator, picture, LEFT, n=0)
    with pytest.raises(UserError, match="no class is called '11'"):
        latent.complete(generator, picture, LEFT, labels=["11"])


def test_the_command_draws_the_answers(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(generator.sample(1).images[0, 0]).save("picture.png")
    Image.fromarray(np.where(LEFT, 0, 255).astype(np.uint8)).save("mask.png")
    saved = []
    for index, way in enumerate(["--mask mask.png", "--keep left", "--draw", "--enlarge 4"]):
        line = f"complete mnist picture.png {way} -n 2 -o {index}.png --save {index}.npz"
        assert main(line.split()) == 0
        saved.append(np.load(f"{index}.npz")["latents"])
        with Image.open(f"{index}.png") as picture:
            assert picture.width > 100
    assert np.array_equal(saved[0], saved[1])  # the mask says what --keep left says
    assert "2 answers" in capsys.readouterr().out
    before = Path("picture.png").read_bytes()
    assert main(["complete", "mnist", "picture.png", "--keep", "left", "-o", "picture.png"]) == 2
    assert main(["complete", "mnist", "picture.png", "--mask", "mask.png", "-o", "./mask.png"]) == 2
    assert capsys.readouterr().err.count("is one of the pictures, and would be overwritten; name another") == 2
    assert Path("picture.png").read_bytes() == before
    Image.new("L", (28, 28)).save("dark.png")
    assert main(["complete", "mnist", "picture.png", "--mask", "dark.png"]) == 2
    assert main(["complete", "mnist", "dark.png", "--draw"]) == 2
    Image.new("L", (40, 30)).save("wide.png")
    assert main(["complete", "mnist", "picture.png", "--mask", "wide.png"]) == 2
    said = capsys.readouterr().err
    assert "--mask wide.png: is 40x30 pixels and the picture 28x28; give it that shape" in said
    assert "--mask dark.png: make a part of it white" in said
    assert "--draw dark.png: draw light strokes on a dark ground" in said
    assert main(["complete", "mnist", "picture.png"]) == 2
    assert main(["complete", "mnist", "picture.png", "--draw", "--enlarge", "5"]) == 2
    assert "one of --mask, --keep, --draw and --enlarge" in capsys.readouterr().err
