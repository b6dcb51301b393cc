"""`house` through the front door: trained, cut and resumed bit for bit, sampled, explored; kinds told as they are."""

from pathlib import Path

import numpy as np
import pytest
import torch

import gansmith as gs
from gansmith import data, generator, latent, recipes
from gansmith.cli import main
from gansmith.data import kinds
from gansmith.errors import UserError
from gansmith.runs import checkpoint

SMALL = {"generator.width": 0.5, "discriminator.width": 0.5, "batch_size": 16}
QUIET = {"threads": 1, "evaluate_every": 0, "signals_every": 10, "sheet_every": 20, "checkpoint_every": 10}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    mnist = data.load("mnist")
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    np.savez(path, images=mnist.take(np.arange(1200))[:, 0], labels=mnist.labels[:1200])
    return path


@pytest.fixture(scope="module")
def run(digits: Path) -> gs.Run:
    return gs.train(digits, steps=120, out=digits.parent / "runs", overrides=SMALL, **QUIET)


@pytest.fixture(scope="module")
def labelled(digits: Path) -> gs.Run:
    return gs.train(digits, steps=40, out=digits.parent / "runs", conditional=True, overrides=SMALL, **QUIET)


def test_it_is_the_default_and_takes_kinds_from_the_data(run: gs.Run, labelled: gs.Run) -> None:
    assert (run.recipe.name, run.recipe.kinds) == ("house", 30)  # 1,200 images, 40 a kind
    assert (labelled.recipe.classes, labelled.recipe.kinds) == (10, 2)
    assert labelled.recipe.conditions == 20
    assert gs.Recipe.model_validate_json(run.recipe.to_json()) == run.recipe


@pytest.mark.parametrize("which", ["run", "labelled"])
def test_its_discriminator_learned_with_the_places_of_its_kinds(which: str, request: pytest.FixtureRequest) -> None:
    trained: gs.Run = request.getfixturevalue(which)
    newest = checkpoint.newest(trained.checkpoints, [])
    assert newest is not None
    judge = gs.files.read_tensors(newest / "discriminator.safetensors")
    places = kinds.load(trained.path / "kinds.npz", 1200).places
    for layer in ("projection", "company.projection"):
        assert np.array_equal(judge[f"{layer}.places"][:, : places.shape[1]].numpy(), places)
        assert judge[f"{layer}.shared.weight"].abs().max() > 1e-4


def test_its_images_come_nearer_to_real_ones(run: gs.Run, digits: Path) -> None:
    real = data.load(digits).take(np.arange(1200)).astype(float)
    untrained = recipes.generator(run.recipe)
    before = generator.snapshot(untrained, run.recipe).sample(200).images.astype(float)
    after = gs.load(run).sample(200).images.astype(float)
    far = [float(np.abs(images.mean(0) - real.mean(0)).mean()) for images in (before, after)]
    assert far[1] < far[0] / 3


def test_a_run_that_was_cut_ends_in_the_same_bytes(labelled: gs.Run, digits: Path, tmp_path: Path) -> None:
    steps = []

    def stop(event: object) -> None:
        steps.append(event)
        if getattr(event, "step", 0) == 20 and type(event).__name__ == "Saved":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gs.train(digits, steps=40, out=tmp_path, conditional=True, overrides=SMALL, observers=[stop], **QUIET)
    cut = gs.resume("last", out=tmp_path)
    for part in ("generator", "discriminator", "average", "generator_optimizer", "discriminator_optimizer"):
        name = f"step-000040/{part}.safetensors"
        assert (cut.checkpoints / name).read_bytes() == (labelled.checkpoints / name).read_bytes(), part
    assert (cut.path / "signals.jsonl").read_bytes() == (labelled.path / "signals.jsonl").read_bytes()


def test_the_average_is_what_is_exported(run: gs.Run) -> None:
    path = checkpoint.newest(run.checkpoints, [])
    averaged, own = (gs.files.read_tensors(path / f"{part}.safetensors") for part in ("average", "generator"))
    exported = gs.load(run).network.state_dict()
    assert all(torch.equal(exported[name], averaged[name]) for name in averaged)
    assert any(not torch.equal(exported[name], own[name]) for name in own)


def test_kinds_come_equally_often_and_images_depend_on_their_number_alone(run: gs.Run) -> None:
    made = gs.load(run).sample(90, seed=3)
    assert made.labels is None
    assert np.array_equal(np.bincount(made.conditions), np.full(30, 3))
    assert np.array_equal(gs.load(run).sample(7, seed=3, start=40).images, made.images[40:47])
    points = latent.points(gs.load(run), "5,41", seed=3)
    assert np.array_equal(points.labels, made.conditions[[5, 41]])
    assert np.array_equal(latent.images(gs.load(run), points), made.images[[5, 41]])


def test_a_label_asks_for_all_kinds_of_its_class(labelled: gs.Run) -> None:
    made = gs.load(labelled).sample(6, label=7)
    assert made.labels.tolist() == [7] * 6
    assert sorted(made.conditions.tolist()) == [14] * 3 + [15] * 3
    turns = gs.load(labelled).sample(40)
    assert turns.labels.tolist() == [index % 10 for index in range(40)]
    with pytest.raises(UserError, match="no class"):
        gs.load(labelled).sample(1, label="ten")


def test_saved_samples_are_found_again(run: gs.Run, labelled: gs.Run, tmp_path: Path) -> None:
    for each in (run, labelled):
        model = gs.load(each)
        path = model.sample(12, seed=1).save(tmp_path / f"{each.name}.npz")
        again = latent.images(model, latent.points(model, path))
        assert np.array_equal(again, model.sample(12, seed=1).images)


def test_the_verbs_take_it(run: gs.Run, labelled: gs.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for each in (run, labelled):
        for words in (
            ["morph", str(each.path), "--seeds", "3,14", "--frames", "5"],
            ["mix", str(each.path), "1 - 2 + 3"],
            ["directions", str(each.path)],
            ["doctor", str(each.path)],
        ):
            out = ["--out", str(tmp_path / f"{words[0]}.png")] if words[0] != "doctor" else []
            assert main([*words, *out, "--json"]) == 0, capsys.readouterr().err
            capsys.readouterr()


def test_a_run_begun_from_it_keeps_its_kinds(run: gs.Run, digits: Path, tmp_path: Path) -> None:
    """Also where the images, alone, would have had fewer, or in another order."""
    few = data.load(digits).take(np.arange(500))[:, 0]
    np.savez(tmp_path / "few.npz", images=few)
    begun = gs.train(tmp_path / "few.npz", from_=run, steps=2, out=tmp_path, threads=1, evaluate_every=0)
    assert begun.recipe.kinds == run.recipe.kinds == 30
    was, now = (kinds.load(each.path / "kinds.npz", each.data.count) for each in (run, begun))
    assert np.array_equal(was.centres, now.centres)
    assert (was.conditions[:500] == now.conditions).mean() > 0.75


def test_a_run_that_time_ends_is_judged_by_its_own_length(digits: Path, tmp_path: Path) -> None:
    quick = {**QUIET, "signals_every": 1, "checkpoint_every": 5}
    timed = gs.train(digits, minutes=0.05, out=tmp_path, overrides=SMALL, **quick)
    last = timed.metrics()[-1]["step"]
    facts = gs.examine(timed).facts
    assert facts.steps == pytest.approx(last, rel=0.1)
    assert facts.warm_up < last


def test_few_images_have_no_kinds(tmp_path: Path) -> None:
    few = data.load("mnist").take(np.arange(60))[:, 0]
    np.savez(tmp_path / "few.npz", images=few)
    run = gs.train(tmp_path / "few.npz", steps=2, out=tmp_path, overrides=SMALL, threads=1, evaluate_every=0)
    assert run.recipe.kinds == 0
    with pytest.raises(UserError, match="`kinds` 20: few has 60 images"):
        gs.train(tmp_path / "few.npz", steps=2, out=tmp_path, overrides=SMALL, kinds=20)


def test_kinds_that_are_not_there_are_not_shared_silently() -> None:
    house = recipes.get("house")
    assert house.override(kinds=0).kinds == 0
    for recipe in (house, recipes.get("mlp")):
        with pytest.raises(UserError, match="shared_kinds: is of kinds"):
            recipe.override({"kinds": 0, "shared-kinds": True})


@pytest.mark.parametrize("changes", [{"loss": "hinge"}, {"conditional": "auxiliary"}, {"generator_updates": 2}])
def test_what_one_pass_cannot_serve_is_trained_with_two(digits: Path, tmp_path: Path, changes: dict) -> None:
    run = gs.train(digits, steps=2, out=tmp_path, overrides=SMALL, threads=1, evaluate_every=0, **changes)
    assert not run.recipe.one_pass
    with pytest.raises(UserError, match="one_pass"):
        gs.train(digits, steps=2, out=tmp_path, overrides=SMALL, one_pass=True, **changes)
