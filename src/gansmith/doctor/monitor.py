"""Monitor: the doctor beside a training, an observer that reports what appears and what is over."""

from collections.abc import Callable

from gansmith.doctor.examination import facts_of
from gansmith.doctor.findings import Facts, Finding
from gansmith.doctor.rules import findings
from gansmith.doctor.table import Row, tabulate
from gansmith.runs import Run, rows
from gansmith.training.events import Event, Measured, Progress


class Monitor:
    """Collects a training's rows and diagnoses them whenever there are new signals.

    Args:
        report: called with each finding when it appears, becomes a problem, or is over (its `until` is set then).
    """

    def __init__(self, report: Callable[[Finding], None]) -> None:
        self.report = report
        self.active: dict[str, Finding] = {}
        self._facts: Facts | None = None
        self._rows: dict[str, list[Row]] = {"metrics": [], "signals": [], "quality": []}

    def begin(self, run: Run) -> None:
        """Takes over a run, with the rows of one that goes on."""
        self._facts = facts_of(run)
        self._rows = {kind: list(rows(run.path / f"{kind}.jsonl")) for kind in self._rows}

    def __call__(self, event: Event) -> None:
        """Receives an event of the training loop."""
        if isinstance(event, Progress):
            if event.metrics is not None:
                self._rows["metrics"].append({"step": event.step, **event.metrics})
        elif isinstance(event, Measured) and event.kind in self._rows:
            self._rows[event.kind].append({"step": event.step, **event.values})
            count = len(self._rows["signals"])
            if event.kind == "signals" and count % max(1, count // 30) == 0:  # so that it stays cheap in a long run
                self._diagnose()

    def _diagnose(self) -> None:
        assert self._facts is not None, "begin was not called"
        found = {finding.name: finding for finding in findings(tabulate(**self._rows), self._facts)}
        for name, finding in found.items():
            before = self.active.get(name)
            if finding.until is None and (before is None or (finding.is_problem and not before.is_problem)):
                self.report(finding)
            if finding.until is not None and before is not None:
                self.report(finding)
        self.active = {name: finding for name, finding in found.items() if finding.until is None}
