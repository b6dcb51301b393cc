"""`gansmith doctor`: says what is wrong with a run, on what evidence and what to try, while training and afterwards."""

import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansmith.cli.options import Json, Recipes, Run, Switch
from gansmith.cli.output import show

if TYPE_CHECKING:
    from gansmith.recipe import RecipeFile

INDENT = "   "


def doctor(run: Run, /, *, strict: Switch = False, own: Recipes = None, json: Json = False) -> int:
    """Say what is wrong with a run: on what evidence, why, and what to try.

    Reads the run's metrics and signals (for a run that has none, its sheets), also while it trains, and draws
    doctor.png. It proposes; it changes nothing.

    Args:
        strict: end with exit code 3 when problems are found.
    """
    from gansmith.doctor.examination import examine
    from gansmith.doctor.plot import draw

    found = examine(run)
    picture = draw(found)
    found.note()
    show(summary(found, picture), told(found, picture), json=json)
    return 3 if strict and found.problems else 0


def summary(found: Any, picture: Path | None) -> dict[str, Any]:
    """An examination as a document."""
    return {
        "run": found.run.path,
        "state": found.run.state,
        "verdict": found.verdict,
        "reason": found.conclusion.reason,
        "quality": None if found.quality is None else found.quality.to_dict(),
        "findings": [finding.to_dict() for finding in found.findings],
        "looked_at": found.examined,
        "not_looked_at": list(found.not_examined),
        "picture": picture,
    }


def told(found: Any, picture: Path | None) -> str:
    """An examination in words."""
    reason = found.conclusion.reason
    lines = [
        f"{found.run.path}: {found.verdict}"
        + (f" ({reason})" if found.problems else f"\n{INDENT}why            {reason}")
    ]
    if found.quality is not None and found.quality.sentence not in reason:
        lines.append(f"{INDENT}quality        {found.quality.sentence}")
    lines.append(f"{INDENT}looked at      {found.examined}")
    lines += [f"{INDENT}not looked at  {what}" for what in found.not_examined]
    for finding in found.findings:
        lines += [
            f"\n{finding.severity}: {finding.name}, {finding.when}",
            f"{INDENT}{finding.what}",
            f"{INDENT}evidence  {finding.evidence}",
            f"{INDENT}cause     {finding.cause}",
        ]
        if finding.follows:
            lines.append(f"{INDENT}follows   {', '.join(finding.follows)}")
        if finding.until is None:
            lines.append(f"{INDENT}try       {finding.remedy}")
    if any(finding.until is None for finding in found.findings):
        lines.append(f"\nto try something, train anew with it: gansmith train {again(found.run)} ...")
    if picture is not None:
        lines.append(f"\npicture: {picture}")
    return "\n".join(lines)


def again(run: Any) -> str:
    """The data and recipe of a run, as `gansmith train` takes them."""
    return f"{shlex.quote(run.data.source)} --recipe {run.recipe.name}{needed(run)}"


def needed(run: Any) -> str:
    """The flag that names the file of the user's own that a run's recipe is defined in; empty for other recipes."""
    return flag_of(run.settings.recipes)


def flag_of(files: "Iterable[RecipeFile]") -> str:
    """The flag that names the first of these files; empty where none is needed, as for those of packages."""
    paths = [file.path for file in files if file.path and not file.package]
    if not paths:
        return ""
    near = os.path.relpath(paths[0])
    return f" --recipes {shlex.quote(paths[0] if near.startswith('..') else near)}"
