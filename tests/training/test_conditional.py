"""Training on labels: every recipe, resumed bit for bit, and images that follow the requested label."""

from pathlib import Path

import numpy as np
import pytest
import torch

import gansmith as gs
from gansmith import data, recipes, runs
from gansmith import generator as sampling
from gansmith.cli import main
from gansmith.data.types import class_of
from gansmith.experiment import prepare
from gansmith.generator import Generator
from gansmith.nn import ConditionalDiscriminator, ConditionalGenerator, Placed, place
from gansmith.recipe import Recipe, from_json
from gansmith.runs import checkpoint
from gansmith.training import loop
from gansmith.training.events import Event, Snapshot
from gansmith.training.step import sample_labels, step
from helpers import ARTICLES, settings


def small(name: str, head: str = "projection", **changes: object) -> Recipe:
    more = {"generator.width": 0.1, "discriminator.width": 0.1, "batch_size": 8, **changes}
    return recipes.get(name).override({"conditional": head, "classes": 10, **more})


def generator(name: str, **changes: object) -> Generator:
    torch.manual_seed(0)
    recipe = small(name, **changes)
    return sampling.snapshot(recipes.generator(recipe), recipe, settle_on=512)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    """A conditional run on two classes that differ much: zeros and ones."""
    mnist = data.load("mnist")
    chosen = np.flatnonzero(np.isin(mnist.labels, (0, 1)))[:2000]
    folder = tmp_path_factory.mktemp("two")
    np.savez(folder / "two.npz", images=mnist.take(chosen)[:, 0], labels=mnist.labels[chosen])
    return gs.train(
        folder / "two.npz",
        recipe="mlp-bn",
        conditional=True,
        precision="fp32",  # the same everywhere, up to rounding
        steps=400,
        batch_size=64,
        out=folder,
        threads=1,
        sheet_every=200,
        evaluate_every=0,
        signals_every=0,
        overrides={"generator.width": 0.5, "discriminator.width": 0.5},
    )


def test_the_generator_says_how_often_it_saw_each_label(trained: gs.Run) -> None:
    ones = int(np.load(trained.data.source)["labels"].sum())
    assert gs.load(trained.path).class_counts == trained.data.class_counts == (2000 - ones, ones)


@pytest.mark.parametrize("head", ["projection", "auxiliary"])
@pytest.mark.parametrize("name", [name for name in recipes.names() if name != "infogan"])
def test_every_recipe_trains_on_labels(name: str, head: str) -> None:
    several = {"one_pass": False} if name == "house" and head == "auxiliary" else {}
    wide = recipes.get(name).discriminator.width / 2
    recipe = small(name, head, **{"discriminator.width": wide, "condition": "vector"}, **several)
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
    read = state.discriminator.projection or state.discriminator.classifier
    before = [p.detach().clone() for p in (state.generator.embedding.weight, read.weight)]
    torch.manual_seed(1)
    labels = torch.arange(8) % 10
    for _ in range(2):  # a projection starts at 0, so the generator sees its labels from the second step on
        output = step(state, recipe, torch.rand(8, 1, 28, 28), labels)
    assert output.fake.shape == (8, 1, 28, 28)
    for old, new in zip(before, (state.generator.embedding.weight, read.weight), strict=True):
        assert not torch.equal(old[:8], new[:8])


@pytest.mark.parametrize("name", ARTICLES)
def test_the_published_networks_are_kept_inside(name: str) -> None:
    recipe = recipes.get(name)
    plain, labelled = (recipes.summary(r) for r in (recipe, recipe.override(conditional="projection", classes=10)))
    assert labelled.discriminator[:-1] == plain.discriminator
    features = labelled.discriminator[-1]
    assert (features.layer, features.parameters) == ("Embedding", 10 * features.output[0])
    assert [row.layer for row in labelled.generator[1:]] == [row.layer for row in plain.generator]
    assert labelled.generator[0].output == (64,)
    held = sum(p.numel() for p in recipes.generator(recipe.override(conditional="auxiliary", classes=10)).parameters())
    assert sum(row.trainable for row in labelled.generator) == held


def test_heads_at_known_weights() -> None:
    body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1))
    images, labels = torch.arange(8.0).view(2, 1, 2, 2), torch.tensor([1, 0])
    projecting = ConditionalDiscriminator(body, 2, "projection")
    assert torch.equal(projecting(images, labels), body(images))  # starts as the published one
    with torch.no_grad():
        projecting.projection.weight.copy_(torch.tensor([[0.0, 0, 0, 1], [1, 1, 1, 1]]))
    assert torch.allclose(projecting(images, labels) - body(images), torch.tensor([[6.0], [7.0]]))
    assert torch.equal(projecting(images), body(images))
    naming = ConditionalDiscriminator(body, 2, "auxiliary")
    logits, classes = naming(images, labels)
    assert torch.equal(logits, body(images))
    assert classes.shape == (2, 2)


def test_kinds_share_what_holds_for_their_place() -> None:
    body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1))
    images, labels = torch.arange(12.0).view(3, 1, 2, 2), torch.tensor([0, 1, 2])
    judge = ConditionalDiscriminator(body, 3, "projection", shared=True)
    place(judge, torch.tensor([[1.0, 0], [0, 2], [1, 0]]))  # the third where the first is
    assert torch.equal(judge(images, labels), body(images))
    judge(images[:1], labels[:1]).backward()
    with torch.no_grad():
        for weight in judge.projection.parameters():
            weight += weight.grad
    first, away, beside = (judge(images, torch.full((3,), kind)) - body(images) for kind in range(3))
    assert torch.allclose(first, 2 * beside)  # of its own and of its place; of its place
    assert beside.abs().max() > 1
    assert not away.any()


@pytest.mark.parametrize("changes", [{}, {"spectral_norm": True}, {"conditional": "projection", "classes": 2}])
def test_a_discriminator_knows_the_places_of_kinds(changes: dict[str, object]) -> None:
    recipe = recipes.get("house").override({"kinds": 3, "batch_size": 4, "penalty.every": 1, **changes})
    places = np.random.default_rng(0).normal(size=(recipe.conditions, 60)).astype(np.float32)
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"), places=places)
    known = [layer for layer in state.discriminator.modules() if isinstance(layer, Placed)]
    assert len(known) == 2  # of an image, and of a pack
    for layer in known:
        assert np.array_equal(layer.places[:, :60], places)
    before = [weight.clone() for layer in known for weight in layer.shared.parameters()]
    real, labels = torch.rand(4, 1, 28, 28), torch.tensor([0, 0, 1, 1])
    output = step(state, recipe, real, labels)
    assert output.discriminator_loss.isfinite()
    after = [weight for layer in known for weight in layer.shared.parameters()]
    assert all(weight.isfinite().all() for weight in after)
    assert not any(map(torch.equal, before, after))


def test_an_auxiliary_head_adds_how_wrong_it_names_classes() -> None:
    recipe = small("mlp", "auxiliary")
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
    with torch.no_grad():
        for parameter in state.discriminator.parameters():
            parameter.zero_()
    output = step(state, recipe, torch.rand(8, 1, 28, 28), torch.arange(8))
    real = 0.9 * np.log(2) + 0.1 * np.log(2)
    assert output.discriminator_loss.item() == pytest.approx((real + np.log(2)) / 2 + np.log(10), rel=1e-5)


def test_unconditional_recipes_keep_their_bytes_and_their_random_stream() -> None:
    recipe = recipes.get("mlp")
    text = recipe.to_json()
    assert "conditional" not in text
    assert "classes" not in text
    assert from_json(text) == recipe
    labelled = recipe.override(conditional="auxiliary", classes=10)
    assert from_json(labelled.to_json()) == labelled
    torch.manual_seed(0)
    state = torch.get_rng_state()
    assert sample_labels(None) is None
    assert torch.equal(state, torch.get_rng_state())
    assert isinstance(recipes.generator(recipe), torch.nn.Sequential)


def test_drawn_labels_are_as_frequent_as_the_datas() -> None:
    torch.manual_seed(0)
    drawn = sample_labels(torch.tensor([0] * 900 + [3] * 100).repeat(10))
    assert set(drawn.tolist()) == {0, 3}
    assert (drawn == 3).float().mean().item() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(("name", "head"), [("mlp-bn", "projection"), ("mlp", "auxiliary"), ("deconv", "projection")])
def test_resume_is_exact(name: str, head: str, tmp_path: Path) -> None:
    recipe = small(name, head, **{"batch_size": 16, "discriminator.dropout": 0.3})
    batches = data.Batches(data.load("mnist"), 16, 0)

    def train(steps: int, folder: Path, start_from: Path | None = None) -> Path:
        state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
        if start_from:
            checkpoint.restore(start_from, state)
        chosen = settings(seed=0, steps=steps, sheet_every=7, log_every=9, checkpoint_every=99)
        about = {"images": 0, "metrics_bytes": 0}
        loop.train(state, recipe, batches, chosen, save=lambda p: checkpoint.save(folder, p, about))
        return folder / f"step-{state.step:06d}"

    whole = train(30, tmp_path / "whole")
    broken = train(30, tmp_path / "broken", start_from=train(13, tmp_path / "broken"))
    for name in checkpoint.FILES:
        assert (whole / name).read_bytes() == (broken / name).read_bytes()


def test_real_labels_belong_to_their_images(monkeypatch: pytest.MonkeyPatch) -> None:
    mnist = data.load("mnist")
    recipe = small("mlp", batch_size=32)
    seen = []
    real_step = loop.step

    def spy(state: object, recipe: object, real: torch.Tensor, labels: torch.Tensor) -> object:
        seen.append((real, labels))
        return real_step(state, recipe, real, labels)

    monkeypatch.setattr(loop, "step", spy)
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
    chosen = settings(seed=0, steps=2, sheet_every=9, log_every=9, checkpoint_every=9)
    batches = data.Batches(mnist, 32, 5)
    loop.train(state, recipe, batches, chosen, save=lambda state: Path("x"))
    for number, (real, labels) in enumerate(seen):
        indices = batches.indices_at(32 * number)
        assert labels.tolist() == mnist.labels[indices].tolist()
        assert np.array_equal(sampling.to_uint8(real, recipe.pixels), mnist.take(indices))


def test_the_label_decides_the_class(trained: gs.Run) -> None:
    g = gs.load(trained)
    mnist = data.load("mnist")
    centres = [mnist.take(np.flatnonzero(mnist.labels == digit)[:500]).mean(0) for digit in (0, 1)]
    for wanted in (0, 1):
        images = g.sample(200, seed=3, label=wanted).images.astype(float)
        away = np.stack([((images - centre) ** 2).mean((1, 2, 3)) for centre in centres])
        assert (away.argmin(0) == wanted).mean() > 0.8


def test_sheets_show_a_class_in_each_column(trained: gs.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small("mlp")
    seen: list[Event] = []
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
    chosen = settings(seed=0, steps=1, sheet_every=9, log_every=9, checkpoint_every=9)
    batches = data.Batches(data.load("mnist"), 8, 0)
    loop.train(state, recipe, batches, chosen, save=lambda state: Path("x"), observers=[seen.append])
    look = next(event for event in seen if isinstance(event, Snapshot))
    assert (look.columns, len(look.images)) == (10, 60)
    z = sampling.latents(recipe.noise, seed=0, count=6)
    fresh = loop.new_state(recipe, seed=0, device=torch.device("cpu")).generator
    row = sampling.snapshot(fresh, recipe).images(z[2:3].expand(10, -1), range(10))
    assert np.array_equal(look.images[20:30], row)  # one noise, all classes
    assert [sampling.columns(k, 64) for k in (0, 2, 3, 10, 16, 100)] == [8, 8, 9, 10, 16, 8]
    assert sampling.columns(10, 1000) == 30
    assert gs.load(trained).sample(40).columns == 6


@pytest.mark.parametrize("name", ["mlp", "deconv"])
def test_labels_take_turns_whatever_the_request(name: str) -> None:
    g = generator(name)
    many = g.sample(150, seed=3)
    assert many.labels.tolist() == [index % 10 for index in range(150)]
    part = g.sample(5, seed=3, start=73)
    assert part.labels.tolist() == [3, 4, 5, 6, 7]
    assert np.array_equal(many.images[73:78], part.images)
    z = g.latents(150, seed=3)
    assert np.array_equal(g.images(z), many.images)
    assert np.array_equal(g.images(z, many.labels), many.images)
    sevens = g.sample(30, seed=3, label=7)
    assert np.array_equal(sevens.images[17], many.images[17])
    assert not np.array_equal(sevens.images[16], many.images[16])
    assert g.sample(5, label=[3, "7"]).labels.tolist() == [3, 7, 3, 7, 3]


def test_batch_statistics_keep_labels_with_their_images() -> None:
    g = generator("deconv", statistics="batch")
    many, part = g.sample(130, seed=3), g.sample(5, seed=3, start=73)
    assert np.array_equal(many.images[73:78], part.images)
    assert part.labels.tolist() == [3, 4, 5, 6, 7]


def test_settling_sees_every_class() -> None:
    torch.manual_seed(0)
    recipe = small("deconv", classes=300)
    network = recipes.generator(recipe)
    seen = []
    network.embedding.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    sampling.settle(network, recipe.noise, count=512)
    assert len(set(torch.cat(seen).tolist())) == 300


def test_generators_and_samples_keep_labels_on_disk(tmp_path: Path, trained: gs.Run) -> None:
    g = gs.load(trained)
    g.save_pretrained(tmp_path / "g")
    again = Generator.from_pretrained(tmp_path / "g")
    assert isinstance(again.network, ConditionalGenerator)
    assert again.recipe.classes == 2
    samples = again.sample(6, seed=1)
    assert np.array_equal(samples.images, g.sample(6, seed=1).images)
    samples.save(tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        assert arrays["labels"].tolist() == [0, 1, 0, 1, 0, 1]
    assert "2 labels" in (tmp_path / "g" / "README.md").read_text()


def test_names_numbers_and_strangers() -> None:
    names = ["T-shirt/top", "Trouser", "Pullover", "3"]
    assert [class_of(name, names) for name in ("Trouser", "pullover", "3", 3)] == [1, 2, 3, 3]
    assert [class_of(name, names[:3]) for name in (0, "2")] == [0, 2]  # positions where no name is a number
    for name, message in (
        ("trowser", "did you mean Trouser"),
        ("9", "there are"),
        ("-1", "there are"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            class_of(name, names)
        assert "\n" not in str(caught.value)
    assert class_of(0, names) == 0  # "3" is the fourth: a number can mean one thing only
    with pytest.raises(ValueError, match="there are"):
        class_of(0, [*names[:3], "7"])  # a name that is a number and no position: numbers are names here


def test_bad_labels_are_refused_in_a_line() -> None:
    g = generator("mlp")
    for bad in ([10], [-1], [0.5], [1, 2]):
        with pytest.raises(ValueError, match="whole numbers from 0 to 9"):
            g.images(g.latents(1), bad)
    with pytest.raises(ValueError, match="no class is called 'eleven'"):
        g.sample(1, label="eleven")
    torch.manual_seed(0)
    plain = sampling.snapshot(recipes.generator(recipes.get("mlp")), recipes.get("mlp"))
    with pytest.raises(ValueError, match="gansmith find"):
        plain.sample(1, label=7)
    with pytest.raises(ValueError, match="without them"):
        plain.images(plain.latents(1), [1])
    assert plain.sample(1).labels is None


def test_data_without_labels_are_refused(tmp_path: Path) -> None:
    images = data.load("mnist").take(np.arange(20))[:, 0]
    np.savez(tmp_path / "plain.npz", images=images)
    with pytest.raises(ValueError, match=r"`conditional`: plain has no labels"):
        prepare.prepare(tmp_path / "plain.npz", recipe="mlp", conditional=True, overrides={"batch_size": 8})
    np.savez(tmp_path / "one.npz", images=images, labels=np.zeros(20, int))
    with pytest.raises(ValueError, match="one class"):
        prepare.prepare(tmp_path / "one.npz", recipe="mlp", conditional=True, overrides={"batch_size": 8})
    with pytest.raises(ValueError, match="needs 2 or more"):
        recipes.generator(recipes.get("mlp").override(conditional="projection"))
    with pytest.raises(ValueError, match="only a conditional recipe"):
        recipes.get("mlp").override(classes=10)


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--recipe", "mlp", "--steps", "3", "--batch-size", "8", "--threads", "1", "--quiet", "--seed", "4"]
    assert main(["train", "mnist", "--conditional", *flags]) == 0
    assert main(["train", "mnist", "--conditional", "auxiliary", "--sanity-steps", "2", *flags]) == 0
    assert [run.recipe.conditional for run in runs.every(Path("runs"))] == ["projection", "auxiliary"]
    assert main(["sample", "last", "-n", "4", "--label", "3,7", "-o", "s.npz"]) == 0
    with np.load("s.npz", allow_pickle=False) as arrays:
        assert arrays["labels"].tolist() == [3, 7, 3, 7]
    capsys.readouterr()
    assert main(["sample", "last", "--label", "x"]) == 2
    assert "no class is called 'x'" in capsys.readouterr().err
    assert main(["train", "mnist", "--conditional", "both", *flags]) == 2
    assert "projection" in capsys.readouterr().err
