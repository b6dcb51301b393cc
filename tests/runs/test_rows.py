"""A run's logs: damaged lines are left out and named once, and block nothing."""

import json
import warnings
from pathlib import Path

import pytest

import gansmith as gs
from gansmith import runs
from gansmith.cli import main
from gansmith.doctor.examination import examine

METRICS = {
    "discriminator_loss": 0.7,
    "generator_loss": 0.8,
    "discriminator_accuracy": 0.5,
    "generator_accuracy": 0.4,
    "pixel_mean": 0.1,
    "pixel_std": 0.3,
}
DAMAGE = {
    "a loss that is text": json.dumps({"step": 20, **METRICS, "generator_loss": "0.8"}).encode(),
    "a loss that is null": json.dumps({"step": 20, **METRICS, "generator_loss": None}).encode(),
    "a loss of 400 digits": json.dumps({"step": 20, **METRICS, "generator_loss": 10**400}).encode(),
    "a step alone": b'{"step": 20}',
    "no step": json.dumps(METRICS).encode(),
    "a step that is true": json.dumps({"step": True, **METRICS}).encode(),
    "half a step": json.dumps({"step": 20.5, **METRICS}).encode(),
    "garbage": b"x" * 40,
    "an invalid byte": json.dumps({"step": 20, **METRICS}).encode().replace(b"loss", b"lo\xffs"),
    "no text": bytes(40),
    "a list": b"[20]",
    "nothing": b"",
    "brackets": b"[" * 100_000,
}


def log(folder: Path, name: str, middle: bytes, end: bytes = b"") -> Path:
    """A log of three rows, the second of which is another line."""
    good = [json.dumps({"step": step, **METRICS}).encode() for step in (10, 30)]
    path = folder / name
    path.write_bytes(b"\n".join([good[0], middle, good[1], end]))
    return path


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_line_is_left_out_and_named(tmp_path: Path, kind: str) -> None:
    path = log(tmp_path, "metrics.jsonl", DAMAGE[kind])
    with pytest.warns(UserWarning, match="damaged") as said:
        rows = list(runs.rows(path))
    assert [row["step"] for row in rows] == [10, 30]
    assert [str(each.message) for each in said] == [f"{path}: damaged lines are left out: 2"]


def test_many_damaged_lines_are_named_in_one_warning(tmp_path: Path) -> None:
    path = log(tmp_path, "signals.jsonl", b"\n".join([b"?"] * 7))
    with pytest.warns(UserWarning, match="left out: 2, 3, 4, 5, 6 and more$"):
        assert len(list(runs.rows(path))) == 2


def test_the_torn_last_line_of_a_killed_training_is_no_damage(tmp_path: Path) -> None:
    path = log(tmp_path, "metrics.jsonl", json.dumps({"step": 20, **METRICS}).encode(), end=b'{"step": 40, "gener')
    assert [row["step"] for row in runs.rows(path)] == [10, 20, 30]


def test_other_files_may_hold_what_they_like(tmp_path: Path) -> None:
    path = log(tmp_path, "quiz.jsonl", json.dumps({"step": 20, "answers": ["real"]}).encode())
    assert len(list(runs.rows(path))) == 3


def damaged_run(out: Path) -> runs.Run:
    """A run that was cut before its end, with a damaged line in each of its logs."""
    small = {"batch_size": 16, "generator.width": 0.1, "discriminator.width": 0.1}
    run = gs.train(
        "mnist",
        recipe="mlp",
        steps=40,
        out=out,
        threads=1,
        log_every=5,
        signals_every=5,
        checkpoint_every=20,
        evaluate_every=0,
        sanity_steps=0,
        overrides=small,
    )
    for name, kind in (("metrics", "a step alone"), ("signals", "an invalid byte"), ("timing", "garbage")):
        path = run.path / f"{name}.jsonl"
        first, *rest = path.read_bytes().splitlines()
        length = len(rest[0]) if rest else 40
        path.write_bytes(b"\n".join([first, DAMAGE[kind].ljust(length)[:length], *rest[1:], b""]))
    (run.path / "report.html").unlink()
    (run.path / "state.txt").unlink()
    return run


def test_a_run_with_damaged_logs_is_resumed_finished_and_examined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = damaged_run(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["train", "--resume", str(run.path), "--steps", "60", "--quiet"]) == 0
        assert run.finished
        said = capsys.readouterr().err
        assert said.count(f"gansmith: warning: {run.path / 'metrics.jsonl'}: damaged lines are left out: 2") == 1
        assert (run.path / "losses.png").stat().st_size > 0
        found = examine(run)
    assert [int(step) for step in found.table.steps] == [5, *range(15, 61, 5)]
