"""Files: written whole or not at all, read with one-line errors, and where the cache is."""

import glob
import json
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansmith.errors import UserError

if TYPE_CHECKING:
    import torch

MADE_BY = "gansmith"
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x011\0\x02\0\0\0\x09\0\0\0\x1a\0\0\0\0gansmith\0\0"
"""What pictures are written with, `save(path, exif=EXIF)`: their software, by which data sets know what is no data."""


def cache_dir() -> Path:
    """Where decoded and downloaded data sets are kept; may be deleted at any time.

    $GANSMITH_CACHE, else $XDG_CACHE_HOME/gansmith, else ~/.cache/gansmith; without a home, a folder for temporary files
    that nobody else can write to.
    """
    if own := os.environ.get("GANSMITH_CACHE"):
        return Path(own).expanduser().absolute()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser().absolute() / "gansmith"
    try:
        return Path.home() / ".cache" / "gansmith"
    except RuntimeError:
        return _temporary_cache()


@cache
def _temporary_cache() -> Path:
    """A folder of this user for temporary files; a new one if somebody else made it, or may write there."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"gansmith-{user}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
        if stat.S_ISDIR(about.st_mode) and about.st_uid == user and not about.st_mode & 0o077:
            return folder
    return Path(tempfile.mkdtemp(prefix="gansmith-"))


STALE = 24 * 3600
"""Seconds after which an unfinished write is taken for the remains of a process that was killed."""


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A new name beside ``path`` to write a file or folder to; it takes the place of ``path`` when the block ends.

    A reader, a crash, a full disk or Ctrl-C sees what was there or what is new, never half of it. An existing folder
    gives way only if it is empty. The name ends like ``path``, for libraries that choose a format by it, and is
    another each time, so that two writers do not meet. What a killed writer of ``path`` left is removed after a day.
    An OSError that names no file, as of a full disk, or the new one, names ``path`` when it leaves the block.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    fresh = path.with_name(f".writing-{secrets.token_hex(4)}-{path.name}")
    try:
        yield fresh
        flush(fresh)
        if path.is_dir() and fresh.is_dir():
            path.rmdir()
        fresh.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(fresh), fresh):
            error.filename, error.filename2 = str(path), None
        with suppress(OSError):
            remove(fresh)
        raise


def _sweep(path: Path) -> None:
    """Removes the unfinished writes of ``path`` that are older than a day."""
    for left in path.parent.glob(f".writing-????????-{glob.escape(path.name)}"):
        with suppress(OSError):
            if time.time() - left.lstat().st_mtime > STALE:
                remove(left)


def flush(path: Path) -> None:
    """Waits until a file, or the list of names of a folder, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all. Raises OSError when it cannot be."""
    with writing(path) as fresh:
        fresh.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """As :func:`write_bytes`, UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """As :func:`write_text`, indented JSON."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_tensors(path: Path, tensors: "Mapping[str, torch.Tensor]") -> None:
    """Writes a safetensors file whole or not at all. Raises OSError when it cannot be."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    first: dict[int, str] = {}
    for name, tensor in plain.items():  # weights that a network uses twice are written twice
        if tensor.numel() and first.setdefault(tensor.untyped_storage().data_ptr(), name) != name:
            plain[name] = tensor.clone()
    write_bytes(path, save(plain, metadata={"format": "pt"}))  # `save_file` would make it private, against the umask


def read_text(path: Path) -> str:
    """A run's text file, UTF-8. Raises UserError when it is missing or unreadable."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UserError(f"{path}: cannot be read ({reason}); the run is incomplete") from None


def read_json(path: Path) -> dict[str, Any]:
    """A run's JSON file. Raises UserError when it is missing or no JSON object."""
    try:
        value = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path}: is not JSON ({error}); the run is damaged") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: is not a JSON object; the run is damaged")
    return value


def read_tensors(path: Path) -> "dict[str, torch.Tensor]":
    """The tensors of a safetensors file. Raises UserError when it is missing, torn or no such file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None


def read_shapes(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The (type, shape) of each tensor of a safetensors file, such as ("F32", (100, 256)), from its header alone.

    Raises UserError as :func:`read_tensors` does; a header that claims more than the file holds is refused.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
            return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in parts.items()}
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None


def clean(folder: Path) -> None:
    """Removes what an interrupted write left behind."""
    for path in folder.rglob(".writing-*"):
        remove(path)


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
