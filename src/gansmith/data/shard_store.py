"""Pixels in shards: image i is in a shard and at a place that arithmetic tells; what fits the disk is kept decoded.

A shard is decoded whole into the cache while the budget has room, in the background or when a good part of it is
wanted. Of the others each image is read by itself, some batches ahead: what is drawn from the permutation at random
would throw out of a cache what is wanted next.
"""

import hashlib
import io
import os
import threading
import weakref
import zlib
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gansmith.data import kept_shards, layouts
from gansmith.data.dataset import MappedStore
from gansmith.data.places import Place
from gansmith.data.types import Pixels
from gansmith.errors import UserError
from gansmith.text import one_line

if TYPE_CHECKING:
    from gansmith.data.sharded import Index, Part, Shard

WHOLE = 16
"""A shard is read whole where more than one in so many of its images are wanted at once."""
_OPENED = 512
"""Decoded shards that are mapped at a time."""
_AT_ONCE = 256


class ShardStore:
    """The pixels of one split of shards: a :class:`gansmith.data.dataset.Store`."""

    def __init__(self, place: Place, index: "Index", part: "Part", rows: NDArray[np.uint32]) -> None:
        self._shape = index.shape
        self._shards, self._rows, self._place = part.shards, rows, place
        self._parquet = index.format == "parquet"
        self._starts = np.cumsum([0, *(shard.count for shard in part.shards)])
        self._ours = {_key(shard, index.shape) for shard in part.shards}
        self._maps: OrderedDict[int, MappedStore] = OrderedDict()
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: OrderedDict[bytes, Future[Pixels]] = OrderedDict()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return int(self._starts[-1]), *self._shape

    def where(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(shard, position in it) of each image."""
        shards = np.searchsorted(self._starts, indices, side="right") - 1
        return shards, indices - self._starts[shards]

    def take(self, indices: NDArray[np.int64]) -> Pixels:
        """The images at `indices`. UserError that names a shard which is missing, torn or changed."""
        with self._lock:
            ahead = self._ahead.pop(indices.tobytes(), None)
        return self._take(indices) if ahead is None else ahead.result()

    def prefetch(self, indices: NDArray[np.int64]) -> None:
        """Begins to read these images in the background, and to keep what fits the disk."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(2, thread_name_prefix="gansmith-shards")
            self._fill_in_background()
        numbers = np.unique(self.where(indices)[0]).tolist()
        if all(self._mapped(number) is not None for number in numbers):
            return
        with self._lock:
            self._ahead[indices.tobytes()] = self._pool.submit(self._take, indices)
            while len(self._ahead) > 4:  # a stream that jumped
                self._ahead.popitem(last=False)[1].cancel()

    def _take(self, indices: NDArray[np.int64]) -> Pixels:
        found = np.empty((len(indices), *self._shape), np.uint8)
        shards, places = self.where(indices)
        alone: list[NDArray[np.int64]] = []
        for number in np.unique(shards).tolist():
            rows = np.flatnonzero(shards == number)
            mapped = self._mapped(number)
            if mapped is None and len(rows) * WHOLE < self._shards[number].count:
                alone.append(rows)
            elif mapped is None:
                found[rows] = self._whole(number)[places[rows]]
            else:
                found[rows] = mapped.take(places[rows])
        if alone:
            rows = np.concatenate(alone)
            found[rows] = self._singly(indices[rows], shards[rows])
        return found

    def _mapped(self, number: int) -> MappedStore | None:
        """A shard that is in the cache."""
        with self._lock:
            if number in self._maps:
                self._maps.move_to_end(number)
                return self._maps[number]
        shard = self._shards[number]
        store = kept_shards.open_kept(_key(shard, self._shape), (shard.count, *self._shape))
        if store is not None:
            with self._lock:
                self._maps[number] = store
                while len(self._maps) > _OPENED:
                    self._maps.popitem(last=False)
        return store

    def _singly(self, indices: NDArray[np.int64], shards: NDArray[np.int64]) -> Pixels:
        """Images (n, C, H, W), each read by itself."""
        files = [self._shards[number].file for number in shards.tolist()]
        about = self._rows[indices].astype(np.int64)
        if self._parquet:
            contents = self._from_groups(indices, shards, about[:, 0])
        else:
            starts, lengths = about[:, 0].tolist(), about[:, 1].tolist()
            ends = [start + length for start, length in zip(starts, lengths, strict=True)]
            contents = self._place.parts(files, starts, ends)
        every = zip(contents, files, about.tolist(), strict=True)
        return np.stack([self._decoded(content, file, row) for content, file, row in every])

    def _from_groups(
        self, indices: NDArray[np.int64], shards: NDArray[np.int64], groups: NDArray[np.int64]
    ) -> list[bytes]:
        """Images of Parquet files, whose row groups are read as a whole."""
        contents: list[bytes] = [b""] * len(indices)
        for number in np.unique(shards).tolist():
            file = self._parquet_file(number)
            for group in np.unique(groups[shards == number]).tolist():
                try:
                    images = file.read_row_group(group, columns=["image"])["image"].to_pylist()
                except Exception as error:  # pyarrow's are of many kinds
                    raise self._torn(number, one_line(error)) from None
                first = int(self._starts[number]) + group * layouts.ROW_GROUP
                for at in np.flatnonzero((shards == number) & (groups == group)).tolist():
                    contents[at] = images[int(indices[at]) - first]["bytes"]
        return contents

    def _parquet_file(self, number: int, content: bytes | None = None) -> Any:
        name = self._shards[number].file
        try:
            opened = self._place.open(name) if content is None else io.BytesIO(content)
            return layouts.pyarrow().ParquetFile(opened)
        except UserError:
            raise
        except Exception as error:  # pyarrow's are of many kinds
            raise self._torn(number, one_line(error)) from None

    def _torn(self, number: int, why: str) -> UserError:
        name = self._place.name(self._shards[number].file)
        return UserError(f"{name}: is torn or was changed ({why}); copy it again")

    def _whole(self, number: int) -> Pixels:
        """All images of a shard; kept where there is room."""
        if self._keep(number) and (mapped := self._mapped(number)) is not None:
            return mapped.take(np.arange(mapped.shape[0]))
        return self._decode(number)

    def _keep(self, number: int) -> bool:
        """Whether a shard is in the cache now."""
        shard = self._shards[number]
        key, shape = _key(shard, self._shape), (shard.count, *self._shape)
        return kept_shards.has(key) or kept_shards.keep(key, shape, lambda: self._decode(number), self._ours)

    def _decode(self, number: int) -> Pixels:
        """The images (n, C, H, W) of a shard, read whole. Raises UserError unless it is the one that was indexed."""
        shard, first = self._shards[number], int(self._starts[number])
        content = self._place.read(shard.file, shard.bytes)
        if len(content) != shard.bytes:
            raise self._torn(number, f"{len(content):,} of {shard.bytes:,} bytes")
        if hashlib.sha256(content).hexdigest() != shard.sha256:
            raise self._torn(number, "other bytes than when the index was written")
        about = self._rows[first : first + shard.count].tolist()
        if self._parquet:
            column = self._parquet_file(number, content).read(columns=["image"])["image"]
            pngs = [image["bytes"] for image in column.to_pylist()]
        else:
            pngs = [content[start : start + length] for start, length, _, _ in about]
        found = np.empty((shard.count, *self._shape), np.uint8)
        for at, (png, row) in enumerate(zip(pngs, about, strict=True)):
            found[at] = self._decoded(png, shard.file, row)
        return found

    def _decoded(self, content: bytes, file: str, row: list[int]) -> Pixels:
        """One image (C, H, W), if its bytes are those that were indexed."""
        channels, height, width = self._shape
        try:
            if len(content) != row[1] or zlib.crc32(content) != row[2]:
                raise ValueError("an image has other bytes than when the index was written")
            with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
                if image.size != (width, height) or image.mode != ("L" if channels == 1 else "RGB"):
                    raise ValueError("an image has another size")
                pixels = np.asarray(image)
        except Exception as error:  # decoders meet hostile bytes with exceptions of every kind
            name = self._place.name(file)
            raise UserError(f"{name}: is torn or was changed ({one_line(error)}); copy it again") from None
        return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)

    def _fill_in_background(self) -> None:
        """Keeps shard after shard until the budget is full; processes of one machine share the work."""
        stop = threading.Event()
        thread = threading.Thread(target=_fill, args=(weakref.ref(self), stop), daemon=True)
        thread.start()
        weakref.finalize(self, stop.set)


def _fill(of: "weakref.ref[ShardStore]", stop: threading.Event) -> None:
    rank, ranks = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    number = rank
    while not stop.is_set():
        store = of()
        if store is None or number >= len(store._shards):
            return
        try:
            if not store._keep(number):
                return
        except UserError:  # said when an image of it is wanted
            pass
        number += ranks
        del store


def _key(shard: "Shard", shape: tuple[int, int, int]) -> str:
    return hashlib.sha256(f"{shard.sha256} {shape}".encode()).hexdigest()[:40]
