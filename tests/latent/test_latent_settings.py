"""Latent tools compute the same whatever torch settings the caller has."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from decoder import decoder
from gansmith import latent
from gansmith.latent import finding, inversion

TOOLS: dict[str, Callable[[], np.ndarray]] = {
    "find": lambda: latent.find(decoder(), np.int64(3), np.uint8(2), np.int64(1), refine=True).latents,
    "invert": lambda: latent.invert(decoder(), decoder().sample(1).images, starts=np.int64(2), steps=8).latents,
    "morph": lambda: latent.morph(decoder(), "3,14", frames=np.int16(6)).images,
    "mix": lambda: latent.mix(decoder(), "12 - 40 + mean(1,2)").images,
    "pca": lambda: latent.directions(decoder(), count=np.int64(2)).vectors,
    "sefa": lambda: latent.directions(decoder(), method="sefa", count=2).vectors,
}


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inversion, "CANDIDATES", 512)
    monkeypatch.setattr(finding, "STEPS", 10)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_default_dtype_or_a_mode_around_changes_nothing(tool: str) -> None:
    wanted = TOOLS[tool]()
    with torch.inference_mode():
        assert np.array_equal(TOOLS[tool](), wanted)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), torch.device("meta"):
        assert np.array_equal(TOOLS[tool](), wanted)
    torch.set_default_dtype(torch.float64)
    try:
        assert np.array_equal(TOOLS[tool](), wanted)
    finally:
        torch.set_default_dtype(torch.float32)
