"""Labels that a file beside the images lists: StyleGAN's dataset.json, Hugging Face's metadata, tables of names."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from gansmith.data.images import SUFFIXES
from gansmith.text import amount, one_line, printable

LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category", "target", "class_id", "species", "breed")
"""Names of columns that hold the class of an image, the first that is there is taken."""
MAX_BYTES = 64 << 20
MAX_TRIED = 8


@dataclass(frozen=True)
class Listing:
    """Classes of images by their names, the files that list them, and whether these overrule folders."""

    files: tuple[str, ...]
    classes: Mapping[str, str]
    leads: bool

    @property
    def name(self) -> str:
        """The files, in words."""
        return " and ".join(map(printable, self.files))


def find_listing(names: list[str], read: Callable[[str], bytes]) -> tuple[Listing | None, list[str]]:
    """The file of labels among `names`, if there is one, and notes on those that are not used. Decodes no image."""
    found: dict[str, str] = {}
    used: list[str] = []
    notes = []
    leads = False
    for name in _candidates(names):
        try:
            content = read(name)
            if len(content) > MAX_BYTES:
                continue
            index = _Index(names, name)
            text = content.decode("utf-8-sig")
            pairs = list(_pairs(PurePosixPath(name).name.lower(), text, index))
        except Exception as error:  # the disk, a damaged zip member or a text that is none raise anything
            notes.append(f"{printable(name)} may hold labels and cannot be read ({printable(one_line(error))[:80]})")
            continue
        if not pairs:
            continue
        trouble = _trouble(pairs)
        if trouble:
            notes.append(f"{printable(name)}: {trouble}, so it is not used for labels")
            continue
        found |= {image: text for image, text in pairs if text is not None}
        used.append(name)
        leads = leads or name.endswith("dataset.json")
    return (Listing(tuple(used), found, leads) if found else None), notes


def _candidates(names: list[str]) -> list[str]:
    """Files that may list labels: dataset.json first, then metadata, then other tables, the outer ones before."""
    ranked = []
    for name in names:
        last = PurePosixPath(name).name.lower()
        kinds = (last == "dataset.json", last in ("metadata.csv", "metadata.jsonl"), last.endswith((".csv", ".tsv")))
        if any(kinds):
            ranked.append((kinds.index(True), name.count("/"), name))
    return [name for _, _, name in sorted(ranked)[:MAX_TRIED]]


class _Index:
    """Finds the image that a listing means: by its path from the listing, its file name, or that without suffix."""

    def __init__(self, names: list[str], listing: str) -> None:
        folder = listing[: listing.rfind("/") + 1]
        images = [name for name in names if PurePosixPath(name).suffix.lower() in SUFFIXES]
        inside = [name for name in images if name.startswith(folder)]
        stem = PurePosixPath(listing).stem.lower()  # train.csv and train_labels.csv are about the folder train
        tops = {name[len(folder) :].partition("/")[0] for name in inside if "/" in name[len(folder) :]}
        own = {f"{folder}{top}/" for top in tops if stem.startswith(top.lower())}
        inside = [name for name in inside if any(map(name.startswith, own))] if own else inside
        self._paths = {name[len(folder) :]: name for name in inside}
        self._files = _unique((name.rsplit("/", 1)[-1], name) for name in inside)
        self._stems = _unique((PurePosixPath(name).stem, name) for name in inside)

    def __call__(self, key: str) -> str | None:
        key = key.strip().replace("\\", "/").removeprefix("./")
        return self._paths.get(key) or self._files.get(key.rsplit("/", 1)[-1]) or self._stems.get(key)


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, name in pairs:
        found[key] = "" if key in found else name
    return found


def _pairs(name: str, text: str, index: _Index) -> Iterator[tuple[str, str | None]]:
    """(image, class) for each image that a listing names; the class None where it says none. Raises ValueError."""
    if name == "dataset.json":
        about = json.loads(text)
        listed = about.get("labels") if isinstance(about, dict) else None
        entries = listed.items() if isinstance(listed, dict) else listed or []
        rows = [(str(entry[0]), entry[1]) for entry in entries if len(entry) == 2]
    elif name.endswith(".jsonl"):
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        wanted = next((column for column in LABEL_COLUMNS if lines and column in lines[0]), None)
        rows = [(str(line.get("file_name")), line.get(wanted)) for line in lines] if wanted else []
    else:
        rows = list(_table(text, index))
    for key, value in rows:
        image = index(key)
        if image:
            yield image, _class(value)


def _table(text: str, index: _Index) -> Iterator[tuple[str, Any]]:
    """(key, value) of the rows of a table that has one column of images and one of labels."""
    first = text[:10_000].split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    some = rows[:200]
    width = len(rows[0]) if rows else 0
    hits = [sum(index(row[column]) is not None for row in some if len(row) > column) for column in range(width)]
    if not any(hits):
        return
    key = hits.index(max(hits))
    headed = index(rows[0][key]) is None
    header = [cell.strip().lower() for cell in rows[0]] if headed else []
    named = [header.index(column) for column in LABEL_COLUMNS if column in header]
    value = named[0] if named else 1 - key if width == 2 else None
    if value is None:
        return
    yield from ((row[key], row[value]) for row in rows[headed:] if len(row) == width)


def _class(value: Any) -> str | None:
    """A label as a class's name; None if there is none, or several."""
    if isinstance(value, list):  # one-hot, as StyleGAN takes it too
        hot = [place for place, share in enumerate(value) if share]
        return str(hot[0]) if len(hot) == 1 and value[hot[0]] == 1 else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None else str(value).strip()
    return text or None


def _trouble(pairs: list[tuple[str, str | None]]) -> str:
    """Why these are no labels; empty if they are."""
    texts = [text for _, text in pairs if text is not None]
    if not texts:
        return f"it gives {amount(len(pairs), 'image')} no single label"
    if len(texts) > 20 and 2 * len(set(texts)) > len(texts):
        return f"it gives {amount(len(texts), 'image')} {len(set(texts)):,} different values"
    return ""
