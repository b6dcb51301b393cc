"""Trackio: a local dashboard in the shape of Weights & Biases; `trackio show` opens it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gansmith.trackers.adapter import About

if TYPE_CHECKING:
    from PIL.Image import Image


class Trackio:
    """One run of Trackio, kept where it keeps its own ($TRACKIO_DIR)."""

    def init(self, about: About) -> None:
        """Begins a run of the project."""
        import trackio

        self._trackio: Any = trackio
        trackio.init(
            project=about.project,
            name=about.name,
            config=dict(about.config),
            resume="allow" if about.start_step else "never",
        )

    def log(self, step: int, values: Mapping[str, float], sheet: "Image | None") -> None:
        """Logs numbers, or a sheet as an image."""
        image = {} if sheet is None else {"fixed noise": self._trackio.Image(sheet, caption=f"step {step:,}")}
        self._trackio.log({**values, **image}, step=step)

    def finish(self, state: str) -> None:
        """Ends the run."""
        self._trackio.finish()
