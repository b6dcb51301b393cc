"""Sweeps: combinations of values, trained in processes, resumable, compared with what a seed changes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gansmith as gs
from gansmith import data, runs
from gansmith.cli import main
from gansmith.errors import UserError
from gansmith.experiment import sweeping, varying
from gansmith.experiment.sweeping import Plan

TINY = ["--steps", "2", "--seeds", "1", "--samples", "100", "--batch-size", "8", "--evaluate-every", "0"]
TINY += ["--signals-every", "0", "--generator.width", "0.1", "--discriminator.width", "0.1", "--size", "8"]
WORDS = ["sweep", "digits.npz", "--recipe", "mlp", "--vary", "generator-optimizer.lr=0.001,0.01", *TINY]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a few digits."""
    monkeypatch.chdir(tmp_path)
    digits = data.load("mnist")
    np.savez(tmp_path / "digits.npz", images=digits.take(range(240)))
    return tmp_path


def document(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_sweep_that_was_killed_goes_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS, "--processes", "1", "--out", "here"]
    process = subprocess.Popen([sys.executable, "-m", "gansmith", *words], stdout=subprocess.DEVNULL)
    try:
        while not list(place.glob("here/runs/001-*/*/evaluation.json")):
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait() == 130
    first = next(place.glob("here/runs/001-*/*/evaluation.json"))
    before = first.stat().st_mtime_ns
    found = document(capsys, *words)
    assert first.stat().st_mtime_ns == before, "what is done is not done again"
    values = [each["values"] for each in found["combinations"]]
    assert values == [{"generator_optimizer.lr": 0.001}, {"generator_optimizer.lr": 0.01}]
    for each, lr in zip(found["combinations"], (0.001, 0.01), strict=True):
        assert runs.find(each["runs"][0]).recipe.generator_optimizer.lr == lr
    measured = [each["fd"][0] for each in found["combinations"]]
    lowest = (0.001, 0.01)[int(np.argmin(measured))]
    assert found["lowest"] == f"generator-optimizer.lr={lowest:g}"
    assert f"--generator-optimizer.lr {lowest}" in found["command"]
    assert "--steps" not in found["command"]
    with Image.open(found["sheet"]) as sheet:
        assert sheet.width > 12 * 8
    assert main(["sweep", "digits.npz", "--recipe", "mlp", "--vary", "batch-size=8,16", "--out", "here"]) == 2
    assert "holds another sweep" in capsys.readouterr().err


def test_a_training_that_fails_is_named_and_the_others_go_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place_of = WORDS.index("--batch-size")
    words = [*WORDS[:place_of], *WORDS[place_of + 2 :]]
    words[words.index("--vary") + 1] = "batch-size=8,500"
    assert main(words) == 1
    told = capsys.readouterr()
    assert "not trained: batch-size=500, seed 0: digits: a batch of 500 is larger than the data set of 240" in told.out
    assert "batch-size=8 " in told.out
    assert "lowest: batch-size=8" in told.out


def test_combinations_and_their_commands() -> None:
    vary = (
        sweeping.parse("batch-size=8,16"),
        sweeping.parse("recipe=mlp,mlp-bn"),
        sweeping.parse("one-pass=false,true"),
    )
    plan = Plan("mnist", "mlp", vary, (0, 1), ("--steps", "3"), 100, 1)
    assert len(plan.combinations) == 8
    assert plan.command(plan.combinations[-1]) == (
        ["train", "mnist", "--recipe", "mlp-bn", "--batch-size", "16", "--one-pass", "--steps", "3"]
    )
    assert "--no-one-pass" in plan.command(plan.combinations[0])
    assert sweeping.parse("generator-optimizer.clip-value=none,0.5") == ("generator_optimizer.clip_value", (None, 0.5))
    assert sweeping.flag("generator_optimizer.clip_value", None) == ["--generator-optimizer.clip-value", "none"]
    others = [Plan("mnist", "mlp", vary, seeds, ("--steps", "3"), 100, 1) for seeds in ((0,), (0, 2))]
    assert len({each.digest for each in (plan, *others)}) == 3


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        (["batch-size"], "give a field and two values or more"),
        (["batch-size=8"], "give a field and two values or more"),
        (["batch-size=8,8"], "names a value twice"),
        (["batch-sise=8,9"], "a recipe has no batch_sise; did you mean batch_size"),
        (["batch-size=8,-1"], "batch_size = -1"),
        (["loss=hinge,hing"], "loss = 'hing'"),
        (["steps=8,9"], "steps: is not varied"),
        (["recipe=mlp,mpl"], "no recipe is called 'mpl'"),
        (["batch-size=8,9", "batch-size=3,4"], "is given twice"),
        (["batch-size=" + ",".join(map(str, range(2, 103)))], "makes 202 trainings"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_training(
    vary: list[str], said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "digits.npz", "--recipe", "mlp", *(w for each in vary for w in ("--vary", each))]) == 2
    assert said in capsys.readouterr().err
    assert not (place / "sweeps").exists()


def test_the_call_makes_the_plan_of_the_command_and_refuses_what_makes_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plans = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweeping, "sweep", lambda plan, folder, **more: plans.append((plan, folder)))
    gs.sweep("mnist", recipe="mlp", vary={"generator-optimizer.lr": [1e-4, 1e-3]}, steps=1000, seeds=2)
    varied = [sweeping.parse("generator-optimizer.lr=1e-4,1e-3")]
    said = varying.planned("mnist", "mlp", varied, 2, 2000, fields={"steps": 1000})
    assert plans == [(said, varying.folder_of(said))]
    rates = {"generator-optimizer.lr": np.array([1e-4, 1e-3])}  # of NumPy, as notebooks have them
    gs.sweep(Path("mnist"), recipe="mlp", vary=rates, steps=np.int64(1000), seeds=np.int32(2))  # type: ignore[arg-type]
    assert plans[1] == plans.pop(0)
    with pytest.raises(UserError, match="`vary` batch_size: give two values or more, all different"):
        gs.sweep("mnist", recipe="mlp", vary={"batch_size": [8, 8]})
    with pytest.raises(UserError, match="`seeds` 0: give 1 or more"):
        gs.sweep("mnist", recipe="mlp", vary={"batch_size": [8, 16]}, seeds=0)
    assert len(plans) == 1
