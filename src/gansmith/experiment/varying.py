"""A sweep as one call: from fields and their values to the plan, what came of it, and the table of that."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gansmith import hardware
from gansmith.errors import FROM_1, MEASURED, WORKERS, UserError, whole_number
from gansmith.evaluation import wording
from gansmith.evaluation.comparison import Group
from gansmith.experiment import sweeping
from gansmith.experiment.sweeping import Plan, Result, flag, words_of
from gansmith.recipe import Recipe, named

COLUMNS = ("fd", "precision", "recall")
HEADERS = ("values", "seeds", "Frechet distance", "precision", "recall", "in words")


def sweep(
    data: str | Path = "mnist",
    *,
    vary: Mapping[str, Sequence[Any]],
    recipe: str = "house",
    seeds: int = 2,
    samples: int = 2000,
    processes: int | None = None,
    out: str | Path | None = None,
    tell: Callable[[str], None] | None = None,
    **fields: Any,
) -> Result:
    """Trains a recipe at several values of a field, each with several seeds, and measures what comes of each.

    Each training is a process of its own. The same call again goes on where it was stopped.

    >>> gs.sweep("mnist", recipe="mlp", vary={"generator_optimizer.lr": [1e-4, 1e-3]}, steps=1000)  # doctest: +SKIP

    Args:
        data: a data set's name, or the path of a folder, .zip, .npz or IDX file.
        vary: fields by dotted names, or "recipe", with two values or more of each; of several, every combination.
        recipe: a name of :func:`gansmith.recipes.names`.
        seeds: how many trainings of each combination, from ``seed`` on.
        samples: images of each training to measure, 16 or more.
        processes: trainings at once; as many as there are cores if None, one on a GPU.
        out: the sweep's folder; sweeps/DATA-RECIPE-DIGEST if None.
        tell: called with a line for each training that ends.
        fields: what is the same for all: fields of :class:`gansmith.training.options.TrainingOptions`, such as steps,
            and of the recipe, with two underscores for the dot or in a mapping as of ``**{"penalty.weight": 1}``.

    Raises UserError, in one line, for fields and values that make no training, and where nothing could be trained.
    """
    varied = tuple((name.replace("-", "_"), tuple(map(_plain, values))) for name, values in named(vary, "vary").items())
    for name, values in varied:
        if len({repr(each) for each in values}) < max(2, len(values)):
            raise UserError(f"`vary` {name}: give two values or more, all different")
    fields = {name: _plain(value) for name, value in fields.items()}
    plan = planned(str(data), recipe, varied, seeds, samples, fields=fields)
    count = many(plan, processes, fields.get("device"))
    return sweeping.sweep(
        plan, folder_of(plan) if out is None else Path(out), processes=count, tell=tell or (lambda line: None)
    )


def _plain(value: Any) -> Any:
    """A value of NumPy's, torch's or pathlib's as Python's own, which a command line can say."""
    if isinstance(value, Path):
        return str(value)
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value


def planned(
    data: str,
    recipe: str,
    vary: Sequence[tuple[str, tuple[Any, ...]]],
    seeds: int,
    samples: int,
    *,
    fields: Mapping[str, Any],
    same: Mapping[str, Any] | None = None,
) -> Plan:
    """The sweep that the arguments ask for, checked. ``same``: other flags of `gansmith train`.

    Raises UserError, in one line, for what makes no training.
    """
    seeds, samples = FROM_1.check("seeds", seeds), MEASURED.check("samples", samples)
    fields = dict(fields)
    first, threads = whole_number("seed", fields.pop("seed", 0)), whole_number("threads", fields.pop("threads", 1))
    changes = {key.replace("__", "."): None if value == "none" else value for key, value in fields.items()}
    words = [word for key, value in {**changes, **(same or {})}.items() for word in flag(key, value)]
    plan = Plan(data, recipe, tuple(vary), tuple(range(first, first + seeds)), tuple(words), samples, threads)
    of_recipe = {key: value for key, value in changes.items() if key.partition(".")[0] in Recipe.model_fields}
    sweeping.check(plan, of_recipe)
    machine = {**changes, **(same or {})}
    device = hardware.choose(str(machine.get("device") or "auto"), "fp32", None, gflop=0).device
    hardware.check_precision(str(machine.get("precision")), device)
    return plan


def folder_of(plan: Plan) -> Path:
    """Where a sweep is kept that names no folder."""
    return Path("sweeps") / f"{Path(plan.data).stem}-{plan.recipe}-{plan.digest}"


def many(plan: Plan, processes: int | None, device: str | None) -> int:
    """How many trainings go on at once: what was asked for, else what the machine has room for."""
    processes = None if processes is None else WORKERS.check("processes", processes)
    on_gpu = hardware.choose(device or "auto", "fp32", None, gflop=float("inf")).device != "cpu"
    room = 1 if on_gpu else max(1, hardware.available_cores() // plan.threads)
    return min(len(plan.combinations) * len(plan.seeds), processes or room)


def rows(result: Result) -> list[list[str]]:
    """A line for each combination under :data:`HEADERS`, the best first: figures with their noise, quality in words."""
    lines = []
    for values, reports in result.reports.items():
        group = Group(words_of(values), tuple(reports), "", "")
        cells = [
            f"{wording.number(group.mean(key), key)} ± {wording.number(group.noise(key), key)}"
            if all(key in report for report in reports)
            else ""
            for key in COLUMNS
        ]
        words = ", ".join(dict.fromkeys(wording.quality(report) for report in reports))
        order = group.mean("fd") if all("fd" in report for report in reports) else float("inf")
        lines.append((order, [words_of(values), str(len(reports)), *cells, words]))
    return [line for _, line in sorted(lines, key=lambda each: each[0])]
