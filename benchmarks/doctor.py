"""The doctor's proof: runs made to fail in known ways, and healthy ones, through the real trainer; a confusion matrix.

    python benchmarks/doctor.py            # every case on two seeds: about 15 minutes of one core
    python benchmarks/doctor.py --quick    # one seed of the fastest cases: about 3 minutes

Each case says beforehand which findings name it right. A sick run is named right when one of these is the first thing
the doctor says it is ill with; a healthy run is left alone when nothing makes it ill. Where no flag makes a run fail in
the wanted way, its players are changed when they are made: the column "how" says so. Runs are short, so the doctor
looks every 50 steps, more often than it would by itself.

Thresholds, and what makes a run fail for sure, were chosen on seeds 0, 10, 20 and 21 and on runs of the recipes'
headline length; seeds 30 and 31, which are what runs here, came after that.
"""

import argparse
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from gansmith import data, doctor, forge, training
from gansmith import run as runs
from gansmith.checkpoint import DivergenceError
from gansmith.doctor.examination import examine
from gansmith.step import Players

VERIFIED_ON = (30, 31)
LOOK_EVERY = 50
PUBLISHED_CLIP = 16.118  # -ln(1e-7): where Keras clips the cross-entropy of a sigmoid


@dataclass(frozen=True, eq=False)
class Case:
    """A training, and the findings that name what is wrong with it: none for a healthy one."""

    name: str
    how: str
    right: frozenset[str]
    recipe: str
    steps: int
    overrides: Mapping[str, Any] = field(default_factory=dict)
    source: str = "mnist"
    change: Callable[[Players], None] | None = None
    quick: bool = False


class Altered(nn.Module):
    """A player with something done to what goes in and what comes out."""

    def __init__(
        self,
        inner: nn.Module,
        before: Callable[[Tensor], Tensor] = lambda value: value,
        after: Callable[[Tensor], Tensor] = lambda value: value,
    ) -> None:
        super().__init__()
        self.inner, self.before, self.after = inner, before, after

    def forward(self, value: Tensor, *more: Any) -> Tensor:
        result: Tensor = self.after(self.inner(self.before(value), *more))
        return result


class Constant(nn.Module):
    """One learned picture for all noise."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.Parameter(torch.zeros(1, 1, 28, 28))

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.picture).expand(len(z), -1, -1, -1)


class Salty(nn.Module):
    """A generator that strews white pixels over an eighth of its images, others for each noise."""

    salt: Tensor

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("salt", torch.randn(100, 784))

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.inner(z)
        return torch.maximum(images, (z @ self.salt > 11.5).float().view_as(images))


class Deaf(nn.Module):
    """A conditional generator that makes up its label from the noise."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        result: Tensor = self.inner(z, (z[:, 0] * 1e4).long().remainder(10))
        return result


def dead_from_the_start(players: Players) -> None:
    """The published case: a sigmoid at its lower limit, where the clipped cross-entropy has no slope."""
    players.discriminator = Altered(
        players.discriminator, after=lambda logit: (logit - 50).clamp(-PUBLISHED_CLIP, PUBLISHED_CLIP)
    )


def dead_rectifiers(players: Players) -> None:
    """Every unit of the discriminator's first layer is off for every image."""
    first = next(layer for layer in players.discriminator.modules() if isinstance(layer, nn.Linear))
    nn.init.constant_(first.bias, -1000.0)


def no_noise(players: Players) -> None:
    """The generator gets zeros for noise."""
    replaced(players, Altered(players.generator, before=lambda z: z * 0.0))


def constant(players: Players) -> None:
    """The generator is one picture."""
    replaced(players, Constant())


def saturated(players: Players) -> None:
    """The generator's sigmoid starts at its upper limit."""
    last = [layer for layer in players.generator.modules() if isinstance(layer, nn.Linear)][-1]
    nn.init.constant_(last.bias, 40.0)


def uneven(players: Players) -> None:
    """What transposed convolutions do whose kernel their stride does not divide, and nobody who sees it."""
    blur_eyes(players, 4)
    rows = torch.ones(28)
    rows[::2] = 0.6
    replaced(players, Altered(players.generator, after=lambda images: images * rows * rows[:, None]))


def salted(players: Players) -> None:
    """Salt in the images, and nobody who sees more of it than its sum."""
    blur_eyes(players, 14)
    replaced(players, Salty(players.generator))


def blur_eyes(players: Players, size: int) -> None:
    """The discriminator sees averages of `size` x `size` pixels."""

    def averages(images: Tensor) -> Tensor:
        return nn.functional.interpolate(nn.functional.avg_pool2d(images, size), scale_factor=size)

    players.discriminator = Altered(players.discriminator, before=averages)


def saturating(players: Players) -> None:
    """A discriminator whose answers are clipped: right about everything, and without a slope for the generator."""
    players.discriminator = Altered(players.discriminator, after=lambda logit: (logit * 100).clamp(-8, 8))


def infinite(players: Players) -> None:
    """A weight becomes infinite at the 600th update of the generator."""
    optimizer, inner, count = players.generator_optimizer, players.generator_optimizer.step, [0]

    def step(*arguments: Any) -> Any:
        count[0] += 1
        if count[0] == 600:
            next(players.generator.parameters()).data[0] = float("inf")
        return inner(*arguments)

    optimizer.step = step  # type: ignore[method-assign,assignment]


def deaf(players: Players) -> None:
    """The generator hears another label than it is told."""
    replaced(players, Deaf(players.generator))


def replaced(players: Players, generator: nn.Module) -> None:
    """Another generator, with an optimiser of its own."""
    players.generator = generator.train()
    old = players.generator_optimizer
    (group,) = old.param_groups
    settings = {key: value for key, value in group.items() if key != "params"}
    players.generator_optimizer = type(old)(generator.parameters(), **settings)


HALF = {"generator.width": 0.5, "discriminator.width": 0.5, "batch_size": 64}
SMALL_DCGAN = {"generator.width": 0.25, "discriminator.width": 0.25, "batch_size": 64}


def healthy(name: str, how: str, recipe: str, steps: int, **more: Any) -> Case:
    """A run that should get well."""
    return Case(f"healthy: {name}", how, frozenset(), recipe, steps, **more)


def ill(name: str, how: str, right: str, recipe: str, steps: int, **more: Any) -> Case:
    """A run made to fail; `right`: the findings that name it, with a bar between them."""
    return Case(name, how, frozenset(right.split(" | ")), recipe, steps, **more)


CASES = (
    healthy("mlp", "as published", "mlp", 12_000),
    healthy("mlp-bn", "as published", "mlp-bn", 1500),
    healthy("mlp-bn, half as wide", "widths 0.5, batches of 64", "mlp-bn", 2000, overrides=HALF, quick=True),
    healthy("Fashion-MNIST", "the same", "mlp-bn", 2000, overrides=HALF, source="fashion-mnist"),
    healthy("dcgan-upsample", "widths 0.25, batches of 64", "dcgan-upsample", 250, overrides=SMALL_DCGAN),
    healthy("dcgan-transpose", "widths 0.25, batches of 64", "dcgan-transpose", 250, overrides=SMALL_DCGAN),
    ill(
        "rates 50 : 1",
        "--generator-optimizer.lr 2e-5 --real-label 1",
        "discriminator overpowers",
        "mlp",
        2000,
        overrides={"generator_optimizer.lr": 2e-5, "real_label": 1.0},
        quick=True,
    ),
    ill(
        "dead, as published",
        "a clipped sigmoid at its limit",
        "dead discriminator",
        "mlp",
        1000,
        overrides={"real_label": 1.0},
        change=dead_from_the_start,
        quick=True,
    ),
    ill(
        "dead units",
        "--discriminator.slope 0, first biases at -1000",
        "dead discriminator",
        "mlp",
        1000,
        overrides={"discriminator.slope": 0.0},
        change=dead_rectifiers,
        quick=True,
    ),
    ill("noise zeroed", "z x 0", "noise ignored", "mlp", 1500, change=no_noise, quick=True),
    ill(
        "constant generator",
        "one learned picture",
        "noise ignored | total collapse",
        "mlp",
        1500,
        overrides={"pixels": (0.0, 1.0)},
        change=constant,
        quick=True,
    ),
    ill("one picture", "deconv as published", "total collapse | noise ignored", "deconv", 1000),
    ill(
        "mostly ones",
        "70 % of the training images are ones, 10 % of the test images",
        "partial collapse",
        "mlp-bn",
        1500,
        overrides=HALF,
        source="ones",
    ),
    ill(
        "100 images",
        "100 training images",
        "generator copies | discriminator memorises",
        "mlp-bn",
        1500,
        overrides={**HALF, "batch_size": 32},
        source="few",
    ),
    ill(
        "uneven overlap",
        "every second row and column at 0.6, unseen by a discriminator of 4 x 4 averages",
        "checkerboard",
        "mlp-bn",
        800,
        overrides=HALF,
        change=uneven,
    ),
    ill(
        "rates of 1",
        "both --...-optimizer.lr 1",
        "exploding | not finite",
        "mlp",
        1500,
        overrides={"generator_optimizer.lr": 1.0, "discriminator_optimizer.lr": 1.0},
        quick=True,
    ),
    ill("infinity", "a weight set to infinity at step 600", "not finite", "mlp", 1000, change=infinite, quick=True),
    ill(
        "saturated at the start",
        "output biases at 40",
        "blank or saturated",
        "mlp-bn",
        800,
        overrides=HALF,
        change=saturated,
        quick=True,
    ),
    ill(
        "salt",
        "white pixels that a discriminator of 14 x 14 averages cannot see",
        "noise-like images | discriminator too weak",
        "mlp-bn",
        1000,
        overrides=HALF,
        change=salted,
    ),
    ill(
        "slow discriminator",
        "--discriminator-optimizer.lr 1e-7",
        "discriminator too weak",
        "mlp-bn",
        800,
        overrides={**HALF, "discriminator_optimizer.lr": 1e-7},
        quick=True,
    ),
    ill(
        "no slope",
        "answers x 100, clipped at 8",
        "vanishing gradient | discriminator overpowers | dead discriminator",
        "mlp",
        1000,
        change=saturating,
        quick=True,
    ),
    ill(
        "labels swapped",
        "--conditional, but the generator hears another label",
        "labels ignored",
        "mlp-bn",
        1200,
        overrides={**HALF, "conditional": "projection"},
        change=deaf,
    ),
)


@contextmanager
def changed(change: Callable[[Players], None] | None) -> Iterator[None]:
    """Players made meanwhile are changed."""
    build = training.new_players

    def new_players(*arguments: Any, **named: Any) -> Players:
        players = build(*arguments, **named)
        if change is not None:
            change(players)
        return players

    with mock.patch.object(training, "new_players", new_players):
        yield


def archive(folder: Path, name: str) -> Path:
    """An archive of MNIST's first 1,000 test digits and 100 ("few") or 6,000 ("ones") training digits."""
    path = folder / f"{name}.npz"
    if path.exists():
        return path
    digits, test = data.load("mnist"), data.load("mnist", split="test")
    assert digits.labels is not None
    assert test.labels is not None
    chosen = np.arange(100)
    if name == "ones":
        chosen = np.concatenate([np.flatnonzero(digits.labels == k)[: 4200 if k == 1 else 200] for k in range(10)])
    np.savez(
        path,
        train_images=digits.take(chosen)[:, 0],
        train_labels=digits.labels[chosen],
        test_images=test.take(np.arange(1000))[:, 0],
        test_labels=test.labels[:1000],
    )
    return path


def train(case: Case, seed: int, out: Path) -> runs.Run:
    """The case's run; one that is there already is not trained again."""
    folder = out / f"{re.sub('[^a-z0-9]+', '-', case.name.lower())}-{seed}"
    done = next(iter(runs.every(folder)), None)
    if done is not None and done.state in {"finished", "diverged"}:
        return done
    shutil.rmtree(folder, ignore_errors=True)
    with changed(case.change):
        job = forge.prepare(
            archive(out, case.source) if case.source in {"few", "ones"} else case.source,
            recipe=case.recipe,
            steps=case.steps,
            seed=seed,
            out=folder,
            overrides={name: value for name, value in case.overrides.items() if name != "conditional"},
            conditional=case.overrides.get("conditional", False),
            threads=1,
            sheet_every=max(1, case.steps // 4),
            checkpoint_every=case.steps,
            signals_every=LOOK_EVERY,
            evaluate_every=0,
        )
        with mock.patch.object(forge, "finish", lambda run, dataset, state: run.mark(state)):  # no pictures
            try:
                return forge.execute(job)
            except DivergenceError:
                return next(iter(runs.every(folder)))


@dataclass(frozen=True)
class Result:
    """What the doctor said of a case's run."""

    case: Case
    seed: int
    said: Sequence[doctor.Finding]
    seconds: float

    @property
    def first(self) -> str:
        """The finding that the run is ill with first; "healthy" without one."""
        return next((finding.name for finding in self.said if finding.ill), "healthy")

    @property
    def right(self) -> bool:
        """Whether it is named, or left alone, as it should be."""
        return self.first in (self.case.right or {"healthy"})


def matrix(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the confusion matrix: what was done against what was said, in runs."""
    columns = ["healthy", *sorted({result.first for result in results} - {"healthy"})]
    rows = []
    for case in dict.fromkeys(result.case for result in results):
        said = [result.first for result in results if result.case is case]
        wanted = case.right or {"healthy"}
        cells = [str(said.count(name)) if name in said else "" for name in columns]
        marked = [f"**{cell}**" if cell and name in wanted else cell for cell, name in zip(cells, columns, strict=True)]
        rows.append([case.name, case.how, *marked])
    return ["run", "how", *columns], rows


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Trains the cases, says what the doctor says, and ends with 1 where that is not good enough."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the fast cases, one seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=None, help=f"instead of {VERIFIED_ON}")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--out", type=Path, default=None, help="keep the runs here, and use those that are there")
    given = parser.parse_args()
    chosen = [case for case in CASES if given.only in case.name and (case.quick or not given.quick)]
    seeds = given.seeds or (VERIFIED_ON[:1] if given.quick else VERIFIED_ON)
    torch.set_num_threads(1)
    results = []
    with ExitStack() as stack:
        out = given.out or Path(stack.enter_context(TemporaryDirectory()))
        out.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            for case in chosen:
                start = time.process_time()
                found = examine(train(case, seed, out))
                results.append(Result(case, seed, found.findings, time.process_time() - start))
                said = "; ".join(f"{f.name} ({'over' if f.until else f.severity})" for f in found.findings)
                mark = "right" if results[-1].right else "WRONG"
                print(f"{mark}  {case.name}, seed {seed}, {results[-1].seconds:.0f} s: {said or 'healthy'}", flush=True)
    print("\n" + markdown(*matrix(results)))
    sick = [result for result in results if result.case.right]
    well = [result for result in results if not result.case.right]
    named, alarms = sum(result.right for result in sick), sum(not result.right for result in well)
    seconds = sum(result.seconds for result in results)
    print(
        f"\n{named} of {len(sick)} failures named right, {alarms} of {len(well)} healthy runs called ill; "
        f"seeds {', '.join(map(str, seeds))}; {seconds / 60:.1f} minutes of one core"
    )
    return 0 if named >= 0.9 * len(sick) and not alarms else 1


if __name__ == "__main__":
    sys.exit(main())
