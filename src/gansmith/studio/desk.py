"""What one studio is: its folders, its token, what it allows, and the processes that compute for it."""

import secrets
import socket
from asyncio import Task
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gansmith.studio.rooms import Rooms
from gansmith.studio.worker import Worker

LOCAL = ("127.0.0.1", "localhost", "[::1]")
EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True, eq=False)
class Desk:
    """One studio. All routes find it as ``request.app.state.desk``."""

    out: Path
    """The folder of runs, the only one that is written to."""
    data: tuple[Path, ...] = ()
    """Folders in which data may be chosen."""
    host: str = "127.0.0.1"
    port: int = 8765
    read_only: bool = False
    recipes: Path | None = None
    """A file of recipes of one's own, which its processes run."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """In the URL that is printed."""
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """In the cookie that the token is exchanged for."""

    @property
    def url(self) -> str:
        """The address to open, with the token."""
        host = "127.0.0.1" if self.host in EVERYWHERE else f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/?token={self.token}"

    @cached_property
    def hosts(self) -> frozenset[str]:
        """What a Host header may say: names and addresses of this machine that the studio listens on."""
        names = set(LOCAL)
        if self.host not in LOCAL:
            names.add(f"[{self.host}]" if ":" in self.host else self.host)
        if self.host in EVERYWHERE:
            names |= {socket.gethostname().lower(), *_addresses()}
        return frozenset(names) | {f"{name}:{self.port}" for name in names}

    @property
    def cookie(self) -> str:
        """The cookie's name: of this port, for browsers keep cookies of all ports of a host together."""
        return f"gansmith-studio-{self.port}"

    @property
    def own(self) -> Path:
        """Where the studio keeps what belongs to no run: jobs and uploads."""
        return self.out / ".studio"

    @cached_property
    def clerk(self) -> Worker:
        """The process that answers soon: looks into data, examines runs, makes samples."""
        return Worker("clerk", recipes=self.recipes)

    @cached_property
    def planner(self) -> Worker:
        """The process that plans trainings, which takes seconds where data are new."""
        return Worker("planner", recipes=self.recipes)

    @cached_property
    def game(self) -> Worker:
        """The process that plays the game step by step."""
        return Worker("game", recipes=self.recipes)

    @cached_property
    def rooms(self) -> Rooms:
        """The rounds of the quiz that are played."""
        return Rooms()

    @cached_property
    def explorer(self) -> Worker:
        """The process that makes the pictures of Explore, each in a few milliseconds: many may wait."""
        return Worker("explorer", most=128, recipes=self.recipes)

    @cached_property
    def finder(self) -> Worker:
        """The process that searches latent space for seconds: directions, and the noise of a drawing."""
        return Worker("finder", recipes=self.recipes)

    @cached_property
    def found(self) -> "OrderedDict[object, Task[dict[str, Any]]]":
        """The directions of the last few generators, for all visitors."""
        return OrderedDict()

    def close(self) -> None:
        """Ends its processes; trainings are not among them, and go on."""
        for name in ("clerk", "planner", "game", "explorer", "finder"):
            if name in self.__dict__:
                self.__dict__[name].close()


def _addresses() -> set[str]:
    """The addresses under which others reach this machine, as a URL says them."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)}
    except OSError:
        return set()
    return {f"[{address}]" if ":" in address else address for address in found}
