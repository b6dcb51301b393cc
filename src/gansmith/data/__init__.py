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

_HOMES = {
    "Batches": "gansmith.data.dataset",
    "Dataset": "gansmith.data.dataset",
    "Fit": "gansmith.data.types",
    "Images": "gansmith.data.types",
    "Inspection": "gansmith.data.inspection",
    "Problem": "gansmith.data.types",
    "Progress": "gansmith.progress",
    "Split": "gansmith.data.types",
    "cache_dir": "gansmith.files",
    "describe": "gansmith.data.inspection",
    "from_arrays": "gansmith.data.dataset",
    "inspect": "gansmith.data.inspection",
    "load": "gansmith.data.loading",
    "names": "gansmith.data.naming",
    "read_arrays": "gansmith.data.npz",
    "shard": "gansmith.data.sharding",
    "test_count": "gansmith.data.loading",
}

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
