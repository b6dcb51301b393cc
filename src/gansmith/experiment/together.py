"""A training of several processes: the first decides everything, and the others follow what it says."""

import hashlib
import json
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from gansmith import data, files, hardware
from gansmith._version import __version__
from gansmith.data import Images, kinds
from gansmith.errors import UserError
from gansmith.experiment.types import Experiment
from gansmith.progress import Progress
from gansmith.recipe import from_json
from gansmith.recipes import entry
from gansmith.runs import Run
from gansmith.training import parallel
from gansmith.training.options import Settings
from gansmith.training.parallel import Group


def prepared(
    make: Callable[[], Experiment], *, source: Images | None, said: object, progress: Progress | None
) -> Experiment:
    """What ``make`` prepares, in a single process; of several, the first does, and the others load the same data.

    Args:
        make: checks and decides everything.
        source: the data that this process was given, where they are no name.
        said: what else it was given; all processes must be given the same.
        progress: called as data are decoded.

    Raises UserError, in every process, when one refuses, or where versions, commands, data or recipes differ.
    """
    group = parallel.join()
    if not group.shared:
        return make()
    with group.leaving_with_reason():
        return _by_all(group, make, source, said, progress)


def _by_all(
    group: Group, make: Callable[[], Experiment], source: Images | None, said: object, progress: Progress | None
) -> Experiment:
    """As :func:`prepared`, in a group."""
    group.compare("gansmith", __version__)
    group.compare("torch", torch.__version__)
    group.compare("command", hashlib.sha256(repr(said).encode()).hexdigest())
    group.agents = sorted({each.decode() for each in group.exchange(_agent().encode())})
    experiment, told, refused = None, b"", ""
    if group.rank == 0:
        try:
            experiment = make()
            group.check(experiment.recipe, own_step=entry(experiment.recipe.name).step is not None)
            experiment = replace(experiment, seconds_per_step=experiment.seconds_per_step / group.processes)
            told = _facts(experiment)
        except UserError as error:
            refused = str(error)
    _all_agree(group, refused)
    facts = json.loads(group.exchange(told)[0])
    groups = group.exchange(b"" if experiment is None or experiment.kinds is None else experiment.kinds.to_bytes())[0]
    if group.rank:
        try:
            experiment = _follower(facts, groups, source, progress)
        except UserError as error:
            refused = str(error)
    _all_agree(group, refused)
    assert experiment is not None
    group.compare(f"data ({experiment.dataset.name})", experiment.dataset.fingerprint)
    group.compare(f"recipe {experiment.recipe.name}", _digest_of_code(experiment))
    return replace(experiment, group=group)


def _facts(experiment: Experiment) -> bytes:
    """What the others need to know."""
    facts = {
        "recipe": experiment.recipe.to_json(),
        "settings": experiment.settings.model_dump(mode="json"),
        "source": experiment.dataset.source,
        "fit": experiment.fit,
        "minutes": experiment.minutes,
        "start_step": experiment.start_step,
    }
    return json.dumps(facts).encode()


def _follower(facts: dict[str, Any], groups: bytes, source: Images | None, progress: Progress | None) -> Experiment:
    """The same training, seen from a process that measures and writes nothing."""
    recipe, settings = from_json(facts["recipe"]), Settings.model_validate(facts["settings"])
    given = facts["source"] if source is None or isinstance(source, str) else source
    dataset = data.load(given, size=recipe.size, fit=facts["fit"], progress=progress)
    device = settings.device.partition(":")[0]
    if device == "cuda":
        device = f"cuda:{parallel.local_rank()}"
    choice = hardware.choose(device, settings.precision, settings.threads, gflop=0.0, fast=settings.fast)
    told = None
    if groups:
        with TemporaryDirectory() as folder:
            place = Path(folder) / "kinds.npz"
            place.write_bytes(groups)
            told = kinds.load(place, len(dataset))
    return Experiment(
        *(recipe, dataset, settings, choice, Path(), facts["fit"], facts["minutes"], 1.0),
        start_step=facts["start_step"],
        kinds=told,
    )


def _all_agree(group: Group, refused: str) -> None:
    """Raises UserError in every process when one refuses."""
    for rank, line in enumerate(group.exchange(refused.encode())):
        if line:
            raise UserError(line.decode() if rank == 0 else f"process {rank}: {line.decode()}")


def _digest_of_code(experiment: Experiment) -> str:
    """Of the recipe's numbers, and of the user's own files that it needs."""
    whole = experiment.recipe.to_json() + repr(experiment.recipe.files)
    return hashlib.sha256(whole.encode()).hexdigest()


# ---- what a restart goes on with -----------------------------------------------------------------


def note_run(out: Path, run: Run) -> None:
    """Keeps which run this launch of torchrun made, so that a restart goes on with it."""
    path = _note(out)
    if path is not None:
        files.write_json(path, {"run": run.name, "agents": _agents()})


def begun_run(out: Path) -> Path | None:
    """The run that an earlier attempt of this launch of torchrun made; None where there is none.

    It is the same launch while one torchrun of it is left: another may have taken the place of one that died, and be
    the one that starts process 0.
    """
    path = _note(out)
    try:
        kept = {} if path is None else json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if path is None or not set(_agents()) & set(kept["agents"]):  # a new launch, under a name that was used before
        return None
    run = Run(out / kept["run"])
    if not (run.path / "run.json").exists():
        return None
    files.write_json(path, kept | {"agents": _agents()})
    return run.path


def _agents() -> list[str]:
    """Which torchruns started the processes that train together."""
    return parallel.join().agents or [_agent()]


def _agent() -> str:
    """Which torchrun started this process: by machine and number, and by when it began, for numbers come again."""
    try:
        began = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        began = ""
    return f"{socket.gethostname()}-{os.getppid()}-{began}"


def _note(out: Path) -> Path | None:
    """The file for this launch: named by its id, or by the process that launched where the id is torchrun's default."""
    launch = os.environ.get("TORCHELASTIC_RUN_ID")
    if launch is None:
        return None
    if launch in {"", "none"}:
        launch = f"{socket.gethostname()}-{os.getppid()}"
    return out / f".launch-{hashlib.sha256(launch.encode()).hexdigest()[:12]}"
