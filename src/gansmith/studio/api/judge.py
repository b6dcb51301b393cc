"""Judge: runs side by side, and the training images nearest to a sample."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from gansmith.errors import UserError
from gansmith.studio import computed, jobs, judging, live
from gansmith.studio.ids import TheClerk, TheDesk, TheRun, Writing, find_run

router = APIRouter(tags=["judge"])
MOST_RUNS = 6
Document = dict[str, Any]


@router.get("/api/compare")
async def compare(
    desk: TheDesk, clerk: TheClerk, run: Annotated[list[str], Query(min_length=1, max_length=MOST_RUNS)]
) -> Document:
    """Runs side by side: curves, sheets, what differs in their configuration, and which metrics differ beyond noise."""
    names = list(dict.fromkeys(run))
    found = [find_run(desk, name) for name in names]
    for name, each in zip(names, found, strict=True):
        if each is None:
            raise HTTPException(404, f"there is no run {name[:80]}")
    there = [each for each in found if each is not None]

    def read() -> Document:
        return {
            "runs": [
                {**seen, **judging.curves(each)} for seen, each in zip(live.statuses(desk, there), there, strict=True)
            ],
            "differences": judging.differences(there),
            "evaluations": [judging.evaluation(each) for each in there],
        }

    document = await asyncio.to_thread(read)
    if judging.evaluated(there):
        said = await clerk.call(computed.metrics, [each.path for each in there])
    else:
        said = await asyncio.to_thread(judging.metrics, there)
    return {**document, "metrics": said}


@router.post("/api/runs/{run_id}/evaluation", dependencies=[Writing], status_code=201)
async def evaluate(desk: TheDesk, run: TheRun) -> Document:
    """Evaluates a run as `gansmith evaluate` does, in a process of its own; takes a minute or a few."""
    if not any(run.checkpoints.glob("step-*")):
        raise UserError(f"{run.name} has no checkpoint yet; train it first")
    request = {"evaluate": str(run.path), "run": run.name, "name": run.data.name, "recipe": run.recipe_name}
    return (await asyncio.to_thread(jobs.start, desk, request)).to_dict()


@router.get("/api/runs/{run_id}/samples")
async def samples(run: TheRun, clerk: TheClerk, seed: Annotated[int, Query(ge=0, lt=2**53)] = 0) -> Document:
    """The first 24 images of a seed, 8 to a row, as base64 of a PNG."""
    return await clerk.call(computed.samples, run.path, seed)


@router.get("/api/runs/{run_id}/neighbours")
async def neighbours(
    run: TheRun,
    clerk: TheClerk,
    seed: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    index: Annotated[int, Query(ge=0, lt=1_000_000)] = 0,
) -> Document:
    """A sample beside the training images nearest to it by pixels, as `gansmith neighbours` finds them."""
    return await clerk.call(computed.neighbours, run.path, seed, index)
