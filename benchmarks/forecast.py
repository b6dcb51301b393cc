"""Stores what runs of ours measured while they trained, for the forecasts of `gansmith train --plan`, and checks them.

    python -m benchmarks.forecast RUN [RUN ...] [--add]

A run counts whose recipe is as listed, from its first tenth on, in which its rates warm up: a run that ends there has
warmed up long before. Curves of data or modes that no run here is of stay as they are, and with --add those of the same
data and modes too. The check leaves each run out in turn and forecasts its measurements from the others': the share
inside the stated interval should be at least 8 in 10.
"""

import argparse
import json
from pathlib import Path

from gansmith.experiment import forecast
from gansmith.runs import Run

STORED = Path(forecast.__file__).with_name("forecast.json")
WARM = 0.1
"""The share of a run that is left out."""


def main() -> None:
    """Reads the runs, writes the file, prints the check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs that were measured while they trained")
    parser.add_argument("--out", type=Path, default=STORED, help="the file to write")
    parser.add_argument("--add", action="store_true", help="keep stored curves of the same data and mode")
    given = parser.parse_args()
    curves: dict[str, list[list[tuple[int, float]]]] = {}
    for path in given.runs:
        run = Run(path)
        rows = [(int(row["step"]), float(f"{row['fd']:.4g}")) for row in run.quality()]
        curve = [(step, distance) for step, distance in rows if step > WARM * rows[-1][0]]
        if curve and forecast.as_published(run.recipe):
            curves.setdefault(forecast.key(run.recipe, run.data.name), []).append(curve)
        else:
            print(f"{path}: left out ({'its recipe is changed' if curve else 'not measured'})")
    kept = {name: [list(curve) for curve in found] for name, found in forecast.stored().items()}
    if given.add:
        curves = {name: kept.get(name, []) + found for name, found in curves.items()}
    body = ",\n".join(f" {json.dumps(name)}: [\n{lines(found)}\n ]" for name, found in sorted((kept | curves).items()))
    given.out.write_text(f"{{\n{body}\n}}\n", encoding="utf-8")
    for name, found in sorted(curves.items()):
        print(f"{name}: {len(found)} runs; {check(found)}")


def lines(curves: list[list[tuple[int, float]]]) -> str:
    """A line of JSON for each run."""
    return ",\n".join(f"  {json.dumps(curve)}" for curve in curves)


def check(curves: list[list[tuple[int, float]]]) -> str:
    """How many measurements of each run lie in the interval that the other runs forecast."""
    inside = []
    for index, curve in enumerate(curves):
        others = curves[:index] + curves[index + 1 :]
        for steps, distance in curve:
            found = forecast.predict(others, steps)
            if found is not None:
                inside.append(found.low <= distance <= found.high)
    return f"{sum(inside)} of {len(inside)} measurements inside" if inside else "no second run to check with"


if __name__ == "__main__":
    main()
