"""Runs side by side: what differs in their configuration, and which differences are more than noise."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gansmith.errors import UserError
from gansmith.files import read_json
from gansmith.runs import Run, quality
from gansmith.studio import live
from gansmith.text import finite, flat

UNTOLD = {"format", "animation", "origin", "recipes", "gif", "log_every", "sheet_every", "checkpoint_every"}
"""Fields of run.json that decide nothing of what comes out."""
NO_DIFFERENCE = "no significant difference"


def curves(run: Run) -> dict[str, Any]:
    """The logs of a run by columns, thinned to what a page can draw, and the steps of its sheets."""
    logs = {name: live.Tail(run.path / f"{name}.jsonl", columns).news()[1] for name, columns in live.LOGS.items()}
    return {"logs": logs, "sheets": [step for step, _ in run.sheets()]}


def configuration(run: Run) -> dict[str, Any]:
    """All that decided a run, by dotted names."""
    settings = {k: v for k, v in run.settings.model_dump(mode="json").items() if k not in UNTOLD}
    return {
        "data": run.data.name,
        "images": run.data.count,
        **flat(settings),
        **{f"recipe.{k}" if k == "name" else k: v for k, v in flat(run.recipe.model_dump(mode="json")).items()},
    }


def differences(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The fields in which runs differ: {"field", "values"}; None where a run has no such field."""
    all_of = [configuration(run) for run in runs]
    names = list(dict.fromkeys(name for each in all_of for name in each))
    found = [{"field": name, "values": [each.get(name) for each in all_of]} for name in names]
    return [each for each in found if any(value != each["values"][0] for value in each["values"][1:])]


def metrics(runs: Sequence[Run]) -> dict[str, Any]:
    """What can be said of the difference: of the evaluations where all runs have one, else of what was measured while
    they trained: {"of", "lines", "verdict", "notes", "letters"}.
    """
    if evaluated(runs):
        return _evaluated(runs, [run.path / quality.EVALUATION for run in runs])
    return _measured(runs)


def evaluated(runs: Sequence[Run]) -> bool:
    """Whether there are several runs, and all have an evaluation."""
    return len(runs) > 1 and all((run.path / quality.EVALUATION).is_file() for run in runs)


def _evaluated(runs: Sequence[Run], paths: Sequence[Path]) -> dict[str, Any]:
    """As `gansmith compare` says it."""
    from gansmith.evaluation.comparison import compare
    from gansmith.evaluation.report import Report

    try:
        found = compare([Report.read(path) for path in paths], [run.path for run in runs])
    except UserError as error:
        return {**_measured(runs), "notes": [str(error)]}
    lines = [
        {
            "name": line.figure.name,
            "key": line.figure.key,
            "better": line.figure.better,
            "values": [finite(value) for value in line.values],
            "noise": [finite(value) for value in line.noise],
            "floor": finite(line.figure.floor),
            "best": list(line.best),
            "verdict": line.verdict,
        }
        for line in found.lines
    ]
    groups = [{"letter": group.letter, "name": group.name} for group in found.groups]
    return {"of": "evaluation", "lines": lines, "verdict": found.verdict, "notes": list(found.notes), "groups": groups}


def _measured(runs: Sequence[Run]) -> dict[str, Any]:
    """Of the newest measurements while training: one line, where all were measured alike."""
    known = [quality.known(run) for run in runs]
    groups = [{"letter": chr(ord("A") + place), "name": run.name} for place, run in enumerate(runs)]
    found: dict[str, Any] = {"of": "training", "lines": [], "verdict": "", "notes": [], "groups": groups}
    there = [each for each in known if each is not None]
    if len(there) < len(runs):
        missing = [run.name for run, each in zip(runs, known, strict=True) if each is None]
        return {**found, "notes": [f"not measured yet: {', '.join(missing)}"]}
    first = there[0]
    if any(
        (each.metric, each.samples, each.variance) != (first.metric, first.samples, first.variance) for each in there
    ):
        return {**found, "notes": ["they were measured differently, and cannot be compared; evaluate them"]}
    distances = [each.distance for each in there]
    best = min(distances)
    noise = [each.noise for each in there]
    leader = distances.index(best)
    tied = [i for i, value in enumerate(distances) if value - best <= 2 * max(noise[i], noise[leader])]
    names = [runs[i].name for i in tied]
    verdict = ""
    if len(runs) > 1:
        word = "better" if len(runs) == 2 else "best"
        verdict = (
            NO_DIFFERENCE
            if len(tied) == len(runs)
            else " and ".join(names) + (f" is {word}" if len(tied) == 1 else " lead")
        )
    line = {
        "name": first.metric,
        "key": "fd",
        "better": "lower",
        "values": [finite(value) for value in distances],
        "noise": [finite(value) for value in noise],
        "floor": finite(first.floor),
        "best": names,
        "verdict": verdict,
    }
    return {**found, "lines": [line], "verdict": verdict}


def evaluation(run: Run) -> dict[str, Any] | None:
    """evaluation.json; None where there is none that can be read."""
    try:
        return read_json(run.path / quality.EVALUATION)
    except UserError:
        return None
