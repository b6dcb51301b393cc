"""What verbs print for programs (the names in each --json document) and, where no machine shows, for people."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from snapshots import hold, hold_text, names_in, portable

import gansmith as gs
from gansmith.cli import main

DOCUMENTS = [
    "recipes",
    "recipes mlp",
    "data shapes.npz",
    "data few",
    "info --device cpu",
    "evaluate mlp --samples 128",
    "evaluate mlp-projection --samples 64 --seeds 1",
    "compare runs/mlp/evaluation.json runs/deconv/evaluation.json",
    "encoder show",
    "encoder show mnist",
    "encoder train shapes.npz -o e.safetensors --images 64",
    "sample mlp -n 2 -o x.png",
    "morph mlp -o m.png --save m.npz",
    "mix mlp 1-2 -o mi.png --save mi.npz",
    "directions mlp --count 2 -o d.png --save d.npz",
    "find mlp --look bright -n 2 -o f.png --save f.npz",
    "truncate mlp --samples 50 -n 2 -o t.png",
    "neighbours mlp -n 2 -o n.png",
    "quiz mlp --sheet q.png",
]
SAID = {
    "recipes": "recipes",
    **{f"recipes-{name}": f"recipes {name}" for name in gs.recipes.names()},
    "data-shapes": "data shapes.npz",
    "encoder-show": "encoder show",
    "encoder-show-mnist": "encoder show mnist",
    "sample": "sample mlp-projection -n 3 --seed 2 --label 1 -o x.npz",
    "doctor": "doctor mlp",
    "mix": "mix mlp 1-2 -o mi.png --save mi.npz",
    "morph": "morph mlp --seeds 1,2 -o m.png",
}


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.mark.parametrize("argv", DOCUMENTS)
def test_a_document_has_the_names_it_had(argv: str, workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main([*argv.split(), "--json"]) == 0
    hold("documents.json", argv, names_in(json.loads(capsys.readouterr().out)))


@pytest.mark.parametrize("name", SAID)
def test_people_read_what_they_read(name: str, workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(SAID[name].split()) == 0
    hold_text(f"said/{name}.txt", portable(capsys.readouterr().out, workshop))


def test_vectors_are_saved_under_the_names_they_had(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {}
    for suffix in ("npz", "safetensors"):
        for argv in (f"mix mlp 1-2 -o x.png --save mix.{suffix}", f"directions mlp -o x.png --save ways.{suffix}"):
            assert main(argv.split()) == 0
            file = argv.split()[-1]
            arrays = dict(np.load(file)) if suffix == "npz" else load_file(file)
            found[file] = {name: f"{value.dtype.kind} {list(value.shape)}" for name, value in arrays.items()}
    hold("documents.json", "vectors", found)
    for file in found:
        kind = "--seeds" if file.startswith("mix") else "--direction"
        assert main(["morph", "mlp", kind, f"{file}#0{',3' if kind == '--seeds' else ''}", "-o", "y.png"]) == 0


def test_0_and_3_say_whether_a_threshold_holds(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = ["evaluate", "mlp", "--samples", "128", "--seeds", "1", "--max-fd"]
    assert main([*measured, "1000000"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*measured, "0"]) == 3
    assert capsys.readouterr().err.endswith(", above --max-fd 0\n")
    assert main(["doctor", "mlp", "--strict"]) == 3
    (workshop / "runs" / "mlp" / "signals.jsonl").unlink()  # then there is nothing to be ill of
    assert main(["doctor", "mlp", "--strict"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process")
def test_130_is_an_interrupt_that_saved(workshop: Path) -> None:
    small = "--size 8 --batch-size 8 --generator.width 0.02 --discriminator.width 0.02 --noise.size 8 --threads 1"
    argv = f"train shapes.npz --recipe mlp --steps 1000000 {small} --evaluate-every 0 --signals-every 0 --out cut"
    process = subprocess.Popen(
        [sys.executable, "-m", "gansmith", *argv.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    metrics, deadline = workshop / "cut" / "shapes-mlp-001" / "metrics.jsonl", time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "")
    assert out.endswith("go on with\n  gansmith train --resume cut/shapes-mlp-001\n")
    run = metrics.parent
    assert (run / "state.txt").read_text() == "interrupted\n"
    assert list((run / "checkpoints").glob("step-*"))
