"""Whatever torch settings the caller has, results are the same, and the settings are the caller's again after."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gansmith as gs
from gansmith.experiment import execute
from gansmith.nn.isolation import isolated, only_training

OPTIONS: dict[str, Any] = {
    "recipe": "mlp",
    "steps": 2,
    "threads": 1,
    "overrides": {"size": 8, "batch_size": 4},
    "evaluate_every": 0,
    "signals_every": 0,
}


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


AROUND: dict[str, AbstractContextManager[Any]] = {
    "nothing": nullcontext(),
    "float64": default_dtype(torch.float64),
    "bfloat16": default_dtype(torch.bfloat16),
    "no_grad": torch.no_grad(),
    "inference_mode": torch.inference_mode(),
    "autocast": torch.autocast("cpu", torch.bfloat16),
    "another device": torch.device("meta"),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for index, image in enumerate(np.random.default_rng(0).integers(0, 256, (12, 8, 8), np.uint8)):
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def plain(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> gs.Generator:
    """What a caller gets who has changed no setting."""
    return gs.load(gs.train(pictures, out=tmp_path_factory.mktemp("plain"), **OPTIONS))


def settings() -> tuple[object, ...]:
    """Everything global that work may have changed."""
    cudnn = torch.backends.cudnn
    return (
        *(torch.get_num_threads(), torch.get_default_dtype(), torch.get_default_device()),
        *(torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")),
        *(cudnn.deterministic, cudnn.benchmark, torch.are_deterministic_algorithms_enabled()),
        torch.get_rng_state().tolist(),
        str(np.random.get_state()),
        list(warnings.filters),
    )


@pytest.mark.parametrize("around", AROUND)
def test_training_loading_and_sampling_are_the_same_whatever_stands_around(
    around: str, plain: gs.Generator, pictures: Path, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.backends.cudnn.benchmark = True
    try:
        with AROUND[around]:
            torch.manual_seed(7)
            before = settings()
            run = gs.train(pictures, out=tmp_path / "run", **OPTIONS)
            generator = gs.load(run)
            samples = generator.sample(5)
            images = generator.images(generator.latents(5))
            assert settings() == before
        assert generator.digest == plain.digest
        assert np.array_equal(samples.images, plain.sample(5).images)
        assert np.array_equal(samples.images, images)
        assert gs.resume(run.path, steps=4).state == "finished"
        assert all(parameter.requires_grad for parameter in generator.network.parameters())
        assert not any(parameter.is_inference() for parameter in generator.network.parameters())
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = False


@isolated()
def fail() -> None:
    """Changes all that may be changed, and fails."""
    torch.set_num_threads(3)
    torch.set_default_dtype(torch.float64)
    torch.backends.cudnn.deterministic = True
    warnings.simplefilter("ignore")
    raise KeyError


def test_settings_come_back_after_an_error_too() -> None:
    before = settings()
    with pytest.raises(KeyError):
        fail()
    assert settings() == before


@pytest.mark.parametrize("call", ["prepare", "execute", "resume"])
def test_a_second_training_thread_is_refused(call: str, pictures: Path, tmp_path: Path) -> None:
    job = execute.prepare(pictures, out=tmp_path, **OPTIONS)
    run = execute.execute(job)
    work = {
        "prepare": lambda: execute.prepare(pictures, out=tmp_path, **OPTIONS),
        "execute": lambda: execute.execute(job),
        "resume": lambda: gs.resume(run.path, steps=4),
    }[call]
    caught: list[BaseException] = []

    def attempt() -> None:
        try:
            work()
        except BaseException as error:
            caught.append(error)

    with only_training():
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert "another thread of this process is training" in str(caught[0])
    work()  # afterwards it is free again
