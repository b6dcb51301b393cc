"""Progress in a terminal: what is said, how often, at which rate, and how little it costs."""

import io
import re
import subprocess
import sys
import timeit
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gansmith.live.terminal import Panel
from gansmith.training.events import Measured, Progress, Saved, Snapshot

METRICS = {
    "discriminator_loss": 0.6931,
    "generator_loss": 1.25,
    "discriminator_accuracy": 0.61,
    "generator_accuracy": 0.305,
}


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@dataclass
class Training:
    """A training that takes exactly as long as it is told."""

    batch_size: int = 64
    now: float = 100.0
    step: int = 0
    file: io.StringIO = field(default_factory=io.StringIO)

    def panel(self, **options: Any) -> Panel:
        options = {"total_steps": 1000, "batch_size": self.batch_size, "start_step": self.step} | options
        return Panel(file=self.file, clock=lambda: self.now, **options)

    def go(self, panel: Panel, steps: int, *, seconds_per_step: float = 0.125) -> None:
        for _ in range(steps):
            self.now += seconds_per_step
            self.step += 1
            panel(Progress(self.step, self.step * self.batch_size, METRICS if self.step % 10 == 0 else None))

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 1, 28, 28), dtype=np.uint8)


def visible(text: str) -> str:
    """What is left of the text without its escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_plain_lines_tell_step_rate_time_left_and_both_players() -> None:
    training = Training()
    with training.panel(total_steps=800) as panel:
        training.go(panel, 100)
    assert training.lines[0] == "training to step 800"
    assert training.lines[2] == (
        "step 80 of 800 (10%) | 512 images/s, 1:30 left | loss D 0.693 G 1.250 | accuracy D 0.61 G 0.30"
    )
    assert training.file.getvalue().isascii()


def test_plain_lines_come_every_five_seconds_of_a_short_training() -> None:
    training = Training()
    with training.panel() as panel:
        training.go(panel, 1000, seconds_per_step=0.05)
    assert 9 <= len(training.lines) <= 12


def test_plain_lines_come_every_thirty_seconds_of_a_long_training() -> None:
    training = Training()
    with training.panel(total_steps=100_000) as panel:
        training.go(panel, 600, seconds_per_step=1)
    assert 20 <= len(training.lines) <= 22


def test_slow_steps_each_get_their_line() -> None:
    training = Training()
    with training.panel(total_steps=5) as panel:
        training.go(panel, 5, seconds_per_step=60)
    assert [line.split(" (")[0] for line in training.lines[1:-1]] == [f"step {i} of 5" for i in range(1, 6)]
    assert "1.1 images/s, 3:00 left" in training.lines[2]


def test_the_last_line_tells_where_training_ended_and_that_it_is_saved(tmp_path: Path) -> None:
    training = Training()
    with training.panel(total_steps=20) as panel:
        training.go(panel, 20)
        panel(Saved(20, tmp_path))
        training.now += 500  # pictures are drawn
    assert training.lines[-1].startswith("step 20 of 20 (100%) | 512 images/s, took 0:02 | ")
    assert training.lines[-1].endswith("| saved at 20")


def test_the_rate_is_that_of_the_last_seconds() -> None:
    training = Training()
    with training.panel(total_steps=100_000) as panel:
        training.go(panel, 300, seconds_per_step=0.125)
        training.go(panel, 100, seconds_per_step=1)
    rates = [float(match[1]) for line in training.lines if (match := re.search(r"([\d.]+) images/s", line))]
    assert rates[0] == 512
    assert rates[-2] == 64
    assert rates[-1] == pytest.approx(400 * 64 / 137.5, abs=1), "the last line tells the mean of all"


def test_a_time_budget_decides_how_much_is_done_and_left() -> None:
    training = Training()
    with training.panel(total_steps=None, minutes=2) as panel:
        training.go(panel, 4, seconds_per_step=7.5)
        assert training.lines[0] == "training for 2:00"
        assert training.lines[-1].startswith("step 4 (25%) | 8.5 images/s, 1:30 left")


def test_of_steps_and_minutes_the_nearer_end_counts() -> None:
    training = Training()
    with training.panel(total_steps=100_000, minutes=1) as panel:
        training.go(panel, 4, seconds_per_step=7.5)
        assert training.lines[-1].startswith("step 4 of 100,000 (50%) | 8.5 images/s, 0:30 left")
    training = Training()
    with training.panel(total_steps=8, minutes=100) as panel:
        training.go(panel, 4, seconds_per_step=7.5)
        assert training.lines[-1].startswith("step 4 of 8 (50%) | 8.5 images/s, 0:30 left")


def test_a_resumed_training_counts_from_where_it_goes_on() -> None:
    training = Training(step=500)
    with training.panel(total_steps=508) as panel:
        training.go(panel, 4, seconds_per_step=7.5)
        assert training.lines[0] == "going on from step 500 to step 508"
        assert training.lines[-1].startswith("step 504 of 508 (50%) | 8.5 images/s, 0:30 left")


def test_preparation_is_not_training_time() -> None:
    training = Training()
    with training.panel(total_steps=None, minutes=2) as panel:
        training.now += 60
        panel(Snapshot(0, images()))
        training.go(panel, 4, seconds_per_step=7.5)
        assert training.lines[-1].startswith("step 4 (25%) | 8.5 images/s, 1:30 left")


@pytest.mark.parametrize("live", [True, False, None])
def test_quiet_says_nothing(live: bool | None, tmp_path: Path) -> None:
    training = Training(file=Terminal())
    with training.panel(live=live, quiet=True) as panel:
        panel(Snapshot(0, images()))
        training.go(panel, 1000)
        panel(Saved(1000, tmp_path))
    assert training.file.getvalue() == ""


def test_an_event_that_needs_no_drawing_costs_under_ten_microseconds() -> None:
    for live in (True, False):
        panel = Training().panel(live=live)
        event = Progress(1, 64, METRICS)
        assert min(timeit.repeat(lambda p=panel, e=event: p(e), number=2000, repeat=5)) / 2000 < 10e-6


def test_the_panel_is_drawn_a_few_times_a_second_however_fast_the_steps() -> None:
    training = Training(file=Terminal())
    with training.panel() as panel:
        training.go(panel, 1000, seconds_per_step=0.001)
        drawn = visible(training.file.getvalue()).count("discriminator")
    assert 3 <= drawn <= 6


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 30), (36, 12)])
def test_the_panel_fits_the_terminal_and_shows_all(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    width, height = size
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", str(height))
    training = Training(file=Terminal())
    with training.panel() as panel:
        panel(Snapshot(0, images()))
        training.go(panel, 500)
        training.file.truncate(0)
        training.file.seek(0)
        panel(Saved(500, tmp_path))
        drawn = visible(training.file.getvalue()).strip("\r\n")
    lines = [line.strip("\r") for line in drawn.split("\n")]
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    for told in ("step 500 of 1,000", "50%", "images/s", "1:02", "0.693", "1.250", "0.61", "saved"):
        assert told in drawn
    assert ("▀" in drawn) == (height > 12)
    previews = max(len(re.findall("▀+", line)) for line in lines)
    assert previews in ({0} if height <= 12 else set(range(4, 9)))


def test_the_panel_ends_and_gives_the_cursor_back_when_training_fails() -> None:
    training = Training(file=Terminal())

    def interrupted() -> None:
        with training.panel() as panel:
            training.go(panel, 100)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert training.file.getvalue().rstrip("\n").endswith("\x1b[?25h")
    assert "took 0:12" in visible(training.file.getvalue())


def test_without_colour_the_preview_is_shades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    training = Training(file=Terminal())
    with training.panel() as panel:
        panel(Snapshot(0, images()))
    text = training.file.getvalue()
    assert "▒" in text
    assert "▀" not in text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9;]*m", text), "a colour in spite of NO_COLOR"


@pytest.mark.parametrize(("term", "is_live"), [("xterm-256color", True), ("dumb", False)])
def test_a_terminal_that_cannot_redraw_gets_lines(monkeypatch: pytest.MonkeyPatch, term: str, is_live: bool) -> None:
    monkeypatch.setenv("TERM", term)
    training = Training(file=Terminal())
    with training.panel(live=None) as panel:
        training.go(panel, 100)
    assert ("\x1b[" in training.file.getvalue()) == is_live


def test_an_ascii_terminal_gets_ascii(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with io.TextIOWrapper(io.BytesIO(), encoding="ascii") as file:
        training = Training(file=file)  # type: ignore[arg-type]
        with training.panel(live=True) as panel:
            panel(Snapshot(0, images()))
            training.go(panel, 100)
            panel(Saved(100, tmp_path))


@pytest.mark.parametrize("live", [True, False])
def test_training_goes_on_when_nobody_reads(live: bool) -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    training = Training(file=Gone())
    if live:
        training.file = Terminal()
    with training.panel(live=live) as panel:
        if live:
            training.file.__class__ = Gone
        training.go(panel, 1000)
        assert training.step == 1000


def test_help_needs_no_torch_for_the_terminal() -> None:
    heavy = ("torch", "numpy", "PIL", "matplotlib")
    code = f"import sys, gansmith.live.terminal; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_panel_shows_what_is_told_until_it_is_over() -> None:
    for live, file in ((False, io.StringIO()), (True, Terminal())):
        with Panel(total_steps=10, batch_size=1, live=live, file=file) as panel:
            panel.tell("a", "doctor: something")
            panel(Measured(1, 1, "signals", {"gap": 1.0}))
            panel(Saved(1, Path("x")))
            assert "doctor: something" in file.getvalue()
            panel.tell("a", "doctor: no longer", over=True)
            file.truncate(0)
            panel(Saved(2, Path("x")))
            assert "doctor" not in file.getvalue()
    silent = io.StringIO()
    with Panel(total_steps=10, batch_size=1, quiet=True, file=silent) as panel:
        panel.tell("a", "doctor: something")
    assert not silent.getvalue()


def test_what_a_key_writes_stands_on_an_empty_line_below_the_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    training = Training(file=Terminal())
    with training.panel() as panel:
        panel(Snapshot(0, images(), None))
        training.go(panel, 10)
        assert visible(training.file.getvalue()).endswith("╯\n")  # ^C on a line as wide as the terminal would wrap
    assert visible(training.file.getvalue()).rstrip("\n").endswith("╯")


@pytest.mark.parametrize("told", [0, 2])
def test_the_panel_is_never_higher_than_the_terminal(told: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    training = Training(file=Terminal(), step=98_765_432)
    panel = training.panel(total_steps=10**9, minutes=60 * 24 * 30)
    with panel:
        panel(Snapshot(training.step, images(), None))
        for number in range(told):
            panel.tell(f"finding {number}", "a long warning of the doctor's " * 4)
        panel(Measured(training.step, 1, "quality", {"fd": 1234.5}))
        panel(Saved(98_765_432, Path("x")))
        training.go(panel, 10)
        last = training.file.getvalue().rpartition("\x1b[2K")[2]
        lines = visible(last).split("\n")
        assert "saved at step" in last  # the line that is long enough to wrap
        assert 10 < len(lines) <= 24
