"""Checkpoints: all that changes in training, as a folder of safetensors and JSON that is whole or not there.

A checkpoint is written beside its final place, flushed, and renamed. Its manifest holds the SHA-256 of each file, so a
torn or altered one is noticed and the one before it used. The random state needs no saving: every step draws
from a stream of its own (see :mod:`gansmith.training.loop`), and the position in the data follows from the step.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from gansmith.errors import DivergenceError, UserError
from gansmith.files import flush, read_json, read_tensors, remove, write_json, write_tensors, writing
from gansmith.text import one_line
from gansmith.training import optim
from gansmith.training.step import TrainState

FORMAT = 1
KEEP = 2
PARTS = ("generator", "discriminator", "generator_optimizer", "discriminator_optimizer")
FILES = (*(f"{part}.safetensors" for part in PARTS), "state.json")


def save(folder: Path, train_state: TrainState, about: dict[str, Any], *, keep: Collection[int] = ()) -> Path:
    """Writes ``folder/step-NNNNNN``, then removes all but the newest two.

    Args:
        folder: the run's checkpoints.
        train_state: what to save; never changed.
        about: plain values kept in state.json.
        keep: steps whose checkpoints stay, however old.

    Raises:
        DivergenceError: a weight is not finite; nothing is written.
        OSError: the disk is full or not writable; nothing is left half-written.
    """
    final = folder / f"step-{train_state.step:06d}"
    parts = _parts(train_state)
    for part, tensors in parts.items():
        for name, value in tensors.items():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise DivergenceError(f"step {train_state.step}: {part} {name} is no longer finite")
    with writing(final) as fresh:
        fresh.mkdir()
        for part, tensors in parts.items():
            write_tensors(fresh / f"{part}.safetensors", tensors)
        clock = {"step": train_state.step, "length": train_state.length}
        write_json(fresh / "state.json", {"format": FORMAT, **clock, **about})
        write_json(fresh / "manifest.json", _hashes(fresh))
        _discard(final)
    flush(folder)
    prune(folder, keep=keep)
    return final


def prune(folder: Path, *, beyond: int | None = None, keep: Collection[int] = ()) -> None:
    """Removes all but the newest two and those of the steps in ``keep``.

    With ``beyond``, first sets aside those of later steps, which are damaged.
    """
    for step, path in list(_found(folder)):
        if beyond is not None and step > beyond:
            aside = path.with_name(f"damaged-{path.name}")
            remove(aside)
            path.rename(aside)
    for step, old in list(_found(folder))[KEEP:]:
        if step not in keep:
            _discard(old)


def newest(folder: Path, complain: list[str]) -> Path | None:
    """The newest checkpoint that is whole; a line about each damaged one passed over is added to ``complain``.

    One that a training removes meanwhile is not damaged: the search then starts again.
    """
    while True:
        lines = list[str]()
        for step, path in list(_found(folder)):
            problem = _problem(path)
            if problem is None:
                complain += lines
                return path
            if not path.exists() and not path.is_symlink():
                break
            lines.append(f"checkpoint of step {step} is damaged ({problem}); the one before it is used")
        else:
            complain += lines
            return None


def at(folder: Path, step: int) -> Path:
    """The checkpoint of a step. Raises UserError when it is not there, or damaged."""
    path = folder / f"step-{step:06d}"
    problem = _problem(path)
    if problem is not None:
        raise UserError(f"{path}: cannot be used ({problem}); take another checkpoint")
    return path


def state(path: Path) -> dict[str, Any]:
    """state.json of a checkpoint. Raises UserError when it is missing or no JSON object."""
    return read_json(path / "state.json")


def check_run(path: Path, identity: Mapping[str, object]) -> None:
    """Raises UserError when a checkpoint names another run's recipe, seed, data or origin than ``identity``.

    ``identity`` is :attr:`gansmith.runs.Run.identity`. Checkpoints of before it was stored are accepted.
    """
    known = state(path).get("run")
    if known is None:
        return
    places = {"recipe": "recipe.json", "seed": "run.json", "data": "data.json", "origin": "run.json"}
    other = [name for name in places if not isinstance(known, dict) or known.get(name) != identity.get(name)]
    if other:
        raise UserError(
            f"{path}: was made with another {' and '.join(other)} than {' and '.join(places[name] for name in other)} "
            "says; put back what was changed, or start a new run"
        )


def restore(path: Path, train_state: TrainState) -> None:
    """Loads a checkpoint into ``train_state``, which must be built from the same recipe.

    Raises UserError when it fits another recipe.
    """
    wanted = PARTS if train_state.average is None else (*PARTS, "average")
    if not all((path / f"{part}.safetensors").is_file() for part in wanted):
        raise UserError(f"{path}: the generator's average is missing; it does not fit the run's recipe")
    tensors = {part: read_tensors(path / f"{part}.safetensors") for part in wanted}
    try:
        train_state.generator.load_state_dict(tensors["generator"])
        train_state.discriminator.load_state_dict(tensors["discriminator"])
        if train_state.average is not None:
            train_state.average.load_state_dict(tensors["average"])
        optim.restore(train_state.generator_optimizer, tensors["generator_optimizer"])
        optim.restore(train_state.discriminator_optimizer, tensors["discriminator_optimizer"])
    except RuntimeError:
        raise UserError(f"{path}: its networks do not fit the run's recipe") from None
    except UserError as error:
        raise UserError(f"{path}: {error}; it does not fit the run's recipe") from None
    about = state(path)
    train_state.step = int(about["step"])
    train_state.length = int(about.get("length", train_state.length))


def _parts(train_state: TrainState) -> dict[str, dict[str, torch.Tensor]]:
    states = (
        train_state.generator.state_dict(),
        train_state.discriminator.state_dict(),
        optim.state_of(train_state.generator_optimizer),
        optim.state_of(train_state.discriminator_optimizer),
    )
    average = {} if train_state.average is None else {"average": train_state.average.state_dict()}
    return dict(zip(PARTS, states, strict=True)) | average


def _found(folder: Path) -> Iterator[tuple[int, Path]]:
    """(step, path), newest first."""
    matches = ((re.fullmatch(r"step-(\d+)", path.name), path) for path in folder.glob("step-*"))
    yield from sorted(((int(match[1]), path) for match, path in matches if match), reverse=True)


def _discard(path: Path) -> None:
    """Removes a checkpoint, which vanishes at once for whoever reads it, and leaves nothing that seems damaged."""
    aside = path.with_name(f".writing-{secrets.token_hex(4)}-{path.name}")
    with suppress(OSError):
        path.rename(aside)
        remove(aside)


def _problem(path: Path) -> str | None:
    """What is wrong with a checkpoint, in words; None if it is whole."""
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        found = _hashes(path)
        for name in FILES:
            if name not in found:
                return f"{name} is missing"
            if found[name] != manifest[name]:
                return f"{name} is altered"
        about = state(path)
        if about["format"] != FORMAT:
            return f"format {about['format']}, not {FORMAT}"
        if not all(isinstance(about[name], int) and about[name] >= 0 for name in ("step", "metrics_bytes")):
            return "state.json makes no sense"
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).name} is missing"
    except UserError as error:
        return one_line(error)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _hashes(folder: Path) -> dict[str, str]:
    names = sorted(path.name for path in folder.iterdir() if path.name != "manifest.json")
    result = {}
    for name in names:
        with (folder / name).open("rb") as file:
            result[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return result
