"""The doctor: a run's numbers -> what is wrong with it, on what evidence, why, and one remedy. It proposes only."""

from gansmith.doctor.findings import Facts, Finding
from gansmith.doctor.monitor import Monitor
from gansmith.doctor.rules import RULES, findings
from gansmith.doctor.table import SignalTable, tabulate

__all__ = ["RULES", "Facts", "Finding", "Monitor", "SignalTable", "findings", "tabulate"]
