"""Runs: the list, one run as it goes, its pictures, its report, and what the doctor says of it."""

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse
from starlette.websockets import WebSocketState

from gansmith import runs
from gansmith.studio import computed, live
from gansmith.studio.desk import Desk
from gansmith.studio.ids import TheClerk, TheDesk, TheRun, find_run

router = APIRouter(tags=["runs"])
PERIOD = 0.4
"""Seconds between two looks at a run that a page watches."""
REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts"
)
"""A report is one file with its own style and script, whose own policy allows these by their hashes; here it gets no
origin, and so cannot speak to the studio."""
Document = dict[str, Any]


@router.get("/api/runs")
async def listed(desk: TheDesk) -> list[Document]:
    """All runs, as `gansmith runs --json` says them, with the state of their training."""

    def read() -> list[Document]:
        return live.statuses(desk, runs.every(desk.out))

    return await asyncio.to_thread(read)


@router.get("/api/runs/{run_id}")
async def one(desk: TheDesk, run: TheRun) -> Document:
    """A run at a glance."""
    return (await asyncio.to_thread(live.statuses, desk, [run]))[0]


@router.get("/api/runs/{run_id}/findings")
async def findings(clerk: TheClerk, run: TheRun) -> Document:
    """What the doctor says, as `gansmith doctor --json` does, and what each remedy would change in a form."""
    return await clerk.call(computed.findings, run.path)


@router.get("/api/runs/{run_id}/sheets/{step}.png", response_class=FileResponse)
async def sheet(run: TheRun, step: int) -> FileResponse:
    """The sheet of the fixed noise at a step."""
    found = dict(run.sheets()).get(step)
    if found is None:
        raise HTTPException(404, f"{run.name} has no sheet of step {step}")
    return _file(found)


@router.get("/api/runs/{run_id}/pictures/{name}", response_class=FileResponse)
async def picture(run: TheRun, name: str) -> FileResponse:
    """One of the pictures that a run leaves, such as sheet.png or samples.webp."""
    path = next((run.path / each for each in live.PICTURES if each == name), None)
    if path is None or not path.is_file():
        raise HTTPException(404, f"{run.name} has no picture of this name")
    return _file(path)


@router.get("/api/runs/{run_id}/report", response_class=FileResponse)
async def report(run: TheRun) -> FileResponse:
    """The run's report: one page that loads nothing."""
    path = run.path / "report.html"
    if not path.is_file():
        raise HTTPException(404, f"{run.name} has no report yet; it is written when training ends")
    return FileResponse(path, media_type="text/html", headers={"content-security-policy": REPORT_POLICY})


def _file(path: Path) -> FileResponse:
    return FileResponse(path, headers={"cache-control": "private, max-age=5"})


@router.websocket("/api/runs/{run_id}/live")
async def watch(socket: WebSocket, run_id: str) -> None:
    """Messages about a run as it goes: "status", "rows" of a log, "sheets". The first ones tell all there is."""
    desk: Desk = socket.app.state.desk
    run = find_run(desk, run_id)
    await socket.accept()
    if run is None:
        await socket.close(4404, "there is no such run")
        return
    view = live.View(desk, run)
    gone = asyncio.create_task(_until_closed(socket))
    try:
        while not gone.done() and run.path.exists():
            for message in await asyncio.to_thread(lambda: list(view.news())):
                await socket.send_json(message)  # waits for a slow reader, who alone waits
            await asyncio.wait({gone}, timeout=PERIOD)
    except (WebSocketDisconnect, RuntimeError):  # it left while it was told something
        pass
    finally:
        gone.cancel()
    if socket.application_state is not WebSocketState.DISCONNECTED and not run.path.exists():
        await socket.close(4404, "the run was removed")


async def _until_closed(socket: WebSocket) -> None:
    """Returns when the page has left; what it says meanwhile is not listened to."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
