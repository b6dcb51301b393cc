"""How images lie in a shard: tar as WebDataset has it, Parquet as Hugging Face's datasets does."""

import io
import json
import tarfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gansmith.data.types import Pixels
from gansmith.errors import UserError

ROW_GROUP = 1000
"""Images of a Parquet file that are read at once."""
_BLOCK = tarfile.BLOCKSIZE


def encode(image: Pixels, *, exif: bytes = b"") -> bytes:
    """An image (C, H, W), C 1 or 3, as a PNG: the same bytes for the same pixels."""
    buffer = io.BytesIO()
    plane = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    more = {"exif": exif} if exif else {}
    Image.fromarray(np.ascontiguousarray(plane)).save(buffer, "png", compress_level=1, **more)
    return buffer.getvalue()


def write_tar(path: Path, numbers: Sequence[int], images: Sequence[bytes], labels: Sequence[int] | None) -> list[int]:
    """000000012.png and 000000012.cls, the label as text, for each image; returns where in the file each PNG begins."""
    starts = []
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for at, (number, png) in enumerate(zip(numbers, images, strict=True)):
            starts.append(tar.offset + _BLOCK)
            members = {"png": png} if labels is None else {"png": png, "cls": str(labels[at]).encode()}
            for suffix, content in members.items():
                about = tarfile.TarInfo(f"{number:09d}.{suffix}")
                about.size = len(content)
                tar.addfile(about, io.BytesIO(content))
    return starts


def write_parquet(
    path: Path, numbers: Sequence[int], images: Sequence[bytes], labels: Sequence[int] | None, classes: Sequence[str]
) -> None:
    """Columns image (bytes, path), label and index, with the features that Hugging Face's datasets reads."""
    arrow, parquet = import_module("pyarrow"), pyarrow()
    pictures = [{"bytes": png, "path": f"{number:09d}.png"} for number, png in zip(numbers, images, strict=True)]
    image = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    columns: dict[str, Any] = {"image": arrow.array(pictures, type=image)}
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if labels is not None:
        columns["label"] = arrow.array(list(labels), type=arrow.int64())
        features["label"] = {"names": list(classes), "_type": "ClassLabel"}
    columns["index"] = arrow.array(list(numbers), type=arrow.int64())
    features["index"] = {"dtype": "int64", "_type": "Value"}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(arrow.table(columns).replace_schema_metadata(about), path, row_group_size=ROW_GROUP)


def pyarrow() -> Any:
    """pyarrow.parquet; UserError where it is missing."""
    try:
        return import_module("pyarrow.parquet")
    except ImportError:
        raise UserError("`format` parquet needs pyarrow: pip install 'gansmith[parquet]'; or choose tar") from None
