"""A data set in several files, such as `gansmith mint` writes: NumPy archives, and tars as WebDataset lays them out."""

import json
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data import npz
from gansmith.data.arrays import Arrays
from gansmith.data.build import Source
from gansmith.data.folders import Files, Member
from gansmith.data.images import MAX_FILE_BYTES, SUFFIXES
from gansmith.data.labels import distinct, index_labels
from gansmith.data.naming import own_name
from gansmith.data.own import MADE_HERE, all_made
from gansmith.data.types import Labels, Split, natural
from gansmith.errors import UserError
from gansmith.text import amount, one_line, printable

ARCHIVE = re.compile(r"(train|test|val(id(ation)?)?)-\d{4,}(-of-\d{4,})?\.npz", re.IGNORECASE)
"""Archives of these names belong together; others are sets of their own."""
INDEX = "index.json"
MAX_INDEX_BYTES = 64 << 20
MAX_LABEL_BYTES = 1000
WANTED = "tars as WebDataset lays them out, 12.png and its label in 12.cls"
_SPLITS: tuple[tuple[Split, str], ...] = (("train", "train"), ("test", "test"), ("test", "valid"))


def by_split(paths: Sequence[Path]) -> dict[Split, list[Path]]:
    """Files in order, by the split that their names begin with; all are for training if none says so."""
    found: dict[Split, list[Path]] = {}
    for split, word in _SPLITS:
        named = [path for path in paths if re.search(rf"(?<![a-z]){word}", path.name.lower())]
        if named and split not in found:
            found[split] = sorted(named, key=lambda path: natural(path.name))
    return found or {"train": sorted(paths, key=lambda path: natural(path.name))}


def in_folder(path: Path, listed: Sequence[str], split: Split) -> Source | None:
    """One split of the archives or tars in a folder that holds no images itself; None where they are no one set.

    Raises UserError where they are, and cannot be read.
    """
    archives = [name for name in listed if name.lower().endswith(".npz")]
    if archives and all(ARCHIVE.fullmatch(PurePosixPath(name).name) for name in archives):
        return archives_source(path, [path / name for name in archives], split)
    tars = [path / name for name in listed if name.lower().endswith(".tar")]
    return tars_source(path, tars, split) if tars else None


def archives_source(origin: Path, paths: Sequence[Path], split: Split) -> Source:
    """One split of numbered NumPy archives, whose images are one sequence. Raises UserError."""
    splits = _with(split, by_split(paths), origin, "test-00000.npz")
    sources = {role: [npz.npz_source(path, "train") for path in each] for role, each in splits.items()}
    arrays = {role: _joined(splits[role], each) for role, each in sources.items()}
    texts = {role: _texts(splits[role], each) for role, each in sources.items()}
    numbers, classes, special = _labels(origin, texts, split, arrays[split].count)
    return Source(
        name=own_name(origin.name),
        origin=printable(str(origin)),
        kind="NumPy archives",
        split=split,
        classes=classes,
        content=replace(arrays[split], labels=lambda: numbers),
        test_count=arrays["test"].count if "test" in arrays else None,
        parts=tuple((path.name, path) for each in splits.values() for path in each),
        notes=tuple(dict.fromkeys(note for source in sources[split] for note in source.notes)),
        reading=special,
    )


def _with(split: Split, splits: dict[Split, list[Path]], origin: Path, example: str) -> dict[Split, list[Path]]:
    if split not in splits:
        raise UserError(f"{printable(str(origin))}: has no {split} images; put a file {example} beside the others")
    return splits


def _joined(paths: Sequence[Path], sources: Sequence[Source]) -> Arrays:
    """The images of all files, one after another. Raises UserError where their sizes differ."""
    contents = list(map(_arrays, sources))
    first = contents[0]
    for path, each in zip(paths, contents, strict=True):
        if (each.height, each.width) != (first.height, first.width):
            sizes = f"{each.width}x{each.height} images, and {paths[0].name} {first.width}x{first.height}"
            raise UserError(f"{printable(str(path))}: has {sizes}; give files of one size, or each by itself")
    return replace(
        first,
        count=sum(each.count for each in contents),
        blocks=lambda: chain.from_iterable(each.blocks() for each in contents),
    )


def _texts(paths: Sequence[Path], sources: Sequence[Source]) -> NDArray[Any] | None:
    """The labels of all files as texts; None if none has any. Raises UserError where some have none."""
    without = [path for path, source in zip(paths, sources, strict=True) if not source.classes]
    if len(without) == len(paths):
        return None
    if without:
        raise UserError(f"{printable(str(without[0]))}: has no labels, as files beside it have; write it again")
    return np.concatenate([np.array(source.classes)[_arrays(source).labels()] for source in sources])


def _arrays(source: Source) -> Arrays:
    assert isinstance(source.content, Arrays), "it is of an archive"
    return source.content


def tars_source(origin: Path, paths: Sequence[Path], split: Split) -> Source:
    """One split of tars as WebDataset lays them out: 12.png, and its label as text in 12.cls. Raises UserError."""
    splits = _with(split, by_split(paths), origin, "test-000000.tar")
    tars = {role: _Tars.of(each) for role, each in splits.items()}
    chosen = tars[split]
    texts = {role: each.texts(origin) for role, each in tars.items()}
    numbers, classes, special = _labels(origin, texts, split, len(chosen.images))
    labels = [-1] * len(chosen.images) if numbers is None else numbers.tolist()
    made = all_made(list(chosen.images), chosen.read)
    return Source(
        name=own_name(origin.name.split(".")[0]),
        origin=printable(str(origin)),
        kind="tars of images",
        split=split,
        classes=classes,
        content=Files(tuple(map(Member, chosen.images, labels)), chosen.read, made_too=made),
        test_count=len(tars["test"].images) if "test" in tars else None,
        parts=tuple((path.name, path) for each in splits.values() for path in each),
        notes=(*([MADE_HERE] if made else []), *chosen.notes),
        reading=special,
    )


@dataclass
class _Tars:
    """Where the images of some tars are, by the name of tar and member, and their labels by the same without suffix."""

    images: dict[str, tuple[Path, int, int]] = field(default_factory=dict)
    """File, place and bytes."""
    labels: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, paths: Sequence[Path]) -> "_Tars":
        """Lists tars. Raises UserError where one is torn, or holds no images."""
        found = cls()
        for path in paths:
            before = len(found.images)
            try:
                with tarfile.open(path, "r:") as tar:
                    while (member := tar.next()) is not None:
                        found._list(path, tar, member)
                        tar.members.clear()  # type: ignore[attr-defined]  # or it would remember all
            except (tarfile.TarError, OSError, ValueError) as error:
                what = f"is not a whole tar ({one_line(error)})"
                raise UserError(f"{printable(str(path))}: {what}; fetch or make it again") from None
            if len(found.images) == before:
                raise UserError(f"{printable(str(path))}: holds no images; give {WANTED}")
        return found

    def _list(self, path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = PurePosixPath(member.name)
        if not member.isreg() or member.issparse() or any(part.startswith(".") for part in name.parts):
            return
        whole, suffix = f"{path.name}/{name}", name.suffix.lower()
        if suffix in SUFFIXES:
            self.images[whole] = (path, member.offset_data, member.size)
        elif suffix == ".cls" and member.size <= MAX_LABEL_BYTES:
            file = tar.extractfile(member)
            assert file is not None, "a regular file"
            self.labels[whole[: -len(suffix)]] = file.read().decode("utf-8", "backslashreplace").strip()
        else:
            self.others.append(whole)

    def texts(self, origin: Path) -> NDArray[Any] | None:
        """The labels in the order of the images; None without any. Raises UserError where some images have none."""
        found = [self.labels.get(name.rpartition(".")[0]) for name in self.images]
        if None not in found:
            return np.array(found)
        name = list(self.images)[found.index(None)]
        if self.labels:
            raise UserError(
                f"{printable(str(origin))}: {printable(name)} has no label beside it, as others have; add it"
            )
        if any("/" in name.partition("/")[2] for name in self.images):
            raise UserError(
                f"{printable(str(origin))}: {printable(name)} lies in a folder; unpack it and give the folder"
            )
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is in the tars."""
        if not self.others:
            return ()
        return (f"not images: {amount(len(self.others), 'file')}, passed over, such as {printable(self.others[0])}",)

    def read(self, name: str, most: int = MAX_FILE_BYTES + 1) -> bytes:
        """The encoded image of a member. Raises OSError."""
        path, place, size = self.images[name]
        with path.open("rb") as file:
            file.seek(place)
            return file.read(min(size, most))


def _labels(
    origin: Path, texts: dict[Split, NDArray[Any] | None], split: Split, count: int
) -> tuple[Labels | None, tuple[str, ...], str]:
    """Labels as indices, the classes' names and what is special about them, as of :func:`index_labels`."""
    raw = texts[split]
    if raw is None:
        return None, (), ""
    others = [each for role, each in texts.items() if role != split and each is not None]
    names, every = _names(origin), np.concatenate([raw, *others])
    if names and set(every.tolist()) <= set(map(str, range(len(names)))):
        return raw.astype(np.int64), distinct(names), f"named {len(names)}"
    return index_labels(raw, others[0] if others else None, count, printable(str(origin)))


def check_whole(origin: Path, listed: Sequence[str]) -> None:
    """Raises UserError where a file of a minted set, which its index lists, is not among those of its folder."""
    there, shards = set(listed), _index(origin).get("shards")
    for shard in shards if isinstance(shards, list) else []:
        name = shard.get("file") if isinstance(shard, dict) else None
        if isinstance(name, str) and name not in there:
            raise UserError(f"{printable(str(origin / name))}: is missing, and {INDEX} lists it; restore it")


def _names(origin: Path) -> list[str]:
    """What the classes 0, 1, ... are called, by the index that `gansmith mint` writes; empty where nobody says."""
    classes = _index(origin).get("classes")
    return list(map(str, classes)) if isinstance(classes, dict) else []


def _index(origin: Path) -> dict[str, Any]:
    """The index that `gansmith mint` writes; empty where there is none."""
    try:
        with (origin / INDEX).open("rb") as file:
            return dict(json.loads(file.read(MAX_INDEX_BYTES)))
    except (OSError, TypeError, ValueError, RecursionError):
        return {}
