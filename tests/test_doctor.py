"""The doctor: failures are named by the numbers that show them, healthy runs by nobody, and looking changes nothing."""

import hashlib
import io
import json
import os
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gansmith as gs
from gansmith import data, doctor, recipes, render, runs
from gansmith.cli import app, main
from gansmith.cli.live import Panel
from gansmith.doctor import Facts, Finding, signals
from gansmith.doctor.examination import _cells, examine
from gansmith.doctor.findings import last_span
from gansmith.doctor.random_features import fit_eye
from gansmith.doctor.rules import RULES
from gansmith.experiment import execute, prepare
from gansmith.runs import checkpoint
from gansmith.training import loop
from gansmith.training.events import Event, Measured, Progress, Saved

Row = dict[str, Any]
TINY = {"batch_size": 16, "generator.width": 0.25, "discriminator.width": 0.25}
MLP = Facts(recipes.get("mlp"), steps=10_000, labelled=True, pixel_std=0.3)


def healthy(count: int = 40, every: int = 250) -> tuple[list[Row], list[Row]]:
    """Rows of metrics and signals as a healthy run of `mlp` writes them: trembling, and near to real images."""
    rng = np.random.default_rng(0)
    metrics, rows = [], []
    for step in range(10, count * every + 1, 10):
        accuracy = 0.75 + rng.normal() * 0.05
        metrics.append(
            {
                "step": step,
                "discriminator_loss": 0.52 + rng.normal() * 0.05,
                "generator_loss": 1.7 + rng.normal() * 0.2,
                "discriminator_accuracy": accuracy,
                "generator_accuracy": 0.13 + rng.normal() * 0.03,
                "pixel_mean": 0.13,
                "pixel_std": 0.28,
            }
        )
    for look in range(1, count + 1):
        rows.append(
            {
                "step": look * every,
                "distance": 0.9 + rng.normal() * 0.02,
                "sensitivity": 0.88 + rng.normal() * 0.02,
                "gap": 0.03 + rng.random() * 0.01,
                "entropy": 0.96 + rng.normal() * 0.01,
                "least_share": 0.5 + rng.random() * 0.1,
                "top_class": float(rng.integers(10)),
                "top_share": 0.17,
                "label_accuracy": 0.97,
                "logit_train": 1.4 + rng.normal() * 0.1,
                "logit_holdout": 1.4 + rng.normal() * 0.1,
                "logit_fake": -1.5 + rng.normal() * 0.1,
                "logit_spread": 2.3,
                "accuracy": 0.82,
                "generator_gradient": 6 + rng.normal(),
                "discriminator_gradient": 3 + rng.random() * 5,
                "contrast": 0.9,
                "black": -0.3,
                "white": 0.005,
                "greys": 2.6,
                "total_variation": 1.3,
                "high_frequency": 2.1,
                "checkerboard": 1.1 + rng.random() * 0.3,
                "closer_to_train": 0.5 + rng.normal() * 0.02,
            }
        )
    return metrics, rows


SICK: dict[str, dict[str, Any]] = {
    "dead discriminator": {"logit_spread": 0.0, "discriminator_accuracy": 0.5, "generator_gradient": 0.0},
    "exploding": {"generator_loss": lambda i: 200.0 * i, "generator_gradient": lambda i: 6.0 * 4**i},
    "blank or saturated": {"white": 0.6},
    "noise ignored": {"sensitivity": 1e-4},
    "total collapse": {"distance": 0.07, "gap": 0.8},
    "vanishing gradient": {"generator_gradient": 1e-9, "discriminator_accuracy": 0.99},
    "discriminator overpowers": {"discriminator_accuracy": 1.0, "discriminator_loss": 0.17, "gap": 0.8},
    "discriminator too weak": {"discriminator_accuracy": 0.5, "gap": 0.6},
    "partial collapse": {"entropy": 0.4, "least_share": 0.0, "top_share": 0.8},
    "noise-like images": {"total_variation": 5.0, "high_frequency": 12.0},
    "checkerboard": {"checkerboard": 5.0},
    "generator copies": {"closer_to_train": 0.9},
    "discriminator memorises": {"logit_train": 4.0, "logit_holdout": -1.0},
    "labels ignored": {"label_accuracy": 0.2},
    "late collapse": {"gap": lambda i: 0.05 + 0.1 * i},
    "oscillation": {"discriminator_loss": lambda i: 0.5 + 0.45 * np.sin(i)},
}


def sick(changes: dict[str, Any], *, since: int = 0) -> tuple[list[Row], list[Row]]:
    """Healthy rows with some values changed from a look on; functions are given the number of looks since."""
    metrics, rows = healthy()
    start = rows[since]["step"]
    for row in [*metrics, *rows]:
        if row["step"] >= start:
            number = (row["step"] - start) / 250
            for name, value in changes.items():
                if name in row:
                    row[name] = value(number) if callable(value) else value
    return metrics, rows


def diagnose(metrics: list[Row], rows: list[Row], facts: Facts = MLP) -> list[Finding]:
    return doctor.findings(doctor.looks(metrics, rows), facts)


def test_healthy_numbers_give_no_finding() -> None:
    metrics, rows = healthy()
    assert diagnose(metrics, rows) == []
    assert diagnose(metrics, []) == []


def test_every_rule_has_a_case() -> None:
    assert set(SICK) == {rule.name for rule in RULES}


@pytest.mark.parametrize("name", SICK)
def test_a_failure_is_named_first_by_the_numbers_that_show_it(name: str) -> None:
    found = diagnose(*sick(SICK[name], since=5 if name == "late collapse" else 0))
    assert found
    assert found[0].name == name
    assert found[0].until is None
    assert found[0].ill == (name != "discriminator memorises")
    assert found[0].evidence
    assert found[0].evidence.isascii()
    assert set(found[0].watched) <= {*signals.MEANINGS, *doctor.looks(*healthy()).columns}


def test_a_diverged_run_is_named() -> None:
    (finding,) = diagnose(*healthy(), Facts(recipes.get("mlp"), diverged=True, last_step=123))
    assert (finding.name, finding.step, finding.ill) == ("not finite", 123, True)
    assert finding.remedy == "--generator-optimizer.lr 0.0005 --discriminator-optimizer.lr 0.0005"


def test_the_published_case_is_named_from_metrics_alone() -> None:
    metrics = [
        {
            "step": step,
            "discriminator_loss": 8.06,
            "generator_loss": 16.118,
            "discriminator_accuracy": 0.5,
            "generator_accuracy": 0.0,
        }
        for step in range(10, 3001, 10)
    ]
    found = diagnose(metrics, [], Facts(recipes.get("dcgan-upsample"), steps=3000))
    assert found[0].name == "dead discriminator"
    assert "accuracy 0.50, D loss 8.06, G loss 16.1, G accuracy 0.00" in found[0].evidence
    assert "clip" in found[0].evidence


def test_it_takes_three_looks_in_a_row_after_warming_up() -> None:
    metrics, rows = healthy()
    for look in (0, 1, 2, 20, 21, 30, 31, 33, 34):  # steps 250, 500 and 750 are for warming up, or just after
        rows[look]["logit_spread"] = 0.0
    assert diagnose(metrics, rows) == []
    rows[32]["logit_spread"] = 0.0
    (finding,) = diagnose(metrics, rows)
    assert (finding.name, finding.step, finding.until) == ("dead discriminator", 31 * 250, 35 * 250)
    assert not finding.ill


def test_a_stretch_ends_after_three_misses() -> None:
    steps = np.arange(12.0)
    hits = np.array([c == "x" for c in "..xxx..xx..."])
    assert last_span(hits, steps) == (2, 8)
    assert last_span(np.array([c == "x" for c in "..xxx...xx.x"]), steps) == (2, 4)
    assert last_span(np.array([c == "x" for c in "..xx.xx.xx.x"]), steps) is None
    assert last_span(hits, steps, patience=2) == (2, 8)
    assert last_span(hits, steps, patience=7) is None


def test_what_still_heals_is_not_ill() -> None:
    falling = {"gap": lambda look: 2.0 * 0.9**look}
    assert not any(f.ill for f in diagnose(*sick({"distance": 0.3, "entropy": 0.5, **falling})))
    assert any(f.ill for f in diagnose(*sick({"distance": 0.1, "entropy": 0.5, "gap": 1.0})))


def test_gradients_that_jump_from_nothing_do_not_explode_while_losses_are_small() -> None:
    found = diagnose(*sick({"generator_gradient": lambda i: 6.0 * 4**i, "distance": 0.07, "gap": 0.8}))
    assert (found[0].name, found[0].ill) == ("total collapse", True)
    assert ("exploding", True) not in [(finding.name, finding.ill) for finding in found]


def test_a_discriminator_overpowers_though_it_errs_once_in_ten_looks() -> None:
    right = {"discriminator_accuracy": 1.0, "discriminator_loss": 0.17}
    metrics, rows = sick({**right, "gap": lambda i: 0.8 * 0.95**i})  # images still get better

    def ill(every: int) -> bool:
        some = [dict(row, discriminator_loss=0.4) if row["step"] // 250 % every == 1 else row for row in metrics]
        return any(finding.ill for finding in diagnose(some, rows) if finding.name == "discriminator overpowers")

    assert ill(1000)  # never
    assert ill(13)
    assert not ill(2)


def test_a_small_wave_is_a_warning() -> None:
    (found,) = diagnose(*sick({"discriminator_loss": lambda i: 0.5 + 0.15 * np.sin(i)}))
    assert (found.name, found.ill) == ("oscillation", False)


@pytest.mark.parametrize("name", ["blank or saturated", "noise ignored", "total collapse", "discriminator overpowers"])
def test_what_begins_after_good_images_is_a_late_collapse(name: str) -> None:
    found = diagnose(*sick({**SICK[name], "gap": 0.8}, since=10))
    assert found[0].name == "late collapse"
    assert name in found[0].follows
    assert "at its best" in found[0].evidence
    assert diagnose(*sick({**SICK[name], "gap": 0.8}))[0].name == name  # where they never were good


def test_copies_explain_a_discriminator_that_is_always_right() -> None:
    found = diagnose(*sick({**SICK["generator copies"], **SICK["discriminator overpowers"]}))
    assert found[0].name == "generator copies"
    assert "discriminator overpowers" in found[0].follows


def test_consequences_are_told_with_their_cause() -> None:
    found = diagnose(*sick({**SICK["dead discriminator"], **SICK["noise-like images"], "entropy": 0.1}))
    assert [finding.name for finding in found] == ["dead discriminator"]
    assert found[0].follows == ("partial collapse", "noise-like images")


@pytest.mark.parametrize("recipe", recipes.names())
def test_remedies_are_flags_that_train_takes(recipe: str) -> None:
    facts = Facts(recipes.get(recipe), steps=10_000, labelled=True)
    variants = [facts.recipe, facts.recipe.override({"real_label": 1.0, "noise.scale": 0.1, "pixels": (-2, 2)})]
    variants.append(facts.recipe.override({"conditional": "projection", "discriminator.dropout": 0.5}))
    for variant in variants:
        table = doctor.looks(*healthy())
        for rule in RULES:
            flags = rule.remedy(Facts(variant, steps=10_000, labelled=True), table, 20)
            _, bound, _ = app.parse_args(["train", *shlex.split(flags)], print_error=False, exit_on_error=False)
            assert len(bound.arguments) >= 1, rule.name


def test_one_remedy_never_repeats_what_is_there() -> None:
    smoothed = recipes.get("mlp-bn")
    overpowered = next(rule for rule in RULES if rule.name == "discriminator overpowers")
    table = doctor.looks(*healthy())
    first = overpowered.remedy(Facts(smoothed.override(real_label=1.0)), table, 20)
    assert first == "--real-label 0.9"
    assert overpowered.remedy(Facts(smoothed), table, 20) == "--discriminator.dropout 0.4"


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
def test_looking_changes_no_bit_of_training(tmp_path: Path, recipe: str) -> None:
    """Batch norm by moving averages and by batch, and dropout."""
    small = {"generator.width": 0.1, "discriminator.width": 0.1}
    seen = execute.execute(job(tmp_path / "seen", recipe, steps=6, signals_every=1, overrides=small))
    unseen = execute.execute(job(tmp_path / "unseen", recipe, steps=6, signals_every=0, overrides=small))
    assert weights(seen) == weights(unseen)
    assert (seen.path / "metrics.jsonl").read_bytes() == (unseen.path / "metrics.jsonl").read_bytes()
    assert len(list(runs.rows(seen.path / "signals.jsonl"))) == 6
    assert not list(runs.rows(unseen.path / "signals.jsonl"))


def test_players_are_left_as_they_were() -> None:
    recipe = recipes.get("mlp-bn").override(TINY).override({"generator.dropout": 0.3, "statistics": "settled"})
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
    state.discriminator[0].eval()  # a layer in a mode of its own
    digits = data.load("mnist")
    bank = signals.bank(recipe, digits, None, seed=0, device=torch.device("cpu"))
    before = {name: value.clone() for name, value in state.generator.state_dict().items()}
    modes = [layer.training for network in (state.generator, state.discriminator) for layer in network.modules()]
    state = torch.get_rng_state()
    row = signals.measure(state, bank)
    assert row == signals.measure(state, bank)
    assert torch.equal(state, torch.get_rng_state())
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
    assert "sheets of samples" in found.told
    assert "signals" in found.not_looked_at[0]


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
def ill_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run made to fail by its noise, through the command line, and what was printed while it trained."""
    out = tmp_path_factory.mktemp("ill")
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("sys.stdout.write", printed.append, raising=False)
        flags = "--recipe mlp --steps 120 --batch-size 16 --generator.width 0.25 --noise.scale 1e-9 --sheet-every 40 "
        flags += "--signals-every 12 --evaluate-every 0 --threads 1"
        code = main(["train", "mnist", *flags.split(), "--out", str(out)])
        assert code == 0
    return next(runs.every(out)).path, "".join(printed)


def test_an_ill_run_is_named_while_it_trains_and_afterwards(
    ill_run: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path, printed = ill_run
    assert "doctor: ill, noise ignored since step 36" in printed
    assert "--noise.scale 1" in printed
    assert main(["doctor", str(path), "--json", "--strict"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["findings"][0]["name"]) == ("ill", "noise ignored")
    assert told["findings"][0]["remedy"] == "--noise.scale 1"
    assert "total collapse" in told["findings"][0]["follows"]
    assert Path(told["picture"]).stat().st_size > 10_000
    assert main(["doctor", str(path)]) == 0
    words = capsys.readouterr().out
    assert "try       --noise.scale 1" in words
    page = (path / "report.html").read_text()
    assert "Problem: noise ignored, since step 36" in page
    assert "Plots of the signals" in page


def test_an_older_run_is_judged_by_its_sheets(ill_run: tuple[Path, str], tmp_path: Path) -> None:
    run = runs.Run(Path(shutil.copytree(ill_run[0], tmp_path / "run")))
    (run.path / "signals.jsonl").unlink()
    for step in range(30, 120, 10):
        shutil.copy(run.path / "samples" / "step-000120.png", run.path / "samples" / f"step-{step:06d}.png")
    found = examine(run)
    assert found.findings[0].name == "noise ignored"
    shutil.rmtree(run.path / "samples")
    (run.path / "signals.jsonl").write_text("torn")
    found = examine(run)
    assert "the images" in found.not_looked_at
    assert found.findings[0].name == "blank or saturated"  # as far as the pixels' spread in metrics.jsonl tells


def test_a_short_run_is_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = execute.execute(job(tmp_path, steps=5))
    assert main(["doctor", str(run.path), "--strict"]) == 0
    assert "not known" in capsys.readouterr().out


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


def test_the_eye_names_digits() -> None:
    eye = fit_eye(data.load("mnist"), torch.device("cpu"))
    test = data.load("mnist", split="test")
    chosen = np.arange(1000)
    classes = eye.classes(eye.features(torch.from_numpy(test.take(chosen)).float() / 255))
    assert classes is not None
    assert (classes.numpy() == test.labels[chosen]).mean() > 0.88


def test_few_training_images_show_copies(tmp_path: Path) -> None:
    digits, test = data.load("mnist"), data.load("mnist", split="test")
    few = data.from_arrays(digits.take(np.arange(100)), digits.labels[:100])
    recipe = recipes.get("mlp")
    bank = signals.bank(recipe, few, test, seed=0, device=torch.device("cpu"))
    copies = torch.from_numpy(few.take(np.arange(100))).float() / 255
    assert signals.seen(copies, bank)["closer_to_train"] > 0.95
    unseen = torch.from_numpy(digits.take(np.arange(5000, 5256))).float() / 255
    assert 0.35 < signals.seen(unseen, bank)["closer_to_train"] < 0.65


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_looks_are_rarer_where_steps_are_cheap(device: str) -> None:
    every = {name: signals.interval(recipes.get(name), device=device, precision="fp32") for name in recipes.names()}
    assert every["dcgan-upsample"] <= every["mlp-bn"] <= every["mlp"]
    assert every["dcgan-upsample"] >= 50
    assert every["mlp"] <= 2000


def test_the_watch_takes_over_a_run_and_says_when_something_is_over(ill_run: tuple[Path, str]) -> None:
    told: list[Finding] = []
    watch = doctor.Watch(told.append)
    watch.begin(runs.Run(ill_run[0]))
    last = list(runs.rows(ill_run[0] / "signals.jsonl"))[-1]
    for step in (132, 144, 156, 168):
        sick_still = step < 140
        values = {**{k: v for k, v in last.items() if k not in {"step", "images"}}}
        watch(Measured(step, 16 * step, "signals", values if sick_still else {**values, **healthy()[1][-1]}))
    assert next((f.name, f.until) for f in told) == ("noise ignored", None)
    assert ("noise ignored", 132) in [(f.name, f.until) for f in told]
    assert told[0].line().startswith("doctor: ill, noise ignored")
    assert "no longer noise ignored, last seen at step 132" in next(f for f in told if f.until == 132).line()


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_the_panel_shows_what_is_told_until_it_is_over() -> None:
    for live, file in ((False, io.StringIO()), (True, Terminal())):
        with Panel(total_steps=10, batch_size=1, live=live, file=file) as panel:
            panel.tell("a", "doctor: something")
            panel(Measured(1, 1, "signals", {"gap": 1.0}))
            panel(Saved(1, Path("x")))
            assert "doctor: something" in file.getvalue()
            panel.tell("a", "doctor: no longer", over=True)
            file.truncate(0)
            panel(Saved(2, Path("x")))
            assert "doctor" not in file.getvalue()
    silent = io.StringIO()
    with Panel(total_steps=10, batch_size=1, quiet=True, file=silent) as panel:
        panel.tell("a", "doctor: something")
    assert not silent.getvalue()
