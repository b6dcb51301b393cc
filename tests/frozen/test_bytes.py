"""Twenty steps of each recipe: the losses they had anywhere, and on a known processor the bytes they had.

A processor that bytes.json does not know is added with GANSMITH_REWRITE_FROZEN=1, from a version that is trusted.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file
from snapshots import REWRITE, hold, kept, read, write

import gansmith as gs

NARROW = {"generator.width": 0.1, "discriminator.width": 0.1}
FIXED = {"threads": 1, "precision": "fp32", "device": "cpu", "batch_size": 8, "evaluate_every": 0, "signals_every": 0}
EVERY = {"log_every": 1, "sheet_every": 20, "checkpoint_every": 20}
VARIANTS: dict[str, dict[str, Any]] = {
    "mlp": {"recipe": "mlp"},
    "mlp-bn": {"recipe": "mlp-bn"},
    "deconv": {"recipe": "deconv"},
    "dcgan-upsample": {"recipe": "dcgan-upsample"},
    "dcgan-transpose": {"recipe": "dcgan-transpose"},
    "dcgan-upsample, plain layers": {"recipe": "dcgan-upsample", "fast": "off"},
    "mlp, projection": {"recipe": "mlp", "conditional": "projection"},
    "mlp-bn, auxiliary": {"recipe": "mlp-bn", "conditional": "auxiliary"},
}
LOSSES = ("discriminator_loss", "generator_loss", "pixel_mean", "pixel_std")


@pytest.fixture(scope="module", params=VARIANTS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    out = tmp_path_factory.mktemp("bytes")
    run = gs.train("mnist", steps=20, seed=3, out=out, overrides=NARROW, **FIXED, **EVERY, **VARIANTS[request.param])
    return request.param, run.path


def tensors(file: Path) -> tuple[dict[str, str], str]:
    """The shape of each tensor of a file, and a SHA-256 over all of them."""
    shapes, digest = {}, hashlib.sha256()
    for name, value in sorted(load_file(file).items()):
        shapes[name] = f"{value.dtype} {list(value.shape)}"
        digest.update(f"{name} {shapes[name]}\n".encode() + value.tobytes())
    return shapes, digest.hexdigest()


def files(run: Path) -> list[Path]:
    return [*sorted((run / "checkpoints" / "step-000020").glob("*.safetensors")), run / "generator/model.safetensors"]


def test_the_losses_are_what_they_were(trained: tuple[str, Path]) -> None:
    name, run = trained
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = [[float(f"{row[key]:.5g}") for key in LOSSES] for row in rows]
    stored = kept("losses.json", name, found)
    assert len(found) == len(stored) == 20
    for step, (have, want) in enumerate(zip(found, stored, strict=True), 1):
        near = pytest.approx(want, rel=5e-4 * step, abs=5e-5 * step)  # steps multiply what processors round differently
        assert have == near, f"step {step}"


def test_the_tensors_have_the_names_they_had(trained: tuple[str, Path]) -> None:
    name, run = trained
    hold("tensors.json", name, {str(file.relative_to(run)): tensors(file)[0] for file in files(run)})


def test_the_bytes_are_what_they_were(trained: tuple[str, Path]) -> None:
    name, run = trained
    about = json.loads((run / "environment.json").read_text())
    machine = f"{about['processor']}, {about['cpu_capability']}, torch {about['torch']}"
    found = {str(file.relative_to(run)): tensors(file)[1] for file in files(run)}
    found["metrics.jsonl"] = hashlib.sha256((run / "metrics.jsonl").read_bytes()).hexdigest()
    known = read("bytes.json").get(machine, {})
    if REWRITE:
        known = {**known, name: found}
        write("bytes.json", machine, known)
    if name not in known:
        pytest.skip(f"bytes.json does not know {machine}; GANSMITH_REWRITE_FROZEN=1 adds it")
    assert found == known[name]
