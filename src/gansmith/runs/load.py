"""The generator of a run or of an exported folder, ready to sample."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from gansmith import hardware, runs
from gansmith.errors import UserError
from gansmith.generator import Generator, read_network, snapshot
from gansmith.nn.isolation import isolated
from gansmith.runs import Run, checkpoint

ATTEMPTS = 20
"""Checkpoints tried in turn while a training that goes on removes older ones."""


@isolated()
def load(
    where: str | Path | Run,
    *,
    out: str | Path = "runs",
    device: str = "cpu",
    which: Literal["newest", "best"] = "newest",
) -> Generator:
    """The generator of a run (folder, name, "last"), of an exported folder, or a pretrained one ("mnist").

    A finished run gives what it exported, which is its best measured checkpoint where the end measured more than a
    tenth worse; a run that is not finished the generator of its newest checkpoint. Draws nothing from torch's random
    stream.

    Args:
        where: the run, the folder or the name; "mnist" and "fashion-mnist" come with gansmith.
        out: the folder in which names of runs are looked up.
        device: where it computes: "auto", "cpu", "cuda", "cuda:1" or "mps".
        which: "best" for the checkpoint with the lowest Frechet distance of those measured during training.

    Raises UserError in one line when there is no such generator, or it cannot be read.
    """
    if which not in ("newest", "best"):
        raise UserError(f"`which` {which!r}: choose newest or best")
    folder = runs.exported(where, out=out) if isinstance(where, str | Path) else None
    if folder is not None:
        if which == "best":
            raise UserError(f"{where}: is an exported generator, which has no checkpoints; leave `best` out")
        generator = Generator.from_pretrained(folder)
    else:
        run = where if isinstance(where, Run) else runs.find(where, out=out)
        if which == "best":
            generator = from_checkpoint(run, _best(run))
        else:
            generator = Generator.from_pretrained(run.generator) if run.finished else from_checkpoint(run)
    generator.network.to(hardware.choose(device, "fp32", None, gflop=0).device)
    return generator


def _best(run: Run) -> Path:
    """The checkpoint of the lowest Frechet distance. Raises UserError when none was measured, or it is damaged."""
    best = run.best()
    if best is None:
        raise UserError(
            f"{run.path}: its quality was not measured while it trained; leave `best` out, or train anew with "
            f"`evaluate_every` {run.settings.checkpoint_every}"
        )
    return checkpoint.at(run.checkpoints, best[0])


@isolated()
def from_checkpoint(run: Run, path: Path | None = None) -> Generator:
    """The generator of a run's checkpoint at ``path``, or of its newest whole one.

    A training that goes on may remove the newest between the choice and the reading: then the next newest is read.
    Raises UserError when there is none, or it is of another run or recipe.
    """
    if path is not None:
        return _read(run, path)
    for _ in range(ATTEMPTS):
        newest = checkpoint.newest(run.checkpoints, [])
        if newest is None:
            raise UserError(f"{run.path} has no generator yet: no checkpoint is whole; go on with `resume` {run.name}")
        try:
            return _read(run, newest)
        except UserError:
            if newest.exists():  # it was not removed: the fault is its own
                raise
    raise UserError(f"{run.path}: its checkpoints are replaced faster than they can be read; wait for its end")


def _read(run: Run, path: Path) -> Generator:
    state = checkpoint.state(path)
    checkpoint.check_run(path, run.identity)
    part = "average" if run.recipe.average.on else "generator"
    generator = snapshot(read_network(run.recipe, path / f"{part}.safetensors"), run.recipe)
    about = {"data": run.data.name, "steps": state["step"], "seed": run.settings.seed}
    counts = run.data.class_counts if run.recipe.classes else ()
    if run.settings.privacy is not None:
        about["privacy"] = run.settings.privacy.words
        counts = ()  # which the guarantee does not cover
    return replace(generator, classes=run.data.classes, class_counts=counts, about=about)
