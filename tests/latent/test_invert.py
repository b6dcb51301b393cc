"""A picture to noise: what the generator made is found again, real digits nearly, photographed ones once normalised."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

import gansmith as gs
from decoder import conditional, decoder
from gansmith import cli, data, hardware, latent
from gansmith.encoders import encoder as encoders
from gansmith.latent import inversion, optimise, photo
from gansmith.latent.attributes import thickness
from gansmith.latent.inversion import Inverted, invert


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Fewer samples to begin from: they are most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inversion, "CANDIDATES", 1024)
        yield


def real(count: int) -> np.ndarray:
    return data.load("mnist", split="test").take(np.arange(count))


def labels(count: int) -> np.ndarray:
    return data.load("mnist", split="test").labels[:count]


@pytest.fixture(scope="module")
def inverted() -> Inverted:
    return invert(decoder(), real(6))


def test_real_digits_come_near(inverted: Inverted) -> None:
    assert np.array_equal(decoder().images(torch.from_numpy(inverted.latents)), inverted.images)
    difference = inverted.images.astype(float) - real(6)
    assert inverted.errors == pytest.approx(np.sqrt((difference**2).mean((1, 2, 3))), rel=1e-5)
    assert (inverted.errors < 0.75 * inverted.before).all()
    assert (encoders.builtin("mnist").encode(inverted.images).labels == labels(6)).all()


def test_what_the_generator_made_is_found_again() -> None:
    own = decoder().sample(3, seed=77).images
    found = invert(decoder(), own)
    assert (found.errors < 12).all()
    assert (found.errors < 0.5 * inversion.floor(decoder(), real(3))).all()


def test_the_search_gets_no_worse_with_more(inverted: Inverted) -> None:
    none = invert(decoder(), real(6), starts=1, steps=1)
    assert (inverted.errors < none.errors).all()
    assert none.errors.mean() < 1.05 * none.before.mean()  # the start is one of the nearest


def test_a_result_depends_on_its_picture_alone(inverted: Inverted) -> None:
    alone = invert(decoder(), real(6)[4:5])
    assert np.array_equal(alone.latents[0], inverted.latents[4])


def test_a_floor_is_the_median_of_inverting_one_by_one(inverted: Inverted) -> None:
    assert inversion.floor(decoder(), real(6)) == pytest.approx(float(np.median(inverted.errors)), rel=0.02)


def test_coarse_products_find_as_much(inverted: Inverted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimise, "HEAVY", 0.0)
    monkeypatch.setattr(hardware, "bf16_support", lambda device: (True, "wherever it is emulated too"))
    found = invert(decoder(), real(4))
    assert not np.array_equal(found.latents, inverted.latents[:4])  # bf16 was at work
    assert found.errors.mean() < 1.1 * inverted.errors[:4].mean()


def test_latents_stay_on_the_shell(inverted: Inverted) -> None:
    lengths = np.linalg.norm(inverted.latents, axis=1)
    assert (abs(lengths - 40**0.5) < 1.43).all()


def test_a_conditional_generator_tries_all_classes_or_the_one_given() -> None:
    found = invert(conditional(), real(4))
    assert (found.vectors.labels == labels(4)).mean() >= 3 / 4
    told = invert(conditional(), real(1), labels=[3])
    assert told.vectors.labels.tolist() == [3]
    assert told.errors[0] > found.errors[0]


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.zeros((1, 3, 28, 28), np.uint8), {}, "pictures are"),
        (np.zeros((1, 1, 28, 28), np.float32), {}, "pictures are"),
        (np.zeros((0, 1, 28, 28), np.uint8), {}, "pictures are"),
        (np.zeros((1, 1, 28, 28), np.uint8), {"labels": [1]}, "trained without labels"),
        (np.zeros((1, 1, 28, 28), np.uint8), {"starts": 0}, "starts"),
        (np.zeros((1, 1, 28, 28), np.uint8), {"seed": -1}, "seed"),
    ],
)
def test_bad_requests(images: np.ndarray, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        invert(decoder(), images, **options)


def photograph(digit: np.ndarray, seed: int, *, light: bool = False, turned: bool = False, ink: float = 0.5) -> bytes:
    """A digit (1, 28, 28) as a JPEG of a page: large, off-centre, coloured, badly lit, with noise, specks, an edge."""
    rng = np.random.default_rng(seed)
    large = np.asarray(Image.fromarray(digit[0]).resize((224, 224), Image.Resampling.BICUBIC)) / 255
    full = np.zeros((450, 600))
    top, left = rng.integers(10, 450 - 234), rng.integers(20, 600 - 234)
    full[top : top + 224, left : left + 224] = 1 / (1 + np.exp(-20 * (large - ink)))
    y, x = np.mgrid[:450, :600]
    page = (225 - 100 * x / 600 - 60 * (y / 450) ** 2)[..., None] * np.array([1, 0.97, 0.9])
    colour = np.array([40, 50, 130])
    if light:
        page, colour = page * 0.2, np.array([230, 230, 200])
    page = page * (1 - full[..., None]) + colour * full[..., None] + rng.normal(0, 6, page.shape)
    page[50:52, 30:34], page[:, :6] = 90, 120 if light else 30
    picture = Image.fromarray(page.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    exif = Image.Exif()
    if turned:
        picture, exif[0x0112] = picture.transpose(Image.Transpose.ROTATE_90), 6
    buffer = io.BytesIO()
    picture.save(buffer, "jpeg", quality=80, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["dark", "light", "turned"])
def test_photographed_digits_are_normalised_as_mnist_was(kind: str, tmp_path: Path) -> None:
    found = []
    for index, digit in enumerate(real(12)):
        (tmp_path / "p.jpg").write_bytes(photograph(digit, index, light=kind == "light", turned=kind == "turned"))
        found.append(photo.normalised(photo.read(tmp_path / "p.jpg")))
    images = np.stack(found)
    assert (encoders.builtin("mnist").encode(images).labels == labels(12)).mean() >= 11 / 12
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(images, real(12), strict=True)]
    assert np.median(alike) > 0.9
    y, x = np.mgrid[:28, :28]
    mass = images.sum((1, 2, 3))
    for axis in (y, x):
        assert (abs((images[:, 0] * axis).sum((1, 2)) / mass - 14) <= 0.51).all()
    sides = [max(np.ptp(np.nonzero(image[0] > 40), axis=1)) + 1 for image in images]
    assert all(18 <= side <= 20 for side in sides)


def test_thin_strokes_are_thickened(tmp_path: Path) -> None:
    (tmp_path / "p.jpg").write_bytes(photograph(real(1)[0], 0, ink=0.93))
    image = photo.normalised(photo.read(tmp_path / "p.jpg"))
    assert thickness(image[None])[0] > 1.5
    assert encoders.builtin("mnist").encode(image[None]).labels[0] == 7


def test_what_is_normal_is_left_alone_and_what_is_empty_refused() -> None:
    for digit in real(20):
        assert np.array_equal(photo.normalised(digit), digit)
    for blank in (np.full((3, 50, 60), 200, np.uint8), np.zeros((1, 9, 9), np.uint8)):
        with pytest.raises(ValueError, match="nothing stands out"):
            photo.normalised(blank)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="nothing stands out"):
        photo.normalised((rng.normal(200, 4, (1, 80, 80))).astype(np.uint8))


def test_other_pictures_are_only_fitted() -> None:
    wide = np.zeros((3, 40, 80), np.uint8)
    wide[0, :, 20:60] = 255
    square = photo.fitted(wide, channels=3, size=20)
    assert square.shape == (3, 20, 20)
    assert square[0].min() == 255
    assert photo.fitted(wide, channels=1, size=20).shape == (1, 20, 20)
    assert photo.wants_digits(decoder())
    colour = decoder().recipe.override(channels=3)
    assert not photo.wants_digits(type(decoder())(decoder().network, colour, (), {"data": "mnist"}))


def test_pictures_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    whole = photograph(real(1)[0], 0)
    (tmp_path / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    for name, message in (
        ("text.png", "not an image"),
        ("empty.png", "empty"),
        ("bomb.png", "bomb|limit"),
        ("torn.jpg", "cut short"),
        ("missing.png", "no such picture"),
        ("", "no such picture"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            photo.read(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    decoder().save_pretrained("g")
    Path("me.jpg").write_bytes(photograph(real(1)[0], 0))
    Image.fromarray(real(2)[1, 0]).save("two.png")
    assert cli.main(["invert", "g", "me.jpg", "two.png", "-o", "me.npz", "--floor", "3", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["normalised"]
    assert facts["floor_of"] == "the median of 3 test images"
    saved = latent.read("me.npz", decoder())
    assert len(saved) == 2
    assert np.array_equal(saved.latents[1], invert(decoder(), real(2)[1:]).latents[0])
    with Image.open("me-found.png") as sheet:
        assert sheet.height > 2 * 28
    assert latent.points(decoder(), "3,me.npz#0").latents.shape == (2, 40)  # usable wherever an index is
    assert cli.main(["invert", "g", "me.jpg", "--as-is", "--floor", "0", "-o", "raw.npz"]) == 0
    assert "error" in capsys.readouterr().out
    for bad in (
        ["me.jpg", "--label", "3"],
        ["gone.png"],
        ["two.png", "-o", "two.npz", "--sheet", "two.png"],
        ["me.jpg", "-o", "me.txt"],
    ):
        assert cli.main(["invert", "g", *bad]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_the_floor_is_kept_in_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import gansmith as gs

    run = gs.train(
        "mnist",
        recipe="mlp",
        steps=2,
        out=tmp_path,
        threads=1,
        evaluate_every=0,
        signals_every=0,
        overrides={"batch_size": 8},
    )
    monkeypatch.setattr(inversion, "CANDIDATES", 512)
    Image.fromarray(real(1)[0, 0]).save(tmp_path / "me.png")
    command = ["invert", str(run.path), str(tmp_path / "me.png"), "-o", str(tmp_path / "v.npz"), "--floor", "1"]
    assert cli.main(command) == 0
    assert "once, for comparison" in capsys.readouterr().err
    assert cli.main(command) == 0
    assert "once, for comparison" not in capsys.readouterr().err
    kept = json.loads((run.path / "inversion.json").read_text())
    (run.path / "inversion.json").write_text(json.dumps({**kept, "generator": "another"}))
    assert cli.main(command) == 0
    assert "once, for comparison" in capsys.readouterr().err


def test_a_named_class_counts_with_all_its_kinds() -> None:
    generator = gs.load("mnist")
    made = generator.sample(1, seed=5, label="7").images
    found = invert(generator, made, labels=["7"], starts=2, steps=20)
    assert found.vectors.labels is not None
    assert found.vectors.labels[0] // generator.recipe.kinds == 7
    free = invert(generator, made, starts=2, steps=20)
    assert found.errors[0] <= 1.01 * free.errors[0], "to be told what is true costs nothing"
