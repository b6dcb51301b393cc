"""Points and saved vectors: the same everywhere, one generator's alone, and safe to read."""

import contextlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from gansmith import latent, recipes
from gansmith.generator import Generator, snapshot
from gansmith.latent import vectors


def generator(name: str = "mlp", seed: int = 0, **changes: object) -> Generator:
    torch.manual_seed(seed)
    recipe = recipes.get(name).override({"generator.width": 0.25, **changes})
    return snapshot(recipes.generator(recipe), recipe, settle_on=256)


G = generator()
CONDITIONAL = generator(conditional="projection", classes=10)


@pytest.mark.parametrize("name", recipes.names())
def test_a_number_is_the_sample_of_that_index(name: str) -> None:
    g = generator(name)
    found = latent.points(g, "70,3", seed=5)
    samples = g.sample(80, seed=5)
    assert np.array_equal(found.latents, samples.latents[[70, 3]])
    assert np.array_equal(latent.images(g, found), samples.images[[70, 3]])


def test_numbers_of_a_conditional_generator_have_the_samples_classes() -> None:
    found = latent.points(CONDITIONAL, [13, 4], seed=5)
    assert found.labels is not None
    assert found.labels.tolist() == [3, 4]
    assert np.array_equal(latent.images(CONDITIONAL, found), CONDITIONAL.sample(20, seed=5).images[[13, 4]])


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("g", [G, CONDITIONAL])
def test_saved_vectors_are_read_back_exactly(tmp_path: Path, suffix: str, g: Generator) -> None:
    given = latent.points(g, "3,14,15", seed=2)
    path = latent.save(tmp_path / "new" / f"v{suffix}", given, g)
    again = latent.read(path, g)
    assert np.array_equal(again.latents, given.latents)
    assert (again.labels is None) == (given.labels is None)
    assert again.labels is None or np.array_equal(again.labels, given.labels)
    assert again.names == (f"v{suffix}#0", f"v{suffix}#1", f"v{suffix}#2")
    one = latent.points(g, f"{path}#1")
    assert np.array_equal(one.latents, given.latents[1:2])
    assert len(latent.points(g, [path, 7, f"{path}#2"])) == 5
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_what_sample_writes_is_a_file_of_vectors(tmp_path: Path) -> None:
    for g in (G, CONDITIONAL):
        path = g.sample(5, seed=9).save(tmp_path / "x.npz")
        found = latent.points(g, f"{path}#4")
        assert np.array_equal(found.latents, g.sample(1, seed=9, start=4).latents)
        assert np.array_equal(latent.images(g, found), g.sample(5, seed=9).images[4:])


def test_arrays_and_samples_are_points_too() -> None:
    samples = G.sample(3, seed=1)
    for same in (samples, samples.latents, torch.from_numpy(samples.latents), list(samples.latents)):
        assert np.array_equal(latent.points(G, same).latents, samples.latents)
    assert np.array_equal(latent.points(G, np.array([2, 0]), seed=1).latents, samples.latents[[2, 0]])


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_another_generators_vectors_are_refused(tmp_path: Path, suffix: str) -> None:
    path = latent.save(tmp_path / f"v{suffix}", latent.points(G, 3), G)
    for other in (generator(seed=1), generator("mlp-bn"), generator(**{"generator.slope": 0.2})):
        with pytest.raises(ValueError, match="another generator's"):
            latent.read(path, other)


def test_the_digest_is_the_generators_own(tmp_path: Path) -> None:
    for g in (G, generator("deconv"), generator("dcgan-upsample")):
        g.save_pretrained(tmp_path / "g")
        assert Generator.from_pretrained(tmp_path / "g").digest == g.digest
        assert len(g.digest) == 64
    deconv = recipes.get("deconv").override({"generator.width": 0.25})
    network = recipes.generator(deconv)
    settled = [snapshot(network, deconv, settle_on=count).digest for count in (256, 512)]
    assert settled[0] == settled[1]  # its averages follow from the weights
    assert generator(seed=0).digest == G.digest != generator(seed=1).digest


def test_batch_statistics_are_settled_before_exploring() -> None:
    published = generator("mlp-bn", statistics="batch")
    still = latent.steady(published)
    z = latent.points(published, "3,4,5")
    assert np.array_equal(latent.images(published, z)[1:2], latent.images(published, z[1:2]))
    assert still.digest == published.digest
    assert latent.steady(still) is still
    assert published.recipe.statistics == "batch"


def npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **{"generator": np.array(G.digest), **arrays})
    return path


Z = G.recipe.noise.size
BAD = {
    "of another size": {"latents": np.zeros((2, 7), np.float32)},
    "one number": {"latents": np.float32(3)},
    "of no vectors": {"latents": np.zeros((0, Z), np.float32)},
    "of three dimensions": {"latents": np.zeros((1, Z, 1), np.float32)},
    "not finite": {"latents": np.full((1, Z), np.nan, np.float32)},
    "beyond float32": {"latents": np.full((1, Z), 1e300)},
    "text": {"latents": np.array([["a"] * Z])},
    "objects": {"latents": np.array([[{}] * Z])},
    "nothing": {},
    "directions": {"directions": np.zeros((1, Z), np.float32)},
    "nobody's": {"latents": np.zeros((1, Z), np.float32), "generator": np.array(7)},
}


@pytest.mark.parametrize("arrays", BAD.values(), ids=BAD)
def test_hostile_arrays_get_a_line(tmp_path: Path, arrays: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"x\.npz") as refusal:
        latent.points(G, str(npz(tmp_path / "x.npz", **arrays)))
    assert "\n" not in str(refusal.value)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('unpickled')",))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(pickle.dumps(Bomb()))
    npz(tmp_path / "y.npz", latents=np.array([Bomb()], object))
    for name in ("x.npz", "y.npz"):
        with pytest.raises(ValueError, match=name):
            latent.read(tmp_path / name, G)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 100)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("latents.npy", header.getvalue() + bytes(2**20))
    with pytest.raises(ValueError, match=r"x\.npz"):
        latent.read(tmp_path / "x.npz", G)
    size = 2**40
    told = json.dumps({"latents": {"dtype": "F32", "shape": [size, 100], "data_offsets": [0, size * 400]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(told).to_bytes(8, "little") + told)
    with pytest.raises(ValueError, match=r"x\.safetensors"):
        latent.read(tmp_path / "x.safetensors", G)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_get_a_line(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    suffix = data.draw(st.sampled_from([".npz", ".safetensors"]))
    path = latent.save(folder / f"v{suffix}", latent.points(G, 3), G)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(ValueError):  # and nothing else
        found = latent.read(path, G)
        assert np.isfinite(found.latents).all()


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_there_is_a_limit_to_a_file(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = latent.save(tmp_path / f"v{suffix}", latent.points(G, list(range(20))), G)
    assert len(latent.read(path, G)) == 20
    monkeypatch.setattr(vectors, "MAX_BYTES", 5000)
    with pytest.raises(ValueError, match="latents"):
        latent.read(path, G)


def test_wrong_labels_are_refused(tmp_path: Path) -> None:
    z = np.zeros((2, CONDITIONAL.recipe.noise.size), np.float32)
    own = np.array(CONDITIONAL.digest)
    for labels in (np.array([3, 10]), np.array([-1, 2]), np.array([1.5, 2]), np.array([1])):
        np.savez(tmp_path / "x.npz", generator=own, latents=z, labels=labels)
        with pytest.raises(ValueError, match="labels"):
            latent.read(tmp_path / "x.npz", CONDITIONAL)
    save_file({"latents": z}, tmp_path / "x.safetensors", metadata={"generator": CONDITIONAL.digest})
    assert latent.read(tmp_path / "x.safetensors", CONDITIONAL).labels is not None


NO_POINTS = [
    "",
    "x",
    "-3",
    "3.5",
    "1e3",
    "9" * 16,
    "a.txt",
    "no.npz",
    "3,,4",
    "no.npz#1",
    "#3",
    "\n",
    "3;4",
    "me.npz#-1",
]


@pytest.mark.parametrize("text", NO_POINTS)
def test_what_is_no_point_gets_a_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"point|file|numbered") as refusal:
        latent.points(G, text)
    assert "\n" not in str(refusal.value)


def test_absurd_requests_get_a_line(tmp_path: Path) -> None:
    path = latent.save(tmp_path / "v.npz", latent.points(G, [0, 1]), G)
    for what in (f"{path}#2", [], [0] * 1001, ",".join(["1"] * 1001), [None]):
        with pytest.raises((ValueError, TypeError)):
            latent.points(G, what)
    with pytest.raises(ValueError, match=r"2 vectors, not one; choose one, such as .*v\.npz#0"):
        vectors.one(G, str(path))
    with pytest.raises(ValueError, match="must not be negative"):
        latent.points(G, 3, seed=-1)
    for bad in ("v.png", "v", "v.npy"):
        with pytest.raises(ValueError, match="cannot write vectors"):
            latent.save(tmp_path / bad, latent.points(G, 3), G)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.array, torch.tensor])
def test_indices_and_seeds_of_numpy_and_torch_are_numbers(kind: Callable[[int], int]) -> None:
    wanted = latent.points(G, [3, 1], seed=2).latents
    assert np.array_equal(latent.points(G, [kind(3), kind(1)], seed=kind(2)).latents, wanted)
    assert np.array_equal(latent.points(G, kind(3), seed=2).latents, wanted[:1])
    assert np.array_equal(latent.points(G, torch.tensor([3, 1]), seed=2).latents, wanted)


@pytest.mark.parametrize("what", [True, [True, 3], 2.5, np.float64(3), np.array([True, False]), {3: 1}, b"3", None])
def test_what_is_no_number_is_no_point(what: object) -> None:
    with pytest.raises(ValueError, match="give") as refusal:
        latent.points(G, what)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int32])
def test_latents_of_other_precisions_are_latents(kind: type[np.generic]) -> None:
    z = np.arange(2 * Z).reshape(2, Z).astype(kind)
    for same in (z, torch.from_numpy(z), torch.from_numpy(z.astype(np.float64)).requires_grad_(), list(z * 1.0)):
        assert np.array_equal(latent.points(G, same).latents, z.astype(np.float32))
    for bad in (np.nan, np.inf, 1e39):
        for array in (np.full((1, Z), bad), torch.full((Z,), bad, dtype=torch.float64), [np.full(Z, bad)]):
            with pytest.raises(ValueError, match="not finite"):
                latent.points(G, array)
