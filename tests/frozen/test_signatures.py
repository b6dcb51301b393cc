"""What `import gansmith` offers: every name, what it takes, and what it gives. Where it is defined does not matter."""

import inspect
from collections.abc import Iterator
from types import ModuleType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import internals
import numpy as np
import pytest
from numpy.typing import ArrayLike
from snapshots import HERE, REWRITE, hold, read

import gansmith as gs

FILE = "signatures.json"
OWN = {"__getitem__", "__contains__", "__len__", "_repr_png_"}


def written(kind: Any) -> str:
    """A type as text: without modules, which may move, and alike in every version of Python and NumPy."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return f"{written(inner[0])} {list(kind.__metadata__)}"
    if origin in (Union, UnionType):
        arrays = set(get_args(ArrayLike))
        rest = [written(each) for each in inner if each not in arrays] if arrays <= set(inner) else None
        return " | ".join([*rest, "ArrayLike"] if rest is not None else map(written, inner))
    if origin is Literal:
        return f"Literal{list(inner)}"
    if origin is np.ndarray:
        return f"ndarray[{get_args(inner[1])[0].__name__}]"
    if isinstance(kind, list):  # what a Callable takes
        return f"[{', '.join(map(written, kind))}]"
    name = getattr(kind, "__name__", repr(kind)) if kind not in (None, type(None)) else "None"
    return f"{name}[{', '.join(map(written, inner))}]" if inner else "..." if kind is ... else name


def signed(function: Any) -> list[str]:
    """Its parameters one by one, then what it gives."""
    signature = function if isinstance(function, inspect.Signature) else inspect.signature(function)
    lines = []
    for parameter in signature.parameters.values():
        kind = "" if parameter.kind is parameter.POSITIONAL_OR_KEYWORD else f"{parameter.kind.description}: "
        line = kind + parameter.name
        if parameter.annotation is not parameter.empty:
            line += f": {written(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            line += f" = {parameter.default!r}"
        lines.append(line)
    given = signature.return_annotation
    return lines if given is signature.empty else [*lines, f"-> {written(given)}"]


def members(kind: type) -> Iterator[tuple[str, list[str]]]:
    """The public methods and properties of a class that it has from gansmith."""
    for base in reversed(kind.__mro__):
        if not base.__module__.startswith("gansmith"):
            continue
        for name, value in vars(base).items():
            if name.startswith(("_", "model_")) and name not in OWN:
                continue
            plain = getattr(value, "__func__", value)
            got = getattr(value, "fget", None) or getattr(value, "func", None)  # a property, a cached one
            if got is not None:
                yield name, ["property", *signed(got)[1:]]
            elif inspect.isfunction(plain):
                yield name, signed(plain)


def offered(name: str, value: Any) -> Iterator[tuple[str, list[str]]]:
    """A name and all that hangs on it: a module's names, a class's members."""
    if isinstance(value, ModuleType):
        yield name, sorted(value.__all__)
        for inner in value.__all__:
            yield from offered(f"{name}.{inner}", getattr(value, inner))
    elif inspect.isclass(value):
        yield name, ["class", *(line for line in signed(value) if line != "-> None")]
        for inner, lines in members(value):
            yield f"{name}.{inner}", lines
    elif get_origin(value) is not None:  # a type such as Literal["train", "test"]
        yield name, [written(value)]
    else:
        yield name, signed(value)


def found() -> dict[str, list[str]]:
    every = {"__all__": list(gs.__all__)}
    for name in gs.__all__:
        every.update(offered(name, getattr(gs, name)))
    for verb, signature in internals.keywords().items():
        every[f"{verb}(**arguments)"] = signed(signature)
    return every


@pytest.fixture(scope="module")
def signatures() -> dict[str, list[str]]:
    return found()


def test_no_name_came_or_went(signatures: dict[str, list[str]]) -> None:
    if REWRITE:
        (HERE / FILE).unlink(missing_ok=True)
        for name, lines in signatures.items():
            hold(FILE, name, lines)
    assert sorted(signatures) == sorted(read(FILE))


@pytest.mark.skipif(REWRITE, reason="rewritten all at once")
@pytest.mark.parametrize("name", read(FILE))
def test_it_takes_and_gives_what_it_did(name: str, signatures: dict[str, list[str]]) -> None:
    assert name in signatures
    hold(FILE, name, signatures[name])
