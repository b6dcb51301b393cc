"""What a seed means, and what the cache's keys are made of: if one changes, old runs go on in other bytes."""

import hashlib
import json
from pathlib import Path

import internals
import numpy as np
import pytest
from snapshots import RUNS, hold, kept

import gansmith as gs

LABELS = ["weights", *range(4), 12_345, "sanity 0", "sanity 1"]
FILE = "streams.json"


def rounded(rows: np.ndarray) -> list[list[float]]:
    return [[round(float(value), 6) for value in row] for row in rows]


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_streams_are_named_as_they_were(seed: int) -> None:
    hold(FILE, f"streams of seed {seed}", {str(label): internals.stream(seed, label) for label in LABELS})
    expected = int.from_bytes(hashlib.sha256(f"{seed}:weights".encode()).digest()[:4], "big")
    assert internals.stream(seed, "weights") == expected


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_a_step_draws_the_noise_it_drew(distribution: str) -> None:
    noise = gs.Noise(size=20, distribution=distribution, center=0.5, scale=2.0)
    found = internals.first_noise(noise, seed=3, at=7, count=2)
    np.testing.assert_allclose(found, kept(FILE, f"noise of step 7, {distribution}", rounded(found)), atol=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_samples_have_the_latents_they_had(name: str, shared_workshop: Path) -> None:
    samples = gs.load(name).sample(3, seed=5, start=2)
    stored = kept(FILE, f"latents of {name}", rounded(samples.latents))
    np.testing.assert_allclose(samples.latents, stored, atol=2e-6)


@pytest.mark.parametrize("name", ["mnist", "colour-mnist", "stacked-mnist"])  # fashion-mnist would be downloaded
def test_data_have_the_fingerprints_they_had(name: str) -> None:
    for split in ("train", "test"):
        found = gs.data.load(name, split=split)
        chosen = found.take(np.arange(0, len(found), len(found) // 50))
        hold(
            FILE,
            f"{name} {split}",
            {
                "fingerprint": found.fingerprint,
                "count": len(found),
                "shape": list(found.shape),
                "pixels": hashlib.sha256(chosen.tobytes()).hexdigest(),
            },
        )


def test_the_cache_has_the_keys_it_had(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of references/ hold the version of gansmith too: a new version writes them anew."""
    monkeypatch.setenv("GANSMITH_CACHE", str(workshop / "cache"))
    gs.evaluate("mlp", samples=128, seeds=1)
    gs.train("shapes.npz", recipe="mlp", steps=2, evaluate_every=2, checkpoint_every=2, size=8, batch_size=8, threads=1)
    found = sorted(str(path.relative_to(workshop / "cache")) for path in (workshop / "cache").rglob("*"))
    named = [path for path in found if not path.startswith(("keys/", "speeds/"))]  # of this machine
    hold(FILE, "cache", named)
    assert len([path for path in found if path.startswith("keys/")]) == 2
    for meta in (workshop / "cache" / "data").glob("*/meta.json"):
        hold(FILE, "meta.json", sorted(json.loads(meta.read_text())))
