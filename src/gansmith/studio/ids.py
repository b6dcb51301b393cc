"""Ids of the pages: each is looked up in a list of what there is, and never becomes part of a path."""

import asyncio
import os
from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar

from fastapi import Depends, HTTPException, Request

from gansmith.runs import Run
from gansmith.studio.desk import Desk
from gansmith.studio.worker import Worker


def the_desk(request: Request) -> Desk:
    """The studio that a request came to."""
    desk: Desk = request.app.state.desk
    return desk


def find_run(desk: Desk, run_id: str) -> Run | None:
    """The run of this name in the studio's folder; None where there is none."""
    try:
        there = os.listdir(desk.out)  # noqa: PTH208  (names alone)
    except OSError:
        return None
    run = Run(desk.out / run_id) if run_id in there else None
    return run if run and not run.path.is_symlink() and (run.path / "run.json").is_file() else None


def the_run(run_id: str, request: Request) -> Run:
    """The run that an address names. Answers 404 where there is none."""
    run = find_run(the_desk(request), run_id)
    if run is None:
        raise HTTPException(404, f"there is no run {run_id[:80]}")
    return run


T = TypeVar("T")
P = ParamSpec("P")
LOOK = 0.3
"""Seconds between two looks whether a page still waits."""


class Caller:
    """Calls of a worker on behalf of a page: one that left takes its calls out of the queue."""

    def __init__(self, worker: Worker, request: Request) -> None:
        self._worker, self._request = worker, request

    async def call(self, function: Callable[P, T], /, *args: P.args, **keywords: P.kwargs) -> T:
        """As :meth:`gansmith.studio.worker.Worker.call`; answers 499, to nobody, where the page has left."""
        task = asyncio.ensure_future(self._worker.call(function, *args, **keywords))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=LOOK)
                if not task.done() and await self._request.is_disconnected():
                    raise HTTPException(499, "the page has left")
            return task.result()
        finally:
            task.cancel()


def the_clerk(request: Request) -> Caller:
    """The process that answers soon."""
    return Caller(the_desk(request).clerk, request)


def the_planner(request: Request) -> Caller:
    """The process that plans trainings."""
    return Caller(the_desk(request).planner, request)


def the_dealer(request: Request) -> Caller:
    """The process that plays the game."""
    return Caller(the_desk(request).game, request)


def the_explorer(request: Request) -> Caller:
    """The process that makes the pictures of Explore."""
    return Caller(the_desk(request).explorer, request)


def the_finder(request: Request) -> Caller:
    """The process that searches latent space for seconds."""
    return Caller(the_desk(request).finder, request)


def may_write(request: Request) -> None:
    """Refuses where the studio only shows. Every route that writes or starts anything depends on it."""
    if the_desk(request).read_only:
        raise HTTPException(403, "this studio only shows: it was started with --read-only")


TheDesk = Annotated[Desk, Depends(the_desk)]
TheClerk = Annotated[Caller, Depends(the_clerk)]
ThePlanner = Annotated[Caller, Depends(the_planner)]
TheDealer = Annotated[Caller, Depends(the_dealer)]
TheExplorer = Annotated[Caller, Depends(the_explorer)]
TheFinder = Annotated[Caller, Depends(the_finder)]
TheRun = Annotated[Run, Depends(the_run)]
Writing = Depends(may_write)
"""For `dependencies=[Writing]` of a route."""
