"""A generator as a graph of standard operators: ONNX, and PyTorch's own exported program."""

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gansmith import recipes
from gansmith.errors import UserError
from gansmith.files import writing
from gansmith.generator import Generator, conditions, generate
from gansmith.latent.vectors import steady
from gansmith.nn import set_fast
from gansmith.nn.isolation import isolated

CHECKED = 64
"""Samples of seed 0 that are made again from what was written."""
MOST = 0.05
"""Grey levels by which a pixel may differ; a graph that differs by more is not this generator."""
Images = NDArray[np.float32]


def plain(generator: Generator) -> nn.Module:
    """A copy of the network in inference mode on the CPU, each layer as its definition has it, without fast paths."""
    network = copy.deepcopy(steady(generator).network).cpu().float().eval()
    set_fast(network, False)
    return network.requires_grad_(False)


def facts(generator: Generator) -> dict[str, str]:
    """What a program must know to use a graph, each value text: JSON, or a name."""
    recipe, noise = generator.recipe, generator.recipe.noise
    told: dict[str, Any] = {"count": recipe.conditions, "classes": list(generator.classes), "kinds": recipe.kinds}
    if recipe.conditions:
        told["meaning"] = "label = class * kinds + kind" if recipe.classes and recipe.kinds else "label"
    values = {
        "input z": {"shape": ["n", noise.size], "dtype": "float32", **noise.model_dump()},
        "input label": {"shape": ["n"], "dtype": "int64", "least": 0, "most": recipe.conditions - 1, **told},
        "output images": {
            **{"shape": ["n", recipe.channels, recipe.size, recipe.size], "dtype": "float32"},
            **{"black": recipe.pixels[0], "white": recipe.pixels[1], "beyond": "is clipped"},
        },
        "about": generator.about,
    }
    if not recipe.conditions:
        del values["input label"]
    texts = {name: json.dumps(value) for name, value in values.items()}
    return {**texts, "library": "gansmith", "recipe": recipe.name, "generator": generator.digest}


@isolated()
def write_onnx(generator: Generator, path: Path) -> float:
    """Writes an ONNX model: inputs `z` (n, Z) and, where there are labels, `label` (n,); output `images` (n, C, S, S).

    Returns the greatest difference from PyTorch over 64 samples, in grey levels. Raises UserError where the extra is
    missing.
    """
    try:
        import onnxruntime  # type: ignore[import-untyped,unused-ignore]
        import onnxscript  # noqa: F401  (the exporter needs it)
    except ImportError:
        raise UserError("`to` onnx: needs the extra: pip install 'gansmith[onnx]'") from None
    network, example = plain(generator), _inputs(generator, 2)
    names = ["z", "label"][: len(example)]
    with _quiet(), _interruptible():
        program = torch.onnx.export(
            network, example, input_names=names, output_names=["images"], dynamic_shapes=_shapes(example),
            dynamo=True, verbose=False,
        )  # fmt: skip
    assert program is not None
    program.model.producer_name = "gansmith"
    program.model.metadata_props.update(facts(generator))
    with writing(path) as fresh:
        program.save(fresh, external_data=False)
        session = onnxruntime.InferenceSession(fresh, providers=["CPUExecutionProvider"])
        return _compared(
            generator,
            network,
            lambda given: session.run(None, {n: v.numpy() for n, v in zip(names, given, strict=True)})[0],
        )


@isolated()
def write_program(generator: Generator, path: Path) -> float:
    """Writes a program of ``torch.export`` (.pt2), called with z (n, Z) and, where there are labels, labels (n,).

    Returns the greatest difference from PyTorch over 64 samples, in grey levels.
    """
    network, example = plain(generator), _inputs(generator, 2)
    with _quiet():
        program = torch.export.export(network, example, dynamic_shapes=_shapes(example))
        with writing(path) as fresh:
            made = io.BytesIO()  # to a file on a full disk, PyTorch's writer ends the process
            torch.export.save(program, made, extra_files={"gansmith.json": json.dumps(facts(generator))})
            fresh.write_bytes(made.getbuffer())
            again = torch.export.load(fresh).module()
            return _compared(generator, network, lambda given: again(*given).numpy())


def _inputs(generator: Generator, count: int) -> tuple[Tensor, ...]:
    """Latents (count, Z) and, of a conditional generator, labels (count,) of seed 0."""
    z, told = generator.latents(count), conditions(generator.recipe, count=count)
    return (z,) if told is None else (z, told)


def _shapes(example: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """Any number of rows; the exporter names it n."""
    rows = torch.export.Dim("n", min=1, max=1 << 20)
    return tuple({0: rows} for _ in example)


@torch.no_grad()
def _compared(generator: Generator, network: nn.Module, run: Callable[[tuple[Tensor, ...]], Images]) -> float:
    """The greatest difference of 64 samples, made 64 at once and one alone, in grey levels of 0 .. 255."""
    given = _inputs(generator, CHECKED)
    wanted = generate(network, given[0], given[1] if len(given) > 1 else None).numpy()
    black, white = generator.recipe.pixels
    away = [np.abs(run(given) - wanted).max(), np.abs(run(tuple(each[:1] for each in given)) - wanted[:1]).max()]
    levels = float(max(away)) * 255 / (white - black)
    if not levels <= MOST:
        raise RuntimeError(f"{recipes.get(generator.recipe.name).name}: the graph differs by {levels:.3g} grey levels")
    return levels


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C stays what it is where the exporter makes an error of its own of whatever ends it."""
    try:
        yield
    except Exception as error:
        reason: BaseException | None = error
        while reason is not None:
            if isinstance(reason, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            reason = reason.__cause__ or reason.__context__
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's advice to its own developers."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
