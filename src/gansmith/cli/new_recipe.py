"""`gansmith new-recipe`: a commented file of a recipe of one's own, to start from."""

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gansmith.cli.options import Json, check_folder
from gansmith.cli.output import program, show
from gansmith.errors import UserError


def new_recipe(
    name: str, /, *, out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None, json: Json = False
) -> None:
    """Write a commented Python file of a recipe of your own: two networks and a loss, which train as they are.

    Args:
        name: of the recipe: small letters, digits and hyphens.
        out: the file to write; NAME.py if not given.
    """
    from gansmith.files import write_text
    from gansmith.recipes import own

    own.check_name("name", name)
    path = Path(f"{name.replace('-', '_')}.py") if out is None else out
    if path.suffix != ".py":
        raise UserError(f"--out {path}: name a .py file")
    if path.exists():
        raise UserError(f"{path}: is there already; name another file with --out")
    check_folder(path, "--out")
    write_text(path, own.START.read_text("utf-8").replace("NAME", name))
    command = f"{program()} train mnist --recipes {shlex.quote(str(path))} --recipe {name} --minutes 2"
    show({"path": path, "next": command}, f"{path}: edit it, and train it\n  {command}", json=json)
