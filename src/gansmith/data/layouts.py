"""How images lie in a shard: tar as WebDataset has it, Parquet as Hugging Face's datasets does."""

import json
import struct
import tarfile
import zlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from gansmith.data.types import Pixels
from gansmith.errors import UserError

ROW_GROUP = 1000
"""Images of a Parquet file that are read at once."""
SMALL = 1024
"""Bytes of a picture below which it is not worth deflating."""


def encode(image: Pixels, *, exif: bytes = b"") -> bytes:
    """An image (C, H, W), C 1 or 3, as a PNG: the same bytes for the same pixels.

    Written here, as PNG of the W3C says, in a fifth of the time that Pillow takes for a picture this small.
    """
    channels, height, width = image.shape
    rows = np.zeros((height, 1 + channels * width), np.uint8)  # each begins with its filter, 0: none
    rows[:, 1:] = image.transpose(1, 2, 0).reshape(height, -1)
    mark = _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) if exif else b""
    before = PNG + _chunk(b"IHDR", _header(channels, height, width)) + mark
    return before + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 1)) + END


def encode_all(images: Pixels, *, exif: bytes = b"") -> list[bytes]:
    """:func:`encode` of each of (N, C, H, W); pictures of up to 1 kB are stored as they are, in a tenth of its time.

    To deflate one that small takes as long as a small generator needs to make it, and saves no block of a disk.
    """
    count, channels, height, width = images.shape
    size = height * (1 + channels * width)
    if size > SMALL:
        return [encode(image, exif=exif) for image in images]
    rows = np.zeros((count, height, 1 + channels * width), np.uint8)
    rows[:, :, 1:] = images.transpose(0, 2, 3, 1).reshape(count, height, channels * width)
    mark = _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) if exif else b""
    before = PNG + _chunk(b"IHDR", _header(channels, height, width)) + mark + struct.pack(">I", size + 11)
    # zlib of one block that is stored: RFC 1950 and 1951
    opening = b"IDAT\x78\x01\x01" + struct.pack("<HH", size, size ^ 0xFFFF)
    found = []
    for row in rows:
        plain = row.tobytes()
        content = opening + plain + zlib.adler32(plain).to_bytes(4, "big")
        found.append(before + content + zlib.crc32(content).to_bytes(4, "big") + END)
    return found


def _header(channels: int, height: int, width: int) -> bytes:
    return struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


PNG, END = b"\x89PNG\r\n\x1a\n", _chunk(b"IEND", b"")


def write_tar(path: Path, numbers: Sequence[int], images: Sequence[bytes], labels: Sequence[int] | None) -> list[int]:
    """000000012.png and 000000012.cls, the label as text, for each image; returns where in the file each PNG begins."""
    starts = []
    with path.open("wb") as tar:
        for at, (number, png) in enumerate(zip(numbers, images, strict=True)):
            starts.append(tar.tell() + tarfile.BLOCKSIZE)
            tar.write(_member(f"{number:09d}.png", png))
            if labels is not None:
                tar.write(_member(f"{number:09d}.cls", str(labels[at]).encode()))
        tar.write(bytes(2 * tarfile.BLOCKSIZE))  # its end
        tar.write(bytes(-tar.tell() % tarfile.RECORDSIZE))
    return starts


def _member(name: str, content: bytes) -> bytes:
    """A file of a tar in POSIX's ustar: what tarfile writes, in a fiftieth of its time."""
    head, size = name.encode(), b"%011o" % len(content)
    total = USTAR + sum(head) + sum(size)  # the checksum, of which nearly all is always the same
    header = head.ljust(100, b"\0") + OWNER + size + TIME + b"%06o\0 " % total + KIND
    return header + content + bytes(-len(content) % tarfile.BLOCKSIZE)


OWNER, TIME = b"%07o\0%07o\0%07o\0" % (0o644, 0, 0), b"\0%011o\0" % 0
KIND = (tarfile.REGTYPE + bytes(100) + tarfile.POSIX_MAGIC).ljust(tarfile.BLOCKSIZE - 156, b"\0")
USTAR = sum(OWNER) + sum(TIME) + sum(KIND) + 8 * ord(" ")


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
