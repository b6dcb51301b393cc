"""`serve`: opens the port, says the address, and runs until Ctrl-C."""

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from gansmith.errors import UserError
from gansmith.processes import gentle_end
from gansmith.recipes import own

PORT = 8765
TRIES = 20
"""Ports that are tried, one after another, where none is given."""


def serve(
    out: str | Path = "runs",
    *,
    data: Sequence[str | Path] = (".",),
    host: str = "127.0.0.1",
    port: int | None = None,
    read_only: bool = False,
    recipes: str | Path | None = None,
    opened: Callable[[str], None] = print,
) -> None:
    """Serves the studio until it is interrupted.

    Args:
        out: the folder of runs: it shows these, and writes there alone.
        data: folders whose images may be chosen for training.
        host: the address to listen on; any other than 127.0.0.1 lets others in who have the token.
        port: the first free one from 8765, if not given; 0 for any.
        read_only: show alone: nothing can be started, stopped or uploaded.
        recipes: a file of recipes of your own, which is run here, in the processes that compute, and in trainings.
        opened: called with the URL, which holds the token, once it can be opened.

    Raises UserError, in one line, where the extra is missing, or the address cannot be listened on.
    """
    try:
        import uvicorn

        from gansmith.studio.app import build
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "gansmith":
            raise
        raise UserError(f"{error.name} is missing: pip install 'gansmith[studio]'") from None
    from gansmith.studio.desk import Desk

    if Path(out).exists() and not Path(out).is_dir():
        raise UserError(f"{out}: is no folder of runs; name one, or a new one")
    if port is not None and not 0 <= port <= 65535:
        raise UserError(f"`port` {port}: give 1 to 65535, or 0 for any")
    folders = tuple(Path(each).resolve() for each in data)
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"`data` {folder}: is no folder")
    if recipes is not None:
        own.load(recipes)
    listening = _listen(host, port)
    with listening:
        file = None if recipes is None else Path(recipes).expanduser().resolve()
        desk = Desk(Path(out).resolve(), folders, host, listening.getsockname()[1], read_only, file)
        opened(desk.url)
        config = uvicorn.Config(
            build(desk),
            log_level="warning",
            access_log=False,  # the token stands in a URL
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=1 << 20,
            timeout_graceful_shutdown=2,
        )
        with suppress(KeyboardInterrupt), gentle_end():  # uvicorn raises anew what it was ended by
            uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens. Raises UserError in one line where it cannot."""
    for number in [port] if port is not None else range(PORT, PORT + TRIES):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
            found = socket.socket(family, kind, protocol)  # asyncio sends without delay only where this says TCP
        except OSError as error:
            raise UserError(f"`host` {host}: cannot be listened on ({error}); leave it out") from None
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(address)
            found.listen(128)
            return found
        except OSError as error:
            found.close()
            reason = error.strerror
    raise UserError(f"`port` {port or PORT}: cannot be listened on ({reason}); give another one, or 0 for any")
