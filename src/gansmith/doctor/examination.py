"""Examining a run's folder: its rows, or where it has no signals its sheets, to findings and what was looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gansmith.doctor import signals
from gansmith.doctor.findings import Facts, Finding
from gansmith.doctor.rules import findings
from gansmith.doctor.table import Looks, looks
from gansmith.errors import UserError
from gansmith.evaluation import real
from gansmith.runs import Run, find, rows

LEAST = 3  # looks after warming up, below which nothing can be found


@dataclass(frozen=True)
class Examination:
    """What the doctor says of a run."""

    run: Run
    facts: Facts
    looks: Looks
    findings: Sequence[Finding]
    told: str
    """What was looked at."""
    not_looked_at: Sequence[str]
    """What could not be judged, and why."""

    @property
    def ill(self) -> bool:
        """Whether something is seriously wrong now."""
        return any(finding.ill for finding in self.findings)

    @property
    def judged(self) -> bool:
        """Whether there was enough to look at."""
        return self.facts.diverged or int((self.looks.steps > self.facts.warm_up).sum()) >= LEAST

    def __repr__(self) -> str:
        names = ", ".join(finding.name for finding in self.findings if finding.until is None)
        return f"Examination({self.run.name}: {self.verdict}{f', {names}' if names else ''})"

    @property
    def verdict(self) -> str:
        """ "ill", "healthy" or "not known"."""
        return "ill" if self.ill else "healthy" if self.judged else "not known"


def examine(where: str | Path | Run, *, out: str | Path = "runs", sheets: bool = True) -> Examination:
    """Looks through a run's folder, whatever its state, and says what is wrong with it.

    Args:
        where: the run, its folder, its name, or "last".
        out: where names are looked up.
        sheets: where there are no signals, look at the sheets of samples, for which the data are loaded.

    Raises UserError, in one line, when there is no such run or its folder is damaged.
    """
    run = where if isinstance(where, Run) else find(where, out=out)
    rows_of = {name: list(rows(run.path / f"{name}.jsonl")) for name in ("metrics", "signals", "quality")}
    signs = rows_of["signals"]
    from_sheets = not signs and sheets and not run.recipe.classes
    missing, without = [], ""
    if from_sheets:
        try:
            signs = of_sheets(run)
        except UserError as error:  # there is more to examine
            without = f", for {str(error).partition(';')[0]}"
    facts = facts_of(run, max([int(row["step"]) for row in rows_of["metrics"][-1:] + signs[-1:]], default=0))
    table = looks(rows_of["metrics"], signs, rows_of["quality"])
    if not rows_of["signals"]:
        missing.append("the discriminator's answers and all gradients: the run has no signals")
    if not signs:
        missing.append(f"the images{without}")
    elif not table.has("logit_holdout") and rows_of["signals"]:
        missing.append("whether the discriminator memorises: the data have no test split")
    if signs and not table.has("entropy"):
        missing.append("classes: the data have no labels, or too many")
    if facts.recipe.classes and not table.has("label_accuracy"):
        missing.append("labels")
    what = "sheets of samples" if from_sheets and signs else "looks"
    span = f" from step {int(table.steps[0]):,} to {int(table.steps[-1]):,}" if len(table) else ""
    told = f"{len(table):,} {what}{span}, {len(rows_of['metrics']):,} rows of metrics"
    return Examination(run, facts, table, findings(table, facts), told, missing)


def facts_of(run: Run, last_step: int = 0) -> Facts:
    """What the rules need to know of a run. Raises UserError when its folder is damaged."""
    return Facts(
        recipe=run.recipe,
        steps=run.settings.steps,
        diverged=run.state == "diverged",
        last_step=last_step,
        pixel_std=run.data.pixel_std,
        labelled=bool(run.data.classes),
        seed=run.settings.seed,
    )


def of_sheets(run: Run) -> list[dict[str, Any]]:
    """The signals that the sheets of a run without any still show.

    Each has 64 images: too few for the shares of single classes. Raises UserError where its data are gone or changed.
    """
    data = real.of_run(run)
    held = signals.holdout(data.train, data.fit)
    bank = signals.bank(run.recipe, data.train, held, seed=run.settings.seed, device=torch.device("cpu"))
    found = []
    for step, path in run.sheets():
        images = _cells(path, run.data.shape)
        if step and images is not None:
            seen = signals.seen(torch.from_numpy(images).float() / 255, bank)
            kept = {name: value for name, value in seen.items() if name not in {"least_share", "closer_to_train"}}
            found.append({"step": step, **kept})
    return found


def _cells(path: Path, shape: tuple[int, int, int]) -> np.ndarray | None:
    """The images uint8 (64, C, H, W) of a sheet of 8 columns as training draws it, or None if it is another."""
    channels, height, width = shape
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    except (OSError, SyntaxError):
        return None
    gap = 2
    scale = (pixels.shape[1] - 9 * gap) // (8 * width)
    if pixels.shape[:2] != tuple(8 * scale * side + 9 * gap for side in (height, width)):
        return None
    pixels = pixels.reshape(*pixels.shape[:2], channels)[gap:, gap:]
    steps = [scale * side + gap for side in (height, width)]
    corners = [(y * steps[0], x * steps[1]) for y in range(8) for x in range(8)]
    cells = [pixels[y : y + height * scale : scale, x : x + width * scale : scale] for y, x in corners]
    return np.stack(cells).transpose(0, 3, 1, 2)
