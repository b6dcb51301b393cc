"""gansmith: learn to forge images from a small data set, and see honestly how good the forgeries are.

>>> import gansmith as gs
>>> run = gs.train("mnist", recipe="mlp", steps=2000)
>>> gs.load(run).sample(64, seed=0).save("sheet.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gansmith._version import __version__ as __version__

if TYPE_CHECKING:
    from gansmith import data, latent, own, recipes
    from gansmith.cards import Card, card
    from gansmith.doctor.examination import Examination, examine
    from gansmith.evaluation import compare, evaluate
    from gansmith.evaluation.report import Report
    from gansmith.experiment.execute import resume, train
    from gansmith.experiment.varying import sweep
    from gansmith.exports import Exported, export
    from gansmith.generator import Generator, Samples
    from gansmith.hub import push
    from gansmith.minting import mint
    from gansmith.recipe import Network, Noise, Optimizer, Recipe
    from gansmith.runs import Run
    from gansmith.runs.load import load


_NAMES = {
    "gansmith.cards": "Card card",
    "gansmith.doctor.examination": "Examination examine",
    "gansmith.evaluation": "compare evaluate",
    "gansmith.evaluation.report": "Report",
    "gansmith.experiment.execute": "resume train",
    "gansmith.experiment.varying": "sweep",
    "gansmith.exports": "Exported export",
    "gansmith.generator": "Generator Samples",
    "gansmith.hub": "push",
    "gansmith.minting": "mint",
    "gansmith.recipe": "Network Noise Optimizer Recipe",
    "gansmith.runs": "Run",
    "gansmith.runs.load": "load",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
_MODULES = ("data", "latent", "own", "recipes")

__all__ = [
    "Card",
    "Examination",
    "Exported",
    "Generator",
    "Network",
    "Noise",
    "Optimizer",
    "Recipe",
    "Report",
    "Run",
    "Samples",
    "card",
    "compare",
    "data",
    "evaluate",
    "examine",
    "export",
    "latent",
    "load",
    "mint",
    "own",
    "push",
    "recipes",
    "resume",
    "sweep",
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
