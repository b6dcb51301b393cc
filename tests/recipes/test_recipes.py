"""The tutorials' systems: parameter tables, values, overriding, and networks of other sizes."""

import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gansmith import recipes
from gansmith.nn import Dropout
from gansmith.recipe import fields, from_json, overrides_from_toml
from gansmith.recipes import count, deconv
from helpers import ARTICLES

PUBLISHED_LAYERS = {
    "dcgan-upsample": (
        (1_266_944, 50_176, 819_328, 512, 204_864, 256, 51_232, 128, 801),
        (1_664, 204_928, 819_456, 3_277_312, 8_193),
    ),
    "dcgan-transpose": (
        (1_266_944, 50_176, 819_328, 512, 204_864, 256, 51_232, 128, 801),
        (1_664, 204_928, 819_456, 3_277_312, 8_193),
    ),
    "deconv": (
        (160_000 + 256, 4 * 256, 819_200 + 128, 4 * 128, 204_800 + 64, 4 * 64, 1_600 + 1),
        (208, 3_216, 25_120, 33),
    ),
    "mlp": ((12_928, 101_136), (100_480, 129)),
    "mlp-bn": (
        (25_856, 1_024, 131_584, 2_048, 525_312, 4_096, 803_600),
        (401_920, 131_328, 257),
    ),
}
PUBLISHED_TOTALS = {  # generator, of which trainable, discriminator
    "dcgan-upsample": (2_394_241, 2_368_705, 4_311_553),
    "dcgan-transpose": (2_394_241, 2_368_705, 4_311_553),
    "deconv": (1_186_945 + 896, 1_186_945, 28_577),
    "mlp": (114_064, 114_064, 100_609),
    "mlp-bn": (1_493_520, 1_493_520 - 3_584, 533_505),
}


@pytest.mark.parametrize("name", ARTICLES)
def test_every_layer_has_the_published_number_of_parameters(name: str) -> None:
    table = recipes.summary(recipes.get(name))
    generator, discriminator = PUBLISHED_LAYERS[name]
    assert tuple(row.parameters for row in table.generator if row.parameters) == generator
    assert tuple(row.parameters for row in table.discriminator if row.parameters) == discriminator
    total, trainable, discriminator_total = PUBLISHED_TOTALS[name]
    assert sum(row.parameters for row in table.generator) == total
    assert sum(row.trainable for row in table.generator) == trainable
    assert sum(row.parameters for row in table.discriminator) == discriminator_total
    assert recipes.entry(name).parameters == (total, discriminator_total)


@pytest.mark.parametrize("name", recipes.names())
def test_summary_counts_what_the_networks_hold(name: str) -> None:
    recipe = recipes.get(name)
    table = recipes.summary(recipe)
    held = sum(parameter.numel() for parameter in recipes.generator(recipe).parameters())
    assert sum(row.trainable for row in table.generator) == held


def flops(network: nn.Module, image_or_latent: torch.Tensor) -> float:
    """What torch counts for one more image: what a batch costs only once, such as folding weights, is left out."""
    totals = []
    for batch in (torch.cat([image_or_latent] * rows) for rows in (2, 4)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(batch)
        totals.append(counter.get_total_flops())
    return (totals[1] - totals[0]) / 2


@pytest.mark.parametrize("name", ARTICLES)
@pytest.mark.parametrize("changes", [{}, {"size": 20, "channels": 3, "generator.width": 0.5}])
def test_operations_are_what_torch_counts(name: str, changes: dict[str, object]) -> None:
    recipe = recipes.get(name).override(changes)
    found = count.operations(recipe)
    latent, image = torch.zeros(1, recipe.noise.size), torch.zeros(1, recipe.channels, recipe.size, recipe.size)
    assert found == (flops(recipes.generator(recipe), latent), flops(recipes.discriminator(recipe), image))
    if not changes:
        assert recipes.entry(name).operations == found
    assert recipes.image_gflop(recipe) == found[0] / 1e9
    passes = 3 if name == "deconv" else 4
    assert recipes.step_gflop(recipe) == pytest.approx(recipe.batch_size * (passes * found[0] + 8 * found[1]) / 1e9)


@pytest.mark.parametrize("change", [{"size": 32}, {"channels": 3}, {"noise.size": 64}, {"generator.width": 2}])
def test_only_the_published_networks_cost_what_is_published(change: dict[str, object]) -> None:
    published = recipes.get("mlp")
    assert recipes.step_gflop(published.override(change)) != recipes.step_gflop(published)
    same = published.override({"steps": 7, "generator_optimizer.lr": 0.1, "generator.dropout": 0.5})
    assert recipes.step_gflop(same) == recipes.step_gflop(published)


def test_counting_draws_no_random_numbers() -> None:
    state = torch.get_rng_state()
    count.operations.__wrapped__(recipes.get("deconv"))
    count.summary(recipes.get("deconv"))
    assert torch.equal(state, torch.get_rng_state())


def test_the_list_of_recipes_needs_no_torch() -> None:
    code = """
import sys
import time
from typing import Any
from gansmith import recipes
for name in recipes.names():
    entry = recipes.entry(name)
    assert entry.parameters and recipes.step_gflop(recipes.get(name)) and entry.recipe.batch_size
sys.exit(any(name in sys.modules for name in ("torch", "numpy")))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_deconvs_rule_for_sizes_gives_the_published_maps() -> None:
    assert deconv.maps(28) == deconv.PUBLISHED_MAPS
    assert deconv.maps(8) == ((2, 64),)
    assert [side for side, _ in deconv.maps(64)] == [4, 8, 15, 30]


@pytest.mark.parametrize("name", recipes.names())
@pytest.mark.parametrize(("size", "channels"), [(32, 3), (30, 1), (33, 3), (64, 1)])
def test_other_sizes_and_colours(name: str, size: int, channels: int) -> None:
    recipe = recipes.get(name).override(size=size, channels=channels, **{"generator.width": 0.25})
    images = recipes.generator(recipe)(torch.zeros(2, recipe.noise.size))
    assert images.shape == (2, channels, size, size)
    assert recipes.discriminator(recipe)(images).shape == (2, 1)


@pytest.mark.parametrize("name", [name for name in recipes.names() if name != "r3gan"])  # which nothing bounds
def test_generator_stays_in_its_pixel_range(name: str) -> None:
    recipe = recipes.get(name)
    torch.manual_seed(0)
    images = recipes.generator(recipe)(10 * torch.randn(4, recipe.noise.size))
    black, white = recipe.pixels
    assert images.min() >= (-1.0 if name == "deconv" else black)  # deconv: tanh over [0, 1], as published
    assert images.max() <= white


def test_published_values() -> None:
    upsample, transpose = recipes.get("dcgan-upsample"), recipes.get("dcgan-transpose")
    assert upsample.discriminator_optimizer.kind == "rmsprop"
    assert upsample.generator_optimizer.kind == "adam"
    assert (upsample.discriminator_optimizer.lr, upsample.generator_optimizer.lr) == (8e-4, 4e-4)
    assert (transpose.discriminator_optimizer.decay, transpose.generator_optimizer.decay) == (6e-8, 3e-8)
    for recipe in (upsample, transpose):
        assert (recipe.batch_size, recipe.steps, recipe.fakes, recipe.pixels) == (256, 10_000, "inference", (0.0, 1.0))
        assert recipe.generator_optimizer.clip_value == recipe.discriminator_optimizer.clip_value == 1.0
        assert (recipe.noise.distribution, recipe.noise.size, recipe.noise.scale) == ("uniform", 100, 1.0)
    slopes = [layer.negative_slope for layer in recipes.discriminator(transpose) if isinstance(layer, nn.LeakyReLU)]
    drops = [layer.p for layer in recipes.discriminator(transpose) if isinstance(layer, Dropout)]
    assert (slopes, drops) == ([0.2] * 4, [0.4] * 4)
    assert [layer.p for layer in recipes.discriminator(upsample) if isinstance(layer, Dropout)] == [0, 0.4, 0.4, 0.4]
    deconv = recipes.get("deconv")
    assert (deconv.batch_size, deconv.steps, deconv.share_noise, deconv.noise.center) == (16, 3000, True, -1.0)


UP = "UpsampleConv2d BatchNorm2d LeakyReLU({0})"
DOWN = "SameConv2d LeakyReLU({0}) Dropout({1})"
PUBLISHED_ORDER = {
    "dcgan-upsample": (
        f"Linear BatchNorm1d LeakyReLU(0.3) Reshape Dropout(0.4) {UP} {UP} SameConv2d BatchNorm2d LeakyReLU(0.3) "
        "SameConv2d Sigmoid Crop".replace("{0}", "0.3"),
        f"{DOWN.format(0.3, 0.0)} {' '.join([DOWN.format(0.3, 0.4)] * 3)} Flatten Linear",
    ),
    "dcgan-transpose": (
        f"Linear BatchNorm1d LeakyReLU(0.0) Reshape Dropout(0.4) {UP} {UP} SameConvTranspose2d BatchNorm2d "
        "LeakyReLU(0.0) SameConvTranspose2d Sigmoid Crop".replace("{0}", "0.0"),
        f"{' '.join([DOWN.format(0.2, 0.4)] * 4)} Flatten Linear",
    ),
    "deconv": (
        "Reshape LeakyReLU(0.0) " + "SameConvTranspose2d BatchNorm2d LeakyReLU(0.0) " * 3 + "SameConvTranspose2d Tanh",
        "SameConv2d LeakyReLU(0.0) AvgPool2d SameConv2d LeakyReLU(0.0) AvgPool2d Flatten Linear LeakyReLU(0.0) Linear",
    ),
    "mlp": (
        "Linear LeakyReLU(0.01) Dropout(0.0) Linear Tanh Reshape",
        "Flatten Linear LeakyReLU(0.01) Dropout(0.0) Linear",
    ),
    "mlp-bn": (
        "Linear LeakyReLU(0.2) BatchNorm1d Dropout(0.0) " * 3 + "Linear Sigmoid Reshape",
        "Flatten " + "Linear LeakyReLU(0.2) Dropout(0.0) " * 2 + "Linear",
    ),
}


def order(network: nn.Module) -> list[str]:
    """The kinds of layers in order, with slopes and dropout rates."""
    numbers = {nn.LeakyReLU: "negative_slope", Dropout: "p"}
    found = [(type(layer), layer) for layer in network.children()]
    return [f"{kind.__name__}({getattr(x, numbers[kind])})" if kind in numbers else kind.__name__ for kind, x in found]


@pytest.mark.parametrize("name", ARTICLES)
def test_layers_come_in_the_published_order(name: str) -> None:
    recipe = recipes.get(name)
    generator, discriminator = PUBLISHED_ORDER[name]
    slope = str(recipe.generator.slope)
    assert order(recipes.generator(recipe)) == generator.replace("{0}", slope).split()
    assert order(recipes.discriminator(recipe)) == discriminator.split()


def test_initial_weights() -> None:
    torch.manual_seed(0)
    upsample = recipes.generator(recipes.get("dcgan-upsample"))
    first = upsample[0]
    limit = (6 / (100 + 12_544)) ** 0.5
    assert first.weight.abs().max() <= limit
    assert first.weight.abs().max() > 0.99 * limit
    assert not first.bias.any()
    deconv = recipes.generator(recipes.get("deconv"))
    assert all(bool((layer.bias == 0.1).all()) for layer in deconv if type(layer).__name__ == "SameConvTranspose2d")


@pytest.mark.parametrize("name", recipes.names())
def test_toml_and_json_round_trips(name: str) -> None:
    recipe = recipes.get(name).override({"discriminator_optimizer.lr": 1e-5, "real_label": 0.8})
    assert from_json(recipe.to_json()) == recipe
    assert recipes.get(name).override(overrides_from_toml(recipe.to_toml(), where="x.toml")) == recipe


def test_toml_says_what_each_field_means() -> None:
    text = recipes.get("mlp").to_toml()
    for name, info in fields():
        line = next(line for line in text.splitlines() if line.lstrip("# ").startswith(name.rsplit(".", 1)[-1]))
        assert info.description
        assert "#" in line


def test_override_takes_flags_and_tables() -> None:
    recipe = recipes.get("mlp")
    by_flag = recipe.override({"discriminator-optimizer.lr": "1e-4", "batch-size": "128"})
    by_table = recipe.override({"discriminator_optimizer": {"lr": 1e-4}}, batch_size=128)
    assert by_flag == by_table
    assert recipe.batch_size == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discriminator_optimizer.lrr": 1}, "did you mean discriminator_optimizer.lr"),
        ({"lr": 1}, "did you mean generator_optimizer.lr or discriminator_optimizer.lr"),
        ({"batch_size": -1}, "batch_size = -1"),
        ({"generator_optimizer.lr": float("nan")}, "generator_optimizer.lr"),
        ({"pixels": (1, 0)}, "black must be below white"),
        ({"steps": "many"}, "steps = 'many'"),
        ({"noise": {1: 2}}, "1 is no name of a field"),
        ({1: 2}, "1 is no name of a field"),
        ([("steps", 3)], "give a mapping of names to values, not list"),
        ({"generator_lr": 1}, r"did you mean generator_optimizer.lr, in Python generator_optimizer=\{'lr': ...\}\?$"),
        ({"learning_rate": 1}, "did you mean generator_optimizer.lr or discriminator_optimizer.lr"),
        ({"penalty_gamma": 1}, r"did you mean penalty.gamma, in Python penalty=\{'gamma': ...\}\?$"),
        ({"penalty": "r1", "penalty.gamma": 1}, r"^penalty = 'r1': .*such as penalty.kind = 'r1', in Python penalty="),
        ({"generator_optimizer": 1e-4}, "such as generator_optimizer.lr = 0.0001, in Python"),
        ({"noise": 3}, "such as noise.size = 3, in Python"),
        ({"noise": "gaussian"}, r"is a group of fields \(size, distribution, center, scale\); name one$"),
        ({"average": None}, "is a group of fields .*; name one$"),
        ({"augment": np.zeros((9, 9))}, "is a group of fields"),
    ],
)
def test_bad_overrides_are_named_in_one_line(change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        recipes.get("mlp").override(change)
    assert "\n" not in str(caught.value)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=8),
        st.one_of(st.none(), st.integers(), st.text(max_size=4), st.booleans()),
        min_size=1,
        max_size=3,
    )
)
def test_wild_overrides_end_in_a_recipe_or_a_line(changes: dict[str, object]) -> None:
    try:
        message = recipes.get("mlp").override(changes).name
    except ValueError as error:
        message = str(error)
    assert "\n" not in message


def test_unknown_recipe_gets_a_near_one() -> None:
    with pytest.raises(ValueError, match="did you mean dcgan-upsample"):
        recipes.get("dcgan-upsampel")


@pytest.mark.parametrize(
    "text",
    [
        "a=" + "[" * 5000 + "]" * 5000,
        "a=" + "{a=" * 3000 + "1" + "}" * 3000,
        ".".join("a" * 20_000) + "=1",
        "[" + ".".join("a" * 2000) + "]",
    ],
)
def test_a_file_nested_too_deeply_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=r"^x\.toml: is nested too deeply"):
        overrides_from_toml(text, where="x.toml")
    assert time.process_time() - began < 2


def test_changes_and_json_nested_too_deeply_are_refused_in_a_short_line() -> None:
    changes: dict[str, Any] = {}
    for _ in range(3000):
        changes = {"a" * 20: changes}
    with pytest.raises(ValueError, match="a recipe has no aaaa") as caught:
        recipes.get("mlp").override(changes)
    assert len(str(caught.value)) < 150
    with pytest.raises(ValueError, match="recipe is not JSON"):
        from_json("[" * 100_000)
