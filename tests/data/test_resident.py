"""Images on the device: the same stream and the same training as from memory, wherever the device is."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gansmith import data, recipes
from gansmith.data import Batches, on_device
from gansmith.data.on_device import Resident
from gansmith.training import loop
from helpers import settings

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def batches() -> Batches:
    mnist = data.load("mnist")
    few = data.from_arrays(mnist.take(np.arange(100)), mnist.labels[:100], classes=mnist.classes, name="few")
    return Batches(few, 8, seed=3)


def test_the_stream_is_the_same(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_device, "_CHUNK", 33)  # copied in parts that do not divide it
    images = Resident(batches, CPU)
    for position in (0, 8, 96, 99, 1000):  # 96 and 99: from one permutation into the next
        assert np.array_equal(images.at(position).numpy(), batches.at(position))
        assert np.array_equal(images.labels_at(position), batches.labels_at(position))


def test_training_ends_in_the_same_bytes(batches: Batches) -> None:
    recipe = recipes.get("mlp").override({"generator.width": 0.1, "discriminator.width": 0.1, "batch_size": 8})
    chosen = settings(seed=1, steps=15, sheet_every=15, log_every=15, checkpoint_every=15)
    ends = []
    for images in (batches, Resident(batches, CPU)):
        state = loop.new_state(recipe, seed=1, device=CPU)
        loop.train(state, recipe, images, chosen, save=lambda state: Path("x"))
        ends.append([*state.generator.parameters(), *state.discriminator.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize(("free", "kept"), [(100 * 784 * 4, True), (100 * 784 * 4 - 4, False)])
def test_a_gpu_with_room_takes_them(free: int, kept: bool, batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    monkeypatch.setattr(on_device, "Resident", lambda batches, device: "resident")
    assert on_device.nearest(batches, torch.device("cuda")) == ("resident" if kept else batches)
    assert on_device.nearest(batches, CPU) is batches


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_the_stream_is_the_same(batches: Batches) -> None:
    device = torch.device("cuda")
    images = on_device.nearest(batches, device)
    assert isinstance(images, Resident)
    assert np.array_equal(images.at(96).cpu().numpy(), batches.at(96))
