"""The house's rule of who may import whom, read from the source: down only, no circles, a place for every module."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "gansmith"

# The longest matching prefix decides. Modules may import their own layer and what is below it.
LAYERS = {
    "gansmith": 0,
    "cli": 1,
    "cli_doctor": 1,
    "cli_encoder": 1,
    "cli_measure": 1,
    "cli_output": 1,
    "cli_train": 1,
    "cli_find": 1,
    "cli_quiz": 1,
    "cli_latent": 1,
    "cli_truth": 1,
    "__main__": 1,
    "studio": 1,
    "forge": 2,
    "job": 2,
    "training": 2,
    "sampling": 2,
    "quality": 2,
    "reference": 2,
    "latent": 2,
    "metrics.evaluation": 2,
    "doctor": 2,
    "signals": 2,
    "eye": 2,
    "mint": 2,
    "export": 2,
    "report": 2,
    "report_parts": 2,
    "report_quality": 2,
    "terminal": 2,
    "recorder": 2,
    "step": 3,
    "data": 3,
    "figures": 3,
    "run": 3,
    "checkpoint": 3,
    "recipes": 3,
    "parallel": 3,
    "probe": 3,
    "replay": 3,
    "resident": 3,
    "losses": 4,
    "nn": 4,
    "optim": 4,
    "metrics": 4,
    "render": 4,
    "hardware": 4,
    "recipe": 5,
}
PLAIN = {"losses", "nn", "metrics", "render", "hardware"}  # plain values in, plain values out: they never see a Recipe
FORBIDDEN = {"training": {"metrics.evaluation", "render", "studio", "report", "terminal", "forge"}}


def module_name(path: Path) -> str:
    """`data.folder` for data/folder.py, `data` for data/__init__.py, `gansmith` for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "gansmith"


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def home(module: str) -> str | None:
    """The entry of LAYERS that decides for a module: its longest prefix, at dots."""
    parts = module.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in LAYERS), None)


def imported(module: str, tree: ast.AST) -> set[str]:
    """The modules of gansmith that a source imports, wherever in it, relative imports included.

    Anyone may ask the package for its version; whoever takes more from it than that imports "gansmith" itself.
    """
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module if SOURCES[module].name == "__init__.py" else module.rpartition(".")[0]
                above = ["gansmith", *(part for part in package.split(".") if part not in {"", "gansmith"})]
                base = ".".join([*above[: len(above) - node.level + 1], *filter(None, [base])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    taken = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_name(node.value, "gansmith")
    }
    if taken <= {"__version__"}:
        names -= {"gansmith", "gansmith.__version__"}
    return {known(name) for name in names if name.split(".")[0] == "gansmith"}


def is_name(node: ast.AST, name: str) -> bool:
    """Whether an expression is just this name."""
    return isinstance(node, ast.Name) and node.id == name


def known(name: str) -> str:
    """The module that an imported name is or lives in: `gansmith.data.load` -> `data`."""
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in SOURCES:
        parts.pop()
    return ".".join(parts) or "gansmith"


IMPORTS = {module: imported(module, ast.parse(path.read_text())) for module, path in SOURCES.items()}


@pytest.mark.parametrize("module", SOURCES)
def test_a_module_has_a_place_and_imports_downwards_only(module: str) -> None:
    place = home(module)
    assert place, f"{module} has no place in LAYERS"
    for other in IMPORTS[module] - {module}:
        target = home(other)
        assert target, f"{module} imports {other}, which has no place in LAYERS"
        assert LAYERS[target] >= LAYERS[place], f"{module} (layer {LAYERS[place]}) imports {other} ({LAYERS[target]})"
        assert target not in FORBIDDEN.get(place, set()), f"{module} imports {other}, which it must not know"
        assert not (place in PLAIN and target == "recipe"), f"{module} sees a Recipe"


def test_nothing_imports_in_a_circle() -> None:
    graph = {}
    for module, others in IMPORTS.items():
        # Each room is one node: the files of a room may lean on each other.
        graph.setdefault(home(module), set()).update({home(other) for other in others} - {home(module)})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_every_file_begins_by_saying_what_it_is_for() -> None:
    silent = [module for module, path in SOURCES.items() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent


def test_import_forms_are_understood() -> None:
    source = "import gansmith.recipes\nfrom gansmith import render\nfrom gansmith.recipe import Recipe\nimport torch\n"
    assert imported("forge", ast.parse(source)) == {"recipes", "render", "recipe"}
    assert imported("forge", ast.parse("import gansmith\ngansmith.__version__")) == set()
    assert imported("forge", ast.parse("import gansmith\ngansmith.load")) == {"gansmith"}
    assert home("data.folder") == "data"
    assert home("metrics.evaluation") == "metrics.evaluation"
    assert home("datasets") is None
