"""Runs that an earlier version left on disk: each is listed, sampled, examined, reported, measured, and goes on."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from snapshots import GOLDEN, RUNS, hold, hold_text, kept, names_in

import gansmith as gs
from gansmith.cli import main

FILE = "golden.json"


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    capsys.readouterr()
    assert main(argv) == 0
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    return json.loads(printed(capsys, *argv, "--json"))


def close(found: Any, stored: Any, *, rel: float) -> None:
    """Equal, numbers nearly so."""
    if isinstance(stored, dict):
        assert sorted(found) == sorted(stored)
        for name in stored:
            close(found[name], stored[name], rel=rel)
    elif isinstance(stored, list):
        assert len(found) == len(stored)
        for have, want in zip(found, stored, strict=True):
            close(have, want, rel=rel)
    elif isinstance(stored, float):
        assert found == pytest.approx(stored, rel=rel, abs=1e-5)
    else:
        assert found == stored


def test_no_golden_run_tells_of_a_machine() -> None:
    for path in GOLDEN.rglob("*.json*"):
        assert not re.search(r'"/|[A-Z]:\\', path.read_text()), path


def test_they_are_listed(shared_workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = document(capsys, "runs")
    assert [row["run"] for row in rows] == RUNS
    assert {row["state"] for row in rows} == {"finished"}
    for row in rows:
        assert Path(row.pop("path")) == Path("runs") / row["run"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+[+-]\d\d:\d\d", row.pop("started"))  # when it was copied here
        hold(FILE, f"{row['run']} listed", row)
    hold_text("said/runs.txt", re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "YYYY-MM-DD HH:MM", printed(capsys, "runs")))


@pytest.mark.parametrize("name", RUNS)
def test_they_are_sampled(name: str, workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the exported generator, by its folder, and, where the run is not finished, by the checkpoint."""
    told = document(capsys, "sample", name, "-n", "4", "-o", "x.npz")
    hold(FILE, f"{name} sample --json", told)
    arrays = dict(np.load("x.npz"))
    stored = kept(FILE, f"{name} samples", {"names": sorted(arrays), "images": arrays["images"].tolist()})
    assert sorted(arrays) == stored["names"]
    assert (arrays["images"].dtype, arrays["images"].shape) == (np.uint8, (4, 1, 8, 8))
    assert np.abs(arrays["images"].astype(int) - np.array(stored["images"])).max() <= 1
    assert str(arrays["generator"]) == kept(FILE, f"{name} digest", str(arrays["generator"]))
    assert np.array_equal(gs.load(f"runs/{name}/generator").sample(4).images, arrays["images"])
    Path(f"runs/{name}/report.html").unlink()
    again = gs.load(name)
    assert again.about["steps"] == 6
    assert np.abs(again.sample(4).images.astype(int) - arrays["images"]).max() <= 1


def test_the_best_checkpoint_is_sampled(shared_workshop: Path) -> None:
    run = gs.load("mlp", which="best")
    hold(FILE, "mlp best", {"steps": run.about["steps"], "digest": run.digest})


@pytest.mark.parametrize("name", RUNS)
def test_they_are_examined(name: str, workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = document(capsys, "doctor", name)
    close(told, kept(FILE, f"{name} doctor", told), rel=1e-4)
    assert (workshop / "runs" / name / "doctor.png").stat().st_size > 0
    if name == RUNS[0]:
        assert gs.examine(name).verdict == told["verdict"]


@pytest.mark.parametrize("name", RUNS)
def test_they_are_reported(name: str, workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(document(capsys, "report", name)["path"])
    assert path == Path("runs") / name / "report.html"
    text = path.read_text()
    assert name in text
    assert re.search(r"""(src|href)=["']?https?:""", text) is None
    heads = [re.sub(r"<[^>]*>", "", head).strip() for head in re.findall(r"<h\d[^>]*>(.*?)</h\d>", text, re.DOTALL)]
    hold(FILE, f"{name} report", heads)


@pytest.mark.parametrize("name", RUNS)
def test_they_go_on(name: str, workshop: Path) -> None:
    run = gs.resume(name, steps=8, threads=1)
    assert (run.state, run.settings.steps) == ("finished", 8)
    rows = run.metrics()
    before = [json.loads(line) for line in (GOLDEN / name / "metrics.jsonl").read_text().splitlines()]
    assert rows[:6] == before
    fresh = [{key: float(f"{value:.5g}") for key, value in row.items()} for row in rows[6:]]
    stored = kept(FILE, f"{name} goes on", fresh)
    assert [row["step"] for row in fresh] == [7, 8]
    for have, want in zip(fresh, stored, strict=True):
        assert have == pytest.approx(want, rel=5e-4, abs=1e-4)
    for kind in ("signals", "quality"):
        lines = (GOLDEN / name / f"{kind}.jsonl").read_text()
        assert (run.path / f"{kind}.jsonl").read_text().startswith(lines)


@pytest.mark.parametrize("name", RUNS)
def test_their_evaluation_is_read_and_made_again(name: str, workshop: Path) -> None:
    path = workshop / "runs" / name / "evaluation.json"
    report = gs.Report.read(path)
    was = json.loads(path.read_text())
    fresh = {"variance"}  # fields that the earlier version did not write
    found = json.loads(report.model_dump_json())
    assert {name: found.pop(name) for name in fresh} == dict.fromkeys(fresh)
    assert found["protocol"].pop("shares") is False  # they were asked for in turn
    assert found == was
    assert report["precision"].value == next(each["value"] for each in was["figures"] if each["key"] == "precision")
    report.save(workshop / "again.json")
    assert gs.Report.read(workshop / "again.json") == report
    again = json.loads(gs.evaluate(name, samples=128).model_dump_json())
    again["protocol"]["gansmith"] = was["protocol"]["gansmith"]
    del again["protocol"]["shares"]
    del again["notes"], was["notes"], again["variance"]
    for figure in (*again["figures"], *was["figures"]):
        del figure["words"]  # prose, as the notes are
    close(again, was, rel=2e-3)


def test_evaluations_are_compared_as_they_were(shared_workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = [f"runs/{name}/evaluation.json" for name in ("mlp", "deconv", "dcgan-upsample")]
    hold_text("said/compare.txt", printed(capsys, "compare", *both))
    found = gs.compare([gs.Report.read(path) for path in both])
    assert found.verdict in printed(capsys, "compare", *both, "--json")


def names_of(path: Path) -> list[str]:
    """The field names of a JSON or JSONL file."""
    text = path.read_text()
    return names_in([json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text))


def test_a_new_run_leaves_the_files_and_fields_it_left(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All that can be in a run's folder, of a training with everything switched on."""
    shutil.rmtree("runs")
    small = "--size 8 --batch-size 8 --generator.width 0.02 --discriminator.width 0.02 --noise.size 8"
    every = "--log-every 1 --signals-every 2 --sheet-every 3 --checkpoint-every 3 --evaluate-every 3 --sanity-steps 2"
    argv = f"train shapes.npz --recipe mlp --steps 6 {small} {every} --threads 1 --precision fp32 --device cpu"
    told = document(capsys, *argv.split())
    assert told["run"] == "runs/shapes-mlp-001"
    hold(FILE, "train --json", names_in(told))
    for verb in ("evaluate last --samples 128", "doctor last", "invert last bar.png --floor 1 -o v.npz"):
        hold(FILE, f"{verb} --json", names_in(document(capsys, *verb.split())))
    hold(FILE, "vectors of invert", sorted(np.load("v.npz")))
    run = Path(told["run"])
    found = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    hold(FILE, "files of a run", found)
    hold(FILE, "fields", {name: names_of(run / name) for name in found if name.endswith((".json", ".jsonl"))})
    assert Path("runs/last").resolve() == run.resolve()
    for name in set(found) & {str(path.relative_to(GOLDEN / "mlp")) for path in (GOLDEN / "mlp").rglob("*.json*")}:
        assert set(names_of(run / name)) >= set(names_of(GOLDEN / "mlp" / name)), name
