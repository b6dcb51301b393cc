"""gansmith: learn to forge images from a small data set, and see honestly how good the forgeries are.

>>> import gansmith as gs
>>> run = gs.train("mnist", recipe="mlp", steps=2000)
>>> gs.load(run).sample(64, seed=0).save("sheet.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gansmith import data, latent, recipes
    from gansmith.doctor.examination import Examination, examine
    from gansmith.evaluation import compare, evaluate
    from gansmith.evaluation.report import Report
    from gansmith.forge import load, resume, train
    from gansmith.generator import Generator, Samples
    from gansmith.recipe import Network, Noise, Optimizer, Recipe
    from gansmith.runs import Run

__version__ = "0.1.0"

_HOMES = {
    "Examination": "gansmith.doctor.examination",
    "Generator": "gansmith.generator",
    "Network": "gansmith.recipe",
    "Noise": "gansmith.recipe",
    "Optimizer": "gansmith.recipe",
    "Recipe": "gansmith.recipe",
    "Report": "gansmith.evaluation.report",
    "Run": "gansmith.runs.run",
    "Samples": "gansmith.generator",
    "compare": "gansmith.evaluation",
    "evaluate": "gansmith.evaluation",
    "examine": "gansmith.doctor.examination",
    "load": "gansmith.forge",
    "resume": "gansmith.forge",
    "train": "gansmith.forge",
}
_MODULES = ("data", "latent", "recipes")

__all__ = [
    "Examination",
    "Generator",
    "Network",
    "Noise",
    "Optimizer",
    "Recipe",
    "Report",
    "Run",
    "Samples",
    "compare",
    "data",
    "evaluate",
    "examine",
    "latent",
    "load",
    "recipes",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    """Imports what is asked for, when it is asked for: `import gansmith` alone loads nothing heavy."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"gansmith.{name}")
    raise AttributeError(f"module 'gansmith' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
