"""Shards as a data set: what index.json says of them, and how they are found and opened."""

import hashlib
import io
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from gansmith.data.dataset import Dataset
from gansmith.data.naming import is_remote, own_name
from gansmith.data.places import Place
from gansmith.data.shard_store import ShardStore
from gansmith.data.types import MAX_SIDE, MIN_SIDE, Split
from gansmith.errors import UserError
from gansmith.files import cache_dir, write_bytes
from gansmith.recipe import Value, explain

INDEX = "index.json"
MAX_INDEX_BYTES = 256 << 20
MAX_SHARD_BYTES = (1 << 32) - 1
"""Places in a shard are kept as 32 bits."""
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Rows = NDArray[np.uint32]


class Shard(Value):
    """One file of images."""

    file: str = Field(pattern=r"^(data/)?(train|test)-\d{5,6}(-of-\d{5,6})?\.(tar|parquet)$")
    count: int = Field(ge=1)
    bytes: int = Field(ge=1, le=MAX_SHARD_BYTES)
    sha256: Hash


class Part(Value):
    """One split: its shards in order, each with its count, so that an image is found by arithmetic."""

    total: int = Field(ge=1, lt=1 << 40)
    classes: tuple[str, ...]
    fingerprint: Hash
    """Of the data set that was written: over pixels, labels and shape, the same wherever the pixels are."""
    mean: float
    std: float
    rows: str = Field(pattern=r"^(train|test)-rows\.npy$")
    """A file of uint32 (total, 4): where an image begins in its shard (of Parquet: its row group), bytes, CRC-32, and
    label."""
    rows_sha256: Hash
    shards: tuple[Shard, ...]


class Index(Value):
    """index.json: what the shards of a folder hold."""

    made_by: Literal["gansmith"] = "gansmith"
    kind: Literal["shards"] = "shards"
    version: Literal[1] = 1
    format: Literal["tar", "parquet"]
    name: str = Field(min_length=1, max_length=100)
    shape: tuple[int, int, int]
    """(C, H, W)."""
    train: Part
    test: Part | None = None

    def check(self, where: str) -> None:
        """Raises UserError where its numbers do not add up."""
        channels, height, width = self.shape
        sound = channels in (1, 3) and height == width and MIN_SIDE <= height <= MAX_SIDE
        for part in (self.train, *([self.test] if self.test else [])):
            sound = sound and sum(shard.count for shard in part.shards) == part.total
        if not sound:
            raise UserError(f"{where}: its numbers do not add up; write the shards again with `gansmith data shard`")


def find(source: Any) -> tuple[Place, Index] | None:
    """The shards that a folder or an address means; None for a path that has none. Raises UserError."""
    if is_remote(source):
        place = Place(source)
        if not place.exists(INDEX):
            raise UserError(
                f"{place.name(INDEX)}: is missing; only shards that `gansmith data shard` wrote are read from elsewhere"
            )
        return place, read(place)
    path = Path(source) if isinstance(source, str | Path) else None
    try:
        path = path.expanduser() if path is not None else None
        if path is None or not (path / INDEX).is_file():
            return None
        with (path / INDEX).open("rb") as file:
            if b'"kind": "shards"' not in file.read(200):
                return None
    except (OSError, ValueError, RuntimeError):
        return None
    place = Place(path.resolve())
    return place, read(place)


def read(place: Place) -> Index:
    """The index of a folder of shards. Raises UserError."""
    try:
        index = Index.model_validate_json(place.read(INDEX, MAX_INDEX_BYTES))
    except ValidationError as error:
        raise UserError(f"{place.name(INDEX)}: is no index of shards ({explain(error)}); write them again") from None
    index.check(place.name(INDEX))
    return index


def load(place: Place, index: Index, split: Split, size: int | None) -> Dataset:
    """The data set, whose pixels stay in the shards until they are wanted.

    Raises UserError where a shard is missing or torn, as far as that is told by its size, or has another image size.
    """
    part = index.train if split == "train" else index.test
    if part is None:
        raise UserError(f"{place.where}: has no test images; `gansmith data shard` writes those of data that have some")
    if size is not None and size != index.shape[1]:
        side = index.shape[1]
        raise UserError(f"{place.where}: these shards hold {side}x{side} images; use `size` {side}, or shard anew")
    _check_sizes(place, part)
    rows = _rows(place, part)
    return Dataset(
        name=own_name(index.name),
        source=place.where,
        split=split,
        shape=index.shape,
        classes=part.classes,
        fingerprint=part.fingerprint,
        problems=(),
        labels=rows[:, 3].astype(np.int64) if part.classes else None,
        store=ShardStore(place, index, part, rows),
        exact_statistics=(part.mean, part.std),
    )


def _check_sizes(place: Place, part: Part) -> None:
    folders = sorted({PurePosixPath(shard.file).parent.as_posix().removeprefix(".") for shard in part.shards})
    sizes = place.sizes(folders)
    if sizes is None:
        return
    for shard in part.shards:
        if shard.file not in sizes:
            raise UserError(f"{place.name(shard.file)}: is missing; restore it")
        if sizes[shard.file] != shard.bytes:
            have = f"{sizes[shard.file]:,} of {shard.bytes:,} bytes"
            raise UserError(f"{place.name(shard.file)}: is torn or was changed ({have}); copy it again")


def _rows(place: Place, part: Part) -> Rows:
    """Where each image is, mapped from the file: one of another place is copied into the cache."""
    kept = cache_dir() / "shards" / f"rows-{part.rows_sha256[:40]}.npy"
    path = Path(place.where) / part.rows if place.local else kept
    most = 16 * part.total + 4096
    if not place.local and not kept.exists():
        content = place.read(part.rows, most)
        if hashlib.sha256(content).hexdigest() != part.rows_sha256:
            raise UserError(f"{place.name(part.rows)}: is torn or was changed; copy it again")
        try:
            write_bytes(kept, content)
        except OSError:
            return _checked(np.load(io.BytesIO(content), allow_pickle=False), place, part)
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != part.rows_sha256:
                raise ValueError("not the file of the index")
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        if not place.local:
            kept.unlink(missing_ok=True)
        raise UserError(f"{place.name(part.rows)}: is missing, torn or was changed; copy it again") from None
    return _checked(rows, place, part)


def _checked(rows: Rows, place: Place, part: Part) -> Rows:
    labels = rows[:, 3] if rows.ndim == 2 and rows.shape[1] == 4 else None
    if labels is None or rows.dtype != np.uint32 or len(rows) != part.total:
        raise UserError(f"{place.name(part.rows)}: does not hold what the index says; write the shards again")
    if part.classes and int(labels.max()) >= len(part.classes):
        raise UserError(f"{place.name(part.rows)}: has labels of no class; write the shards again")
    return rows
