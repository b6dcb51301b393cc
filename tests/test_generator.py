"""Sample i of seed s is one image, whatever is asked for around it; generators and samples on disk."""

import json
import resource
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from gansmith import data, hardware, progress, recipes
from gansmith.generator import Generator, Samples, conditions, latents, settle, snapshot, to_uint8
from gansmith.generator.sequence import in_proportion


def generator(name: str, **changes: object) -> Generator:
    torch.manual_seed(0)
    recipe = recipes.get(name).override({"generator.width": 0.25, **changes})
    return snapshot(recipes.generator(recipe), recipe)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(0, 10**9), st.integers(1, 40), st.sampled_from([1, 10, 100]))
def test_latent_rows_depend_on_seed_and_index_alone(seed: int, start: int, count: int, size: int) -> None:
    noise = recipes.get("mlp").override({"noise.size": size}).noise
    rows = latents(noise, seed=seed, start=start, count=count)
    alone = latents(noise, seed=seed, start=start + count - 1, count=1)
    assert torch.equal(rows[-1:], alone)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=12).filter(any), st.data())
def test_labels_in_proportion_come_as_often_in_each_stretch(counts: list[int], drawn: st.DataObject) -> None:
    turns = in_proportion(counts)
    shares = np.array(counts) / sum(counts)
    assert np.array_equal(np.bincount(turns, minlength=len(counts)) * sum(counts), np.array(counts) * len(turns))
    some = drawn.draw(st.integers(1, len(turns)))
    assert np.abs(np.bincount(turns[:some], minlength=len(counts)) - shares * some).max() < len(counts)


def test_of_many_images_the_rarest_label_is_not_left_out() -> None:
    found = np.bincount(in_proportion([999_000_000, 999_001, 0, 1]))
    assert found.tolist() == [9990, 10, 0, 1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.integers(2, 5), st.integers(0, 200))
def test_kinds_of_a_class_are_drawn_evenly_however_often_it_takes_turns(
    turns: list[int], kinds: int, start: int
) -> None:
    recipe = recipes.get("house").override(conditional="projection", classes=4, kinds=kinds)
    count = 3 * kinds * len(turns)
    told = conditions(recipe, count=start + count, classes=turns)
    assert told is not None
    alone = conditions(recipe, start=start, count=count, classes=turns)
    assert alone is not None
    assert torch.equal(told[start:], alone)
    classes, kind = np.divmod(told.numpy(), kinds)
    assert np.array_equal(classes, np.resize(turns, len(told)))
    for label in set(turns):
        rounds = kind[classes == label]
        whole = len(rounds) // kinds * kinds
        assert (np.sort(rounds[:whole].reshape(-1, kinds), axis=1) == np.arange(kinds)).all()


@pytest.mark.parametrize("name", recipes.names())
def test_latents_follow_the_recipes_distribution(name: str) -> None:
    noise = recipes.get(name).noise
    z = latents(noise, seed=1, count=3000)
    std = noise.scale / 3**0.5 if noise.distribution == "uniform" else noise.scale
    assert z.dtype == torch.float32
    assert torch.isfinite(z).all()
    assert z.mean().item() == pytest.approx(noise.center, abs=0.02)
    assert z.std().item() == pytest.approx(std, abs=0.02)
    if noise.distribution == "uniform":
        assert z.min() >= noise.center - noise.scale
        assert z.max() <= noise.center + noise.scale


@pytest.mark.parametrize("name", recipes.names())
def test_an_image_does_not_depend_on_the_request(name: str) -> None:
    g = generator(name)
    count = 2 * g.chunk + 22
    many = g.sample(count, seed=3).images
    assert np.array_equal(many[g.chunk + 6 : g.chunk + 11], g.sample(5, seed=3, start=g.chunk + 6).images)
    assert np.array_equal(many[count - 1 :], g.sample(1, seed=3, start=count - 1).images)
    assert not np.array_equal(many[:64], g.sample(64, seed=4).images)


@pytest.mark.skipif(not hardware.bf16_support("cpu")[0], reason="refused where the processor has no bf16 products")
@pytest.mark.parametrize("name", recipes.names())
def test_bf16_changes_pixels_by_a_few_grey_levels(name: str) -> None:
    g = generator(name)
    exact = g.sample(70, seed=3).images.astype(int)
    g.precision = "bf16"
    coarse = g.sample(70, seed=3).images.astype(int)
    assert np.array_equal(coarse[65:], g.sample(5, seed=3, start=65).images)
    assert not np.array_equal(exact, coarse)
    assert abs(exact - coarse).mean() < 2


def test_progress_is_told_of_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.time, "monotonic", iter(range(0, 1000, 3)).__next__)
    told: list[tuple[str, int, int]] = []
    generator("deconv").sample(150, seed=3, progress=lambda *row: told.append(row))
    assert told == [("images", 64, 150), ("images", 128, 150), ("images", 150, 150)]


def test_batch_statistics_are_the_published_way_and_still_seeded() -> None:
    published = generator("deconv", statistics="batch")
    many = published.sample(130, seed=3).images
    assert np.array_equal(many[70:75], published.sample(5, seed=3, start=70).images)
    settled = generator("deconv")
    assert not np.array_equal(many, settled.sample(130, seed=3).images)


def test_settling_measures_the_statistics_of_many_latents() -> None:
    torch.manual_seed(0)
    recipe = recipes.get("deconv").override({"generator.width": 0.25})
    network = recipes.generator(recipe)
    settle(network, recipe.noise, count=1024)
    z = latents(recipe.noise, seed=9, count=1024)
    with torch.no_grad():
        first = network[2](network[1](network[0](z)))
    norm = network[3]
    torch.testing.assert_close(norm.running_mean, first.mean((0, 2, 3)), rtol=0.1, atol=0.02)
    assert not network.training
    assert norm.momentum == 0.1


def test_snapshot_leaves_training_untouched() -> None:
    recipe = recipes.get("deconv").override({"generator.width": 0.25})
    network = recipes.generator(recipe).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    snapshot(network, recipe).sample(3)
    assert network.training
    assert not torch.equal(snapshot(network, recipe).network[3].running_mean, network[3].running_mean)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())


def test_pixels_are_rounded_and_clipped() -> None:
    values = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0]).view(1, 1, 1, 5)
    assert to_uint8(values, (-1.0, 1.0)).ravel().tolist() == [0, 0, 128, 255, 255]


def test_samples_save_as_sheet_arrays_and_folder(tmp_path: Path) -> None:
    samples = generator("mlp").sample(10, seed=0)
    samples.save(tmp_path / "new" / "sheet.png")
    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        assert sheet.width > 28 * 2
    samples.save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["images"], samples.images)
        assert arrays["latents"].shape == (10, 100)
    samples.save(tmp_path / "folder")
    with Image.open(tmp_path / "folder" / "000007.png") as image:
        assert np.array_equal(np.asarray(image), samples.images[7, 0])
    with pytest.raises(ValueError, match="in the way"):
        samples.save(tmp_path / "folder")
    with pytest.raises(ValueError, match=r"cannot write \.exe"):
        samples.save(tmp_path / "x.exe")
    assert samples._repr_png_().startswith(b"\x89PNG")
    assert isinstance(samples, Samples)


def test_generator_round_trip(tmp_path: Path) -> None:
    g = generator("dcgan-upsample")
    g.save_pretrained(tmp_path / "g")
    again = Generator.from_pretrained(tmp_path / "g")
    assert np.array_equal(g.sample(5, seed=1).images, again.sample(5, seed=1).images)
    assert again.recipe == g.recipe
    assert {path.name for path in (tmp_path / "g").iterdir()} == {"model.safetensors", "config.json", "README.md"}


def test_how_often_the_data_had_each_label_goes_with_a_generator(tmp_path: Path) -> None:
    told = replace(generator("mlp", conditional="projection", classes=3), class_counts=(5, 0, 2))
    told.save_pretrained(tmp_path)
    assert Generator.from_pretrained(tmp_path).class_counts == (5, 0, 2)
    config = json.loads((tmp_path / "config.json").read_text())
    for wrong in [
        [1, 2],
        [1, 2, 3, 4],
        [1, 2, "3"],
        [1, 2, 3.0],
        [1, True, 3],
        [0, 0, 0],
        [-1, 2, 3],
        [1 << 60] * 3,
        "5",
        7,
    ]:
        (tmp_path / "config.json").write_text(json.dumps({**config, "class_counts": wrong}))
        with pytest.raises(ValueError, match=r"the generator cannot be read \(class_counts: "):
            Generator.from_pretrained(tmp_path)
    del config["class_counts"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert Generator.from_pretrained(tmp_path).class_counts == ()


def test_unreadable_generators_are_named_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"config\.json is missing"):
        Generator.from_pretrained(tmp_path)
    generator("mlp").save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match="cannot be read"):
        Generator.from_pretrained(tmp_path)


@pytest.mark.parametrize("arguments", [{"n": 0}, {"n": -5}, {"n": 10**12}, {"seed": -1}, {"start": -1}])
def test_absurd_requests(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"give (0|1) (to|or more)"):
        generator("mlp").sample(**arguments)


@pytest.mark.parametrize("value", ["3", 2.5, True, None, [3], np.float64(3), np.bool_(True), torch.tensor(3.0), b"3"])
@pytest.mark.parametrize("name", ["n", "seed", "start"])
def test_what_is_no_whole_number_is_refused_in_a_line(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"`{name}` .*: give a whole number") as caught:
        generator("mlp").sample(**{"n": 2, name: value})
    assert "\n" not in str(caught.value)


KINDS = [np.int64, np.uint8, np.int16, np.uint64, np.array, torch.tensor]


@pytest.mark.parametrize("kind", KINDS)
def test_whole_numbers_of_numpy_and_torch_are_numbers(kind: Callable[[int], int]) -> None:
    g = labelled()
    plain = g.sample(3, seed=4, start=2, label=1)
    same = g.sample(kind(3), seed=kind(4), start=kind(2), label=kind(1))
    assert np.array_equal(plain.images, same.images)
    assert same.seed == 4
    assert np.array_equal(plain.latents, g.latents(kind(3), seed=kind(4), start=kind(2)))
    assert g.label(kind(1)) == 1


@pytest.mark.parametrize("label", [[0, 2], (0, "2"), np.array([0, 2]), torch.tensor([0, 2]), np.array(["c0", "2"])])
def test_labels_may_come_in_any_sequence(label: Sequence[int | str]) -> None:
    assert labelled().sample(4, label=label).labels.tolist() == [0, 2, 0, 2]


@pytest.mark.parametrize("label", [True, 2.5, [0, 1.0], [None], 3, "4", -1, b"c0"])
def test_labels_of_no_class_are_refused_in_a_line(label: object) -> None:
    with pytest.raises(ValueError, match=r"label|no class is called") as caught:
        labelled().sample(4, label=label)
    assert "\n" not in str(caught.value)


def test_latents_of_numpy_and_of_other_precisions_are_latents() -> None:
    g = generator("mlp")
    z = g.latents(3)
    plain = g.images(z)
    for same in (z.numpy(), z.double(), z.numpy().astype(np.float64), z.tolist(), list(z.numpy()), z.numpy()[:, ::-1]):
        images = g.images(same if not isinstance(same, np.ndarray) or same.strides[1] > 0 else same[:, ::-1])
        assert np.array_equal(images, plain)
    assert np.array_equal(g.images(z.clone().requires_grad_()), plain)
    whole = np.ones((2, 100), np.int32)
    assert np.array_equal(g.images(whole), g.images(whole.astype(np.float32)))


BAD_LATENTS = {
    "of another size": torch.zeros(3, 7),
    "a single one": torch.zeros(100),
    "nan": torch.full((1, 100), float("nan")),
    "infinite": np.full((1, 100), -np.inf),
    "beyond float32": np.full((1, 100), 1e300),
    "complex": np.zeros((1, 100), complex),
    "yes and no": np.ones((1, 100), bool),
    "text": [["a"] * 100],
    "ragged": [[1.0] * 100, [1.0]],
    "nothing": None,
}


@pytest.mark.parametrize("z", BAD_LATENTS.values(), ids=BAD_LATENTS)
def test_wrong_latents_are_refused_in_a_line(z: object) -> None:
    with pytest.raises(ValueError, match="latents") as caught:
        generator("mlp").images(z)
    assert "\n" not in str(caught.value)


def labelled(classes: Sequence[str] = ("c0", "c1", "c2")) -> Generator:
    """An untrained conditional generator."""
    g = generator("mlp", conditional="projection", classes=len(classes))
    return Generator(g.network, g.recipe, classes)


@pytest.mark.parametrize(
    "labels", [[3], [-1], [True], [0.5], ["c0"], [[1]], [1, 2], [2**70], np.array([2**64 - 1], np.uint64)]
)
def test_wrong_labels_are_refused_in_a_line(labels: object) -> None:
    g = labelled()
    with pytest.raises(ValueError, match="labels") as caught:
        g.images(g.latents(1), labels)
    assert "\n" not in str(caught.value)


def spoilt(folder: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> Path:
    """An exported generator, one of whose weights is changed."""
    generator("mlp-bn").save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    save_file({**tensors, name: change(tensors[name])}, folder / "model.safetensors")
    return folder


def filled(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda tensor: torch.full_like(tensor, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (filled(float("nan")), "not finite"),
        (filled(float("inf")), "not finite"),
        (lambda tensor: tensor.double() + 1e300, "not finite"),
        (lambda tensor: tensor.int(), "do not fit recipe mlp-bn"),
        (lambda tensor: tensor > 0, "do not fit recipe mlp-bn"),
        (lambda tensor: tensor[..., None], "do not fit recipe mlp-bn"),
    ],
)
def test_weights_that_are_no_weights_are_refused(
    tmp_path: Path, change: Callable[[torch.Tensor], torch.Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"model\.safetensors: .*{message}") as caught:
        Generator.from_pretrained(spoilt(tmp_path, change))
    assert "\n" not in str(caught.value)


def test_weights_of_other_precisions_are_read(tmp_path: Path) -> None:
    for kind in (torch.float64, torch.float16, torch.bfloat16):
        g = Generator.from_pretrained(spoilt(tmp_path, lambda tensor, kind=kind: tensor.to(kind)))
        assert {tensor.dtype for tensor in g.network.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("dcgan-upsample", {"size": 256, "generator": {"width": 16}, "noise": {"size": 4096}}),
        ("deconv", {"size": 1024, "generator": {"width": 16}, "noise": {"size": 4096}}),
        ("mlp", {"size": 1024, "channels": 3, "generator": {"width": 16}}),
        ("mlp-bn", {"conditional": "auxiliary", "classes": 10**11}),
    ],
)
def test_a_recipe_takes_no_memory_before_its_weights_are_seen(
    name: str, changes: dict[str, object], tmp_path: Path
) -> None:
    generator("mlp").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["recipe"] = recipes.get(name).override(changes).model_dump(mode="json")
    (tmp_path / "config.json").write_text(json.dumps(config))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="do not fit"):
        Generator.from_pretrained(tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB; the weights are gigabytes


CLASSES = {
    "plain": ("cat", "dog", "eel"),
    "numbers": ("9", "10", "11"),
    "odd": ("a b", "été", "x.y"),
    "unnamed": (),
}


@pytest.mark.parametrize("classes", CLASSES.values(), ids=CLASSES)
def test_a_folder_of_labelled_samples_is_labelled_data(classes: tuple[str, ...], tmp_path: Path) -> None:
    g = replace(labelled(), classes=classes)
    samples = g.sample(30, seed=2)
    folder = samples.save(tmp_path / "out")
    read = data.load(folder)
    names = classes or ("0", "1", "2")
    assert sorted(read.classes) == sorted(names)
    assert len(read) == len(samples)
    for label, name in enumerate(names):
        images = read.take(np.flatnonzero(read.labels == read.classes.index(name)))
        assert np.array_equal(images, samples.images[samples.labels == label])


def test_odd_class_names_become_folders_of_their_own(tmp_path: Path) -> None:
    names = ("a/b", "a_b", "A_B", "..", ".hidden", "", "x" * 300, "tab\t", "nul\0")
    folder = labelled(names).sample(18).save(tmp_path / "out")
    made = sorted(path.name for path in folder.iterdir())
    assert len(made) == len({name.casefold() for name in made}) == 9
    assert not any(name.startswith(".") for name in made)
    assert {len(list(path.iterdir())) for path in folder.iterdir()} == {2}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_samples_without_labels_are_one_folder(tmp_path: Path) -> None:
    folder = generator("mlp").sample(3).save(tmp_path / "out")
    assert sorted(path.name for path in folder.iterdir()) == ["000000.png", "000001.png", "000002.png"]
