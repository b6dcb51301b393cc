"""What exploring shows on a generator that knows MNIST, and the verbs on it and on a run."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gansmith import data, generator, latent, recipes
from gansmith.cli import main
from gansmith.encoders.encoder import builtin, control
from gansmith.evaluation import real
from gansmith.evaluation.real import RealImages
from gansmith.experiment import execute
from gansmith.generator import Generator
from gansmith.latent import attributes, classes, direction_finding, truncation, vectors
from gansmith.metrics.prdc import Cloud
from gansmith.runs import Run, load


def decoder() -> Generator:
    """Principal components of MNIST in the layers of recipe mlp: no training, and yet digits of all kinds.

    The first layer spreads the noise as the digits are spread (its slope is 1), the second turns it into pixels.
    """
    recipe = recipes.get("mlp").override({"generator.slope": 1.0})
    network, size = recipes.generator(recipe), recipe.noise.size
    pixels = data.load("mnist").take(np.arange(2000)).reshape(2000, -1).astype(np.float64)
    before_tanh = np.arctanh((pixels / 127.5 - 1) * 0.96)
    mean = before_tanh.mean(axis=0)
    _, scale, components = np.linalg.svd(before_tanh - mean, full_matrices=False)
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
        turn = np.linalg.qr(np.random.default_rng(0).normal(size=(size, size)))[0]  # no coordinate is a component
        network[0].weight[:size] = torch.from_numpy(np.diag(scale[:size] / 2000**0.5) @ turn)
        network[3].weight[:, :size] = torch.from_numpy(components[:size].T)
        network[3].bias[:] = torch.from_numpy(mean)
    return Generator(network, recipe, tuple("0123456789"), {"data": "mnist"})


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return decoder().save_pretrained(tmp_path_factory.mktemp("exported") / "digits")


@pytest.fixture(scope="module")
def trained(exported: Path) -> Generator:
    return load.load(exported)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 training digits as a file: enough to look for neighbours in."""
    path = tmp_path_factory.mktemp("data") / "some.npz"
    mnist = data.load("mnist")
    np.savez(path, train_images=mnist.take(np.arange(300))[:, 0], train_labels=mnist.labels[:300])
    return path


@pytest.fixture(scope="module")
def run(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has hardly begun, on those 300."""
    out = tmp_path_factory.mktemp("runs")
    return execute.train(digits, recipe="mlp", steps=2, out=out, threads=1, evaluate_every=0, signals_every=0)


def untrained(name: str, **changes: object) -> Generator:
    torch.manual_seed(0)
    less = min(128, recipes.get(name).noise.size)
    recipe = recipes.get(name).override({"generator.width": 0.125, "noise.size": less, **changes})
    return generator.snapshot(recipes.generator(recipe), recipe, settle_on=256)


@pytest.mark.parametrize("method", ["pca", "sefa", "attributes"])
@pytest.mark.parametrize("name", [*recipes.names(), "conditional"])
def test_every_recipe_has_directions(name: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direction_finding, "SAMPLES", 128)
    monkeypatch.setattr(direction_finding, "PROBES", 4)
    g = untrained("mlp-bn", conditional="projection", classes=3) if name == "conditional" else untrained(name)
    found = latent.directions(g, method=method, count=4)
    noise = g.recipe.noise
    spread = noise.scale / (3**0.5 if noise.distribution == "uniform" else 1)
    assert found.vectors.shape == (4, noise.size)
    assert np.linalg.norm(found.vectors, axis=1) == pytest.approx(np.full(4, spread), rel=1e-5)
    assert np.all(np.diff(found.effects) <= 0)
    again = latent.directions(g, method=method, count=4)
    assert np.array_equal(again.vectors, found.vectors)


def linear() -> Generator:
    """Its first layer stretches coordinate 2 most, then 0, 3, 1; what comes after is linear, too."""
    g = untrained("mlp", **{"noise.size": 4, "generator.slope": 1.0})
    with torch.no_grad():
        first = g.network[0]
        first.weight.zero_()
        first.weight[:4] = torch.diag(torch.tensor([3.0, 0.5, 5.0, 1.0]))
    return g


@pytest.mark.parametrize("method", ["_ganspace", "_sefa"])
def test_a_known_first_layer_gives_its_own_axes(method: str) -> None:
    found = getattr(direction_finding, method)(linear())
    units = np.abs(found / np.linalg.norm(found, axis=1, keepdims=True))
    assert units.argmax(axis=1).tolist() == [2, 0, 3, 1]
    assert units.max(axis=1) == pytest.approx(np.ones(4), abs=0.02)


@pytest.mark.parametrize("method", ["pca", "sefa"])
def test_found_directions_change_more_than_random_ones(trained: Generator, method: str) -> None:
    found = latent.directions(trained, method=method, count=4)
    others = np.random.default_rng(0).normal(size=(8, 100))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    effects, _ = direction_finding._effects(trained, others.astype(np.float32), seed=0)
    assert found.effects.min() > 1.5 * effects.mean()


def test_a_supervised_direction_changes_what_it_is_named_for(trained: Generator) -> None:
    found = latent.directions(trained, method="attributes")
    base = latent.points(trained, list(range(32)))
    for name, step, fit in zip(found.names, found.vectors, found.fits, strict=True):
        measure = attributes.MEASURES[name]
        low, mid, high = (
            measure(trained.images(torch.from_numpy(base.latents + reach * step))).mean() for reach in (-1.5, 0, 1.5)
        )
        assert low < mid < high, name
        assert fit is not None
        assert 0.1 < fit < 1, name


def test_directions_of_classes_raise_the_class(trained: Generator) -> None:
    found = latent.directions(trained, method="classes", count=10, measures=classes.scores(trained))
    base = latent.points(trained, list(range(64))).latents
    gained = 0
    for name, step in zip(found.names, found.vectors, strict=True):
        shares = [
            np.mean(builtin("mnist").encode(trained.images(torch.from_numpy(base + reach * step))).labels == int(name))
            for reach in (-3, 3)
        ]
        gained += shares[1] > shares[0]
    assert gained >= 8
    with pytest.raises(ValueError, match="no encoder knows the classes"):
        classes.scores(untrained("mlp"))


def test_directions_are_kept_with_their_generator(trained: Generator, tmp_path: Path) -> None:
    found = latent.directions(trained, count=3)
    for name in ("d.npz", "d.safetensors"):
        path = found.save(tmp_path / name, trained)
        kept, effects = direction_finding.read(path, trained)
        assert np.array_equal(kept, found.vectors)
        assert effects == pytest.approx(found.effects, rel=1e-6)
        assert np.array_equal(direction_finding.direction(f"{path}#2", trained), found.vectors[2])
        assert np.array_equal(direction_finding.direction(str(path), trained), found.vectors[0])
        with pytest.raises(ValueError, match=r"no direction 3; .* holds 3"):
            direction_finding.direction(f"{path}#3", trained)
        with pytest.raises(ValueError, match="holds directions; use them with `direction`"):
            latent.points(trained, str(path))
        with pytest.raises(ValueError, match="another generator's"):
            direction_finding.read(path, untrained("mlp"))
    points = vectors.save(tmp_path / "v.npz", latent.points(trained, 3), trained)
    with pytest.raises(ValueError, match="holds no directions"):
        direction_finding.read(points, trained)


def test_attributes_measure_what_they_say() -> None:
    images = np.zeros((4, 1, 28, 28), np.uint8)
    images[0, 0, 4:24, 13:15] = 255  # upright, 2 wide
    images[1, 0, 4:24, 11:17] = 255  # 6 wide
    for y in range(4, 24):
        x = 8 + (24 - y) // 2
        images[2, 0, y, x : x + 2] = 255  # half a pixel to the right for each pixel up
    assert attributes.thickness(images)[:2] == pytest.approx([2, 6], rel=0.35)
    assert attributes.slant(images) == pytest.approx([0, 0, 0.5, 0], abs=0.02)
    assert attributes.brightness(images)[0] == pytest.approx(255 * 40 / 784)
    assert attributes.width(images)[0] < attributes.width(images)[1]
    assert attributes.width(images)[2] == pytest.approx(attributes.width(images)[0], rel=0.3)
    assert all(measure(images)[3] == 0 for measure in attributes.MEASURES.values())
    mnist = data.load("mnist")
    ones, zeros = (mnist.take(np.flatnonzero(mnist.labels == label)[:200]) for label in (1, 0))
    assert attributes.width(ones).mean() < 0.5 * attributes.width(zeros).mean()


def test_truncation_shrinks_about_the_centre_and_costs_variety(trained: Generator) -> None:
    found = latent.truncate(trained, [3, 4], (1, 0.5, 0))
    points = latent.points(trained, [3, 4])
    assert np.array_equal(found.images[0], latent.images(trained, points))
    assert np.array_equal(found.vectors[0].latents, points.latents)
    assert found.vectors[1].latents == pytest.approx(points.latents / 2)
    assert not found.vectors[2].latents.any()
    shifted = latent.truncate(untrained("deconv"), [3], (0.5, 0))
    assert shifted.vectors[1].latents == pytest.approx(np.full((1, 100), -1.0))
    coarse = lambda images: images.reshape(-1, 4, 7, 4, 7).mean(axis=(2, 4)).reshape(-1, 16)  # noqa: E731
    real = Cloud.of(coarse(data.load("mnist").take(np.arange(500))))
    strong, half, weak = latent.trade(trained, real, coarse, (1.0, 0.6, 0.2), count=500)
    assert strong.recall > half.recall > weak.recall
    assert strong.precision < half.precision < weak.precision
    for psis in ((), (-0.1,), (2.1,), (float("nan"),), (1,) * 21):
        with pytest.raises(ValueError, match="`psi`"):
            latent.truncate(trained, [3], psis)


def test_the_trade_is_measured_against_images_that_training_never_saw(trained: Generator) -> None:
    images = RealImages(data.load("mnist"))
    trade = truncation.measured(trained, images, builtin("mnist"), (1.0, 0.5), samples=300, seed=4)
    assert "mnist@" in trade.protocol
    assert "300 generated images of seed 4 against 300 of mnist test" in trade.protocol
    assert trade.floor.recall > 0.5
    assert trade.floor.recall > trade.supports[0].recall
    again = truncation.measured(trained, images, builtin("mnist"), (0.5,), samples=300, seed=4)
    assert again.supports == trade.supports[1:]


def test_neighbours_are_the_nearest_and_a_copy_is_seen(trained: Generator) -> None:
    mnist = data.load("mnist")
    some = mnist.take(np.arange(0, 1500))
    made = trained.sample(4, seed=1).images
    some[1234] = made[2]
    real = data.from_arrays(some, name="some")
    encoder = control((1, 28, 28))
    encode = lambda images: encoder.encode(images).features  # noqa: E731
    found = latent.neighbours(trained, [0, 1, 2, 3], real, count=3, encode=encode, features=encode(some), seed=1)
    apart = ((made[:, None].astype(float) - some[None]) ** 2).mean(axis=(2, 3, 4)) ** 0.5
    assert np.array_equal(found.pixels.indices, np.argsort(apart, axis=1, kind="stable")[:, :3])
    assert found.pixels.distances == pytest.approx(np.sort(apart, axis=1)[:, :3])
    assert found.pixels.indices[2, 0] == 1234
    assert found.pixels.distances[2, 0] == 0
    assert found.pixels.usual[2] == pytest.approx(
        np.sort(((made[2] - some.astype(float)) ** 2).mean((1, 2, 3)) ** 0.5)[1]
    )
    assert found.features is not None
    assert found.features.indices[2, 0] == 1234
    gaps = np.linalg.norm(encode(made)[:, None] - encode(some)[None], axis=2)
    assert found.features.distances == pytest.approx(np.sort(gaps, axis=1)[:, :3], rel=1e-6, abs=1e-6)
    assert np.all(found.features.usual > 0)
    with pytest.raises(ValueError, match="cannot be compared"):
        latent.neighbours(untrained("mlp", size=32), [0], real)
    with pytest.raises(ValueError, match="`count`"):
        latent.neighbours(trained, [0], real, count=0)


def verb(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, object]:
    assert main([str(word) for word in words] + ["--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_verbs_make_their_pictures(
    exported: Path,
    run: Run,
    digits: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    where = exported
    assert verb(capsys, "morph", where)["frames"] == 11
    found = verb(capsys, "morph", where, "--seeds", "3,14,15", "--loop", "-o", "m.webp", "--save", "m.npz")
    assert (found["frames"], found["keys"]) == (60, ["3", "14", "15"])
    with Image.open("m.webp") as film:
        assert film.n_frames == 60
    assert verb(capsys, "mix", where, "m.npz#3 - 40 + mean(label=3, n=4)", "--save", "x.npz")["terms"][0] == "m.npz#3"
    listed = verb(capsys, "directions", where, "--count", 3, "--save", "d.npz", "--steps", 5)["directions"]
    assert listed[0]["effect"] >= listed[-1]["effect"]
    assert verb(capsys, "morph", where, "--direction", "d.npz#2", "--seeds", "x.npz", "-o", "w.png")["frames"] == 11
    assert verb(capsys, "morph", where, "--labels", "1,0", "-o", "l.png")["keys"] == ["1", "0"]
    rows = verb(capsys, "truncate", where, "--psi", "1,0.4", "--samples", 100, "-n", 3)
    assert [row["psi"] for row in rows["psi"]] == [1, 0.4]
    near = verb(capsys, "neighbours", where, "--data", digits, "-n", 2, "--count", 3)
    assert [len(row["features"]["nearest"]) for row in near["samples"]] == [3, 3]
    near = verb(capsys, "neighbours", run.path, "-n", 2, "-o", "of-the-run.png")
    assert near["data"] == "some"
    for name in ("of-the-run", "morph", "mix", "directions", "w", "l", "truncate", "neighbours"):
        with Image.open(f"{name}.png") as picture:
            assert np.asarray(picture).std() > 10
    again = {name: Path(name).read_bytes() for name in ("morph.png", "m.webp", "m.npz")}
    main(["morph", str(where)])
    main(["morph", str(where), "--seeds", "3,14,15", "--loop", "-o", "m.webp", "--save", "m.npz"])
    assert all(Path(name).read_bytes() == content for name, content in again.items())


REFUSED = [
    (["morph", "--seeds", "3"], "2 or more points"),
    (["morph", "--seeds", "3,none.npz"], "none.npz: no such file"),
    (["morph", "--seeds", "3,x"], "'x' is no point"),
    (["morph", "-o", "x.avi"], "cannot write .avi"),
    (["morph", "-o", "x.mp4"], "PyAV"),
    (["morph", "--save", "x.txt"], "cannot write vectors"),
    (["morph", "--fps", "0"], "--fps 0"),
    (["morph", "--frames", "1"], "--frames 1"),
    (["morph", "--direction", "none.npz"], "none.npz: no such file"),
    (["morph", "--direction", "d.npz", "--labels", "3,4"], "--direction with --labels"),
    (["morph", "--seeds", "1,2", "--labels", "3,4"], "--labels with --seeds"),
    (["morph", "--labels", "3,twelve"], "twelve"),
    (["mix", "12 +"], "character 5"),
    (["mix", "12", "--label", "3"], "trained without labels"),
    (["directions", "--steps", "1"], "--steps 1"),
    (["directions", "--reach", "-1"], "--reach -1"),
    (["directions", "--count", "0"], "--count 0"),
    (["directions", "--seeds", ",".join(map(str, range(9)))], "9 points"),
    (["truncate", "--psi", "a"], "--psi a"),
    (["truncate", "--psi", "3"], "--psi 3"),
    (["truncate", "--samples", "7"], "--samples 7"),
    (["truncate", "-n", "0"], "--number 0"),
    (["neighbours", "-n", "41"], "--number 41"),
    (["neighbours", "--count", "0"], "--count 0"),
    (["neighbours", "--data", "colour-mnist"], "name other real images with --data"),
    (["neighbours", "--seed", "-1"], "--seed -1"),
]


@pytest.mark.parametrize(("words", "told"), REFUSED)
def test_bad_requests_get_a_line(
    exported: Path,
    words: list[str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert main([words[0], str(exported), *words[1:]]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("gansmith: ")
    assert captured.err.count("\n") == 1
    assert told in captured.err
    assert not list(tmp_path.iterdir())


def test_an_exported_generator_needs_its_data_named_only_where_they_are_unknown(
    exported: Path, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    g = load.load(exported)
    assert real.find(exported, g).train.name == "mnist"
    g.about["data"] = "my-own"
    g.save_pretrained(tmp_path / "g")
    with pytest.raises(ValueError, match="name them with `data`"):
        real.find(tmp_path / "g", g)
    assert len(real.find(tmp_path / "g", g, digits).train) == 300
    assert verb(capsys, "truncate", "g", "--samples", 0)["floor"] is None
