"""Copies in a release: exact ones, and near ones by the measure of the filters of mint."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from gansmith.data import Dataset
from gansmith.minting.sieve import Closeness, Kept, small
from gansmith.progress import Progress
from gansmith.recipe import Value

BLOCK = 1024
Pixels = NDArray[np.uint8]


class Copies(Value):
    """How many images are copies, of how many; beside it what unseen real images give in their place."""

    count: int
    of: int
    floor: float | None = None
    """The share among real test images; None where there are none."""

    @property
    def share(self) -> float:
        """Of the images."""
        return self.count / self.of


class Duplicates(Value):
    """Four kinds of copies."""

    inside: Copies
    """Images equal, pixel by pixel, to an earlier one of the release."""
    train: Copies
    """Images equal to a training image."""
    near_inside: Copies
    """Near copies of an earlier image of the release."""
    near_train: Copies
    """Near copies of a training image."""
    protocol: str


def duplicates(images: Pixels, train: Dataset, test: Dataset | None, *, progress: Progress | None = None) -> Duplicates:
    """Counts copies among images uint8 (N, C, S, S) and against all training images, and among as many real ones."""
    known = {_key(image) for start in range(0, len(train), BLOCK) for image in _block(train, start)}
    close = Closeness.of(train, test, progress)
    some = None
    if test is not None:
        some = test.take(np.sort(np.random.default_rng(3).permutation(len(test))[: len(images)]))
    found = _counts(images, known, close)
    real = (None,) * 4 if some is None else tuple(count / len(some) for count in _counts(some, known, close))
    inside, copied, near_inside, near_train = (
        Copies(count=count, of=len(images), floor=floor) for count, floor in zip(found, real, strict=True)
    )
    against = "" if some is None else f"; floor: {len(some):,} unseen real images in their place"
    return Duplicates(
        inside=inside,
        train=copied,
        near_inside=near_inside,
        near_train=near_train,
        protocol=f"{len(images):,} images against all {len(train):,} training images; near: at most 16 x 16 pixels, "
        "nearer than all but 1 in 1,000 unseen real images in units of how far apart training images lie "
        f"thereabouts{against}",
    )


def _counts(images: Pixels, known: set[bytes], close: Closeness) -> tuple[int, int, int, int]:
    keys = [_key(image) for image in images]
    rows = small(images)
    distances, which = close.nearest(rows)
    reach = (close.ratio * close.units[which]).astype(np.float32)
    repeated = len(Kept(rows).among(rows, reach))
    return len(keys) - len(set(keys)), sum(key in known for key in keys), repeated, int((distances < reach).sum())


def _block(dataset: Dataset, start: int) -> Pixels:
    return dataset.take(np.arange(start, min(start + BLOCK, len(dataset))))


def _key(image: Pixels) -> bytes:
    return hashlib.sha256(image.tobytes()).digest()
