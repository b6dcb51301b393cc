"""The observer that passes events on to trackers, and keeps their failures from the training."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec

from gansmith import render
from gansmith.errors import UserError
from gansmith.runs import Run
from gansmith.text import one_line, printable
from gansmith.trackers.adapter import About, Adapter, Track
from gansmith.training.events import Event, Measured, Progress, Snapshot

_ADAPTERS = {
    "csv": ("gansmith.trackers.csv", "CSV", None),
    "mlflow": ("gansmith.trackers.mlflow", "MLflow", "mlflow"),
    "tensorboard": ("gansmith.trackers.tensorboard", "TensorBoard", "tensorboard"),
    "trackio": ("gansmith.trackers.trackio", "Trackio", "trackio"),
    "wandb": ("gansmith.trackers.wandb", "WandB", "wandb"),
}
"""Of each name: the module, the class in it, and the library that it needs, which is also the extra's name."""
NAMES = tuple(_ADAPTERS)


def chosen(track: Track) -> tuple[str | Adapter, ...]:
    """What ``track`` names, checked; nothing is imported.

    Raises UserError, in one line, for an unknown name, and one whose library is not installed.
    """
    several = [track] if isinstance(track, str | Adapter) else track
    if not isinstance(several, Sequence):
        raise UserError(f"`track` {one_line(ValueError(repr(track)))[:60]}: choose {', '.join(NAMES)}")
    for each in several:
        if isinstance(each, Adapter) and not isinstance(each, type):
            continue
        if not isinstance(each, str) or each not in _ADAPTERS:
            raise UserError(f"`track` {printable(str(each))[:60]}: choose {', '.join(NAMES)}")
        library = _ADAPTERS[each][2]
        if library is not None and find_spec(library) is None:
            raise UserError(f"`track` {each}: is not installed; pip install 'gansmith[{library}]'")
    return tuple(dict.fromkeys(several))


class Tracker:
    """An observer of one tracker. What the tracker raises becomes one warning, and training goes on without it."""

    def __init__(self, tracker: str | Adapter, about: About) -> None:
        self.name = tracker if isinstance(tracker, str) else type(tracker).__name__
        self._adapter: Adapter | None = None
        self._guarded(lambda: self._begin(tracker, about))

    def __call__(self, event: Event) -> None:
        """Receives an event of the training loop."""
        adapter = self._adapter
        if adapter is None:
            return
        if isinstance(event, Progress) and event.metrics is not None:
            values = {f"training/{name}": value for name, value in event.metrics.items()}
            self._guarded(lambda: adapter.log(event.step, values, None))
        elif isinstance(event, Measured):
            values = {f"{event.kind}/{name}": value for name, value in event.values.items()}
            self._guarded(lambda: adapter.log(event.step, values, None))
        elif isinstance(event, Snapshot):
            sheet = render.sheet(event.images, columns=event.columns)
            self._guarded(lambda: adapter.log(event.step, {}, sheet))

    def finish(self, state: str) -> None:
        """Says how training ended."""
        if self._adapter is not None:
            adapter = self._adapter
            self._guarded(lambda: adapter.finish(state))

    def _begin(self, tracker: str | Adapter, about: About) -> None:
        if isinstance(tracker, str):
            module, name, _ = _ADAPTERS[tracker]
            adapter: Adapter = getattr(import_module(module), name)()
        else:
            adapter = tracker
        adapter.init(about)
        self._adapter = adapter

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            with redirect_stdout(sys.stderr):  # what libraries say of themselves is not what a command was asked for
                call()
        except Exception as error:
            self._adapter = None
            why = printable(one_line(error))[:200]
            warnings.warn(f"tracker {self.name} stopped ({why}); the training goes on without it", stacklevel=2)


@contextmanager
def tracked(trackers: Sequence[str | Adapter], about: About) -> Iterator[list[Tracker]]:
    """The observers of a training's trackers, told at the end how it went; none but in the process of rank 0."""
    first = os.environ.get("RANK", "0") == "0"
    observers = [Tracker(each, about) for each in trackers] if first else []
    try:
        yield observers
    finally:
        state = Run(about.path).state
        for each in observers:
            each.finish("failed" if state == "unfinished" else state)
