"""Watch: the doctor beside a training, an observer that says what appears and what is over."""

from collections.abc import Callable

from gansmith.doctor.examination import facts_of
from gansmith.doctor.findings import Facts, Finding
from gansmith.doctor.rules import findings
from gansmith.doctor.table import Row, looks
from gansmith.runs import Run, rows
from gansmith.training.events import Event, Measured, Progress


class Watch:
    """Keeps a training's rows and looks through them whenever there are new signals.

    Args:
        tell: told each finding when it appears, gets worse, or is over (`until` says so).
    """

    def __init__(self, tell: Callable[[Finding], None]) -> None:
        self.tell = tell
        self.active: dict[str, Finding] = {}
        self._facts: Facts | None = None
        self._metrics: list[Row] = []
        self._rows: dict[str, list[Row]] = {"signals": [], "quality": []}

    def begin(self, run: Run) -> None:
        """Learns what run it is, and takes over the rows of one that goes on."""
        self._facts = facts_of(run)
        self._metrics = list(run.metrics())
        self._rows = {kind: list(rows(run.path / f"{kind}.jsonl")) for kind in self._rows}

    def __call__(self, event: Event) -> None:
        """Receives an event of the training loop."""
        if isinstance(event, Progress):
            if event.metrics is not None:
                self._metrics.append({"step": event.step, **event.metrics})
        elif isinstance(event, Measured) and event.kind in self._rows:
            self._rows[event.kind].append({"step": event.step, **event.values})
            count = len(self._rows["signals"])
            if event.kind == "signals" and count % max(1, count // 30) == 0:  # so that it stays cheap in a long run
                self._look()

    def _look(self) -> None:
        assert self._facts is not None, "begin was not called"
        table = looks(self._metrics, self._rows["signals"], self._rows["quality"])
        found = {finding.name: finding for finding in findings(table, self._facts)}
        for name, finding in found.items():
            before = self.active.get(name)
            if finding.until is None and (before is None or (finding.ill and not before.ill)):
                self.tell(finding)
            if finding.until is not None and before is not None:
                self.tell(finding)
        self.active = {name: finding for name, finding in found.items() if finding.until is None}
