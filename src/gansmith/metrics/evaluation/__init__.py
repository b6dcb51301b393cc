"""Evaluation: generated images, real images and a protocol -> figures with their floors, side by side if need be."""

from gansmith.figures import Figure, Protocol, Report, Share, Subject
from gansmith.metrics.evaluation.comparison import Comparison, compare
from gansmith.metrics.evaluation.evaluating import Measured, evaluate, measure, save

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
    "save",
]
