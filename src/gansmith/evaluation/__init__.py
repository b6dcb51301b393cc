"""Evaluation: generated images, real images and a protocol -> figures with their floors, side by side if need be."""

from gansmith.evaluation.comparison import Comparison, compare
from gansmith.evaluation.pipeline import Measured, evaluate, measure
from gansmith.evaluation.report import Figure, Protocol, Report, Share, Subject

__all__ = [
    "Comparison",
    "Figure",
    "Measured",
    "Protocol",
    "Report",
    "Share",
    "Subject",
    "compare",
    "evaluate",
    "measure",
]
