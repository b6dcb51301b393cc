"""Trackers: observers that pass a training's numbers and sheets on to TensorBoard, Weights & Biases and others."""

from gansmith.trackers.adapter import About, Adapter, Track
from gansmith.trackers.tracking import NAMES, Tracker, chosen, tracked

__all__ = ["NAMES", "About", "Adapter", "Track", "Tracker", "chosen", "tracked"]
