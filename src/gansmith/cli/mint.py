"""`gansmith mint`: a data set of generated images, in shards."""

from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gansmith.cli.options import AnySeed, Best, Generator, Json, Number, Out, RealImages, Recipes, within
from gansmith.cli.output import pairs, progress, show, speaks
from gansmith.errors import MINTED, SHARD, WORKERS
from gansmith.text import amount


def mint(
    run: Generator,
    /,
    *,
    number: Annotated[Number, within("number", MINTED)],
    out: Out,
    format: Literal["folder", "npz", "parquet", "tar"] = "npz",
    seed: AnySeed = 0,
    balance: Annotated[bool, Parameter(negative=())] = False,
    filter: str = "",
    shard: Annotated[int, within("shard", SHARD)] = 10_000,
    workers: Annotated[int | None, within("workers", WORKERS)] = None,
    data: RealImages = None,
    best: Best = False,
    own: Recipes = None,
    json: Json = False,
) -> None:
    """Write a data set of generated images, in shards. The same command again, after a kill, goes on where it was.

    Args:
        number: how many images.
        out: a new folder, or one that the same command began.
        format: npz, parquet (as Hugging Face lays out images), tar (as WebDataset does), or a folder of PNG files.
        seed: random seed of the images; image i has the noise of image i of `sample --seed`.
        balance: as many images of each class, by the label asked for, or, without labels, as the encoder reads them;
            otherwise classes come as often as in the data of the training.
        filter: what is left out, with commas: recognised (not read alike by two classifiers), novel (near copies of
            training images), distinct (near copies within the set).
        shard: images in a file.
        workers: processes that make images; one for each core, if not given.
    """
    from gansmith.minting import mint as write

    wanted: list[Any] = [word.strip() for word in filter.split(",") if word.strip()]
    try:
        found = write(
            run,
            number,
            out,
            layout=format,
            seed=seed,
            balance=balance,
            filters=wanted,
            shard=shard,
            workers=workers,
            which="best" if best else "newest",
            source=data,
            progress=progress,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; the same command goes on in {out}") from None
    if not speaks():  # the first process says it
        return
    left = {reason: f"{count:,}" for reason, count in found.left_out.items()}
    rows = {
        "images": f"{found.rows:,} in {amount(len(found.shards), 'shard')}, of {found.tried:,} made",
        "labels": _labels(found.plan.labels),
        "classes": ", ".join(f"{name} {count:,}" for name, count in found.counts.items()),
        "left out": ", ".join(f"{count} {reason}" for reason, count in left.items()),
        "folder": str(out),
    }
    about = found.index() | {"path": out, "tried": found.tried, "left_out": found.left_out, "seed": seed}
    show(about, pairs({name: value for name, value in rows.items() if value}), json=json)


def _labels(kind: str) -> str:
    return {"asked": "as asked for", "pseudo": "pseudo-labels: as the encoder reads the images", "none": ""}[kind]
