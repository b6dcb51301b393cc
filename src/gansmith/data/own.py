"""What gansmith itself wrote into a folder of images, which is never data: runs, exported generators, samples."""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from gansmith.data.images import SUFFIXES, is_made
from gansmith.data.types import natural
from gansmith.text import amount, printable

RUN = frozenset(("run.json", "recipe.json", "data.json", "environment.json", "metrics.jsonl"))
"""Files of a run's folder: two of them make one."""
LOOKED_AT = 8
"""Pictures of a folder that are looked at, if the first bears the mark."""
HEAD_BYTES = 64 << 10
"""What of a file is read for that."""
MADE_HERE = "gansmith made these images"
GENERATOR = frozenset(("config.json", "model.safetensors"))


def without_own(names: list[str], head: Callable[[str], bytes]) -> tuple[list[str], list[str], bool]:
    """The names that may be data, notes on what is left out, and whether all images are samples that gansmith wrote.

    Runs and generators are known by their files, folders of pictures by the mark in these, read by `head`. Where there
    is nothing but samples, these are what somebody wants to look at: then they stay.
    """
    inside: dict[str, set[str]] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        inside.setdefault(folder, set()).add(last)
    runs = {folder for folder, files in inside.items() if len(files & RUN) > 1 or files >= GENERATOR}
    samples = {folder for folder, files in inside.items() if folder not in runs and _are_samples(folder, files, head)}
    kept = [name for name in names if not _below(name, runs)] if runs else names
    pictures = [name for name in kept if PurePosixPath(name).suffix.lower() in SUFFIXES]
    data = [name for name in pictures if name.rpartition("/")[0] not in samples]
    notes = []
    outer = sorted((folder for folder in runs if not _below(folder, runs)), key=natural)
    if outer:
        notes.append(f"gansmith's own: {amount(len(outer), 'run or generator')}, left out, such as {_shown(outer[0])}")
    if data and samples:
        folders = sorted(samples, key=natural)
        notes.append(
            f"gansmith's own: {amount(len(folders), 'folder')} of pictures, left out, such as {_shown(folders[0])}"
        )
        gone = set(pictures) - set(data)
        kept = [name for name in kept if name not in gone]
    only_samples = bool(pictures) and not data
    if only_samples:
        notes.append(MADE_HERE)
    return kept, notes, only_samples


def _shown(folder: str) -> str:
    return printable(folder) or "this folder"


def _below(name: str, folders: set[str]) -> bool:
    """Whether a name lies in one of these folders, at any depth."""
    if "" in folders:
        return bool(name)
    parts = name.split("/")
    return any("/".join(parts[:depth]) in folders for depth in range(1, len(parts)))


def _are_samples(folder: str, files: set[str], head: Callable[[str], bytes]) -> bool:
    """Whether the pictures of a folder bear gansmith's mark: the first in order, and then some others too."""
    pictures = sorted((name for name in files if PurePosixPath(name).suffix.lower() in SUFFIXES), key=natural)
    return all_made(pictures, lambda name: head(f"{folder}/{name}".lstrip("/")))


def all_made(pictures: Sequence[str], read: Callable[[str], bytes]) -> bool:
    """Whether pictures bear gansmith's mark: the first, and then some others too."""
    some = dict.fromkeys((*pictures[:1], *pictures[-1:], *pictures[:: max(1, len(pictures) // LOOKED_AT)]))
    try:
        return bool(some) and all(is_made(read(name)) for name in some)
    except Exception:  # whatever is wrong with a file is said when it is decoded
        return False
