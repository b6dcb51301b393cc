"""Verbs that list what there is: recipes, data, runs, report, info."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any, Literal

from gansmith.cli.options import Device, Fit, Json, Recipes, Run, Scale, Size, Source, check_picture, check_sheet_scale
from gansmith.cli.output import Drawn, colours, pairs, progress, show, table
from gansmith.errors import UserError
from gansmith.text import duration, finite


def recipes(name: str | None = None, /, *, own: Recipes = None, json: Json = False) -> None:
    """List the recipes, or show one: its layers, and every field as TOML.

    What `gansmith recipes NAME > my.toml` writes can be edited and trained: `gansmith train --config my.toml`.

    Args:
        name: a recipe of the list; without it, the list.
    """
    from gansmith import recipes
    from gansmith.recipes.own import load_installed

    if name is not None:
        _show_recipe(name, json=json)
        return
    load_installed()
    rows = [_recipe_row(each) for each in recipes.names()]
    headers = ["recipe", "after", "generator", "discriminator", "batch", "steps", "GFLOP/step"]
    show(
        rows,
        table(headers, [[row[header] for header in headers] for row in rows]),
        "\n" + pairs({row["recipe"]: row["note"] for row in rows}),
        "\nNetworks are sized in parameters; GFLOP/step is the arithmetic of a step. More: gansmith recipes NAME",
        json=json,
    )


def _show_recipe(name: str, *, json: bool) -> None:
    from gansmith import recipes
    from gansmith.recipes.own import check, fitting

    entry = recipes.entry(name)
    recipe = fitting(entry.recipe, {})
    check(recipe)
    summary = recipes.summary(recipe)
    origin = f"after {entry.author}, “{entry.title}” ({entry.year})" if entry.year else f"of {entry.author}"
    show(
        {"recipe": recipe.model_dump(mode="json"), **asdict(summary)},
        f"# {name}: {entry.note}\n# {origin}\n#",
        *(_layer_table(player, getattr(summary, player)) for player in ("generator", "discriminator")),
        recipe.to_toml().rstrip(),
        json=json,
    )


def _recipe_row(name: str) -> dict[str, Any]:
    from gansmith import recipes

    entry = recipes.entry(name)
    recipe, parameters, gflop = recipes.counted(name)
    generator, discriminator = parameters or (None, None)
    return {
        "recipe": name,
        "after": f"{entry.author} {entry.year}".strip(),
        "title": entry.title,
        "generator": generator,
        "discriminator": discriminator,
        "batch": recipe.batch_size,
        "steps": recipe.steps,
        "GFLOP/step": None if gflop is None else finite(gflop),
        "note": entry.note,
    }


def _layer_table(player: str, rows: Sequence[Any]) -> str:
    """A network as Keras' summary() prints it, as comment lines of TOML."""
    shape = [f"({', '.join(['N', *map(str, row.output)])})" for row in rows]
    lines = table(
        ["layer", "output shape", "parameters"], [[r.layer, s, r.parameters] for r, s in zip(rows, shape, strict=True)]
    )
    total, trainable = sum(row.parameters for row in rows), sum(row.trainable for row in rows)
    ending = f"total {total:,}; trainable {trainable:,}; not trainable {total - trainable:,}"
    return "\n".join(f"# {line}".rstrip() for line in [player, *lines.splitlines(), ending, ""])


def data(
    source: Source = "mnist",
    /,
    *,
    size: Size = None,
    fit: Fit = "crop",
    split: Literal["train", "test"] = "train",
    seed: int = 0,
    sheet: Path | None = None,
    scale: Scale = None,
    json: Json = False,
) -> None:
    """Show a data set: how many images of which size and class, a few of them, and what was skipped and why.

    Args:
        source: mnist (the default), another name, or the path of an image folder, .zip, .npz or IDX file.
        split: of the two that some sources have.
        seed: chooses the images to show, and makes colour-mnist and stacked-mnist.
        sheet: write 64 of the images as a picture.
    """
    import numpy as np

    from gansmith import data, render
    from gansmith.data.loading import check_sheet
    from gansmith.files import EXIF, writing

    check_sheet_scale(sheet, scale)
    if sheet is not None:
        check_picture(sheet, "--sheet")
        check_sheet(source, sheet)
    found = data.inspect(source, split=split, size=size, fit=fit, seed=seed, progress=progress)
    text, written = [data.describe(found)], "no sheet: too few images"
    if found.dataset is not None:
        count = len(found.dataset)
        shown = found.dataset.take(np.random.default_rng(seed).choice(count, min(64, count), replace=False))
        text.append(Drawn("\n" + render.blocks(shown[:8], columns=4, colour=colours())))
        if sheet is not None:
            with writing(sheet) as fresh:
                render.sheet(shown, scale=scale, widest=render.SLIDE).save(fresh, exif=EXIF)
            written = f"sheet: {sheet}"
    if sheet is not None:
        text.append(f"\n{written}")
    show({**found.to_dict(), "sheet": sheet}, *text, json=json)


def runs(
    folder: Path = Path("runs"),
    /,
    *,
    sort: Literal["name", "date", "quality", "length"] = "name",
    json: Json = False,
) -> None:
    """List the runs of a folder: when each began, how long it trained, how good it is, and what the doctor said.

    Args:
        folder: where they are.
        sort: by name; by date, the newest first; by quality, the best first; or by length in steps, the longest first.
    """
    from gansmith import runs
    from gansmith.runs.summary import summary

    if not folder.is_dir():
        raise UserError(f"{folder}: no folder of runs; `gansmith train` makes one")
    found = sorted((summary(run) for run in runs.every(folder)), key=ORDERS[sort])
    headers = ["run", "recipe", "data", "from", "date", "steps", "time", "quality", "verdict"]
    lines = [dict(zip(headers, _run_line(each), strict=True)) for each in found]
    if not any(each.origin for each in found):
        headers.remove("from")
    listed = table(headers, [[line[header] for header in headers] for line in lines])
    nothing = f"{folder}: no runs yet; `gansmith train` makes one"
    show([each.to_dict() for each in found], listed if found else nothing, json=json)


ORDERS: Mapping[str, Callable[[Any], Any]] = {
    "name": lambda each: each.run.name,
    "date": lambda each: -datetime.fromisoformat(each.started).timestamp() if each.started else 0.0,
    "quality": lambda each: inf if each.quality is None or each.quality.beyond is None else each.quality.beyond,
    "length": lambda each: (-(each.step or 0), -(each.seconds or 0.0)),
}


def _run_line(each: Any) -> list[Any]:
    """A row of the table: the state stands before the verdict where training did not end as it should."""
    quality, state = each.quality, "" if each.state == "finished" else each.state
    return [
        each.run.name,
        each.recipe,
        each.data,
        each.origin,
        each.started and each.started[:16].replace("T", " "),
        each.step,
        None if each.seconds is None else duration(each.seconds),
        "not measured" if quality is None else quality.words or f"{quality.metric} {quality.distance:.3g}",
        ", ".join(filter(None, [state, each.verdict])),
    ]


def report(run: Run, /, *, own: Recipes = None, json: Json = False) -> None:
    """Write a run's report.html again: one file that shows all of it and needs no network."""
    from gansmith.report.page import write_report
    from gansmith.runs import find

    path = write_report(find(run).path)
    show({"path": path}, str(path), json=json)


def info(*, device: Device = "auto", json: Json = False) -> None:
    """Show which versions, device, precision and threads are used and why, and where data are kept."""
    from functools import cache

    from gansmith import data, files, hardware
    from gansmith.experiment import cpu_speed
    from gansmith.experiment.environment import environment

    speeds = cache(cpu_speed.speeds)
    choice = hardware.choose(device, gflop=float("inf"), measure=speeds)
    measured = speeds(choice.threads)
    facts = environment(choice)
    facts |= {"data by name": ", ".join(data.names()), "data cache": files.cache_dir()}
    why = facts["why"]
    lines = {name: value for name, value in facts.items() if name != "why"} | {"measured": cpu_speed.words(measured)}
    if choice.precision == "bf16":
        lines["precision"] = f"bf16 for steps of {hardware.SMALL_STEP_GFLOP:g} GFLOP or more, else fp32"
    reasons = {name: f"{value} ({why[name]})" if name in why else value for name, value in lines.items()}
    show({**facts, "measured": asdict(measured)}, pairs(reasons), json=json)
