"""What the pages ask for, a file a page; each has a `router`."""

from importlib import import_module

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

PAGES = ("about", "runs", "train", "game", "explore", "quiz", "judge")
"""The files of this folder that have a router, in the order in which their routes are described."""


class Body(BaseModel):
    """What a page sends; fields that nobody knows are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def routers() -> list[APIRouter]:
    """The router of each page."""
    return [import_module(f"{__name__}.{page}").router for page in PAGES]
