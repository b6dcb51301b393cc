"""`gansmith data shard`: a data set as shards."""

from typing import Annotated, Literal

from gansmith.cli.options import AnySeed, Fit, Json, Out, Size, Source, within
from gansmith.cli.output import pairs, progress, show
from gansmith.errors import SHARD
from gansmith.text import amount


def shard(
    source: Source,
    /,
    *,
    out: Out,
    format: Literal["tar", "parquet"] = "tar",
    size: Size = None,
    fit: Fit = "crop",
    seed: AnySeed = 0,
    shard: Annotated[int | None, within("shard", SHARD)] = None,
    json: Json = False,
) -> None:
    """Write a data set as shards, its test images too. The same command again, after a kill, goes on where it was.

    Training from the shards ends in the same bytes. Put the folder anywhere: `gansmith train s3://bucket/folder`.

    Args:
        source: a name, or the path of an image folder, .zip, .npz or IDX file.
        out: a new folder, or one that the same command began.
        format: tar (as WebDataset does), or parquet (as Hugging Face lays out images).
        seed: makes colour-mnist and stacked-mnist.
        shard: images in a file; 10,000, or as many as take 64 MB decoded, if not given.
    """
    from gansmith import data

    found = data.shard(source, out, layout=format, size=size, fit=fit, seed=seed, rows=shard, progress=progress)
    rows = {"folder": str(out)}
    for split, part in (("train", found.train), ("test", found.test)):
        if part is not None:
            size_in_mb = sum(each.bytes for each in part.shards) / 1e6
            rows[split] = f"{part.total:,} images in {amount(len(part.shards), 'shard')}, {size_in_mb:,.1f} MB"
    show({"path": out, **found.model_dump(mode="json")}, pairs(rows), json=json)
