"""The cache of decoded data sets: images.npy (memory-mapped), labels.npy and meta.json in a folder named by content.

An entry is built in a folder of its own and renamed into place, so two processes may build the same one at once and a
killed one leaves no half entry. An entry is checked whenever it is opened and rebuilt when it does not hold, or is that
of another source. files.json lists the files it was made from, so that a change can be told later.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gansmith.data.dataset import MemoryStore, Store, fingerprint_end, mapped
from gansmith.data.types import Labels, Pixels, Problem, natural
from gansmith.errors import UserError
from gansmith.files import cache_dir, write_bytes, write_text
from gansmith.text import one_line

FORMAT = 1
FILES = "files.json"
HEADER_BYTES = 128
FULL_CHECK_BYTES = 64 << 20
"""Entries up to this size are hashed whole whenever they are opened (47 MB: 30 ms); of larger ones, 64 blocks are."""
_BLOCK = 64 << 10
_STALE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Meta:
    """What is known of an entry beside its pixels and labels; plain JSON."""

    shape: tuple[int, int, int, int]
    fingerprint: str
    check: str
    histogram: tuple[int, ...]
    found: int
    coloured: int
    copies: int
    sizes: tuple[tuple[int, int, int], ...]
    modes: dict[str, int]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    """What was noticed while decoding."""
    key: str
    """The name of the folder that the entry belongs in."""
    seal: str = ""
    """SHA-256 over all other fields."""
    format: int = FORMAT

    def sealed(self) -> str:
        """What `seal` must be."""
        fields = {name: value for name, value in vars(self).items() if name not in ("seal", "problems")}
        problems = [vars(problem) for problem in self.problems]
        return hashlib.sha256(json.dumps([fields, problems], sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """As text, sealed."""
        return json.dumps(vars(self) | {"problems": [vars(each) for each in self.problems], "seal": self.sealed()})


@dataclass(frozen=True)
class Entry:
    """An opened entry: its pixels, its labels (N,) or None, and what is known of it."""

    store: Store = field(repr=False)
    labels: Labels | None = field(repr=False)
    meta: Meta
    path: Path | None
    """Its folder; None if the cache could not be written and the entry is in a deleted temporary file."""


class Writer:
    """Writes images into a growing images.npy, grey as long as all are grey, and then all as RGB."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "images.npy"
        self._file = self._path.open("wb", buffering=1 << 20)
        self._file.write(b"\0" * HEADER_BYTES)
        self._hash = hashlib.sha256()
        self._histogram = np.zeros(256, np.int64)
        self._count = 0
        self._each: tuple[int, int, int] = (0, 0, 0)

    def append(self, pixels: Pixels) -> None:
        """Add uint8 (n, C, H, W): C 1 or 3, H and W as in every earlier call."""
        _, channels, height, width = pixels.shape
        if self._count == 0:
            self._each = (channels, height, width)
        assert self._each[1:] == (height, width), "the builder lets one size through"
        if channels > self._each[0]:
            self._to_rgb()
        self._put(pixels)
        self._count += len(pixels)

    def _put(self, pixels: Pixels) -> None:
        if pixels.shape[1] < self._each[0]:
            pixels = np.repeat(pixels, 3, axis=1)
        flat = np.ascontiguousarray(pixels).reshape(-1)
        self._file.write(flat.data)
        self._hash.update(flat.data)
        for start in range(0, flat.size, 1 << 18):  # bincount widens to 8 bytes: small pieces stay in the CPU's cache
            self._histogram += np.bincount(flat[start : start + (1 << 18)], minlength=256)

    def _to_rgb(self) -> None:
        """Write what is there, grey so far, again as RGB."""
        self._file.close()
        grey = self._path.with_name("grey.npy")
        self._path.replace(grey)
        self._file = self._path.open("wb", buffering=1 << 20)
        self._file.write(b"\0" * HEADER_BYTES)
        self._hash, self._histogram = hashlib.sha256(), np.zeros(256, np.int64)
        _, height, width = self._each
        self._each = (3, height, width)
        with grey.open("rb") as file:
            file.seek(HEADER_BYTES)
            while raw := file.read(height * width * 256):
                self._put(np.frombuffer(raw, np.uint8).reshape(-1, 1, height, width))
        grey.unlink()

    def close(self) -> None:
        """Close the file, finished or not."""
        self._file.close()

    def finish(self, labels: Labels | None, key: str, marks: dict[str, str], **known: Any) -> None:
        """Complete the folder, all on the disk: the header, labels.npy, files.json and meta.json.

        `key`: of the entry. `marks`: a checksum of each file that it was made from. `known`: Meta's other fields.
        """
        shape = (self._count, *self._each)
        self._file.seek(0)
        self._file.write(_npy_header(shape, "|u1"))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        folder = self._path.parent
        if labels is not None:
            write_bytes(folder / "labels.npy", _npy_header(labels.shape, "<i8") + labels.astype("<i8").tobytes())
        write_text(folder / FILES, json.dumps(marks))
        self._hash.update(fingerprint_end(labels, shape))
        meta = Meta(
            shape=shape,
            fingerprint=self._hash.hexdigest(),
            check=_sampled_hash(self._path, labels),
            histogram=tuple(self._histogram.tolist()),
            key=key,
            **known,
        )
        write_text(folder / "meta.json", meta.to_json())


def _npy_header(shape: tuple[int, ...], descr: str) -> bytes:
    """The header of a version 1.0 .npy file of that type in C order, 128 bytes long."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    return (
        b"\x93NUMPY\x01\x00"
        + (HEADER_BYTES - 10).to_bytes(2, "little")
        + text.ljust(HEADER_BYTES - 11).encode()
        + b"\n"
    )


def _sampled_hash(images: Path, labels: Labels | None) -> str:
    """SHA-256 over 64 evenly spaced blocks of the file, its first and last among them, its size and the labels."""
    size = images.stat().st_size
    digest = hashlib.sha256(str(size).encode() + fingerprint_end(labels, ()))
    with images.open("rb") as file:
        for step in range(64):
            file.seek(max(0, size - _BLOCK) * step // 63)
            digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def open_entry(folder: Path, key: str) -> Entry | None:
    """The entry of a key in a folder, or None if it is missing, altered, damaged in any way or of another key."""
    try:
        return _open(folder, key)
    except Exception:  # damaged bytes are met with exceptions of every kind, MemoryError and RecursionError among them
        return None


def _open(folder: Path, key: str) -> Entry | None:
    raw = json.loads((folder / "meta.json").read_text("utf-8"))
    meta = Meta(
        **raw
        | {
            "shape": tuple(raw["shape"]),
            "histogram": tuple(raw["histogram"]),
            "sizes": tuple(tuple(size) for size in raw["sizes"]),
            "problems": tuple(Problem(**problem) for problem in raw["problems"]),
            "notes": tuple(raw["notes"]),
        }
    )
    if meta.format != FORMAT or meta.key != key or meta.seal != meta.sealed():
        return None
    labels = _read_labels(folder / "labels.npy", meta.shape[0])
    images = folder / "images.npy"
    size = int(np.prod(meta.shape))
    if images.stat().st_size != HEADER_BYTES + size or sum(meta.histogram) != size or len(meta.histogram) != 256:
        return None
    if meta.shape[0] == 0:
        return Entry(MemoryStore(np.zeros(meta.shape, np.uint8)), None, meta, folder)
    store = mapped(images, meta.shape, HEADER_BYTES)
    if size <= FULL_CHECK_BYTES:
        digest = hashlib.sha256(store.flat().data)
        digest.update(fingerprint_end(labels, meta.shape))
        holds = digest.hexdigest() == meta.fingerprint
    else:
        holds = _sampled_hash(images, labels) == meta.check
    return Entry(store, labels, meta, folder) if holds else None


def _read_labels(path: Path, count: int) -> Labels | None:
    """The labels (count,) of an entry; None if it has none. ValueError for any other file."""
    if not path.exists():
        return None
    header = _npy_header((count,), "<i8")
    if path.stat().st_size != len(header) + 8 * count or not (raw := path.read_bytes()).startswith(header):
        raise ValueError("not the labels of this entry")
    return np.frombuffer(raw, "<i8", offset=len(header)).astype(np.int64)


def entry_folder(key: str) -> Path:
    """Where the entry with this content key belongs."""
    return cache_dir() / "data" / key


def new_folder() -> tuple[Path, bool]:
    """A fresh folder to build an entry in, and whether it is in the cache: a temporary one if that is closed."""
    home = cache_dir() / "data"
    try:
        home.mkdir(parents=True, exist_ok=True)
        _sweep(home)
        return Path(tempfile.mkdtemp(prefix="building-", dir=home)), True
    except OSError:
        return Path(tempfile.mkdtemp(prefix="gansmith-")), False


def _sweep(home: Path) -> None:
    """Remove what builders that were killed more than a day ago have left."""
    for left in home.glob("building-*"):
        try:
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:
            continue


def adopt(folder: Path, in_cache: bool, key: str) -> Entry | None:
    """Move a finished folder to its place and open it; if another process was first, open its entry instead."""
    if not in_cache:
        entry = open_entry(folder, key)
        if entry is not None and sys.platform != "win32":
            shutil.rmtree(folder, ignore_errors=True)  # the mapping stays
            return Entry(entry.store, entry.labels, entry.meta, None)
        return entry
    place = entry_folder(key)
    for _ in range(5):
        try:
            folder.rename(place)
        except OSError:
            other = open_entry(place, key)
            if other is not None:
                shutil.rmtree(folder, ignore_errors=True)
                return other
            discard(place)
        else:
            break
    return open_entry(place, key) or open_entry(folder, key)


def discard(place: Path) -> None:
    """Take a damaged entry out of the way."""
    aside = Path(tempfile.mkdtemp(prefix="building-", dir=place.parent))
    try:
        place.rename(aside / "damaged")
    except FileNotFoundError:
        pass  # another process was first
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def changes(before: str, files: Path | None) -> dict[str, list[str]] | None:
    """Which files are "new", "gone" or "changed" in an entry's folder since data had the fingerprint `before`.

    Known as long as the cache holds an entry of that fingerprint; None if it is not. Kinds without files are left out.
    """
    now = None if files is None else _marks(files)
    entries = [path.parent for path in (cache_dir() / "data").glob("*/meta.json") if f'"{before}"' in _text(path)]
    listed = [marks for entry in entries if (marks := _marks(entry))]
    if not now or not listed:
        return None
    then = max(listed, key=lambda marks: len(now.items() & marks.items()))
    kinds = {
        "new": [name for name in now if name not in then],
        "gone": [name for name in then if name not in now],
        "changed": [name for name in now if name in then and now[name] != then[name]],
    }
    return {kind: sorted(found, key=natural) for kind, found in kinds.items() if found}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        return ""


def _marks(folder: Path) -> dict[str, str]:
    """The files that an entry was made from, with their checksums; empty if that is not known."""
    try:
        marks = json.loads(_text(folder / FILES) or "{}")
    except (ValueError, RecursionError):
        return {}
    return {str(name): str(mark) for name, mark in marks.items()} if isinstance(marks, dict) else {}


def quick_key(names: tuple[tuple[str, Path], ...], extra: str) -> str:
    """A key from names, sizes and times of change of files: equal if nothing was touched."""
    digest = hashlib.sha256(f"{FORMAT} {extra}".encode("utf-8", "surrogateescape"))
    for name, path in names:
        try:
            status = path.stat()
            state = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
        except OSError as error:
            state = one_line(error)
        digest.update(f"\n{name}\0{path}\0{state}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:40]


def recall(quick: str) -> str | None:
    """The content key that was remembered for a quick key."""
    try:
        key = (cache_dir() / "keys" / quick).read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return key if len(key) == 40 and set(key) <= set("0123456789abcdef") else None


def remember(quick: str, key: str) -> None:
    """Remember the content key for a quick key. Failing is harmless: the content is hashed again next time."""
    try:
        write_text(cache_dir() / "keys" / quick, key)
    except OSError:
        return


def cannot_write(error: OSError) -> UserError:
    """What to say when the cache's disk refuses."""
    return UserError(
        f"{cache_dir()}: the cache cannot be written ({one_line(error)}); free some space, or set GANSMITH_CACHE to a "
        "folder that has it"
    )
