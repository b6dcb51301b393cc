"""Checkpoints: all that moves in training, as a folder of safetensors and JSON that is whole or not there.

A checkpoint is written beside its final place, flushed, and renamed. Its manifest holds the SHA-256 of each file, so a
torn or altered one is noticed and the one before it used. The random state needs no saving: every step draws
from a stream of its own (see :mod:`gansmith.training`), and the position in the data follows from the step.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gansmith import optim
from gansmith.run import write_text
from gansmith.step import Players

FORMAT = 1
KEEP = 2


class DivergenceError(ValueError):
    """Training produced a value that is not finite."""


def save(folder: Path, players: Players, about: dict[str, Any]) -> Path:
    """Writes ``folder/step-NNNNNN``, then removes all but the newest two.

    Args:
        folder: the run's checkpoints.
        players: what to save; never changed.
        about: plain values kept in state.json.

    Raises:
        DivergenceError: a weight is not finite; nothing is written.
        OSError: the disk is full or not writable; nothing is left half-written.
    """
    final = folder / f"step-{players.step:06d}"
    parts = _parts(players)
    for part in ("generator", "discriminator"):
        for name, value in parts[part].items():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise DivergenceError(f"step {players.step}: {part} {name} is no longer finite")
    fresh = folder / f".writing-{final.name}"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        for part, tensors in parts.items():
            save_file(
                {name: t.detach().cpu().contiguous() for name, t in tensors.items()}, fresh / f"{part}.safetensors"
            )
        write_text(fresh / "state.json", json.dumps({"format": FORMAT, "step": players.step, **about}, indent=2) + "\n")
        write_text(fresh / "manifest.json", json.dumps(_hashes(fresh), indent=2) + "\n")
        for path in fresh.iterdir():
            _flush(path)
        if final.exists():
            shutil.rmtree(final)
        fresh.rename(final)
        _flush(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    prune(folder)
    return final


def prune(folder: Path) -> None:
    """Removes all but the newest two."""
    for _, old in list(_found(folder))[KEEP:]:
        shutil.rmtree(old, ignore_errors=True)


def newest(folder: Path, complain: list[str]) -> Path | None:
    """The newest checkpoint that is whole; a line about each damaged one passed over is added to ``complain``."""
    for step, path in _found(folder):
        problem = _problem(path)
        if problem is None:
            return path
        complain.append(f"checkpoint of step {step} is damaged ({problem}); the one before it is used")
    return None


def state(path: Path) -> dict[str, Any]:
    """state.json of a whole checkpoint."""
    value: dict[str, Any] = json.loads((path / "state.json").read_text())
    return value


def restore(path: Path, players: Players) -> None:
    """Loads a checkpoint into ``players``, which must be built from the same recipe.

    Raises ValueError when it fits another recipe.
    """
    try:
        players.generator.load_state_dict(load_file(path / "generator.safetensors"))
        players.discriminator.load_state_dict(load_file(path / "discriminator.safetensors"))
    except RuntimeError:
        raise ValueError(f"{path}: its networks do not fit the run's recipe") from None
    optim.restore(players.generator_optimizer, load_file(path / "generator_optimizer.safetensors"))
    optim.restore(players.discriminator_optimizer, load_file(path / "discriminator_optimizer.safetensors"))
    players.step = int(state(path)["step"])


def _parts(players: Players) -> dict[str, dict[str, torch.Tensor]]:
    return {
        "generator": players.generator.state_dict(),
        "discriminator": players.discriminator.state_dict(),
        "generator_optimizer": optim.state_of(players.generator_optimizer),
        "discriminator_optimizer": optim.state_of(players.discriminator_optimizer),
    }


def _found(folder: Path) -> Iterator[tuple[int, Path]]:
    """(step, path), newest first."""
    matches = ((re.fullmatch(r"step-(\d+)", path.name), path) for path in folder.glob("step-*"))
    yield from sorted(((int(match[1]), path) for match, path in matches if match), reverse=True)


def _problem(path: Path) -> str | None:
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        found = _hashes(path)
        for name, expected in manifest.items():
            if name not in found:
                return f"{name} is missing"
            if found[name] != expected:
                return f"{name} is altered"
        if state(path)["format"] != FORMAT:
            return f"format {state(path)['format']}, not {FORMAT}"
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).name} is missing"
    except (OSError, ValueError, KeyError, SafetensorError, AttributeError) as error:
        return str(error)
    return None


def _hashes(folder: Path) -> dict[str, str]:
    names = sorted(path.name for path in folder.iterdir() if path.name != "manifest.json")
    result = {}
    for name in names:
        with (folder / name).open("rb") as file:
            result[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return result


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
