"""Data sets: a name, a path or images -> uint8 images, decoded once into a memory-mapped cache.

What is asked for is imported when it is asked for: a mistyped name is refused before NumPy is there.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gansmith.data.dataset import Batches, Dataset, from_arrays
    from gansmith.data.inspection import Inspection, describe, inspect
    from gansmith.data.loading import load, test_count
    from gansmith.data.naming import names
    from gansmith.data.npz import read_arrays
    from gansmith.data.sharding import shard
    from gansmith.data.types import Fit, Images, Problem, Split
    from gansmith.files import cache_dir
    from gansmith.progress import Progress

_NAMES = {
    "gansmith.data.dataset": "Batches Dataset from_arrays",
    "gansmith.data.inspection": "Inspection describe inspect",
    "gansmith.data.loading": "load test_count",
    "gansmith.data.naming": "names",
    "gansmith.data.npz": "read_arrays",
    "gansmith.data.sharding": "shard",
    "gansmith.data.types": "Fit Images Problem Split",
    "gansmith.files": "cache_dir",
    "gansmith.progress": "Progress",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "Batches",
    "Dataset",
    "Fit",
    "Images",
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
    "shard",
    "test_count",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gansmith.data' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
