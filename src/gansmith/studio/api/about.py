"""What every page needs to know of the studio itself."""

from fastapi import APIRouter
from pydantic import BaseModel

from gansmith._version import __version__
from gansmith.studio import worker
from gansmith.studio.ids import TheDesk

router = APIRouter(tags=["studio"])


class About(BaseModel):
    """What this studio is."""

    version: str
    read_only: bool
    runs: str
    """The name of its folder of runs."""


@router.get("/api/about")
async def about(desk: TheDesk) -> About:
    """Which studio this is, and whether it only shows."""
    return About(version=__version__, read_only=desk.read_only, runs=desk.out.name)


@router.get("/api/about/ready")
async def ready(desk: TheDesk) -> bool:
    """Answers once the process that computes is there; pages ask early, so that nobody waits later."""
    if not desk.clerk.warm:
        await desk.clerk.call(worker.warm)
    return True
