"""The recipes of papers: the published layers, resuming bit for bit, and what each brought that was new."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import gansmith as gs
from gansmith import data, generator, latent, recipes
from gansmith.cli import main
from gansmith.errors import UserError
from gansmith.nn import Doubled, Halved, spectral
from gansmith.recipe import Recipe, from_json
from gansmith.runs import checkpoint
from gansmith.training import loop
from gansmith.training.step import TrainState, discriminate, discriminator_gradients, step
from helpers import PAPERS, settings

CPU = torch.device("cpu")


def small(name: str, **changes: object) -> Recipe:
    narrow = {"generator.width": 0.125, "discriminator.width": 0.125, "batch_size": 8}
    return recipes.get(name).override({**narrow, **changes})


def conv(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


BLOCK = 768 * 1536 + 1536 + 1536 * 16 * 9 + 1536 + 1536 * 768
PUBLISHED = {  # size and channels of the paper's images, and the trainable parameters of each layer of its table
    "dcgan": (
        {"size": 64, "channels": 3},
        [
            dense(100, 16 * 1024),
            2048,
            conv(1024, 512, 5),
            1024,
            conv(512, 256, 5),
            512,
            conv(256, 128, 5),
            256,
            conv(128, 3, 5),
        ],
        [conv(3, 128, 5), conv(128, 256, 5), 512, conv(256, 512, 5), 1024, conv(512, 1024, 5), 2048, dense(16384, 1)],
    ),
    "lsgan": (
        {"size": 112, "channels": 3},
        [
            dense(1024, 49 * 256),
            *[512, conv(256, 256, 3)] * 4,
            512,
            conv(256, 128, 3),
            256,
            conv(128, 64, 3),
            128,
            conv(64, 3, 3),
        ],
        [conv(3, 64, 5), conv(64, 128, 5), 256, conv(128, 256, 5), 512, conv(256, 512, 5), 1024, dense(49 * 512, 1)],
    ),
    "wgan-gp": (
        {},
        [dense(128, 4096), conv(256, 128, 5), conv(128, 64, 5), conv(64, 1, 5)],
        [conv(1, 64, 5), conv(64, 128, 5), conv(128, 256, 5), dense(4096, 1)],
    ),
    "sngan": (
        {"size": 32, "channels": 3},
        [dense(128, 16 * 512), conv(512, 256, 4), 512, conv(256, 128, 4), 256, conv(128, 64, 4), 128, conv(64, 3, 3)],
        [
            conv(3, 64, 3),
            conv(64, 64, 4),
            conv(64, 128, 3),
            conv(128, 128, 4),
            conv(128, 256, 3),
            conv(256, 256, 4),
            conv(256, 512, 3),
            dense(16 * 512, 1),
        ],
    ),
    "acgan": (
        {"size": 32, "channels": 3},
        [dense(110, 16 * 384), conv(384, 192, 5), 384, conv(192, 96, 5), 192, conv(96, 3, 5)],
        [
            conv(3, 16, 3),
            conv(16, 32, 3),
            64,
            conv(32, 64, 3),
            128,
            conv(64, 128, 3),
            256,
            conv(128, 256, 3),
            512,
            conv(256, 512, 3),
            1024,
            dense(16 * 512, 1),
            dense(16 * 512, 10),
        ],
    ),
    "infogan": (
        {},
        [dense(74, 1024), 2048, dense(1024, 49 * 128), 2 * 49 * 128, conv(128, 64, 4), 128, conv(64, 1, 4)],
        [
            conv(1, 64, 4),
            conv(64, 128, 4),
            256,
            dense(49 * 128, 1024),
            2048,
            dense(1024, 1),
            dense(1024, 128) + 256 + dense(128, 12),
        ],
    ),
    "r3gan": (
        {"size": 32, "channels": 3, "generator.width": 24, "discriminator.width": 24},
        [64 * 768, 16 * 768, *[BLOCK] * 8, 768 * 3],
        [3 * 768, *[BLOCK] * 8, 16 * 768, 768],
    ),
}


@pytest.mark.parametrize("name", PAPERS)
def test_every_layer_has_the_published_number_of_parameters(name: str) -> None:
    changes, generating, discriminating = PUBLISHED[name]
    table = recipes.summary(recipes.get(name).override(changes))
    assert [row.trainable for row in table.generator if row.trainable] == generating
    assert [row.trainable for row in table.discriminator if row.trainable] == discriminating
    own = recipes.summary(recipes.get(name))
    found = tuple(sum(row.parameters for row in getattr(own, player)) for player in ("generator", "discriminator"))
    assert recipes.entry(name).parameters == found
    assert recipes.entry(name).operations == recipes.count.operations(recipes.get(name))


@pytest.mark.parametrize("name", PAPERS)
def test_a_run_that_was_cut_ends_in_the_same_bytes(name: str, tmp_path: Path) -> None:
    recipe = small(name)
    batches = data.Batches(data.load("mnist"), recipe.batch_images, 0)

    def train(until: int, folder: Path, start_from: Path | None = None) -> Path:
        state = loop.new_state(recipe, seed=0, device=CPU)
        if start_from is not None:
            checkpoint.restore(start_from, state)

        def save(state: TrainState) -> Path:
            return checkpoint.save(folder, state, {"images": 0, "metrics_bytes": 0})

        quiet = settings(steps=6, sheet_every=99, log_every=2, checkpoint_every=99)
        loop.train(state, recipe, batches, quiet, save=save, stop=lambda: state.step >= until)
        return folder / f"step-{until:06d}"

    whole = train(6, tmp_path / "whole")
    cut = train(6, tmp_path / "cut", start_from=train(3, tmp_path / "cut"))
    for part in sorted(path.name for path in whole.glob("*.safetensors")):
        assert (cut / part).read_bytes() == (whole / part).read_bytes(), part


@pytest.mark.parametrize("name", PAPERS)
def test_fast_layers_make_the_same_step(name: str) -> None:
    recipe = small(name, **{"discriminator.dropout": 0.0})
    real = torch.rand(recipe.batch_images, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(len(real)) % 10 if recipe.labelled else None
    losses = []
    for fast in (True, False):
        state = loop.new_state(recipe, seed=0, device=CPU, fast=fast)
        for number in range(2):
            torch.manual_seed(number)
            output = step(state, recipe, real, labels)
        losses.append((float(output.discriminator_loss), float(output.generator_loss)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("name", PAPERS)
def test_they_are_written_and_read_as_they_are(name: str) -> None:
    recipe = recipes.get(name)
    assert from_json(recipe.to_json()) == recipe
    assert recipes.get("mlp").override({k: v for k, v in recipe.model_dump().items() if k != "name"}).penalty == (
        recipe.penalty
    )


def test_batches_apart_keep_generated_images_out_of_the_norm_of_real_ones() -> None:
    """With batch norm in D, D(x) depends on the batch: on generated images only where both share one."""
    real = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    accuracies = {}
    for apart in (True, False):
        recipe = small("dcgan", apart=apart)
        state = loop.new_state(recipe, seed=0, device=CPU)
        seen: list[int] = []
        norm = next(layer for layer in state.discriminator if isinstance(layer, nn.BatchNorm2d))
        norm.register_forward_hook(lambda layer, inputs, output, seen=seen: seen.append(len(inputs[0])))
        discriminator_gradients(state, recipe, real)
        accuracies[apart] = seen
    assert accuracies == {True: [8, 8], False: [16]}
    with pytest.raises(UserError, match="one_pass"):
        small("dcgan", one_pass=True)
    with pytest.raises(UserError, match="discriminator of dcgan has batch norm"):
        recipes.discriminator(small("dcgan", one_pass=True, apart=False))


def test_spectral_norm_divides_by_the_largest_singular_value() -> None:
    layer = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([5.0, 2.0, 1.0])))
    network = nn.Sequential(layer)
    spectral.normalise(network)
    for _ in range(20):
        network(torch.zeros(1, 3))
    assert torch.allclose(layer.weight, torch.diag(torch.tensor([1.0, 0.4, 0.2])), atol=1e-4)


def test_no_layer_is_normalised_from_a_weight_of_zero() -> None:
    """Zero over its largest singular value is no number; what is learned of kinds and of their places begins there."""
    network = recipes.discriminator(small("house", spectral_norm=True, kinds=4))
    weights = {name: weight for name, weight in network.state_dict().items() if name.endswith(".original")}
    assert "projection.shared.parametrizations.weight.original" in weights
    assert all(weight.any() for weight in weights.values())


@pytest.mark.parametrize("name", ["sngan", "mlp-bn"])
def test_trained_weights_keep_their_norm(name: str) -> None:
    recipe = small(name, spectral_norm=True, conditional="projection", classes=10)
    state = loop.new_state(recipe, seed=0, device=CPU)
    real = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    for number in range(6):
        torch.manual_seed(number)
        output = step(state, recipe, real, torch.arange(8))
    assert math.isfinite(float(output.discriminator_loss))
    state.discriminator.eval()
    normed = [layer for layer in state.discriminator.modules() if hasattr(layer, "parametrizations")]
    largest = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() for layer in normed]
    assert len(largest) >= 4
    assert largest == pytest.approx([1.0] * len(largest), abs=0.25)


def test_information_is_the_loss_of_reading_the_code() -> None:
    """A Q that answers nothing costs log 10 for the kind, and half the mean square for each number: 1/6 each."""
    recipe = small("infogan", batch_size=512)
    state = loop.new_state(recipe, seed=0, device=CPU)
    with torch.no_grad():
        for parameter in state.discriminator.parameters():
            parameter.zero_()
    output = step(state, recipe, torch.rand(512, 1, 28, 28))
    wanted = 2 * math.log(2) + math.log(10) + 2 / 6
    assert float(output.discriminator_loss) == pytest.approx(wanted, rel=0.03)


def test_the_codes_loss_at_known_readings() -> None:
    class Reads(nn.Module):
        def forward(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images.mean((1, 2, 3))[:, None], torch.tensor([[0.0, 0, 0.5, 1.0], [0, 100, -1, -2]])

    codes = torch.tensor([[0.5, 0.0], [-1.0, 0.0]])
    loss = discriminate(Reads(), torch.ones(2, 1, 2, 2), torch.tensor([0, 1]), codes)[1]
    assert float(loss) == pytest.approx(math.log(2) / 2 + (0 + 1 + 0 + 4) / 4)


def test_kinds_that_the_game_makes_up_take_turns_as_classes_do() -> None:
    recipe = small("infogan")
    g = generator.snapshot(recipes.generator(recipe), recipe)
    made = g.sample(40, seed=3)
    assert made.conditions.tolist() == [index % 10 for index in range(40)]
    assert (made.labels, made.columns) == (None, 10)
    points = latent.points(g, "5,11", seed=3)
    assert np.array_equal(latent.images(g, points), made.images[[5, 11]])


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"conditional": "projection", "classes": 10}, "without labels; leave conditional out"),
        ({"kinds": 0}, "give kinds, 2 or more"),
        ({"codes": 65}, "codes = 65: the noise has 64 coordinates"),
        ({"information": 0}, "codes = 2: are read back where information is above 0"),
        ({"one_pass": True}, "one_pass"),
        ({"shared_kinds": True}, "shared_kinds: is of kinds that are found in the data"),
    ],
)
def test_what_information_cannot_go_with_is_one_line(changes: dict[str, object], line: str) -> None:
    with pytest.raises(UserError, match=line) as caught:
        recipes.get("infogan").override(changes)
    assert "\n" not in str(caught.value)


def test_the_smoothing_filter_keeps_what_is_even() -> None:
    even = torch.ones(1, 2, 6, 6)
    assert torch.allclose(Doubled()(even)[..., 1:-1, 1:-1], torch.ones(1, 2, 10, 10))
    assert torch.allclose(Halved()(even)[..., 1:, 1:], torch.ones(1, 2, 2, 2))
    ramp = torch.arange(6.0).expand(1, 1, 6, 6)
    assert torch.allclose(Doubled()(ramp)[0, 0, 4, :-1], torch.arange(11) / 2)


def test_residual_blocks_begin_as_the_identity_and_learn() -> None:
    recipe = small("r3gan", **{"generator.width": 0.5, "discriminator.width": 0.5})
    state = loop.new_state(recipe, seed=0, device=CPU)
    block = state.generator[2]
    wide, grouped, last = (layer for layer in block.modules() if isinstance(layer, nn.Conv2d))
    for layer in (wide, grouped):  # 8 blocks in a network, 2 at each of 4 levels
        inputs = layer.weight[0].numel()
        assert float(layer.weight.detach().std()) == pytest.approx((2 / 1.04 / inputs) ** 0.5 * 8**-0.25, rel=0.1)
    assert not last.weight.any()
    maps = torch.rand(2, 16, 4, 4)
    assert torch.equal(block(maps), maps)
    for number in range(3):
        torch.manual_seed(number)
        step(state, recipe, torch.rand(8, 1, 28, 28))
    assert not torch.equal(block(maps), maps)


@pytest.mark.parametrize("name", ["infogan", "acgan", "sngan"])
def test_the_verbs_take_them(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mnist = data.load("mnist")
    np.savez(tmp_path / "few.npz", images=mnist.take(np.arange(300))[:, 0], labels=mnist.labels[:300] % 3)
    narrow = {"generator.width": 0.1, "discriminator.width": 0.1, "batch_size": 8}
    quiet = {"threads": 1, "evaluate_every": 0, "signals_every": 2, "sheet_every": 2}
    run = gs.train(tmp_path / "few.npz", recipe=name, steps=4, out=tmp_path, overrides=narrow, **quiet)
    assert run.recipe.classes == (3 if name == "acgan" else 0)
    assert not (run.path / "kinds.npz").exists()
    verbs = [["train", str(tmp_path / "few.npz"), "--from", str(run.path), "--steps", "2", "--out", str(tmp_path)]]
    if name == "infogan":
        verbs += [
            ["morph", str(run.path), "--seeds", "3,14", "--frames", "4", "-o", str(tmp_path / "m.png"), "--json"],
            ["sample", str(run.path), "-n", "20", "-o", str(tmp_path / "s.png"), "--json"],
            ["evaluate", str(run.path), "--samples", "64", "--seeds", "1", "--json"],
            ["train", "--resume", str(run.path), "--steps", "6"],
        ]
    for words in verbs:
        assert main(words) == 0, capsys.readouterr().err
        capsys.readouterr()
