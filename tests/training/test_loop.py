"""Training for real, for seconds: quality moves, each step has noise of its own, and a run leaves all it promises."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gansmith as gs
from gansmith import recipes
from gansmith.experiment import execute
from gansmith.training import loop
from gansmith.training.events import Event, Progress, Saved, Snapshot
from helpers import settings


def far(images: np.ndarray, real: np.ndarray) -> float:
    """Distance between the mean pictures of two sets, in grey levels a pixel."""
    return float(np.abs(images.mean(0) - real.mean(0)).mean())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[gs.Run, list[Event]]:
    events: list[Event] = []
    run = gs.train(
        "mnist", recipe="mlp-bn", steps=200, batch_size=64, out=tmp_path_factory.mktemp("runs"), threads=1,
        sheet_every=50, observers=[events.append], overrides={"generator.width": 0.25, "discriminator.width": 0.25},
    )  # fmt: skip
    return run, events


def test_two_hundred_steps_move_the_samples_towards_the_data(trained: tuple[gs.Run, list[Event]]) -> None:
    run, events = trained
    real = gs.data.load("mnist").take(np.arange(2000))
    looks = [event.images for event in events if isinstance(event, Snapshot)]
    assert far(looks[-1], real) < 0.4 * far(looks[0], real)
    assert far(gs.load(run).sample(500).images, real) < 0.4 * far(looks[0], real)
    first, last = run.metrics()[0], run.metrics()[-1]
    assert abs(last["pixel_mean"] - run.data.pixel_mean) < 0.3 * abs(first["pixel_mean"] - run.data.pixel_mean)
    assert len(np.unique(looks[-1].reshape(64, -1), axis=0)) == 64


def test_events_come_in_order_and_nothing_is_missed(trained: tuple[gs.Run, list[Event]]) -> None:
    _, events = trained
    assert isinstance(events[0], Snapshot)
    assert [event.step for event in events if isinstance(event, Snapshot)] == [0, 50, 100, 150, 200]
    assert [event.step for event in events if isinstance(event, Progress)] == list(range(1, 201))
    assert [event.step for event in events if isinstance(event, Progress) and event.metrics] == list(range(10, 201, 10))
    assert [event.step for event in events if isinstance(event, Saved)][-1] == 200
    assert all(event.images == 64 * event.step for event in events if isinstance(event, Progress))


def test_a_run_leaves_all_that_is_promised(trained: tuple[gs.Run, list[Event]]) -> None:
    run, _ = trained
    promised = (
        "recipe.json data.json environment.json run.json metrics.jsonl samples.webp losses.png accuracies.png "
        "pixels.png sheet.png real-and-generated.png quiz.png quiz-key.png report.html generator/model.safetensors"
    )
    assert all((run.path / name).stat().st_size for name in promised.split())
    assert (run.path.parent / "last").resolve() == run.path.resolve()
    with Image.open(run.path / "samples.webp") as animation:
        assert animation.n_frames == 5
    with Image.open(run.path / "quiz.png") as quiz, Image.open(run.path / "quiz-key.png") as key:
        quiz, key = quiz.convert("RGB"), key.convert("RGB")
        reds = (np.asarray(key)[..., 0] > 200) & (np.asarray(key)[..., 1] < 90)
        assert reds.any()
        assert not ((np.asarray(quiz)[..., 0] > 200) & (np.asarray(quiz)[..., 1] < 90)).any()


def test_each_step_draws_from_a_stream_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipes.get("mlp").override(batch_size=4)
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
    real, seen = loop.seed_all, []
    monkeypatch.setattr(loop, "seed_all", lambda seed, device: seen.append(seed) or real(seed, device))
    drawn: list[torch.Tensor] = []
    make = loop.step
    monkeypatch.setattr(loop, "step", lambda *a: drawn.append(torch.rand(1)) or make(*a))

    class Grey:
        def at(self, position: int) -> np.ndarray:
            return np.full((4, 1, 28, 28), position % 256, np.uint8)

    chosen = settings(seed=7, steps=30, sheet_every=99, log_every=99, checkpoint_every=99)
    assert loop.train(state, recipe, Grey(), chosen, save=lambda state: Path("x"))
    assert len(set(seen)) == 30
    assert len({float(value) for value in drawn}) == 30


def test_real_images_come_from_the_position_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipes.get("mlp").override(batch_size=4)
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
    state.step = 5
    positions = []

    class Grey:
        def at(self, position: int) -> np.ndarray:
            positions.append(position)
            return np.zeros((4, 1, 28, 28), np.uint8)

    chosen = settings(seed=7, steps=8, sheet_every=99, log_every=99, checkpoint_every=99)
    loop.train(state, recipe, Grey(), chosen, save=lambda state: Path("x"))
    assert positions == [20, 24, 28]


@pytest.mark.parametrize(("pixels", "ends"), [((0.0, 1.0), (0.0, 1.0)), ((-1.0, 1.0), (-1.0, 1.0))])
def test_pixels_span_the_recipes_range(pixels: tuple[float, float], ends: tuple[float, float]) -> None:
    recipe = recipes.get("mlp").override(pixels=pixels)
    images = np.array([0, 255], np.uint8).reshape(1, 1, 1, 2)
    assert loop.to_pixels(images, recipe, torch.device("cpu")).ravel().tolist() == pytest.approx(list(ends))


def test_the_discriminator_alone_learns_to_tell_real_from_untrained() -> None:
    recipe = recipes.get("mlp").override(batch_size=32)
    images = gs.data.Batches(gs.data.load("mnist"), 32, 0)
    accuracies = loop.sanity_check(recipe, images, seed=0, steps=25, device=torch.device("cpu"))
    assert np.mean(accuracies[-5:]) > 0.95


def test_colour_data_train_in_colour(tmp_path: Path) -> None:
    run = execute.train(
        "colour-mnist", recipe="mlp", steps=3, out=tmp_path, overrides={"batch_size": 8, "generator.width": 0.25}
    )
    assert run.recipe.channels == 3
    assert gs.load(run).sample(2).images.shape == (2, 3, 28, 28)


def test_a_step_on_a_cpu_is_seeded_as_torch_seeds_and_wakes_no_other_device(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    monkeypatch.setattr(torch, "manual_seed", lambda seed: pytest.fail("slow: it formats a traceback for CUDA"))
    loop.seed_all(5, torch.device("cpu"))
    assert torch.equal(torch.rand(3), expected)
