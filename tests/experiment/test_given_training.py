"""Training on images given in Python: a run like any other, which goes on and is evaluated in later processes."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import gansmith as gs
from gansmith import data
from gansmith.cli import main
from gansmith.errors import UserError
from gansmith.files import cache_dir

TINY = {"generator.width": 0.1, "discriminator.width": 0.1}
Given = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Given:
    """200 digits with their labels, and a cache that may be thrown away."""
    digits = data.load("mnist")
    assert digits.labels is not None
    images, labels = digits.take(range(200)), digits.labels[:200]
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return images, labels


def trained(source: object, steps: int = 4) -> gs.Run:
    keywords = {"recipe": "mlp", "batch_size": 8, "threads": 1, "overrides": TINY, "evaluate_every": 0}
    return gs.train(source, steps=steps, **keywords)  # type: ignore[arg-type]


def test_a_run_goes_on_where_the_cache_has_its_images(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(given)
    assert (run.name, run.data.count, len(run.data.classes)) == ("arrays-mlp-001", 200, 10)
    assert main(["train", "--resume", "last", "--steps", "6", "--quiet"]) == 0
    assert main(["evaluate", "last", "--samples", "32", "--seeds", "1"]) == 0
    assert main(["data", run.data.source]) == 2
    assert "is kept at another size; give --size 28" in capsys.readouterr().err
    assert main(["data", run.data.source, "--size", "28"]) == 0


def test_else_it_asks_for_the_same_images(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = given
    whole = trained(given, steps=6)
    run = trained(given)
    shutil.rmtree(cache_dir())
    for words in (["train", "--steps", "6", "--resume"], ["evaluate"]):
        assert main([*words, run.name]) == 2
        assert "give the same again" in capsys.readouterr().err
    with pytest.raises(UserError, match="other labels, than those that arrays-mlp-002 began with; give the same again"):
        gs.resume(run.name, source=images, steps=6)
    with pytest.raises(UserError, match="other images, or other labels"):
        gs.resume(run.name, source=(images[::-1], labels), steps=6)
    gs.resume(run.name, source=(images / 255, labels.tolist()), steps=6)  # written otherwise, they are the same
    weights = [each.path / "generator" / "model.safetensors" for each in (run, whole)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_images_are_measured_wherever_they_come_from(given: Given, tmp_path: Path) -> None:
    images, labels = given
    np.savez(tmp_path / "real.npz", images=images)
    made = images[::2]
    expected = gs.evaluate(made, data=tmp_path / "real.npz", seeds=1)["fd"].value
    generated = (made[:, 0], made / 127.5 - 1, iter(made), data.from_arrays(made), (made, labels[::2]))
    for each in generated:
        assert gs.evaluate(each, data=(image for image in images), seeds=1)["fd"].value == expected
    with pytest.raises(UserError, match="none of its 0 files can be used"):
        gs.evaluate([], data=images)


def test_a_data_set_has_the_name_it_was_given(given: Given) -> None:
    small = data.from_arrays(*given, name="few")
    assert trained(small, steps=1).name == "few-mlp-001"
