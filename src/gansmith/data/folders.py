"""Image folders and zips of them: which images there are, in which split and which class. Decodes nothing."""

import math
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gansmith.data.annotations import Listing
from gansmith.data.images import MAX_FILE_BYTES, SUFFIXES, UNREADABLE, instead
from gansmith.data.labels import distinct
from gansmith.data.types import Problem, Split, natural
from gansmith.errors import UserError
from gansmith.text import amount, one_line, printable

SPLIT_NAMES = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation", "dev"),
}
JUNK = frozenset(("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__pycache__"))
"""Folders that systems and programs leave behind."""


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
    marks: Mapping[str, str] | None = None
    """A checksum of each member, where they are not files of their own."""
    made_too: bool = False
    """Whether pictures that gansmith wrote are used: there are no others."""


@dataclass(frozen=True)
class Part:
    """One split of a list of files: its members, the names of its classes (none without labels), files out of place."""

    members: tuple[Member, ...]
    classes: tuple[str, ...]
    problems: tuple[Problem, ...]
    plain: bool = True
    """Whether the labels are the numbers of the members' own folders, so that the names alone decide them."""


@dataclass(frozen=True)
class Arrangement:
    """What a list of file names means."""

    splits: dict[Split, Part]
    notes: tuple[str, ...] = ()


@dataclass
class _Group:
    """The images of one split while they are sorted: its folder's prefix, all names, those by class, and the rest."""

    prefix: str
    images: list[str]
    by_class: dict[str, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    plain: bool = True

    @property
    def labelled(self) -> bool:
        return bool(self.by_class) and "" not in self.by_class


def arrange(names: list[str], listing: Listing | None = None) -> Arrangement:
    """Sort file names (relative, with slashes) into splits and classes.

    Folders that wrap everything are stepped through. `train` and `test` (or `val`) side by side, alone, are the splits;
    one may have labels and the other none. Below that, first-level sub-folders are classes, unless most images lie
    loose or the folders are packs of numbered files: then there are no classes, unless a listing knows half or more of
    the images.
    """
    images = sorted((name for name in names if _suffix(name) in SUFFIXES), key=natural)
    notes = list(_passed_over([name for name in names if listing is None or name not in listing.files]))
    groups = _splits(images, notes)
    if "validation" in groups and "test" not in groups:
        groups["test"] = groups.pop("validation")
        notes.append("there is no test folder: the validation folder serves as the test split")
    elif "validation" in groups:
        notes.append(f"the validation folder ({amount(len(groups.pop('validation').images), 'image')}) is not used")
    for group in groups.values():
        if not (listing and listing.leads and _sort_by_list(group, listing, notes)):
            _sort_by_folder(group, notes)
            if listing and not listing.leads and not group.labelled:
                _sort_by_list(group, listing, notes)
    _share_wrapped_classes(groups)
    for role, group in groups.items():
        if not group.labelled and any(other.labelled for other in groups.values()):
            notes.append(f"the {role} images are not sorted into classes: that split has no labels")
    shared = sorted({name for group in groups.values() if group.labelled for name in group.by_class}, key=natural)
    for name in (name for name in names if _suffix(name) in UNREADABLE):
        home = next((each for each in groups.values() if name.startswith(each.prefix)), groups["train"])
        home.problems.append(Problem(name, "unreadable", instead(_suffix(name))))
    return Arrangement(
        {_which(role): _part(group, shared) for role, group in groups.items()}, tuple(dict.fromkeys(notes))
    )


def _which(role: str) -> Split:
    return "test" if role == "test" else "train"


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _passed_over(names: list[str]) -> Iterator[str]:
    others = sorted(name for name in names if _suffix(name) not in SUFFIXES and _suffix(name) not in UNREADABLE)
    if others:
        yield f"not images: {amount(len(others), 'file')}, passed over, such as {printable(others[0])}"


def _part(group: _Group, shared: list[str]) -> Part:
    """A sorted split as members with labels; `shared`: the classes of both splits in order."""
    classes = shared if group.labelled else []
    index = {name: number for number, name in enumerate(classes)}
    pairs = [(name, index.get(each, -1)) for each, members in group.by_class.items() for name in members]
    pairs.sort(key=lambda pair: natural(pair[0]))
    # From the names of this split's images alone the labels would be these:
    tops = {name: name[len(group.prefix) :].partition("/")[0] for name, _ in pairs} if classes else {}
    alone = {top: number for number, top in enumerate(sorted(set(tops.values()), key=natural))}
    plain = group.plain and all(label == alone[tops[name]] for name, label in pairs if classes)
    members = tuple(Member(name, label) for name, label in pairs)
    return Part(members, distinct(classes), tuple(group.problems), plain)


def _wrapper(names: list[str], prefix: str = "") -> str:
    """The longest folder prefix, with its slash, that all names share below `prefix`."""
    while names:
        tops = {name[len(prefix) :].split("/", 1)[0] if "/" in name[len(prefix) :] else "" for name in names}
        if len(tops) != 1 or "" in tops:
            break
        prefix += tops.pop() + "/"
    return prefix


def _by_top(images: list[str], prefix: str) -> dict[str, list[str]]:
    """Images by their first folder below `prefix`; under "" those that lie loose."""
    tops: dict[str, list[str]] = {}
    for name in images:
        top, slash, _ = name[len(prefix) :].partition("/")
        tops.setdefault(unicodedata.normalize("NFC", top) if slash else "", []).append(name)
    return tops


def _splits(images: list[str], notes: list[str]) -> dict[str, _Group]:
    """Split -> its images; all under "train" unless folders named for splits are the only ones side by side."""
    prefix = _wrapper(images)
    tops = _by_top(images, prefix)
    loose = tops.get("", [])
    roles = {top: role for top in tops for role, words in SPLIT_NAMES.items() if top.lower() in words}
    whole = "train" in roles.values() and 1 < len(roles) == len(set(roles.values()))
    others = [top for top in tops if top and top not in roles]
    if not whole or others or len(loose) > len(images) - len(loose):
        if whole and others:
            both = " and ".join(sorted(roles))
            notes.append(f"{both} lie beside {printable(others[0])}: all are taken as classes, none as a split")
        return {"train": _Group(prefix, images)}
    groups = {role: _Group(_wrapper(tops[top], f"{prefix}{top}/"), tops[top]) for top, role in roles.items()}
    text = "lies beside the folders of the splits; move it into one of them"
    groups["train"].problems += [Problem(name, "misplaced", text) for name in loose]
    return groups


def _sort_by_folder(group: _Group, notes: list[str]) -> None:
    """Fill in the classes of a split's images ("" if they have none) and the images that are out of place."""
    by_class = _by_top(group.images, group.prefix)
    loose = by_class.pop("", [])
    strays: list[str] = []
    if by_class and not loose and _are_packs(by_class):
        first, last = min(by_class), max(by_class)
        notes.append(f"the folders {first} to {last} are packs of files numbered throughout, not classes")
        by_class, group.plain = {"": group.images}, False
    elif not by_class or len(loose) > sum(map(len, by_class.values())):
        strays = [name for members in by_class.values() for name in members]
        by_class, loose = ({"": loose} if loose else {}), []
    group.by_class = by_class
    text = "lies in a sub-folder while most images lie loose; move it out, or sort all images into class folders"
    group.problems += [Problem(name, "misplaced", text) for name in strays]
    text = "lies beside the class folders; move it into one of them"
    group.problems += [Problem(name, "misplaced", text) for name in loose]


def _are_packs(by_folder: dict[str, list[str]]) -> bool:
    """Whether the folders only cut a numbered sequence of files into packs, as StyleGAN's dataset_tool and FFHQ do.

    Then their names are zero-padded numbers, and that of a file's folder is its own number divided by the size of the
    packs (00001/img00001234.png) or the first number of its pack (01000/01234.png).
    """
    if not all(re.fullmatch(r"[0-9]{5,}", folder) for folder in by_folder):
        return False
    numbers: list[tuple[int, int]] = []
    for folder, names in by_folder.items():
        for name in names:
            found = re.search(r"([0-9]+)\D*$", PurePosixPath(name).stem)
            if found is None:
                return False
            numbers.append((int(folder), int(found[1])))
    if len(set(numbers)) < len(numbers):
        return False
    size = math.gcd(*(folder for folder, _ in numbers))
    if size > 1 and all(folder <= number < folder + size for folder, number in numbers):
        return True
    least = max(number // (folder + 1) + 1 for folder, number in numbers)
    return least <= min((number // folder for folder, number in numbers if folder), default=0)


def _sort_by_list(group: _Group, listing: Listing, notes: list[str]) -> bool:
    """Let a file of labels decide the classes; False if it knows too few of the images."""
    known = [name for name in group.images if name in listing.classes]
    if 2 * len(known) < len(group.images) or not known:
        if known:
            notes.append(f"{listing.name} has labels for {len(known):,} of {len(group.images):,} images only: not used")
        return False
    group.by_class = {}
    for name in known:
        group.by_class.setdefault(listing.classes[name], []).append(name)
    text = f"has no label in {listing.name}; add it there"
    group.problems += [Problem(name, "misplaced", text) for name in group.images if name not in listing.classes]
    group.plain = False
    notes.append(f"the labels are those of {listing.name}")
    return True


def _share_wrapped_classes(groups: dict[str, _Group]) -> None:
    """A split whose images all lie in one folder has a class, if the other split has a class of that name."""
    known = {name for group in groups.values() if group.labelled for name in group.by_class}
    for group in groups.values():
        only = PurePosixPath(group.prefix).name
        if len(groups) > 1 and not group.labelled and only in known and list(group.by_class) == [""]:
            group.prefix = group.prefix[: -len(only) - 1]
            group.by_class, group.plain = {only: group.by_class[""]}, False


def list_folder(root: Path) -> tuple[list[str], list[Problem]]:
    """Names of the files under a folder, relative, with slashes; hidden files left out; entries that cannot be read.

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
                    if entry.name.startswith(".") or entry.name in JUNK:
                        continue
                    name = prefix + entry.name
                    try:
                        if entry.is_dir():
                            pending.append((Path(entry.path), f"{name}/"))
                        elif entry.is_file():
                            names.append(name)
                        else:
                            entry.stat()  # says what is wrong with a link
                            raise OSError("is not a regular file")
                    except OSError as error:  # a link to nothing or to itself spoils no other entry
                        if _suffix(name) in SUFFIXES or isinstance(error, PermissionError):
                            problems.append(Problem(name, "unreadable", f"cannot be read ({one_line(error)})"))
        except OSError as error:
            if not prefix:
                raise UserError(
                    f"{printable(str(root))}: cannot be read ({one_line(error)}); check its permissions"
                ) from None
            problems.append(Problem(prefix.rstrip("/"), "unreadable", f"cannot be read ({one_line(error)})"))
    return names, problems


def read_from(root: Path) -> Callable[..., bytes]:
    """A reader of files under `root`, by name, that stops at the size limit, or after the bytes that are wanted."""

    def read(name: str, most: int = MAX_FILE_BYTES + 1) -> bytes:
        path = root / name
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError("is not a regular file")
        with path.open("rb") as file:
            return file.read(most)

    return read


def suffixes_seen(names: list[str]) -> Iterator[str]:
    """The most common suffixes among names, for error messages."""
    for suffix, _ in Counter(_suffix(name) or "(none)" for name in names).most_common(3):
        yield printable(suffix)
