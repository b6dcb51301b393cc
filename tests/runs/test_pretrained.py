"""The generators that come with gansmith: there, as good as their cards say, and out of the way of one's own runs."""

import json
from pathlib import Path

import numpy as np
import pytest

import gansmith as gs
from gansmith import encoders, evaluation, runs
from gansmith.cli import main
from gansmith.evaluation import real
from gansmith.runs.run import PRETRAINED


@pytest.mark.parametrize("name", runs.pretrained())
def test_each_has_a_card_and_fits_a_package(name: str) -> None:
    files = {path.name: path.stat().st_size for path in (PRETRAINED / name).iterdir()}
    assert files.keys() == {"model.safetensors", "config.json", "README.md", "evaluation.json"}
    assert sum(files.values()) <= 4_000_000
    report = evaluation.Report.read(PRETRAINED / name / "evaluation.json")
    card = (PRETRAINED / name / "README.md").read_text()
    assert f"{report['fd'].value:.3f}" in card
    assert report.protocol.line in card
    assert report.protocol.generated == 10_000
    assert f"gansmith train {name}" in card
    assert "offered under" in card


@pytest.mark.parametrize("name", runs.pretrained())
def test_it_draws_the_class_that_is_asked_for(name: str) -> None:
    generator = gs.load(name)
    labels = np.arange(200) % 10  # in turn
    images = generator.sample(200, seed=5).images
    read = encoders.encoder.builtin(name).encode(np.ascontiguousarray(images)).labels
    assert read is not None
    assert (read == labels).mean() > (0.95 if name == "mnist" else 0.75)
    assert len(np.unique(images.reshape(200, -1), axis=0)) == 200


def test_verbs_take_it_where_there_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in (
        "sample mnist -n 4 --label 7 -o seven.png",
        "morph mnist --seeds 1,2 --frames 4 -o way.png",
        "mix mnist 1-2+3 -o sum.png",
        "directions mnist --count 2 -o walks.png",
        "truncate mnist --samples 50 -n 1 -o cut.png",
        "quiz mnist --sheet quiz.png --rounds 4",
    ):
        assert main(line.split()) == 0, line
    capsys.readouterr()
    assert main(["evaluate", "mnist", "--samples", "64", "--seeds", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["subject"]["name"] == "mnist"
    assert not (PRETRAINED / "mnist" / "nearest-real.png").exists()
    assert main(["doctor", "mnist"]) == 2
    assert "the pretrained generator of this name has no training to look at" in capsys.readouterr().err


def test_ones_own_run_or_folder_of_the_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert runs.exported("mnist") == PRETRAINED / "mnist"
    assert real.run_of("mnist") is None
    assert runs.exported(Path("mnist")) is None
    assert runs.exported("mnist\0") is None
    Path("runs/mnist").mkdir(parents=True)
    assert runs.exported("mnist") is None
    assert runs.exported("mnist", out="elsewhere") == PRETRAINED / "mnist"
    Path("mnist").mkdir()
    assert runs.exported("mnist", out="elsewhere") is None
