"""One HTML file in which a generator works: its weights, our engine in JavaScript, and a page round them."""

import base64
import copy
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gansmith._version import __version__
from gansmith.errors import UserError
from gansmith.exports import kernel, layers
from gansmith.exports.graph import plain
from gansmith.exports.licences import credit
from gansmith.files import write_text
from gansmith.generator import Generator, conditions, generate
from gansmith.latent import direction_finding
from gansmith.latent.vectors import steady
from gansmith.nn.isolation import isolated
from gansmith.progress import Progress
from gansmith.report.page import source_hash
from gansmith.text import printable

if TYPE_CHECKING:
    import jinja2

    from gansmith.data import Dataset

CHECKED = 64
ROUNDED = 0.5
"""Grey levels that float16 weights may change a pixel by; where they change more, the page holds float32."""
BATCH = 8
"""Images that the engine computes at once."""
INDEX = 10_000
"""Images of a seed that the page can show; for those it holds the order of kinds."""
REAL = 60
"""Real images of the quiz."""
DIRECTIONS = 4
"""Unnamed directions, beside those of the measured attributes."""
FITS = 0.1
"""R² from which on a direction is called by its attribute's name."""


@isolated()
def write(
    generator: Generator,
    path: Path,
    *,
    real: "Dataset | None" = None,
    title: str | None = None,
    progress: Progress | None = None,
) -> tuple[str, float]:
    """Writes the page; returns how its weights are stored and what that changes at most, in grey levels.

    Raises UserError for layers that the engine does not know, and real images of another shape.
    """
    generator = steady(generator)
    recipe = generator.recipe
    shape = (recipe.channels, recipe.size, recipe.size)
    if real is not None and real.shape != shape:
        raise UserError(f"{real.name}: its images are {real.shape}, the generator's {shape}; they must be alike")
    model, difference = engine_model(generator)
    about = {
        "title": printable(title) if title else f"{_name(generator)}, forged",
        "directions": _directions(generator, progress),
        "real": None if real is None else _real(real),
        "first": 0,
    }
    write_text(path, render(model, about, generator))
    return str(model["dtype"]), difference


def engine_model(generator: Generator) -> tuple[dict[str, Any], float]:
    """What engine.js needs of a generator, as plain values, and the effect of how its weights are stored."""
    recipe, noise = generator.recipe, generator.recipe.noise
    network = plain(generator)
    program = layers.program(network)
    difference = _rounding(generator, network)
    half = difference <= ROUNDED
    turns = recipe.turns
    names = [str(each) for each in generator.classes] if recipe.classes else []
    model = {
        "format": 1,
        "name": _name(generator),
        "recipe": recipe.name,
        "noise": noise.model_dump(),
        "size": recipe.size,
        "channels": recipe.channels,
        "pixels": list(recipe.pixels),
        "conditions": recipe.conditions,
        "turns": turns,
        "kinds": recipe.kinds,
        "made": recipe.information > 0,
        "classes": [printable(name) for name in names] or [f"kind {index}" for index in range(turns)],
        "orders": _orders(generator),
        "batch": BATCH,
        "operations": program.operations,
        "tensors": layers.table(program),
        "dtype": "float16" if half else "float32",
        "kernel": _text(kernel.module()),
        "weights": _text(layers.packed(program, half=half)),
    }
    return model, difference if half else 0.0


def render(model: dict[str, Any], about: dict[str, Any], generator: Generator) -> str:
    """The page as text: everything is in it, and its policy lets it load nothing else."""
    weights = {"weights": model["weights"], "real": (about["real"] or {}).get("pixels", "")}
    values = {name: value for name, value in model.items() if name != "weights"}
    told = {**about, "real": about["real"] and {**about["real"], "pixels": ""}}
    css, engine, script = (_source(name) for name in ("page.css", "engine.js", "page.js"))
    policy = (
        f"default-src 'none'; img-src data: blob:; style-src {source_hash(css)}; "
        f"script-src {source_hash(engine)} {source_hash(script)} 'wasm-unsafe-eval'; "
        "base-uri 'none'; form-action 'none'"
    )
    sketch = SKETCH.replace("NAME", model["name"]).replace("LABEL", ", 0" if generator.recipe.conditions else "")
    return _templates().get_template("page.html").render(
        title=about["title"], model_noise=generator.recipe.noise.size, css=css, engine=engine, script=script,
        policy=policy, version=__version__,
        model=_json(values), about=_json(told), blobs=weights, recipe=generator.recipe.name,
        steps=generator.about.get("steps"), data=generator.about.get("data"), named=bool(generator.recipe.classes),
        labelled=generator.recipe.turns > 1, sketch=sketch, quiz=told["real"], classes=model["classes"],
    )  # fmt: skip


SKETCH = """\
// In the page: p5.min.js, then NAME.js, then this, each as a plain script.
let gan, a, b

function setup() {
  createCanvas(560, 560)
  noSmooth()
  gan = Gansmith(GANSMITH_MODEL)
  a = gan.latent(0, 1)  // the noise of image 1 of seed 0
  b = gan.latent(0, 2)
}

function draw() {
  const t = (1 - cos(frameCount / 40)) / 2
  const z = a.map((value, i) => lerp(value, b[i], t))
  const picture = createImage(gan.size, gan.size)
  picture.drawingContext.putImageData(gan.generate(zLABEL), 0, 0)
  image(picture, 0, 0, width, height)
}
"""
"""What the page shows to those who draw with p5."""


def _name(generator: Generator) -> str:
    return printable(str(generator.about.get("data") or generator.recipe.name))


@torch.no_grad()
def _rounding(generator: Generator, network: nn.Module) -> float:
    """The greatest change of a pixel over 64 samples, in grey levels, when all weights are rounded to float16."""
    coarse = copy.deepcopy(network)
    for tensor in (*coarse.parameters(), *coarse.buffers()):
        if tensor.is_floating_point():
            tensor.copy_(tensor.half().float())
    z, told = generator.latents(CHECKED), conditions(generator.recipe, count=CHECKED)
    away = (generate(network, z, told) - generate(coarse, z, told)).abs().max()
    black, white = generator.recipe.pixels
    levels = float(away) * 255 / (white - black)
    return levels if levels == levels else float("inf")


def _orders(generator: Generator) -> str | None:
    """The order of kinds in each round of them, uint16, for the first 10,000 images of one class; None without."""
    recipe = generator.recipe
    if not recipe.kinds or recipe.information:
        return None
    count = -(-INDEX // recipe.kinds) * recipe.kinds
    told = conditions(recipe, count=count, classes=[0])
    assert told is not None
    return _text(told.numpy().astype("<u2").tobytes())


def _directions(generator: Generator, progress: Progress | None) -> list[dict[str, Any]]:
    """Directions for sliders: those of measured attributes that fit, and the strongest of GANSpace."""
    found = direction_finding.directions(generator, method="attributes", count=8, progress=progress)
    fits = [fit is not None and fit >= FITS for fit in found.fits]
    named = [
        {"name": name.capitalize(), "z": _floats(vector)}
        for name, vector, fit in zip(found.names, found.vectors, fits, strict=True)
        if fit
    ]
    others = direction_finding.directions(generator, method="pca", count=DIRECTIONS, progress=progress)
    return [*named, *({"name": f"Change {i + 1}", "z": _floats(each)} for i, each in enumerate(others.vectors))]


def _real(real: "Dataset") -> dict[str, Any]:
    """Real images for the quiz, chosen at random, as bytes (N, S, S, C)."""
    chosen = np.sort(np.random.default_rng(0x9012).choice(len(real), min(REAL, len(real)), replace=False))
    images = real.take(chosen)
    licence = credit(real.name.partition(" ")[0])
    pixels = _text(images.transpose(0, 2, 3, 1).tobytes())
    return {"count": len(images), "pixels": pixels, "source": printable(real.name), "licence": licence}


def _floats(vector: NDArray[np.float32]) -> list[float]:
    return [round(float(value), 5) for value in vector]


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _json(value: Any) -> Any:
    """JSON that may stand inside a script element of HTML."""
    import markupsafe

    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return markupsafe.Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


@functools.cache
def _templates() -> "jinja2.Environment":
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("gansmith.exports", "web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def _source(name: str) -> Any:
    """A style or script of ours, which is put into the page as it is."""
    import markupsafe

    return markupsafe.Markup((Path(__file__).parent / "web" / name).read_text("utf-8"))
