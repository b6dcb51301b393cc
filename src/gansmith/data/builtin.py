"""MNIST, inside the package, and Fashion-MNIST, found or downloaded; checked by SHA-256."""

import hashlib
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPException
from pathlib import Path

import numpy as np

from gansmith.data.arrays import BLOCK_BYTES, Arrays
from gansmith.data.build import Source
from gansmith.data.idx import opened
from gansmith.data.types import Labels, Pixels, Split
from gansmith.errors import UserError
from gansmith.files import cache_dir
from gansmith.progress import Progress, Ticker
from gansmith.text import one_line

CREDITS = {
    "mnist": "MNIST, by Yann LeCun, Corinna Cortes and Christopher J. C. Burges; CC BY-SA 3.0",
    "fashion-mnist": "Fashion-MNIST, by Zalando SE; MIT licence",
}
_CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
}
_FILES: dict[Split, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_COUNTS: dict[Split, int] = {"train": 60_000, "test": 10_000}
SHA256 = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
"""Of the uncompressed files. Fashion-MNIST's belong to the .gz files whose MD5 its makers publish."""

PACKAGED = Path(__file__).parent / "mnist"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the four files."""
MIRROR = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
"""The makers' own; plain HTTP, hence the checksums."""
DOWNLOAD_TIMEOUT = 15.0
"""Seconds without a byte after which a download is given up."""
DOWNLOAD_SECONDS = 600.0
"""Seconds after which the download of one file is given up in any case."""
_MAX_DOWNLOAD = 64 << 20


def builtin_source(name: str, split: Split, progress: Progress | None) -> Source:
    """One split of a built-in data set. Its files are looked for, and checked, only when the cache lacks them."""
    images, labels = _FILES[split]
    find = partial(_find_file, name, progress=progress)
    return Source(
        name=name,
        origin=name,
        kind="built in",
        split=split,
        classes=_CLASSES[name],
        content=Arrays(
            count=_COUNTS[split],
            height=28,
            width=28,
            blocks=lambda: _image_blocks(find(images), SHA256[name][images]),
            labels=lambda: _labels(find(labels), SHA256[name][labels]),
        ),
        test_count=_COUNTS["test"],
        digest=SHA256[name][images] + SHA256[name][labels],
    )


def _image_blocks(path: Path, expected: str) -> Iterator[Pixels]:
    pixels = np.frombuffer(_verified(path, expected), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    step = BLOCK_BYTES // (28 * 28)
    for start in range(0, len(pixels), step):
        yield pixels[start : start + step]


def _labels(path: Path, expected: str) -> Labels:
    return np.frombuffer(_verified(path, expected), np.uint8, offset=8).astype(np.int64)


def _verified(path: Path, expected: str) -> bytes:
    """The uncompressed content of an official file; UserError if a single bit differs."""
    with opened(path) as file:
        content = file.read(_MAX_DOWNLOAD)
    if hashlib.sha256(content).hexdigest() != expected:
        raise UserError(f"{path}: is not the official file (its SHA-256 differs); remove it, or install it again")
    return content


def _find_file(name: str, stem: str, *, progress: Progress | None) -> Path:
    """Where one of the four files of a built-in set is, downloading it if need be. UserError says how to get it."""
    if name == "mnist":
        return PACKAGED / f"{stem}.gz"
    return find_fashion(stem, SHA256[name][stem], progress=progress)


def find_fashion(
    stem: str,
    expected: str,
    *,
    mirror: str | None = None,
    debian: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """A file of Fashion-MNIST: in the cache, else where Debian's package puts it, else from the makers' mirror.

    A file whose checksum is wrong is passed over. Raises UserError, saying how to get the file, if there is none.
    """
    mirror, debian = MIRROR if mirror is None else mirror, DEBIAN if debian is None else debian
    kept = cache_dir() / "fashion-mnist" / f"{stem}.gz"
    said = []
    for place in (kept, debian / f"{stem}.gz"):
        if not place.exists():
            continue
        try:
            _verified(place, expected)
        except UserError as error:
            said.append(str(error).split(";")[0])
        else:
            return place
    try:
        download(mirror.rstrip("/") + f"/{stem}.gz", kept, lambda path: _verified(path, expected), progress=progress)
    except UserError as error:
        said.append(str(error))
        raise UserError(
            f"fashion-mnist: run `apt install dataset-fashion-mnist`, or put its four .gz files into {kept.parent} "
            f"({'; '.join(said)})"
        ) from None
    return kept


def download(url: str, target: Path, verify: Callable[[Path], object], *, progress: Progress | None = None) -> None:
    """Fetch a file of at most 64 MB; it gets its name only after `verify` has accepted it. Raises UserError."""
    part: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="part-", dir=target.parent)
        part = Path(name)
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            ticker = Ticker(progress, f"downloading {target.name}", total)
            done, end = 0, time.monotonic() + DOWNLOAD_SECONDS
            while piece := answer.read1(1 << 16):
                done += len(piece)
                if done > _MAX_DOWNLOAD or time.monotonic() > end:
                    raise UserError(f"{url} sends too much or too slowly")
                file.write(piece)
                ticker(done)
        if total and done != total:
            raise UserError(f"{url} stopped after {done:,} of {total:,} bytes")
        try:
            verify(part)
        except UserError:
            raise UserError(f"{url} gave a file whose checksum is wrong") from None
        part.replace(target)
        part = None
    except (OSError, HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise UserError(f"{url} cannot be fetched ({_reason(error)})") from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
        return one_line(error.reason)
    return one_line(error)
