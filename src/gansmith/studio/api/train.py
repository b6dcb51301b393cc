"""Train: choose data and a recipe, see what it will cost, start, pause, resume, stop."""

import asyncio
import re
import secrets
from base64 import b64encode
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request
from pydantic import Field

from gansmith.errors import UserError
from gansmith.files import remove, writing
from gansmith.runs import Run
from gansmith.studio import choices, computed, jobs, live, security
from gansmith.studio.api import Body
from gansmith.studio.desk import Desk
from gansmith.studio.ids import TheClerk, TheDesk, ThePlanner, TheRun, Writing, find_run

router = APIRouter(tags=["train"])
UPLOADS = "/api/data/uploads"
MOST_BYTES = 512 << 20
"""Of an uploaded zip."""
MOST_UPLOADS = 50
security.ROOM[UPLOADS] = MOST_BYTES
Value = bool | int | float | str | list[float] | None
Document = dict[str, Any]


class Asked(Body):
    """A training, as a form asks for it."""

    data: str = Field("mnist", max_length=200, description="id of a data set of /api/data")
    recipe: str | None = Field("house", max_length=100, description="a name of /api/recipes")
    conditional: bool | str = Field(False, description="train on labels; a head may be named")
    options: dict[str, Value] = Field(
        default={}, max_length=50, description="steps, minutes, seed, and fields of the recipe by dotted names"
    )
    from_run: str | None = Field(None, max_length=200, description="the run whose networks it begins with")


class Further(Body):
    """How far a run goes on; to its planned end, if nothing is said."""

    steps: int | None = Field(None, ge=1, le=100_000_000)
    minutes: float | None = Field(None, gt=0, le=365 * 24 * 60)


@router.get("/api/recipes")
async def recipes() -> list[Document]:
    """The recipes, with what their networks hold."""
    return await asyncio.to_thread(choices.listed)


@router.get("/api/data")
async def data(desk: TheDesk) -> list[dict[str, str]]:
    """The data sets that can be chosen: shipped, uploaded, and in the folders that the studio was given."""

    def read() -> list[dict[str, str]]:
        found = [asdict(each) for each in choices.data(desk)]
        return [{name: each[name] for name in ("id", "name", "kind")} for each in found]

    return await asyncio.to_thread(read)


@router.get("/api/data/{data_id}")
async def preview(desk: TheDesk, clerk: TheClerk, data_id: str) -> Document:
    """What is in a data set, as `gansmith data --json` says it, and some of its images as the URL of a picture."""
    source = choices.chosen(desk, data_id).source
    found = await clerk.call(computed.preview, source)
    picture = found.pop("picture")
    url = None if picture is None else "data:image/png;base64," + b64encode(picture).decode()
    return {**found, "id": data_id, "picture": url}


@router.post(UPLOADS, dependencies=[Writing])
async def upload(
    desk: TheDesk, request: Request, x_name: Annotated[str, Header(max_length=200)] = "images.zip"
) -> dict[str, str]:
    """Takes a zip of images as the body of the request; its name in the header X-Name. Unpacks nothing."""
    folder = desk.own / "data"
    if folder.is_dir() and len(list(folder.iterdir())) >= MOST_UPLOADS:
        raise UserError(f"{MOST_UPLOADS} data sets were uploaded already; remove some from {folder}")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", x_name.rpartition("/")[2])[-60:].strip(".-") or "images"
    path = folder / secrets.token_hex(4) / f"{name.removesuffix('.zip')}.zip"
    try:
        with writing(path) as fresh, fresh.open("wb") as file:
            first = b""
            async for part in request.stream():
                if len(first) < 4:
                    first = (first + part)[:4]
                    if len(first) == 4 and first != b"PK\x03\x04":
                        raise UserError(f"{name}: is no zip; put the images into one")
                await asyncio.to_thread(file.write, part)
            if len(first) < 4:
                raise UserError(f"{name}: is empty; give a zip of images")
        await asyncio.to_thread(choices.check_zip, path, name)
        found = await desk.clerk.call(computed.preview, str(path))
        if not found["usable"]:
            raise UserError(f"{name}: too few images that can be used; {'; '.join(found['problems'][:2])}")
    except BaseException:
        remove(path.parent)
        raise
    return {"id": f"up-{path.parent.name}", "name": path.name, "kind": "uploaded"}


@router.post("/api/plan")
async def plan(desk: TheDesk, planner: ThePlanner, asked: Asked) -> Document:
    """What a training would do, take and probably reach, as `gansmith train --plan --json` says it, and its layers."""
    return await planner.call(computed.plan, _request(desk, asked))


@router.post("/api/trainings", dependencies=[Writing], status_code=201)
async def start(desk: TheDesk, asked: Asked) -> Document:
    """Starts a training in a process of its own; its run is named once its folder is there."""
    request = _request(desk, asked)
    await asyncio.to_thread(computed.check, request)
    return (await asyncio.to_thread(jobs.start, desk, request)).to_dict()


@router.get("/api/trainings")
async def trainings(desk: TheDesk) -> list[Document]:
    """The newest trainings that were started here, and how they go."""
    return await asyncio.to_thread(lambda: [job.to_dict() for job in list(jobs.every(desk))[:10]])


@router.get("/api/trainings/{job_id}")
async def training(desk: TheDesk, job_id: str) -> Document:
    """How one of them goes."""
    return (await asyncio.to_thread(_job, desk, job_id)).to_dict()


@router.delete("/api/trainings/{job_id}", dependencies=[Writing])
async def cancel(desk: TheDesk, job_id: str) -> Document:
    """Ends a training before it has a run."""
    job = _job(desk, job_id)
    job.ask("stop")
    return job.to_dict()


@router.get("/api/runs/{run_id}/request")
async def again(desk: TheDesk, run: TheRun) -> Document:
    """What to ask /api/trainings for to train the same again."""
    return await asyncio.to_thread(choices.again, desk, run)


@router.post("/api/runs/{run_id}/resume", dependencies=[Writing], status_code=201)
async def resume(desk: TheDesk, run: TheRun, further: Further) -> Document:
    """Goes on with a run, to its planned end or to a new one."""
    job = jobs.of_run(desk, run.name)
    if live.state(run, job) == "elsewhere":
        raise UserError(f"{run.name} is trained by another program; wait for its end")
    options = further.model_dump(exclude_none=True)
    about = {"run": run.name, "name": run.data.name, "recipe": run.recipe_name}
    request = {**about, "resume": str(run.path), "out": str(desk.out), "options": options}
    return (await asyncio.to_thread(jobs.start, desk, request)).to_dict()


@router.post("/api/runs/{run_id}/pause", dependencies=[Writing])
async def pause(desk: TheDesk, run: TheRun) -> Document:
    """The training saves and ends, as after Ctrl-C; it can be resumed."""
    return await asyncio.to_thread(_interrupt, desk, run, "pause")


@router.post("/api/runs/{run_id}/stop", dependencies=[Writing])
async def stop(desk: TheDesk, run: TheRun) -> Document:
    """As pause, but meant for good; it can be resumed all the same."""
    return await asyncio.to_thread(_interrupt, desk, run, "stop")


def _interrupt(desk: Desk, run: Run, word: str) -> Document:
    """Asks a run's training to end. Raises UserError where none of ours runs."""
    job = jobs.of_run(desk, run.name)
    if job is None or not job.alive:
        if live.state(run, job) == "elsewhere":
            raise UserError(f"{run.name} is trained by another program; press Ctrl-C there")
        raise UserError(f"{run.name} is not being trained")
    job.ask(word)
    return live.status(run, job)


def _job(desk: Desk, job_id: str) -> jobs.Job:
    job = jobs.find(desk, job_id)
    if job is None:
        raise HTTPException(404, "there is no such training")
    return job


def _request(desk: Desk, asked: Asked) -> dict[str, Any]:
    """What a job is asked for, with the data's source in the place of their id; UserError for what is unknown."""
    choice = choices.chosen(desk, asked.data)
    options, overrides = choices.changes(asked.options)
    begin = None
    if asked.from_run is not None:
        begin = find_run(desk, asked.from_run)
        if begin is None:
            raise UserError(f"there is no run {asked.from_run[:80]} to begin with")
    return {
        "data": choice.source,
        "name": choice.name,
        "recipe": asked.recipe,
        "conditional": asked.conditional,
        "from": None if begin is None else str(begin.path),
        "options": options,
        "overrides": overrides,
        "out": str(desk.out),
    }
