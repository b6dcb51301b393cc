"""Sample i of seed s is one image, whatever is asked for around it; generators and samples on disk."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gansmith import generator as sampling
from gansmith import progress, recipes
from gansmith.generator import Generator, Samples, latents, settle


def generator(name: str, **changes: object) -> Generator:
    torch.manual_seed(0)
    recipe = recipes.get(name).override({"generator.width": 0.25, **changes})
    return sampling.snapshot(recipes.generator(recipe), recipe)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(0, 10**9), st.integers(1, 40), st.sampled_from([1, 10, 100]))
def test_latent_rows_depend_on_seed_and_index_alone(seed: int, start: int, count: int, size: int) -> None:
    noise = recipes.get("mlp").override({"noise.size": size}).noise
    rows = latents(noise, seed=seed, start=start, count=count)
    alone = latents(noise, seed=seed, start=start + count - 1, count=1)
    assert torch.equal(rows[-1:], alone)


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
    sampling.snapshot(network, recipe).sample(3)
    assert network.training
    assert not torch.equal(sampling.snapshot(network, recipe).network[3].running_mean, network[3].running_mean)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())


def test_pixels_are_rounded_and_clipped() -> None:
    values = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0]).view(1, 1, 1, 5)
    assert sampling.to_uint8(values, (-1.0, 1.0)).ravel().tolist() == [0, 0, 128, 255, 255]


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


def test_unreadable_generators_are_named_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"config\.json is missing"):
        Generator.from_pretrained(tmp_path)
    generator("mlp").save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match="cannot be read"):
        Generator.from_pretrained(tmp_path)


@pytest.mark.parametrize("arguments", [{"n": 0}, {"n": -5}, {"n": 10**12}, {"seed": -1}, {"start": -1}])
def test_absurd_requests(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"images|negative"):
        generator("mlp").sample(**arguments)


def test_wrong_latents_are_refused() -> None:
    with pytest.raises(ValueError, match="takes"):
        generator("mlp").images(torch.zeros(3, 7))
