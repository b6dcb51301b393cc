"""Peers in processes that take turns: while one computes, the others wait for a request."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gansmith.recipe import Recipe

ROOT = Path(__file__).parents[2]
PAUSE = 0.1  # seconds between turns: threads of the last one stop spinning


@dataclass(frozen=True)
class Peer:
    """Who computes, and in which precision."""

    name: str
    module: str
    precision: str
    without: tuple[str, ...] = ()  # recipes that nobody wrote for it


PEERS = (
    Peer("ours", "ours", "auto"),
    Peer("ours fp32", "ours", "fp32"),
    Peer("eager fp32", "eager", "fp32"),
    Peer("eager bf16", "eager", "bf16"),
    Peer("Keras", "keras", "fp32", without=("house",)),
)


def interpreter(module: str) -> str | None:
    """The Python that has what a peer needs: this one, or that of `make bench`; None without Keras."""
    if module != "keras" or (importlib.util.find_spec("keras") and importlib.util.find_spec("tensorflow")):
        return sys.executable
    other = ROOT / ".venv-bench" / "bin" / "python"
    return str(other) if other.exists() else None


class Process:
    """A worker for one peer."""

    def __init__(self, peer: Peer, cores: int) -> None:
        python = interpreter(peer.module)
        assert python is not None
        self.peer, self.started = peer, time.perf_counter()
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  (what libraries say: shown if a worker stops)
        environment = {**os.environ, "OMP_NUM_THREADS": str(cores), "PYTHONPATH": str(ROOT)}
        environment.pop("MKL_NUM_THREADS", None)
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.speed.worker", peer.module, str(cores)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            cwd=ROOT,
            env=environment,
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One request and its answer. Raises RuntimeError when the worker is gone."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            self._said.seek(0)
            raise RuntimeError(f"{self.peer.name} stopped at {do}: {self._said.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        time.sleep(PAUSE)
        return answer

    def begin(self, recipe: Recipe, images: Path | None) -> dict[str, Any]:
        """Builds a recipe and makes its first step; "start_seconds" is the time since the process began."""
        values = recipe.model_dump(mode="json")
        told = self.ask("build", recipe=values, precision=self.peer.precision, images=images and str(images))
        self.ask("steps", count=1)
        return {**told, "start_seconds": time.perf_counter() - self.started - 2 * PAUSE}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if error is not None:
            self._process.kill()
        self._process.wait()
        self._said.close()
