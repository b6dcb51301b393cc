"""What the recipes reach: each trained to its length on several seeds, evaluated, and set side by side.

    python -m benchmarks.recipes train RUNS     # goes on where it was stopped; two hours and more of two cores
    python -m benchmarks.recipes tables RUNS    # evaluates what is trained; tables into docs/recipes.md and papers.md

``--only mlp deconv`` takes some of the cases. Every case has a folder of runs in RUNS, which `gansmith` verbs can read.
Two cases and their twins train the same recipe with fast and with plain layers: the quality of both must be the same.
The papers' recipes are narrow, as a laptop trains them in minutes; their table is in docs/papers.md.
"""

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.speed.table import fill, grid
from gansmith import evaluation, runs
from gansmith.evaluation import inputs, pipeline, stored
from gansmith.evaluation.report import Report
from gansmith.experiment import execute
from gansmith.runs import Run

ROOT = Path(__file__).parents[1]
THREE = (0, 1, 2)


@dataclass(frozen=True)
class Case:
    """A recipe, its data and length, and the seeds it is trained with."""

    name: str
    recipe: str
    steps: int
    source: str = "mnist"
    seeds: tuple[int, ...] = THREE
    overrides: Mapping[str, Any] = field(default_factory=dict)
    fast: str = "auto"


NARROW = {"generator.width": 0.25, "discriminator.width": 0.25, "batch_size": 64}
HEADLINE = (
    Case("mlp", "mlp", 46_900),
    Case("mlp-bn", "mlp-bn", 15_000),
    Case("deconv", "deconv", 3_000),
    Case("dcgan-upsample", "dcgan-upsample", 3_000, seeds=(0,)),
    Case("dcgan-transpose", "dcgan-transpose", 3_000, seeds=(0,)),
    Case("fashion-mlp-bn", "mlp-bn", 15_000, "fashion-mnist"),
)
PATHS = (
    Case("deconv-plain", "deconv", 3_000, fast="off"),
    Case("narrow-fast", "dcgan-upsample", 500, overrides=NARROW),
    Case("narrow-plain", "dcgan-upsample", 500, overrides=NARROW, fast="off"),
)
PAPERS = (
    *(
        Case(f"paper-{name}", name, 3_000, seeds=(0,), overrides=NARROW)
        for name in ("dcgan", "infogan", "lsgan", "wgan-gp", "acgan", "sngan")
    ),
    Case(
        "paper-r3gan",
        "r3gan",
        1_500,
        seeds=(0,),
        overrides={"generator.width": 0.5, "discriminator.width": 0.5, "batch_size": 32},
    ),
)
TWINS = (("deconv", "deconv-plain"), ("narrow-fast", "narrow-plain"))
COLUMNS = {
    "fd": "FD to test",
    "fd_control": "FD-control",
    "kid": "KID x 1000",
    "precision": "precision",
    "recall": "recall",
    "coverage": "coverage",
    "recognised": "recognised",
    "class_entropy": "class entropy",
    "closer": "closer to train",
}


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("train", "tables"))
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("--only", nargs="+", help="these cases")
    parser.add_argument("--threads", type=int, help="of each training; every core if not given")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs" / "recipes.md", help="takes the tables")
    parser.add_argument(
        "--papers", type=Path, default=ROOT / "docs" / "papers.md", help="takes that of the papers' recipes"
    )
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "recipes.json")
    arguments = parser.parse_args()
    cases = [case for case in (*HEADLINE, *PATHS, *PAPERS) if not arguments.only or case.name in arguments.only]
    if arguments.do == "train":
        for case in cases:
            for seed in case.seeds:
                train(case, seed, arguments.runs, threads=arguments.threads)
        return
    found = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    found |= {case.name: told for case in cases if (told := measured(case, arguments.runs))["steps"]}
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(found, indent=1) + "\n")
    fill(arguments.docs, "recipes", "\n".join([*table(found, HEADLINE), "", *protocols(found, HEADLINE)]))
    fill(arguments.docs, "layers", "\n".join(twins(found)))
    fill(arguments.papers, "papers", "\n".join([*table(found, PAPERS), "", *protocols(found, PAPERS)]))
    print(f"results: {arguments.results}; tables: {arguments.docs} and {arguments.papers}")


def train(case: Case, seed: int, root: Path, *, threads: int | None) -> Run:
    """A run of this case and seed at its full length: what is there already goes on."""
    begun, run = time.perf_counter(), existing(case, seed, root)
    if run is None:
        run = execute.train(
            case.source, recipe=case.recipe, steps=case.steps, seed=seed, threads=threads, fast=case.fast,
            overrides=case.overrides, out=root / case.name,
        )  # fmt: skip
    elif step_of(run) < case.steps:
        run = execute.resume(run.path, steps=case.steps)
    print(
        f"{case.name}, seed {seed}: {step_of(run):,} steps ({(time.perf_counter() - begun) / 60:.1f} minutes)",
        flush=True,
    )
    return run


def existing(case: Case, seed: int, root: Path) -> Run | None:
    """The run of this case and seed, if there is one."""
    folder = root / case.name
    return next((run for run in runs.every(folder) if run.settings.seed == seed), None) if folder.is_dir() else None


def step_of(run: Run) -> int:
    """The last step that it made."""
    return int(run.metrics()[-1]["step"]) if run.metrics() else 0


def measured(case: Case, root: Path) -> dict[str, Any]:
    """What `gansmith evaluate` says of each seed of a case, and what was evaluated."""
    found = []
    for seed in case.seeds:
        run = existing(case, seed, root)
        if run is None or not run.finished:
            continue
        found.append((run, evaluated(run)))
        print(f"{case.name}, seed {seed}: FD {found[-1][1]['fd'].value:.3f}", flush=True)
    reports = [report for _, report in found]
    keys = [key for key in COLUMNS if reports and all(key in report for report in reports)]
    return {
        "recipe": case.recipe,
        "data": case.source,
        "steps": [report.subject.step for report in reports],
        "seeds": [report.subject.seed for report in reports],
        "layers": "plain" if case.fast == "off" else "fast",
        "precision": sorted({run.settings.precision for run, _ in found}),
        "overrides": dict(case.overrides),
        "figures": {key: [report[key].value for report in reports] for key in keys},
        "floors": {key: reports[0][key].floor for key in keys},
        "protocol": reports[0].protocol.line if reports else "",
    }


def evaluated(run: Run) -> Report:
    """Its evaluation, made if the run's folder has none of its newest step."""
    made = inputs.resolve(run)
    assert isinstance(made, inputs.Made)
    asked: dict[str, Any] = {"data": None, "samples": None, "seed": 0, "seeds": pipeline.SEEDS, "encoder": None}
    report = stored.find(run, made, **asked)
    if report is None:
        fresh = evaluation.measure(made, **asked)
        stored.save(run, fresh)
        report = fresh.report
    return report


def table(found: Mapping[str, Any], cases: Sequence[Case]) -> list[str]:
    """A line for each case: means over the training seeds, and their standard deviation."""
    heads = ["recipe", "data", "steps", "seeds", *COLUMNS.values()]
    lines = []
    floors: dict[str, Mapping[str, float]] = {}
    for case in cases:
        told = found.get(case.name)
        if not told or not told["steps"]:
            continue
        floors.setdefault(case.source, told["floors"])
        steps = ", ".join(f"{step:,}" for step in sorted(set(told["steps"])))
        cells = [cell(key, told["figures"].get(key)) for key in COLUMNS]
        lines.append([f"`{case.recipe}`", case.source, steps, str(len(told["seeds"])), *cells])
    for source, floor in floors.items():
        lines.append(
            ["*real images*", source, "", "", *(cell(key, [floor[key]] if key in floor else None) for key in COLUMNS)]
        )
    return grid(heads, lines)


def cell(key: str, values: Sequence[float | None] | None) -> str:
    """Mean ± standard deviation; the mean alone of one value; empty without any."""
    known = [value for value in values or [] if value is not None]
    if not known:
        return ""
    scale = 1000 if key == "kid" else 1
    mean = scale * statistics.fmean(known)
    digits = 2 if abs(mean) < 100 else 0
    spread = f" ± {scale * statistics.stdev(known):.{digits}f}" if len(known) > 1 else ""
    return f"{mean:.{digits}f}{spread}"


def protocols(found: Mapping[str, Any], cases: Sequence[Case]) -> list[str]:
    """Each protocol once."""
    lines = dict.fromkeys(found[case.name]["protocol"] for case in cases if found.get(case.name, {}).get("protocol"))
    return [f"Protocol: {line}." for line in lines]


def twins(found: Mapping[str, Any]) -> list[str]:
    """Fast beside plain layers: each seed's Frechet distance, and the difference in standard deviations of seeds."""
    heads = ["recipe", "steps", "layers", "FD to test, by seed", "mean", "difference"]
    lines = []
    for names in TWINS:
        pair = [found[name] for name in names if found.get(name, {}).get("steps")]
        if len(pair) < 2:
            continue
        values = [told["figures"]["fd"] for told in pair]
        noise = max(statistics.stdev(each) for each in values)
        apart = statistics.fmean(values[0]) - statistics.fmean(values[1])
        for told, each in zip(pair, values, strict=True):
            changes = "".join(f", {name} {value:g}" for name, value in told["overrides"].items())
            said = f"{apart:+.2f}, {abs(apart) / noise:.1f} of the seeds' standard deviation" if told is pair[0] else ""
            lines.append(
                [f"`{told['recipe']}`{changes}", f"{told['steps'][0]:,}", told["layers"],
                 ", ".join(f"{value:.2f}" for value in each), cell("fd", each), said]
            )  # fmt: skip
    return grid(heads, lines)


if __name__ == "__main__":
    main()
