"""A sweep: one recipe trained for a few steps at each combination of some fields' values, each with several seeds.

Each training is `gansmith train` in a process of its own, so many at once as there are cores, and each is evaluated by
`gansmith evaluate`. What is done is in the sweep's folder: the same sweep again goes on where it was stopped.
"""

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gansmith import markup, recipes, runs
from gansmith.errors import UserError
from gansmith.evaluation.comparison import Comparison, compare
from gansmith.evaluation.report import FILE, Report
from gansmith.experiment import guards
from gansmith.files import read_json, write_json
from gansmith.recipe import Recipe
from gansmith.runs import Run
from gansmith.text import printable

MOST = 200
"""Trainings of a sweep."""
PLAN = "sweep.json"
Values = tuple[tuple[str, Any], ...]
"""Names of fields with a value each, in the order in which they were given."""


@dataclass(frozen=True)
class Plan:
    """All that decides a sweep."""

    data: str
    recipe: str
    vary: tuple[tuple[str, tuple[Any, ...]], ...]
    """Fields, or "recipe", with the values of each."""
    seeds: tuple[int, ...]
    words: tuple[str, ...]
    """Further words of `gansmith train`, the same for all."""
    samples: int
    threads: int
    """Of each training."""

    @property
    def combinations(self) -> tuple[Values, ...]:
        """Each combination of values."""
        names = [name for name, _ in self.vary]
        return tuple(tuple(zip(names, each, strict=True)) for each in itertools.product(*(v for _, v in self.vary)))

    @property
    def digest(self) -> str:
        """Eight hex digits of SHA-256 over all of it but threads, which decide no more than the last bits."""
        return hashlib.sha256(json.dumps(self.written | {"threads": 0}, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def written(self) -> dict[str, Any]:
        """As JSON says it."""
        values: dict[str, Any] = json.loads(json.dumps(vars(self)))
        return values

    def command(self, values: Values, *more: str) -> list[str]:
        """The words of `gansmith train` for a combination."""
        chosen = dict(values)
        recipe = str(chosen.pop("recipe", self.recipe))
        changed = [word for name, value in chosen.items() for word in flag(name, value)]
        return ["train", self.data, "--recipe", recipe, *changed, *self.words, *more]


@dataclass(frozen=True)
class Cell:
    """One training: a combination with a seed, and the folder that it is in."""

    values: Values
    seed: int
    folder: Path

    @property
    def run(self) -> Run | None:
        """Its newest run, once there is one."""
        return max(runs.every(self.folder), key=lambda run: run.name, default=None)

    @property
    def log(self) -> Path:
        """What its processes said."""
        return self.folder / "log.txt"

    @property
    def name(self) -> str:
        """In words."""
        return f"{words_of(self.values)}, seed {self.seed}"


@dataclass(repr=False)
class Result:
    """What came of a sweep: the report of each training, by combination, and what went wrong."""

    plan: Plan
    folder: Path
    reports: dict[Values, list[Report]] = field(default_factory=dict)
    runs: dict[Values, list[Run]] = field(default_factory=dict)
    failures: list[tuple[Cell, str]] = field(default_factory=list)
    interrupted: bool = False

    @property
    def compared(self) -> Comparison | None:
        """All combinations side by side; None for fewer than two that were measured."""
        reports = [report for group in self.reports.values() for report in group]
        return compare(reports) if len(self.reports) > 1 else None

    @property
    def best(self) -> Values | None:
        """The combination of the lowest Frechet distance; None where none was measured."""
        means = {values: _mean(reports) for values, reports in self.reports.items()}
        known = {values: mean for values, mean in means.items() if mean is not None}
        return min(known, key=lambda values: known[values]) if known else None

    def __repr__(self) -> str:
        best = "" if self.best is None else f", lowest at {words_of(self.best)}"
        return f"Result({self.folder.name}: {len(self.reports)} of {len(self.plan.combinations)} combinations{best})"

    def _repr_html_(self) -> str:
        """The table that the command line prints, and what could not be trained."""
        from gansmith.experiment.varying import HEADERS, rows

        failed = [markup.line(f"not trained: {cell.name}: {failure}") for cell, failure in self.failures]
        return markup.block(markup.line(self, strong=True), markup.table(HEADERS, rows(self)), *failed)


def _mean(reports: Sequence[Report]) -> float | None:
    found = [report["fd"].value for report in reports if "fd" in report]
    return sum(found) / len(found) if found else None


def words_of(values: Values) -> str:
    """`generator-optimizer.lr=0.0002, batch-size=64`."""
    return ", ".join(f"{name.replace('_', '-')}={_text(value)}" for name, value in values)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else json.dumps(value)


def flag(name: str, value: Any) -> list[str]:
    """A field and its value as words of `gansmith train`."""
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{dashed}" if value else f"--no-{dashed}"]
    return [f"--{dashed}", "none" if value is None else str(value)]


def parse(text: str) -> tuple[str, tuple[Any, ...]]:
    """`batch-size=32,64` as a field and its values. Raises UserError, in one line, for anything else."""
    name, equals, values = text.partition("=")
    found = [_value(each.strip()) for each in values.split(",") if each.strip()]
    if not name.strip() or not equals or len(found) < 2:
        raise UserError(f"`vary` {printable(text)}: give a field and two values or more, such as batch-size=32,64")
    if len({repr(each) for each in found}) < len(found):
        raise UserError(f"`vary` {printable(text)}: names a value twice")
    return name.strip().lstrip("-").replace("-", "_"), tuple(found)


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None if text == "none" else text
    return value if isinstance(value, int | float | bool) else text


def check(plan: Plan, changes: Mapping[str, Any]) -> None:
    """Raises UserError, in one line, for a combination that is no recipe, and for too many trainings."""
    count = len(plan.combinations) * len(plan.seeds)
    if count > MOST:
        raise UserError(f"`vary`: makes {count:,} trainings; give fewer values or seeds, {MOST} in all at most")
    names = [name for name, _ in plan.vary]
    twice = next((name for name in names if names.count(name) > 1 or name in changes), None)
    if twice:
        raise UserError(f"`vary` {twice}: is given twice")
    for values in plan.combinations:
        chosen = dict(values)
        value: Recipe = recipes.get(str(chosen.pop("recipe", plan.recipe)))
        for fixed in ("name", "steps", "channels", "classes"):
            if fixed in chosen:
                raise UserError(f"`vary` {fixed}: is not varied by a sweep; give one value")
        value.in_two_passes({**changes, **chosen})


def sweep(
    plan: Plan,
    folder: Path,
    *,
    processes: int,
    tell: Callable[[str], None] = lambda line: None,
) -> Result:
    """Trains and evaluates every combination that is not done yet.

    Ctrl-C and SIGTERM save what trains and end it; the same plan in the same folder then goes on.

    Args:
        plan: of :func:`check`.
        folder: where everything is written; an empty or new one, or that of the same plan.
        processes: how many train at once.
        tell: called with a line for each training that ends.

    Raises UserError where another plan's sweep is there, another process sweeps, or nothing could be trained.
    """
    _claim(plan, folder)
    cells = [
        Cell(values, seed, folder / "runs" / f"{number:03d}-seed-{seed}")
        for number, values in enumerate(plan.combinations, 1)
        for seed in plan.seeds
    ]
    result = Result(plan, folder)
    with guards.alone(Run(folder)), guards.interruption() as stop:
        diverged = [cell for cell in cells if (run := cell.run) is not None and run.state == "diverged"]
        result.failures += [(cell, "training diverged") for cell in diverged]
        waiting = [cell for cell in cells if not _done(cell) and cell not in diverged]
        done = len(cells) - len(waiting) - len(diverged)
        if done:
            tell(f"{done} of {len(cells)} done before")
        for cell, failure in _worked(waiting, plan, processes, stop):
            done += failure is None
            if failure is not None:
                result.failures.append((cell, failure))
            tell(f"{done} of {len(cells)}: {cell.name}{f': {failure}' if failure else ''}")
        result.interrupted = stop.is_set()
    result.failures.sort(key=lambda each: cells.index(each[0]))
    for cell in cells:
        if _done(cell) and (run := cell.run) is not None:
            result.reports.setdefault(cell.values, []).append(Report.read(run.path / FILE))
            result.runs.setdefault(cell.values, []).append(run)
    if not result.reports and not result.interrupted and result.failures:
        raise UserError(f"{folder}: nothing could be trained; {result.failures[0][0].name}: {result.failures[0][1]}")
    return result


def _claim(plan: Plan, folder: Path) -> None:
    path = folder / PLAN
    if path.exists():
        there = read_json(path)
        if there | {"threads": 0} != plan.written | {"threads": 0}:
            raise UserError(f"`out` {folder}: holds another sweep; name a new folder, or give that sweep's own words")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"`out` {folder}: is in the way; name a new or empty folder")
    else:
        write_json(path, plan.written)


def _done(cell: Cell) -> bool:
    run = cell.run
    return run is not None and run.state == "finished" and (run.path / FILE).exists()


@dataclass
class _Work:
    """A cell that is trained and evaluated now."""

    cell: Cell
    process: "subprocess.Popen[bytes]"


def _worked(
    cells: Sequence[Cell], plan: Plan, processes: int, stop: threading.Event
) -> Iterator[tuple[Cell, str | None]]:
    """Trains and evaluates cells, so many at once; yields each as it ends, with what went wrong, if anything did."""
    waiting, working = list(cells), list[_Work]()
    try:
        while (waiting and not stop.is_set()) or working:
            while waiting and len(working) < processes and not stop.is_set():
                working.append(_begin(waiting.pop(0), plan))
            if stop.is_set():
                _end(working)
            for each in [each for each in working if each.process.poll() is not None]:
                working.remove(each)
                if not stop.is_set():
                    yield each.cell, _failure(each)
            time.sleep(0.05)
    finally:
        _end(working)


COMMANDS = """
import json, sys
from gansmith.cli import main
for words in json.loads(sys.argv[1]):
    if code := main(words):
        sys.exit(code)
"""
"""What a process does: one command line after the other, as long as they end well."""


def _begin(cell: Cell, plan: Plan) -> _Work:
    own, run = _after(plan.words, "--recipes"), cell.run
    train = plan.command(cell.values, "--seed", str(cell.seed), "--threads", str(plan.threads))
    train += ["--out", str(cell.folder)]
    if run is not None and run.state != "finished" and any(run.checkpoints.glob("step-*")):
        train = ["train", "--resume", str(run.path), *own]
    evaluate = ["evaluate", str(cell.folder / "last"), "--samples", str(plan.samples), "--seeds", "1", *own]
    trained = run is not None and run.state == "finished"
    commands = [[*evaluate, "--device", "cpu"]] if trained else [[*train, "--quiet"], [*evaluate, "--device", "cpu"]]
    cell.folder.mkdir(parents=True, exist_ok=True)
    with cell.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMANDS, json.dumps(commands)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=os.environ | {"OMP_NUM_THREADS": str(plan.threads)},
            start_new_session=True,  # Ctrl-C is for the sweep, which passes it on once
        )
    return _Work(cell, process)


def _after(words: Sequence[str], name: str) -> list[str]:
    """A flag among words with its value; nothing if it is not there."""
    place = words.index(name) if name in words else None
    return [] if place is None else list(words[place : place + 2])


def _failure(work: _Work) -> str | None:
    """The last line of what a process that failed said; None for one that did not."""
    if work.process.returncode == 0:
        return None
    lines = work.cell.log.read_bytes().decode("utf-8", "replace").strip().splitlines()
    return printable(lines[-1]).removeprefix("gansmith: ") if lines else f"ended with {work.process.returncode}"


def _end(working: Sequence[_Work]) -> None:
    """Asks processes to save and end, once each, and waits for them."""
    for each in working:
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGTERM)
    for each in working:
        each.process.wait()
