"""Explore: samples of a generator, and what becomes of one that is moved, morphed, mixed or drawn."""

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response
from pydantic import Base64Bytes, Field

from gansmith import runs
from gansmith.runs.run import PRETRAINED
from gansmith.studio import computed
from gansmith.studio.api import Body
from gansmith.studio.desk import Desk
from gansmith.studio.ids import TheDesk, TheExplorer, TheFinder

router = APIRouter(tags=["explore"], prefix="/api/explore")
Document = dict[str, Any]
Source = tuple[Path, tuple[Any, ...]]
KEPT = 8
"""Generators whose directions are kept."""
MOST_DIRECTIONS = 32
Move = Annotated[float, Field(ge=-20, le=20)]
Coordinate = Annotated[float, Field(ge=-1e6, le=1e6)]
Side = Annotated[int, Field(ge=0, lt=MOST_DIRECTIONS)]


class Point(Body):
    """Image `index` of `seed`, or a `latent` with its `condition`; then what is done to it, in this order."""

    seed: int = Field(0, ge=0, lt=2**53)
    index: int = Field(0, ge=0, lt=1_000_000)
    latent: list[Coordinate] | None = Field(None, max_length=4096)
    condition: int = Field(0, ge=0, lt=1_000_000)
    label: int | None = Field(None, ge=0, lt=100_000)
    """A class, of a generator that was trained with labels; the point's own if None."""
    truncation: float = Field(1.0, ge=0, le=2)
    moves: list[Move] = Field([], max_length=MOST_DIRECTIONS)
    """Standard deviations along the first, the second, ... direction."""


class Shown(Body):
    """A point, and how many times its picture is enlarged."""

    point: Point
    scale: int = Field(1, ge=1, le=16)


class Charted(Body):
    """A point, and the directions that a map of its surroundings is drawn along."""

    point: Point
    across: Side = 0
    up: Side = 1


class Filmed(Body):
    """Points to morph through."""

    points: list[Point] = Field(min_length=2, max_length=8)
    frames: int = Field(48, ge=2, le=240)
    loop: bool = False
    suffix: Literal["png", "gif", "webp"] = "png"


class Mixed(Body):
    """a, b for the middle between them, as a morph passes it; a, b, c for a - b + c."""

    points: list[Point] = Field(min_length=2, max_length=3)


class Torn(Body):
    """A picture of which a part is unknown."""

    picture: Base64Bytes
    """A PNG or another image file, in base64."""
    unknown: Base64Bytes | None = None
    """A picture of the same form: what is white in it is filled in; if not given, all but light strokes is."""
    count: int = Field(6, ge=1, le=12)


def sources(desk: Desk) -> dict[str, tuple[str, Path]]:
    """What can be explored by its id: "run", "exported" or "pretrained", and the folder.

    A run or an exported folder comes before a pretrained generator of its name, as on the command line.
    """
    found: dict[str, tuple[str, Path]] = {}
    for run in runs.every(desk.out):
        if run.finished or any(run.checkpoints.glob("step-*")):
            found[run.name] = ("run", run.path)
    for folder in desk.out.iterdir() if desk.out.is_dir() else ():
        if folder.name not in found and not folder.is_symlink() and (folder / "model.safetensors").is_file():
            found[folder.name] = ("exported", folder)
    for name in runs.pretrained():
        found.setdefault(name, ("pretrained", PRETRAINED / name))
    return found


def _stamp(kind: str, path: Path) -> tuple[Any, ...]:
    """What changes when a generator does."""
    if kind != "run":
        return ((path / "model.safetensors").stat().st_mtime_ns,)
    run = runs.Run(path)
    return (run.finished, max((each.name for each in run.checkpoints.glob("step-*")), default=""))


def the_source(desk: TheDesk, generator: str) -> Source:
    """The generator that an address names. Answers 404 where there is none."""
    kind, path = sources(desk).get(generator, ("", None))
    if path is None:
        raise HTTPException(404, f"there is no generator {generator[:80]}")
    return path, _stamp(kind, path)


TheSource = Annotated[Source, Depends(the_source)]


async def _directions(desk: Desk, source: Source) -> Document:
    """The directions of a generator: found once, whoever asks, and kept."""
    task = desk.found.get(source)
    if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
        task = asyncio.create_task(desk.finder.call(computed.explore, "directions", source))
        desk.found[source] = task
        while len(desk.found) > KEPT:
            desk.found.popitem(last=False)
    document: Document = await asyncio.shield(task)
    return document


async def _vectors(desk: Desk, source: Source, points: list[Point], *, always: bool = False) -> bytes:
    """The directions' vectors, where points move along any."""
    if not always and not any(point.moves for point in points):
        return b""
    vectors: bytes = (await _directions(desk, source))["vectors"]
    return vectors


def _answer(content: bytes, kind: str = "image/png", name: str | None = None) -> Response:
    """A file; one with a name is for the disk."""
    headers = {"content-disposition": f'attachment; filename="{name}"'} if name else {}
    return Response(content, media_type=kind, headers=headers)


PNG: Any = {"response_class": Response, "responses": {200: {"content": {"image/png": {}}}}}


@router.get("")
async def listed(desk: TheDesk) -> list[Document]:
    """All generators that can be explored: runs with a checkpoint, exported folders beside them, pretrained ones."""
    found = await asyncio.to_thread(sources, desk)
    return [{"id": name, "kind": kind} for name, (kind, _) in found.items()]


@router.get("/{generator}")
async def about(source: TheSource, explorer: TheExplorer) -> Document:
    """What a generator can be asked for."""
    document: Document = await explorer.call(computed.explore, "about", source)
    return document


@router.get("/{generator}/directions")
async def directions(desk: TheDesk, source: TheSource) -> list[Document]:
    """Directions as `gansmith directions` finds them, attributes first: names, effects in grey levels, R² where known.

    Takes some seconds the first time.
    """
    found: list[Document] = (await _directions(desk, source))["directions"]
    return found


@router.get("/{generator}/wall.png", **PNG)
async def wall(
    source: TheSource,
    explorer: TheExplorer,
    seed: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    label: Annotated[int | None, Query(ge=0, lt=100_000)] = None,
    truncation: Annotated[float, Query(ge=0, le=2, allow_inf_nan=False)] = 1.0,
    scale: Annotated[int, Query(ge=1, le=8)] = 1,
) -> Response:
    """The first 48 images of a seed, 8 to a row, without gaps."""
    return _answer(await explorer.call(computed.explore, "wall", source, seed, label, truncation, scale))


@router.post("/{generator}/picture", **PNG)
async def picture(desk: TheDesk, source: TheSource, explorer: TheExplorer, shown: Shown) -> Response:
    """The image of a point."""
    given = await _vectors(desk, source, [shown.point])
    return _answer(
        await explorer.call(computed.explore, "picture", source, shown.point.model_dump(), given, shown.scale)
    )


@router.post("/{generator}/map", **PNG)
async def chart(desk: TheDesk, source: TheSource, explorer: TheExplorer, charted: Charted) -> Response:
    """7 x 7 images about a point: from -3 to 3 standard deviations along one direction across, along another up."""
    given = await _vectors(desk, source, [charted.point], always=True)
    count = len((await _directions(desk, source))["directions"])
    if max(charted.across, charted.up) >= count:
        raise HTTPException(422, f"this generator has {count} directions, counted from 0")
    point = charted.point.model_dump()
    return _answer(await explorer.call(computed.explore, "chart", source, point, given, charted.across, charted.up))


@router.post("/{generator}/film", **PNG)
async def film(desk: TheDesk, source: TheSource, finder: TheFinder, filmed: Filmed) -> Response:
    """A morph as `gansmith morph` makes it: its frames, 8 to a row, or an animation to keep."""
    given = await _vectors(desk, source, filmed.points)
    points = [point.model_dump() for point in filmed.points]
    made = await finder.call(computed.explore, "film", source, points, given, filmed.frames, filmed.loop, filmed.suffix)
    return _answer(made, f"image/{filmed.suffix}", None if filmed.suffix == "png" else f"morph.{filmed.suffix}")


@router.post("/{generator}/mix")
async def mix(desk: TheDesk, source: TheSource, explorer: TheExplorer, mixed: Mixed) -> Document:
    """The latent of a - b + c, as `gansmith mix` computes it, or of the middle of two points, and its condition."""
    given = await _vectors(desk, source, mixed.points)
    points = [point.model_dump() for point in mixed.points]
    document: Document = await explorer.call(computed.explore, "mix", source, points, given)
    return document


@router.post("/{generator}/latent")
async def latent(desk: TheDesk, source: TheSource, explorer: TheExplorer, shown: Shown) -> Document:
    """A point with all that was done to it as a latent and its condition."""
    given = await _vectors(desk, source, [shown.point])
    document: Document = await explorer.call(computed.explore, "latent_of", source, shown.point.model_dump(), given)
    return document


@router.post("/{generator}/point", response_class=Response)
async def point(desk: TheDesk, source: TheSource, explorer: TheExplorer, shown: Shown) -> Response:
    """A point as the .npz file that `gansmith morph`, `mix` and the others take."""
    given = await _vectors(desk, source, [shown.point])
    made = await explorer.call(computed.explore, "saved", source, shown.point.model_dump(), given)
    return _answer(made, "application/octet-stream", "point.npz")


@router.post("/{generator}/drawing")
async def invert(source: TheSource, finder: TheFinder, request: Request) -> Document:
    """The point whose image is nearest to a picture, the body of the request, as `gansmith invert` finds it.

    Takes seconds: {"latent", "condition", "error" in grey levels, "target": what was looked for}.
    """
    document: Document = await finder.call(computed.explore, "invert", source, await request.body())
    return document


@router.post("/{generator}/completion")
async def complete(source: TheSource, finder: TheFinder, torn: Torn) -> Document:
    """Several answers to the unknown part of a picture, as `gansmith complete` finds them, those that fit best first.

    Takes seconds: {"target", "answers": [{"latent", "condition", "error" in grey levels, "picture"}]}.
    """
    document: Document = await finder.call(computed.explore, "complete", source, torn.picture, torn.unknown, torn.count)
    return document
