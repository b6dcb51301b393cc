"""A short measurement of the CPU's speed, cached for each processor, version of torch and number of threads."""

import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch

from gansmith import files, hardware
from gansmith.files import write_json
from gansmith.hardware import Speeds
from gansmith.nn import SameConv2d, set_fast

SIDE = 1024  # of the matrices that are multiplied
CHANNELS = (256, 512)  # of the convolution: the widest of the DCGANs, on 4x4 maps
IMAGES = 4
BUDGET = 0.08  # seconds for each measurement
BUSY = 0.7  # measurements that got less of their cores' time than this share are not cached


def speeds(threads: int) -> Speeds:
    """The speed of this CPU with so many threads: from the data cache, else measured in under half a second.

    No resumed run depends on it: precision, once chosen, is in run.json.
    """
    path = _place(threads)
    found = _recall(path)
    if found is None:
        wall, busy = time.perf_counter(), time.process_time()
        found = measure(threads)
        if time.process_time() - busy > BUSY * threads * (time.perf_counter() - wall):
            _remember(path, found)
    return found


def words(found: Speeds) -> str:
    """The measurement in one line."""
    bf16 = "no bf16 here" if found.bf16 is None else f"{found.bf16:.0f} in bf16"
    return (
        f"products {found.fp32:.0f} GFLOP/s in fp32, {bf16}; a convolution on 4x4 maps and back "
        f"{found.convolution_fast:.1f} ms, plain {found.convolution_plain:.1f} ms"
    )


def measure(threads: int) -> Speeds:
    """Measures, leaving torch's thread count and random stream as they were. The fastest of several calls counts."""
    bf16, _ = hardware.bf16_support("cpu")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            fp32_rate = _product(torch.float32)
            bf16_rate = _product(torch.bfloat16) if bf16 else None
        with torch.random.fork_rng(devices=[]):
            layer = SameConv2d(*CHANNELS, 5)
        plain, fast = (_convolution(layer, fast, bf16) for fast in (False, True))
    finally:
        torch.set_num_threads(before)
    return Speeds(fp32_rate, bf16_rate, plain, fast)


def _product(dtype: torch.dtype) -> float:
    """GFLOP/s of a matrix product."""
    matrix = torch.full((SIDE, SIDE), 0.5, dtype=dtype)
    return round(2 * SIDE**3 / _fastest(lambda: matrix @ matrix) / 1e9, 1)


def _convolution(layer: SameConv2d, fast: bool, bf16: bool) -> float:
    """Milliseconds of a convolution's forward and backward pass, in bf16 where there is bf16."""
    set_fast(layer, fast)
    maps = torch.full((IMAGES, CHANNELS[0], 4, 4), 0.5).to(memory_format=torch.channels_last).requires_grad_()

    def both() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            output = layer(maps)
        torch.autograd.grad(output.float().sum(), (maps, layer.weight))

    return round(1000 * _fastest(both), 3)


def _fastest(call: Callable[[], object]) -> float:
    """Seconds of the fastest call that fits the budget; the first, which is cold, counts only if it used it up."""
    times: list[float] = []
    while not times or sum(times) < BUDGET:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times[1:] or times)


def _place(threads: int) -> Path:
    facts = (hardware.processor(), torch.backends.cpu.get_cpu_capability(), torch.__version__, threads)
    return files.cache_dir() / "speeds" / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}.json"


def _recall(path: Path) -> Speeds | None:
    """What was cached; None for nothing, or for a file that :func:`_remember` would not write now."""
    try:
        found = Speeds(**json.loads(path.read_text("utf-8")))
        rates = [value for name, value in asdict(found).items() if name != "bf16" or value is not None]
        whole = all(math.isfinite(rate) and rate > 0 for rate in rates)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return found if whole and (found.bf16 is not None) == hardware.bf16_support("cpu")[0] else None


def _remember(path: Path, found: Speeds) -> None:
    """Caches a measurement; a folder that cannot be written does no harm."""
    with suppress(OSError):
        write_json(path, asdict(found))
