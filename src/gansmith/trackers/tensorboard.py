"""TensorBoard: event files in the run's folder tensorboard/, which `tensorboard --logdir runs` shows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gansmith.trackers.adapter import About

if TYPE_CHECKING:
    from PIL.Image import Image


class TensorBoard:
    """Scalars, the sheets as images, and recipe and options as text."""

    def init(self, about: About) -> None:
        """Opens an event file; a run that goes on hides what was logged after its checkpoint."""
        from torch.utils.tensorboard import SummaryWriter

        purge = about.start_step + 1 if about.start_step else None
        writer: Any = SummaryWriter(str(about.path / "tensorboard"), purge_step=purge)
        rows = [f"| {name} | {value} |" for name, value in about.config.items()]
        writer.add_text("recipe and options", "\n".join(["| field | value |", "| --- | --- |", *rows]))
        self._writer = writer

    def log(self, step: int, values: Mapping[str, float], sheet: "Image | None") -> None:
        """Adds scalars, or an image."""
        import numpy as np

        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        if sheet is not None:
            self._writer.add_image("fixed noise", np.asarray(sheet.convert("RGB")), step, dataformats="HWC")

    def finish(self, state: str) -> None:
        """Writes what is left."""
        self._writer.close()
