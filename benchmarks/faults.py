"""What becomes of a training of several processes when one is killed, slowed or runs out of disk.

    python benchmarks/faults.py --kills 20 --processes 2

Each fault is made in a real launch of torchrun, which restarts the processes; the weights it ends with are compared
with those of a launch that nothing happened to, of as many processes.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gansmith.files import read_tensors

SMALL = ["--recipe", "mlp", "--batch-size", "13", "--threads", "1"]
LENGTH = ["--steps", "1500", "--checkpoint-every", "100"]
NARROW = ["--generator.width", "0.1", "--discriminator.width", "0.1", "--evaluate-every", "0", "--signals-every", "0"]
Act = Callable[[subprocess.Popen[bytes], Path], str]


def source(folder: Path) -> Path:
    """Some images to train on."""
    path = folder / "noise.npz"
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8), np.uint8)
    np.savez(path, images=images)
    return path


def command(data: Path, out: Path, *, processes: int, restarts: int, more: list[str] | None = None) -> list[str]:
    """A training under torchrun."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    start += ["--max-restarts", str(restarts), "--monitor-interval", "0.1"]
    verb = ["-m", "gansmith", "train", str(data), "--seed", "1", "--out", str(out), *SMALL, *NARROW, "--quiet"]
    return [sys.executable, *start, *verb, *(more or LENGTH)]


def launch(line: list[str], out: Path, act: Act | None = None, **more: str) -> tuple[int, str, float, str]:
    """(exit code, what gansmith said, seconds, what was done) of a launch during which ``act`` does something."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **more}
    begun = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    with (out / "said").open("w+b") as said:
        process = subprocess.Popen(line, stdout=said, stderr=said, env=environment)
        done = "" if act is None else act(process, out)
        code = process.wait(timeout=600)
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    ours = [each for each in lines if each.startswith("gansmith:") or "Error" in each or "interrupted" in each]
    return code, " / ".join(ours), time.monotonic() - begun, done


def children(process: subprocess.Popen[bytes]) -> dict[int, int]:
    """The processes that torchrun started, by rank."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if f"\nPPid:\t{process.pid}\n" not in (folder / "status").read_text():
                    continue
                values = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            ranks = [int(value[5:]) for value in values if value.startswith(b"RANK=")]
            if ranks:
                found[ranks[0]] = int(folder.name)
    return found


def step_of(out: Path) -> int:
    """The newest checkpoint's step; 0 before there is one."""
    return max((int(path.name[5:]) for path in out.glob("*/checkpoints/step-*")), default=0)


def kill(rank: int, after: float, number: int = signal.SIGKILL) -> Act:
    """Sends a signal to a rank, so many seconds after the first checkpoint."""

    def act(process: subprocess.Popen[bytes], out: Path) -> str:
        while step_of(out) == 0 and process.poll() is None:
            time.sleep(0.02)
        time.sleep(after)
        target = children(process).get(rank)
        if target is None:
            return "too late"
        os.kill(target, number)
        return f"{signal.Signals(number).name} to process {rank} after step {step_of(out)}"

    return act


def slow(rank: int) -> Act:
    """Makes a rank ten times slower for five seconds: stopped for 9 tenths of the time."""

    def act(process: subprocess.Popen[bytes], out: Path) -> str:
        while step_of(out) == 0 and process.poll() is None:
            time.sleep(0.02)
        target, until = children(process).get(rank), time.monotonic() + 5
        while target is not None and time.monotonic() < until and process.poll() is None:
            os.kill(target, signal.SIGSTOP)
            time.sleep(0.09)
            os.kill(target, signal.SIGCONT)
            time.sleep(0.01)
        return f"process {rank} stopped for 9 tenths of 5 s"

    return act


def last(out: Path) -> Path:
    """The newest checkpoint."""
    return max(out.glob("*/checkpoints/step-*"), key=lambda path: int(path.name[5:]))


def same(one: Path, other: Path) -> bool:
    """Whether two checkpoints hold the same bytes."""
    for file in ("generator", "discriminator", "generator_optimizer", "discriminator_optimizer"):
        a, b = (read_tensors(path / f"{file}.safetensors") for path in (one, other))
        if a.keys() != b.keys() or not all(np.array_equal(a[name].numpy(), b[name].numpy()) for name in a):
            return False
    return True


def main() -> None:
    """Prints a row of Markdown for each fault, and a summary as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance, folder = random.Random(given.seed), Path(tempfile.mkdtemp(prefix="gansmith-faults-"))
    data = source(folder)
    whole = folder / "whole"
    launch(command(data, whole, processes=given.processes, restarts=0), whole)
    print("| fault | exit | one line | runs | same bytes | seconds |\n| --- | --- | --- | --- | --- | --- |")
    faults: list[Act] = [kill(chance.randrange(given.processes), chance.random() * 3) for _ in range(given.kills)]
    faults.append(slow(given.processes - 1))
    good = 0
    for number, act in enumerate(faults):
        out = folder / f"fault-{number}"
        line = command(data, out, processes=given.processes, restarts=3)
        code, said, seconds, done = launch(line, out, act)
        runs, equal = len(list(out.glob("*/run.json"))) - 1, same(last(whole), last(out))  # less the link `last`
        good += code == 0 and runs == 1 and equal
        print(f"| {done} | {code} | {said} | {runs} | {'yes' if equal else 'NO'} | {seconds:.0f} |", flush=True)
    print(json.dumps({"faults": len(faults), "recovered": good}))


if __name__ == "__main__":
    main()
