"""The generator of a run or of an exported folder, ready to sample."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from gansmith import generator as sampling
from gansmith import hardware, recipes, runs
from gansmith.errors import UserError
from gansmith.files import read_tensors
from gansmith.generator import Generator
from gansmith.runs import Run, checkpoint


def load(
    where: str | Path | Run,
    *,
    out: str | Path = "runs",
    device: str = "cpu",
    which: Literal["newest", "best"] = "newest",
) -> Generator:
    """The generator of a run (folder, name, "last") or of an exported folder, ready to sample.

    A run that is not finished gives the generator of its newest checkpoint.

    Args:
        where: the run or the folder.
        out: where names are looked up.
        device: where it is to compute.
        which: "best" is the checkpoint that measured best while training.

    Raises UserError in one line when there is none.
    """
    if not isinstance(where, Run) and (Path(where) / "model.safetensors").exists():
        if which == "best":
            raise UserError(f"{where}: is an exported generator, which has no checkpoints; leave `best` out")
        generator = Generator.from_pretrained(where)
    else:
        run = where if isinstance(where, Run) else runs.find(where, out=out)
        if which == "best":
            generator = from_checkpoint(run, _best(run))
        else:
            generator = Generator.from_pretrained(run.generator) if run.finished else from_checkpoint(run)
    generator.network.to(hardware.choose(device, "fp32", None, gflop=0).device)
    return generator


def _best(run: Run) -> Path:
    """The checkpoint that measured best. Raises UserError when none was measured, or it is damaged."""
    best = run.best()
    if best is None:
        raise UserError(
            f"{run.path}: its quality was not measured while it trained; leave `best` out, or train anew with "
            f"`evaluate_every` {run.settings.checkpoint_every}"
        )
    return checkpoint.at(run.checkpoints, best[0])


def from_checkpoint(run: Run, path: Path | None = None) -> Generator:
    newest = path or checkpoint.newest(run.checkpoints, [])
    if newest is None:
        raise UserError(f"{run.path} has no generator yet: no checkpoint is whole; go on with `resume` {run.name}")
    network = recipes.generator(run.recipe)
    try:
        network.load_state_dict(read_tensors(newest / "generator.safetensors"))
    except RuntimeError:
        raise UserError(f"{newest}: its networks do not fit the run's recipe") from None
    generator = sampling.snapshot(network, run.recipe)
    about = {"data": run.data.name, "steps": checkpoint.state(newest)["step"], "seed": run.settings.seed}
    return replace(generator, classes=run.data.classes, about=about)
