"""Kinds: groups of like images, found in the images alone, that both players can be told beside or without labels.

Liu et al. 2020 ("Diverse image generation via self-conditioned GANs") tell a GAN the clusters that its own
discriminator sees; here k-means of pixels and edges serves, all groups nearly alike in size, so that kinds drawn evenly
come as often as in the data. First each image is moved along the graph of those most like each other, step by step (a
diffusion, as of Coifman & Lafon 2006), so that groups part where images are few.
"""

import hashlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gansmith.data.dataset import Dataset
from gansmith.data.description import Rows, describe, pixels_of
from gansmith.data.npz import read_arrays
from gansmith.data.types import Labels
from gansmith.errors import UserError
from gansmith.files import cache_dir, write_bytes
from gansmith.progress import Progress, Ticker

LEAST = 8
"""Images of a kind; fewer are no kind but a handful."""
FITTED, STARTS = 20_000, 3
"""Images that centres are fitted to (the others are assigned), and how often anew."""
DIMENSIONS = 60
ROUNDS = 25
NEIGHBOURS, AMONG, MOVES = 7, 60_000, 4
"""The nearest to an image, itself counted, at most a quarter of a kind; how many are drawn, whose moves come before."""
GROUP = 64
"""Images of a group, when the nearest are looked for."""
FAR = 1e30
"""The squared distance of an image that is not there."""
SLACK = 0.03
"""Of its even share, that a kind may have more or fewer."""
UNEVEN = 3
"""A group this many times as large as another gives it one of its images as a new centre."""
SETTLING = 5
"""Last rounds of k-means, in which no centre is taken elsewhere."""
SCHEME = 4
MAX_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Kinds:
    """Centres in the space of the images' main components, and the condition of every training image."""

    mean: Rows
    """(P,) of the images' descriptions; of their pixels alone in runs of before edges were described."""
    basis: Rows
    """(P, D): their main components."""
    centres: Rows
    """(classes x kinds, D), the kinds of a class one after another."""
    conditions: Labels
    """(N,): class * kinds + kind of the training images."""
    kinds: int
    """In each class."""

    def told(self, dataset: Dataset) -> Dataset:
        """The training images with conditions in the place of labels."""
        return replace(dataset, labels=self.conditions, classes=_names(dataset, self.kinds, len(self.centres)))

    def of(self, dataset: Dataset) -> "Kinds":
        """The same kinds for other training images of the same size and classes: nearly alike in size again."""
        rows = self._rows(dataset, np.arange(len(dataset)))
        conditions = np.empty(len(rows), np.int64)
        for number, group in enumerate(_groups(dataset, len(self.centres) // self.kinds)):
            first = number * self.kinds
            conditions[group] = first + _evenly(rows[group], self.centres[first : first + self.kinds])
        return replace(self, conditions=conditions)

    def read(self, dataset: Dataset, indices: NDArray[np.int64]) -> Labels:
        """The conditions (n,) of other images, such as test images: the nearest kind's, of the image's own class."""
        distances = _distances(self._rows(dataset, indices), self.centres)
        if dataset.labels is not None and len(self.centres) > self.kinds:
            of_class = np.arange(len(self.centres)) // self.kinds
            distances[of_class[None] != dataset.labels[indices][:, None]] = np.inf
        return np.asarray(distances.argmin(axis=1), np.int64)

    def purity(self, dataset: Dataset) -> float | None:
        """The share of the training images that are of the commonest class of their kind; None without labels."""
        if dataset.labels is None or len(dataset.classes) < 2:
            return None
        pairs = self.conditions * len(dataset.classes) + dataset.labels
        counts = np.bincount(pairs, minlength=len(self.centres) * len(dataset.classes))
        return float(counts.reshape(len(self.centres), -1).max(axis=1).sum() / len(dataset))

    @property
    def places(self) -> Rows:
        """(classes x kinds, D): where the kinds lie about the middle of all, at a distance of 1 on average."""
        about = self.centres - self.centres.mean(axis=0)
        return np.asarray(about / max(1e-12, float(np.linalg.norm(about, axis=1).mean())), np.float32)

    def _rows(self, dataset: Dataset, indices: NDArray[np.int64]) -> Rows:
        """Images in the space of the centres: (n, D)."""
        return _projected(dataset, indices, self.mean, self.basis)

    def to_bytes(self) -> bytes:
        """All of it as an .npz file."""
        buffer = io.BytesIO()
        small, kinds = self.conditions.astype(np.int32), np.int64(self.kinds)
        np.savez(buffer, mean=self.mean, basis=self.basis, centres=self.centres, conditions=small, kinds=kinds)
        return buffer.getvalue()

    def save(self, path: Path) -> None:
        """Writes all of it as an .npz file."""
        write_bytes(path, self.to_bytes())


def load(path: Path, count: int) -> Kinds:
    """What :meth:`Kinds.save` wrote for ``count`` training images. Raises UserError where it is missing or damaged."""
    names = {"mean", "basis", "centres", "conditions", "kinds"}
    try:
        arrays = read_arrays(path, names, MAX_BYTES)
    except (UserError, OSError) as error:
        raise UserError(f"{path}: the kinds of the images cannot be read ({error})") from None
    if arrays.keys() != names:
        raise UserError(f"{path}: the kinds of the images cannot be read (not all arrays are there)")
    kinds, conditions = int(arrays.pop("kinds")), arrays.pop("conditions").astype(np.int64)
    if conditions.shape != (count,) or conditions.min() < 0 or conditions.max() >= len(arrays["centres"]):
        raise UserError(f"{path}: these kinds are of other images")
    return Kinds(**arrays, conditions=conditions, kinds=kinds)


def find(dataset: Dataset, kinds: int, *, by_class: bool, progress: Progress | None = None) -> Kinds:
    """So many groups of nearly equal size in a data set, or in each of its classes; found once, then kept in the cache.

    Raises UserError where that leaves fewer than 8 images a kind.
    """
    classes = len(dataset.classes) if by_class else 1
    least = min(np.bincount(dataset.labels, minlength=classes)) if by_class and dataset.labels is not None else 0
    available = int(least) if by_class else len(dataset)
    if available < LEAST * kinds:
        where = "the smallest class" if by_class else dataset.name
        raise UserError(
            f"`kinds` {kinds}: {where} has {available:,} images, and a kind needs {LEAST}; give `kinds` "
            f"{max(2, available // LEAST)} or less, or 0 for none"
        )
    about = f"{SCHEME} {dataset.fingerprint} {kinds} {by_class}"
    path = cache_dir() / "kinds" / f"{hashlib.sha256(about.encode()).hexdigest()[:40]}.npz"
    try:
        return load(path, len(dataset))
    except UserError:
        found = _find(dataset, kinds, classes, progress)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        found.save(path)
    except OSError:  # found again next time
        pass
    return found


def _find(dataset: Dataset, kinds: int, classes: int, progress: Progress | None) -> Kinds:
    random = np.random.default_rng(SCHEME)
    mean, basis = _space(dataset, random.permutation(len(dataset))[:FITTED])
    rows = _projected(dataset, np.arange(len(dataset)), mean, basis)
    conditions, centres = np.empty(len(rows), np.int64), list[Rows]()
    groups = _groups(dataset, classes)
    tick, rounds = Ticker(progress, "rounds of finding kinds", len(groups) * STARTS * ROUNDS), count(1)

    def done() -> None:
        tick(next(rounds))

    for number, group in enumerate(groups):
        moved = _moved(rows[group], max(1, min(NEIGHBOURS, len(group) // kinds // 4)), random, progress)
        assigned = _evenly(moved, _centres(moved, kinds, random, done))
        conditions[group] = number * kinds + assigned
        centres += [rows[group][assigned == kind].mean(axis=0) for kind in range(kinds)]
    return Kinds(mean, basis, np.stack(centres), conditions, kinds)


def _space(dataset: Dataset, indices: NDArray[np.int64]) -> tuple[Rows, Rows]:
    """The mean (P,) of these images' descriptions, and their main components (P, D): pixels and edges count alike."""
    described = np.concatenate(list(describe(dataset, indices)))
    mean = described.mean(axis=0)
    described -= mean
    parts = np.split(described, [pixels_of(dataset.shape)], axis=1)
    scales = [np.full(part.shape[1], 1 / max(1e-6, float(part.std() * part.shape[1] ** 0.5))) for part in parts]
    scale = np.concatenate(scales).astype(np.float32)
    described *= scale
    _, vectors = np.linalg.eigh((described.T @ described).astype(np.float64))
    return mean, np.ascontiguousarray(scale[:, None] * vectors[:, ::-1][:, :DIMENSIONS], np.float32)


def _projected(dataset: Dataset, indices: NDArray[np.int64], mean: Rows, basis: Rows) -> Rows:
    """Images in the space of the centres: (n, D)."""
    chunks = [(rows[:, : len(mean)] - mean) @ basis for rows in describe(dataset, indices)]
    return np.asarray(np.concatenate([basis[:0], *chunks]), np.float32)


def _groups(dataset: Dataset, classes: int) -> list[Labels]:
    """The images of each class, or all of them where there is one."""
    if classes == 1:
        return [np.arange(len(dataset))]
    return [np.flatnonzero(dataset.labels == each) for each in range(classes)]


def _moved(rows: Rows, neighbours: int, random: np.random.Generator, progress: Progress | None) -> Rows:
    """Rows (N, D), each moved to the mean of those nearest to it, after these were moved so again and again."""
    among = random.permutation(len(rows))[:AMONG]
    tick = Ticker(progress, "comparing images, to find kinds", len(rows))
    nearest = _nearest(rows, rows[among], neighbours, tick)
    drawn = rows[among]
    for _ in range(MOVES):
        drawn = _means(drawn, nearest[among])
    return _means(drawn, nearest)


def _means(rows: Rows, groups: Labels) -> Rows:
    """(N, D): the means of the rows of each group (N, n)."""
    blocks = range(0, len(groups), 1024)
    return np.concatenate([rows[groups[start : start + 1024]].mean(axis=1) for start in blocks])


def _nearest(rows: Rows, among: Rows, count: int, tick: Callable[[int], None]) -> Labels:
    """(N, count): which of ``among`` (M, D) are nearest to each row, in no order.

    Exact: they are in those ``count`` groups whose nearest are nearest, and only these are looked through.
    """
    groups = max(count, math.ceil(len(among) / GROUP))
    columns = np.pad(among.T, [(0, 1), (0, -len(among) % groups)])  # column j is in group j % groups
    columns[-1] = (columns * columns).sum(axis=0)  # so that one product gives distances, less what a row has in all
    columns[-1, len(among) :] = FAR
    result = np.empty((len(rows), count), np.int64)
    for start in range(0, len(rows), 128):
        some = np.pad(-2 * rows[start : start + 128], [(0, 0), (0, 1)], constant_values=1)
        distances = (some @ columns).reshape(len(some), -1, groups)
        best = np.argpartition(distances.min(axis=1), count - 1, axis=1)[:, :count]
        inside = np.take_along_axis(distances, best[:, None], axis=2).reshape(len(some), -1)
        row, column = np.divmod(np.argpartition(inside, count - 1, axis=1)[:, :count], count)
        result[start : start + 128] = row * groups + np.take_along_axis(best, column, axis=1)
        tick(start + len(some))
    return result


def _centres(rows: Rows, count: int, random: np.random.Generator, done: Callable[[], None]) -> Rows:
    """Centres (count, D) of rows (N, D): of several starts those about which groups alike in size are closest."""
    some = rows if len(rows) <= FITTED else rows[random.permutation(len(rows))[:FITTED]]

    def spread(centres: Rows) -> float:
        return float(((some - centres[_evenly(some, centres)]) ** 2).sum(axis=1).mean())

    return min((_k_means(some, count, random, done) for _ in range(STARTS)), key=spread)


def _k_means(rows: Rows, count: int, random: np.random.Generator, done: Callable[[], None]) -> Rows:
    """Centres (count, D) of rows (N, D): Lloyd's iterations from images chosen as k-means++ does.

    Small groups' centres are taken to large groups, so that each part of the data has as many as its share; a price on
    large groups would fill small ones across a gap instead.
    """
    centres = _spread(rows, count, random)
    for number in range(ROUNDS):
        nearest = _distances(rows, centres).argmin(axis=1)
        sizes = np.bincount(nearest, minlength=count)
        sums = np.stack([np.bincount(nearest, rows[:, axis], count) for axis in range(rows.shape[1])], axis=1)
        filled = sizes > 0
        centres[filled] = (sums[filled] / sizes[filled, None]).astype(np.float32)
        if number < ROUNDS - SETTLING:
            by_size = np.argsort(sizes, kind="stable")[: math.ceil(count / 20)], np.argsort(-sizes, kind="stable")
            for small, large in zip(*by_size, strict=False):
                if sizes[large] > UNEVEN * sizes[small]:
                    centres[small] = rows[random.choice(np.flatnonzero(nearest == large))]
        done()
    return centres


def _spread(rows: Rows, count: int, random: np.random.Generator) -> Rows:
    """Rows far from each other: each next one drawn in proportion to its squared distance to those there are."""
    chosen = [int(random.integers(len(rows)))]
    nearest = _distances(rows, rows[chosen])[:, 0]
    for _ in range(count - 1):
        weights = np.cumsum(nearest.astype(np.float64) + 1e-9)
        chosen.append(int(np.searchsorted(weights, random.random() * weights[-1])))
        nearest = np.minimum(nearest, _distances(rows, rows[chosen[-1:]])[:, 0])
    return rows[chosen].copy()


def _prices(distances: Rows, rounds: int = 50) -> Rows:
    """Prices (K,) under which each row's cheapest centre, by distance (N, K) and price, makes groups nearly alike."""
    prices, wanted = np.zeros(distances.shape[1], np.float32), len(distances) / distances.shape[1]
    for step in np.linspace(float(np.median(distances.min(axis=1))), 0, rounds, endpoint=False):
        sizes = np.bincount(_cheapest(distances, prices), minlength=len(prices))
        prices += (step * np.log((sizes + 0.1 * wanted) / (1.1 * wanted))).astype(np.float32)
    return prices


def _cheapest(distances: Rows, prices: Rows) -> Labels:
    """Each row's cheapest centre, by distance (N, K) and price (K,), block by block, as a cache holds them."""
    blocks = range(0, len(distances), 1024)
    return np.concatenate([(distances[start : start + 1024] + prices).argmin(axis=1) for start in blocks])


def _evenly(rows: Rows, centres: Rows) -> Labels:
    """The centre of each row, each taken nearly equally often: within 3 % of an even share, or the next whole number.

    A row that finds its cheapest centre full, as nearer ones came first, goes to its next; centres that are left with
    too few take the rows whose own centre can spare them and is hardly nearer.
    """
    count, share = len(centres), len(rows) / len(centres)
    distances = _distances(rows, centres)
    costs = distances + _prices(distances)
    room = np.full(count, math.ceil((1 + SLACK) * share))
    result, left = np.full(len(rows), -1), np.arange(len(rows))
    while len(left):
        open_centres = np.flatnonzero(room > 0)
        costs_now = costs[left][:, open_centres]
        choice = costs_now.argmin(axis=1)
        order = np.argsort(costs_now[np.arange(len(left)), choice], kind="stable")
        choice = open_centres[choice[order]]
        taken = _rank(choice) < room[choice]
        result[left[order[taken]]] = choice[taken]
        room -= np.bincount(choice[taken], minlength=count)
        left = np.sort(left[order[~taken]])
    least = math.floor((1 - SLACK) * share)
    for centre in np.flatnonzero(np.bincount(result, minlength=count) < least):
        sizes = np.bincount(result, minlength=count)
        order = np.argsort(costs[:, centre] - costs[np.arange(len(rows)), result], kind="stable")
        spare = order[_rank(result[order]) < (sizes - least)[result[order]]]
        result[spare[: max(0, least - sizes[centre])]] = centre
    return result


def _rank(values: Labels) -> Labels:
    """How often each value came before: (3, 5, 3, 3) -> (0, 0, 1, 2)."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.arange(len(values)) - np.repeat(starts, np.diff(np.r_[starts, len(values)]))
    result = np.empty(len(values), np.int64)
    result[order] = rank
    return result


def _distances(rows: Rows, centres: Rows) -> Rows:
    """Squared distances (N, K), float32."""
    squares = (rows * rows).sum(axis=1)[:, None] + (centres * centres).sum(axis=1)[None]
    result: Rows = np.maximum(squares - 2 * rows @ centres.T, 0)
    return result


def _names(dataset: Dataset, kinds: int, count: int) -> tuple[str, ...]:
    if count == kinds:
        return tuple(f"kind {kind}" for kind in range(kinds))
    return tuple(f"{name}, kind {kind}" for name in dataset.classes for kind in range(kinds))
