"""Data sets: a name or a path -> uint8 images, decoded once into a memory-mapped cache."""

from gansmith.data.dataset import Batches, Dataset, from_arrays
from gansmith.data.inspection import Inspection, describe, inspect
from gansmith.data.loading import load, test_count
from gansmith.data.npz import read_arrays
from gansmith.data.sources import names
from gansmith.data.types import Fit, Problem, Split
from gansmith.files import cache_dir
from gansmith.progress import Progress

__all__ = [
    "Batches",
    "Dataset",
    "Fit",
    "Inspection",
    "Problem",
    "Progress",
    "Split",
    "cache_dir",
    "describe",
    "from_arrays",
    "inspect",
    "load",
    "names",
    "read_arrays",
    "test_count",
]
