"""Packs: images of one class or kind that the discriminator judges together, beside each alone."""

import numpy as np
import pytest
import torch
from torch import nn

from gansmith import data, recipes
from gansmith.errors import UserError
from gansmith.nn import ConditionalDiscriminator
from gansmith.recipes import count
from gansmith.training import losses, optim

SMALL = {"generator.width": 0.25, "discriminator.width": 0.25, "batch_size": 8}


def numbered(labels: list[int]) -> data.Dataset:
    """Images that are their own positions."""
    images = np.arange(len(labels)).astype(np.uint8)[:, None, None, None] * np.ones((1, 1, 8, 8), np.uint8)
    return data.from_arrays(images, np.array(labels))


@pytest.mark.parametrize("pack", [2, 3])
def test_a_pack_is_of_one_class_and_a_lap_shows_no_image_twice(pack: int) -> None:
    labels = [0] * 7 + [1] * 12 + [2] * 11 + [3]  # one image of the last, which is in no pack
    batches = data.Batches(numbered(labels), 2 * pack, seed=3, pack=pack, alike=True)
    lap = sum(labels.count(each) // pack for each in range(4)) * pack
    whole = np.concatenate([batches.indices_at(at) for at in range(0, 4 * lap, 2 * pack)])
    for packed in whole.reshape(-1, pack):
        assert len({labels[each] for each in packed}) == 1
    for turn in range(2):
        assert len(set(whole[turn * lap : (turn + 1) * lap])) == lap
    assert set(whole) == set(range(30)), "what waits in one lap is shown in another"
    assert (
        batches.indices_at(lap) == data.Batches(numbered(labels), 2 * pack, 3, pack=pack, alike=True).indices_at(lap)
    ).all()


def test_without_labels_packs_are_of_any_images() -> None:
    batches = data.Batches(numbered([0, 1] * 10), 4, seed=0, pack=2)
    pairs = [batches.indices_at(at).reshape(-1, 2) for at in range(0, 20, 4)]
    assert len({int(each) for each in np.concatenate(pairs).ravel()}) == 20
    assert any((each[:, 0] - each[:, 1]).any() for each in pairs)
    assert {int(a + b) % 2 for a, b in np.concatenate(pairs)} == {0, 1}


def test_a_pack_shares_a_logit_in_training_and_none_is_known_in_inference() -> None:
    recipe = recipes.get("house").override({**SMALL, "kinds": 4, "pack": 2})
    torch.manual_seed(0)
    network = recipes.discriminator(recipe)
    images, told = torch.rand(8, 1, 28, 28), torch.arange(8) // 2
    logits = network(images, told)
    assert torch.equal(logits[::2], logits[1::2])
    assert len(set(logits[::2].flatten().tolist())) == 4
    alone = network.eval()(images, told)
    assert torch.allclose(network(images[:1], told[:1]), alone[:1], atol=1e-6), "an odd number, too"
    network.train()
    torch.nn.init.zeros_(network.company.logit.weight)
    torch.nn.init.zeros_(network.company.logit.bias)
    assert torch.allclose(network(images, told)[::2], (alone[::2] + alone[1::2]) / 2, atol=1e-6)


def test_only_packs_tell_images_that_are_too_alike() -> None:
    """Real: two shades at random. Generated: both as often, the same in a pack. No single image gives that away."""

    def right(pack: int) -> float:
        torch.manual_seed(0)
        body = nn.Sequential(nn.Flatten(), nn.Linear(16, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
        network = ConditionalDiscriminator(body, 0, None, pack=pack)
        optimizer = optim.adam(network.parameters(), 1e-2)
        for _ in range(150):
            shades = torch.randint(2, (64, 2)).float()
            real = shades.reshape(-1, 1, 1, 1).expand(-1, 1, 4, 4)
            fake = shades[:, :1].expand(-1, 2).reshape(-1, 1, 1, 1).expand(-1, 1, 4, 4)
            on_real, on_fake = network(torch.cat([real, fake])).chunk(2)
            optimizer.zero_grad()
            losses.discriminator_loss(on_real, on_fake, kind="non-saturating").backward()
            optimizer.step()
        return float(losses.discriminator_accuracy(on_real, on_fake, kind="non-saturating"))

    assert right(1) < 0.6
    assert right(2) > 0.7  # half of the real packs are of one shade too


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("name", ["house", "mlp", "dcgan"])
def test_what_a_pack_costs_is_counted(name: str, told: bool) -> None:
    changes = {"kinds": 4 if told else 0, "batch_size": 8}
    recipe = recipes.get(name).override({**changes, "pack": 2})
    built = sum(weight.numel() for weight in recipes.discriminator(recipe).parameters())
    assert sum(row.trainable for row in count.summary(recipe).discriminator) == built
    assert recipes.step_gflop(recipe) >= recipes.step_gflop(recipe.override(pack=1))


def test_what_makes_no_packs_is_refused() -> None:
    with pytest.raises(UserError, match="pack = 3: does not divide a batch of 32"):
        recipes.get("house").override(pack=3)
    with pytest.raises(UserError, match="information: each image has a kind of its own"):
        recipes.get("infogan").override(pack=2)
    with pytest.raises(UserError, match="6 images are in packs of 2 of one class or kind, fewer than a batch of 8"):
        data.Batches(numbered([0, 0, 0, 1, 1, 1, 2, 2, 3, 4]), 8, 0, pack=2, alike=True)
