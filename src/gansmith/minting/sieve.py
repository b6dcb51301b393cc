"""Which generated images are kept: read alike by two classifiers, no near copy of a training image, no repetition."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from gansmith.data import Dataset
from gansmith.encoders.encoder import Encoder
from gansmith.evaluation import cache
from gansmith.files import write_bytes
from gansmith.metrics.classes import recognised
from gansmith.minting.manifest import Filter
from gansmith.progress import Progress, Ticker

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]
Floats = NDArray[np.float32]
SIDE = 16
"""Pixels along a side, at most, of the small images that near copies are looked for among."""
NEIGHBOUR = 2
OTHERS = 4000
UNSEEN = 5000
RARE = 0.001
BLOCK = 1024
"""Images that are compared at once."""


def small(images: Pixels) -> Pixels:
    """Images (N, C, H, W) averaged down to sides of at most 16 pixels, as rows uint8 (N, D)."""
    factor = -(-max(images.shape[2:]) // SIDE)
    if factor == 1:
        return images.reshape(len(images), -1)
    size = (max(1, images.shape[2] // factor), max(1, images.shape[3] // factor))
    parts = [
        F.adaptive_avg_pool2d(torch.from_numpy(images[start : start + BLOCK]).float(), size).round().to(torch.uint8)
        for start in range(0, len(images), BLOCK)
    ]
    rows: Pixels = (
        torch.cat(parts).flatten(1).numpy() if parts else np.empty((0, images.shape[1] * size[0] * size[1]), np.uint8)
    )
    return rows


@dataclass(frozen=True, eq=False)
class Closeness:
    """What "near" means: distances of small images, in units of how far apart training images lie around there.

    The unit at a training image is the distance to its second nearest of 4,000 other training images. An image is a
    near copy where the nearest training image is closer than ``ratio`` units of its own: closer than all but 1 in 1,000
    real images are that training has never seen.
    """

    rows: Pixels
    """(N, D): the training images, small."""
    units: Floats
    """(N,)."""
    ratio: float

    def nearest(self, rows: Pixels) -> tuple[Floats, Labels]:
        """The distance (M,) of small images (M, D) to the nearest training image, and which it is."""
        return _nearest(rows, self.rows)

    def save(self, path: Path) -> None:
        """Writes it as an .npz, for worker processes."""
        import io

        buffer = io.BytesIO()
        np.savez(buffer, rows=self.rows, units=self.units, ratio=np.float64(self.ratio))
        write_bytes(path, buffer.getvalue())

    @classmethod
    def read(cls, path: Path) -> "Closeness":
        """What :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file["rows"], file["units"], float(file["ratio"]))

    @classmethod
    def of(cls, train: Dataset, unseen: Dataset | None, progress: Progress | None = None) -> "Closeness":
        """Of training images, and others that training has never seen; without any, of the former among themselves."""
        rows = _rows(train, np.arange(len(train)), progress)
        random = np.random.default_rng(0)
        key = cache.key_of(
            what="closeness",
            data=train.fingerprint,
            unseen=None if unseen is None else unseen.fingerprint,
            numbers=[SIDE, NEIGHBOUR, OTHERS, UNSEEN, RARE, "itself apart"],
        )
        stored = cache.read(key)
        if stored is not None:
            return cls(rows, stored[0]["units"].astype(np.float32), float(stored[1]["ratio"]))
        others = np.sort(random.permutation(len(rows))[:OTHERS])
        units = _units(rows, others, progress)
        if unseen is not None:
            some = np.sort(random.permutation(len(unseen))[:UNSEEN])
            distances, which = _nearest(_rows(unseen, some), rows)
        else:
            some = np.sort(random.permutation(len(rows))[:UNSEEN])
            distances, which = _nearest(rows[some], rows, own=some)
        ratio = float(np.quantile(distances / units[which], RARE))
        cache.write(key, {"units": units}, {"ratio": ratio})
        return cls(rows, units, ratio)


def _rows(dataset: Dataset, indices: Labels, progress: Progress | None = None) -> Pixels:
    tick = Ticker(progress, "reading training images", len(indices))
    parts = []
    for start in range(0, len(indices), BLOCK):
        parts.append(small(dataset.take(indices[start : start + BLOCK])))
        tick(min(start + BLOCK, len(indices)))
    return np.concatenate(parts)


def _units(rows: Pixels, others: Labels, progress: Progress | None) -> Floats:
    """The distance of each row to its second nearest of some others, itself apart, at least one grey level."""
    tick = Ticker(progress, "measuring how far apart training images lie, once", len(rows))
    wanted = min(NEIGHBOUR, len(others) - 1)
    units = np.empty(len(rows), np.float32)
    for start, squares in _squares(rows, rows[others]):
        itself = np.flatnonzero((others >= start) & (others < start + len(squares)))
        squares[torch.from_numpy(others[itself] - start), torch.from_numpy(itself)] = torch.inf
        near = squares.topk(wanted, dim=1, largest=False).values.sqrt().numpy()
        units[start : start + len(near)] = near[:, -1]
        tick(start + len(near))
    return np.maximum(units, 1.0)


def _nearest(queries: Pixels, points: Pixels, own: Labels | None = None) -> tuple[Floats, Labels]:
    """The distance to the nearest point, and which; ``own``: the point that a query is."""
    distances, which = np.empty(len(queries), np.float32), np.empty(len(queries), np.int64)
    for start, squares in _squares(queries, points):
        if own is not None:
            squares[torch.arange(len(squares)), torch.from_numpy(own[start : start + len(squares)])] = torch.inf
        least = squares.min(dim=1)
        distances[start : start + len(squares)] = least.values.sqrt().numpy()
        which[start : start + len(squares)] = least.indices.numpy()
    return distances, which


def _squares(queries: Pixels, points: Pixels) -> "Any":
    """(start, squared distances (n, M)) of blocks of rows; exact for whole numbers below 2^24."""
    right = torch.from_numpy(points).float()
    lengths = right.square().sum(1)
    for start in range(0, len(queries), BLOCK):
        left = torch.from_numpy(queries[start : start + BLOCK]).float()
        squares = torch.addmm(lengths[None], left, right.T, alpha=-2).add_(left.square().sum(1)[:, None])
        yield start, squares.clamp_(min=0)


@dataclass(frozen=True, eq=False)
class Looked:
    """What a sieve says of M images."""

    labels: Labels | None
    """(M,) as asked, or as read; None without."""
    reasons: Pixels
    """(M,): 0 for an image that may stay, else 1 + the place of its reason in REASONS."""
    rows: Pixels | None
    """(M, D): small images, where repetitions are looked for."""
    reach: Floats | None
    """(M,): how near an earlier image must not be."""


@dataclass(frozen=True, eq=False)
class Sieve:
    """The filters that look at an image alone, and its class where none was asked for."""

    filters: Sequence[Filter]
    pseudo: bool
    """Whether the encoder says the class."""
    encoder: Encoder | None = None
    judge: Encoder | None = None
    close: Closeness | None = None

    def look(self, images: Pixels, labels: Labels | None, classes: Sequence[str]) -> Looked:
        """The verdicts on images (M, C, H, W); ``labels``: what was asked for, whose names are ``classes``."""
        reasons = np.zeros(len(images), np.uint8)
        encoded = self.encoder.encode(images) if self.encoder is not None else None
        if "recognised" in self.filters:
            assert encoded is not None
            assert encoded.logits is not None
            assert self.encoder is not None
            assert self.judge is not None
            second = self.judge.encode(images).logits
            assert second is not None
            agrees = recognised(encoded.logits, second).agrees if len(images) else np.zeros(0, bool)
            if labels is not None and tuple(classes) == self.encoder.classes:
                agrees &= encoded.labels == labels
            reasons[~agrees] = 1
        if self.pseudo and encoded is not None:
            labels = encoded.labels
        rows = reach = None
        if self.close is not None:
            rows = small(images)
            distances, which = self.close.nearest(rows)
            reach = (self.close.ratio * self.close.units[which]).astype(np.float32)
            if "novel" in self.filters:
                reasons[(reasons == 0) & (distances < reach)] = 2
        repeats = "distinct" in self.filters
        return Looked(labels, reasons, rows if repeats else None, reach if repeats else None)


class Kept:
    """The small images that were kept so far, to find repetitions: exact, after a screening in few dimensions.

    A projection on orthonormal axes makes no distance longer, so that what is far in it is far.
    """

    SCREEN = 16

    def __init__(self, rows: Pixels) -> None:
        """``rows``: images like those to come, whose main axes are those of the screening."""
        some = torch.from_numpy(rows[:20_000]).float()
        centred = some - some.mean(0)
        _, vectors = torch.linalg.eigh(centred.T @ centred)
        self._axes = vectors.flip(1)[:, : self.SCREEN]
        self._rows = np.empty((0, rows.shape[1]), np.uint8)
        self._screened = torch.empty((0, self._axes.shape[1]))
        self.count = 0

    def add(self, rows: Pixels) -> None:
        """More that were kept."""
        needed = self.count + len(rows)
        if needed > len(self._rows):
            more = max(needed, 2 * len(self._rows)) - len(self._rows)
            self._rows = np.concatenate([self._rows, np.empty((more, self._rows.shape[1]), np.uint8)])
            self._screened = torch.cat([self._screened, torch.empty(more, self._axes.shape[1])])
        self._rows[self.count : needed] = rows
        self._screened[self.count : needed] = torch.from_numpy(rows).float() @ self._axes
        self.count = needed

    def repeated(self, rows: Pixels, reach: Floats) -> NDArray[np.bool_]:
        """Which of M rows lie nearer to one that was kept than their reach (M,)."""
        found = np.zeros(len(rows), bool)
        if self.count:
            for row, _ in self._pairs(rows, reach, self._screened[: self.count], self._rows):
                found[row] = True
        return found

    def among(self, rows: Pixels, reach: Floats) -> dict[int, list[int]]:
        """For each row that has any, the earlier ones of these rows that lie nearer than its reach."""
        near: dict[int, list[int]] = {}
        screened = torch.from_numpy(rows).float() @ self._axes
        for row, other in self._pairs(rows, reach, screened, rows):
            if other < row:
                near.setdefault(row, []).append(other)
        return near

    def _pairs(self, rows: Pixels, reach: Floats, screened: torch.Tensor, others: Pixels) -> list[tuple[int, int]]:
        """(row, other) for all that lie within the row's reach."""
        found = []
        limits = torch.from_numpy(reach) ** 2
        axes = torch.from_numpy(rows).float() @ self._axes
        for at in range(0, len(screened), 1 << 16):
            points = screened[at : at + (1 << 16)]
            lengths = points.square().sum(1)
            for start in range(0, len(axes), 256):
                left = axes[start : start + 256]
                lefts = left.square().sum(1)[:, None]
                squares = torch.addmm(lengths[None], left, points.T, alpha=-2).add_(lefts)
                slack = 1e-5 * (lefts + lengths.max())  # of float32: what may be near is measured again
                row, other = torch.nonzero(squares < limits[start : start + 256, None] + slack, as_tuple=True)
                pairs = zip((row + start).tolist(), (other + at).tolist(), strict=True)
                found += [(a, b) for a, b in pairs if _square(rows[a], others[b]) < float(limits[a])]
        return found


def _square(a: Pixels, b: Pixels) -> float:
    difference = a.astype(np.int64) - b
    return float(difference @ difference)
