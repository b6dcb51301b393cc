"""Ids of the pages: each is looked up in a list of what there is, and never becomes part of a path."""

import os
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from gansmith.runs import Run
from gansmith.studio.desk import Desk


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


def may_write(request: Request) -> None:
    """Refuses where the studio only shows. Every route that writes or starts anything depends on it."""
    if the_desk(request).read_only:
        raise HTTPException(403, "this studio only shows: it was started with --read-only")


TheDesk = Annotated[Desk, Depends(the_desk)]
TheRun = Annotated[Run, Depends(the_run)]
Writing = Depends(may_write)
"""For `dependencies=[Writing]` of a route."""

__all__ = ["TheDesk", "TheRun", "Writing", "find_run", "may_write", "the_desk", "the_run"]
