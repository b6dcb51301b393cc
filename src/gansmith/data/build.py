"""A source -> its cache entry: found by content, or decoded in one streaming pass by a small pool of threads."""

import hashlib
import json
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from gansmith.data import cache
from gansmith.data.arrays import Arrays
from gansmith.data.folders import Files, Member
from gansmith.data.images import Picture, UnusableError, decode, quiet_decoders, squared
from gansmith.data.types import Fit, Labels, Pixels, Problem, Split
from gansmith.errors import UserError
from gansmith.files import cache_dir
from gansmith.progress import Progress, Ticker
from gansmith.text import amount, one_line, printable

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_MAX_THREADS = 8
_FILES_PER_TASK = 16
_TASK_BYTES = 4 << 20
_WAITING_BYTES = 256 << 20
"""What decoded images that wait to be written may take."""
_WORTH_A_THREAD = 256 * 256
"""Pixels of an image below which handing it to a thread costs more than resizing it."""


@dataclass(frozen=True)
class Source:
    """One split of a data set, found but not decoded."""

    name: str
    origin: str
    """A built-in name or an absolute path."""
    kind: str
    """What it is, in words: "image folder", "zip of images", ..."""
    split: Split
    classes: tuple[str, ...]
    content: Files | Arrays = field(repr=False)
    test_count: int | None
    parts: tuple[tuple[str, Path], ...] = field(default=(), repr=False)
    """The files, by name and path, whose bytes and names decide the content."""
    digest: str | None = None
    """The content's hash where it is known beforehand: no part needs reading."""
    notes: tuple[str, ...] = ()
    reading: str = ""
    """What decides pixels or labels beside the files' names and bytes; empty where nothing does."""
    beside: tuple["Source", ...] = field(default=(), repr=False)
    """The other splits, where they must be decoded with this one, as they cannot be found again."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Files that are out of place: known without decoding."""
        return self.content.problems if isinstance(self.content, Files) else ()


class SizeNeededError(UserError):
    """The images are not squares of one size, so that a size must be chosen."""

    def __init__(self, origin: str, sizes: Iterable[tuple[int, int]]) -> None:
        named = ", ".join(f"{width}x{height}" for width, height in dict.fromkeys(sizes))
        super().__init__(
            f"{origin}: images are not all squares of one size (found {named}); choose one, such as `size` 64"
        )


_unwritten: dict[str, cache.Entry] = {}
"""Of this process, where the cache cannot be written: what was given in Python is not there to be decoded again."""


def key_of(source: Source, size: int | None, fit: Fit) -> str:
    """The key of the entry of a source whose digest is known."""
    assert source.digest is not None
    return _key(_request(source, size, fit), source.digest)


def _request(source: Source, size: int | None, fit: Fit) -> str:
    how = [source.kind, source.split, size, fit] + ([source.reading] if source.reading else [])
    return json.dumps(how)


def _key(request: str, digest: str) -> str:
    return hashlib.sha256(f"{cache.FORMAT} {request} {digest}".encode()).hexdigest()[:40]


def entry_of(source: Source, size: int | None, fit: Fit, progress: Progress | None) -> cache.Entry:
    """The cache entry of a source at a size, from the cache if it is there and whole. Raises UserError."""
    for other in source.beside:
        entry_of(other, size, fit, progress)
    request = _request(source, size, fit)
    quick = cache.quick_key(source.parts, request)
    key = None if source.digest else cache.recall(quick)
    if key is not None and (entry := cache.open_entry(cache.entry_folder(key), key)) is not None:
        return entry
    marks: dict[str, str] = {}
    digest = source.digest or _content_digest(source, progress, marks)
    key = _key(request, digest)

    def check_unchanged() -> None:
        if quick != cache.quick_key(source.parts, request):
            raise UserError(f"{source.origin}: changed while it was read; try again when nothing writes there")

    opened = _unwritten.get(key) or cache.open_entry(cache.entry_folder(key), key)
    entry = opened or _build(source, size, fit, progress, key, marks, check_unchanged)
    if source.digest and entry.path is None:
        _unwritten[key] = entry
    if not source.digest:
        cache.remember(quick, key)
    return entry


def _content_digest(source: Source, progress: Progress | None, marks: dict[str, str]) -> str:
    """SHA-256 over names and bytes of all parts; a part that cannot be read counts by its name.

    Fills `marks` with a checksum of each file, by its name.
    """
    total = hashlib.sha256()
    ticker = Ticker(progress, f"reading {source.name}", len(source.parts))
    with ThreadPoolExecutor(_threads()) as pool:
        for done, ((name, path), digest) in enumerate(
            zip(source.parts, _in_order(pool, _file_digest, (path for _, path in source.parts)), strict=True)
        ):
            total.update(f"{name}\0{digest}\n".encode("utf-8", "surrogateescape"))
            marks[printable(name or path.name)] = digest[:20]
            ticker(done + 1)
    if isinstance(source.content, Files) and source.content.marks is not None:
        known = source.content.marks
        marks.clear()
        marks |= {printable(member.name): known[member.name] for member in source.content.members}
    return total.hexdigest()


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {one_line(error)}"


def _threads() -> int:
    return max(1, min(_MAX_THREADS, os.cpu_count() or 1))


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    at_once: Callable[[], int] = lambda: 4 * _threads(),
) -> Iterator[_Result]:
    """pool.map, but with at most so many items under way at a time, so that memory stays bounded."""
    waiting: deque[Future[_Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            while len(waiting) >= at_once():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _build(
    source: Source,
    size: int | None,
    fit: Fit,
    progress: Progress | None,
    key: str,
    marks: dict[str, str],
    check_unchanged: Callable[[], None],
) -> cache.Entry:
    """Decode a source into a new entry. `check_unchanged` raises if the files are no longer those that were hashed."""
    try:
        folder, in_cache = cache.new_folder()
    except OSError as error:
        raise cache.cannot_write(error) from None
    try:
        writer = cache.Writer(folder)
        try:
            survey = _Survey(source, size, fit, writer)
            with quiet_decoders(), ThreadPoolExecutor(_threads()) as pool:
                if isinstance(source.content, Files):
                    survey.decode_files(source.content, pool, progress)
                else:
                    survey.resize_arrays(source.content, pool, progress)
            check_unchanged()
            survey.finish(key, marks)
        finally:
            writer.close()
        entry = cache.adopt(folder, in_cache, key)
    except OSError as error:
        raise cache.cannot_write(error) from None
    finally:
        if cache.entry_folder(key) != folder:
            shutil.rmtree(folder, ignore_errors=True)
    if entry is None:
        raise UserError(f"{cache_dir()}: what was just written there cannot be read back; check that disk")
    return entry


@dataclass(frozen=True)
class _First:
    """What is remembered of an image: its file, and the size and mode it had there."""

    member: Member
    width: int
    height: int
    mode: str


@dataclass(frozen=True)
class _Decoded:
    """A picture and the hash of its file's bytes."""

    picture: Picture
    content: bytes


class _Survey:
    """One pass over a source: what is usable goes to the writer, all else is remembered."""

    def __init__(self, source: Source, size: int | None, fit: Fit, writer: cache.Writer) -> None:
        self._source, self._size, self._fit, self._writer = source, size, fit, writer
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._modes: Counter[str] = Counter()
        self._problems: list[Problem] = []
        self._labels: list[int] | Labels = []
        self._coloured = self._copies = self._found = 0
        self._several: list[str] = []
        self._native: tuple[int, int] | None = None
        self._by_content: dict[bytes, _First] = {}
        """Images by the hash of their files; threads look here, and only the main thread writes."""
        self._by_pixels: dict[bytes, _First] = {}

    def decode_files(self, files: Files, pool: ThreadPoolExecutor, progress: Progress | None) -> None:
        """Decode image files; keep the first of each set of equal images."""
        self._found = len(files.members)
        ticker = Ticker(progress, f"decoding {self._source.name}", len(files.members))
        labels: list[int] = []

        def tasks() -> Iterator[Sequence[Member]]:
            start = 0
            while some := files.members[start : start + self._files_per_task]:
                yield some
                start += len(some)

        def work(members: Sequence[Member]) -> list[tuple[Member, _Decoded | _First | Problem]]:
            return [(member, self._read(files, member)) for member in members]

        done = 0
        for results in _in_order(pool, work, tasks(), self._tasks_at_once):
            labels += [member.label for member, result in results if self._take(member, result)]
            done += len(results)
            ticker(done)
        self._labels = labels

    @property
    def _image_bytes(self) -> int:
        """The largest result of a decoded file; 0 before the first image tells."""
        width, height = (self._size, self._size) if self._size is not None else self._native or (0, 0)
        return 3 * width * height

    @property
    def _files_per_task(self) -> int:
        return max(1, min(_FILES_PER_TASK, _TASK_BYTES // self._image_bytes)) if self._image_bytes else 1

    def _tasks_at_once(self) -> int:
        """How many tasks may be under way or wait with their results: one before the first image was seen."""
        room = _WAITING_BYTES // (self._files_per_task * self._image_bytes) if self._image_bytes else 1
        return max(1, min(4 * _threads(), room))

    def _read(self, files: Files, member: Member) -> "_Decoded | _First | Problem":
        """One file, in a thread: its picture, the image that has the same bytes, or what is wrong with it."""
        try:
            content = files.read(member.name)
            mark = hashlib.blake2b(content, digest_size=16).digest()
            if known := self._by_content.get(mark):
                return known
            picture = decode(content, self._size, self._fit)
        except UnusableError as trouble:
            return Problem(member.name, trouble.kind, trouble.what)
        except (
            Exception
        ) as error:  # the disk's OSError, or whatever a damaged zip member raises: BadZipFile, zlib, lzma
            return Problem(member.name, "unreadable", f"cannot be read ({one_line(error)})")
        if picture.made and not files.made_too:
            return Problem(member.name, "misplaced", "is a picture that gansmith made, not data; move it elsewhere")
        native = self._native
        if self._size is None and native not in (None, (picture.width, picture.height)):
            picture = replace(picture, pixels=np.zeros((1, 0, 0), np.uint8))  # it will be refused: do not keep it
        return _Decoded(picture, mark)

    def _take(self, member: Member, result: "_Decoded | _First | Problem") -> bool:
        """Write an image if it is new, else remember what is wrong; whether it was written."""
        if isinstance(result, Problem):
            self._problems.append(result)
            return False
        if isinstance(result, _First):
            original, facts = result, replace(result, member=member)
        else:
            picture = result.picture
            facts = _First(member, picture.width, picture.height, picture.mode)
            self._check_native(picture.width, picture.height)
            pixels = picture.pixels
            mark = hashlib.blake2b(pixels.data, digest_size=16, key=str(pixels.shape).encode()).digest()
            original = self._by_pixels.setdefault(mark, facts)
            self._by_content.setdefault(result.content, original)
            if picture.several:
                self._several.append(printable(member.name))
        self._sizes[facts.width, facts.height] += 1
        self._modes[facts.mode] += 1
        if original is not facts:
            self._copies += 1
            other = ", of another class" if original.member.label != member.label else ""
            where = f"has the same pixels as {printable(original.member.name)}{other}"
            self._problems.append(Problem(member.name, "duplicate", where))
            return False
        assert isinstance(result, _Decoded)
        self._coloured += len(result.picture.pixels) == 3
        self._writer.append(result.picture.pixels[None])
        return True

    def resize_arrays(self, arrays: Arrays, pool: ThreadPoolExecutor, progress: Progress | None) -> None:
        """Resize the images of an array; all are kept, so that their numbers stay."""
        self._found = arrays.count
        self._sizes[arrays.width, arrays.height] = arrays.count
        if arrays.count:
            self._check_native(arrays.width, arrays.height)
        ticker = Ticker(progress, f"decoding {self._source.name}", arrays.count)
        seen: set[bytes] = set()
        done = 0
        for block in arrays.blocks():
            coloured = np.zeros(len(block), bool)
            if block.shape[1] == 3:
                coloured = np.any(block != block[:, :1], axis=(1, 2, 3))
                block = block if coloured.any() else np.ascontiguousarray(block[:, :1])
            self._coloured += int(coloured.sum())
            self._modes[("RGB" if block.shape[1] == 3 else "L") + ("" if arrays.bits == 8 else f";{arrays.bits}")] += (
                len(block)
            )
            seen.update(hashlib.blake2b(image.data, digest_size=16).digest() for image in block)
            self._writer.append(self._fitted(block, pool))
            done += len(block)
            ticker(done)
        self._copies = done - len(seen)
        found = arrays.labels()
        self._labels = [] if found is None else found

    def _fitted(self, block: Pixels, pool: ThreadPoolExecutor) -> Pixels:
        """A block (n, C, H, W) at the size wanted: (n, C, size, size)."""
        size, fit = self._size, self._fit
        if size is None or block.shape[2:] == (size, size):
            return block

        def work(images: Sequence[Pixels]) -> list[Pixels]:
            return [squared(Image.fromarray(_channels_last(image)), size, fit) for image in images]

        chunks = _chunks(list(block), 16)
        large = block.shape[2] * block.shape[3] >= _WORTH_A_THREAD
        results = [image for part in (_in_order(pool, work, chunks) if large else map(work, chunks)) for image in part]
        channels = max(len(image) for image in results)
        return np.stack([image if len(image) == channels else np.repeat(image, 3, axis=0) for image in results])

    def _check_native(self, width: int, height: int) -> None:
        if self._size is None and (width != height or self._native not in (None, (width, height))):
            raise SizeNeededError(self._source.origin, [self._native or (width, height), (width, height)])
        self._native = (width, height)

    def finish(self, key: str, marks: dict[str, str]) -> None:
        """Complete the entry."""
        labels = np.asarray(self._labels, np.int64) if len(self._labels) and self._source.classes else None
        sizes = tuple((width, height, count) for (width, height), count in self._sizes.most_common())
        notes: tuple[str, ...] = ()
        if self._several:
            files = amount(len(self._several), "file")
            notes = (f"of several pages or frames the first is used: {files}, such as {self._several[0]}",)
        self._writer.finish(
            labels,
            key,
            marks,
            found=self._found,
            coloured=self._coloured,
            copies=self._copies,
            sizes=sizes,
            modes=dict(self._modes.most_common()),
            problems=tuple(self._problems),
            notes=notes,
        )


def _channels_last(image: Pixels) -> Pixels:
    """(C, H, W) -> (H, W) or (H, W, 3), as Pillow wants it."""
    return image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))


def _chunks(items: Sequence[_Item], size: int) -> list[Sequence[_Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
