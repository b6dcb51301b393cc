"""Which real images belong to a generator: found in one place, and where they changed since training, that is said."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gansmith as gs
from gansmith.cli import main
from gansmith.evaluation import real
from gansmith.latent import inversion


def write(path: Path, seed: int) -> None:
    """Digits as a file, others for another seed; the test split is the same."""
    mnist = gs.data.load("mnist")
    chosen = np.random.default_rng(seed).permutation(10_000)[:200]
    np.savez(path, train_images=mnist.take(chosen)[:, 0], test_images=mnist.take(np.arange(50_000, 50_060))[:, 0])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    """A run that has hardly begun, without signals."""
    place = tmp_path_factory.mktemp("trained")
    write(place / "some.npz", 0)
    return gs.train(
        place / "some.npz", recipe="mlp", steps=2, out=place / "runs", threads=1, evaluate_every=0, signals_every=0,
        sheet_every=1, batch_size=8, overrides={"generator.width": 0.125},
    )  # fmt: skip


@pytest.fixture
def run(trained: gs.Run, tmp_path: Path) -> gs.Run:
    """A copy of it, and its data as they were."""
    write(Path(trained.data.source), 0)
    return gs.Run(Path(shutil.copytree(trained.path, tmp_path / trained.name)))


VERBS = {
    "evaluate": ["--samples", "16", "--seeds", "1"],
    "truncate": ["--samples", "50", "-n", "1"],
    "neighbours": ["-n", "1"],
    "quiz": ["--sheet", "quiz.png", "--rounds", "4"],
    "invert": ["digit.png", "--floor", "2"],
    "doctor": [],
}
REFUSE = {"evaluate", "truncate", "neighbours", "quiz"}


@pytest.fixture
def beside_a_digit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a picture to invert, quickly, in it."""
    monkeypatch.setattr(inversion, "CANDIDATES", 64)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(gs.data.load("mnist").take([7])[0, 0]).save("digit.png")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_every_verb_notices_that_the_data_changed_since_training(
    run: gs.Run, beside_a_digit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb, flags in VERBS.items():
        assert main([verb, str(run.path), *flags]) == 0, verb
        assert "changed since" not in said(capsys), verb
    data = Path(run.data.source)
    write(data, 1)
    for verb, flags in VERBS.items():
        assert main([verb, str(run.path), *flags]) == (2 if verb in REFUSE else 0), verb
        assert f"some.npz: the data changed since {run.name} was trained" in said(capsys), verb
    write(beside_a_digit / "other.npz", 2)
    for verb in REFUSE:
        assert main([verb, str(run.path), "--data", "other.npz", *VERBS[verb]]) == 0
    data.unlink()
    for verb in REFUSE:
        assert main([verb, str(run.path), *VERBS[verb]]) == 2
        assert "there is no such file" in said(capsys)


def test_every_verb_that_reads_test_images_notices_that_they_changed(
    run: gs.Run, beside_a_digit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(run.data.source)
    assert run.data.test_fingerprint == gs.data.load(path, split="test").fingerprint
    arrays = dict(np.load(path))
    (name,) = [name for name in arrays if "test" in name and "image" in name]
    np.savez(path, **{**arrays, name: 255 - arrays[name]})
    for verb in ("evaluate", "truncate", "quiz", "invert", "neighbours"):
        assert main([verb, str(run.path), *VERBS[verb]]) == (0 if verb in {"invert", "neighbours"} else 2), verb
        assert ("its test images changed since training" in said(capsys)) == (verb != "neighbours"), verb
    np.savez(path, **{key: array for key, array in arrays.items() if "test" not in key})
    with pytest.raises(ValueError, match=r"some\.npz: its test images are gone since training"):
        gs.evaluate(run, samples=16, seeds=1)
    about = json.loads((run.path / "data.json").read_text())
    del about["test_fingerprint"]  # as it was before it was kept
    (run.path / "data.json").write_text(json.dumps(about))
    assert gs.evaluate(gs.Run(run.path), samples=16, seeds=1).protocol.against.endswith("there is no test split)")


def test_a_stored_comparison_is_of_the_images_that_are_there(
    run: gs.Run, beside_a_digit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    invert = ["invert", str(run.path), "digit.png", "--floor", "2"]
    assert main(invert) == 0
    assert "inverting 2 test images once" in said(capsys)
    assert main(invert) == 0
    assert "once" not in said(capsys)
    path = run.path / "inversion.json"
    stored = json.loads(path.read_text())
    assert stored["data"] == gs.data.load(run.data.source, split="test").fingerprint
    path.write_text(json.dumps({**stored, "data": "0" * 64}))
    assert main(invert) == 0
    assert "inverting 2 test images once" in said(capsys)
    assert json.loads(path.read_text()) == stored


def test_unseen_images_are_the_test_split_however_small(run: gs.Run, tmp_path: Path) -> None:
    found = real.of_run(run)
    assert (found.train.split, len(found.train)) == ("train", 200)
    assert (found.unseen.split, len(found.unseen)) == ("test", 60)
    assert found.held_out is found.test  # an eighth of the training images
    assert real.of_data("mnist").held_out is not None
    np.savez(tmp_path / "plain.npz", images=found.train.take(np.arange(9)))
    plain = real.of_data(tmp_path / "plain.npz")
    assert (plain.unseen, plain.held_out) == (plain.train, None)


def test_other_data_are_made_square_as_the_run_was_trained(tmp_path: Path, run: gs.Run) -> None:
    wide = np.zeros((20, 28, 56), np.uint8)
    wide[:, :, :8] = 255
    np.savez(tmp_path / "wide.npz", images=wide)
    facts = json.loads((run.path / "data.json").read_text())
    (run.path / "data.json").write_text(json.dumps({**facts, "fit": "pad"}))
    padded = real.of_run(gs.Run(run.path), tmp_path / "wide.npz").train
    assert padded.take([0]).max() == 255  # a crop about the centre has none of the white edge
    assert real.of_data(tmp_path / "wide.npz", size=28).train.take([0]).max() == 0
