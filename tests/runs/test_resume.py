"""A run that is killed, anywhere, and resumed ends in the same bytes as one that never stopped."""

import errno
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gansmith as gs
from gansmith import recipes, runs
from gansmith.errors import DivergenceError
from gansmith.experiment import execute, guards, prepare
from gansmith.recipe import Recipe
from gansmith.runs import checkpoint, summary
from gansmith.training import loop
from gansmith.training.events import Event, Progress, Snapshot
from gansmith.training.step import TrainState

TINY = {"batch_size": 16, "generator.width": 0.25, "discriminator.width": 0.25}
EVERY = {"sheet_every": 20, "log_every": 5, "checkpoint_every": 20, "threads": 1}
UNTIMED = {"timing.jsonl", "report.html", "environment.json", "run.json"}  # hold times, and the run's own name


def digest(run: Path) -> dict[str, str]:
    """SHA-256 of every file that must be reproduced to the byte."""
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.name not in UNTIMED]
    files = [path for path in files if not path.parent.name.startswith("damaged-")]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def job(out: Path, *, recipe: str = "mlp", steps: int = 90, **more: object) -> prepare.Experiment:
    return prepare.prepare("mnist", recipe=recipe, steps=steps, out=out, overrides=TINY, **{**EVERY, **more})


COMMAND = """
import sys
from gansmith.experiment import execute
out, resume, recipe = sys.argv[1:]

def bare(run, dataset, state):
    run.mark(state)
    (run.path / "report.html").touch()

execute.finish = bare  # plots and films have tests of their own
every = dict(sheet_every=50, log_every=5, checkpoint_every=10, threads=1)
if resume:
    execute.resume(resume, out=out)
else:
    execute.train("mnist", recipe=recipe, steps=60, out=out, overrides={tiny!r}, **every)
"""


def start(out: Path, resume: str, recipe: str) -> "subprocess.Popen[bytes]":
    """Training in a process of its own, to be killed."""
    return subprocess.Popen([sys.executable, "-c", COMMAND.format(tiny=TINY), str(out), resume, recipe])


def survive(out: Path, recipe: str, kills: int, within: float, rng: random.Random) -> tuple[Path, int]:
    """Trains to the end, killed up to `kills` times after 0 to `within` seconds; the run, and how often that was."""
    killed = 0
    while True:
        made = next(runs.every(out), None)
        if made and made.finished:
            return made.path, killed
        process = start(out, made.name if made else "", recipe)
        try:
            status = process.wait(None if killed == kills else rng.random() * within)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
            continue
        assert status == 0


@pytest.mark.timeout(3600)
def test_killed_and_resumed_runs_end_in_the_same_bytes(tmp_path: Path) -> None:
    """GANSMITH_KILLS=50 makes it the long version."""
    wanted, rng = int(os.environ.get("GANSMITH_KILLS", "1")), random.Random(0)
    begun = time.monotonic()
    whole, _ = survive(tmp_path / "whole", "mlp-bn", 0, 0, rng)
    seconds = time.monotonic() - begun
    total, count = 0, 0
    while total < wanted:
        broken, killed = survive(tmp_path / f"broken-{count}", "mlp-bn", min(10, wanted - total), seconds, rng)
        assert digest(broken) == digest(whole)
        total, count = total + killed, count + 1
    assert total == wanted


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    """A run of 90 steps that nothing happened to."""
    return execute.execute(job(tmp_path_factory.mktemp("whole")))


@pytest.mark.painted
def test_stopping_at_an_odd_step_changes_nothing(whole: gs.Run, tmp_path: Path) -> None:

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.step == 47:
            os.kill(os.getpid(), signal.SIGTERM)

    broken = execute.execute(job(tmp_path / "broken"), observers=[interrupt])
    assert broken.state == "interrupted"
    assert checkpoint.state(checkpoint.newest(broken.checkpoints, []))["step"] == 47
    assert summary.summary(broken).step == 47
    assert gs.load(broken).sample(3).images.shape == (3, 1, 28, 28)
    finished = gs.resume(broken.path)
    assert finished.state == "finished"
    assert digest(finished.path) == digest(whole.path)


def test_the_same_seed_gives_the_same_run_and_another_does_not(tmp_path: Path) -> None:
    first, again, other = (
        execute.execute(job(tmp_path / str(n), seed=seed, steps=20)) for n, seed in enumerate((1, 1, 2))
    )
    assert digest(first.path) == digest(again.path)
    assert first.metrics() != other.metrics()


@pytest.mark.painted
def test_damaged_checkpoints_are_passed_over(whole: gs.Run, tmp_path: Path) -> None:
    run = gs.Run(Path(shutil.copytree(whole.path, tmp_path / whole.name)))
    newest = checkpoint.newest(run.checkpoints, [])
    weights = newest / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    complaints: list[str] = []
    assert checkpoint.newest(run.checkpoints, complaints) != newest
    assert "generator.safetensors is altered" in complaints[0]
    weights.unlink()
    resumed = prepare.prepare_resume(run.path)
    assert resumed.start_step == 80
    assert "generator.safetensors is missing" in resumed.warnings[0]
    assert digest(execute.execute(resumed).path) == digest(whole.path)


def test_a_run_without_a_whole_checkpoint_is_left_alone(tmp_path: Path) -> None:
    run = execute.execute(job(tmp_path, steps=20))
    for path in run.checkpoints.iterdir():
        (path / "generator.safetensors").write_bytes(b"")
    before = digest(run.path)
    with pytest.raises(ValueError, match="no checkpoint is whole"):
        prepare.prepare_resume(run.path)
    assert digest(run.path) == before


def test_a_full_disk_costs_one_line_and_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = checkpoint.write_tensors, []

    def full(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
        calls.append(1)
        if len(calls) > 5:  # in the middle of the second checkpoint
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, tensors)

    monkeypatch.setattr(checkpoint, "write_tensors", full)
    with pytest.raises(ValueError, match=r"No space left on device.*step-000020"):
        execute.execute(job(tmp_path))
    (run,) = runs.every(tmp_path)
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-000020"]
    monkeypatch.undo()
    assert gs.resume(run.path).state == "finished"


def test_divergence_names_the_step_and_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[TrainState] = []
    build = loop.new_state

    def remember(recipe: Recipe, **more: Any) -> TrainState:
        built.append(build(recipe, **more))
        return built[-1]

    def poison(event: Event) -> None:
        if isinstance(event, Progress) and event.step == 47:
            next(built[-1].discriminator.parameters()).data.fill_(float("nan"))

    monkeypatch.setattr(loop, "new_state", remember)
    with pytest.raises(DivergenceError, match=r"step 48.*last good checkpoint is .*step-000040"):
        execute.execute(job(tmp_path), observers=[poison])
    (run,) = runs.every(tmp_path)
    assert run.state == "diverged"


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    state = loop.new_state(recipes.get("mlp"), seed=0, device=torch.device("cpu"))
    next(state.generator.parameters()).data[0] = float("inf")
    with pytest.raises(DivergenceError, match=r"generator .* no longer finite"):
        checkpoint.save(tmp_path, state, {})
    assert not list(tmp_path.iterdir())


def test_going_on_beyond_the_end(tmp_path: Path) -> None:
    long = execute.execute(job(tmp_path / "long", steps=120))
    run = execute.execute(job(tmp_path / "short", steps=80))
    with pytest.raises(ValueError, match="is finished at step 80"):
        prepare.prepare_resume(run.path)
    further = gs.resume(run.path, steps=120)
    assert (further.path / "metrics.jsonl").read_bytes() == (long.path / "metrics.jsonl").read_bytes()
    newest = checkpoint.newest(further.checkpoints, [])
    assert (newest / "generator.safetensors").read_bytes() == (
        long.checkpoints / newest.name / "generator.safetensors"
    ).read_bytes()


def test_changed_data_and_other_versions_are_refused(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8), np.uint8)
    np.savez(tmp_path / "mine.npz", images=images)
    first = prepare.prepare(
        tmp_path / "mine.npz", recipe="mlp", steps=5, out=tmp_path / "r", overrides={**TINY, "size": 8}
    )
    run = execute.execute(first)
    np.savez(tmp_path / "mine.npz", images=255 - images)
    with pytest.raises(ValueError, match="the data changed"):
        prepare.prepare_resume(run.path, steps=10)
    settings = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**settings, "format": 99}))
    with pytest.raises(ValueError, match=r"format 99; this gansmith reads format 1"):
        prepare.prepare_resume(run.path)


def test_lost_metrics_cost_a_warning_not_the_run(tmp_path: Path) -> None:
    run = execute.execute(job(tmp_path, steps=40))
    (run.path / "metrics.jsonl").unlink()
    resumed = prepare.prepare_resume(run.path, steps=60)
    assert "metrics.jsonl lacks rows up to step 40" in resumed.warnings[0]
    assert [row["step"] for row in execute.execute(resumed).metrics()] == [45, 50, 55, 60]


def interrupt_at(step: int) -> loop.Observer:
    """An observer that sends SIGTERM, once, when a step, or for 0 the first look, is done."""
    sent = []

    def observe(event: Event) -> None:
        if isinstance(event, Progress | Snapshot) and event.step == step and not sent:
            sent.append(step)  # a step that is drawn too is two events, and a second signal ends the program
            os.kill(os.getpid(), signal.SIGTERM)

    return observe


def test_an_interrupt_before_the_first_step_is_saved_too(tmp_path: Path) -> None:
    whole = execute.execute(job(tmp_path / "whole", steps=40))
    run = execute.execute(job(tmp_path / "run", steps=40), observers=[interrupt_at(0)])
    assert run.state == "interrupted"
    assert digest(gs.resume(run.path).path) == digest(whole.path)


def test_the_same_command_again_points_at_the_unfinished_run(tmp_path: Path) -> None:
    run = execute.execute(job(tmp_path, steps=40), observers=[interrupt_at(25)])
    (hint,) = job(tmp_path, steps=40).warnings
    assert f"--resume {run.name}" in hint
    assert not job(tmp_path, steps=40, seed=1).warnings
    run.mark("diverged")
    assert not job(tmp_path, steps=40).warnings
    gs.resume(run.path)
    assert not job(tmp_path, steps=40).warnings


def test_an_interrupt_at_the_very_end_is_the_end(tmp_path: Path) -> None:
    ready = job(tmp_path, steps=20)

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.step == 20:
            os.kill(os.getpid(), signal.SIGTERM)

    assert execute.execute(ready, observers=[interrupt]).finished


def test_a_run_killed_before_its_first_row_goes_on(tmp_path: Path) -> None:
    whole = execute.execute(job(tmp_path / "whole", steps=20, sanity_steps=3))
    run = execute._create(job(tmp_path / "run", steps=20, sanity_steps=3))
    assert digest(gs.resume(run.path).path) == digest(whole.path)


def test_the_last_end_that_was_asked_for_holds(tmp_path: Path) -> None:
    timed = execute.execute(
        prepare.prepare("mnist", recipe="mlp", minutes=0.002, out=tmp_path / "a", overrides=TINY, **EVERY)
    )
    end = checkpoint.state(checkpoint.newest(timed.checkpoints, []))["step"] + 60
    cut = execute.execute(prepare.prepare_resume(timed.path, steps=end), observers=[interrupt_at(end - 30)])
    assert cut.state == "interrupted"
    done = gs.resume(cut.path)
    assert (done.finished, done.metrics()[-1]["step"]) == (True, end)
    assert (done.settings.steps, done.settings.minutes, done.recipe.steps) == (end, None, end)
    longer = prepare.prepare_resume(done.path, minutes=1)
    assert longer.settings.steps is None
    assert longer.settings.minutes > 1
    with pytest.raises(ValueError, match="at step"):
        prepare.prepare_resume(cut.path, steps=1)


def test_the_generator_of_a_run_that_goes_on_is_its_newest(tmp_path: Path) -> None:
    run = execute.execute(job(tmp_path, steps=20))
    before = gs.load(run).sample(4).images
    cut = execute.execute(prepare.prepare_resume(run.path, steps=60), observers=[interrupt_at(45)])
    assert gs.load(cut).about["steps"] == 45
    assert not np.array_equal(gs.load(cut).sample(4).images, before)


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path: Path) -> None:
    run = execute.execute(job(tmp_path, steps=20))
    ready = prepare.prepare_resume(run.path, steps=40)
    before = digest(run.path)
    with guards.alone(run), pytest.raises(ValueError, match="trained by another process"):
        execute.execute(ready)
    assert digest(run.path) == before


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 30 steps with two checkpoints, to be copied and spoilt."""
    return execute.execute(job(tmp_path_factory.mktemp("small"), steps=30)).path


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("run.json", '{"format": 1}'),
        ("run.json", "[" * 100_000),
        ("run.json", "[]"),
        ("run.json", ("seed", "x")),
        ("run.json", ("checkpoint_every", 0)),
        ("run.json", ("animation", "../../evil.webp")),
        ("data.json", "{}"),
        ("recipe.json", ("generator_optimizer", 3)),
        ("recipe.json", ("name", "nothing")),
        ("recipe.json", ("name", "elp")),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_hostile_run_is_refused_in_a_line_and_left_alone(
    small_run: Path, tmp_path: Path, file: str, content: str | tuple[str, object]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    if isinstance(content, tuple):
        value = json.loads((run / file).read_text())
        content = json.dumps({**value, content[0]: content[1]})
    (run / file).write_text(content)
    before = digest(run)
    with pytest.raises(ValueError, match=r"run\.json|data\.json|recipe|format") as caught:
        prepare.prepare_resume(run, steps=40)
    assert "\n" not in str(caught.value)
    assert digest(run) == before


@pytest.mark.parametrize(
    "config", ["[]", "{}", '{"format": 1}', '{"format": 1, "recipe": 5}', '{"format": 2}', "[" * 9999]
)
def test_a_hostile_generator_is_refused_in_a_line(small_run: Path, tmp_path: Path, config: str) -> None:
    folder = tmp_path / "generator"
    shutil.copytree(small_run / "generator", folder)
    (folder / "config.json").write_text(config)
    with pytest.raises(ValueError, match="cannot be read"):
        gs.load(folder)


@pytest.mark.parametrize(("file", "content"), [("state.json", "[]"), ("manifest.json", "{}"), ("manifest.json", "5")])
def test_a_checkpoint_that_makes_no_sense_is_damaged(small_run: Path, tmp_path: Path, file: str, content: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    newest = checkpoint.newest(run / "checkpoints", [])
    (newest / file).write_text(content)
    assert checkpoint.newest(run / "checkpoints", []) != newest


def spoil(run: Path, file: str, **changes: object) -> None:
    """Changes values of one of a run's JSON files."""
    (run / file).write_text(json.dumps({**json.loads((run / file).read_text()), **changes}))


def unfinished(small_run: Path, to: Path) -> Path:
    """A copy of a run, as if it had been killed at its end."""
    shutil.copytree(small_run, to)
    (to / "report.html").unlink()
    (to / "state.txt").unlink()
    return to


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("recipe.json", {"batch_size": 8}, "another recipe than recipe.json"),
        ("recipe.json", {"real_label": 0.75}, "another recipe than recipe.json"),
        ("run.json", {"seed": 1}, "another seed than run.json"),
        ("data.json", {"fingerprint": "0" * 64}, "another data than data.json"),
    ],
)
def test_a_checkpoint_is_tied_to_its_run(
    small_run: Path, tmp_path: Path, file: str, changes: dict[str, object], message: str
) -> None:
    run = unfinished(small_run, tmp_path / "run")
    spoil(run, file, **changes)
    before = digest(run)
    for attempt in (lambda: gs.load(run), lambda: gs.resume(run, steps=40)):
        with pytest.raises(ValueError, match=message):
            attempt()
    assert digest(run) == before


def test_another_runs_checkpoints_are_refused_and_older_ones_accepted(small_run: Path, tmp_path: Path) -> None:
    run = unfinished(small_run, tmp_path / "run")
    other = execute.execute(job(tmp_path / "other", steps=30, seed=1))
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(other.checkpoints, run / "checkpoints")
    with pytest.raises(ValueError, match=r"made with another seed than run\.json says"):
        gs.resume(run)
    for path in (run / "checkpoints").iterdir():  # as they were written before they named their run
        state = json.loads((path / "state.json").read_text())
        del state["run"]
        (path / "state.json").write_text(json.dumps(state))
        (path / "manifest.json").write_text(json.dumps(checkpoint._hashes(path)))
    assert gs.load(run).about["steps"] == 30


def test_a_longer_run_is_the_same_run(small_run: Path, tmp_path: Path) -> None:
    run = unfinished(small_run, tmp_path / "run")
    assert gs.resume(run, steps=40).identity == runs.find(small_run).identity


def test_the_newest_is_read_though_training_removes_the_one_chosen(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.find(unfinished(small_run, tmp_path / "run"))
    newest = checkpoint.newest(run.checkpoints, [])
    choose = checkpoint.newest

    def late(folder: Path, complain: list[str]) -> Path | None:
        chosen = choose(folder, complain)
        if chosen == newest:  # training saves a newer one and removes this
            newest.rename(newest.with_name("step-000035"))
        return chosen

    monkeypatch.setattr(checkpoint, "newest", late)
    assert gs.load(run.path).sample(2).images.shape == (2, 1, 28, 28)


def test_a_checkpoint_that_vanishes_while_it_is_checked_is_not_damaged(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.find(unfinished(small_run, tmp_path / "run"))
    newest = checkpoint.newest(run.checkpoints, [])
    hashes, later = checkpoint._hashes, newest.with_name("step-000035")

    def vanishing(folder: Path) -> dict[str, str]:
        if folder == newest and newest.exists():
            newest.rename(later)
        return hashes(folder)

    monkeypatch.setattr(checkpoint, "_hashes", vanishing)
    complaints: list[str] = []
    assert checkpoint.newest(run.checkpoints, complaints) == later
    assert not complaints


def test_removed_checkpoints_vanish_at_once_and_leave_nothing(small_run: Path, tmp_path: Path) -> None:
    run = unfinished(small_run, tmp_path / "run")
    newest = checkpoint.newest(run / "checkpoints", [])
    for step in (31, 32):
        shutil.copytree(newest, newest.with_name(f"step-{step:06d}"))
    checkpoint.prune(run / "checkpoints", keep=(20,))
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
        "step-000020",
        "step-000031",
        "step-000032",
    ]


def test_the_folder_may_be_read_by_whom_the_umask_says(tmp_path: Path) -> None:
    for umask in (0o022, 0o002, 0o077):
        before = os.umask(umask)
        try:
            run = execute.execute(job(tmp_path / f"{umask:o}", steps=5))
        finally:
            os.umask(before)
        for path in run.path.rglob("*"):
            wanted = (0o777 if path.is_dir() else 0o666) & ~umask
            assert path.stat().st_mode & 0o777 == wanted, path
