"""The doctor on runs: signals leave training as it is, problems are named while it trains and afterwards."""

import hashlib
import json
import os
import shutil
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from signal_rows import healthy

import gansmith as gs
from gansmith import data, doctor, recipes, render, runs
from gansmith.cli import main
from gansmith.doctor import Finding, random_features, signals
from gansmith.doctor.examination import _cells, examine
from gansmith.evaluation import online
from gansmith.experiment import execute, prepare
from gansmith.runs import checkpoint
from gansmith.training import loop
from gansmith.training.loop import Event, Measured, Progress

pytestmark = pytest.mark.painted

TINY = {"batch_size": 16, "generator.width": 0.25, "discriminator.width": 0.25}


def job(out: Path, recipe: str = "mlp", steps: int = 60, **more: Any) -> prepare.Experiment:
    settings: dict[str, Any] = {"sheet_every": 20, "log_every": 5, "checkpoint_every": 20, "signals_every": 10}
    overrides = {**TINY, **more.pop("overrides", {})}
    return prepare.prepare(
        "mnist",
        recipe=recipe,
        steps=steps,
        out=out,
        threads=1,
        evaluate_every=0,
        overrides=overrides,
        **{**settings, **more},
    )


def weights(run: runs.Run) -> dict[str, str]:
    """SHA-256 of the newest checkpoint's tensors."""
    newest = checkpoint.newest(run.checkpoints, [])
    assert newest is not None
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(newest.glob("*.safetensors"))}


@pytest.mark.parametrize("recipe", ["mlp-bn", "deconv", "dcgan-upsample"])
def test_measuring_signals_changes_no_bit_of_training(tmp_path: Path, recipe: str) -> None:
    """Batch norm by moving averages and by batch, and dropout."""
    small = {"generator.width": 0.1, "discriminator.width": 0.1}
    seen = execute.execute(job(tmp_path / "seen", recipe, steps=6, signals_every=1, overrides=small))
    unseen = execute.execute(job(tmp_path / "unseen", recipe, steps=6, signals_every=0, overrides=small))
    assert weights(seen) == weights(unseen)
    assert (seen.path / "metrics.jsonl").read_bytes() == (unseen.path / "metrics.jsonl").read_bytes()
    assert len(list(runs.rows(seen.path / "signals.jsonl"))) == 6
    assert not list(runs.rows(unseen.path / "signals.jsonl"))


def test_networks_are_left_as_they_were() -> None:
    recipe = recipes.get("mlp-bn").override(TINY).override({"generator.dropout": 0.3, "statistics": "settled"})
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
    state.discriminator[0].eval()  # a layer in a mode of its own
    digits = data.load("mnist")
    bank = signals.bank(recipe, digits, None, seed=0, device=torch.device("cpu"))
    before = {name: value.clone() for name, value in state.generator.state_dict().items()}
    modes = [layer.training for network in (state.generator, state.discriminator) for layer in network.modules()]
    stream = torch.get_rng_state()
    row = signals.measure(state, bank)
    assert row == signals.measure(state, bank)
    assert torch.equal(stream, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in state.generator.state_dict().items())
    assert modes == [
        layer.training for network in (state.generator, state.discriminator) for layer in network.modules()
    ]
    assert not {"logit_holdout", "closer_to_train"} & set(row)
    assert set(row) <= set(signals.MEANINGS)


def test_a_stopped_and_resumed_run_has_the_same_signals(tmp_path: Path) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.step == 37:
            os.kill(os.getpid(), signal.SIGTERM)

    whole = execute.execute(job(tmp_path / "whole", "mlp-bn"))
    cut = execute.execute(job(tmp_path / "cut", "mlp-bn"), observers=[interrupt])
    assert cut.state == "interrupted"
    resumed = gs.resume(cut.path)
    assert (resumed.path / "signals.jsonl").read_bytes() == (whole.path / "signals.jsonl").read_bytes()
    assert [row["step"] for row in runs.rows(resumed.path / "signals.jsonl")] == [10, 20, 30, 40, 50, 60]
    assert weights(resumed) == weights(whole)
    assert (resumed.path / "doctor.png").read_bytes() == (whole.path / "doctor.png").read_bytes()


def test_a_run_from_before_there_were_signals_goes_on_without(tmp_path: Path) -> None:
    run = execute.execute(job(tmp_path, steps=20))
    settings = json.loads((run.path / "run.json").read_text())
    del settings["signals_every"]
    (run.path / "run.json").write_text(json.dumps(settings))
    (run.path / "signals.jsonl").unlink()
    resumed = gs.resume(run.path, steps=40)
    assert resumed.finished
    assert not list(runs.rows(resumed.path / "signals.jsonl"))
    found = examine(resumed)
    assert "sheets of samples" in found.examined
    assert "signals" in found.not_examined[0]


def test_sheets_are_read_back(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (64, 1, 28, 28), np.uint8)
    render.sheet(images, columns=8).save(tmp_path / "sheet.png")
    assert np.array_equal(_cells(tmp_path / "sheet.png", (1, 28, 28)), images)
    assert _cells(tmp_path / "sheet.png", (1, 30, 30)) is None
    assert _cells(tmp_path / "nothing.png", (1, 28, 28)) is None
    colour = np.random.default_rng(0).integers(0, 256, (64, 3, 32, 32), np.uint8)
    render.sheet(colour, columns=8).save(tmp_path / "sheet.png")
    assert np.array_equal(_cells(tmp_path / "sheet.png", (3, 32, 32)), colour)


@pytest.fixture(scope="module")
def noiseless_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run made to fail by its noise, through the command line, and what was printed while it trained."""
    out = tmp_path_factory.mktemp("noiseless")
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("sys.stdout.write", printed.append, raising=False)
        flags = "--recipe mlp --steps 120 --batch-size 16 --generator.width 0.25 --noise.scale 1e-9 --sheet-every 40 "
        flags += "--signals-every 12 --evaluate-every 0 --threads 1"
        code = main(["train", "mnist", *flags.split(), "--out", str(out)])
        assert code == 0
    return next(runs.every(out)).path, "".join(printed)


def test_a_run_without_noise_is_named_while_it_trains_and_afterwards(
    noiseless_run: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path, printed = noiseless_run
    assert "doctor: problem, noise ignored since step 36" in printed
    assert "--noise.scale 1" in printed
    assert main(["doctor", str(path), "--json", "--strict"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["reason"], told["quality"]) == ("noise ignored", None)
    assert (told["verdict"], told["findings"][0]["name"]) == ("problems found", "noise ignored")
    assert told["findings"][0]["remedy"] == "--noise.scale 1"
    assert "total collapse" in told["findings"][0]["follows"]
    assert Path(told["picture"]).stat().st_size > 10_000
    assert main(["doctor", str(path)]) == 0
    words = capsys.readouterr().out
    assert "try       --noise.scale 1" in words
    assert f"{path}: problems found (noise ignored)" in words
    page = (path / "report.html").read_text()
    assert "Problem: noise ignored, since step 36" in page
    assert "Plots of the signals" in page


def test_an_older_run_is_examined_by_its_sheets(noiseless_run: tuple[Path, str], tmp_path: Path) -> None:
    run = runs.Run(Path(shutil.copytree(noiseless_run[0], tmp_path / "run")))
    (run.path / "signals.jsonl").unlink()
    for step in range(30, 120, 10):
        shutil.copy(run.path / "samples" / "step-000120.png", run.path / "samples" / f"step-{step:06d}.png")
    found = examine(run)
    assert found.findings[0].name == "noise ignored"
    shutil.rmtree(run.path / "samples")
    (run.path / "signals.jsonl").write_text("torn")
    found = examine(run)
    assert "the images" in found.not_examined
    assert found.findings[0].name == "blank or saturated"  # as far as the pixels' spread in metrics.jsonl tells


def test_the_verdict_stands_beside_the_measured_quality(
    noiseless_run: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs.Run(Path(shutil.copytree(noiseless_run[0], tmp_path / "run")))
    signals_rows = [{**row, "step": 12 * number} for number, row in enumerate(healthy()[1][:10], 1)]
    (run.path / "signals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in signals_rows))
    protocol = online.Protocol(
        "FD-mnist@b0dc9d", 2000, "mnist test", 10_000, "", floor=0.25, spread=0.01, variance=97.0
    )
    (run.path / "quality.json").write_text(json.dumps(asdict(protocol)))
    (run.path / "quality.jsonl").write_text('{"step": 60, "fd": 40.0}\n{"step": 120, "fd": 20.0}\n')
    assert main(["doctor", str(run.path), "--json", "--strict"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "learning"
    assert (said["quality"]["distance"], said["quality"]["step"], said["quality"]["times"]) == (20, 120, 80)
    assert main(["doctor", str(run.path)]) == 0
    words = capsys.readouterr().out
    assert words.startswith(f"{run.path}: learning\n")
    assert (
        "images are still far from real ones: FD-mnist@b0dc9d 20 at step 120, where as many real images have 0.25"
        in words
    )
    (run.path / "quality.jsonl").write_text('{"step": 120, "fd": 1.0}\n')
    assert examine(run).verdict == "near real"
    (run.path / "quality.json").write_text("{}")
    assert (examine(run).verdict, examine(run).quality) == ("healthy", None)


def test_a_short_run_is_too_early_to_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = execute.execute(job(tmp_path, steps=5))
    assert main(["doctor", str(run.path), "--strict"]) == 0
    assert "too early to say" in capsys.readouterr().out


def test_pictures_show_what_they_are_made_of() -> None:
    stripes = torch.zeros(8, 1, 28, 28)
    stripes[..., ::2] = 0.2
    digits = torch.from_numpy(data.load("mnist").take(np.arange(64))).float() / 255
    noise = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    real = signals.picture(digits)
    assert signals.picture(digits[:8] * 0.8 + stripes)["checkerboard"] > 4 * real["checkerboard"]
    assert signals.picture(noise)["total_variation"] > 3 * real["total_variation"]
    assert signals.picture(noise)["high_frequency"] > 6 * real["high_frequency"]
    assert signals.picture((digits > 0.5).float())["white"] > 0.05


def test_random_features_read_digits() -> None:
    features = random_features.fit(data.load("mnist"), torch.device("cpu"))
    test = data.load("mnist", split="test")
    chosen = np.arange(1000)
    classes = features.classes(features(torch.from_numpy(test.take(chosen)).float() / 255))
    assert classes is not None
    assert (classes.numpy() == test.labels[chosen]).mean() > 0.88


def test_few_training_images_show_copies(tmp_path: Path) -> None:
    digits, test = data.load("mnist"), data.load("mnist", split="test")
    few = data.from_arrays(digits.take(np.arange(100)), digits.labels[:100])
    recipe = recipes.get("mlp")
    bank = signals.bank(recipe, few, test, seed=0, device=torch.device("cpu"))
    copies = torch.from_numpy(few.take(np.arange(100))).float() / 255
    assert signals.of_images(copies, bank)["closer_to_train"] > 0.95
    unseen = torch.from_numpy(digits.take(np.arange(5000, 5256))).float() / 255
    assert 0.35 < signals.of_images(unseen, bank)["closer_to_train"] < 0.65


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_rows_are_rarer_where_steps_are_cheap(device: str) -> None:
    every = {name: signals.interval(recipes.get(name), device=device, precision="fp32") for name in recipes.names()}
    assert every["dcgan-upsample"] <= every["mlp-bn"] <= every["mlp"]
    assert every["dcgan-upsample"] >= 50
    assert every["mlp"] <= 2000


def test_the_monitor_takes_over_a_run_and_says_when_something_is_over(noiseless_run: tuple[Path, str]) -> None:
    reported: list[Finding] = []
    monitor = doctor.Monitor(reported.append)
    monitor.begin(runs.Run(noiseless_run[0]))
    last = list(runs.rows(noiseless_run[0] / "signals.jsonl"))[-1]
    for step in (132, 144, 156, 168):
        sick_still = step < 140
        values = {**{k: v for k, v in last.items() if k not in {"step", "images"}}}
        monitor(Measured(step, 16 * step, "signals", values if sick_still else {**values, **healthy()[1][-1]}))
    assert next((f.name, f.until) for f in reported) == ("noise ignored", None)
    assert ("noise ignored", 132) in [(f.name, f.until) for f in reported]
    assert reported[0].line().startswith("doctor: problem, noise ignored")
    assert "no longer noise ignored, last seen at step 132" in next(f for f in reported if f.until == 132).line()
