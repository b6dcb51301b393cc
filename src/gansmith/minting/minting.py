"""A data set of generated images: made in blocks by worker processes, sieved in order, written shard by shard."""

import errno
import os
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from gansmith import files, processes, runs
from gansmith._version import __version__
from gansmith.data import Images
from gansmith.errors import UserError
from gansmith.evaluation import real
from gansmith.evaluation.features import Encoders
from gansmith.generator import Generator
from gansmith.minting import peers, shards
from gansmith.minting.manifest import FILE, REASONS, Filter, Minted, Origin, Plan, Shard, differences
from gansmith.minting.sieve import Closeness, Kept, Looked, Sieve, small
from gansmith.progress import Progress, Ticker
from gansmith.recipes import own
from gansmith.runs import Run, load
from gansmith.training import parallel

BLOCK = 2048
"""Images that a worker makes at once; which they are never changes what is made."""
PATIENCE = 20_000
"""After so many images of which fewer than one in a thousand was kept, nothing seems to fit."""


def made(
    where: str | Path | Run,
    out: Path,
    workers: int,
    filters: Sequence[Filter],
    source: Images | None,
    progress: Progress | None,
    which: Literal["newest", "best"],
    **asked: Any,
) -> Minted:
    """The set that was asked for, made by so many workers, or by the processes of a launch."""
    group = parallel.join()
    with group.leaving_with_reason():
        generator = load.load(where, device=parallel.device_of(group, "cpu"), which=which)
        sieve = _sieve(where, generator, source, asked["balance"], filters, progress)
        plan = _plan(where, generator, sieve, **asked)
        shards.check(plan)
        group.compare("set to mint", plan.model_dump_json())
        maker = Maker(generator, sieve, plan)
        if group.rank == 0:
            return _written(out, maker, workers, group, progress)
        peers.serve(group, maker.block, maker.size)
        return Minted.model_validate_json(group.exchange(b"")[0])


def _written(folder: Path, maker: "Maker", number: int, group: parallel.Group, progress: Progress | None) -> Minted:
    """The whole set, from blocks that so many workers make, or the processes of a group."""
    _check_target(folder)
    with processes.alone(folder, f"`out` {folder}: another process mints into it; wait for its end"):
        minted = _begun(folder, maker.plan)
        number = 1 if minted.complete else number
        made = _blocks(maker, number, minted.next)
        with (
            _room(folder),
            peers.asked(group, maker.block, minted.next, maker.size) if group.shared else made as blocks,
        ):
            if not minted.complete:
                minted = _Mint(folder, minted, maker.sieve).run(blocks, progress)
            files.write_json(folder / "index.json", minted.index())
    group.exchange(minted.model_dump_json().encode())
    return minted


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """A full disk, or the like, becomes a UserError that says how to go on."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES):
            raise
        why = os.strerror(error.errno)
        raise UserError(f"`out` {folder}: cannot be written ({why}); the same command goes on when it can") from None


def _sieve(
    where: str | Path | Run,
    generator: Generator,
    source: Images | None,
    balance: bool,
    filters: Sequence[Filter],
    progress: Progress | None,
) -> Sieve:
    """What looks at the images: networks and training images only where they are needed."""
    unknown = [each for each in filters if each not in ("recognised", "novel", "distinct")]
    if unknown:
        raise UserError(f"`filter` {unknown[0]}: choose from recognised, novel, distinct")
    pseudo = not generator.recipe.classes and (balance or "recognised" in filters)
    if not filters and not pseudo:
        return Sieve((), False)
    images = real.find(where, generator, source, progress=progress)
    networks = Encoders.choose(images.train)
    if pseudo and not networks.encoder.classes:
        raise UserError(
            f"`balance`: no encoder knows classes of {images.train.name}, and the generator takes no labels; leave it "
            "out, or train with `conditional`"
        )
    if "recognised" in filters and networks.judge is None:
        raise UserError(
            f"`filter` recognised: there is no second classifier for {images.train.name}; it works for data that come "
            "with gansmith; leave it out"
        )
    near = {"novel", "distinct"} & set(filters)
    close = Closeness.of(images.train, images.test, progress) if near else None
    read = pseudo or "recognised" in filters
    wanted = tuple(each for each in ("recognised", "novel", "distinct") if each in filters)
    return Sieve(wanted, pseudo, networks.encoder if read else None, networks.judge if read else None, close)  # type: ignore[arg-type]


def _plan(where: str | Path | Run, generator: Generator, sieve: Sieve, **asked: Any) -> Plan:
    recipe, about = generator.recipe, generator.about
    classes: tuple[str, ...] = ()
    if recipe.classes:
        classes = tuple(generator.classes) or tuple(str(label) for label in range(recipe.classes))
    elif sieve.pseudo:
        assert sieve.encoder is not None
        classes = tuple(sieve.encoder.classes)
    steps, seed = about.get("steps"), about.get("seed")
    origin = Origin(
        name=runs.name_of(where),
        recipe=recipe.name,
        digest=generator.digest,
        data=str(about.get("data", "")),
        steps=steps if isinstance(steps, int) else None,
        seed=seed if isinstance(seed, int) else None,
        privacy=str(about["privacy"]) if "privacy" in about else None,
    )
    if asked["balance"] and not classes:
        raise UserError("`balance`: this generator knows no classes; leave it out")
    return Plan(
        generator=origin,
        filters=tuple(sieve.filters),
        labels="asked" if recipe.classes else "pseudo" if sieve.pseudo else "none",
        classes=classes,
        class_counts=() if asked["balance"] else tuple(generator.class_counts),
        shape=(recipe.channels, recipe.size, recipe.size),
        precision=generator.precision,
        encoder=sieve.encoder and sieve.encoder.full_name,
        judge=sieve.judge.full_name if sieve.judge and "recognised" in sieve.filters else None,
        near=None if sieve.close is None else sieve.close.ratio,
        gansmith=__version__,
        **asked,
    )


def _check_target(folder: Path) -> None:
    """Makes the folder. Raises UserError where there is something else."""
    if not (folder / FILE).exists() and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"`out` {folder}: is in the way; name a new or empty folder")
    folder.mkdir(parents=True, exist_ok=True)


def _begun(folder: Path, plan: Plan) -> Minted:
    """The set as far as it is there. Raises UserError where it is another one."""
    if not (folder / FILE).exists():
        minted = Minted(plan=plan)
        files.write_json(folder / FILE, minted.model_dump(mode="json"))
        return minted
    files.clean(folder)
    found = Minted.read(folder)
    other = next(differences(found.plan, plan), None)
    if other is not None:
        raise UserError(f"`out` {folder}: holds another set ({other}); name a new folder")
    return found.whole(folder)


@dataclass(frozen=True)
class Block:
    """Images start, start + 1, ... of the sequence, and what the sieve says of them."""

    start: int
    images: Sequence[Any] | np.ndarray
    """As :class:`gansmith.minting.shards.Rows` wants them; None for what is left out."""
    looked: Looked


@dataclass
class Maker:
    """Makes blocks: in this process, or in each worker."""

    generator: Generator
    sieve: Sieve
    plan: Plan

    @property
    def size(self) -> int:
        """Images of a block: no more than the set has, so that a small one is not made of 2,048."""
        return min(BLOCK, max(64, self.plan.n))

    def block(self, start: int) -> Block:
        """The block that begins at ``start``."""
        samples = self.generator.sample(self.size, seed=self.plan.seed, start=start, as_in_data=not self.plan.balance)
        looked = self.sieve.look(samples.images, samples.labels, self.plan.classes)
        if self.plan.layout == "npz":
            return Block(start, samples.images, looked)
        stays = looked.reasons == 0
        encoded = iter(shards.encode(samples.images[stays]))
        return Block(start, [next(encoded) if stay else None for stay in stays], looked)


_maker: Maker | None = None  # of a worker process


def _enlist(folder: str, recipes: Sequence[str], plan: Plan, sieve: Sieve) -> None:
    """Begins a worker: one thread, and the generator from a folder of its own."""
    global _maker  # noqa: PLW0603 (a process has one)
    processes.end_with_parent()
    torch.set_num_threads(1)
    for path in recipes:
        own.load(Path(path))
    _maker = Maker(Generator.from_pretrained(folder), sieve, plan)


def _work(start: int) -> Block:
    assert _maker is not None
    return _maker.block(start)


@contextmanager
def _blocks(maker: Maker, workers: int, start: int) -> Iterator[Iterator[Block]]:
    """Blocks from image ``start`` on, in order, made by so many processes; none are started for one."""
    starts = iter(range(start, 1 << 62, maker.size))
    if workers == 1:
        yield map(maker.block, starts)
        return
    with tempfile.TemporaryDirectory(prefix="gansmith-mint-") as folder:
        maker.generator.save_pretrained(folder)
        recipes = [file.path for file in maker.generator.recipe.files if file.path]
        pool = ProcessPoolExecutor(
            workers,
            mp_context=processes.Fresh(),
            initializer=_enlist,
            initargs=(folder, recipes, maker.plan, maker.sieve),
        )
        try:
            yield _ahead(pool, starts, 2 * workers)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _ahead(pool: ProcessPoolExecutor, starts: Iterator[int], ahead: int) -> Iterator[Block]:
    """Blocks in order, while so many are being made ahead."""
    waiting = deque(pool.submit(_work, next(starts)) for _ in range(ahead))
    while True:
        try:
            block = waiting.popleft().result()
        except BrokenProcessPool:
            raise UserError("`workers`: a process died, as for want of memory; the same with fewer goes on") from None
        waiting.append(pool.submit(_work, next(starts)))
        yield block


class _Mint:
    """What was kept so far, and the shard that is being filled."""

    def __init__(self, folder: Path, minted: Minted, sieve: Sieve) -> None:
        self.folder, self.minted, self.plan = folder, minted, minted.plan
        self.counts = list(minted.counts.values())
        self.kept: Kept | None = None
        self.distinct = "distinct" in sieve.filters
        self.tried = self.tried_before = minted.tried
        self.left_out_since = dict.fromkeys(REASONS, 0)
        self._clear()

    def _clear(self) -> None:
        self.indices: list[int] = []
        self.images: list[Any] = []
        self.labels: list[int] = []
        self.left_out = dict.fromkeys(REASONS, 0)
        self.first: int | None = None
        self.looked_at = 0

    def run(self, blocks: Iterator[Block], progress: Progress | None) -> Minted:
        """Keeps images until there are as many as were asked for."""
        tick = Ticker(progress, "images", self.plan.n)
        before = self.minted.rows
        while not self.minted.complete:
            self._sift(next(blocks))
            have = self.minted.rows + len(self.indices)
            tick(have)
            if 1000 * (have - before) < self.tried - self.tried_before - PATIENCE:
                raise self._hopeless(have - before)
        return self.minted

    def _hopeless(self, have: int) -> UserError:
        """What to say where hardly any image is kept."""
        counts = {name: count for name, count in self.left_out_since.items() if count}
        left = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        if max(counts, key=counts.__getitem__, default="") == "surplus":
            flag, way = "balance", "some class is hardly ever made; leave it out"
        else:
            flag, way = "filter", "hardly any fits; leave a filter out"
        tried = self.tried - self.tried_before
        return UserError(f"`{flag}`: of {tried:,} images {have:,} were kept ({left}): {way}, or train longer")

    def _sift(self, block: Block) -> None:
        looked = block.looked
        if not self.distinct and self.plan.quotas is None and not looked.reasons.any():
            self._take_all(block)
            return
        reasons, near = looked.reasons.copy(), {}
        if self.distinct:
            assert looked.rows is not None
            assert looked.reach is not None
            kept = self._remember(looked.rows)
            reasons[(reasons == 0) & kept.repeated(looked.rows, looked.reach)] = 3
            near = kept.among(looked.rows, looked.reach)
        here: list[int] = []
        chosen = set()
        for row, reason in enumerate(reasons.tolist()):
            if self.minted.complete:
                break
            label = None if looked.labels is None else int(looked.labels[row])
            if not reason and any(other in chosen for other in near.get(row, ())):
                reason = 3
            if not reason and self.plan.quotas is not None and label is not None:
                reason = 4 if self.counts[label] >= self.plan.quotas[label] else 0
            self._take(block, row, label, reason)
            if not reason:
                chosen.add(row)
                here.append(row)
        if self.distinct and looked.rows is not None:
            self._remember(looked.rows).add(looked.rows[here])

    def _take_all(self, block: Block) -> None:
        """As :meth:`_take` of each row, where nothing is left out: a few slices instead of thousands of calls."""
        labels = block.looked.labels if self.plan.labels != "none" else None
        row = 0
        while row < len(block.images) and not self.minted.complete:
            room = min(self.plan.shard_rows, self.plan.n - self.minted.rows) - len(self.indices)
            end = min(row + room, len(block.images))
            self.first = block.start + row if self.first is None else self.first
            self.indices += range(block.start + row, block.start + end)
            self.images += list(block.images[row:end])
            if labels is not None:
                self.labels += labels[row:end].tolist()
                more = np.bincount(labels[row:end], minlength=len(self.counts))
                self.counts = [count + int(new) for count, new in zip(self.counts, more, strict=True)]
            self.looked_at += end - row
            self.tried += end - row
            row = end
            self._flush_if_full()

    def _take(self, block: Block, row: int, label: int | None, reason: int) -> None:
        index = block.start + row
        self.first = index if self.first is None else self.first
        self.looked_at += 1
        self.tried += 1
        if reason:
            self.left_out[REASONS[reason - 1]] += 1
            self.left_out_since[REASONS[reason - 1]] += 1
            return
        self.indices.append(index)
        self.images.append(block.images[row])
        if label is not None and self.plan.labels != "none":
            self.labels.append(label)
            self.counts[label] += 1
        self._flush_if_full()

    def _flush_if_full(self) -> None:
        """Writes the shard, and then that it is there, once it has all its images."""
        full = len(self.indices) == self.plan.shard_rows
        if not full and self.minted.rows + len(self.indices) < self.plan.n:
            return
        number = len(self.minted.shards)
        rows = shards.Rows(self.indices, self.images, self.labels if self.plan.labels != "none" else None)
        name, size, digest = shards.write(self.folder, self.plan, number, rows)
        counts = np.bincount(self.labels, minlength=len(self.plan.classes)) if self.labels else ()
        assert self.first is not None
        shard = Shard(
            name=name,
            bytes=size,
            rows=len(self.indices),
            first=self.first,
            last=self.indices[-1],
            tried=self.looked_at,
            counts=tuple(int(count) for count in counts),
            left_out={reason: count for reason, count in self.left_out.items() if count},
            sha256=digest,
        )
        self.minted = self.minted.model_copy(update={"shards": (*self.minted.shards, shard)})
        files.write_json(self.folder / FILE, self.minted.model_dump(mode="json"))
        self._clear()

    def _remember(self, rows: np.ndarray) -> Kept:
        """The images kept so far; those of shards that were there before are read again."""
        if self.kept is None:
            self.kept = Kept(rows)
            for shard in self.minted.shards:
                self.kept.add(small(shards.read(self.folder, self.plan, shard)[0]))
        return self.kept
