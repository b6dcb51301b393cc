"""shard: a data set, written as shards that training reads from any disk or address."""

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from gansmith.data import layouts
from gansmith.data.dataset import Dataset
from gansmith.data.loading import load, test_count
from gansmith.data.sharded import INDEX, MAX_SHARD_BYTES, Index, Part, Shard
from gansmith.data.types import MINIMUM_IMAGES, Fit, Images, Split
from gansmith.errors import SHARD, UserError
from gansmith.files import write_bytes, write_text, writing
from gansmith.progress import Progress, Ticker
from gansmith.text import printable

Layout = Literal["tar", "parquet"]
MOST, MOST_BYTES = 10_000, 64 << 20
"""Images of a shard, unless said otherwise: so many, or as many as take so many bytes decoded."""
_PLAN = ".sharding.json"


def shard(
    source: Images,
    out: str | Path,
    *,
    layout: Layout = "tar",
    size: int | None = None,
    fit: Fit = "crop",
    seed: int = 0,
    rows: int | None = None,
    progress: Progress | None = None,
) -> Index:
    """Writes a data set as shards, its test split too; called again after a kill, it goes on where it was.

    Training from the shards ends in the same bytes as training from the source.

    Args:
        source: what :func:`gansmith.data.load` takes.
        out: a new folder, or one that the same call began.
        layout: "tar" (WebDataset's: 000000012.png, 000000012.cls) or "parquet" (Hugging Face's). Of tar a single image
            can be read from a distance, of Parquet 1,000 at once.
        size: height and width in pixels; None keeps the images' own.
        fit: images that are not square are cropped about their centre, or padded.
        seed: of the data sets that are made while they are read.
        rows: images of a shard; None is 10,000, or what takes 64 MB decoded.
        progress: called with the images that are written, if that takes more than two seconds.

    Raises:
        UserError: one line: no such data, another set in ``out``, a library that a layout needs.
        OSError: the disk is full. What is whole stays, and is gone on with.
    """
    if layout not in ("tar", "parquet"):
        raise UserError(f"`format` {layout!r}: choose tar or parquet")
    if layout == "parquet":
        layouts.pyarrow()
    rows = None if rows is None else SHARD.check("shard", rows)
    splits: list[Split] = ["train", *(["test"] if (test_count(source) or 0) >= MINIMUM_IMAGES else [])]  # type: ignore[list-item]
    every = {each: load(source, split=each, size=size, fit=fit, seed=seed, progress=progress) for each in splits}
    train = every["train"]
    rows = rows or max(1, min(MOST, MOST_BYTES // int(np.prod(train.shape))))
    folder = Path(out)
    plan = {"format": layout, "shard": rows, "data": [each.fingerprint for each in every.values()]}
    _begin(folder, plan)
    tick = Ticker(progress, "images", sum(map(len, every.values())))
    parts: dict[Split, Part] = {}
    for split, dataset in every.items():
        before = sum(part.total for part in parts.values())
        parts[split] = _write_part(folder, dataset, split, layout, rows, partial(_tell, tick, before))
    index = Index(format=layout, name=train.name, shape=train.shape, train=parts["train"], test=parts.get("test"))
    write_text(folder / INDEX, json.dumps(index.model_dump(mode="json"), indent=1) + "\n")
    for left in [*folder.glob(".rows-*"), folder / _PLAN]:
        left.unlink(missing_ok=True)
    return index


def _tell(tick: Ticker, before: int, count: int) -> None:
    tick(before + count)


def _begin(folder: Path, plan: Mapping[str, object]) -> None:
    """Makes the folder. Raises UserError where it holds anything but what the same plan began."""
    text = json.dumps(plan)
    known = folder / _PLAN
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        try:
            same = known.read_text("utf-8") == text
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            raise UserError(f"`out` {printable(str(folder))}: holds something else; name a new folder")
    write_text(known, text)


def _write_part(
    folder: Path, dataset: Dataset, split: Split, layout: Layout, rows: int, tick: Callable[[int], None]
) -> Part:
    """All shards of a split, but for those that are there, and the file that says where each image is."""
    shards, number = [], -(-len(dataset) // rows)
    names = [
        f"{split}-{at:06d}.tar" if layout == "tar" else f"data/{split}-{at:05d}-of-{number:05d}.parquet"
        for at in range(number)
    ]
    for at, name in enumerate(names):
        path, note = folder / name, folder / f".rows-{split}-{at:06d}"
        if not (path.exists() and note.exists()):
            write_bytes(note, _write_shard(path, dataset, at * rows, layout, rows).tobytes())
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        count = min(rows, len(dataset) - at * rows)
        shards.append(Shard(file=name, count=count, bytes=path.stat().st_size, sha256=digest))
        tick(at * rows + count)
    about = f"{split}-rows.npy"
    digest = _join(folder / about, [folder / f".rows-{split}-{at:06d}" for at in range(number)], len(dataset))
    mean, std = dataset.mean_and_std()
    return Part(
        total=len(dataset),
        classes=dataset.classes if dataset.labels is not None else (),
        fingerprint=dataset.fingerprint,
        mean=mean,
        std=std,
        rows=about,
        rows_sha256=digest,
        shards=tuple(shards),
    )


def _write_shard(path: Path, dataset: Dataset, first: int, layout: Layout, rows: int) -> np.ndarray:
    """One shard, whole or not at all; returns where each image is: uint32 (n, 4)."""
    numbers = np.arange(first, min(first + rows, len(dataset)))
    pngs = [layouts.encode(image) for image in dataset.take(numbers)]
    labels = None if dataset.labels is None else dataset.labels[numbers].tolist()
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as fresh:
        if layout == "tar":
            starts = layouts.write_tar(fresh, numbers.tolist(), pngs, labels)
        else:
            layouts.write_parquet(fresh, numbers.tolist(), pngs, labels, dataset.classes)
            starts = [at // layouts.ROW_GROUP for at in range(len(pngs))]
        if fresh.stat().st_size > MAX_SHARD_BYTES:
            raise UserError(f"`shard` {rows:,}: makes files of more than 4 GB; give fewer images a file")
    about = [starts, list(map(len, pngs)), list(map(zlib.crc32, pngs)), labels or [0] * len(pngs)]
    return np.array(about, np.uint32).T.copy()


def _join(path: Path, notes: list[Path], count: int) -> str:
    """Writes the notes of all shards as one .npy file; returns its SHA-256."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<u4", "fortran_order": False, "shape": (count, 4)})
    total = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        yield header.getvalue()
        for note in notes:
            yield note.read_bytes()

    with writing(path) as fresh, fresh.open("wb") as file:
        for piece in pieces():
            file.write(piece)
            total.update(piece)
    return total.hexdigest()
