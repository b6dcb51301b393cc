"""The doctor's part of a report: verdict and findings as HTML."""

from html import escape

from gansmith.doctor.examination import examine
from gansmith.doctor.findings import Finding
from gansmith.errors import UserError
from gansmith.runs import Run


def page_of_findings(run: Run) -> str:
    """HTML of what the doctor says of a run from its rows; empty where there is nothing to judge by."""
    try:
        found = examine(run, sheets=False)
    except (UserError, TypeError, KeyError):  # a damaged run still gets the rest of its report
        return ""
    if not found.judged and not found.findings:
        return ""
    missing = "".join(f" Not looked at: {escape(what)}." for what in found.not_looked_at)
    about = f'<p class="quiet">Looked at: {escape(found.told)}.{missing}</p>'
    verdict = {"ill": "This run is ill.", "healthy": "Nothing serious found."}.get(found.verdict, "Too short to say.")
    return "\n".join([f"<p><b>{verdict}</b></p>", *map(_finding, found.findings), about])


def _finding(finding: Finding) -> str:
    rows = {"evidence": finding.evidence, "likely cause": finding.cause}
    if finding.follows:
        rows["follows from it"] = ", ".join(finding.follows)
    told = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>\n" for name, text in rows.items())
    if finding.until is None:
        told += f"<dt>to try</dt><dd><code>{escape(finding.remedy)}</code></dd>\n"
    return (
        f"<h3>{finding.severity}: {escape(finding.name)}, {finding.when}</h3>\n<p>{escape(finding.what)}</p>\n"
        f'<dl class="facts">\n{told}</dl>'
    )
