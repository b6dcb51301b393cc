"""What a person sees while training runs: a panel on a terminal, or one display in a notebook."""

import sys
from typing import TYPE_CHECKING

from gansmith.live.notebook import Notebook, in_notebook
from gansmith.live.terminal import Panel

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Notebook", "Panel", "display", "in_notebook"]


def display(
    wanted: bool | None,
    *,
    total_steps: int | None,
    minutes: float | None,
    start_step: int,
    batch_size: int,
    said: "Callable[[float], str] | None" = None,
) -> Panel | Notebook | None:
    """What shows a training here: an observer and context manager.

    Args:
        wanted: False for nothing; None for what suits, which is nothing where nobody watches; True for lines there.
        total_steps: where training ends; None when time ends it.
        minutes: how long it may take from here; None when steps end it.
        start_step: the step it goes on from.
        batch_size: images a step.
        said: what a Frechet distance means, in words.
    """
    if wanted is False:
        return None
    if in_notebook():
        return Notebook(total_steps=total_steps, minutes=minutes, start_step=start_step, said=said)
    if wanted is None and not sys.stderr.isatty():
        return None
    return Panel(
        total_steps=total_steps,
        minutes=minutes,
        start_step=start_step,
        batch_size=batch_size,
        said=said,
        file=sys.stderr,
    )
