"""The command line: each verb is a function that calls the library and prints; errors are one line and exit code 2."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter, UnknownOptionError, UnusedCliTokensError

from gansmith import files
from gansmith.cli.output import colours, document, finite, pairs, progress, say, table
from gansmith.errors import UserError
from gansmith.experiment import environment
from gansmith.runs import load
from gansmith.text import amount

__all__ = ["app", "main"]

Json = Annotated[bool, Parameter(negative=(), show_default=False, help="print one JSON document")]


def version() -> str:
    """The package's version."""
    from gansmith._version import __version__

    return __version__


app = App(
    name="gansmith",
    help="Learn to forge images from a small data set. Start with `gansmith train --minutes 2`.",
    help_format="plaintext",
    version=version,
    result_action="return_value",
)
app.command(
    "gansmith.cli.train:train", name="train", help="Train a generator and a discriminator on images.", sort_key=0
)
app.command(
    "gansmith.cli.evaluate:evaluate",
    name="evaluate",
    help="Measure generated images against real ones: a table in plain words, with the floor beside each figure.",
    sort_key=3,
)
app.command(
    "gansmith.cli.evaluate:compare",
    name="compare",
    help="Put runs side by side, and rank them only where the difference is more than noise.",
    sort_key=3,
)
app.command(
    "gansmith.cli.encoder:app",
    name="encoder",
    help="Train or show an encoder: the network whose features images are measured by.",
    sort_key=7,
)

app.command(
    "gansmith.cli.doctor:doctor", name="doctor", help="Say what is wrong with a run, and what to try.", sort_key=6
)

for _module, _verb, _help in (
    ("explore", "morph", "Turn one image into another: a strip of frames, or an animation."),
    ("explore", "mix", 'Do arithmetic on noise, such as "12 - 40 + 7".'),
    ("explore", "directions", "Find the ways to go in latent space that change most."),
    ("search", "find", "Find noise that makes a class, or a look: which noise makes a 7?"),
    ("search", "invert", "Find the noise that makes your own picture."),
    ("quiz", "quiz", "Real or forged? Asks you, and says whether you beat guessing."),
    ("real", "truncate", "Trade variety for quality, and measure the trade."),
    ("real", "neighbours", "Show samples beside the training images nearest to them."),
):
    app.command(f"gansmith.cli.{_module}:{_verb}", name=_verb, help=_help, sort_key=20)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code: 0, 2 for what the user can mend, 130 when interrupted."""
    try:
        code = app(argv, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        return _refuse(_reworded(error))
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except UserError as error:
        if os.environ.get("GANSMITH_DEBUG"):
            raise
        return _refuse(with_flags(str(error)))
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not re.search("out of memory|can't allocate memory", str(error)):
            raise
        return _refuse("not enough memory; take smaller images, batches or networks, or fewer samples")
    except KeyboardInterrupt:
        say("gansmith: interrupted", aside=True)
        return 130
    return code if isinstance(code, int) else 0


def _refuse(message: str) -> int:
    say(f"gansmith: {' '.join(message.split())}", aside=True)
    return 2


def with_flags(message: str) -> str:
    """A message of the library in the words of the command line: the parameter `sanity_steps` is --sanity-steps."""
    return re.sub(r"`([a-z][a-z_]*)`", lambda match: "--" + match[1].replace("_", "-"), message)


def _reworded(error: CycloptsError) -> str:
    """A parse error in one line; for an unknown flag such as --lr, the recipe's flags that end so."""
    error.verbose = False
    message = " ".join(str(error).split())
    if isinstance(error, UnusedCliTokensError):
        return f"too many arguments: {' '.join(error.unused_tokens or [])}"
    if not isinstance(error, UnknownOptionError) or "Did you mean" in message:
        return message
    from gansmith.recipe import fields

    leaf = (error.token.keyword or error.token.value).lstrip("-").replace("-", "_")
    near = ["--" + name.replace("_", "-") for name, _ in fields() if name.endswith(f".{leaf}")]
    return f"{message} Did you mean {' or '.join(near)}?" if near else f"{message} --help lists all."


@app.command(sort_key=1)
def recipes(name: str | None = None, /, *, json: Json = False) -> None:
    """List the recipes, or show one: its layers, and every field as TOML.

    What `gansmith recipes NAME > my.toml` writes can be edited and trained: `gansmith train --config my.toml`.

    Args:
        name: a recipe of the list; without it, the list.
    """
    from gansmith import recipes

    if name is not None:
        recipe = recipes.get(name)
        summary = recipes.summary(recipe)
        if json:
            document({"recipe": recipe.model_dump(mode="json"), **asdict(summary)})
            return
        entry = recipes.entry(name)
        say(f"# {name}: {entry.note}\n# after {entry.author}, “{entry.title}” ({entry.year})\n#")
        for player in ("generator", "discriminator"):
            say(_layer_table(player, getattr(summary, player)))
        say(recipe.to_toml().rstrip())
        return
    rows = [_recipe_row(each) for each in recipes.names()]
    if json:
        document(rows)
        return
    headers = ["recipe", "after", "generator", "discriminator", "batch", "steps", "GFLOP/step"]
    say(table(headers, [[row[header] for header in headers] for row in rows]))
    say("\n" + pairs({row["recipe"]: row["note"] for row in rows}))
    say("\nPlayers are sized in parameters; GFLOP/step is the arithmetic of a step. More: gansmith recipes NAME")


def _recipe_row(name: str) -> dict[str, Any]:
    from gansmith import recipes

    entry, recipe = recipes.entry(name), recipes.get(name)
    generator, discriminator = entry.parameters
    return {
        "recipe": name,
        "after": f"{entry.author} {entry.year}",
        "title": entry.title,
        "generator": generator,
        "discriminator": discriminator,
        "batch": recipe.batch_size,
        "steps": recipe.steps,
        "GFLOP/step": finite(recipes.step_gflop(recipe)),
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


@app.command(sort_key=2)
def data(
    source: str = "mnist",
    /,
    *,
    size: int | None = None,
    fit: Literal["crop", "pad"] = "crop",
    split: Literal["train", "test"] = "train",
    seed: int = 0,
    sheet: Path | None = None,
    json: Json = False,
) -> None:
    """Show a data set: how many images of which size and class, a few of them, and what was skipped and why.

    Args:
        source: mnist (the default), another name, or the path of an image folder, .zip, .npz or IDX file.
        size: height and width in pixels that images are brought to; their own if not given.
        fit: what becomes of images that are not square: cropped to the centre, or padded.
        split: of the two that some sources have.
        seed: chooses the images to show, and makes colour-mnist and stacked-mnist.
        sheet: write 64 of the images as a picture.
    """
    from gansmith import data, render

    found = data.inspect(source, split=split, size=size, fit=fit, seed=seed, progress=progress)
    shown = None if found.dataset is None else found.dataset.take(_some(len(found.dataset), seed))
    if sheet is not None and shown is not None:
        render.sheet(shown).save(sheet)
    if json:
        document({**found.to_dict(), "sheet": sheet})
        return
    say(data.describe(found))
    if shown is not None:
        say("\n" + render.blocks(shown[:8], columns=4, colour=colours()))
    if sheet is not None:
        say(f"\nsheet: {sheet}" if shown is not None else "\nno sheet: too few images")


def _some(count: int, seed: int) -> Any:
    import numpy as np

    return np.random.default_rng(seed).choice(count, min(64, count), replace=False)


@app.command(sort_key=3)
def sample(
    run: str,
    /,
    *,
    number: Annotated[int, Parameter(name=("--number", "-n"))] = 64,
    seed: int = 0,
    label: str | None = None,
    best: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    out: Annotated[Path, Parameter(name=("--out", "-o"))] = Path("sheet.png"),
    device: str = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    json: Json = False,
) -> None:
    """Make images with a trained generator. Image i of a seed is one image, however many are asked for.

    Args:
        run: a run's folder, its name under runs/, or last; or an exported generator's folder.
        number: how many images.
        seed: of the endless sequence they are the beginning of.
        label: the class to make, by name or number, or several that take turns: 3,7; all do if none is named.
        best: take the checkpoint whose quality measured best while training, instead of the newest.
        out: a sheet (.png, .webp, .jpg), arrays (.npz), or a new folder for a PNG each.
        device: auto, cpu, cuda or cuda:1.
        precision: bf16 is faster where the hardware multiplies it, and changes pixels by some grey levels.
    """
    from gansmith.generator import check_target

    check_target(Path(out), number)
    generator = load.load(run, device=device, which="best" if best else "newest")
    generator.precision = precision
    samples = generator.sample(number, seed=seed, label=None if label is None else label.split(","), progress=progress)
    path = samples.save(out)
    if json:
        document({"path": path, "count": number, "seed": seed, "label": label, "recipe": generator.recipe.name})
        return
    say(f"{amount(number, 'image')} of seed {seed}{f', label {label}' if label else ''}: {path}")


@app.command(sort_key=4)
def runs(folder: Path = Path("runs"), /, *, json: Json = False) -> None:
    """List the runs of a folder.

    Args:
        folder: where they are.
    """
    from gansmith import runs

    if not folder.is_dir():
        raise UserError(f"{folder}: no folder of runs; `gansmith train` makes one")
    rows = [_run_row(run) for run in runs.every(folder)]
    if json:
        document(rows)
        return
    if not rows:
        say(f"{folder}: no runs yet; `gansmith train` makes one")
        return
    headers = ["run", "recipe", "data", "state", "step", "discriminator loss", "generator loss"]
    say(table(headers, [[row[header] for header in headers] for row in rows]))


def _run_row(run: Any) -> dict[str, Any]:
    row = dict.fromkeys(["recipe", "data", "state", "step", "discriminator loss", "generator loss"])
    try:
        last = (run.metrics() or [{}])[-1]
        losses = {f"{player} loss": finite(last.get(f"{player}_loss")) for player in ("discriminator", "generator")}
        row |= {
            "recipe": run.recipe.name,
            "data": run.data.name,
            "state": run.state,
            "step": last.get("step"),
            **losses,
        }
    except (UserError, KeyError, TypeError, OSError) as error:  # one damaged run does not hide the others
        row["state"] = f"damaged ({error})"
    return {"run": run.name, **row, "path": run.path}


@app.command(sort_key=5)
def report(run: str, /, *, json: Json = False) -> None:
    """Write a run's report.html again: one file that shows all of it and needs no network.

    Args:
        run: a run's folder, its name under runs/, or last.
    """
    from gansmith.report.page import write_report
    from gansmith.runs import find

    path = write_report(find(run).path)
    if json:
        document({"path": path})
        return
    say(str(path))


@app.command(sort_key=6)
def info(*, device: str = "auto", json: Json = False) -> None:
    """Say which versions, device, precision and threads are used and why, and where data are kept.

    Args:
        device: auto, cpu, cuda or cuda:1.
    """
    from dataclasses import asdict

    from gansmith import cpu_speed, data, hardware

    choice = hardware.choose(device, gflop=float("inf"), measure=cpu_speed.speeds)
    facts = environment.environment(choice)
    measured = cpu_speed.speeds(choice.threads)
    facts |= {"data by name": ", ".join(data.names()), "data cache": files.cache_dir()}
    if json:
        document({**facts, "measured": asdict(measured)})
        return
    why = facts.pop("why")
    facts["measured"] = cpu_speed.words(measured)
    if choice.precision == "bf16":
        facts["precision"] = f"bf16 for steps of {hardware.SMALL_STEP_GFLOP:g} GFLOP or more, else fp32"
    say(pairs({name: f"{value} ({why[name]})" if name in why else value for name, value in facts.items()}))
