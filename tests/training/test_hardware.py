"""The choice of precision and layers: the probe, its cache, processors without bf16, and the switch for fast layers."""

import json
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import gansmith as gs
from gansmith import hardware, runs
from gansmith.errors import UserError
from gansmith.experiment import cpu_speed, execute, prepare
from gansmith.hardware import Speeds

QUICK = Speeds(fp32=100, bf16=200, convolution_plain=2, convolution_fast=1)
SLOW = Speeds(fp32=100, bf16=110, convolution_plain=2, convolution_fast=1)
NO_BF16 = Speeds(fp32=100, bf16=None, convolution_plain=2, convolution_fast=1)
WITHOUT = {"evaluate_every": 0, "signals_every": 0}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path))
    monkeypatch.setattr(cpu_speed, "BUSY", 0.0)  # other tests run beside this one
    return tmp_path


@pytest.mark.parametrize(("speeds", "precision"), [(QUICK, "bf16"), (SLOW, "fp32")])
def test_bf16_needs_products_that_are_measured_faster(
    speeds: Speeds, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "bf16_support", lambda device: (True, "the CPU has it"))
    choice = hardware.choose("cpu", gflop=100, measure=lambda threads: speeds)
    assert choice.precision == precision
    assert f"{speeds.bf16} GFLOP/s" in choice.why["precision"]


@pytest.mark.parametrize(
    ("precision", "gflop", "reported"),
    [("auto", 0.5, True), ("auto", 100, False), ("fp32", 100, True), ("fp32", 100, False), ("bf16", 100, True)],
)
def test_nothing_is_measured_where_the_choice_is_clear(
    precision: str, gflop: float, reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "bf16_support", lambda device: (reported, "as it says"))
    choice = hardware.choose("cpu", precision, gflop=gflop, measure=lambda threads: pytest.fail("measured"))
    assert choice.precision == ("bf16" if precision == "bf16" else "fp32")


def has_bf16(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    how = "the CPU has AMX" if has else "the CPU has no bf16 products"
    monkeypatch.setattr(hardware, "bf16_support", lambda device: (has, how))


def test_bf16_where_it_is_only_emulated_is_refused_unless_insisted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    has_bf16(monkeypatch, False)
    with pytest.raises(UserError, match=r"`precision` bf16: the CPU has no bf16.*GANSMITH_EMULATE_BF16=1") as refused:
        hardware.choose("cpu", "bf16", gflop=100)
    assert "\n" not in str(refused.value)
    monkeypatch.setenv("GANSMITH_EMULATE_BF16", "0")
    with pytest.raises(UserError):
        hardware.check_precision("bf16", "cpu")
    with pytest.raises(UserError, match="insist by GANSMITH_EMULATE_BF16=1"):
        replace(gs.load("mnist"), precision="bf16").sample(1)
    with pytest.raises(UserError, match="insist by GANSMITH_EMULATE_BF16=1"):  # before the first of its trainings
        gs.sweep("mnist", recipe="mlp", vary={"batch_size": [8, 16]}, precision="bf16")
    monkeypatch.setenv("GANSMITH_EMULATE_BF16", "1")
    assert hardware.choose("cpu", "bf16", gflop=100).precision == "bf16"
    assert hardware.choose("cpu", "auto", gflop=100).precision == "fp32"


def test_nothing_is_multiplied_in_bf16_where_it_is_only_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    has_bf16(monkeypatch, False)
    dtypes: set[torch.dtype] = set()

    class Dtypes(TorchDispatchMode):
        def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = call(*args, **(kwargs or {}))
            dtypes.update(value.dtype for value in tree_leaves((args, result)) if isinstance(value, torch.Tensor))
            return result

    with Dtypes():
        found = cpu_speed.measure(1)
    assert torch.float32 in dtypes
    assert torch.bfloat16 not in dtypes
    assert found.bf16 is None
    assert "no bf16 here" in cpu_speed.words(found)


def test_the_probe_is_cached_with_and_without_bf16(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Speeds] = []
    for has, speeds in ((False, NO_BF16), (True, QUICK)):  # what the other kind of processor cached is not taken
        has_bf16(monkeypatch, has)
        monkeypatch.setattr(cpu_speed, "measure", lambda threads, speeds=speeds: measured.append(speeds) or speeds)
        assert [cpu_speed.speeds(1), cpu_speed.speeds(1)] == [speeds, speeds]
    assert measured == [NO_BF16, QUICK]


def test_the_probe_leaves_torch_as_it_was(own: Path) -> None:
    threads, stream = torch.get_num_threads(), torch.random.get_rng_state()
    found = cpu_speed.speeds(1)
    assert found.fp32 > 0.1
    assert found.convolution_fast > 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), stream)


@pytest.mark.parametrize(
    "damage",
    [
        *("", "{", "[]", "null", '{"fp32": 1}', "[" * 100_000),
        '{"fp32": NaN, "bf16": 1, "convolution_plain": 1, "convolution_fast": 1}',
        '{"fp32": "1", "bf16": 1, "convolution_plain": 1, "convolution_fast": 1}',
        '{"fp32": null, "bf16": 1, "convolution_plain": 1, "convolution_fast": 1}',
    ],
)
def test_a_damaged_memory_is_measured_again(damage: str, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []
    has_bf16(monkeypatch, True)
    monkeypatch.setattr(cpu_speed, "measure", lambda threads: measured.append(threads) or QUICK)
    cpu_speed.speeds(1)
    (path,) = (own / "speeds").iterdir()
    assert cpu_speed.speeds(1) == QUICK
    assert measured == [1]
    path.write_text(damage)
    assert cpu_speed.speeds(1) == QUICK
    assert measured == [1, 1]
    assert json.loads(path.read_text())["fp32"] == 100
    cpu_speed.speeds(2)  # remembered apart
    assert measured == [1, 1, 2]


def test_a_closed_cache_and_a_busy_machine_are_nobodys_harm(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_speed, "measure", lambda threads: QUICK)
    monkeypatch.setattr(cpu_speed, "BUSY", 1e9)
    assert cpu_speed.speeds(1) == QUICK
    assert not (own / "speeds").exists()
    monkeypatch.setattr(cpu_speed, "BUSY", 0.0)
    (own / "speeds").write_text("a file in its place")
    assert cpu_speed.speeds(1) == QUICK


def test_a_choice_has_its_layers() -> None:
    assert hardware.choose("cpu", "fp32", gflop=1).layers == "fast"
    assert hardware.choose("cpu", "fp32", gflop=1, fast="off").layers == "plain"
    with pytest.raises(ValueError, match="`fast`"):
        hardware.choose("cpu", "fp32", gflop=1, fast="on")


def test_fast_off_is_kept_said_and_nearly_the_same_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "finish", lambda *a: None)  # no pictures
    options = {"recipe": "deconv", "precision": "fp32", "threads": 1, "out": tmp_path, "sanity_steps": 1}
    options |= {"overrides": {"generator.width": 0.1}, **WITHOUT}
    plain, fast = (gs.train("mnist", steps=2, fast=fast, **options) for fast in ("off", "auto"))
    assert (plain.settings.fast, fast.settings.fast) == ("off", "auto")
    assert json.loads((plain.path / "environment.json").read_text())["layers"] == "plain"
    assert not prepare.prepare_resume(plain.path, steps=4).choice.fast
    assert prepare.prepare_resume(plain.path, steps=4, fast="auto").choice.fast
    a, b = (gs.load(run).sample(8).images.astype(int) for run in (plain, fast))
    assert np.abs(a - b).max() <= 2
    first, second = (run.metrics()[-1]["generator_loss"] for run in (plain, fast))
    assert first == pytest.approx(second, rel=1e-3)


def test_networks_are_plain_with_fast_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gansmith.nn import transpose

    job = prepare.prepare(
        "mnist", recipe="deconv", steps=1, fast="off", precision="fp32", threads=1, out=tmp_path, **WITHOUT
    )
    monkeypatch.setattr(transpose, "_forward", lambda *a: pytest.fail("a fast layer ran"))
    monkeypatch.setattr(execute, "finish", lambda *a: None)  # sampling takes the fast layers
    execute.execute(job)


def test_runs_from_before_the_switch_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "finish", lambda *a: None)
    run = gs.train("mnist", recipe="mlp", steps=1, threads=1, out=tmp_path, **WITHOUT)
    settings = json.loads((run.path / "run.json").read_text())
    del settings["fast"]
    (run.path / "run.json").write_text(json.dumps(settings))
    assert runs.find(run.path).settings.fast == "auto"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_that_is_kept_is_not_asked_for_again() -> None:
    code = (
        "import resource, sys\n"
        "from gansmith import hardware\n"
        "if sys.argv[1] == 'keep':\n"
        "    assert hardware.keep_freed_memory()\n"
        "def step():\n"
        "    return [bytearray(1 << 20) for _ in range(64)]\n"
        "step(), step()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(8): step()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    plain, kept = (
        int(subprocess.run([sys.executable, "-c", code, how], capture_output=True, text=True, check=True).stdout)
        for how in ("plain", "keep")
    )
    assert kept < plain / 10
