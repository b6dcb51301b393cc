"""A short measurement of what the CPU does, remembered for each processor, version of torch and number of threads."""

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
BUDGET = 0.1  # seconds for each of the four measurements
BUSY = 0.7  # measurements that got less of their cores' time than this share are not remembered


def speeds(threads: int) -> Speeds:
    """What this CPU does with so many threads: as remembered in the data cache, else measured in under a second.

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
    return (
        f"products {found.fp32:.0f} GFLOP/s in fp32, {found.bf16:.0f} in bf16; a convolution on 4x4 maps and back "
        f"{found.convolution_fast:.1f} ms, plain {found.convolution_plain:.1f} ms"
    )


def measure(threads: int) -> Speeds:
    """Measures, leaving torch's thread count and random stream as they were. The fastest of several calls counts."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            products = [_product(dtype) for dtype in (torch.float32, torch.bfloat16)]
        with torch.random.fork_rng(devices=[]):
            layer = SameConv2d(*CHANNELS, 5)
        convolution = [_convolution(layer, fast) for fast in (False, True)]
    finally:
        torch.set_num_threads(before)
    return Speeds(*(round(value, 1) for value in products), *(round(value, 3) for value in convolution))


def _product(dtype: torch.dtype) -> float:
    """GFLOP/s of a matrix product."""
    matrix = torch.full((SIDE, SIDE), 0.5, dtype=dtype)
    return 2 * SIDE**3 / _fastest(lambda: matrix @ matrix) / 1e9


def _convolution(layer: SameConv2d, fast: bool) -> float:
    """Milliseconds of a convolution's forward and backward pass under bf16 autocast."""
    set_fast(layer, fast)
    maps = torch.full((IMAGES, CHANNELS[0], 4, 4), 0.5).to(memory_format=torch.channels_last).requires_grad_()

    def both() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            output = layer(maps)
        torch.autograd.grad(output.float().sum(), (maps, layer.weight))

    return 1000 * _fastest(both)


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
    """What was remembered; None for nothing, or for a file that is not what :func:`_remember` writes."""
    try:
        found = Speeds(**json.loads(path.read_text("utf-8")))
        whole = all(math.isfinite(value) and value > 0 for value in asdict(found).values())
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return found if whole else None


def _remember(path: Path, found: Speeds) -> None:
    """A cache that cannot be written harms nobody."""
    with suppress(OSError):
        write_json(path, asdict(found))
