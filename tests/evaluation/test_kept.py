"""Which evaluation a run's folder keeps, and what is said of a run at a glance, and which side has too few images."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gansmith as gs
from gansmith import own, runs
from gansmith.cli import main
from gansmith.evaluation import floors, inputs, pipeline, stored
from gansmith.evaluation.report import Report
from gansmith.runs.summary import summary

QUICK: dict[str, Any] = {"recipe": "mlp", "threads": 1, "batch_size": 8, "evaluate_every": 0, "signals_every": 0}
NARROW = {"generator.width": 0.125, "discriminator.width": 0.125}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """digits.npz, and two trainings of one name on it: one/digits-mlp-001, and two/digits-mlp-001 of another seed."""
    folder = tmp_path_factory.mktemp("place")
    digits = gs.data.load("mnist").take(np.arange(1200))
    np.savez(folder / "digits.npz", train_images=digits[:800], test_images=digits[800:])
    for name, seed in (("one", 0), ("two", 1)):
        gs.train(folder / "digits.npz", steps=4, seed=seed, out=folder / name, overrides=NARROW, **QUICK)
    return folder


@pytest.fixture
def run(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(floors, "WHOLE", 800)
    return Path(shutil.copytree(place / "one" / "digits-mlp-001", tmp_path / "digits-mlp-001"))


def protocol(path: Path) -> tuple[int, int]:
    told = Report.read(path).protocol
    return told.generated, len(told.seeds)


def altered(path: Path, **changes: str) -> None:
    """An evaluation whose protocol says something else."""
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"protocol": told["protocol"] | changes}))


def test_a_quick_look_does_not_replace_a_careful_evaluation(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--samples", "200", "--seeds", "2"]) == 0
    assert "kept:" not in capsys.readouterr().out
    page, gallery = (run / "report.html").read_text(), (run / "nearest-real.png").read_bytes()
    for words in (["--samples", "100", "--seeds", "1"], ["--samples", "200", "--seeds", "1", "--seed", "5"]):
        assert main(["evaluate", str(run), *words]) == 0
        told = capsys.readouterr().out
        assert "kept: evaluation.json keeps 200 images x 2, which is more than these" in told
        assert main(["evaluate", str(run), *words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["kept"]["is_new"] is False
        assert protocol(run / "evaluation.json") == (200, 2)
    assert (run / "report.html").read_text() == page
    assert (run / "nearest-real.png").read_bytes() == gallery
    assert main(["compare", str(run), str(run / "generator"), "--data", run_data(run), "--samples", "100"]) == 0
    assert protocol(run / "evaluation.json") == (200, 2)
    assert main(["evaluate", str(run), "--samples", "250", "--seeds", "1"]) == 0
    assert "evaluation.json had 200 images x 2, which is less than these 250 images x 1" in capsys.readouterr().out
    assert protocol(run / "evaluation.json") == (250, 1)


def run_data(run: Path) -> str:
    return str(json.loads((run / "data.json").read_text())["source"])


def test_a_careful_evaluation_of_an_older_step_gives_way(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--samples", "200", "--seeds", "2"]) == 0
    gs.resume(run, steps=8, threads=1)
    capsys.readouterr()
    assert main(["evaluate", str(run), "--samples", "100", "--seeds", "1"]) == 0
    assert "evaluation.json was of another checkpoint" in capsys.readouterr().out
    assert (protocol(run / "evaluation.json"), Report.read(run / "evaluation.json").subject.step) == ((100, 1), 8)


def test_an_evaluation_against_other_real_images_gives_way(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--samples", "200", "--seeds", "1"]) == 0
    altered(run / "evaluation.json", fingerprint="0" * 64)
    capsys.readouterr()
    assert main(["evaluate", str(run), "--samples", "100", "--seeds", "1"]) == 0
    assert "evaluation.json was of other real images, and is these now" in capsys.readouterr().out
    assert protocol(run / "evaluation.json") == (100, 1)


def test_an_evaluation_by_another_version_is_not_current(run: Path) -> None:
    its, asked = gs.Run(run), {"samples": 100, "seeds": 1}
    made = inputs.of_run(its)
    stored.save(its, pipeline.measure(made, **asked))
    assert stored.find(its, made, **asked) is not None
    altered(run / "evaluation.json", gansmith="0.0.1")
    assert stored.find(its, made, **asked) is None


def test_a_damaged_evaluation_is_replaced_and_other_encoders_have_their_own(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "evaluation.json").write_text("{")
    assert main(["evaluate", str(run), "--samples", "100", "--seeds", "1"]) == 0
    assert "evaluation.json could not be read" in capsys.readouterr().out
    network = Path(gs.encoders.encoder.__file__).parent / "weights"
    other = next(iter(sorted(network.glob("mnist*.safetensors"))))
    assert main(["evaluate", str(run), "--samples", "150", "--seeds", "1", "--encoder", str(other)]) == 0
    assert protocol(run / "evaluation.json") == (100, 1)
    assert [protocol(path) for path in run.glob("evaluation-mnist-*.json")] == [(150, 1)]
    assert (run / "report.html").read_text().count("<h3>Evaluated</h3>") == 2
    assert main(["evaluate", str(run), "--samples", "150", "--seeds", "1", "--data", "mnist"]) == 0
    assert protocol(run / "evaluation.json") == (100, 1)


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_two_folders_with_one_name_are_compared_by_folder(
    order: tuple[str, str],
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in order:
        shutil.copytree(place / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    paths = [f"{name}/digits-mlp-001" for name in order]
    assert main(["compare", *paths, "--samples", "128", "--seeds", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    named = {name for group in document["groups"] for name in group["name"].split() if "digits" in name}
    assert all(any(path in name for name in named) for path in paths)
    assert main(["compare", paths[0], paths[0]]) == 2
    assert "is given twice" in capsys.readouterr().err


def test_runs_lists_what_matters(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Path(shutil.copytree(run, run.parent / "a-better-one"))
    rows = [{"step": 4, "images": 32, "fd": 0.2}]
    (other / "quality.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    meaning = {"metric": "FD-x", "samples": 2000, "against": "x test", "real": 400, "fingerprint": "f"}
    (other / "quality.json").write_text(json.dumps(meaning | {"floor": 0.1, "spread": 0.01, "variance": 97.0}))
    told = json.loads((other / "environment.json").read_text())
    (other / "environment.json").write_text(json.dumps(told | {"started": "2020-01-01T10:00:00+00:00"}))
    (run.parent / "timing.jsonl").touch()
    timing = json.loads((other / "timing.jsonl").read_text().splitlines()[-1])
    (other / "timing.jsonl").write_text(json.dumps(timing | {"step": 900, "seconds": 125.0}) + "\n{torn")
    assert main(["runs", str(run.parent)]) == 0
    table = capsys.readouterr().out
    assert "very close to real" in table
    assert "2020-01-01 10:00" in table
    assert "2 min" in table
    assert "not measured" in table
    assert "too early to say" in table
    assert "loss" not in table
    for sort, first in (("name", "a-better-one"), ("date", run.name), ("quality", other.name), ("length", other.name)):
        assert main(["runs", str(run.parent), "--sort", sort, "--json"]) == 0
        listed = json.loads(capsys.readouterr().out)
        assert listed[0]["run"] == first, sort
    assert {row["verdict"] for row in listed} == {"too early to say"}
    assert listed[0]["quality"]["words"] == "very close to real"
    assert (listed[0]["step"], listed[0]["seconds"]) == (900, 125.0)
    for name, content in (
        ("environment.json", '{"started": "yesterday"}'),
        ("quality.json", json.dumps(meaning | {"floor": "low", "spread": 0, "variance": 1})),
        ("doctor.json", "[]"),
        ("timing.jsonl", ""),
        ("evaluation.json", '{"figures": 3}'),
    ):
        (other / name).write_text(content)  # none of it hides the list
    assert (summary(gs.Run(other)).quality, summary(gs.Run(other)).verdict) == (None, None)
    assert main(["runs", str(run.parent), "--sort", "date"]) == 0
    (other / "data.json").write_text("[")
    assert summary(gs.Run(other)).state.startswith("damaged")


def test_runs_imports_no_torch(run: Path) -> None:
    code = f"import sys; from gansmith.cli import main; main(['runs', {str(run.parent)!r}])"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_end_of_a_training_says_how_good_it_is(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "train",
        str(place / "digits.npz"),
        "--recipe",
        "mlp",
        "--batch-size",
        "8",
        "--threads",
        "1",
        "--steps",
        "4",
    ]
    assert main([*asked, "--out", str(tmp_path), "--evaluate-every", "2"]) == 0
    told = capsys.readouterr().out
    assert "quality  very far from real: FD-control@" in told
    assert "doctor   too early to say:" in told
    assert f"next     gansmith train --resume {tmp_path / 'digits-mlp-001'} --steps 8" in told
    assert "very far from real | saved" in told or "very far from real\n" in told  # the log's lines too
    assert main([*asked, "--out", str(tmp_path), "--evaluate-every", "0", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["verdict"], document["quality"]["known"]) == ("too early to say", None)
    assert document["next"].startswith("gansmith evaluate ")


@pytest.mark.filterwarnings("ignore:.* changed since digits-mine-001 was trained")
def test_an_evaluation_is_not_current_where_the_recipes_own_code_changed(tmp_path: Path) -> None:
    text = """
from torch import nn
from gansmith import own

@own.recipe("mine", base="mlp")
def networks(recipe):
    generator = nn.Sequential(nn.Linear(recipe.noise.size, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
    return generator, nn.Sequential(nn.Flatten(), nn.Linear(784, 1))
"""
    (tmp_path / "mine.py").write_text(text)
    own.load(tmp_path / "mine.py")
    np.savez(tmp_path / "digits.npz", train_images=gs.data.load("mnist").take(np.arange(400)))
    run = gs.train(tmp_path / "digits.npz", recipe="mine", steps=2, evaluate_every=0, out=tmp_path)
    made = inputs.of_run(run)
    stored.save(run, pipeline.measure(made, samples=64, seeds=1))
    assert stored.find(run, made, samples=64, seeds=1) is not None
    (tmp_path / "mine.py").write_text(text.replace("nn.Tanh()", "nn.Hardtanh()"))
    own.load(tmp_path / "mine.py")
    again = runs.find(run.path)
    assert stored.find(again, made, samples=64, seeds=1) is None
