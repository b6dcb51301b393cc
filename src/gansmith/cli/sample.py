"""`gansmith sample`: images of a trained generator, as a sheet, as arrays, or as a folder of files."""

from pathlib import Path
from typing import Annotated, Literal

from gansmith.cli.options import AnySeed, Best, Device, Generator, Json, Number, Out, Recipes, Scale, within
from gansmith.cli.output import progress, show
from gansmith.errors import IMAGES
from gansmith.text import amount


def sample(
    run: Generator,
    /,
    *,
    number: Annotated[Number, within("number", IMAGES)] = 64,
    seed: AnySeed = 0,
    label: str | None = None,
    scale: Scale = None,
    best: Best = False,
    out: Out = Path("sheet.png"),
    device: Device = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    own: Recipes = None,
    json: Json = False,
) -> None:
    """Make images with a trained generator. Image i of a seed is always the same, however many are made.

    Args:
        number: how many images.
        seed: random seed of the images.
        label: the class to make, by name or number, or several that take turns: 3,7; all do if none is named.
        out: a sheet (.png, .webp, .jpg), arrays (.npz), or a new folder for a PNG each; a file of that name is
            replaced.
        precision: bf16 is faster where the hardware multiplies it, and changes pixels by some grey levels.
    """
    from gansmith import hardware
    from gansmith.data.types import class_names
    from gansmith.generator import check_target
    from gansmith.runs import load
    from gansmith.training import parallel

    check_target(out, number, scale)
    with parallel.together("sample", number, seed, label, precision) as group:
        device = parallel.device_of(group, device)
        generator = load.load(run, device=device, which="best" if best else "newest")
        group.compare("generator", generator.digest)
        hardware.check_precision(precision, generator.device.type)
        generator.precision = precision
        labels = None if label is None else class_names(label, generator.classes)
        samples = generator.sample(number, seed=seed, label=labels, progress=progress)
    if group.rank:  # the first process says and writes everything
        return
    path = samples.save(out, scale=scale)
    show(
        {"path": path, "count": number, "seed": seed, "label": label, "recipe": generator.recipe.name},
        f"{amount(number, 'image')} of seed {seed}{f', label {label}' if label else ''}: {path}",
        json=json,
    )
