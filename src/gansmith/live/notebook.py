"""Training as a notebook shows it: one display that is updated, with the sheet of the fixed noise and the curves."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from gansmith import markup
from gansmith.text import amount, duration
from gansmith.training.events import Event, Measured, Progress, Snapshot

SECONDS = 1.0
"""Between two updates, at least."""
POINTS = 160
"""Of a curve."""
WIDTH, HEIGHT = 300, 120
COLOURS = {"discriminator_loss": "#b45309", "generator_loss": "#0e7490", "fd": "#4d7c0f"}


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel, which shows HTML."""
    module = sys.modules.get("IPython")
    shell = module and module.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class Notebook:
    """Shows a training's events; an observer and a context manager.

    Args:
        total_steps: where training ends; None when time ends it.
        minutes: how long it may take from here; None when steps end it.
        start_step: the step it goes on from.
        said: what a Frechet distance means, in words.
        show: called once with the first HTML; what it returns is called with each that follows. IPython's if None.
    """

    def __init__(
        self,
        *,
        total_steps: int | None,
        minutes: float | None = None,
        start_step: int = 0,
        said: Callable[[float], str] | None = None,
        show: Callable[[str], Callable[[str], None]] | None = None,
    ) -> None:
        self._total, self._seconds = total_steps, None if minutes is None else 60 * minutes
        self._start = self._step = start_step
        self._said, self._show = said, show or _display
        self._curves: dict[str, list[tuple[int, float]]] = {name: [] for name in COLOURS}
        self._sheet, self._sheet_step = "", start_step
        self._update: Callable[[str], None] | None = None
        self._began = self._due = time.monotonic()
        self._ended = ""

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._update = self._show(self.html())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took = duration(time.monotonic() - self._began)
        self._ended = f"took {took}" if error is None else f"stopped after {took}"
        if self._update is not None:
            self._update(self.html())

    def __call__(self, event: Event) -> None:
        """Receives an event of the training loop."""
        if isinstance(event, Progress):
            self._step = event.step
            self._note(event.step, event.metrics or {})
        elif isinstance(event, Measured):
            self._note(event.step, event.values if event.kind == "quality" else {})
        elif isinstance(event, Snapshot):
            from gansmith import render

            sheet = render.sheet(event.images[:32], columns=event.columns, scale=2)
            self._sheet = markup.picture(render.png(sheet), alt="images of the same noise")
            self._sheet_step = event.step
        now = time.monotonic()
        if self._update is not None and now >= self._due:
            self._due = now + SECONDS
            self._update(self.html())

    def html(self) -> str:
        """What is shown now."""
        share = self._share()
        goal = "" if self._total is None else f" of {self._total:,}"
        bar = (
            f'<div style="background:#e5e7eb;width:{2 * WIDTH}px;max-width:100%;height:6px;margin:4px 0">'
            f'<div style="background:#0e7490;width:{100 * share:.1f}%;height:6px"></div></div>'
        )
        curves = [
            _curves("losses", {name: self._curves[name] for name in ("discriminator_loss", "generator_loss")}),
            _curves("Frechet distance", {"fd": self._curves["fd"]}),
        ]
        sheet = self._sheet and f"<div>{markup.line(f'the same noise at step {self._sheet_step:,}')}{self._sheet}</div>"
        row = f'<div style="display:flex;flex-wrap:wrap;gap:16px">{sheet}<div>{"".join(curves)}</div></div>'
        return markup.block(markup.line(f"step {self._step:,}{goal}", strong=True), bar, markup.line(self._pace()), row)

    def _note(self, step: int, values: Mapping[str, float]) -> None:
        for name, curve in self._curves.items():
            if name in values:
                curve.append((step, values[name]))
                if len(curve) > 2 * POINTS:
                    del curve[1:-1:2]

    def _share(self) -> float:
        """How much is done, 0 to 1."""
        shares = [0.0]
        if self._total is not None and self._total > self._start:
            shares.append((self._step - self._start) / (self._total - self._start))
        if self._seconds:
            shares.append((time.monotonic() - self._began) / self._seconds)
        return min(1.0, max(shares))

    def _pace(self) -> str:
        """`181 steps/s, 12 s left; FD 3.2, far from real`."""
        spent = time.monotonic() - self._began
        rate, share = (self._step - self._start) / max(spent, 1e-9), self._share()
        parts = [f"{rate:,.3g} steps/s"] if rate and not self._ended else []
        if self._ended:
            parts.append(f"{amount(self._step - self._start, 'step')}, {self._ended}")
        elif share >= 1:
            parts.append("drawing the pictures")
        elif share > 0 and spent > 2:
            parts.append(f"about {duration(spent / share - spent)} left")
        if self._curves["fd"]:
            distance = self._curves["fd"][-1][1]
            parts.append(f"Frechet distance {distance:.3g}" + (f", {self._said(distance)}" if self._said else ""))
        return "; ".join(parts)


def _curves(title: str, curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """A small plot as SVG; nothing for curves without two points."""
    drawn = {name: points for name, points in curves.items() if len(points) > 1}
    if not drawn:
        return ""
    steps = [step for points in drawn.values() for step, _ in points]
    values = [value for points in drawn.values() for _, value in points]
    left, right, low, high = min(steps), max(steps), min(values), max(values)
    paths = []
    for name, points in drawn.items():
        places = " ".join(
            f"{WIDTH * (step - left) / max(1, right - left):.1f},"
            f"{4 + (HEIGHT - 8) * (1 - (value - low) / max(high - low, 1e-9)):.1f}"
            for step, value in points
        )
        paths.append(f'<polyline fill="none" stroke="{COLOURS[name]}" stroke-width="1.5" points="{places}"/>')
    names = " ".join(
        f'<span style="color:{COLOURS[name]}">{name.replace("_loss", "")} {points[-1][1]:.3g}</span>'
        for name, points in drawn.items()
        if name != "fd"
    )
    head = f"<div>{title} {names} <small>from {low:.3g} to {high:.3g}</small></div>"
    box = f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" style="background:#f9fafb">'
    return f"{head}{box}{''.join(paths)}</svg>"


def _display(html: str) -> Callable[[str], None]:
    shown: Any = import_module("IPython.display")
    handle = shown.display(shown.HTML(html), display_id=True)
    return lambda fresh: handle.update(shown.HTML(fresh))
