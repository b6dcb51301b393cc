"""Threads that wait for cores which other programs hold: told once, and told to be over."""

from pathlib import Path

import pytest

from gansmith import hardware
from gansmith.cli import main
from gansmith.live import cores
from gansmith.live.cores import WINDOW, Cores
from gansmith.training.events import Progress


class Machine:
    """A clock, and the processor's time of threads that got a share of their cores."""

    def __init__(self, threads: int) -> None:
        self.now = self.busy = 0.0
        self.told: list[tuple[str, bool]] = []
        self.cores = Cores(threads, self.tell, clock=lambda: self.now, busy=lambda: self.busy)

    def tell(self, name: str, line: str, *, over: bool) -> None:
        assert name == "cores"
        self.told.append((line, over))

    def run(self, seconds: float, busy: float) -> None:
        for _ in range(round(seconds / 0.5)):
            self.now, self.busy = self.now + 0.5, self.busy + 0.5 * busy
            self.cores(Progress(step=1, images=32, metrics=None))


def test_little_of_the_cores_is_told_once_and_when_it_is_over() -> None:
    machine = Machine(threads=2)
    machine.run(2 * WINDOW, busy=1.5)
    assert machine.told == []
    machine.run(4 * WINDOW, busy=0.5)
    ((line, over),) = machine.told
    assert line.startswith("the 2 threads get ")
    assert "--threads 1" in line
    assert not over
    machine.run(4 * WINDOW, busy=1.3)
    assert len(machine.told) == 1, "a little more is no reason to say that it is over, and soon the contrary"
    machine.run(4 * WINDOW, busy=1.5)
    assert machine.told[1:] == [("the 2 threads get 75% of their cores again", True)]


def test_one_thread_waits_for_no_other() -> None:
    machine = Machine(threads=1)
    machine.run(4 * WINDOW, busy=0.1)
    assert machine.told == []


def test_a_training_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(hardware, "keep_freed_memory", lambda: kept.append(True))
    monkeypatch.setattr(cores, "WINDOW", 0.001)
    monkeypatch.setattr(cores, "LITTLE", 100.0)
    monkeypatch.setattr(cores, "ENOUGH", 100.0)
    words = ["train", "mnist", "--recipe", "mlp", "--steps", "8", "--device", "cpu", "--evaluate-every", "0"]
    assert main([*words, "--threads", "2", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("the 2 threads get") == 1
    assert kept == [True]
    assert main([*words, "--threads", "1", "--out", str(tmp_path)]) == 0
    assert "of their cores" not in capsys.readouterr().out
