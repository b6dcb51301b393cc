"""What becomes of a training of several processes when one is killed or slowed, is told to stop, or has no disk.

    python benchmarks/faults.py --kills 20 --processes 2

Each fault is made in a real launch of torchrun, which restarts the processes or is resumed; the weights it ends with
are compared with those of a launch that nothing happened to, of as many processes.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    ours = [each for each in lines if each.startswith("gansmith:") or "interrupted" in each]
    return code, " / ".join(ours), time.monotonic() - begun, done


def went_on(line: list[str], out: Path, **more: str) -> bool:
    """Whether a launch that was stopped goes on to its end with ``--resume last``."""
    verb = line.index("train") + 1
    code, said, *_ = launch([*line[:verb], "--resume", "last", "--out", str(out), "--quiet"], out, **more)
    if code:
        print(said, file=sys.stderr)
    return code == 0


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


def kills(number: int, processes: int, chance: random.Random, every: list[str]) -> Act:
    """Kills a rank at a random moment, so many times in one launch: from its start on, or after a checkpoint."""

    def act(process: subprocess.Popen[bytes], out: Path) -> str:
        known: set[int] = set()
        for _ in range(number):
            rank, early, wait = chance.randrange(processes), chance.random() < 0.5, chance.random()
            step = step_of(out)
            while process.poll() is None:
                there = children(process)
                if len(there) == processes and not known & set(there.values()):
                    break
                time.sleep(0.02)
            known |= set(children(process).values())
            while not early and step_of(out) <= step and process.poll() is None:
                time.sleep(0.02)
            time.sleep(wait * (15 if early else 3))
            target = children(process).get(rank)
            if target is None or process.poll() is not None:
                break
            os.kill(target, signal.SIGKILL)
            every.append(f"{rank} after step {step_of(out)}")
        return "SIGKILL: " + ", ".join(every[-number:])

    return act


def stop(number: int, rank: int | None) -> Act:
    """Sends a signal to a rank, or without one to torchrun, after the first checkpoint."""

    def act(process: subprocess.Popen[bytes], out: Path) -> str:
        while step_of(out) == 0 and process.poll() is None:
            time.sleep(0.02)
        os.kill(process.pid if rank is None else children(process)[rank], number)
        return f"{signal.Signals(number).name} to {'torchrun' if rank is None else f'process {rank}'}"

    return act


def slow(rank: int) -> Act:
    """Makes a rank ten times slower until the end: stopped for 9 tenths of the time."""

    def act(process: subprocess.Popen[bytes], out: Path) -> str:
        while step_of(out) == 0 and process.poll() is None:
            time.sleep(0.02)
        target = children(process).get(rank)
        with suppress(ProcessLookupError):
            while target is not None and process.poll() is None:
                os.kill(target, signal.SIGSTOP)
                time.sleep(0.09)
                os.kill(target, signal.SIGCONT)
                time.sleep(0.01)
        return f"process {rank} stopped for 9 tenths of the time"

    return act


@contextmanager
def small_disk(out: Path, megabytes: int) -> Iterator[None]:
    """A file system of so many MB at a folder; for the superuser."""
    out.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", out], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", out], check=True)


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


class Table:
    """The rows that are printed, each a launch with a fault, and how many of them ended as the unbroken one."""

    def __init__(self, folder: Path, processes: int) -> None:
        self.folder, self.processes, self.good, self.all = folder, processes, 0, 0
        self.data, self.whole = source(folder), folder / "whole"
        launch(command(self.data, self.whole, processes=processes, restarts=0), self.whole)
        print("| fault | exit | what is said | runs | same bytes | seconds |\n| --- | --- | --- | --- | --- | --- |")

    def row(self, act: Act | None, *, restarts: int, out: Path | None = None, **more: str) -> None:
        """A launch with a fault; one that ends before its time is resumed."""
        self.all += 1
        out = self.folder / f"fault-{self.all}" if out is None else out
        line = command(self.data, out, processes=self.processes, restarts=restarts)
        code, said, seconds, done = launch(line, out, act, **more)
        if code and act is None:
            subprocess.run(["mount", "-o", "remount,size=99m", out], check=True)
        ended = code == 0 or went_on(line, out)
        runs = len(list(out.glob("*/run.json"))) - 1  # less the link `last`
        equal = ended and same(last(self.whole), last(out))
        self.good += runs == 1 and equal
        row = (done or "disk full", code, said.replace(str(self.folder), ""), runs, "yes" if equal else "NO")
        print("|", " | ".join(map(str, row)), f"| {seconds:.0f} |", flush=True)


def main() -> None:
    """Prints a row of Markdown for each launch, and a summary as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--a-launch", type=int, default=4, help="kills in one launch")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    table = Table(Path(tempfile.mkdtemp(prefix="gansmith-faults-")), given.processes)
    table.row(slow(given.processes - 1), restarts=0)
    for number, rank in ((signal.SIGINT, None), (signal.SIGTERM, None), (signal.SIGINT, 0), (signal.SIGTERM, 1)):
        table.row(stop(number, rank), restarts=0)
    if os.getuid() == 0:
        with small_disk(table.folder / "disk", 1):
            table.row(None, restarts=0, out=table.folder / "disk")
    killed: list[str] = []
    while len(killed) < given.kills:
        many = min(given.a_launch, given.kills - len(killed))
        table.row(kills(many, given.processes, chance, killed), restarts=many)
    print(json.dumps({"launches": table.all, "as the unbroken one": table.good, "kills": len(killed)}))


if __name__ == "__main__":
    main()
