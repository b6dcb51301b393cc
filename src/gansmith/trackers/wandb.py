"""Weights & Biases: online where there is a key, else offline in the run's folder wandb/, for `wandb sync`."""

import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from gansmith.trackers.adapter import About

if TYPE_CHECKING:
    from PIL.Image import Image


class WandB:
    """One run of Weights & Biases; a run that goes on keeps its id."""

    def init(self, about: About) -> None:
        """Begins a run of the project; $WANDB_MODE, $WANDB_PROJECT and wandb's other variables hold."""
        import wandb

        mode: Literal["offline"] | None = None
        if not os.environ.get("WANDB_MODE") and not wandb.login(prompt=False):
            mode = "offline"  # without an account nobody is asked for one
        where = hashlib.sha256(str(about.path.absolute()).encode()).hexdigest()[:8]
        self._wandb: Any = wandb
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or about.project,
            name=about.name,
            id=f"{about.name}-{where}",
            resume="allow" if about.start_step else None,
            dir=str(about.path),
            config=dict(about.config),
            mode=mode,
            settings=wandb.Settings(silent=True),
        )

    def log(self, step: int, values: Mapping[str, float], sheet: "Image | None") -> None:
        """Logs numbers, or a sheet as an image."""
        image = {} if sheet is None else {"fixed noise": self._wandb.Image(sheet, caption=f"step {step:,}")}
        self._run.log({**values, **image}, step=step)

    def finish(self, state: str) -> None:
        """Ends the run: exit code 1 for a training that failed."""
        self._run.finish(exit_code=int(state in {"failed", "diverged"}))
