"""The studio's application: routes, errors in words, static files."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException

from gansmith._version import __version__
from gansmith.errors import UserError
from gansmith.studio import api, wording
from gansmith.studio.desk import Desk
from gansmith.studio.security import Guard
from gansmith.studio.worker import BusyError, DiedError

STATIC = Path(__file__).parent / "static"
log = logging.getLogger("gansmith.studio")


def build(desk: Desk) -> FastAPI:
    """The application of a studio."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    app = FastAPI(
        title="gansmith studio",
        version=__version__,
        description="What the pages of `gansmith studio` ask for. Send the printed token as `Authorization: Bearer`.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # these load scripts from elsewhere
        redoc_url=None,
        lifespan=life,
    )
    app.state.desk = desk
    for router in api.routers():
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _pages(app)
    _errors(app)
    app.add_middleware(Guard, desk=desk)
    return app


def _pages(app: FastAPI) -> None:
    """Every other address is the one page, which reads from the address what to show."""

    @app.get("/{page:path}", include_in_schema=False)
    async def index(page: str) -> FileResponse:
        if page.startswith("api/"):
            raise HTTPException(404, "there is no such part of the API; /api/openapi.json lists them")
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})


def _errors(app: FastAPI) -> None:
    """Each error as {"error": a sentence}."""

    @app.exception_handler(UserError)
    async def mendable(request: Request, error: UserError) -> JSONResponse:
        return _said(422, str(error))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return _said(422, f"{where}: {first['msg']}")

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, error: StarletteHTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)

    @app.exception_handler(BusyError)
    async def busy(request: Request, error: BusyError) -> JSONResponse:
        return _said(503, "the studio has its hands full; try again in a moment")

    @app.exception_handler(DiedError)
    async def died(request: Request, error: DiedError) -> JSONResponse:
        return _said(503, "the process that computed this was killed; another one is there, try again")

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> JSONResponse:
        log.exception("%s %s", request.method, request.url.path)
        return _said(500, "this is a bug in the studio; the terminal says more")


def _said(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": wording.on_pages(sentence)}, status)
