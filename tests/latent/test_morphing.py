"""Morphs: through their points, closed where they loop, at lengths between their ends, and evenly paced."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gansmith import latent, recipes
from gansmith.generator import Generator, snapshot
from gansmith.latent import classes, direction_finding, figures
from gansmith.latent.morphing import interpolate
from gansmith.recipe import Noise


def generator(name: str = "mlp", **changes: object) -> Generator:
    torch.manual_seed(0)
    recipe = recipes.get(name).override({"generator.width": 0.25, **changes})
    network = recipes.generator(recipe)
    with torch.no_grad():  # untrained networks make flat grey; stronger ones make images that differ
        for weight in network.parameters():
            weight.mul_(3 if weight.dim() > 1 else 1)
    return snapshot(network, recipe, settle_on=256)


G = generator()
CONDITIONAL = generator(conditional="projection", classes=10)
VARIANTS = {
    **{name: {} for name in recipes.names()},
    "rgb": {"channels": 3},
    "larger": {"size": 40},
    "narrow": {"noise.size": 4},
    "uniform": {"noise.distribution": "uniform", "noise.center": 0.5, "noise.scale": 0.25},
    "conditional": {"conditional": "auxiliary", "classes": 3},
}


def gaps(morph: latent.Morph) -> np.ndarray:
    flat = morph.images.reshape(len(morph), -1) / 255
    closed = np.concatenate([flat, flat[:1]]) if morph.loop else flat
    return np.linalg.norm(np.diff(closed, axis=0), axis=1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_recipe_morphs_through_its_points(variant: str) -> None:
    g = generator(variant if variant in recipes.names() else "mlp", **VARIANTS[variant])
    morph = latent.morph(g, "3,14,15", seed=2, frames=10)
    points = latent.points(g, "3,14,15", seed=2)
    size = g.recipe.size
    assert morph.images.shape == (10, g.recipe.channels, size, size)
    assert (morph.keys[0], morph.keys[-1]) == (0, 9)
    keys = list(morph.keys)
    assert np.array_equal(morph.vectors.latents[keys], points.latents)
    assert np.array_equal(morph.images[keys], latent.images(g, points))
    again = latent.morph(g, "3,14,15", seed=2, frames=10)
    assert np.array_equal(again.images, morph.images)
    alone = latent.images(g, morph.vectors[4:5])  # whatever stands beside it
    assert np.array_equal(alone[0], morph.images[4]) or g.recipe.conditions


def test_the_published_morph_goes_along_the_constant_vectors() -> None:
    for g in (G, generator("deconv"), generator(noise=Noise(size=8, distribution="uniform", center=3, scale=2))):
        morph = latent.morph(g)
        noise = g.recipe.noise
        steps = noise.center + noise.scale * np.arange(-10, 11, 2) / 10  # -1 to +1 in steps of 0.2
        assert morph.vectors.latents == pytest.approx(np.tile(steps[:, None], noise.size), abs=1e-6)
        assert morph.captions[:2] == ("-1.0", "-0.8")
        assert morph.captions[-1] == "+1.0"


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 50), min_size=2, max_size=5, unique=True),
    st.integers(5, 40),
    st.booleans(),
    st.sampled_from(["straight", "spherical"]),
    st.sampled_from(["even", "latent"]),
)
def test_ends_are_the_points_and_loops_close(seeds: list[int], frames: int, loop: bool, path: str, pace: str) -> None:
    morph = latent.morph(G, seeds, frames=frames, loop=loop, path=path, pace=pace)
    points = latent.points(G, seeds).latents
    assert len(morph) == frames
    assert np.array_equal(morph.vectors.latents[list(morph.keys)], points)
    assert morph.keys[0] == 0
    if loop:  # the step from the last frame to the first is one like the others
        z = morph.vectors.latents
        last = slice(morph.keys[-1], None)
        steps = np.linalg.norm(np.diff(np.concatenate([z[last], z[:1]]), axis=0), axis=1)
        if pace == "latent" and path == "straight":
            assert steps.max() - steps.min() < 1e-3 * steps.max()
        assert steps.min() > 0
    else:
        assert morph.keys[-1] == frames - 1
        assert morph.vectors.names[-1] == str(seeds[-1])


VECTOR = st.lists(st.floats(-5, 5, width=32), min_size=6, max_size=6)


@settings(max_examples=200, deadline=None)
@given(VECTOR, VECTOR, st.floats(-2, 2), st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_a_spherical_path_keeps_lengths_between_its_ends(
    a: list[float], b: list[float], center: float, t: list[float]
) -> None:
    noise = Noise(size=6, center=center)
    ends = [np.array(each, np.float32) for each in (a, b)]
    path = interpolate(noise, *ends, np.array(t), spherical=True)
    lengths = [np.linalg.norm(end - center) for end in ends]
    found = np.linalg.norm(path - center, axis=1)
    if min(lengths) > 1e-3:
        assert found.min() >= min(lengths) - 1e-3
    assert found.max() <= max(lengths) + 1e-3
    assert np.array_equal(interpolate(noise, *ends, np.array([0.0, 1.0]), spherical=True), np.stack(ends))


def test_opposite_vectors_have_a_way_round() -> None:
    a = np.array([0, 3, 0, 0], np.float32)
    path = interpolate(Noise(size=4), a, -a, np.linspace(0, 1, 9), spherical=True)
    assert np.linalg.norm(path, axis=1) == pytest.approx(np.full(9, 3.0), abs=1e-5)
    assert path[4] @ a == pytest.approx(0, abs=1e-4)


def test_the_path_fits_the_noise() -> None:
    normal, uniform = G, generator(noise=Noise(size=100, distribution="uniform"))
    for g, straight in ((normal, False), (uniform, True)):
        z = latent.morph(g, "1,2", frames=3, pace="latent").vectors.latents
        assert np.allclose(z[1], (z[0] + z[2]) / 2, atol=1e-6) == straight
        assert np.abs(z).max() <= 1 or not straight
    shifted = generator("deconv")  # its noise has mean -1
    z = latent.morph(shifted, "1,2", frames=9, pace="latent").vectors.latents + 1
    lengths = np.linalg.norm(z, axis=1)
    assert lengths.min() > 0.95 * min(lengths[0], lengths[-1])


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("seeds", ["3,14", "0,1,2,3"])
def test_an_even_pace_evens_the_distances_out(seeds: str, loop: bool) -> None:
    spread = {}
    for pace in ("latent", "even"):
        apart = gaps(latent.morph(G, seeds, frames=40, loop=loop, pace=pace))
        spread[pace] = apart.std() / apart.mean()
    assert spread["even"] < 0.35 * spread["latent"]
    assert spread["even"] < 0.12


def test_an_even_pace_can_be_measured_otherwise() -> None:
    top = latent.morph(G, "3,14", frames=40, measure=lambda images: images[:, :, :14].reshape(len(images), -1) / 255)
    upper = np.linalg.norm(np.diff(top.images[:, :, :14].reshape(40, -1) / 255, axis=0), axis=1)
    whole = latent.morph(G, "3,14", frames=40)
    other = np.linalg.norm(np.diff(whole.images[:, :, :14].reshape(40, -1) / 255, axis=0), axis=1)
    assert upper.std() / upper.mean() < other.std() / other.mean()


def test_a_generator_that_makes_one_picture_still_morphs() -> None:
    g = generator()
    with torch.no_grad():
        for weight in g.network.parameters():
            weight.zero_()
    morph = latent.morph(g, "1,2,3", frames=9)
    assert morph.keys == (0, 4, 8)


def test_between_gives_every_leg_as_many_frames() -> None:
    assert latent.morph(G, "1,2,3", between=4).keys == (0, 5, 10)
    looped = latent.morph(G, "1,2,3", between=4, loop=True)
    assert (len(looped), looped.keys) == (15, (0, 5, 10))


def test_labels_of_a_conditional_generator_are_morphed_too() -> None:
    points = classes.labelled(CONDITIONAL, latent.points(CONDITIONAL, "5"), ["9", "2"])
    morph = latent.morph(CONDITIONAL, points, frames=12)
    assert np.array_equal(morph.vectors.latents[0], morph.vectors.latents[-1])
    assert morph.vectors.labels is not None
    assert morph.vectors.labels.tolist()[:1] + morph.vectors.labels.tolist()[-1:] == [9, 2]
    z = torch.from_numpy(points.latents)
    assert np.array_equal(morph.images[[0, -1]], CONDITIONAL.images(z, [9, 2]))
    apart = gaps(morph)
    assert apart.min() > 0.5 * apart.mean()  # no jump from one class to the other
    with pytest.raises(ValueError, match="trained without labels"):
        classes.labelled(G, latent.points(G, "5"), ["9"])
    with pytest.raises(ValueError, match="3 points for 2 labels"):
        classes.labelled(CONDITIONAL, latent.points(CONDITIONAL, "5,6,7"), ["9", "2"])


@pytest.mark.parametrize(
    ("points", "options", "told"),
    [
        ("3", {}, "2 or more points"),
        ("3,4,5", {"frames": 2}, "give 3"),
        ("3,4,5", {"frames": 2, "loop": True}, "give 3"),
        ("3,4", {"frames": 10**9}, "`frames`"),
        ("3,4", {"frames": -4}, "`frames`"),
        ("3,4", {"between": -1}, "`between`"),
        ("3,4", {"between": 10**9}, "`between`"),
    ],
)
def test_absurd_morphs_get_a_line(points: str, options: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        latent.morph(G, points, **options)


def test_a_walk_along_a_direction_passes_its_point() -> None:
    base = latent.points(G, "5")
    step = np.eye(100, dtype=np.float32)[7]
    walk = direction_finding.walk(G, base, step, np.array([-2, 0, 2]))
    assert np.array_equal(walk.latents[1:2], base.latents)
    assert walk.latents[2] - walk.latents[0] == pytest.approx(4 * step)


def test_strips_and_films(tmp_path: Path) -> None:
    morph = latent.morph(G, "1,2,3", between=4, loop=True)
    strip = figures.strip(morph.images, captions=morph.captions, keys=morph.keys, loop=True)
    assert strip.width > strip.height
    uneven = latent.morph(G, "1,2,3", frames=30)
    figures.strip(uneven.images, captions=uneven.captions, keys=uneven.keys, loop=False)
    for name in ("x.webp", "x.gif"):
        figures.film(morph.images, tmp_path / name, seconds=0.05)
        with Image.open(tmp_path / name) as film:
            assert film.n_frames == 15
            assert film.size == (224, 224)


def test_videos_need_a_library_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ValueError, match="PyAV"):
        figures.film(G.sample(2).images, tmp_path / "x.mp4", seconds=0.05)
    with pytest.raises(ValueError, match="cannot write"):
        figures.film(G.sample(2).images, tmp_path / "x.avi", seconds=0.05)
