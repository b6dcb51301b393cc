"""What is to be minted, checked before anything heavy is imported."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from gansmith import hardware
from gansmith.data import Images
from gansmith.errors import FROM_0, MINTED, SHARD, WORKERS, UserError
from gansmith.minting.manifest import Filter, Layout, Minted
from gansmith.progress import Progress
from gansmith.runs import Run


def mint(
    where: str | Path | Run,
    n: int,
    out: str | Path,
    *,
    layout: Layout = "npz",
    seed: int = 0,
    balance: bool = False,
    filters: Sequence[Filter] = (),
    shard: int = 10_000,
    workers: int | None = None,
    which: Literal["newest", "best"] = "newest",
    source: Images | None = None,
    progress: Progress | None = None,
) -> Minted:
    """Writes a data set of n generated images, in shards; called again after a kill, it goes on where it was.

    Image i is made from latent i of the seed, as that of ``gansmith sample --seed``, whatever the number of workers.
    Labels are asked for as often as the data of the training have them. Beside the shards lie mint.json
    (all that decides the images, and each shard's SHA-256) and, once it is complete, index.json (files and counts).

    Args:
        where: a run (folder, name, "last"), an exported generator, or a pretrained one ("mnist").
        n: how many images, 1 to 100,000,000.
        out: a new folder, or one that an earlier call with the same arguments began.
        layout: "npz" (images, labels, index), "parquet" (Hugging Face's image layout), "tar" (WebDataset's) or
            "folder" (a PNG each, in a folder for each class).
        seed: of the sequence, 0 or more.
        balance: as many images of each class: of the labels that were asked for, or, of a generator without labels,
            of those that the encoder reads, which are then called pseudo-labels. Labels take turns, then: image i is
            that of ``gansmith sample``, as it is too of a generator that does not say how often its data had each.
        filters: which images are left out. "recognised": those that encoder and judge do not both read, fairly sure,
            as the same class, the one asked for; "novel": near copies of training images; "distinct": near copies of
            earlier images of the set.
        shard: images in a file.
        workers: processes; as many as there are cores if None. Under torchrun its processes make the images.
        which: "best" for a run's best measured checkpoint.
        source: the real images, if not the run's; needed by filters and by pseudo-labels only.
        progress: called with the images that are kept, if that takes more than two seconds.

    Raises:
        UserError: one line: numbers out of range, another set in ``out``, a filter that has no second classifier or no
            training images, or that nothing fits; a library that a layout needs.
        OSError: the disk is full. What is whole stays, and is gone on with.
    """
    if layout not in get_args(Layout):
        raise UserError(f"`layout` {layout!r}: give one of {', '.join(get_args(Layout))}")
    n, seed, shard = MINTED.check("n", n), FROM_0.check("seed", seed), SHARD.check("shard", shard)
    number = WORKERS.check("workers", hardware.available_cores() if workers is None else workers)
    from gansmith.minting import minting

    asked = {"n": n, "seed": seed, "layout": layout, "shard_rows": shard, "balance": balance}
    return minting.made(where, Path(out), number, filters, source, progress, which, **asked)
