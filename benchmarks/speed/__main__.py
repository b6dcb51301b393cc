"""Measures, writes benchmarks/results/<machine>.json, and puts the tables into docs/performance.md."""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.speed import table
from benchmarks.speed.group import PEERS, ROOT, interpreter
from benchmarks.speed.measure import QUICK, Plan, measure, others_share
from gansmith import hardware


def main() -> None:
    """See the package's docstring."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="4 to 5 minutes")
    parser.add_argument("--cores", type=int, default=hardware.available_cores(), help="that each peer may use")
    parser.add_argument("--recipes", nargs="+", help="only these")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the JSON file")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs" / "performance.md", help="takes the tables")
    arguments = parser.parse_args()
    plan = replace(QUICK if arguments.quick else Plan(), cores=arguments.cores)
    if arguments.recipes:
        plan = replace(plan, recipes=tuple(arguments.recipes))
    if interpreter("keras") is None:
        print("Keras is not installed here: `make bench` installs it; going on without")
    path = run(plan, arguments.out, quick=arguments.quick)
    if not arguments.quick and not arguments.recipes:
        table.update(arguments.docs, json.loads(path.read_text()))
        print(f"tables: {arguments.docs}")


def run(plan: Plan, out: Path, *, quick: bool = False) -> Path:
    """Measures a plan and writes its JSON file, named after the machine."""
    start, load, share = time.perf_counter(), os.getloadavg()[0], others_share()
    found = measure(plan, print)
    elsewhere = share()
    if elsewhere > table.BUSY:
        print(f"warning: other processes took {elsewhere:.0%} of the cores; the ratios are worth more than the times")
    results = {
        "format": 1,
        "when": time.strftime("%Y-%m-%d"),
        "quick": quick,
        "machine": machine(plan.cores),
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "load_before": round(load, 2),
        "share_of_other_processes": round(elsewhere, 3),
        **_rounded(found),
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{slug(results['machine'])}{'-quick' if quick else ''}.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"results: {path}")
    return path


def machine(cores: int) -> dict[str, Any]:
    """What computed: versions and hardware, no names or paths."""
    import torch

    versions = {name: _version(name) for name in ("gansmith", "torch", "keras", "tensorflow-cpu", "numpy")}
    return {
        "processor": hardware.processor(),
        "cores": cores,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "bf16": hardware.bf16_support("cpu")[1],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "peers": [peer.name for peer in PEERS if interpreter(peer.module)],
        **versions,
    }


def slug(about: dict[str, Any]) -> str:
    """A file name: amd-epyc-avx512-2-cores."""
    words = f"{about['processor']} {about['cpu_capability']} {about['cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
