"""Data sets: a name or a path -> uint8 images, decoded once into a memory-mapped cache."""

from gansmith.data.dataset import Batches, Dataset, from_arrays
from gansmith.data.inspection import Inspection, describe, inspect
from gansmith.data.loading import load, test_count
from gansmith.data.npz import read_arrays
from gansmith.data.sources import names
from gansmith.data.types import Fit, Problem, Split

__all__ = [
    "Batches",
    "Dataset",
    "Fit",
    "Inspection",
    "Problem",
    "Split",
    "describe",
    "from_arrays",
    "inspect",
    "load",
    "names",
    "read_arrays",
    "test_count",
]
