"""`gansmith doctor`: says what is wrong with a run, on what evidence and what to try, while training and afterwards."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gansmith.cli.output import document, say

__all__ = ["doctor"]

Switch = Annotated[bool, Parameter(negative=(), show_default=False)]
INDENT = "   "


def doctor(run: str, /, *, strict: Switch = False, json: Switch = False) -> int:
    """Say what is wrong with a run: on what evidence, why, and what to try.

    Reads the run's metrics and signals (for a run that has none, its sheets), also while it trains, and draws
    doctor.png. It proposes; it changes nothing.

    Args:
        run: a run's folder, its name under runs/, or last.
        strict: end with exit code 3 when the run is ill.
        json: print one JSON document.
    """
    from gansmith.doctor.examination import examine
    from gansmith.doctor.plot import draw

    found = examine(run)
    picture = draw(found)
    if json:
        document(summary(found, picture))
    else:
        say(told(found, picture))
    return 3 if strict and found.ill else 0


def summary(found: Any, picture: Path | None) -> dict[str, Any]:
    """An examination as a document."""
    return {
        "run": found.run.path,
        "state": found.run.state,
        "verdict": found.verdict,
        "findings": [finding.to_dict() for finding in found.findings],
        "looked_at": found.told,
        "not_looked_at": list(found.not_looked_at),
        "picture": picture,
    }


def told(found: Any, picture: Path | None) -> str:
    """An examination in words."""
    names = [finding.name for finding in found.findings if finding.ill]
    lines = [f"{found.run.path}: {found.verdict}" + (f" ({', '.join(names)})" if names else "")]
    if not found.judged:
        lines.append(f"{INDENT}too short to say: nothing counts before step {found.facts.warm_up:,.0f}, then 3 looks")
    lines.append(f"{INDENT}looked at      {found.told}")
    lines += [f"{INDENT}not looked at  {what}" for what in found.not_looked_at]
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
    import shlex

    return f"{shlex.quote(run.data.source)} --recipe {run.recipe.name}"
