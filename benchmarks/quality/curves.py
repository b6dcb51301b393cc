"""Time to quality: `house` beside what one would train instead, for the same seconds of one core.

    python -m benchmarks.quality.curves --seconds 240 --seeds 0
    python -m benchmarks.quality.curves --draw

Each recipe is trained as published, on MNIST, on one thread, in fp32. At some marks its generator is exported and
measured as `gansmith evaluate` does, 5,000 images against the test images; that takes none of its seconds. Images of
another size, such as 64x64, are brought to 28x28 first. What was measured is kept in
benchmarks/results/time-to-quality.json, and not trained again.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gansmith as gs
from benchmarks.quality.__main__ import training
from gansmith import data, hardware, own, recipes
from gansmith import generator as sampling
from gansmith.evaluation.report import Report
from gansmith.generator import Generator
from gansmith.nn.isolation import isolated

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "time-to-quality.json"
PICTURE = ROOT / "docs" / "images" / "time-to-quality.png"
RIVALS = ROOT / "benchmarks" / "quality" / "rivals.py"
ARTICLES = ("mlp", "mlp-bn", "deconv", "dcgan-transpose", "dcgan-upsample")
RECIPES = ("house", *ARTICLES, "wgan-gp", "pytorch-dcgan", "keras-dcgan")
MARKS = (0.1, 0.2, 0.4, 0.7, 1.0)
"""Shares of the seconds after which a generator is measured."""
SAMPLES = 5000
FIGURES = ("fd", "recognised", "recall", "coverage")


@isolated()
def curve(name: str, seconds: float, seed: int, marks: Sequence[float] = MARKS) -> dict[str, Any]:
    """One training: what was measured at each mark."""
    recipe = recipes.get(name)
    dataset = data.load("mnist", size=recipe.size)
    left, points, floor = [share * seconds for share in marks], [], None
    for state, spent, _ in training(recipe, dataset, seed=seed, seconds=seconds):
        if spent < left[0]:
            continue
        while left[1:] and spent >= left[1]:  # where one step takes longer than from mark to mark
            left.pop(0)
        left.pop(0)
        made = sampling.snapshot(state.shown, recipe)
        made.classes, made.about = dataset.classes, {"data": "mnist", "steps": state.step, "seed": seed}
        report = measured(made)
        found = {key: float(f"{report[key].value:.4g}") for key in FIGURES}
        points.append({"seconds": round(spent, 1), "steps": state.step, **found})
        floor = report["fd"].floor
        print(f"{name}, seed {seed}: {points[-1]}", flush=True)
        if not left:
            break
    return {"recipe": name, "seed": seed, "seconds": seconds, "floor": floor, "points": points}


def measured(made: Generator) -> Report:
    """Its images against MNIST's test images."""
    with tempfile.TemporaryDirectory() as folder:
        what: Any = made.save_pretrained(Path(folder) / "generator")
        if made.recipe.size != 28:  # measured as images, which are brought to the data's size
            what = made.sample(SAMPLES, seed=0).images
        return gs.evaluate(what, data="mnist", samples=SAMPLES, seeds=1)


def draw(curves: list[dict[str, Any]], path: Path) -> None:
    """Frechet distance over core-seconds, both on logarithmic scales: a thin line a seed, a thick one their median."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), dpi=120, layout="constrained")
    runs: dict[str, list[list[tuple[float, float]]]] = {}
    for each in curves:
        runs.setdefault(each["recipe"], []).append([(point["seconds"], point["fd"]) for point in each["points"]])
    worst_first = sorted(runs, key=lambda name: -statistics.median(run[-1][1] for run in runs[name]))
    for number, name in enumerate(worst_first):
        common = min(map(len, runs[name]))  # where a step is slow, a run can miss a mark
        middle = [
            [statistics.median(values) for values in zip(*marks, strict=True)]
            for marks in zip(*(run[-common:] for run in runs[name]), strict=True)
        ]
        axes.plot(
            *zip(*middle, strict=True),
            "o-",
            color=f"C{number}",
            linewidth=2.5 if name == "house" else 1.5,
            markersize=4,
            label=name,
        )
        for run in runs[name]:
            axes.plot(*zip(*run, strict=True), color=f"C{number}", linewidth=0.5)
    floor = curves[0]["floor"]
    axes.axhline(floor, color="grey", linestyle=":")
    axes.annotate(
        "as many real training images",
        (0.02, floor),
        (0, 4),
        axes.get_yaxis_transform(),
        textcoords="offset points",
        color="grey",
    )
    axes.set(xscale="log", yscale="log", xlabel="seconds of one core", ylabel="Frechet distance to real test digits")
    axes.set_xticks([30, 60, 120, 240], ["30", "60", "120", "240"])
    axes.set_xticks([], minor=True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside center right", frameon=False)
    figure.savefig(path)


def main() -> None:
    """Reads the command line, trains what is not there yet, and draws."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--marks", type=float, nargs="+", default=MARKS, help="shares of the seconds to measure after")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    parser.add_argument("--draw", action="store_true", help="only draw what was measured")
    given = parser.parse_args()
    own.load(RIVALS)
    wanted = [] if given.draw else [(name, seed) for seed in given.seeds for name in given.recipes]
    for name, seed in wanted:
        done = [(each["recipe"], each["seed"], each["seconds"]) for each in read(given.out)["curves"]]
        if (name, seed, given.seconds) not in done:
            found = curve(name, given.seconds, seed, given.marks)
            kept = read(given.out)  # another process may have added to it
            kept["curves"] += [found]
            given.out.write_text(json.dumps(kept, indent=1) + "\n")
    draw(read(given.out)["curves"], given.picture)


def read(path: Path) -> dict[str, Any]:
    """What was measured so far."""
    empty = {"processor": hardware.processor(), "samples": SAMPLES, "curves": list[Any]()}
    return json.loads(path.read_text()) if path.exists() else empty


if __name__ == "__main__":
    main()
