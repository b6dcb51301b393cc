"""Zips read in place: opened, checked and listed; no member is ever unpacked to the disk, and bombs are left alone."""

import io
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from PIL import Image

from gansmith.data.images import MAX_FILE_BYTES, UnusableError, formats
from gansmith.errors import UserError
from gansmith.text import one_line, printable

MAX_MEMBERS = 2_000_000
MAX_TOTAL_BYTES = 256 << 30
MAX_RATIO = 200
"""Members over a megabyte that shrank by more than this are plain pictures, or a decompression bomb."""
MAX_FLAT_BYTES = 16 << 30
"""What such members may unpack to together."""
_HEAD = 1 << 20
_SLACK = 1 << 20
_BYTES_PER_PIXEL = 16


def open_zip(path: Path, max_flat: int = MAX_FLAT_BYTES) -> zipfile.ZipFile:
    """Open a zip for reading; UserError if it is damaged, or its directory shows that it must not be trusted.

    `max_flat`: how many bytes members that shrank very much may unpack to together.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise UserError(
            f"{printable(str(path))}: is not a whole zip file ({one_line(error)}); fetch or make it again"
        ) from None
    except OSError as error:
        raise UserError(f"{printable(str(path))}: cannot be read ({one_line(error)}); check its permissions") from None
    try:
        _check(archive, path, max_flat)
    except BaseException:
        archive.close()
        raise
    return archive


def _check(archive: zipfile.ZipFile, path: Path, max_flat: int) -> None:
    """Raise UserError if the directory of the zip shows escaping names, encryption or a decompression bomb."""
    where = printable(str(path))
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise UserError(
            f"{where}: holds {len(infos):,} members, more than {MAX_MEMBERS:,}; unpack it and give the folder"
        )
    for info in infos:
        name = info.filename.replace("\\", "/")
        outside = name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/")
        if outside or "\0" in info.orig_filename:
            raise UserError(
                f"{where}: member {name!r} points outside the zip; do not trust this file, or pack it again"
            )
        if info.flag_bits & 1:
            raise UserError(f"{where}: member {name!r} is encrypted; unpack it and give the folder")
    size = path.stat().st_size
    total, packed = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
    flat = sum(info.file_size for info in infos if is_flat(info))
    if packed > size or total > MAX_TOTAL_BYTES or flat > max_flat:
        raise UserError(
            f"{where}: {size:,} bytes claim to unpack to {total:,}, as a decompression bomb does; unpack it yourself "
            "if you trust it, and give the folder"
        )


def is_flat(info: zipfile.ZipInfo) -> bool:
    """Whether a member shrank so much that it must be plain pictures, if it is no bomb."""
    return info.file_size > _HEAD and info.file_size > MAX_RATIO * max(1, info.compress_size)


def list_zip(archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], list[str]]:
    """Members of a checked zip by name, with forward slashes and without `./`, and the names that occur twice.

    Folders, hidden files and macOS' extras are left out; of members of one name the last counts, as when unpacked.
    """
    members: dict[str, zipfile.ZipInfo] = {}
    twice = []
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.endswith("/") or not parts or any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        name = "/".join(parts)
        if name in members:
            twice.append(name)
        members[name] = info
    return members, twice


def read_from_zip(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> Callable[..., bytes]:
    """A reader of members, by name, that stops at the size limit, whatever size the member claims, and at bombs.

    Or after the bytes that are wanted.
    """

    def read(name: str, most: int = MAX_FILE_BYTES + 1) -> bytes:
        info = members[name]
        if info.file_size > MAX_FILE_BYTES:
            raise UnusableError(
                "too large", f"unpacks to {info.file_size >> 20} MB; {MAX_FILE_BYTES >> 20} MB is the limit"
            )
        try:
            with archive.open(info) as file:
                if most < _HEAD or not is_flat(info):
                    return file.read(most)
                head = file.read(_HEAD)
                if info.file_size > _picture_bytes(head):
                    raise UnusableError(
                        "too large",
                        f"unpacks to {info.file_size:,} bytes from {info.compress_size:,} and is no picture of that "
                        "size: a decompression bomb, it seems; unpack it yourself if you trust it",
                    )
                return head + file.read(most - len(head))
        except NotImplementedError:
            raise OSError("is compressed by a method that cannot be read here") from None

    return read


def _picture_bytes(head: bytes) -> int:
    """How many bytes a picture that begins like this may have: by its pixels, or any number if a TIFF hides them."""
    with suppress(Exception), Image.open(io.BytesIO(head), formats=formats()) as image:  # hostile bytes raise anything
        return image.width * image.height * _BYTES_PER_PIXEL + _SLACK
    return MAX_FILE_BYTES if head[:4] in (b"II*\0", b"MM\0*") else 0
