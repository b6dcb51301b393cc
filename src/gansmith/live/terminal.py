"""Training as the terminal shows it: one live panel for a person who watches, plain lines for a log, or nothing.

Built for the hot path: an event that needs no drawing costs well under ten microseconds.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from gansmith.text import printable
from gansmith.training.events import Event, Measured, Progress, Saved

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

__all__ = ["Panel"]

LIVE_SECONDS = 0.4  # between two drawings of the panel
LINE_SECONDS = 5.0  # at least, between two plain lines
LINE_SECONDS_AT_MOST = 30.0
LINE_SHARE = 0.05  # of the whole training: a line each twentieth
WINDOW_SECONDS = 15.0  # the rate is that of the last so many seconds
WIDEST = 110  # characters
TOLD_AT_MOST = 2  # lines of warning in the panel
LARGEST_TILE = 18  # characters across one image of the preview


class Panel:
    """Shows a training's events; an observer and a context manager.

    Args:
        total_steps: where training ends; None when time ends it.
        minutes: how long this training may take from here; None when steps end it. With both, whichever comes first.
        start_step: the step it goes on from.
        batch_size: images a step.
        live: one panel that is drawn again and again; None: if `file` is a terminal that can.
        said: what a Frechet distance means, in words; none if not given.
        quiet: show nothing at all.
        file: where to; standard output if None.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        *,
        total_steps: int | None,
        minutes: float | None = None,
        start_step: int = 0,
        batch_size: int,
        live: bool | None = None,
        said: Callable[[float], str] | None = None,
        quiet: bool = False,
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._seconds = total_steps, None if minutes is None else minutes * 60
        self._file = sys.stdout if file is None else file
        self._clock = clock
        self._quiet = quiet
        self._is_live = _can_redraw(self._file) if live is None else live
        self._start_step = self._step = start_step
        self._batch_size, self._images = batch_size, start_step * batch_size
        self._metrics: Mapping[str, float] = {}
        self._saved: int | None = None
        self._said = said
        self._quality = ""
        self._snapshot: tuple[int, Any] | None = None
        self._drawn: tuple[object, RenderableType | None] = (None, None)
        self._told: dict[str, str] = {}
        self._live: Live | None = None
        self._ended = False
        self._begin()

    def __enter__(self) -> Self:
        if not self._quiet:
            self._begin()
            if self._is_live:
                self._open_live()
            else:
                self._write(self._announcement())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        if not self._quiet:
            self._draw()
        if self._live is not None:
            live, self._live = self._live, None
            with suppress(OSError):
                live.stop()

    def __call__(self, event: Event) -> None:
        """Receives an event of the training loop."""
        if isinstance(event, Progress):
            self._step, self._images = event.step, event.images
            if event.metrics is not None:
                self._metrics = event.metrics
            self._now = self._clock()
            if self._now >= self._due and not self._quiet:
                self._draw_if_worth_it()
            return
        if isinstance(event, Measured):  # quality is shown; signals are the doctor's business
            if "fd" in event.values:
                distance = event.values["fd"]
                words = self._said(distance) if self._said else ""
                self._quality = f"FD {distance:.3g}" + (f", {words}" if words else "")
            return
        if isinstance(event, Saved):
            self._saved = event.step
        else:
            self._snapshot = event.step, event.images
            if self._step == self._start_step:
                self._begin()  # what came before was preparation
        if self._live is not None:
            self._draw()

    def tell(self, name: str, line: str, *, over: bool = False) -> None:
        """Says something that a person should know now: a line of its own in a log, in the panel until it is over."""
        self._told.pop(name, None)
        line = printable(line)
        if not over:
            self._told[name] = line
        if self._live is None and not self._is_live and not self._quiet:
            self._write(line)

    def _begin(self) -> None:
        self._now = self._started = now = self._clock()
        self._window = deque([(now, self._step)])
        self._line_at, self._line_share = now, 0.0
        self._due = now + (LIVE_SECONDS if self._is_live else LINE_SECONDS)

    def _open_live(self) -> None:
        from rich.console import Console
        from rich.live import Live

        class Screen(Console):
            def on_broken_pipe(self) -> None:
                self.quiet = True  # the terminal is gone; training is not

        # It is drawn when an event asks for it: no thread beside training.
        console = Screen(file=self._file, force_terminal=True)
        self._live = Live(self._panel(console), console=console, auto_refresh=False)
        self._live.start(refresh=True)

    def _draw_if_worth_it(self) -> None:
        now = self._now
        if self._is_live:
            self._due = now + LIVE_SECONDS
            self._draw()
            return
        self._measure()
        share, since = self._share(), now - self._line_at
        self._due = now + 1
        if since >= LINE_SECONDS_AT_MOST or share - self._line_share >= LINE_SHARE:
            self._line_at, self._line_share, self._due = now, share, now + LINE_SECONDS
            self._draw()

    def _draw(self) -> None:
        self._measure()
        if self._live is not None:
            try:
                self._live.update(self._panel(self._live.console), refresh=True)
            except OSError:
                self._quiet = True
        elif not self._is_live:
            self._write(self._line())

    def _write(self, line: str) -> None:
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError:
            self._quiet = True

    def _measure(self) -> None:
        """Note where training is; forget what is older than the window, but keep two points."""
        now = self._now
        if now > self._window[-1][0]:
            self._window.append((now, self._step))
        while len(self._window) > 2 and self._window[1][0] <= now - WINDOW_SECONDS:
            self._window.popleft()

    def _steps_per_second(self) -> float:
        """Of the window; of the whole training once it has ended."""
        (then, before), (now, step) = self._window[0], self._window[-1]
        if self._ended:
            then, before = self._started, self._start_step
        return (step - before) / (now - then) if now > then else 0.0

    def _share(self) -> float:
        """How much of the training is done, 0 to 1, by whichever of steps and time is nearer to its end."""
        shares = [0.0]
        if self._total is not None and self._total > self._start_step:
            shares.append((self._step - self._start_step) / (self._total - self._start_step))
        if self._seconds:
            shares.append((self._now - self._started) / self._seconds)
        return min(1.0, max(shares))

    def _remaining(self) -> float | None:
        """Seconds to go; None as long as nobody can know."""
        ends = [] if self._seconds is None else [self._started + self._seconds - self._now]
        rate = self._steps_per_second()
        if self._total is not None and rate > 0:
            ends.append((self._total - self._step) / rate)
        return max(0.0, min(ends)) if ends else None

    def _announcement(self) -> str:
        """`training to step 2,000`, `going on from step 500 for 2:00`."""
        start = f"going on from step {self._start_step:,}" if self._start_step else "training"
        goals = [] if self._total is None else [f"to step {self._total:,}"]
        goals += [] if self._seconds is None else [f"for {_clock_time(self._seconds)}"]
        return f"{start} {' or '.join(goals)}".rstrip()

    def _place(self) -> str:
        return f"step {self._step:,}" + ("" if self._total is None else f" of {self._total:,}")

    def _pace(self) -> str:
        """`12,345 images/s, 0:42 left`."""
        rate = self._steps_per_second() * self._batch_size
        parts = [f"{rate:,.0f} images/s"] if rate >= 10 else [f"{rate:.1f} images/s"] if rate > 0 else []
        remaining = self._remaining()
        if self._ended:
            parts.append(f"took {_clock_time(self._now - self._started)}")
        elif self._share() >= 1:
            parts.append("drawing the pictures")
        elif remaining is not None:
            parts.append(f"{_clock_time(remaining)} left")
        return ", ".join(parts)

    def _line(self) -> str:
        """One plain line, ASCII only: where training is, how fast, and how the players are doing."""
        parts = [f"{self._place()} ({self._share():.0%})", self._pace()]
        for name, form in (("loss", ".3f"), ("accuracy", ".2f")):
            values = [self._metrics.get(f"{player}_{name}") for player in ("discriminator", "generator")]
            if None not in values:
                parts.append(f"{name} D {values[0]:{form}} G {values[1]:{form}}")
        parts.append(self._quality)
        if self._saved is not None:
            parts.append(f"saved at {self._saved:,}")
            self._saved = None
        return " | ".join(part for part in parts if part)

    def _panel(self, console: "Console") -> "RenderableType":
        from rich import box
        from rich.console import Group
        from rich.panel import Panel as Frame
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        width = min(console.width, WIDEST)
        share = self._share()
        bar = Table.grid(expand=True, padding=(0, 1))
        bar.add_column(ratio=1)
        bar.add_column(justify="right", no_wrap=True)
        progress = ProgressBar(total=1.0, completed=share, complete_style="cyan", finished_style="green")
        bar.add_row(progress, f"{share:.0%}")
        saved = "" if self._saved is None else f"saved at step {self._saved:,}"
        pieces = (f"{self._images:,} images", self._pace(), saved, self._quality)
        where = Text(", ".join(part for part in pieces if part))
        parts: list[RenderableType] = [bar, where, _players(self._metrics)]
        told = [Text(line, style="yellow") for line in list(self._told.values())[-TOLD_AT_MOST:]]
        parts += told
        height = sum(len(line.wrap(console, width - 4)) for line in (where, *told))
        preview = self._preview(console, width - 4, console.height - 10 - height)
        if preview is not None and self._snapshot is not None:
            parts += [Text(f"\nthe same noise at step {self._snapshot[0]:,}", style="dim"), preview]
        title = self._place()
        frame = Frame(Group(*parts), title=title, title_align="left", width=width, box=box.ROUNDED, border_style="cyan")
        # An empty line below, until the end, for what keys write, such as ^C: after the last line it would wrap.
        return frame if self._ended else Group(frame, Text())

    def _preview(self, console: "Console", width: int, height: int) -> "RenderableType | None":
        """Samples of the last snapshot in characters: eight or more, as large as the room allows."""
        if self._snapshot is None or not console.encoding.lower().startswith("utf"):
            return None
        step, images = self._snapshot
        colour = not console.no_color and console.color_system in {"256", "truecolor"}
        key = (step, width, height, colour)
        if self._drawn[0] != key:
            self._drawn = key, _fitted(console, images, width, height, colour)
        return self._drawn[1]


def _fitted(console: "Console", images: Any, width: int, height: int, colour: bool) -> "RenderableType | None":
    from rich.segment import SegmentLines
    from rich.text import Text

    from gansmith import render

    best: tuple[int, int, int] | None = None
    for columns, rows in ((8, 1), (8, 2), (7, 2), (6, 2), (5, 2), (4, 2)):
        across = min(images.shape[3], LARGEST_TILE, (width - columns + 1) // columns)
        lines = rows * round(across * images.shape[2] / images.shape[3] / 2) + rows - 1
        if across >= 6 and lines <= height and (best is None or (across, columns * rows) > best[:2]):
            best = across, columns * rows, columns
    if best is None:
        return None
    across, count, columns = best
    text = render.blocks(images[:count], columns=columns, colour=colour, width=columns * (across + 1) - 1)
    drawn = Text.from_ansi(text) if colour else Text(text)
    # Kept as segments: the same preview is drawn many times.
    return SegmentLines(console.render_lines(drawn, console.options.update(width=width), pad=False), new_lines=True)


def _players(metrics: Mapping[str, float]) -> "RenderableType":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right", min_width=6)
    table.add_column(justify="right", min_width=6)
    table.add_row("", "loss", "accuracy", style="dim")
    for player in ("discriminator", "generator"):
        loss, accuracy = metrics.get(f"{player}_loss"), metrics.get(f"{player}_accuracy")
        table.add_row(player, "-" if loss is None else f"{loss:.3f}", "-" if accuracy is None else f"{accuracy:.2f}")
    return table


def _can_redraw(file: TextIO) -> bool:
    return file.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}


def _clock_time(seconds: float) -> str:
    """`0:42`, `12:05`, `3:02:01`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
