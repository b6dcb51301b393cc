"""Makes the generators that come with gansmith, from runs, with a card and an evaluation each.

    gansmith train mnist --conditional --steps 20000 --out made
    PYTHONPATH=src python -m benchmarks.pretrained made/mnist-house-001 mnist

Evaluates 3 x 10,000 images and writes src/gansmith/pretrained/NAME. ``--best`` takes the checkpoint that measured best.
"""

import argparse
import shutil

import gansmith as gs
from gansmith import runs
from gansmith.cli.output import progress
from gansmith.evaluation import wording
from gansmith.evaluation.report import Report
from gansmith.files import write_text

LICENCES = {
    "mnist": "The images are MNIST's (Y. LeCun, C. Cortes, C. Burges), offered under CC BY-SA 3.0",
    "fashion-mnist": "The images are Fashion-MNIST's (Zalando SE, 2017), offered under the MIT licence",
}


def main() -> None:
    """Reads the command line, exports, evaluates and writes the card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", help="folder of the run")
    parser.add_argument("name", help="of the generator: the data's")
    parser.add_argument("--best", action="store_true", help="take the checkpoint that measured best")
    parser.add_argument("--flags", default="", help="what else the run was trained with, for the card")
    parser.add_argument("--first", type=int, help="steps that it was trained to before it was resumed, for the card")
    parser.add_argument("--before", default="", help="flags of the run that it began with, for the card")
    given = parser.parse_args()
    run = runs.find(given.run)
    generator = gs.load(run, which="best" if given.best else "newest")
    if run.settings.origin is not None:
        generator.about["steps"] = generator.about["steps"] + run.settings.origin.step  # type: ignore[operator]
    folder = runs.run.PRETRAINED / given.name
    shutil.rmtree(folder, ignore_errors=True)
    generator.save_pretrained(folder)
    report = gs.evaluate(folder, data=given.name, progress=progress)
    report = report.model_copy(update={"subject": report.subject.model_copy(update={"name": given.name})})
    report.save(folder / "evaluation.json")
    command = commands(given.name, run, f" {given.flags}".rstrip(), f" {given.before}".rstrip(), given.first)
    text = card(given.name, run, generator, report, command)
    write_text(folder / "README.md", text)
    print(text)


def commands(name: str, run: runs.Run, flags: str, before: str, first: int | None) -> str:
    """What trains it, in lines."""
    labels = " --conditional" if run.recipe.conditional != "none" else ""
    recipe, seed, origin = f"--recipe {run.recipe.name}{labels}", run.settings.seed, run.settings.origin
    if origin is not None:
        begun = runs.find(run.path.parent / origin.run)
        stopped = "" if begun.finished else f"    # stopped with Ctrl-C at step {origin.step:,}"
        return (
            f"gansmith train {name} {recipe}{before} --steps {begun.settings.steps} --seed {begun.settings.seed}"
            f"{stopped}\n"
            f"gansmith train --from last{flags} --steps {run.settings.steps} --seed {seed}"
        )
    command = f"gansmith train {name} {recipe}{flags} --steps {first or run.settings.steps} --seed {seed}"
    return command + (f"\ngansmith train --resume last --steps {run.settings.steps}" if first else "")


def card(name: str, run: runs.Run, generator: gs.Generator, report: Report, command: str) -> str:
    """README.md of the folder."""
    steps, seed, labels = generator.about["steps"], run.settings.seed, run.recipe.conditional != "none"
    head, *rows = [wording.HEADERS, *wording.rows(report)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
    return f"""---
library_name: gansmith
tags: [gan, image-generation]
datasets: [{name}]
---

# {name}: a generator that comes with gansmith

Recipe `{run.recipe.name}`, {steps:,} steps of {run.recipe.batch_size} images, seed {seed}, trained on the 60,000
training images of {name}{" and their labels" if labels else ""}, nothing else.
{LICENCES[name]}.

```
gansmith sample {name} -n 64
{command}    # {steps:,} steps in all
```

For: demonstrations, lessons, trying latent tools, an opponent for your own generator. Not for: training what must read
real {name}, or anything about people; what it never draws (see recall) is missing without a sign.

{wording.headline(report)}

{table}

protocol: {report.protocol.line}
"""


if __name__ == "__main__":
    main()
