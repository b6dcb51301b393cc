"""Examining a run's folder: its logs, or without signals its sheets, to findings and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gansmith import markup
from gansmith.doctor import signals
from gansmith.doctor.findings import Facts, Finding
from gansmith.doctor.rules import findings
from gansmith.doctor.table import SignalTable, tabulate
from gansmith.doctor.verdict import Verdict, Word, conclude
from gansmith.errors import UserError
from gansmith.evaluation import real
from gansmith.nn.isolation import isolated
from gansmith.runs import Run, checkpoint, find, rows
from gansmith.runs.quality import Quality, measured
from gansmith.runs.summary import note_verdict


@dataclass(frozen=True)
class Examination:
    """What the doctor says of a run."""

    run: Run
    facts: Facts
    table: SignalTable
    findings: Sequence[Finding]
    examined: str
    """What was read, in words."""
    not_examined: Sequence[str]
    """What could not be examined, and why."""
    quality: Quality | None
    """The newest distance from real images; None where none was measured."""

    @property
    def problems(self) -> list[Finding]:
        """The findings that are serious and not over."""
        return [finding for finding in self.findings if finding.is_problem]

    @cached_property
    def conclusion(self) -> Verdict:
        """The verdict, and the sentence it rests on."""
        return conclude(self.table, self.facts, self.findings, self.quality)

    @property
    def verdict(self) -> Word:
        """ "problems found", "too early to say", "learning", "healthy", "near real", or "not known" without images."""
        return self.conclusion.word

    def note(self) -> None:
        """Keeps the verdict in the run's folder, for lists of runs. Raises OSError when it cannot be written."""
        note_verdict(self.run, self.verdict, self.conclusion.reason)

    def _repr_html_(self) -> str:
        """The verdict, and each finding with its evidence and what to try."""
        found = [
            (finding.name, finding.severity, finding.when, finding.evidence, "" if finding.until else finding.remedy)
            for finding in self.findings
        ]
        head = markup.line(f"{self.run.name}: {self.verdict}", strong=True) + markup.line(self.conclusion.reason)
        table = markup.table(("finding", "", "when", "evidence", "try"), found) if found else ""
        return markup.block(head, table, markup.line(f"looked at {self.examined}"))

    def __repr__(self) -> str:
        names = ", ".join(finding.name for finding in self.findings if finding.until is None)
        return f"Examination({self.run.name}: {self.verdict}{f', {names}' if names else ''})"


@isolated()
def examine(where: str | Path | Run, *, out: str | Path = "runs", sheets: bool = True) -> Examination:
    """Examines a run's folder, whatever its state, and says what is wrong with it.

    Args:
        where: the run, its folder, its name, or "last".
        out: where names are looked up.
        sheets: without signals, measure the sheets of samples, for which the data are loaded.

    Raises UserError, in one line, when there is no such run or its folder is damaged.
    """
    run = where if isinstance(where, Run) else find(where, out=out)
    metrics, recorded, quality = (list(rows(run.path / f"{name}.jsonl")) for name in ("metrics", "signals", "quality"))
    from_sheets: list[dict[str, Any]] = []
    missing, without = [], ""
    if not recorded and sheets and not run.recipe.classes:
        try:
            from_sheets = of_sheets(run)
        except UserError as error:  # there is more to examine
            without = f", for {str(error).partition(';')[0]}"
    measurements = recorded or from_sheets
    table = tabulate(metrics, measurements, quality)
    facts = facts_of(run, max([int(row["step"]) for row in metrics[-1:] + measurements[-1:]], default=0))
    if not recorded:
        missing.append("the discriminator's answers and all gradients: the run has no signals")
    if not measurements:
        missing.append(f"the images{without}")
    elif recorded and not table.has("logit_holdout"):
        missing.append("whether the discriminator memorises: the data have no test split")
    if measurements and not table.has("entropy"):
        missing.append("classes: the data have no labels, or too many")
    if facts.recipe.classes and not table.has("label_accuracy"):
        missing.append("labels")
    what = "sheets of samples" if from_sheets else "rows of signals" if recorded else "windows of metrics"
    span = f" from step {int(table.steps[0]):,} to {int(table.steps[-1]):,}" if len(table) else ""
    examined = f"{len(table):,} {what}{span}, {len(metrics):,} rows of metrics"
    return Examination(run, facts, table, findings(table, facts), examined, missing, measured(run))


def facts_of(run: Run, last_step: int = 0) -> Facts:
    """What the rules need to know of a run. Raises UserError when its folder is damaged."""
    return Facts(
        recipe=run.recipe,
        steps=run.settings.steps or _length(run),
        diverged=run.state == "diverged",
        last_step=last_step,
        pixel_std=run.data.pixel_std,
        labelled=bool(run.data.classes),
        seed=run.settings.seed,
    )


def _length(run: Run) -> int | None:
    """The steps that a run which time ends will have, as its newest checkpoint knew; None before there is one."""
    newest = checkpoint.newest(run.checkpoints, [])
    length = None if newest is None else checkpoint.state(newest).get("length")
    return length if isinstance(length, int) else None


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
            values = signals.of_images(torch.from_numpy(images).float() / 255, bank)
            found.append({"step": step, **values, "least_share": None, "closer_to_train": None})
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
