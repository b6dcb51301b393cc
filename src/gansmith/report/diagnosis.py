"""The doctor's part of a report."""

from collections.abc import Sequence
from dataclasses import dataclass

from gansmith.doctor.examination import examine
from gansmith.doctor.findings import Finding
from gansmith.errors import UserError
from gansmith.report.pictures import Picture, embed
from gansmith.runs import Run


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor finds in a run's records."""

    verdict: str
    findings: Sequence[Finding]
    basis: str
    """What it rests on."""
    missing: Sequence[str]
    """What could not be examined."""
    picture: Picture | None


def read(run: Run) -> Diagnosis | None:
    """The diagnosis of a run; None where its folder is damaged or holds too little to examine."""
    try:
        found = examine(run, sheets=False)
    except UserError:
        return None
    if found.verdict in {"too early to say", "not known"} and not found.findings:
        return None
    now = ", ".join(finding.name for finding in found.findings if finding.until is None)
    if found.problems:
        verdict = f"Problems found: {now}."
    else:
        warnings = f"; warnings: {now}" if now else ""
        verdict = f"{found.verdict.capitalize()}: {found.conclusion.reason}{warnings}."
    picture = embed(run.path / "doctor.png", "Plots of the signals that were examined")
    return Diagnosis(verdict, found.findings, found.examined, found.not_examined, picture)
