"""`gansmith studio`: the workshop as a page in the browser."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gansmith.cli.options import Recipes, Switch
from gansmith.cli.output import say


def studio(
    folder: Path = Path("runs"),
    /,
    *,
    data: Annotated[tuple[Path, ...], Parameter(name="--data", negative=(), show_default=False)] = (Path(),),
    host: str = "127.0.0.1",
    port: int | None = None,
    read_only: Switch = False,
    own: Recipes = None,
) -> None:
    """Open the workshop as a page in the browser: train, watch the two players, and judge runs.

    Prints an address with a token that nobody else knows; open it. Ctrl-C ends the page, and trainings go on.

    Args:
        folder: of runs; the page shows these, and writes there alone.
        data: a folder whose images may be chosen on the page; may be given several times; this one, if not given.
        host: address to listen on; any but 127.0.0.1 lets others in who have the token.
        port: 0 for any; the first free one from 8765 if not given.
        read_only: only show; nothing can be started, stopped or uploaded.
    """
    from gansmith.studio import serve

    serve(folder, data=data, host=host, port=port, read_only=read_only, recipes=own, opened=_opened)


def _opened(url: str) -> None:
    say(f"the studio is open at\n  {url}\nCtrl-C ends it; trainings go on")
