"""Image folders and zips of them: which images there are, in which split and which class. Decodes nothing."""

import os
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gansmith.data.images import MAX_FILE_BYTES, SUFFIXES, UnusableError
from gansmith.data.types import Problem, Split
from gansmith.errors import UserError
from gansmith.text import amount, one_line

MAX_MEMBERS = 2_000_000
MAX_TOTAL_BYTES = 256 << 30
MAX_RATIO = 200
"""A zip member over a megabyte that shrank by more than this is taken for a bomb: pictures are compressed already."""

SPLIT_NAMES = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation", "dev"),
}


@dataclass(frozen=True)
class Member:
    """One image file: its name inside the data set, with slashes, and its label (-1 if the set has no classes)."""

    name: str
    label: int


@dataclass(frozen=True)
class Files:
    """Image files, in a fixed order, and how to read one by its name (raises OSError and the like)."""

    members: tuple[Member, ...]
    read: Callable[[str], bytes]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Arrangement:
    """What a list of file names means: per split the members; the classes both splits share; files out of place."""

    splits: dict[Split, tuple[Member, ...]]
    classes: tuple[str, ...]
    problems: dict[Split, tuple[Problem, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key by which "2" comes before "10"."""
    return tuple(
        (0, int(part), part) if part.isdecimal() and len(part) < 1000 else (1, 0, part)
        for part in re.split(r"(\d+)", name)
        if part
    )


def arrange(names: list[str]) -> Arrangement:
    """Sort file names (relative, with slashes) into splits and classes.

    Folders that wrap everything are stepped through. `train` and `test` (or `val`) side by side, alone, are the splits.
    Below that, first-level sub-folders are classes, unless most images lie loose: then there are no classes.
    """
    images = sorted((name for name in names if PurePosixPath(name).suffix.lower() in SUFFIXES), key=natural)
    notes = []
    others = [name for name in names if PurePosixPath(name).suffix.lower() not in SUFFIXES]
    if others:
        notes.append(f"not images: {amount(len(others), 'file')}, passed over, such as {sorted(others)[0]}")
    prefix = _wrapper(images)
    found = _splits(images, prefix)
    if "validation" in found and "test" not in found:
        found["test"] = found.pop("validation")
        notes.append("there is no test folder: the validation folder serves as the test split")
    elif "validation" in found:
        notes.append(f"the validation folder ({amount(len(found.pop('validation')[1]), 'image')}) is not used")
    classed = {split: _classes(part, inner) for split, (inner, part) in found.items()}
    classes = tuple(sorted({name for by_class, _ in classed.values() for name in by_class}, key=natural))
    classes = () if "" in classes else classes
    index = {name: number for number, name in enumerate(classes)}
    arrangement = Arrangement(splits={}, classes=classes, notes=tuple(notes))
    for split, (by_class, problems) in classed.items():
        which: Split = "test" if split == "test" else "train"
        pairs = [(name, index.get(class_name, -1)) for class_name, members in by_class.items() for name in members]
        pairs.sort(key=lambda pair: natural(pair[0]))
        arrangement.splits[which] = tuple(Member(name, label) for name, label in pairs)
        arrangement.problems[which] = tuple(problems)
    return arrangement


def _wrapper(names: list[str], prefix: str = "") -> str:
    """The longest folder prefix, with its slash, that all names share below `prefix`."""
    while names:
        tops = {name[len(prefix) :].split("/", 1)[0] if "/" in name[len(prefix) :] else "" for name in names}
        if len(tops) != 1 or "" in tops:
            break
        prefix += tops.pop() + "/"
    return prefix


def _splits(images: list[str], prefix: str) -> dict[str, tuple[str, list[str]]]:
    """Split name -> (prefix, images); all under "train" unless folders named for splits stand side by side, alone."""
    tops: dict[str, list[str]] = {}
    for name in images:
        top, slash, _ = name[len(prefix) :].partition("/")
        tops.setdefault(top if slash else "", []).append(name)
    roles = {top: role for top in tops for role, words in SPLIT_NAMES.items() if top.lower() in words}
    if (
        len(roles) < len(tops)
        or len(set(roles.values())) < len(roles)
        or "train" not in roles.values()
        or len(roles) < 2
    ):
        return {"train": (prefix, images)}
    return {role: (_wrapper(tops[top], f"{prefix}{top}/"), tops[top]) for top, role in roles.items()}


def _classes(images: list[str], prefix: str) -> tuple[dict[str, list[str]], list[Problem]]:
    """Class name -> images ({"": images} if there are no classes), and the images that are out of place."""
    by_class: dict[str, list[str]] = {}
    for name in images:
        top, slash, _ = name[len(prefix) :].partition("/")
        by_class.setdefault(top if slash else "", []).append(name)
    loose = by_class.pop("", [])
    sorted_in = sum(map(len, by_class.values()))
    if not by_class or len(loose) > sorted_in:
        strays = [name for members in by_class.values() for name in members]
        text = "lies in a sub-folder while most images lie loose; move it out, or sort all images into class folders"
        return ({"": loose} if loose else {}), [Problem(name, "misplaced", text) for name in strays]
    text = "lies beside the class folders; move it into one of them"
    return by_class, [Problem(name, "misplaced", text) for name in loose]


def list_folder(root: Path) -> tuple[list[str], list[Problem]]:
    """Names of the files under a folder, relative, with slashes; hidden files left out; folders that cannot be read.

    Symbolic links are followed, each folder once. Raises UserError if the folder itself cannot be read.
    """
    names: list[str] = []
    problems: list[Problem] = []
    seen: set[tuple[int, int]] = set()
    pending: list[tuple[Path, str]] = [(root, "")]
    while pending:
        folder, prefix = pending.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen and status.st_ino:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name == "__MACOSX":
                        continue
                    if entry.is_dir():
                        pending.append((Path(entry.path), f"{prefix}{entry.name}/"))
                    elif entry.is_file() or entry.is_symlink():
                        names.append(prefix + entry.name)
        except OSError as error:
            if not prefix:
                raise UserError(f"{root}: cannot be read ({one_line(error)}); check its permissions") from None
            problems.append(Problem(prefix.rstrip("/"), "unreadable", f"cannot be read ({one_line(error)})"))
    return names, problems


def read_from(root: Path) -> Callable[[str], bytes]:
    """A reader of files under `root` that stops at the size limit."""

    def read(name: str) -> bytes:
        path = root / name
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError("is not a regular file")
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)

    return read


def open_zip(path: Path, max_ratio: int = MAX_RATIO) -> zipfile.ZipFile:
    """Open a zip for reading, refusing by UserError whatever is not safe: nothing is ever unpacked to the disk."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise UserError(f"{path}: is not a whole zip file ({one_line(error)}); fetch or make it again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)}); check its permissions") from None
    try:
        check_zip(archive, path, max_ratio)
    except BaseException:
        archive.close()
        raise
    return archive


def check_zip(archive: zipfile.ZipFile, path: Path, max_ratio: int) -> None:
    """Raise UserError if the directory of the zip shows escaping names, encryption or a decompression bomb."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise UserError(
            f"{path}: holds {len(infos):,} members, more than {MAX_MEMBERS:,}; unpack it and give the folder"
        )
    total, packed = 0, 0
    for info in infos:
        name = info.filename.replace("\\", "/")
        if (
            name.startswith("/")
            or re.match(r"[A-Za-z]:", name)
            or ".." in name.split("/")
            or "\0" in info.orig_filename
        ):
            raise UserError(f"{path}: member {name!r} points outside the zip; do not trust this file, or pack it again")
        if info.flag_bits & 1:
            raise UserError(f"{path}: member {name!r} is encrypted; unpack it and give the folder")
        total += info.file_size
        packed += info.compress_size
        if info.file_size > (1 << 20) and info.file_size > max_ratio * max(1, info.compress_size):
            raise UserError(
                f"{path}: member {name!r} unpacks to {info.file_size:,} bytes from {info.compress_size:,}, as a "
                "decompression bomb does; unpack it yourself if you trust it, and give the folder"
            )
    size = path.stat().st_size
    if packed > size or total > MAX_TOTAL_BYTES:
        raise UserError(
            f"{path}: {size:,} bytes claim to unpack to {total:,}, as a decompression bomb does; unpack it yourself if "
            "you trust it, and give the folder"
        )


def list_zip(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Members of a checked zip by name with forward slashes; folders, hidden files and macOS' extras left out."""
    members = {}
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")
        parts = name.split("/")
        if name.endswith("/") or any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        members[name] = info
    return members


def read_from_zip(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> Callable[[str], bytes]:
    """A reader of members that stops at the size limit, whatever size the member claims."""

    def read(name: str) -> bytes:
        if members[name].file_size > MAX_FILE_BYTES:
            raise UnusableError(
                "too large", f"unpacks to {members[name].file_size >> 20} MB; {MAX_FILE_BYTES >> 20} MB is the limit"
            )
        try:
            with archive.open(members[name]) as file:
                return file.read(MAX_FILE_BYTES + 1)
        except NotImplementedError:
            raise OSError("is compressed by a method that cannot be read here") from None

    return read


def suffixes_seen(names: list[str]) -> Iterator[str]:
    """The most common suffixes among names, for error messages."""
    for suffix, _ in Counter(PurePosixPath(name).suffix.lower() or "(none)" for name in names).most_common(3):
        yield suffix
