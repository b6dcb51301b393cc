"""What the machine offers, and the choice of device, precision and threads with the reason in words."""

import ctypes
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gansmith.errors import UserError

Precision = Literal["fp32", "bf16"]
SMALL_STEP_GFLOP = 1.0  # below this the casts of bf16 cost what its products gain: docs/performance.md
BF16_MARGIN = 1.3  # by how much bf16 products must be faster than fp32 ones to be worth the casts around them
EMULATE_BF16 = "GANSMITH_EMULATE_BF16"  # set to 1, it allows bf16 on devices without bf16 products


@dataclass(frozen=True)
class Choice:
    """Where and how to compute, each with its reason."""

    device: str
    precision: Precision
    threads: int
    why: dict[str, str]
    fast: bool = True

    @property
    def layers(self) -> str:
        """ "fast" or "plain"."""
        return "fast" if self.fast else "plain"


@dataclass(frozen=True)
class Speeds:
    """What a short probe measured on the CPU: matrix products in GFLOP/s, and a convolution in ms.

    ``bf16`` is None on a processor without bf16 products, where emulating one takes tens of times as long as in fp32.
    The convolution is of 4x4 maps, forward and backward, in bf16 where there is bf16.
    """

    fp32: float
    bf16: float | None
    convolution_plain: float
    convolution_fast: float


def choose(
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    *,
    gflop: float,
    fast: str = "auto",
    measure: Callable[[int], Speeds] | None = None,
) -> Choice:
    """Decides what "auto" leaves open.

    Args:
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        precision: "auto", "fp32" or "bf16".
        threads: CPU threads; None takes every core that this process may use.
        gflop: arithmetic of one training step in 1e9 operations; small steps stay in fp32.
        fast: "auto" for the fast paths of layers, and CUDA graphs; "off" for the plain layers that define them.
        measure: threads -> speeds of the CPU; called only where bf16 is a choice. None trusts what the CPU reports.

    Raises:
        UserError: a device that is not there, a precision that is unknown or only emulated, or an absurd number of
            threads.
    """
    why = {}
    where, why["device"] = _device(device)
    cores = available_cores()
    if threads is None:
        threads, why["threads"] = cores, f"every core this process may use ({cores})"
    elif not 1 <= threads <= 1024:
        raise UserError(f"`threads` {threads}: give a number from 1 to 1024 (this process may use {cores} cores)")
    else:
        why["threads"] = "requested"
    kind, why["precision"] = _precision(precision, where, gflop, None if measure is None else lambda: measure(threads))
    if fast not in {"auto", "off"}:
        raise UserError(f"`fast` {fast}: choose auto or off")
    why["layers"] = "requested" if fast == "off" else "equal to the plain ones, in fewer operations"
    if where.startswith("cuda") and fast != "off":
        why["layers"] += "; a step is captured as CUDA graphs"
    return Choice(where, kind, threads, why, fast != "off")


def available_cores() -> int:
    """Cores that this process may run on; where torchrun started several on this machine, its share of them."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    beside = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, here // int(beside)) if beside.isdecimal() and int(beside) else here


def keep_freed_memory() -> bool:
    """Has glibc keep up to 256 MB that the process frees, where by default it gives most of it back to the system.

    A training step frees what the next one needs again: 900 page faults a step of `house`. It is a setting of the whole
    process, so it is for programs to call, such as the command line, before they compute. Returns whether the C library
    has it; others are left as they are.
    """
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(trim_threshold, 256 << 20) and library.mallopt(mmap_threshold, 32 << 20))


def nominal_seconds(gflop: float, *, device: str, precision: str = "fp32") -> float:
    """Seconds of so much arithmetic on one core, or on one GPU, by rule of thumb: 80 GFLOP/s, 180 in bf16.

    For choices that must be the same each time a command is given, and so cannot depend on a clock; only ratios count.
    """
    if device.startswith("cuda"):
        return gflop / 20_000
    return gflop / (180 if precision == "bf16" else 80)


def _device(name: str) -> tuple[str, str]:
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            rank = os.environ.get("LOCAL_RANK", "0")  # torchrun's: each process of a machine has a GPU of its own
            own = int(rank) if rank.isdecimal() else 0
            return f"cuda:{own}" if own else "cuda", f"found {torch.cuda.get_device_name(own)}"
        return "cpu", "no CUDA device found"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"`device` {name}: not a device; try auto, cpu or cuda") from None
    missing = (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing or device.type not in {"cpu", "cuda", "mps"}:
        raise UserError(f"`device` {name}: this machine or this build of torch has none; try `device` auto")
    return name, "requested"


def _precision(name: str, device: str, gflop: float, measure: Callable[[], Speeds] | None) -> tuple[Precision, str]:
    if name not in {"auto", "fp32", "bf16"}:
        raise UserError(f"`precision` {name}: choose auto, fp32 or bf16")
    if name != "auto":
        check_precision(name, device)
        return name, "requested"  # type: ignore[return-value]
    fast, how = bf16_support(device)
    if not fast:
        return "fp32", how
    if gflop < SMALL_STEP_GFLOP:
        return "fp32", f"a step is only {gflop:.2g} GFLOP: casting would cost what bf16 gains"
    if device != "cpu" or measure is None:
        return "bf16", how
    speeds = measure()
    assert speeds.bf16 is not None
    found = f"{speeds.bf16:.0f} GFLOP/s of products against {speeds.fp32:.0f} in fp32"
    if speeds.bf16 < BF16_MARGIN * speeds.fp32:
        return "fp32", f"{how}, but measured only {found}"
    return "bf16", f"{how}: measured {found}"


def check_precision(precision: str, device: str) -> None:
    """Raises UserError for bf16 on a device without bf16 products, unless GANSMITH_EMULATE_BF16=1 insists on it."""
    if precision != "bf16" or os.environ.get(EMULATE_BF16) == "1":
        return
    fast, how = bf16_support(device)
    if not fast:
        slow = "emulating them takes tens of times as long as fp32"
        raise UserError(f"`precision` bf16: {how}, and {slow}; choose auto or fp32, or insist by {EMULATE_BF16}=1")


def bf16_support(device: str) -> tuple[bool, str]:
    """Whether the device has bf16 products, and a phrase that says so."""
    import torch

    if device.startswith("cuda"):
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return fast, "the GPU has bf16 products" if fast else "the GPU has no bf16 products"
    if device != "cpu":
        return False, f"bf16 is not used on {device}"
    for probe, name in (("_is_amx_tile_supported", "AMX"), ("_is_avx512_bf16_supported", "AVX-512 bf16")):
        if getattr(torch.cpu, probe, lambda: False)():
            return True, f"the CPU has {name}"
    return False, "the CPU has no bf16 products"


def processor() -> str:
    """The processor's name, as the system reports it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
