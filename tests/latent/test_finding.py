"""Which noise makes a 7: hits are what they are said to be, differ from each other, and come again with the seed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from decoder import conditional, decoder
from gansmith import cli, latent
from gansmith.encoders import encoder as encoders
from gansmith.generator import Generator
from gansmith.latent import finding, optimise
from gansmith.latent.attributes import MEASURES
from gansmith.latent.finding import Found, find
from gansmith.recipe import Noise


@pytest.fixture(scope="module")
def threes() -> Found:
    return find(decoder(), "3", 10, seed=1)


def test_hits_are_of_the_class_and_made_by_their_latents(threes: Found) -> None:
    images = decoder().images(torch.from_numpy(threes.latents))
    assert np.array_equal(images, threes.images)
    for eye in (encoders.builtin("mnist"), encoders.judge("mnist")):  # the judge took no part in the search
        assert (eye.encode(images).labels == 3).mean() >= 0.9
    logits = encoders.builtin("mnist").encode(images).logits
    assert threes.confidence == pytest.approx(optimise.probabilities(logits)[:, 3])
    assert (threes.confidence >= finding.CONFIDENT).all()
    assert list(threes.confidence) == sorted(threes.confidence, reverse=True)
    for name, row in zip(threes.vectors.names, threes.latents, strict=True):  # a name is the index of the sample
        assert np.array_equal(decoder().latents(1, seed=1, start=int(name)).numpy()[0], row)


def test_the_hit_rate_is_that_of_random_samples(threes: Found) -> None:
    samples = decoder().sample(threes.looked_at, seed=1).images
    assert threes.hit_rate == (encoders.builtin("mnist").encode(samples).labels == 3).mean()
    assert threes.looked_at % finding.BLOCK == 0


def test_hits_differ_more_than_the_surest_do() -> None:
    samples = decoder().sample(2048, seed=1).images
    seen = encoders.builtin("mnist").encode(samples)
    surest = seen.features[np.argsort(-optimise.probabilities(seen.logits)[:, 3])[:10]]
    found = encoders.builtin("mnist").encode(find(decoder(), 3, 10, seed=1).images).features
    assert nearest_pair(found) > 1.3 * nearest_pair(surest)


def nearest_pair(features: np.ndarray) -> float:
    away = np.linalg.norm(features[:, None] - features[None], axis=2)
    return float(away[np.triu_indices(len(away), 1)].min())


def test_the_same_seed_finds_the_same(threes: Found) -> None:
    again = find(decoder(), 3, 10, seed=1)
    assert np.array_equal(again.latents, threes.latents)
    assert not np.array_equal(find(decoder(), 3, 10, seed=2).latents, threes.latents)


def test_copies_are_not_taken_twice() -> None:
    features = np.repeat(np.array([[0.0, 0], [3, 0], [1, 0]]), 4, axis=0)
    assert optimise.farthest_points(features, 10).tolist() == [0, 4, 8]


@pytest.mark.parametrize(("look", "measure", "more"), [("thick", "thickness", True), ("left", "slant", False)])
def test_looks_are_measured_on_the_images(look: str, measure: str, more: bool) -> None:
    found = find(decoder(), None, 8, look=[look])
    assert found.confidence is None
    assert found.hit_rate is None
    measured = MEASURES[measure](found.images)
    assert np.array_equal(found.measures[measure], measured)
    limits = np.quantile(MEASURES[measure](decoder().sample(512).images), [0.1, 0.9])
    assert (measured > limits[1]).all() if more else (measured < limits[0]).all()
    assert found.typical[measure] == pytest.approx(np.median(MEASURES[measure](decoder().sample(512).images)))


def test_a_class_with_a_look_is_both() -> None:
    thin = find(decoder(), 3, 6, seed=1, look=["thin", "right"])
    assert (encoders.builtin("mnist").encode(thin.images).labels == 3).all()
    assert (thin.measures["thickness"] < thin.typical["thickness"]).all()
    assert (thin.measures["slant"] > thin.typical["slant"]).all()


def test_gradients_find_what_samples_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MOST", 512)
    rare = find(decoder(), 0, 10, refine=False)
    assert len(rare) <= 10
    assert not rare.refined
    refined = find(decoder(), 0, 10)
    assert refined.refined
    assert refined.hit_rate == rare.hit_rate
    assert refined.confidence.min() >= finding.CONFIDENT > rare.confidence.min()
    assert any(name.endswith("*") for name in refined.vectors.names)
    assert (encoders.judge("mnist").encode(refined.images).labels == 0).mean() >= 0.8
    lengths = np.linalg.norm(refined.latents, axis=1)
    assert (abs(lengths - 40**0.5) < 2.5).all()  # still where normal noise lies


def test_latents_stay_where_noise_is() -> None:
    z = 9 * torch.randn(50, 40)
    box = optimise.within(Noise(size=40, distribution="uniform", center=1.0, scale=0.5), z)
    assert box.min() >= 0.5
    assert box.max() <= 1.5
    lengths = (optimise.within(Noise(size=40, center=1.0, scale=0.5), z) - 1).norm(dim=1) / 0.5
    assert (abs(lengths - 40**0.5) < 1.42).all()
    inside = torch.randn(50, 40)
    inside *= 40**0.5 / inside.norm(dim=1, keepdim=True)
    assert torch.allclose(optimise.within(Noise(size=40), inside), inside)


def test_a_conditional_generator_is_told() -> None:
    found = find(conditional(), "7", 5)
    assert found.vectors.labels.tolist() == [7] * 5
    told = encoders.builtin("mnist").encode(conditional().sample(found.looked_at, label=7).images)
    assert found.hit_rate == (told.labels == 7).mean()
    assert find(conditional(), None, 5, look=["bright"]).vectors.labels is not None


def test_impossible_targets_are_named_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MOST", 512)
    blank = Generator(decoder().network[:3], decoder().recipe)
    blank.network.append(torch.nn.Linear(256, 784))
    blank.network.append(torch.nn.Unflatten(1, (1, 28, 28)))
    with torch.no_grad():
        for parameter in blank.network[3].parameters():
            parameter.zero_()
    blank.about = {"data": "mnist"}
    unknown = Generator(decoder().network, decoder().recipe, (), {"data": "shells"})
    for generator, arguments, message in (
        (decoder(), {"target": "eleven"}, "no class is called 'eleven'"),
        (decoder(), {"target": "3", "look": ["fat"]}, "choose from thick, thin"),
        (decoder(), {"target": "3", "look": ["thick", "thin"]}, "both ends of thickness"),
        (decoder(), {}, "nothing to find"),
        (decoder(), {"target": "3", "n": 0}, "give 1 to"),
        (decoder(), {"target": "3", "seed": -1}, "give 0 or more"),
        (unknown, {"target": "3"}, "gansmith encoder train"),
        (blank, {"target": "3"}, "does not know this class"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            find(generator, **arguments)
        assert "\n" not in str(caught.value)


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    decoder().save_pretrained("g")
    flags = ["--label", "3", "-n", "10", "--seed", "1", "-o", "f.png", "--save", "f.npz"]
    assert cli.main(["find", "g", *flags]) == 0
    said = capsys.readouterr().out
    assert "10 hits for label 3: f.png, f.npz" in said
    assert "hit rate" in said
    assert cli.main(["find", "g", *flags, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(facts["samples"]) == len(facts["confidence"]) == 10
    with Image.open("f.png") as sheet:
        assert sheet.width > 10 * 28
    saved = latent.read("f.npz", decoder())
    assert np.array_equal(saved.latents, find(decoder(), 3, 10, seed=1).latents)
    for bad in (
        ["--label", "x"],
        ["--look", "fat"],
        [],
        ["--label", "3", "-o", "f.txt"],
        ["--label", "3", "--save", "f"],
    ):
        assert cli.main(["find", "g", *bad]) == 2
        assert capsys.readouterr().err.count("\n") == 1
