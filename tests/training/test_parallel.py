"""Several processes train as one: real ones, started by torchrun, against a single process, in float64."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import processes
import pytest
import torch

from gansmith.data import Batches, from_arrays
from gansmith.errors import UserError
from gansmith.nn import rows
from gansmith.training.parallel import Group

SCRIPT = Path(processes.__file__)
CHECKS = [*processes.WITHOUT_NORM, *processes.WITH_NORM]


def launch(many: int, folder: Path) -> None:
    """Starts processes with the environment that torchrun gives them, and without its own two seconds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, str(SCRIPT), ";".join(CHECKS), str(folder)]
    started = [
        subprocess.Popen(command, stderr=subprocess.PIPE, env={**common, "RANK": str(rank), "WORLD_SIZE": str(many)})
        for rank in range(many)
    ]
    for each in started:
        _, said = each.communicate(timeout=300)
        assert each.returncode == 0, said.decode()[-3000:]


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """What 1 and 3 processes ended with, whose slices of a batch of 13 differ in size."""
    folders = {many: tmp_path_factory.mktemp(f"of-{many}") for many in (1, 3)}
    before = torch.get_default_dtype()
    with torch.random.fork_rng():
        try:
            processes.main(";".join(CHECKS), folders[1])
        finally:
            torch.set_default_dtype(before)
    launch(3, folders[3])
    return folders


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("many", [3])
def test_steps_end_in_the_same_weights_as_in_one_process(name: str, many: int, ends: dict[int, Path]) -> None:
    one, several = (torch.load(ends[number] / name, weights_only=True) for number in (1, many))
    worst = max(float((a - b).abs().max()) for a, b in zip(one, several, strict=True))
    assert worst < (1e-10 if name in processes.WITHOUT_NORM else 1e-7)  # batch norm and Adam spread the rounding
    logged = [json.loads((ends[number] / f"{name}.json").read_text()) for number in (1, many)]
    for before, now in zip(*logged, strict=True):
        assert now == pytest.approx(before, rel=1e-6, abs=1e-6)


def test_networks_moved_at_all(ends: dict[int, Path]) -> None:
    for name in CHECKS:
        recipe = processes.recipe_of((processes.WITHOUT_NORM | processes.WITH_NORM)[name])
        logged = json.loads((ends[1] / f"{name}.json").read_text())
        assert len({row["generator_loss"] for row in logged}) == processes.STEPS, recipe.name


@pytest.mark.parametrize("many", [1, 2, 3, 8])
def test_rows_of_all_processes_are_the_batch(many: int) -> None:
    dataset = from_arrays(np.arange(40 * 64, dtype=np.int64).reshape(40, 8, 8).astype(np.uint8))
    whole = Batches(dataset, 26, 5)  # two batches of 13 in a step
    groups = [Group(rank, many) for rank in range(many)]
    parts = [Batches(dataset, 26, 5, own=group.own(13)).at(52) for group in groups]
    for turn in range(2):
        batch = whole.at(52)[13 * turn : 13 * turn + 13]
        own = [part[len(part) // 2 * turn :][: len(part) // 2] for part in parts]
        for row in range(13):
            assert (batch[row] == own[row % many][row // many]).all()


@pytest.mark.parametrize("many", [2, 3, 8])
def test_random_numbers_go_with_the_row(many: int) -> None:
    torch.manual_seed(7)
    alone = rows.draw(13, lambda count, random: torch.randn(count, 4, generator=random))
    for rank in range(many):
        with rows.holding(Group(rank, many).rows(13, 7, torch.device("cpu"))):
            held = rows.held()
            assert held is not None
            own = rows.draw(held.count, lambda count, random: torch.randn(count, 4, generator=random))
        assert torch.equal(own, alone[rank::many])


def test_a_process_without_rows_is_refused() -> None:
    recipe = processes.recipe_of({"recipe": "house", "one_pass": False, "batch_size": 8, "penalty.share": 0.25})
    with pytest.raises(UserError, match="2 processes share penalties of 1 pack,"):
        Group(0, 2).check(recipe)
    alone = recipe.override(pack=1)
    with pytest.raises(UserError, match="3 processes share penalties of 2 images,"):
        Group(0, 3).check(alone)
    Group(0, 2).check(alone)


def test_sums_of_a_step_stay_what_they_are_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is kept from step to step, and what a step returned is not in it."""
    group = Group(0, 2)
    monkeypatch.setattr(Group, "add_in_place", lambda self, tensor: tensor.mul_(2))
    network = torch.nn.Conv2d(2, 2, 3).to(memory_format=torch.channels_last)
    weights = list(network.parameters())

    def step(value: float) -> list[torch.Tensor]:
        for weight in weights:
            weight.grad = torch.full_like(weight, value)
        return [*group.add_gradients([network], [torch.tensor(value), torch.tensor(-value)]), group.unsound]

    def grads() -> list[float]:
        return [float(weight.grad.unique()) for weight in weights]

    first = step(1.0)
    kept, whole = [each.clone() for each in first], grads()
    assert whole == [2.0, 2.0]
    second = step(float("nan"))
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))
    assert second[2].tolist() == [[6.0, 6.0], [0.0, 0.0]]  # a loss and a gradient, in process 0, doubled here
