"""A name or a path -> the source it means: built in, images, arrays, tables; errors say what could be meant."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gansmith.data import annotations, builtin, folders, given, idx, npz, numbered, own, parquet, sharded, tables, zips
from gansmith.data.build import Source
from gansmith.data.folders import Files, Member
from gansmith.data.images import SUFFIXES, UNREADABLE, instead
from gansmith.data.naming import BUILT_IN, existing, is_given, named, names, own_name
from gansmith.data.npy import MAGIC
from gansmith.data.types import Problem, Split, natural
from gansmith.errors import UserError
from gansmith.progress import Progress
from gansmith.text import amount, one_line, printable

KINDS_READ = (
    "a folder of images, a .zip of one, an .npz or .npy file, a .csv of pixels, .parquet, a WebDataset .tar or an IDX "
    "images file"
)
WAYS = (
    (r"\.(tgz|tar\.\w+|7z|rar|xz|bz2|zst)$", "unpack it and give the folder"),
    (r"\.mat$", "in Python: numpy.savez('data.npz', images=..., labels=...) of what scipy.io.loadmat reads"),
    (r"\.(h5|hdf5|hdf)$", "in Python: numpy.savez('data.npz', images=..., labels=...) of what h5py reads"),
    (r"\.(pkl|pickle|pt|pth|joblib)$", "pickles run programs and are never read: save the arrays with numpy.savez"),
    (r"\.(tfrecord|tfrecords|lmdb|mdb|arrow|avi|mp4|mov)$", "save its images as PNG files and give the folder"),
)
"""What is not read, by suffix, and how to get there."""


def find(source: Any, split: Split, progress: Progress | None, *, everything: bool = False) -> Source:
    """One split of what a name (not a derived one's), a path or images mean. Decodes nothing. Raises UserError.

    With ``everything``, all image files of a folder or .zip, in whatever sub-folder, without labels.
    """
    source = named(source)
    if not isinstance(source, str | Path):
        return given.find(source, split, progress)
    if is_given(source) and not Path(source).exists():
        return given.recall(str(source), split)
    if isinstance(source, str) and source in BUILT_IN:
        return builtin.builtin_source(source, split, progress)
    if isinstance(source, str) and not source.strip():
        raise UserError(f"data {source!r}: is empty; give a name ({', '.join(names())}) or a path")
    if sharded.find(source):
        raise UserError(
            f"{printable(str(source))}: holds shards, which are trained on; give the images themselves here"
        )
    path = existing(source)
    where = printable(str(path))
    if path.is_dir():
        return _folder(path, split, everything)
    try:
        with path.open("rb") as file:
            start = file.read(6)
    except OSError as error:
        raise UserError(f"{where}: cannot be read ({one_line(error)}); check its permissions") from None
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return npz.npz_source(path, split)
    if suffix == ".zip" or (start[:4] == b"PK\x03\x04" and suffix not in (".pt", ".pth", ".docx", ".xlsx")):
        return _zip(path, split, everything)
    if suffix == ".npy" or start == MAGIC:
        return npz.npy_source(path, split)
    if suffix == ".parquet" or start[:4] == b"PAR1":
        return parquet.parquet_source(path, [path], split)
    if suffix == ".tar":
        return numbered.tars_source(path, [path], split)
    if suffix in SUFFIXES:
        raise UserError(f"{where}: is a single image; give the folder it is in: {printable(str(path.parent))}")
    if idx.is_idx(path):
        return idx.idx_source(path, idx.find_by_file(path), split)
    if re.search(r"\.(csv|tsv)(\.gz)?$", path.name.lower()):
        return tables.table_source(path, split)
    raise UserError(f"{where}: is nothing that can be read; {_way(path.name, start)}")


def _way(name: str, start: bytes = b"") -> str:
    """How to get from a file that is not read to one that is."""
    if start[:1] == b"\x80" and start[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        name = "some.pickle"
    return next((way for pattern, way in WAYS if re.search(pattern, name.lower())), f"give {KINDS_READ}")


def _folder(path: Path, split: Split, everything: bool) -> Source:
    pairs = idx.find_in_folder(path)
    if pairs:
        return idx.idx_source(path, pairs, split)
    listed, troubles = folders.list_folder(path)
    numbered.check_whole(path, listed)
    if not any(Path(name).suffix.lower() in SUFFIXES for name in listed):
        pairs = idx.find_anywhere(path, listed)
        if pairs:
            return idx.idx_source(path, pairs, split)
        shards = [path / name for name in listed if name.lower().endswith(".parquet")]
        if shards:
            return parquet.parquet_source(path, shards, split)
        if (source := numbered.in_folder(path, listed, split)) is not None:
            return source
    if everything:
        return _every_image(path, "image folder", listed, folders.read_from(path), tuple(troubles))
    return _images(path, split, "image folder", listed, folders.read_from(path), tuple(troubles))


def _zip(path: Path, split: Split, everything: bool) -> Source:
    archive = zips.open_zip(path)
    members, twice = zips.list_zip(archive)
    text = "there are several members of this name; the last one is used"
    troubles = tuple(Problem(name, "misplaced", text) for name in twice if Path(name).suffix.lower() in SUFFIXES)
    if everything:
        return _every_image(path, "zip of images", list(members), zips.read_from_zip(archive, members), troubles)
    marks = {name: f"{info.CRC:08x} {info.file_size}" for name, info in members.items()}
    return _images(path, split, "zip of images", list(members), zips.read_from_zip(archive, members), troubles, marks)


def _every_image(
    path: Path, kind: str, listed: list[str], read: Callable[..., bytes], troubles: tuple[Problem, ...]
) -> Source:
    """A source of all image files among these, but those inside gansmith's own runs and generators."""
    kept, notes, _ = own.without_own(listed, lambda name: b"")  # without a mark, pictures that gansmith made stay
    images = sorted((name for name in kept if Path(name).suffix.lower() in SUFFIXES), key=natural)
    if not images:
        raise UserError(f"{printable(str(path))}: {_no_images(kind, kept)}")
    others = sorted((name for name in kept if Path(name).suffix.lower() in UNREADABLE), key=natural)
    unreadable = (Problem(name, "unreadable", instead(Path(name).suffix.lower())) for name in others)
    return Source(
        name=own_name(path.stem if path.is_file() else path.name),
        origin=printable(str(path)),
        kind=kind,
        split="train",
        classes=(),
        content=Files(tuple(Member(name, -1) for name in images), read, (*troubles, *unreadable)),
        test_count=None,
        parts=(),
        notes=tuple(notes),
    )


def _images(
    path: Path,
    split: Split,
    kind: str,
    listed: list[str],
    read: Callable[..., bytes],
    troubles: tuple[Problem, ...],
    marks: dict[str, str] | None = None,
) -> Source:
    """A source of image files from their names; `troubles`: entries that cannot be used, whatever their split."""
    kept, own_notes, made_too = own.without_own(listed, lambda name: read(name, own.HEAD_BYTES))
    if own_notes and not kept:
        raise UserError(
            f"{printable(str(path))}: holds only what gansmith wrote; give a folder of images to learn from"
        )
    listing, listing_notes = annotations.find_listing(kept, read)
    arrangement = folders.arrange(kept, listing)
    if not any(part.members for part in arrangement.splits.values()):
        raise UserError(f"{printable(str(path))}: {_no_images(kind, kept)}")
    if split not in arrangement.splits:
        raise UserError(f"{printable(str(path))}: has no test images; put them in a folder test beside a folder train")
    part, test = arrangement.splits[split], arrangement.splits.get("test")
    zipped = path.is_file()
    return Source(
        name=own_name(path.stem if zipped else path.name),
        origin=printable(str(path)),
        kind=kind,
        split=split,
        classes=part.classes,
        content=Files(part.members, read, (*troubles, *part.problems), marks, made_too),
        test_count=None if test is None else len(test.members),
        parts=(("", path),) if zipped else tuple((member.name, path / member.name) for member in part.members),
        notes=(*own_notes, *listing_notes, *arrangement.notes),
        reading="" if part.plain else f"labels {[member.label for member in part.members]}",
    )


def _no_images(kind: str, listed: list[str]) -> str:
    """What to say of a folder or zip in which there are no images that can be read."""
    if not listed:
        return f"is empty; give {KINDS_READ}"
    unreadable = [name for name in sorted(listed, key=natural) if Path(name).suffix.lower() in UNREADABLE]
    if unreadable:
        what = f"{printable(unreadable[0])} {instead(Path(unreadable[0]).suffix.lower())}"
        return f"none of its {amount(len(unreadable), 'image')} can be read: {what}"
    for name in sorted(listed, key=natural):
        if re.search(r"\.(npz|npy|zip|parquet|(csv|tsv)(\.gz)?)$", name.lower()):
            alike = sum(other.lower().endswith(Path(name).suffix.lower()) for other in listed)
            many, which = "", "that file" if kind.startswith("zip") else "that file itself"
            if alike > 1:
                many, which = f"{alike:,} files such as ", "one of them; each is a set of its own"
            unpack = f"unpack it, and give {which}" if kind.startswith("zip") else f"give {which}"
            return f"holds no images, but {many}{printable(name)}; {unpack}"
    for name in sorted(listed, key=natural):
        if re.search(r"idx\d", name.lower()):
            return f"holds no images, but IDX files such as {printable(name)}; " + (
                "unpack it and give the folder" if kind.startswith("zip") else "give the file of training images"
            )
        if any(re.search(pattern, name.lower()) for pattern, _ in WAYS):
            return f"holds no images, but {printable(name)}; {_way(name)}"
    seen = ", ".join(folders.suffixes_seen(listed))
    return f"this {kind} holds {amount(len(listed), 'file')} ({seen}) and no images; give {KINDS_READ}"
