"""Decoded shards in the cache: as many as a budget of the disk has room for, checked when they are opened."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from gansmith.data.dataset import MappedStore, mapped
from gansmith.data.types import Pixels
from gansmith.errors import UserError
from gansmith.files import cache_dir, writing

BUDGET = "GANSMITH_SHARDS_GB"
"""The variable that says how much of a machine's disk decoded shards may take; 16 GB if not set."""
_DIGEST = 32


def budget() -> int:
    """In bytes. Raises UserError for what is no number."""
    given = os.environ.get(BUDGET, "16")
    try:
        value = float(given)
        if not 0 <= value < 1e9:
            raise ValueError
    except ValueError:
        raise UserError(f"{BUDGET} {given!r}: give a number of gigabytes, such as 16, or 0 to keep nothing") from None
    return int(value * 1e9)


def folder() -> Path:
    """Where they are."""
    return cache_dir() / "shards"


def has(key: str) -> bool:
    """Whether a shard is there."""
    return (folder() / f"{key}.pixels").exists()


def open_kept(key: str, shape: tuple[int, int, int, int]) -> MappedStore | None:
    """The pixels of a shard; None if it is not there. One that is damaged is removed."""
    path = folder() / f"{key}.pixels"
    try:
        store = mapped(path, shape, _DIGEST)
        with path.open("rb") as file:
            digest = file.read(_DIGEST)
        if hashlib.sha256(store.flat().data).digest() != digest:
            raise ValueError
        os.utime(path)  # used now
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        with suppress(OSError):
            path.unlink()
        return None
    return store


def keep(key: str, shape: tuple[int, int, int, int], decode: Callable[[], Pixels], ours: set[str]) -> bool:
    """Writes what ``decode`` makes, if the budget has room; those of other data sets give way, the oldest first.

    False where there is no room, or the disk refuses.
    """
    need = (int(np.prod(shape)) + _DIGEST) * int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # others write too
    if not _make_room(need, ours):
        return False
    pixels = np.ascontiguousarray(decode())
    try:
        with writing(folder() / f"{key}.pixels") as fresh, fresh.open("wb") as file:
            file.write(hashlib.sha256(pixels.data).digest())
            file.write(pixels.data)
    except OSError:
        return False
    return True


def _make_room(need: int, ours: set[str]) -> bool:
    most = budget()
    sizes: dict[Path, tuple[float, int]] = {}
    for path in folder().glob("*.pixels"):
        with suppress(OSError):
            sizes[path] = (path.stat().st_mtime, path.stat().st_size)
    used = sum(size for _, size in sizes.values())
    others = sorted((path for path in sizes if path.stem not in ours), key=lambda path: sizes[path][0])
    if used - sum(sizes[path][1] for path in others) + need > most:
        return False  # nothing is thrown out in vain
    for path in others:
        if used + need <= most:
            break
        with suppress(OSError):
            path.unlink()
            used -= sizes[path][1]
    return used + need <= most
