"""Whether remedies help: runs that fail are trained again with the flags the doctor proposes, up to three times.

    python -m benchmarks.remedies          # about 6 minutes of one core

The cases are those of the doctor's proof whose cause a flag can take away: a setting, the data, or too many steps. Each
remedy comes on top of those before it, as somebody would do who takes the doctor at its word. A DCGAN is a quarter as
wide, and makes 250 steps.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.doctor import markdown, train
from benchmarks.doctor_cases import CASES, SMALL_DCGAN, Case
from gansmith.doctor.examination import examine

SEED = 40
TRIES = 3


def treatable(case: Case) -> bool:
    """Whether what makes it fail can be taken away by a flag."""
    return case.fails and (case.change is None or "late collapse" in case.right)


def flags(remedy: str) -> dict[str, list[Any]]:
    """`--real-label 0.9 --conditional` -> {"real_label": [0.9], "conditional": []}: numbers as numbers."""
    found: dict[str, list[Any]] = {}
    for word in remedy.split():
        if word.startswith("--"):
            found[word.removeprefix("--").replace("-", "_")] = values = []
        else:
            values.append(json.loads(word) if word.lstrip("-")[:1].isdigit() else word)
    return found


def treated(case: Case, remedy: str) -> Case:
    """The case with a remedy's flags on top of what it has."""
    given = flags(remedy)
    changes: dict[str, Any] = {name: given.pop(name)[0] for name in ("recipe", "steps") if name in given}
    overrides: Mapping[str, Any] = {
        **case.overrides,
        **{name: values[0] if len(values) == 1 else tuple(values) or True for name, values in given.items()},
    }
    if changes.get("recipe", "").startswith("dcgan"):
        overrides, changes = {**overrides, **SMALL_DCGAN}, {**changes, "steps": 250}
    return replace(case, name=f"{case.name} {remedy}", overrides=overrides, **changes)


def course(case: Case, seed: int, out: Path) -> list[tuple[str, str]]:
    """The doctor's answer to the case, and to it with each remedy until none is left: (remedy, answer)."""
    said: list[tuple[str, str]] = []
    remedy = ""
    for _ in range(1 + TRIES):
        found = examine(train(case, seed, out), sheets=False)
        problem = next(iter(found.problems), None)
        said.append((remedy, problem.name if problem else found.verdict))
        if problem is None or "--seed" in problem.remedy:
            break
        remedy = problem.remedy
        case = treated(case, remedy)
    return said


def rows(courses: Mapping[str, Sequence[tuple[str, str]]]) -> list[list[str]]:
    """A line for each case: what it had, and what became of it."""
    return [
        [name, first, *(f"`{remedy}`: {after}" for remedy, after in rest), *[""] * (TRIES - len(rest))]
        for name, ((_, first), *rest) in courses.items()
    ]


def main() -> None:
    """Trains, treats, and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.remedies", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--out", type=Path, default=None, help="keep the runs here, and use those that are there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    courses = {}
    with ExitStack() as stack:
        out = given.out or Path(stack.enter_context(TemporaryDirectory()))
        out.mkdir(parents=True, exist_ok=True)
        for case in CASES:
            if treatable(case) and given.only in case.name:
                courses[case.name] = course(case, given.seed, out)
                print(f"{case.name}: {'; '.join(f'{a} -> {b}' if a else b for a, b in courses[case.name])}", flush=True)
    tries = [f"try {number}" for number in range(1, TRIES + 1)]
    print("\n" + markdown(["run", "problem", *tries], rows(courses)))
    well = sum(said[-1][1] in {"healthy", "near real"} for said in courses.values())
    print(f"\n{well} of {len(courses)} got well; seed {given.seed}")


if __name__ == "__main__":
    main()
