"""The command line as a person or a program meets it: its words, its documents, its exit codes, its refusals."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from gansmith.cli import main
from gansmith.cli.app import VERBS, build
from gansmith.recipe import Recipe, fields, overrides_from_toml
from gansmith.recipes import get, names

SMALL = ["train", "digits.npz", "--recipe", "mlp", "--batch-size", "16", "--threads", "1"]


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What a command that succeeds prints."""
    capsys.readouterr()
    assert main(argv) == 0
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    """The one JSON document that a command with --json prints."""
    return json.loads(printed(capsys, *argv, "--json"))


def contents(folder: Path) -> dict[str, int]:
    """Every file below a folder with its size."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


BAD = {
    "unknown verb": (["trian"], "Did you mean"),
    "unknown data": (["train", "mnits"], "mnist"),
    "unknown data, shown": (["data", "nowhere/images"], "nowhere/images"),
    "unknown recipe": (["train", "--recipe", "mpl"], "mlp"),
    "unknown recipe, shown": (["recipes", "dcgam"], "dcgan"),
    "unknown flag": (["train", "--batchsize", "3"], "--batch-size"),
    "bare field": (["train", "--lr", "3"], "--discriminator-optimizer.lr"),
    "field of another verb": (["evaluate", "mnist", "--lr", "3"], "Unknown option: --lr. --help lists all."),
    "nested flag": (["train", "--generator-optimizer.rate", "3"], "--generator-optimizer"),
    "flag without value": (["train", "--steps"], "--steps"),
    "two data sets": (["train", "digits.npz", "digits.npz"], "digits.npz"),
    "empty folder": (["train", "empty"], "empty"),
    "texts named .png": (["train", "texts"], "texts"),
    "zip that climbs out": (["train", "escape.zip"], "escape.zip"),
    "zip bomb": (["train", "bomb.zip"], "bomb.zip"),
    "broken zip": (["train", "broken.zip"], "broken.zip"),
    "labels that do not match": (["train", "mismatch.npz"], "mismatch.npz"),
    "batch larger than the data": ([*SMALL[:4], "--batch-size", "65"], "64"),
    "flag given twice": ([*SMALL, "--batch-size=1"], "specified multiple times"),
    "batch below zero": (["train", "--batch-size", "-8"], "batch_size"),
    "batch that is no number": (["train", "--batch-size", "many"], "--batch-size"),
    "batch beyond sense": (["train", "--batch-size", "1000000000"], "batch_size"),
    "lr below zero": (["train", "--discriminator-optimizer.lr", "-1"], "discriminator_optimizer.lr"),
    "lr nan": (["train", "--generator-optimizer.lr", "nan"], "generator_optimizer.lr"),
    "noise of nothing": (["train", "--noise.size", "0"], "noise.size"),
    "pixels reversed": (["train", "--pixels", "1", "0"], "pixels"),
    "half of pixels": (["train", "--pixels", "1"], "--pixels"),
    "wrong choice": (["train", "--fakes", "real"], "inference"),
    "zero steps": (["train", "--steps", "0"], "steps"),
    "steps below zero": (["train", "--steps", "-5"], "steps"),
    "steps beyond sense": (["train", "--steps", "99999999999"], "steps"),
    "steps and minutes": (["train", "--steps", "5", "--minutes", "1"], "--minutes"),
    "zero minutes": (["train", "--minutes", "0"], "--minutes"),
    "minutes nan": (["train", "--minutes", "nan"], "--minutes"),
    "minutes infinite": (["train", "--minutes", "inf"], "--minutes"),
    "seed below zero": (["train", "--seed", "-1"], "--seed"),
    "seed beyond sense": (["train", "--seed", str(2**64)], "--seed"),
    "tiny size": (["train", "--size", "3"], "size"),
    "giant size": (["train", "--size", "100000"], "size"),
    "no threads": (["train", "--threads", "0"], "--threads"),
    "many threads": (["train", "--threads", "100000"], "--threads"),
    "no sheet interval": (["train", "--sheet-every", "0"], "--sheet-every"),
    "no log interval": (["train", "--log-every", "-2"], "--log-every"),
    "no checkpoint interval": (["train", "--checkpoint-every", "0"], "--checkpoint-every"),
    "sanity below zero": (["train", "--sanity-steps", "-1"], "--sanity-steps"),
    "device nonsense": (["train", "--device", "toaster"], "toaster"),
    "device not there": (["train", "--device", "cuda:99"], "cuda:99"),
    "precision nonsense": (["train", "--precision", "fp3"], "--precision"),
    "out is a file": ([*SMALL, "--out", "digits.npz"], "digits.npz"),
    "out below a file": ([*SMALL, "--out", "digits.npz/runs"], "digits.npz/runs"),
    "config missing": (["train", "--config", "none.toml"], "none.toml"),
    "config broken": (["train", "--config", "broken.toml"], "broken.toml"),
    "config unknown field": (["train", "--config", "unknown.toml"], "batch_size"),
    "config binary": (["train", "--config", "binary.toml"], "binary.toml"),
    "resume nothing": (["train", "--resume", "nothing"], "nothing"),
    "resume another recipe": (["train", "--resume", "last", "--recipe", "mlp"], "--recipe"),
    "resume another field": (["train", "--resume", "last", "--batch-size", "8"], "--batch-size"),
    "resume what is finished": (["train", "--resume", "last"], "finished"),
    "sample nothing": (["sample", "nothing"], "nothing"),
    "sample no run": (["sample", "empty"], "empty"),
    "sample none": (["sample", "last", "-n", "0"], "0"),
    "sample seed": (["sample", "last", "--seed", "-1"], "seed"),
    "sample suffix": (["sample", "last", "-o", "sheet.doc"], ".doc"),
    "sample onto a folder in use": (["sample", "last", "-o", "few"], "few"),
    "sample below a file": (["sample", "last", "-o", "digits.npz/sheet.png"], "digits.npz"),
    "sheet nowhere": (["data", "digits.npz", "--sheet", "nowhere/sheet.png"], "nowhere"),
    "split": (["data", "--split", "middle"], "--split"),
    "runs nowhere": (["runs", "nowhere"], "nowhere"),
    "report nothing": (["report", "nothing"], "nothing"),
    "run missing": (["sample"], "requires an argument"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_ends_in_one_line_and_two(what: str, inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv, names_it = BAD[what]
    before = contents(inside)
    capsys.readouterr()

    assert main(argv) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gansmith: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert names_it in err
    assert contents(inside) == before


def test_a_run_of_another_version_is_refused(inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = tmp_path / "later"
    shutil.copytree(next((inside / "runs").glob("digits-*")), later)
    settings = json.loads((later / "run.json").read_text())
    (later / "run.json").write_text(json.dumps({**settings, "format": 99}))
    before = contents(later)
    for argv in (["sample", str(later)], ["train", "--resume", str(later)], ["report", str(later)]):
        assert main(argv) == 2
        assert "format 99" in capsys.readouterr().err
    assert contents(later) == before


def test_the_real_command_ends_without_traceback(inside: Path) -> None:
    for argv, words in [(["train", "texts"], "texts"), (["train", "--lr"], "lr")]:
        ended = subprocess.run([sys.executable, "-m", "gansmith", *argv], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("gansmith: ")
        assert ended.stderr.count("\n") == 1
        assert words in ended.stderr


def test_help_loads_nothing_heavy_and_names_every_verb() -> None:
    code = (
        "import sys; from gansmith.cli import main; main(['--help']); "
        "sys.exit(bool({'torch', 'numpy', 'PIL', 'matplotlib', 'pydantic'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    for verb in {verb.name.split()[0] for verb in VERBS}:
        assert f" {verb} " in ended.stdout
    groups = [ended.stdout.index(f"─ {name} ─") for name in ("Train", "Look", "Measure", "Explore", "Share", "More")]
    assert groups == sorted(groups)
    assert "\x1b" not in ended.stdout


def test_train_help_lists_the_common_flags_before_every_recipe_field() -> None:
    console = Console(width=200, file=io.StringIO())
    build().help_print(["train"], console=console)
    text = console.file.getvalue()
    for name, _ in fields():
        assert f"--{name.replace('_', '-')} " in text or name in {"name", "classes"}
    assert text.index("--minutes") < text.index("--threads") < text.index("--sheet-every") < text.index("--noise.size")


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    import gansmith

    assert printed(capsys, "--version").strip() == gansmith.__version__


def test_flags_beat_the_config_file_and_that_beats_the_recipe(
    inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "my.toml"
    config.write_text('name = "mlp"\nbatch_size = 32\n[noise]\nsize = 7\ncenter = -1.0\n')
    flags = ["--batch-size", "8", "--noise.scale", "2", "--generator-optimizer.clip-value", "1e-1", "--share-noise"]
    told = document(
        capsys, "train", "digits.npz", "--config", str(config), *flags, "--steps", "2", "--out", str(tmp_path / "runs")
    )
    recipe = Recipe.model_validate_json((Path(told["run"]) / "recipe.json").read_text())
    assert recipe == get("mlp").override(
        {
            "batch_size": 8,
            "noise": {"size": 7, "center": -1.0, "scale": 2.0},
            "generator_optimizer.clip_value": 0.1,
            "share_noise": True,
            "steps": 2,
        }
    )


def test_every_kind_of_flag_reaches_the_recipe(
    inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [
        "--pixels",
        "0",
        "1",
        "--no-share-noise",
        "--fakes",
        "inference",
        "--generator-optimizer.clip-value",
        "none",
        "--penalty.kind",
        "none",
    ]
    told = document(capsys, *SMALL, *flags, "--steps", "2", "--out", str(tmp_path))
    recipe = Recipe.model_validate_json((Path(told["run"]) / "recipe.json").read_text())
    assert recipe.pixels == (0, 1)
    assert recipe.fakes == "inference"
    assert recipe.generator_optimizer.clip_value is None
    assert recipe.penalty.kind == "none", "a word of its own, not the absence of one"


def test_train_says_what_it_will_do_and_what_it_made(
    inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, *SMALL, "--steps", "3", "--out", str(tmp_path / "runs"))
    opening = [line.split()[0] for line in text.splitlines() if line.strip()][:10]
    words = "data recipe device precision threads layers training images quality run"
    assert opening == words.split()
    assert "digits, 64 images, 28x28, grey" in text
    assert "threads    1 (" in text
    for name in ("sheet.png", "samples.webp", "real-and-generated.png", "quiz.png", "report.html"):
        path = tmp_path / "runs" / "digits-mlp-001" / name
        assert str(path) in text
        assert path.stat().st_size > 0
    assert "gansmith sample" in text
    assert "--steps 6" in text
    assert "\x1b" not in text


def test_train_as_a_document_keeps_standard_output_clean(
    inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = document(
        capsys, *SMALL, "--steps", "3", "--out", str(tmp_path), "--gif", "--seed", "5", "--sanity-steps", "2"
    )
    assert len(told["sanity"]) == 2
    assert told["state"] == "finished"
    assert told["metrics"]["step"] == 3
    assert told["seed"] == 5
    assert "samples.gif" in told["files"]


def test_resume_goes_on_by_name(inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    every = ["--log-every", "1", "--sheet-every", "2", "--checkpoint-every", "2"]
    printed(capsys, *SMALL, "--steps", "4", *every, "--out", str(whole))
    printed(capsys, *SMALL, "--steps", "2", *every, "--out", str(parts))
    text = printed(capsys, "train", "--resume", "last", "--out", str(parts), "--steps", "4")
    assert "from step 2 to 4 steps" in text
    for name in ("metrics.jsonl", "generator/model.safetensors", "sheet.png"):
        assert (whole / "last" / name).read_bytes() == (parts / "last" / name).read_bytes()


def test_an_interrupt_saves_and_names_the_command_that_goes_on(inside: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gansmith", *SMALL, "--steps", "1000000", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    deadline = time.monotonic() + 60
    metrics = tmp_path / "digits-mlp-001" / "metrics.jsonl"
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"gansmith train --resume {tmp_path / 'digits-mlp-001'}" in out
    assert list((tmp_path / "digits-mlp-001" / "checkpoints").glob("step-*"))


def test_an_interrupt_while_it_is_still_imported() -> None:
    code = """
import sys
class Pressed:
    def find_spec(self, name, *_):
        if name == "gansmith.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Pressed())
from gansmith.cli import main
sys.exit(main(["recipes"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "gansmith: interrupted\n")


def test_recipes_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    listed = document(capsys, "recipes")
    assert tuple(row["recipe"] for row in listed) == names()
    assert next(row for row in listed if row["recipe"] == "mlp")["generator"] == 114_064
    assert "4,311,553" in printed(capsys, "recipes")
    shown = document(capsys, "recipes", "dcgan-upsample")
    assert sum(row["parameters"] for row in shown["generator"]) == 2_394_241


def test_a_shown_recipe_is_a_config_file(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "recipes", "mlp")
    assert Recipe.model_validate(overrides_from_toml(text, where="output")) == get("mlp")
    assert "total 100,609; trainable 100,609; not trainable 0" in text


def test_data_are_described(inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = document(capsys, "data", "digits.npz", "--sheet", str(tmp_path / "sheet.png"))
    assert told["count"] == 64
    assert told["shape"] == [1, 28, 28]
    assert [each["count"] for each in told["classes"]] == [16] * 4
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 8 * 28
    text = printed(capsys, "data", "few")
    assert "12 of 13 found" in text
    assert "28x28 grey" in text
    assert "broken.png" in text


def test_samples_are_written_as_asked(inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = sorted(path.name for path in (inside / "runs").glob("digits-*"))[0]
    for name in ("last", run, f"runs/{run}", f"runs/{run}/generator"):
        target = tmp_path / name.replace("/", "-") / "x.npz"
        printed(capsys, "sample", name, "-n", "5", "--seed", "3", "-o", str(target))
        assert np.load(target)["images"].shape == (5, 1, 28, 28)
    assert document(capsys, "sample", "last", "-n", "3", "-o", str(tmp_path / "folder"))["count"] == 3
    assert len(list((tmp_path / "folder").glob("*.png"))) == 3
    first, again = tmp_path / "a.png", tmp_path / "b.png"
    printed(capsys, "sample", "last", "-o", str(first))
    printed(capsys, "sample", "last", "-o", str(again))
    assert first.read_bytes() == again.read_bytes()


def test_runs_are_listed_and_a_damaged_one_hides_none(
    inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = next((inside / "runs").glob("digits-*"))
    shutil.copytree(run, tmp_path / "a-good-one")
    shutil.copytree(run, tmp_path / "b-damaged")
    (tmp_path / "b-damaged" / "recipe.json").write_text("{")
    good, damaged = document(capsys, "runs", str(tmp_path))
    assert (good["run"], good["recipe"], good["step"], good["state"]) == ("a-good-one", "mlp", 4, "finished")
    assert damaged["state"].startswith("damaged")
    assert "a-good-one" in printed(capsys, "runs", str(tmp_path))


def test_a_report_is_written_again(inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "copy"
    shutil.copytree(next((inside / "runs").glob("digits-*")), run)
    (run / "report.html").unlink()
    assert Path(document(capsys, "report", str(run))["path"]) == run / "report.html"
    assert (run / "report.html").stat().st_size > 0


def test_info_tells_versions_choices_and_places(capsys: pytest.CaptureFixture[str]) -> None:
    told = document(capsys, "info")
    assert {"gansmith", "torch", "device", "precision", "threads", "layers", "why", "data cache"} <= set(told)
    assert all(value > 0 for name, value in told["measured"].items() if name != "bf16")  # null where there is none
    assert told["data cache"] == os.environ["GANSMITH_CACHE"]
    assert "every core" in printed(capsys, "info")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"'{sys.executable}' -m gansmith recipes mlp | head -n 1; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert ended.stdout.splitlines()[-1] == "0"
    assert ended.stderr == ""


def test_a_verb_says_of_itself_all_that_its_docstring_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Without points it goes along the constant vectors" in printed(capsys, "morph", "--help")
    assert "Without points" not in printed(capsys, "--help")


def test_one_command_leaves_no_trace_in_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    before = printed(capsys, "--help")
    printed(capsys, "morph", "--help")
    assert printed(capsys, "--help") == before


def test_threads_that_wait_leave_the_core_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert main(["--version"]) == 0
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"]) == ("PASSIVE", "7")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert main(["--version"]) == 0
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
