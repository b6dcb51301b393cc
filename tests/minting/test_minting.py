"""Minted sets: the same whoever makes them and however often they are cut, read by the libraries they are meant for."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gansmith as gs
from decoder import conditional, decoder
from gansmith import data
from gansmith.cli import main
from gansmith.encoders.encoder import builtin, judge
from gansmith.errors import UserError
from gansmith.minting import Minted, mint, minting, shards, sieve
from gansmith.minting.sieve import Closeness, Kept, Looked, Sieve, small


@pytest.fixture(scope="module")
def makers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two generators that draw digits: plain, and told the label."""
    folder = tmp_path_factory.mktemp("makers")
    decoder().save_pretrained(folder / "plain")
    conditional().save_pretrained(folder / "told")
    return folder


@pytest.fixture(scope="module")
def close() -> Closeness:
    train, test = data.load("mnist"), data.load("mnist", split="test")
    few = data.from_arrays(train.take(np.arange(6000)), name="few")
    return Closeness.of(few, test)


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes where the third shard is to be written, once."""
    write, calls = shards.write, []

    def stop(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(*given)

    monkeypatch.setattr(shards, "write", stop)


@pytest.mark.parametrize("layout", ["npz", "folder", "tar", "parquet"])
def test_image_i_is_image_i_and_a_cut_set_is_gone_on_with(
    layout: Any, makers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minting, "BLOCK", 48)
    ask: dict[str, Any] = {"layout": layout, "shard": 40, "seed": 3}
    whole = mint(makers / "told", 130, tmp_path / "whole", workers=1, **ask)
    assert (whole.rows, len(whole.shards), whole.complete) == (130, 4, True)
    images = np.concatenate([shards.read(tmp_path / "whole", whole.plan, shard)[0] for shard in whole.shards])
    wanted = gs.load(makers / "told").sample(130, seed=3)
    if layout != "folder":  # whose classes lie in folders
        assert np.array_equal(images, wanted.images)
    assert whole.counts == {str(label): 13 for label in range(10)}
    assert repr(whole).startswith("Minted(130 of 130 images in ")
    assert "<td" in whole._repr_html_()
    assert "sha256" not in whole._repr_html_()
    write, calls = shards.write, []

    def full(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return write(*given)

    monkeypatch.setattr(shards, "write", full)
    with pytest.raises(UserError, match=r"cut: cannot be written \(No space left .*\); the same command goes on"):
        mint(makers / "told", 130, tmp_path / "cut", workers=1, **ask)
    assert Minted.read(tmp_path / "cut").rows == 80
    assert not (tmp_path / "cut" / "index.json").exists()
    mint(makers / "told", 130, tmp_path / "cut", workers=1, **ask)
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    assert len(calls) == 5, "shards that were there are not made again"


def test_labels_come_as_often_as_the_data_have_them_unless_balanced(
    makers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minting, "BLOCK", 96)
    counts = (1000, 0, 500, 250, 250, 0, 0, 0, 0, 0)
    generator = replace(gs.load(makers / "told"), class_counts=counts)
    generator.save_pretrained(tmp_path / "uneven")
    alone = mint(tmp_path / "uneven", 400, tmp_path / "by 1", workers=1, seed=2)
    mint(tmp_path / "uneven", 400, tmp_path / "by 2", workers=2, seed=2)
    assert list(alone.counts.values()) == [count // 5 for count in counts]
    assert files(tmp_path / "by 1") == files(tmp_path / "by 2")
    with np.load(tmp_path / "by 1" / "train-00000.npz") as file:
        images, labels = file["images"][:, None], file["labels"]
    assert np.array_equal(images, generator.images(generator.latents(400, seed=2), labels))
    even = mint(tmp_path / "uneven", 400, tmp_path / "even", balance=True, workers=1, seed=2)
    assert set(even.counts.values()) == {40}
    assert even.left_out == {}
    with pytest.raises(UserError, match="holds another set"):
        mint(tmp_path / "uneven", 400, tmp_path / "by 1", balance=True, workers=1, seed=2)


def test_a_set_that_is_killed_ends_in_the_same_bytes_with_other_workers(makers: Path, tmp_path: Path) -> None:
    ask = ["-n", "6000", "--shard", "1000", "--format", "tar", "--seed", "1"]
    mint(makers / "plain", 6000, tmp_path / "whole", layout="tar", seed=1, shard=1000, workers=1)
    words = [sys.executable, "-m", "gansmith", "mint", str(makers / "plain"), *ask, "-o", str(tmp_path / "cut")]
    process = subprocess.Popen([*words, "--workers", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "cut").glob("train-000001.tar")):
        assert process.poll() is None
        time.sleep(0.01)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker waits for ever"
        time.sleep(0.05)
    assert main([*words[3:], "--workers", "1"]) == 0
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves files open
def test_what_reads_it_finds_images_and_labels(makers: Path, tmp_path: Path) -> None:
    import webdataset  # late: it takes a second

    for layout in ("parquet", "tar", "folder"):
        mint(makers / "told", 60, tmp_path / layout, layout=layout, shard=25, workers=1)  # type: ignore[arg-type]
    wanted = gs.load(makers / "told").sample(60)
    datasets = pytest.importorskip("datasets")
    for layout in ("parquet", "folder"):
        found = datasets.load_dataset(str(tmp_path / layout), split="train", cache_dir=str(tmp_path / "cache"))
        assert len(found) == 60
        assert found.features["label"].names == [str(label) for label in range(10)]
        if layout == "parquet":
            assert np.array_equal(np.stack([np.asarray(row["image"]) for row in found]), wanted.images[:, 0])
            assert found["label"] == wanted.labels.tolist()  # type: ignore[union-attr]
    again = data.load(tmp_path / "parquet")
    assert np.array_equal(again.take(np.arange(60)), wanted.images)
    assert "gansmith made these images" in data.inspect(tmp_path / "parquet").notes, "or they would be taken for real"
    tars = sorted(map(str, (tmp_path / "tar").glob("*.tar")))
    rows = list(webdataset.WebDataset(tars, shardshuffle=False).decode("pil").to_tuple("png", "cls"))
    assert np.array_equal(np.stack([np.asarray(picture)[..., 0] for picture, _ in rows]), wanted.images[:, 0])
    assert [label for _, label in rows] == wanted.labels.tolist()  # type: ignore[union-attr]
    index = json.loads((tmp_path / "tar" / "index.json").read_text())
    assert [shard["count"] for shard in index["shards"]] == [25, 25, 10]
    assert sum((tmp_path / "tar" / shard["file"]).stat().st_size - shard["bytes"] for shard in index["shards"]) == 0


def test_classes_are_balanced_by_what_the_encoder_reads(
    makers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minting, "BLOCK", 256)
    found = mint(makers / "plain", 200, tmp_path / "set", balance=True, filters=["recognised"], workers=1)
    assert found.plan.labels == "pseudo"
    assert set(found.counts.values()) == {20}
    assert found.left_out["unrecognised"] > 0
    assert found.left_out["surplus"] > 0
    with np.load(tmp_path / "set" / "train-00000.npz") as file:
        images, labels = file["images"][:, None], file["labels"]
    assert np.array_equal(builtin("mnist").encode(images).labels, labels)  # type: ignore[arg-type]


def test_copies_of_training_images_and_repetitions_are_left_out(close: Closeness) -> None:
    train, test = data.load("mnist"), data.load("mnist", split="test")
    sieve = Sieve(("novel", "distinct"), False, close=close)
    copies = sieve.look(train.take(np.arange(300)), None, ())
    assert (copies.reasons == 2).all()
    shifted = np.clip(train.take(np.arange(300)).astype(int) + 3, 0, 255).astype(np.uint8)
    assert (sieve.look(shifted, None, ()).reasons == 2).mean() > 0.9
    fresh = sieve.look(test.take(np.arange(2000)), None, ())
    assert (fresh.reasons == 2).mean() < 0.01
    assert fresh.rows is not None
    assert fresh.reach is not None
    kept = Kept(fresh.rows)
    kept.add(fresh.rows[:50])
    assert kept.repeated(fresh.rows[:100], fresh.reach[:100]).sum() == 50
    twice = np.concatenate([fresh.rows[:20], fresh.rows[:20]])
    assert set(kept.among(twice, np.concatenate([fresh.reach[:20]] * 2))) == set(range(20, 40))
    assert small(np.zeros((2, 3, 64, 64), np.uint8)).shape == (2, 3 * 256)


def test_recognised_is_by_both_and_as_asked() -> None:
    test = data.load("mnist", split="test")
    images, labels = test.take(np.arange(200)), test.labels[:200]  # type: ignore[index]
    sieve = Sieve(("recognised",), False, builtin("mnist"), judge("mnist"))
    assert (sieve.look(images, labels, test.classes).reasons == 0).mean() > 0.9
    assert (sieve.look(images, (labels + 1) % 10, test.classes).reasons == 1).mean() > 0.95
    noise = np.random.default_rng(0).integers(0, 256, (50, 1, 28, 28), np.uint8)
    assert (sieve.look(noise, None, ()).reasons == 1).mean() > 0.9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-n", "0"], "--number 0: give 1 to"),
        (["-n", "9", "--shard", "0"], "--shard 0: give 1 to"),
        (["-n", "9", "--workers", "0"], "--workers 0: give 1 to"),
        (["-n", "9", "--seed", "-1"], "seed -1"),
        (["-n", "9", "--filter", "novle"], "--filter novle: choose from"),
        (["-n", "9", "--format", "zip"], "zip"),
        (["-n", "9", "--filter", "recognised", "--data", "colour-mnist"], "colour-mnist"),
    ],
)
def test_what_cannot_be_minted_is_one_line(
    words: list[str], said: str, makers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mint", str(makers / "plain"), "-o", str(tmp_path / "set"), *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.strip().splitlines()) == 1


def test_another_set_is_not_overwritten(makers: Path, tmp_path: Path) -> None:
    mint(makers / "plain", 10, tmp_path / "set", workers=1)
    with pytest.raises(ValueError, match=r"holds another set \(seed 0, not 1\)"):
        mint(makers / "plain", 10, tmp_path / "set", seed=1, workers=1)
    (tmp_path / "mine").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "mine" / "x.png")
    with pytest.raises(ValueError, match="is in the way"):
        mint(makers / "plain", 10, tmp_path / "mine", workers=1)
    with pytest.raises(ValueError, match="is no minted set"):
        Minted.read(tmp_path / "mine")


def test_nothing_that_fits_is_said(makers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minting, "PATIENCE", 100)
    monkeypatch.setattr(
        Closeness, "of", lambda *_: Closeness(np.zeros((1, 784 // 4), np.uint8), np.ones(1, np.float32), 1e9)
    )
    with pytest.raises(ValueError, match=r"0 were kept \(.* copies\): hardly any fits"):
        mint(makers / "plain", 10, tmp_path / "set", filters=["novel"], workers=1)


def test_a_set_of_many_images_is_gone_on_with(makers: Path, tmp_path: Path) -> None:
    """However many it looked at before, half of what is made now fits."""
    begun = mint(makers / "plain", 10, tmp_path / "set", workers=1)
    there = begun.shards[0].model_copy(update={"rows": 1_000_000, "tried": 2_000_000, "last": 1_999_999})
    plan = begun.plan.model_copy(update={"n": 1_010_000, "shard_rows": 1_000_000})
    half = Looked(None, (np.arange(2048) % 2 * 2).astype(np.uint8), None, None)
    blocks = (
        minting.Block(2_000_000 + 2048 * i, np.zeros((2048, *plan.shape), np.uint8), half) for i in range(1_000_000)
    )
    minted = Minted(plan=plan, shards=(there,))
    assert minting._Mint(tmp_path / "set", minted, Sieve(("novel",), False)).run(blocks, None).rows == 1_010_000


def test_units_are_distances_to_the_second_of_other_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "BLOCK", 7)
    rng = np.random.default_rng(0)
    rows, others = rng.integers(0, 255, (40, 5)).astype(np.uint8), np.sort(rng.permutation(40)[:11])
    apart = np.sqrt(np.square(rows[:, None].astype(float) - rows[others][None]).sum(2))
    apart[others, np.arange(11)] = np.inf
    assert np.allclose(sieve._units(rows, others, None), np.sort(apart, axis=1)[:, 1], rtol=1e-5)


def test_a_class_that_is_hardly_made_is_said(makers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minting, "PATIENCE", 100)
    threes = Looked(np.full(64, 3), np.zeros(64, np.uint8), None, None)
    monkeypatch.setattr(Sieve, "look", lambda *_: threes)
    with pytest.raises(UserError, match=r"`balance`: of [\d,]+ images 1 were kept \([\d,]+ surplus\): some class is"):
        mint(makers / "plain", 10, tmp_path / "set", balance=True, workers=1)


def test_repetitions_are_known_over_a_cut(
    makers: Path, tmp_path: Path, close: Closeness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minting, "BLOCK", 128)
    monkeypatch.setattr(Closeness, "of", lambda *_: Closeness(close.rows[:500], close.units[:500], 1.3))
    ask: dict[str, Any] = {"filters": ["distinct"], "shard": 50, "workers": 1, "layout": "folder"}
    whole = mint(makers / "plain", 150, tmp_path / "whole", **ask)
    assert whole.left_out["repeats"] > 10
    cut(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        mint(makers / "plain", 150, tmp_path / "cut", **ask)
    mint(makers / "plain", 150, tmp_path / "cut", **ask)
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_counts_of_a_balanced_set_are_known_over_a_cut(
    makers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minting, "BLOCK", 64)
    ask: dict[str, Any] = {"balance": True, "shard": 30, "workers": 1, "layout": "folder"}
    whole = mint(makers / "plain", 90, tmp_path / "whole", **ask)
    assert whole.left_out["surplus"] > 0
    cut(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        mint(makers / "plain", 90, tmp_path / "cut", **ask)
    mint(makers / "plain", 90, tmp_path / "cut", **ask)
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_an_unknown_layout_is_refused_in_a_line(makers: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`layout` 'zip': give one of folder, npz, parquet, tar"):
        mint(makers / "plain", 10, tmp_path / "set", layout="zip")  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_set_says_how_it_goes_on(
    makers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    handler = signal.getsignal(number)

    def stop(*given: Any) -> Any:
        if number == signal.SIGINT:  # which a program in the background may have been told to ignore
            raise KeyboardInterrupt
        assert signal.getsignal(number) is signal.default_int_handler  # or the signal would end the tests
        signal.raise_signal(number)

    monkeypatch.setattr(shards, "write", stop)
    ask = ["mint", str(makers / "plain"), "-n", "10", "-o", str(tmp_path / "set"), "--workers", "1"]
    assert main(ask) == 130
    assert capsys.readouterr().err.endswith(f"interrupted; the same command goes on in {tmp_path / 'set'}\n")
    assert signal.getsignal(number) is handler
    monkeypatch.undo()
    assert main(ask) == 0
