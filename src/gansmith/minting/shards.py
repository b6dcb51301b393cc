"""The files of a minted set: arrays, Parquet as Hugging Face lays images out, tar as WebDataset does, or pictures."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gansmith.errors import UserError
from gansmith.files import EXIF, writing
from gansmith.generator.samples import folder_names
from gansmith.minting.manifest import Plan, Shard

Images = np.ndarray


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
        _pyarrow()


def encode(image: np.ndarray) -> bytes:
    """An image (C, H, W) as a PNG that names gansmith as its software, so that it is never taken for a real one."""
    buffer = io.BytesIO()
    plane = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(plane)).save(buffer, "png", compress_level=1, exif=EXIF)
    return buffer.getvalue()


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


def read(folder: Path, plan: Plan, shard: Shard) -> Images:
    """The images (N, C, H, W) of a shard that :func:`write` wrote."""
    path = folder / shard.name
    if plan.layout == "npz":
        with np.load(path, allow_pickle=False) as file:
            return _channels_first(file["images"])
    if plan.layout == "tar":
        with tarfile.open(path) as tar:
            pngs = [tar.extractfile(member).read() for member in tar if member.name.endswith(".png")]  # type: ignore[union-attr]
    elif plan.layout == "parquet":
        pngs = [row["bytes"] for row in _pyarrow().read_table(path, columns=["image"])["image"].to_pylist()]
    else:
        paths = sorted((folder / "train").rglob("*.png"), key=lambda each: each.name)
        pngs = [each.read_bytes() for each in paths if shard.first <= int(each.stem) <= shard.last]
    pictures = [np.asarray(Image.open(io.BytesIO(png))) for png in pngs]
    return _channels_first(np.stack(pictures))


def read_labels(folder: Path, plan: Plan, shard: Shard) -> np.ndarray | None:
    """The labels (N,) of a shard, in the order of :func:`read`; None for a set without labels."""
    if plan.labels == "none":
        return None
    path = folder / shard.name
    if plan.layout == "npz":
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file["labels"], np.int64)
    if plan.layout == "tar":
        with tarfile.open(path) as tar:
            labels = [int(tar.extractfile(member).read()) for member in tar if member.name.endswith(".cls")]  # type: ignore[union-attr]
    elif plan.layout == "parquet":
        labels = _pyarrow().read_table(path, columns=["label"])["label"].to_pylist()
    else:
        names = folder_names(plan.classes)
        paths = sorted((folder / "train").rglob("*.png"), key=lambda each: each.name)
        labels = [names.index(each.parent.name) for each in paths if shard.first <= int(each.stem) <= shard.last]
    return np.asarray(labels, np.int64)


def _write_npz(path: Path, plan: Plan, rows: Rows) -> None:
    images = np.stack(rows.images)
    known: dict[str, Any] = {} if rows.labels is None else {"labels": np.asarray(rows.labels, np.int64)}
    grey = images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
    with path.open("wb") as file:
        about: dict[str, Any] = {
            "index": np.asarray(rows.indices, np.int64),
            "generator": np.array(plan.generator.digest),
        }
        np.savez_compressed(file, images=np.ascontiguousarray(grey), **known, **about)


def _write_tar(path: Path, plan: Plan, rows: Rows) -> None:
    """000000012.png and 000000012.cls, the label as text, for each image."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for at, (index, png) in enumerate(zip(rows.indices, rows.images, strict=True)):
            members = {"png": png} if rows.labels is None else {"png": png, "cls": str(rows.labels[at]).encode()}
            for suffix, content in members.items():
                about = tarfile.TarInfo(f"{index:09d}.{suffix}")
                about.size = len(content)
                tar.addfile(about, io.BytesIO(content))


def _write_parquet(path: Path, plan: Plan, rows: Rows) -> None:
    """Columns image (bytes, path), label and index, with the features that Hugging Face's datasets reads."""
    arrow, parquet = import_module("pyarrow"), _pyarrow()
    pictures = [
        {"bytes": png, "path": f"{index:09d}.png"} for index, png in zip(rows.indices, rows.images, strict=True)
    ]
    image = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    columns: dict[str, Any] = {"image": arrow.array(pictures, type=image)}
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if rows.labels is not None:
        columns["label"] = arrow.array(list(rows.labels), type=arrow.int64())
        features["label"] = {"names": list(plan.classes), "_type": "ClassLabel"}
    columns["index"] = arrow.array(list(rows.indices), type=arrow.int64())
    features["index"] = {"dtype": "int64", "_type": "Value"}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(arrow.table(columns).replace_schema_metadata(about), path, row_group_size=1000)


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


def _pyarrow() -> Any:
    try:
        return import_module("pyarrow.parquet")
    except ImportError:
        raise UserError(
            "`format` parquet needs pyarrow: pip install 'gansmith[parquet]'; or choose npz or tar"
        ) from None
