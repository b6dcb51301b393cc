"""Measuring generated images: floors, verdicts, the cache, comparison, and quality while training."""

import functools
import hashlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gansmith as gs
from gansmith import files, generator, hardware, runs
from gansmith.cli import main
from gansmith.encoders.encoder import Encoder
from gansmith.evaluation import cache, comparison, floors, inputs, online, pipeline
from gansmith.evaluation.report import Figure, Protocol, Report, Subject
from gansmith.experiment import artifacts, execute, prepare
from gansmith.metrics import grade
from gansmith.report.page import write_report
from gansmith.runs import checkpoint
from gansmith.training import loop
from gansmith.training.events import Event, Measured, Probe, Progress
from gansmith.training.step import TrainState

NARROW = {"generator.width": 0.25, "discriminator.width": 0.25}
TINY = {"batch_size": 16, **NARROW}
EVERY = {"sheet_every": 40, "log_every": 5, "checkpoint_every": 20, "evaluate_every": 20, "threads": 1}
COUNT = 500


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Fewer images where the size of a set is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(floors, "WHOLE", 3000)
        patch.setattr(online, "SAMPLES", COUNT)
        patch.setattr(online, "AGAINST", 1000)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets: digits with labels and a test split, and images to be measured against them."""
    place = tmp_path_factory.mktemp("images")
    train, test = gs.data.load("mnist"), gs.data.load("mnist", split="test")
    assert train.labels is not None
    assert test.labels is not None
    chosen = np.random.default_rng(0).permutation(10_000)
    reference_part, rest = chosen[:1500], chosen[1500:]
    np.savez(
        place / "mnist-small.npz",
        train_images=train.take(np.arange(3000)),
        train_labels=train.labels[:3000],
        test_images=test.take(reference_part),
        test_labels=test.labels[reference_part],
    )
    np.savez(place / "plain.npz", images=train.take(np.arange(1200)))
    np.savez(place / "real.npz", images=test.take(rest[:COUNT]))
    np.savez(place / "other-real.npz", images=test.take(rest[COUNT : 2 * COUNT]))
    without = rest[test.labels[rest] != 7][:COUNT]
    np.savez(place / "no-sevens.npz", images=test.take(without))
    np.savez(place / "copies.npz", images=train.take(np.arange(COUNT)))
    blurred = np.rint(0.75 * test.take(rest[:COUNT]).astype(np.float32)).astype(np.uint8)
    np.savez(place / "dim.npz", images=blurred)
    return place


@functools.cache
def measured(path: Path) -> Report:
    """The evaluation of images that do not change."""
    return gs.evaluate(path, data=path.parent / "mnist-small.npz", samples=COUNT)


def job(out: Path, folder: Path, *, recipe: str = "mlp", steps: int = 90, **more: Any) -> prepare.Experiment:
    source = folder / "mnist-small.npz"
    return prepare.prepare(source, recipe=recipe, steps=steps, out=out, overrides=TINY, **{**EVERY, **more})


# What an evaluation says


def test_real_images_score_about_the_floor(folder: Path) -> None:
    report = measured(folder / "real.npz")
    for key in ("fd", "precision", "recall", "density", "coverage", "recognised", "class_entropy"):
        figure = report[key]
        assert figure.floor is not None
        assert figure.value == pytest.approx(figure.floor, rel=0.9 if key == "fd" else 0.2), key
    assert report["fd"].words in {grade.VERY_CLOSE, grade.TOO_FEW}  # 500 can hardly tell
    assert report["closer"].words == report["authentic"].words == "no sign of copying"
    assert report.protocol.generated == report.protocol.real == COUNT
    assert report.protocol.against == "mnist-small test"
    assert "FD-mnist@" in report.protocol.line
    assert sum(share.generated for share in report.classes) == pytest.approx(1)


def test_a_class_that_is_missing_is_noticed(folder: Path) -> None:
    report = measured(folder / "no-sevens.npz")
    assert any(note.startswith("nearly missing: 7 (") for note in report.notes)
    assert not any("missing" in note for note in measured(folder / "real.npz").notes)
    assert report["fd"].value > 2 * measured(folder / "real.npz")["fd"].value


def test_copies_of_the_training_images_are_noticed(folder: Path) -> None:
    report = measured(folder / "copies.npz")
    assert report["authentic"].value == 0
    assert report["authentic"].words == "copies training images"
    assert report["fd"].value < 2 * (report["fd"].floor or 0)  # which is why it is not enough to look at


@pytest.fixture(scope="module")
def unmeasured(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    """A run of 4 steps."""
    return execute.execute(job(tmp_path_factory.mktemp("unmeasured"), folder, steps=4, evaluate_every=0))


def test_the_interval_is_over_latent_seeds(unmeasured: gs.Run, folder: Path) -> None:
    run = unmeasured
    report = gs.evaluate(run, samples=200, seed=5, seeds=3)
    figure = report["fd"]
    assert (report.protocol.seeds, len(figure.values)) == ((5, 6, 7), 3)
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low < figure.value < figure.high
    alone = gs.evaluate(run, samples=200, seed=6, seeds=1)["fd"]
    assert alone.values == (figure.values[1],)
    assert gs.evaluate(run.path / "generator", data=folder / "mnist-small.npz", samples=200, seed=6, seeds=1)[
        "fd"
    ].values == (alone.value,)


def test_the_floor_is_computed_once_and_a_damaged_one_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path))  # what others stored is not damaged
    measured = functools.partial(gs.evaluate, folder / "real.npz", data=folder / "mnist-small.npz", samples=300)
    first = measured()
    encoded: list[int] = []
    real = Encoder.encode

    def counted(self: Encoder, images: np.ndarray, **more: Any) -> Any:
        encoded.append(len(images))
        return real(self, images, **more)

    monkeypatch.setattr(Encoder, "encode", counted)
    assert measured() == first
    assert sum(encoded) == 3 * 300  # the given images, by three networks
    for path in (files.cache_dir() / "references").iterdir():
        content = bytearray(path.read_bytes())
        content[-100] ^= 1
        path.write_bytes(content)
    encoded.clear()
    assert measured() == first
    assert sum(encoded) > 3 * 300


def test_the_cache_refuses_what_is_altered() -> None:
    cache.write("ab" * 20, {"x": np.arange(3.0) / 7}, {"y": 1})
    arrays, values = cache.read("ab" * 20) or ({}, {})
    assert np.array_equal(arrays["x"], np.arange(3.0) / 7)
    assert values == {"y": 1}
    path = files.cache_dir() / "references" / f"{'ab' * 20}.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"y\\": 1', b'"y\\": 2'))
    assert cache.read("ab" * 20) is None
    path.write_bytes(b"")
    assert cache.read("ab" * 20) is None
    path.unlink()


# Bad input, and data of all kinds


def test_images_of_another_kind_are_measured_with_a_note(folder: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 20, 20, 3), dtype=np.uint8)
    np.savez(tmp_path / "rgb.npz", images=noise)
    report = gs.evaluate(tmp_path / "rgb.npz", data=folder / "mnist-small.npz", samples=120)
    notes = " ".join(report.notes)
    assert "RGB and mnist-small is grey" in notes
    assert "resized to 28x28" in notes
    assert report["fd"].words in {grade.FAR, grade.VERY_FAR}
    assert report["closer"].words == "says nothing: too far from real"


@pytest.mark.parametrize("value", [0, 255])
def test_constant_images_are_measured_as_far_as_they_can_be(folder: Path, value: int) -> None:
    report = gs.evaluate(np.full((150, 1, 28, 28), value, np.uint8), data=folder / "mnist-small.npz", samples=150)
    assert report["precision"].value == report["recall"].value == 0
    assert report["fd"].words in {grade.FAR, grade.VERY_FAR}
    assert any("nearly missing" in note for note in report.notes)


def test_too_few_images_for_a_covariance_leave_the_rest(folder: Path) -> None:
    images = gs.data.load("mnist", split="test").take(np.arange(40))
    report = gs.evaluate(images, data=folder / "mnist-small.npz")
    assert "fd" not in report
    assert "kid" in report
    assert any(note.startswith("left out (FD-mnist@") and "more images than the 96" in note for note in report.notes)
    assert any(note.startswith("40 images, not 10,000") for note in report.notes)


BAD = {
    "nan": (np.full((50, 28, 28), np.nan, np.float32), "not finite"),
    "beyond": (np.full((50, 28, 28), 300.0), "300"),
    "five channels": (np.zeros((50, 5, 28, 28), np.uint8), "C being 1, 3 or 4"),
    "one": (np.zeros((1, 28, 28), np.uint8), "give 16 or more"),
    "none": (np.zeros((0, 28, 28), np.uint8), "holds no images"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_measured_is_refused_in_a_line(
    what: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, hint = BAD[what]
    np.savez(tmp_path / "bad.npz", images=images)
    assert main(["evaluate", str(tmp_path / "bad.npz"), "--data", str(folder / "mnist-small.npz")]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert hint in told
    assert "bad.npz" in told


@pytest.mark.parametrize(
    ("words_given", "hint"),
    [
        (["nothing"], "no run nothing"),
        (["{real}"], "--data mnist"),
        (["{real}", "--data", "mnits"], "mnist"),
        (["{real}", "--data", "{data}", "--best"], "leave --best out"),
        (["{real}", "--data", "{data}", "--samples", "3"], "--samples 3"),
        (["{real}", "--data", "{data}", "--seeds", "0"], "seeds"),
        (["{real}", "--data", "{data}", "--encoder", "none.safetensors"], "no encoder here"),
        (["{real}", "--data", "{data}", "-o", "x.gif"], ".json"),
        (["{real}", "--data", "{data}", "--max-fd", "-1"], "--max-fd"),
    ],
)
def test_bad_requests_are_refused_in_a_line(
    words_given: list[str], hint: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"real": folder / "real.npz", "data": folder / "mnist-small.npz"}
    assert main(["evaluate", *(word.format(**names) for word in words_given)]) == 2
    assert hint in capsys.readouterr().err


def test_every_file_of_a_folder_counts_copies_too(folder: Path, tmp_path: Path) -> None:
    digits = gs.data.load("mnist", split="test").take(np.arange(20))
    for index in range(60):
        Image.fromarray(digits[index % 20, 0]).save(tmp_path / f"{index}.png")
    (tmp_path / "broken.png").write_text("not a picture")
    report = gs.evaluate(tmp_path, data=folder / "mnist-small.npz")
    assert report.protocol.generated == 60
    assert any("1 files cannot be used, such as broken.png" in note for note in report.notes)


def test_data_without_labels_or_a_test_split(folder: Path) -> None:
    report = gs.evaluate(folder / "real.npz", data=folder / "plain.npz", samples=COUNT)
    assert report.protocol.encoder.startswith("control@")
    assert report.protocol.against == "plain train (one half; there is no test split)"
    assert not {"recognised", "classifier_score", "closer", "fd_train"} & {figure.key for figure in report.figures}
    assert {"fd", "precision", "coverage"} <= {figure.key for figure in report.figures}
    assert any(
        "classifier score" in note and "needs an encoder that knows the classes" in note for note in report.notes
    )
    assert any("authentic" in note and "needs a test split" in note for note in report.notes)


def test_modes_of_stacked_digits() -> None:
    stacked = gs.data.load("stacked-mnist", split="test")
    report = gs.evaluate(stacked.take(np.arange(600)), data="stacked-mnist", samples=300)
    assert stacked.labels is not None
    wanted = len(np.unique(stacked.labels[:300]))
    assert report["modes"].value == pytest.approx(wanted, rel=0.05)
    assert report["modes"].floor == pytest.approx(wanted, rel=0.1)
    assert any("300 images, each channel read by mnist@" in note for note in report.notes)
    red = stacked.take(np.arange(300)).copy()
    red[:, 1:] = red[:1, 1:]  # the same green and blue in all: ten modes at most
    assert gs.evaluate(red, data="stacked-mnist", samples=300)["modes"].value <= 20


# The command line


def test_the_gate_ends_with_code_3(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["evaluate", str(folder / "real.npz"), "--data", str(folder / "mnist-small.npz"), "--samples", str(COUNT)]
    value = measured(folder / "real.npz")["fd"].value
    assert main([*asked, "--max-fd", str(value + 0.01)]) == 0
    assert main([*asked, "--max-fd", str(value - 0.01)]) == 3
    assert "above --max-fd" in capsys.readouterr().err
    assert main([*asked, "--max-fd", "0.01", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is False
    assert {figure["key"] for figure in document["figures"]} >= {"fd", "kid", "precision", "closer"}


def test_a_table_in_plain_words(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["evaluate", str(folder / "real.npz"), "--data", str(folder / "mnist-small.npz"), "--samples", str(COUNT)]
    assert main([*asked, "-o", str(tmp_path / "near.png")]) == 0
    told = capsys.readouterr().out
    assert "x floor" in told
    assert "protocol: FD-mnist@" in told
    assert "█" in told
    with Image.open(tmp_path / "near.png") as picture:
        assert picture.width > 400
    assert main([*asked, "-o", str(tmp_path / "x.json")]) == 0
    assert Report.read(tmp_path / "x.json") == measured(folder / "real.npz")


@pytest.mark.parametrize("content", ["{}", "[", '{"format": 2}', "[" * 5000])
def test_a_damaged_evaluation_is_refused_in_a_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(ValueError, match=r"evaluation\.json") as caught:
        Report.read(tmp_path / "evaluation.json")
    assert "\n" not in str(caught.value)


# Comparison


def test_no_ranking_inside_the_noise(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = comparison.compare([measured(folder / "real.npz"), measured(folder / "other-real.npz")])
    assert same.verdict == comparison.NO_DIFFERENCE
    other = comparison.compare([measured(folder / "dim.npz"), measured(folder / "real.npz")])
    assert other.verdict.endswith("real.npz is better")
    flags = ["--data", str(folder / "mnist-small.npz"), "--samples", str(COUNT)]
    assert main(["compare", str(folder / "real.npz"), str(folder / "other-real.npz"), *flags]) == 0
    assert capsys.readouterr().out.rstrip().endswith(comparison.NO_DIFFERENCE)
    assert main(["compare", str(folder / "real.npz"), str(folder / "dim.npz"), *flags, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"].endswith("real.npz is better")
    assert document["metrics"][0]["best"] == [str(folder / "real.npz")]


def made_up(name: str, fd: float, *, seed: int | None = None, group: str | None = None, samples: int = 1000) -> Report:
    protocol = Protocol(
        encoder="mnist@abc123", data="mnist", against="mnist test", fingerprint="f" * 64, real=1000, generated=samples,
        seeds=(0,), sets=3, gansmith="0",
    )  # fmt: skip
    figure = Figure(key="fd", name="FD", better="lower", value=fd, values=(fd,), floor=1.0, spread=0.1)
    return Report(
        subject=Subject(name=name, kind="run", recipe="mlp", seed=seed, group=group),
        protocol=protocol,
        figures=(figure,),
    )


def test_training_seeds_of_one_recipe_are_one_group_and_their_spread_counts() -> None:
    one = [made_up(f"a{seed}", fd, seed=seed, group="a") for seed, fd in enumerate((8.0, 10.0, 12.0))]
    two = [made_up(f"b{seed}", fd, seed=seed, group="b") for seed, fd in enumerate((11.0, 13.0, 15.0))]
    found = comparison.compare([*one, *two])
    assert [len(group.reports) for group in found.groups] == [3, 3]
    assert found.lines[0].values == (10.0, 13.0)
    assert found.lines[0].noise == (2.0, 2.0)
    assert found.verdict == comparison.NO_DIFFERENCE  # 3 apart, and 4 is what seeds do
    assert not found.notes
    single = comparison.compare([one[0], two[2]])
    assert single.verdict == "a0 is better"  # 7 apart, 0.2 is the measurement's noise
    assert "three seeds each" in single.notes[0]


def test_the_same_training_twice_is_no_second_seed() -> None:
    found = comparison.compare([made_up("a", 8.0, seed=1, group="a"), made_up("a", 8.0, seed=1, group="a")])
    assert len(found.groups) == 2


def test_three_where_two_cannot_be_told_apart() -> None:
    found = comparison.compare([made_up("a", 5.0), made_up("b", 5.1), made_up("c", 9.0)])
    assert found.lines[0].best == ("a", "b")
    assert "between them no significant difference" in found.verdict


def test_other_protocols_are_not_compared() -> None:
    with pytest.raises(ValueError, match=r"measured differently.*generated: 1000 and 2000"):
        comparison.compare([made_up("a", 5.0), made_up("b", 5.0, samples=2000)])
    with pytest.raises(ValueError, match="two runs or more"):
        comparison.compare([made_up("a", 5.0)])


# While training


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[gs.Run, list[Event]]:
    events: list[Event] = []
    run = gs.train(
        folder / "mnist-small.npz", recipe="mlp-bn", steps=300, batch_size=64, out=tmp_path_factory.mktemp("runs"),
        threads=1, checkpoint_every=50, evaluate_every=100, precision="fp32", observers=[events.append],
        overrides={"generator_optimizer.lr": 1e-3, "discriminator_optimizer.lr": 1e-3, **NARROW},
    )  # fmt: skip
    return run, events


def test_three_hundred_steps_bring_the_images_far_nearer_to_real(trained: tuple[gs.Run, list[Event]]) -> None:
    run, events = trained
    dataset = gs.data.load(run.data.source)
    reference = online.frechet_reference(dataset)
    blank = loop.new_state(run.recipe, seed=0, device=gs.load(run).device)
    untrained = reference.distance(made_by(blank, run))
    curve = run.quality()
    assert [row["step"] for row in curve] == [100, 200, 300]
    assert curve[-1]["fd"] < 0.7 * untrained
    assert [event.values["fd"] for event in events if isinstance(event, Measured) and event.kind == "quality"] == [
        row["fd"] for row in curve
    ]
    told = online.protocol(run)
    assert told is not None
    assert told.floor < curve[-1]["fd"]
    assert (told.samples, told.real, told.against) == (COUNT, 1000, "mnist-small test")


def made_by(state: TrainState, run: gs.Run) -> np.ndarray:
    return generator.snapshot(state.generator, run.recipe, settle_on=256).sample(COUNT).images


@pytest.mark.painted
def test_the_report_shows_the_curve_and_the_evaluation(trained: tuple[gs.Run, list[Event]], tmp_path: Path) -> None:
    run = gs.Run(Path(shutil.copytree(trained[0].path, tmp_path / trained[0].name)))
    artifacts.plot_quality(run)
    assert (run.path / "quality.png").stat().st_size > 5000
    page = (run.path / "report.html").read_text()
    assert "How close to real" in page
    assert "Evaluated" not in page
    assert main(["evaluate", str(run.path), "--samples", "300", "--seeds", "2", "--max-fd", "100000"]) == 0
    page = (run.path / "report.html").read_text()
    assert "Evaluated" in page
    assert "FD-mnist@" in page
    assert "Copied?" in page
    assert Report.read(run.path / "evaluation.json").subject.step == 300
    assert "<svg" in write_report(run.path).read_text()
    (run.path / "evaluation.json").write_text("{")
    assert "Evaluated" not in write_report(run.path).read_text()


def test_compare_uses_the_evaluations_that_are_there(
    trained: tuple[gs.Run, list[Event]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("one", "two"):
        shutil.copytree(trained[0].path, tmp_path / "runs" / name)
    monkeypatch.chdir(tmp_path)
    flags = ["--samples", "200", "--seeds", "2"]
    assert main(["compare", "one", "two", *flags]) == 0
    told = capsys.readouterr().out
    assert told.rstrip().endswith(comparison.NO_DIFFERENCE)
    monkeypatch.setattr(pipeline, "measure", None)
    assert main(["compare", "one", "two", *flags]) == 0
    assert capsys.readouterr().out == told


def scripted(monkeypatch: pytest.MonkeyPatch, *distances: float) -> None:
    """Measurements that are these, by step: 20, 40, ..."""
    steps = {20 * (number + 1): distance for number, distance in enumerate(distances)}

    def probe(reference: Any, recipe: Any, every: int) -> Probe:
        return Probe("quality", every, lambda state, output: {"fd": steps.get(state.step, 99.0)})

    monkeypatch.setattr(online, "probe", probe)


def steps_kept(run: gs.Run) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in run.checkpoints.glob("step-*"))


def test_the_best_checkpoint_is_kept_and_loaded(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, 9.0, 2.0, 5.0, 4.0, 7.0)
    run = execute.execute(job(tmp_path, folder, steps=100))
    assert steps_kept(run) == [40, 80, 100]
    assert run.best() == (40, 2.0)
    assert gs.load(run, which="best").about["steps"] == 40
    assert gs.load(run).about["steps"] == 40  # the end is over a tenth worse: the best is what a run gives
    assert np.array_equal(gs.load(run).sample(4).images, gs.load(run, which="best").sample(4).images)
    assert online.better(run) == (40, 2.0, 7.0)
    assert main(["sample", str(run.path), "--best", "-n", "4", "-o", str(tmp_path / "best.npz")]) == 0
    with np.load(tmp_path / "best.npz") as saved:
        assert np.array_equal(saved["images"], gs.load(run, which="best").sample(4).images)
    assert inputs.resolve(run, which="best").subject.step == 40
    further = execute.execute(prepare.prepare_resume(run.path, steps=140))
    assert steps_kept(further) == [40, 120, 140]
    weights = checkpoint.at(run.checkpoints, 40) / "generator.safetensors"
    weights.write_bytes(b"")
    with pytest.raises(ValueError, match="altered"):
        gs.load(run, which="best")


def test_an_end_that_is_hardly_worse_is_what_a_run_gives(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, 9.0, 5.0, 5.2)
    run = execute.execute(job(tmp_path, folder, steps=60))
    assert (run.best(), gs.load(run).about["steps"]) == ((40, 5.0), 60)


def test_a_better_one_takes_its_place(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, 5.0, 6.0, 4.0, 4.5)
    assert steps_kept(execute.execute(job(tmp_path, folder, steps=80))) == [60, 80]


def test_without_measurements_there_is_no_best(unmeasured: gs.Run) -> None:
    run = unmeasured
    assert not (run.path / "quality.json").exists()
    with pytest.raises(ValueError, match="not measured while it trained"):
        gs.load(run, which="best")
    with pytest.raises(ValueError, match="no checkpoints"):
        gs.load(run.path / "generator", which="best")


def digest(run: Path) -> dict[str, str]:
    untimed = {"timing.jsonl", "report.html", "environment.json", "run.json"}
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.name not in untimed]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    """A run of 60 steps, measured at 20, 40 and 60."""
    return execute.execute(job(tmp_path_factory.mktemp("whole"), folder, recipe="mlp-bn", steps=60))


def test_a_measured_run_resumes_in_the_same_bytes(whole: gs.Run, folder: Path, tmp_path: Path) -> None:

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.step == 27:
            os.kill(os.getpid(), signal.SIGTERM)

    broken = execute.execute(job(tmp_path / "broken", folder, recipe="mlp-bn", steps=60), observers=[interrupt])
    assert broken.state == "interrupted"
    finished = gs.resume(broken.path)
    assert [row["step"] for row in finished.quality()] == [20, 40, 60]
    assert digest(finished.path) == digest(whole.path)
    unmeasured = execute.execute(job(tmp_path / "plain", folder, recipe="mlp-bn", steps=60, evaluate_every=0))
    for name in ("metrics.jsonl", "generator/model.safetensors"):  # measuring leaves training as it is
        assert (unmeasured.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_a_damaged_newest_checkpoint_changes_nothing(whole: gs.Run, tmp_path: Path) -> None:
    run = gs.Run(Path(shutil.copytree(whole.path, tmp_path / whole.name)))
    (checkpoint.newest(run.checkpoints, []) / "generator.safetensors").write_bytes(b"")
    again = gs.resume(run.path)
    found = {name: value for name, value in digest(again.path).items() if "damaged-" not in name}
    assert found == digest(whole.path)


def test_a_curve_of_another_meaning_is_set_aside(whole: gs.Run, tmp_path: Path) -> None:
    run = gs.Run(Path(shutil.copytree(whole.path, tmp_path / whole.name)))
    told = json.loads((run.path / "quality.json").read_text())
    (run.path / "quality.json").write_text(json.dumps({**told, "metric": "FD-mnist@000000"}))
    further = execute.execute(prepare.prepare_resume(run.path, steps=80))
    assert [row["step"] for row in further.quality()] == [80]
    assert (run.path / "quality.older.jsonl").exists()


def test_settings_of_older_runs_are_read(whole: gs.Run, tmp_path: Path) -> None:
    run = gs.Run(Path(shutil.copytree(whole.path, tmp_path / whole.name)))
    settings = json.loads((run.path / "run.json").read_text())
    del settings["evaluate_every"]
    (run.path / "run.json").write_text(json.dumps(settings))
    assert runs.find(run.path).settings.evaluate_every == 0


@pytest.mark.parametrize(("seconds", "wanted"), [(0.01, 50), (0.4, 100), (1.0, 250), (3.9, 1000), (4.1, 0)], ids=str)
def test_measuring_is_thinned_to_the_time_that_it_may_take(
    seconds: float, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = gs.recipes.get("mlp")
    monkeypatch.setattr(online, "cost", lambda recipe, device: seconds)
    monkeypatch.setattr(hardware, "nominal_seconds", lambda gflop, device, precision: 0.1 - online.LEAST_STEP)
    found = online.interval(recipe, device="cpu", precision="fp32", steps=1000, checkpoint_every=50)
    assert found == wanted  # 1,000 steps take 100 s, of which measuring may take 4
    assert found == 0 or seconds * 1000 / found <= online.SHARE * 100
    assert online.interval(recipe, device="cpu", precision="fp32", steps=2, checkpoint_every=1) == 0
    monkeypatch.setattr(
        hardware, "nominal_seconds", lambda gflop, device, precision: 0.0
    )  # a guess, where time is known
    timed = {"device": "cpu", "precision": "fp32", "steps": 1000, "checkpoint_every": 50, "seconds": 100.0}
    assert online.interval(recipe, **timed) == wanted


@pytest.mark.parametrize("name", gs.recipes.names())
def test_a_long_training_is_measured_several_times(name: str) -> None:
    every = online.interval(gs.recipes.get(name), device="cpu", precision="bf16", steps=20_000, checkpoint_every=1000)
    assert 0 < every <= 10_000


def test_what_is_measured_is_said_before_and_while(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["train", str(folder / "mnist-small.npz"), "--recipe", "mlp", "--batch-size", "8", "--threads", "1"]
    asked += ["--steps", "4", "--out", str(tmp_path)]
    assert main([*asked, "--evaluate-every", "2"]) == 0
    told = capsys.readouterr().out
    assert "quality    measured every 2 steps" in told
    assert "| FD " in told
    assert main(asked) == 0
    assert "quality    not measured while it trains" in capsys.readouterr().out
    assert main([*asked, "--evaluate-every", "-2"]) == 2
