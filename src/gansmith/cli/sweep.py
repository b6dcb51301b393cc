"""`gansmith sweep`: change one value at a time, and see in one table and one picture what comes of it."""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gansmith.cli.options import Json, OptionalSource, Recipes, within
from gansmith.cli.output import program, say, show, table
from gansmith.cli.train import flags_of_fields, given_only
from gansmith.errors import FROM_1, MEASURED, WORKERS
from gansmith.text import amount

SHOWN = 12
"""Images of each combination on the sheet."""


@flags_of_fields
def sweep(
    data: OptionalSource = None,
    /,
    *,
    vary: Annotated[list[str], Parameter(negative=())],
    recipe: str = "house",
    seeds: Annotated[int, within("seeds", FROM_1)] = 2,
    samples: Annotated[int, within("samples", MEASURED)] = 2000,
    processes: Annotated[int | None, within("processes", WORKERS)] = None,
    size: int | None = None,
    fit: Literal["crop", "pad"] | None = None,
    conditional: Annotated[bool | Literal["projection", "auxiliary"] | None, Parameter(negative=())] = None,
    own: Recipes = None,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    json: Json = False,
    **fields: Any,
) -> int:
    """Train a recipe at several values of a field, each with several seeds, and compare what comes of them.

    The same command again goes on where it was stopped. Other flags are those of `gansmith train`, the same for all.

    Args:
        data: mnist (the default), another name, or the path of an image folder, .zip, .npz or IDX file.
        vary: a field and its values, such as generator-optimizer.lr=1e-4,2e-4; of several fields, each combination.
        recipe: a name that `gansmith recipes` lists; --vary recipe=mlp,mlp-bn compares some.
        seeds: how many trainings of each combination, from --seed on.
        samples: images of each training to measure.
        processes: trainings at once; as many as there are cores if not given, one on a GPU.
        size: height and width in pixels that images are brought to; their own, or the recipe's, if not given.
        fit: what becomes of images that are not square: cropped to the centre, or padded.
        conditional: train on the data's labels; a head may be named, projection if it is not.
        out: the sweep's folder; sweeps/DATA-RECIPE-DIGEST if not given.
    """
    from gansmith.experiment import sweeping, varying

    given = given_only(fields)
    same = given_only({"size": size, "fit": fit, "conditional": conditional, "recipes": own})
    varied = [sweeping.parse(each) for each in vary]
    plan = varying.planned(data or "mnist", recipe, varied, seeds, samples, fields=given, same=same)
    folder = out or varying.folder_of(plan)
    count = len(plan.combinations) * seeds
    at_once = varying.many(plan, processes, given.get("device"))
    say(f"{amount(count, 'training')}, {at_once} at once, in {folder}", aside=json)
    result = sweeping.sweep(plan, folder, processes=at_once, tell=lambda line: say(line, aside=True))
    if result.interrupted:
        say(f"interrupted; the same command goes on in {folder}", aside=True)
        return 130
    picture = _sheet(result)
    show(_document(result, picture), *_told(result, picture), json=json)
    return 0 if not result.failures else 1


def _told(result: Any, picture: Path | None) -> list[str]:
    from gansmith.experiment.sweeping import words_of
    from gansmith.experiment.varying import HEADERS, rows

    parts = [table(HEADERS, rows(result))]
    parts.append("±: the largest of the standard deviations over sets of real images and training seeds")
    compared, best = result.compared, result.best
    if compared is not None:
        parts.append(f"Frechet distance: {_verdict(result, compared)}")
    parts += [f"not trained: {cell.name}: {failure}" for cell, failure in result.failures]
    if picture is not None:
        parts.append(f"sheet: {picture}")
    if best is not None:
        parts.append(f"lowest: {words_of(best)}; train it at full length with\n  {_command(result, best)}")
    return ["\n" + parts[0], *parts[1:]]


def _verdict(result: Any, compared: Any) -> str:
    """What the comparison says of the Frechet distance, in the values of the combinations."""
    from gansmith.experiment.sweeping import words_of

    by_report = {id(report): words_of(values) for values, group in result.reports.items() for report in group}
    named = {group.name: by_report[id(group.reports[0])] for group in compared.groups}
    line = next((line for line in compared.lines if line.figure.key == "fd"), None)
    if line is None:
        return "not measured in all; give more --samples"
    best = [named[name] for name in line.best]
    if len(best) == len(named):
        return "no significant difference"
    return f"{best[0]} is best" if len(best) == 1 else f"{'; '.join(best)} lead, without significant difference"


def _command(result: Any, values: Any) -> str:
    """What trains a combination at the recipe's own length."""
    words = result.plan.command(values)
    for name in ("--steps", "--minutes"):
        if name in words:
            place = words.index(name)
            del words[place : place + 2]
    return shlex.join([program(), *words])


def _sheet(result: Any) -> Path | None:
    """Draws what each combination makes of the same latents, a row each, the best first."""
    from PIL import Image

    from gansmith import render
    from gansmith.experiment.sweeping import words_of
    from gansmith.experiment.varying import rows
    from gansmith.files import EXIF, writing
    from gansmith.runs import load

    by_words = {words_of(values): runs[0] for values, runs in result.runs.items()}
    strips = []
    for line in rows(result):
        images = load.load(by_words[line[0]]).sample(SHOWN, seed=0).images
        said = f"{line[0]}: Frechet distance {line[2]}"
        strips.append(render.caption(render.sheet(images, columns=SHOWN, widest=render.SLIDE), said))
    if not strips:
        return None
    mode = "RGB" if any(strip.mode == "RGB" for strip in strips) else strips[0].mode
    whole = Image.new(mode, (max(s.width for s in strips), sum(s.height for s in strips)))
    top = 0
    for strip in strips:
        whole.paste(strip, (0, top))
        top += strip.height
    path: Path = result.folder / "sheet.png"
    with writing(path) as fresh:
        whole.save(fresh, exif=EXIF)
    return path


def _document(result: Any, picture: Path | None) -> dict[str, Any]:
    from gansmith.experiment.sweeping import words_of
    from gansmith.experiment.varying import COLUMNS

    compared, best = result.compared, result.best
    return {
        "folder": result.folder,
        "plan": result.plan.written,
        "combinations": [
            {
                "values": dict(values),
                "runs": [run.path for run in result.runs[values]],
                **{key: [report[key].value for report in reports if key in report] for key in COLUMNS},
            }
            for values, reports in result.reports.items()
        ],
        "failures": [{"values": dict(cell.values), "seed": cell.seed, "why": why} for cell, why in result.failures],
        "verdict": None if compared is None else _verdict(result, compared),
        "lowest": None if best is None else words_of(best),
        "command": None if best is None else _command(result, best),
        "sheet": picture,
    }
