"""The files of a minted set: arrays, Parquet as Hugging Face lays images out, tar as WebDataset does, or pictures."""

import hashlib
import io
import math
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gansmith.data import layouts
from gansmith.data import npz as archives
from gansmith.errors import UserError
from gansmith.files import EXIF, writing
from gansmith.generator.samples import folder_names
from gansmith.minting.manifest import Plan, Shard
from gansmith.text import one_line, printable

Images = np.ndarray
Labels = np.ndarray
DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    tarfile.TarError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What reading a damaged file may raise, Pillow's and pyarrow's errors included."""


@dataclass(frozen=True)
class Rows:
    """The images of one shard."""

    indices: Sequence[int]
    """Where each stands in the sequence of the seed."""
    images: Sequence[Any]
    """Arrays (C, H, W) uint8 for the layout npz; the bytes of a PNG for all others."""
    labels: Sequence[int] | None


def check(plan: Plan) -> None:
    """Raises UserError where a library is missing that the layout is written with."""
    if plan.layout == "parquet":
        layouts.pyarrow()


def encode(images: np.ndarray) -> list[bytes]:
    """Images (N, C, H, W) as PNGs that name gansmith as their software, so that none is taken for a real one."""
    return layouts.encode_all(images, exif=EXIF)


def name_of(plan: Plan, number: int) -> str:
    """The file of a shard, below the set's folder; for the layout folder, that of its pictures."""
    return {
        "npz": f"train-{number:05d}.npz",
        "tar": f"train-{number:06d}.tar",
        "parquet": f"data/train-{number:05d}-of-{plan.files:05d}.parquet",
        "folder": "train",
    }[plan.layout]


def write(folder: Path, plan: Plan, number: int, rows: Rows) -> tuple[str, int, str]:
    """Writes one shard whole or not at all: (file, bytes, SHA-256); for pictures those of the last one, and of all.

    The same rows give the same bytes. Raises OSError when the disk is full; what was written before stays.
    """
    if plan.layout == "folder":
        return _write_pictures(folder, plan, rows)
    name = name_of(plan, number)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as fresh:
        {"npz": _write_npz, "tar": _write_tar, "parquet": _write_parquet}[plan.layout](fresh, plan, rows)
        content = fresh.read_bytes()
    return name, len(content), hashlib.sha256(content).hexdigest()


def read(folder: Path, plan: Plan, shard: Shard) -> tuple[Images, Labels | None]:
    """The images (N, C, H, W) of a shard that :func:`write` wrote, and the labels (N,) of a set that has them.

    A set may come from anywhere, so nothing larger than its plan says is decoded. Raises UserError in one line for a
    file that is gone, changed, damaged, or holds something else.
    """
    path = folder / shard.name
    readers = {"npz": _npz, "tar": _tar, "parquet": _parquet, "folder": _pictures}
    try:
        images, labels = readers[plan.layout](folder, plan, shard)
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(f"{printable(str(path))}: is damaged ({one_line(error)[:100]}); mint it again") from None
    wanted = (shard.rows, *plan.shape)
    if images.shape != wanted or images.dtype != np.uint8:
        raise UserError(f"{printable(str(path))}: holds {images.dtype} {images.shape}, not {wanted}; mint it again")
    if labels is not None and not (len(labels) == shard.rows and set(labels.tolist()) <= set(range(len(plan.classes)))):
        raise UserError(f"{printable(str(path))}: has labels that are none of its classes; mint it again")
    return images, labels


def _same(shard: Shard, *content: bytes) -> None:
    digest = hashlib.sha256()
    for part in content:
        digest.update(part)
    if digest.hexdigest() != shard.sha256:
        raise ValueError("it is not what was written")


def _npz(folder: Path, plan: Plan, shard: Shard) -> tuple[Images, Labels | None]:
    path = folder / shard.name
    _same(shard, path.read_bytes())
    most = max(8 * shard.rows, shard.rows * math.prod(plan.shape)) + 1024
    arrays = archives.read_arrays(path, ("images", "labels"), most)
    return _channels_first(arrays["images"]), np.asarray(arrays["labels"], np.int64) if plan.labelled else None


def _tar(folder: Path, plan: Plan, shard: Shard) -> tuple[Images, Labels | None]:
    content = (folder / shard.name).read_bytes()
    _same(shard, content)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        members = [(member.name, file.read()) for member in tar if (file := tar.extractfile(member)) is not None]
    images = _decoded(plan, [part for name, part in members if name.endswith(".png")])
    return images, _whole(int(part) for name, part in members if name.endswith(".cls")) if plan.labelled else None


def _parquet(folder: Path, plan: Plan, shard: Shard) -> tuple[Images, Labels | None]:
    path = folder / shard.name
    _same(shard, path.read_bytes())
    file = layouts.pyarrow().ParquetFile(path)
    about = file.metadata
    most = shard.rows * (2 * math.prod(plan.shape) + 4096)
    if (
        about.num_rows != shard.rows
        or sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups)) > most
    ):
        raise ValueError("it holds more than was written")
    table = file.read(columns=["image", "label"] if plan.labelled else ["image"])
    images = _decoded(plan, [row["bytes"] for row in table["image"].to_pylist()])
    return images, _whole(table["label"].to_pylist()) if plan.labelled else None


def _pictures(folder: Path, plan: Plan, shard: Shard) -> tuple[Images, Labels | None]:
    """By their names, in the order of the sequence; other files beside them do not matter."""
    names = folder_names(plan.classes)
    found = ((path, path.stem) for path in (folder / "train").rglob("*.png"))
    paths = [path for path, stem in found if re.fullmatch(r"\d{9,12}", stem) and shard.first <= int(stem) <= shard.last]
    paths.sort(key=lambda each: int(each.stem))
    content = [each.read_bytes() for each in paths]
    _same(shard, *content)
    return _decoded(plan, content), _whole(names.index(each.parent.name) for each in paths) if plan.labelled else None


def _decoded(plan: Plan, pictures: Sequence[bytes]) -> Images:
    planes = []
    for content in pictures:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            if picture.size != plan.shape[:0:-1]:  # before it is decoded: it may be a bomb
                raise ValueError(f"a picture of {picture.size[0]}x{picture.size[1]}")
            planes.append(np.asarray(picture))
    return _channels_first(np.stack(planes))


def _whole(labels: Iterable[int]) -> Labels:
    return np.asarray(list(labels), np.int64)


def _write_npz(path: Path, plan: Plan, rows: Rows) -> None:
    """As :func:`numpy.savez_compressed`, but compressed at level 1: a third of the time for a tenth more bytes."""
    images = np.stack(rows.images)
    grey = images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
    arrays = {"images": np.ascontiguousarray(grey)}
    if rows.labels is not None:
        arrays["labels"] = np.asarray(rows.labels, np.int64)
    arrays |= {"index": np.asarray(rows.indices, np.int64), "generator": np.array(plan.generator.digest)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, values, allow_pickle=False)


def _write_tar(path: Path, plan: Plan, rows: Rows) -> None:
    layouts.write_tar(path, rows.indices, rows.images, rows.labels)


def _write_parquet(path: Path, plan: Plan, rows: Rows) -> None:
    layouts.write_parquet(path, rows.indices, rows.images, rows.labels, plan.classes)


def _write_pictures(folder: Path, plan: Plan, rows: Rows) -> tuple[str, int, str]:
    root, digest, name, content = folder / "train", hashlib.sha256(), "", b""
    folders = folder_names(plan.classes) if rows.labels is not None else []
    for each in folders or [""]:
        (root / each).mkdir(parents=True, exist_ok=True)
    for at, (index, content) in enumerate(zip(rows.indices, rows.images, strict=True)):
        inner = f"{folders[rows.labels[at]]}/" if rows.labels is not None else ""
        name = f"train/{inner}{index:09d}.png"
        (folder / name).write_bytes(content)
        digest.update(content)
    return name, len(content), digest.hexdigest()


def _channels_first(images: Images) -> Images:
    return images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
