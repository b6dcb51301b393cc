"""`gansmith card`: what a release is, measured, and the documents that say so."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gansmith.cli.options import AnySeed, Json, RealImages, Recipes, Released, within
from gansmith.cli.output import progress, say
from gansmith.errors import CARDED


def card(
    run: Released,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    samples: Annotated[int, within("samples", CARDED)] = 10_000,
    seed: AnySeed = 0,
    data: RealImages = None,
    licence: str | None = None,
    full: Annotated[bool, Parameter(negative=())] = False,
    records: bool | None = None,
    own: Recipes = None,
    json: Json = False,
) -> None:
    """Write the card of a minted set, a run or a generator: README.md, card.html, card.json and croissant.json.

    Args:
        run: a minted set's folder, a run, or an exported generator.
        out: folder of the card; a minted set's own, a run's `card`, or NAME-card if not given.
        samples: images that are measured.
        seed: random seed of a generator's images.
        licence: of the images, such as cc-by-4.0; that of data that come with gansmith, if not given.
        full: ten times the steps of each classifier, and three seeds of images.
        records: show the most exposed training images; if not given, of public data alone.
    """
    from gansmith.cards import card as write
    from gansmith.cards.sections import sections
    from gansmith.cli.output import document, table

    made = write(
        run,
        out,
        samples=samples,
        seed=seed,
        source=data,
        licence=licence,
        full=full,
        records=records,
        progress=progress,
    )
    if json:
        document(made.model_dump(mode="json"))
        return
    for part in sections(made):
        if part.tables:
            say(f"{part.title}\n")
            for each in part.tables:
                say(table(each.headers, each.rows) + "\n")
    say(f"privacy guarantee: {made.guarantee}")
