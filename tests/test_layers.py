"""Who may import whom, read from the source: down the ordered list only, no circles, a place for every file."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "gansmith"

# From top to bottom; the longest matching name decides. A file imports its own room and what stands below it.
ORDER = (
    "__main__",
    "cli",
    "studio",
    "gansmith",  # the public names, looked up when they are asked for
    "experiment",
    "exports",
    "cards",
    "report",
    "minting",
    "latent",
    "hub",
    "doctor",
    "evaluation",
    "trackers",
    "live",
    "runs",
    "own",  # what recipes and training let be registered, under one name
    "training",
    "generator",
    "encoders",
    "recipes",
    "data",
    "metrics",
    "nn",
    "render",
    "recipe",
    "markup",
    "hardware",
    "files",
    "processes",
    "progress",
    "text",
    "errors",
    "_version",
)
# Importing these loads none of those, through any number of files.
NEVER_REACHES = {
    "training": ("render", "cli", "runs", "evaluation", "report", "experiment"),
    "metrics": ("recipe", "data", "render"),
    "nn": ("recipe",),
    "render": ("recipe", "data"),
}


def module_name(path: Path) -> str:
    """`data.folder` for data/folder.py, `data` for data/__init__.py, `gansmith` for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "gansmith"


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room(module: str) -> str | None:
    """The entry of ORDER that decides for a module: its longest prefix, at dots."""
    parts = module.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in ORDER), None)


def imported(module: str, tree: ast.AST, *, running: bool = True) -> set[str]:
    """The modules of gansmith that a source imports, relative imports included.

    ``running``: wherever in it; else only what is imported when the module is, so that circles can be told.
    """
    names = set()
    nodes = list(ast.walk(tree)) if running else list(at_import(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module if SOURCES[module].name == "__init__.py" else module.rpartition(".")[0]
                above = ["gansmith", *(part for part in package.split(".") if part not in {"", "gansmith"})]
                base = ".".join([*above[: len(above) - node.level + 1], *filter(None, [base])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return {known(name) for name in names if name.split(".")[0] == "gansmith"}


def at_import(tree: ast.AST) -> list[ast.AST]:
    """The statements that run when a module is imported: not those in functions, nor under TYPE_CHECKING."""
    found: list[ast.AST] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        found += [node, *at_import(node)]
    return found


def known(name: str) -> str:
    """The module that an imported name is or lives in: `gansmith.data.load` -> `data`."""
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in SOURCES:
        parts.pop()
    return ".".join(parts) or "gansmith"


TREES = {module: ast.parse(path.read_text()) for module, path in SOURCES.items()}
IMPORTS = {module: imported(module, tree) for module, tree in TREES.items()}


@pytest.mark.parametrize("module", SOURCES)
def test_a_module_has_a_place_and_imports_downwards_only(module: str) -> None:
    place = room(module)
    assert place, f"{module} has no place in ORDER"
    if module == "gansmith":
        return  # names every room it takes a public name from
    for other in IMPORTS[module] - {module}:
        target = room(other)
        assert target, f"{module} imports {other}, which has no place in ORDER"
        assert ORDER.index(target) >= ORDER.index(place), f"{module} ({place}) imports {other} ({target}), above it"


def test_every_entry_of_the_order_is_a_room_that_is_there() -> None:
    assert [name for name in ORDER if name not in SOURCES] == []
    assert {name for names in NEVER_REACHES.values() for name in names} <= set(ORDER)


def test_the_architecture_has_a_line_for_each_room() -> None:
    text = (PACKAGE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    lines = text.partition("## The rooms")[2].partition("\n## ")[0].splitlines()
    told = {name for line in lines for name in re.findall(r"`(\w+)/?`", line.split("|")[1] if line[:1] == "|" else "")}
    assert told == set(ORDER) - {"__main__", "gansmith", "_version"}


def test_no_file_imports_in_a_circle() -> None:
    graph = {module: imported(module, tree, running=False) - {module} for module, tree in TREES.items()}
    packages = {module for module, path in SOURCES.items() if path.name == "__init__.py"}
    for module, others in graph.items():  # a package's own files may name it: Python has begun it by then
        graph[module] = {other for other in others if not (other in packages and module.startswith(f"{other}."))}
    graph.pop("gansmith")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("top", NEVER_REACHES)
def test_what_a_room_must_not_know_it_does_not_reach_by_detours(top: str) -> None:
    reached, todo = {}, [(module, (module,)) for module in SOURCES if room(module) == top]
    while todo:
        module, way = todo.pop()
        if module in reached:
            continue
        reached[module] = way
        todo += [(other, (*way, other)) for other in imported(module, TREES[module], running=False)]
    bad = [" -> ".join(way) for module, way in reached.items() if room(module) in NEVER_REACHES[top]]
    assert not bad


def test_few_files_lie_loose_at_the_top() -> None:
    loose = [path.name for path in PACKAGE.glob("*.py")]
    assert len(loose) <= 12, loose


def test_every_file_begins_by_saying_what_it_is_for() -> None:
    silent = [module for module, tree in TREES.items() if not ast.get_docstring(tree)]
    assert not silent


def test_import_forms_are_understood() -> None:
    source = "import gansmith.recipes\nfrom gansmith import render\nfrom gansmith.recipe import Recipe\nimport torch\n"
    assert imported("generator", ast.parse(source)) == {"recipes", "render", "recipe"}
    assert imported("generator", ast.parse("import gansmith\ngansmith.load")) == {"gansmith"}
    late = "def f():\n    from gansmith import render\nif TYPE_CHECKING:\n    import gansmith.recipe\n"
    assert imported("generator", ast.parse(late), running=False) == set()
    assert imported("generator", ast.parse(late)) == {"render", "recipe"}
    assert room("data.folders") == "data"
    assert room("datasets") is None


def test_no_function_is_longer_than_a_screen() -> None:
    """At most 60 lines beneath its signature and docstring: the flags and the help of a verb do not count."""
    long = []
    for module, path in SOURCES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1:2] if ast.get_docstring(node) is not None else node.body[:1]
                if first and (node.end_lineno or 0) - first[0].lineno >= 60:
                    long.append(f"{module}.{node.name}")
    assert not long
