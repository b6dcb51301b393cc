"""A run that begins with the networks of another: what it takes over, what it says, and what it refuses."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gansmith as gs
from gansmith.cli import main
from gansmith.experiment import prepare
from gansmith.files import read_tensors
from gansmith.runs import checkpoint
from gansmith.training.events import Event, Snapshot

QUICK: dict[str, Any] = {"threads": 1, "batch_size": 8, "evaluate_every": 0, "signals_every": 0}
TINY = {"generator.width": 0.25, "discriminator.width": 0.25}


def put(folder: Path, numbers: range, *, channels: int = 1, size: int = 16) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        pixels = np.random.default_rng(number).integers(0, 256, (size, size, channels), dtype=np.uint8)
        Image.fromarray(pixels.squeeze(2) if channels == 1 else pixels).save(folder / f"{number}.png")
    return folder


def put_classes(folder: Path, *names: str) -> Path:
    for place, name in enumerate(names):
        put(folder / name, range(8 * place, 8 * place + 8))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        put(folder / "mine", range(16))
        put(folder / "other", range(100, 124))
        gs.train("mine", recipe="mlp", size=16, steps=3, overrides=TINY, seed=5, **QUICK)
    return folder


@pytest.fixture
def workshop(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One finished run, mine-mlp-001 of 16 images, and 24 other ones."""
    folder = tmp_path / "workshop"
    shutil.copytree(trained, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def networks(path: Path) -> dict[str, torch.Tensor]:
    return {
        f"{player}.{name}": tensor
        for player in ("generator", "discriminator")
        for name, tensor in read_tensors(path / f"{player}.safetensors").items()
    }


def test_it_begins_with_both_networks_and_fresh_optimisers_at_step_0(workshop: Path) -> None:
    first = gs.train("other", from_="last", steps=4, sheet_every=1, log_every=1, **QUICK)
    before = checkpoint.newest(Path("runs/mine-mlp-001/checkpoints"), [])
    assert before is not None
    experiment = prepare.prepare("other", from_="mine-mlp-001", steps=4, **QUICK)
    assert (experiment.start_step, experiment.recipe.override(steps=3)) == (0, gs.Run(before.parents[1]).recipe)
    kept: list[Path] = []

    def look(event: Event) -> None:
        if isinstance(event, Snapshot) and event.step == 0:
            kept.extend(Path("runs/other-mlp-002/checkpoints").glob("step-*"))
            found, wanted = networks(kept[0]), networks(before)
            assert found.keys() == wanted.keys()
            assert all(torch.equal(found[name], wanted[name]) for name in wanted)
            assert not any(
                name.endswith("exp_avg") for name in read_tensors(kept[0] / "generator_optimizer.safetensors")
            )

    second = gs.train("other", from_="mine-mlp-001", steps=4, sheet_every=1, log_every=1, observers=[look], **QUICK)
    assert [path.name for path in kept] == ["step-000000"]
    assert [row["step"] for row in second.metrics()] == [1, 2, 3, 4]
    assert first.metrics() == second.metrics()  # the same again
    for name in ("generator/model.safetensors", "sheet.png", "samples/step-000000.png"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()


def test_the_run_says_where_it_came_from(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "other", "--from", "last", "--steps", "2", "--threads", "1", "--batch-size", "8"]) == 0
    assert "from       mine-mlp-001, step 3\n" in capsys.readouterr().out
    origin = json.loads(Path("runs/last/run.json").read_text())["origin"]
    assert (origin["run"], origin["step"], len(origin["digest"])) == ("mine-mlp-001", 3, 64)
    assert "origin" not in json.loads(Path("runs/mine-mlp-001/run.json").read_text())
    page = Path("runs/last/report.html").read_text()
    assert f"mine-mlp-001, step 3 ({origin['digest'][:6]})" in page
    assert main(["runs"]) == 0
    head, _, _, other = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["run", "recipe", "data", "from"]
    assert other.split()[:4] == ["other-mlp-001", "mlp", "other", "mine-mlp-001"]
    assert main(["runs", "--json"]) == 0
    assert [row["from"] for row in json.loads(capsys.readouterr().out)] == [None, "mine-mlp-001"]


def test_without_data_it_trains_on_those_of_the_run(workshop: Path) -> None:
    assert gs.train(from_="last", steps=2, **QUICK).data.name == "mine"


def test_a_change_that_leaves_the_weights_as_they_are_is_taken(workshop: Path) -> None:
    run = gs.train("other", from_="last", steps=2, overrides={"generator_optimizer.lr": 1e-5}, seed=1, **QUICK)
    assert run.recipe.generator_optimizer.lr == 1e-5
    assert run.settings.seed == 1


def test_what_does_not_fit_is_refused_in_one_line(workshop: Path) -> None:
    put(workshop / "colour", range(16), channels=3)
    put_classes(workshop / "classes", "a", "b")
    cases = {
        "do not fit the recipe: .* of the (generator|discriminator) is": {"overrides": {"generator.width": 0.5}},
        "colour is RGB, but mine-mlp-001 makes grey images": {"source": "colour"},
        "`size` 8: mine-mlp-001 makes images of 16x16": {"size": 8},
        "`conditional` projection: mine-mlp-001 was trained with none": {"source": "classes", "conditional": True},
        "do not fit the recipe: ": {"recipe": "mlp-bn", "size": 16},
        "no run nothing": {"from_": "nothing"},
        "data '': is empty": {"source": ""},
        "is an exported generator, without its discriminator": {"from_": "runs/last/generator"},
    }
    before = sorted(path.name for path in Path("runs").iterdir())
    for message, more in cases.items():
        with pytest.raises(ValueError, match=message) as caught:
            gs.train(**{"source": "other", "from_": "last", "steps": 2, **QUICK, **more})
        assert "\n" not in str(caught.value)
    assert sorted(path.name for path in Path("runs").iterdir()) == before


def test_classes_are_as_many_and_a_line_says_where_they_are_others(workshop: Path) -> None:
    put_classes(workshop / "two", "a", "b")
    put_classes(workshop / "renamed", "a", "c")
    put_classes(workshop / "three", "a", "b", "c")
    gs.train("two", recipe="mlp", size=16, steps=2, overrides=TINY, conditional=True, **QUICK)
    with pytest.raises(ValueError, match="three has 3 classes, but two-mlp-001 learned 2"):
        prepare.prepare("three", from_="last", **QUICK)
    assert prepare.prepare("two", from_="last", steps=9, **QUICK).warnings == ()
    assert prepare.prepare("renamed", from_="last", **QUICK).warnings == (
        "label 1 is c from here, and was b in two-mlp-001",
    )


def test_it_needs_the_other_run_no_longer_and_resumes_to_the_same_bytes(workshop: Path) -> None:
    whole = gs.train("other", from_="last", steps=6, log_every=1, checkpoint_every=2, **QUICK)

    class Killed(BaseException):
        pass

    def kill(event: Event) -> None:
        if isinstance(event, Snapshot) and event.step == 0:
            raise Killed

    with pytest.raises(Killed):
        gs.train("other", from_="mine-mlp-001", steps=6, log_every=1, checkpoint_every=2, observers=[kill], **QUICK)
    Path("runs/mine-mlp-001").rename("elsewhere")
    resumed = gs.resume("last")
    assert resumed.settings.origin == whole.settings.origin
    assert resumed.metrics() == whole.metrics()
    for player in ("generator", "discriminator"):
        name = f"checkpoints/step-000006/{player}.safetensors"
        assert (resumed.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_without_its_first_checkpoint_it_is_not_resumed_from_nothing(workshop: Path) -> None:
    run = gs.train("other", from_="last", steps=2, **QUICK)
    for path in run.checkpoints.iterdir():
        path.rename(workshop / path.name)
    (run.path / "state.txt").unlink()
    with pytest.raises(ValueError, match="start it again with `from_` mine-mlp-001"):
        gs.resume(run.path)


def test_checkpoints_of_a_run_that_began_untrained_are_not_taken_for_its_own(workshop: Path) -> None:
    run = gs.train("mine", from_="last", steps=3, seed=5, **QUICK)
    path = run.path / "run.json"
    path.write_text(
        json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "origin"})
    )
    with pytest.raises(ValueError, match=r"another origin than run\.json says"):
        gs.resume(run.path, steps=5)


def test_a_run_is_resumed_on_more_images_as_a_new_run_with_the_steps_that_are_left(workshop: Path) -> None:
    put(workshop / "mine", range(16, 24))
    more = gs.resume("mine-mlp-001", source="mine", steps=5)
    assert isinstance(more, gs.Run)
    assert (more.name, more.data.count, more.settings.steps, more.settings.seed) == ("mine-mlp-002", 24, 2, 5)
    assert more.settings.origin is not None
    assert more.settings.origin.run == "mine-mlp-001"
    (warning,) = prepare.prepare_resume("mine-mlp-001", source="mine", steps=5).warnings
    assert "mine: the data changed since mine-mlp-001 began (8 new: 16.png, 17.png, 18.png, ...): a new run" in warning


def test_a_resume_on_data_that_lost_or_changed_images_is_refused_and_names_the_way(workshop: Path) -> None:
    put(workshop / "mine", range(16, 20))
    (workshop / "mine" / "3.png").unlink()
    with pytest.raises(
        ValueError, match=r"1 gone: 3\.png\); restore them, or start a new run with `from_` mine-mlp-001"
    ):
        gs.resume("mine-mlp-001", source="mine", steps=5)
