"""What is measured: steps in turns, sampling, memory, start-up, the data path, and how cost grows.

Each recipe gets one process a peer. Rounds alternate through the peers; a round of a peer is as many steps as take
about ``Plan.seconds``. Ratios are taken within a round, and their median counts, so a machine that is busy for a while
meets both sides. Useful arithmetic is :func:`gansmith.recipes.step_gflop`, the folded upsampling counted as folded;
"published" counts the layers as they were published.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.group import PEERS, Process, interpreter
from gansmith import data, recipes
from gansmith.hardware import bf16_support
from gansmith.recipe import Recipe
from gansmith.recipes import count, sizes

PUBLISHED = {
    "house": (913_828, 1_454_370),
    "mlp": (114_064, 100_609),
    "mlp-bn": (1_493_520, 533_505),
    "deconv": (1_187_841, 28_577),
    "dcgan-upsample": (2_394_241, 4_311_553),
    "dcgan-transpose": (2_394_241, 4_311_553),
}
Told = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    recipes: tuple[str, ...] = tuple(PUBLISHED)
    peers: tuple[str, ...] = tuple(peer.name for peer in PEERS)
    rounds: int = 7
    slow_rounds: int = 4  # of recipes whose step takes more than a second somewhere
    seconds: float = 0.4  # a turn
    samples: int = 1024
    sides: tuple[int, ...] = (1024, 2048)  # of the matrices whose product is the ceiling
    growth: bool = True
    cores: int = 2
    overrides: tuple[tuple[str, Any], ...] = ()


QUICK = Plan(
    recipes=("mlp", "mlp-bn", "deconv", "dcgan-upsample"),
    rounds=5,
    slow_rounds=2,
    seconds=0.25,
    samples=256,
    growth=False,
)
COARSE = "ours, --precision bf16"  # how sampling in bf16 is listed
GROWTH = {
    "dcgan-upsample": {"batch_size": (16, 64, 256, 1024), "size": (28, 32, 48, 64), "width": (0.5, 1.0, 2.0)},
    "deconv": {"batch_size": (16, 64, 256, 1024), "size": (28, 32, 48, 64), "width": (0.5, 1.0, 2.0)},
    "mlp-bn": {"batch_size": (16, 64, 256, 1024), "size": (28, 32, 48, 64), "width": (0.5, 1.0, 2.0)},
}


def measure(plan: Plan, say: Callable[[str], None]) -> Told:
    """Everything of a plan, as plain JSON. Raises AssertionError when a peer's networks are not the published ones."""
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npy"
        stored = data.load("mnist")
        np.save(images, stored.take(np.arange(len(stored))))
        ceiling: Told = {}
        told = {name: _recipe(name, plan, images, ceiling, say) for name in plan.recipes}
    best = {kind: max(rates) for kind, rates in ceiling.items()}
    for row in told.values():
        for peer in row["peers"].values():
            seconds = peer["step_ms"]["median"] / 1000
            peer["gflop_per_second"] = row["gflop"] / seconds
            peer["share_of_ceiling"] = row["gflop"] / seconds / best[peer["precision"]]
    return {"ceiling_gflop_per_second": best, "recipes": told, "growth": _growth(plan, say) if plan.growth else []}


def _recipe(name: str, plan: Plan, images: Path, ceiling: Told, say: Callable[[str], None]) -> Told:
    recipe = recipes.get(name).override(dict(plan.overrides))
    without = () if bf16_support("cpu")[0] else ("eager bf16", "ours fp32")  # the latter is "ours" there
    chosen = [
        peer
        for peer in PEERS
        if peer.name not in without
        and peer.name in plan.peers
        and name not in peer.without
        and interpreter(peer.module)
    ]
    say(f"{name:16}timing {', '.join(peer.name for peer in chosen)} ...")
    with ExitStack() as stack:
        crew = [stack.enter_context(Process(peer, plan.cores)) for peer in chosen[:1]]
        peers = {chosen[0].name: crew[0].begin(recipe, images)}
        for peer in chosen[1:]:  # one after the other, so that starting up is timed alone
            crew.append(stack.enter_context(Process(peer, plan.cores)))
            peers[peer.name] = crew[-1].begin(recipe, images)
        counts = {
            peer: (row["parameters"]["generator"], row["parameters"]["discriminator"]) for peer, row in peers.items()
        }
        wanted = PUBLISHED[name] if not plan.overrides else next(iter(counts.values()))
        assert all(count == wanted for count in counts.values()), f"{name}: parameters {counts}, not {wanted}"
        judge = stack.enter_context(Process(PEERS[0], plan.cores))  # times products, and is nobody's memory
        times, made = _turns(crew, plan, judge, ceiling)
        memory = {process.peer.name: process.ask("memory")["peak_mb"] for process in crew}
        path = crew[0].ask("data") if chosen[0].module == "ours" else {}
    for who, row in peers.items():
        row["step_ms"] = spread([1000 * turn["seconds"] for turn in times[who]])
        row["cpu_ms"] = spread([1000 * turn["cpu"] for turn in times[who]])
        row["images_per_second"] = recipe.batch_size / statistics.median(turn["seconds"] for turn in times[who])
        row["samples_per_second"] = spread(made[who])
        row["peak_mb"] = memory[who]
        say(f"{name:16}{who:12}{row['step_ms']['median']:9.1f} ms{row['samples_per_second']['median']:9,.0f} samples/s")
    if COARSE in made:
        peers["ours"]["samples_per_second_bf16"] = spread(made[COARSE])
    return {
        "batch_size": recipe.batch_size,
        "gflop": recipes.step_gflop(recipe),
        "gflop_published": published_gflop(recipe),
        "rounds": len(times["ours"]) if "ours" in times else 0,
        "peers": peers,
        **{
            name: {f"{a} over {b}": spread(ratios(times[a], times[b], of)) for a, b in PAIRS if {a, b} <= times.keys()}
            for name, of in (("ratios", "seconds"), ("cpu_ratios", "cpu"))
        },
        "data_ms": {where: 1000 * seconds for where, seconds in path.items()},
    }


def _turns(
    crew: Sequence[Process], plan: Plan, judge: Process, ceiling: Told
) -> tuple[dict[str, list[Told]], dict[str, list[float]]]:
    """Seconds a step, round by round, and images sampled a second; products are timed after each round."""
    first = {process: process.ask("steps", count=1) for process in crew}
    counts = {process: max(1, round(plan.seconds / turn["seconds"])) for process, turn in first.items()}
    slow = max(turn["seconds"] for turn in first.values()) >= 1
    times: dict[str, list[Told]] = {process.peer.name: [] for process in crew}
    if slow:  # a step of seconds is a round already
        for process, turn in first.items():
            times[process.peer.name].append({key: turn[key] for key in ("seconds", "cpu")})
    for _ in range(plan.slow_rounds - 1 if slow else plan.rounds):
        for process in crew:
            turn = process.ask("steps", count=counts[process])
            times[process.peer.name].append({key: turn[key] / counts[process] for key in ("seconds", "cpu")})
        for kind, rate in judge.ask("products", sides=plan.sides).items():
            ceiling.setdefault(kind, []).append(rate)
    ways = {process.peer.name: (process, False) for process in crew}
    if crew[0].peer.name == "ours" and bf16_support("cpu")[0]:
        ways[COARSE] = (crew[0], True)
    made: dict[str, list[float]] = {name: [] for name in ways}
    for index in range(4):
        for name, (process, bf16) in ways.items():
            seconds = process.ask("sample", count=plan.samples, bf16=bf16)["seconds"]
            if index:  # the first is cold
                made[name].append(plan.samples / seconds)
    return times, made


PAIRS = (
    ("Keras", "ours"),
    ("eager bf16", "ours"),
    ("eager fp32", "ours"),
    ("eager fp32", "ours fp32"),
    ("Keras", "ours fp32"),
)


def ratios(slow: Sequence[Told], fast: Sequence[Told], of: str) -> list[float]:
    """Round by round: how many times longer the first takes, by the clock ("seconds") or by the processor ("cpu")."""
    return [a[of] / b[of] for a, b in zip(slow, fast, strict=True)]


def spread(values: Sequence[float]) -> Told:
    """Median, least and most, and every value, to 4 digits."""
    rounded = [float(f"{value:.4g}") for value in values]
    return {"median": statistics.median(rounded), "least": min(rounded), "most": max(rounded), "all": rounded}


def published_gflop(recipe: Recipe) -> float:
    """As :func:`gansmith.recipes.step_gflop`, of the plain layers."""
    return sizes.gflop_of(recipe, *count.operations(recipe, folded=False))


def _growth(plan: Plan, say: Callable[[str], None]) -> list[Told]:
    """Ours, as one thing grows: ms a step, on noise in the place of images. Larger DCGANs take batches of 64."""
    rows = []
    with Process(PEERS[0], plan.cores) as process:
        for name, curves in GROWTH.items():
            for what, values in curves.items():
                for value in values:
                    changes: Told = {what: value} if what != "width" else {}
                    if what == "width":
                        changes = {"generator.width": value, "discriminator.width": value}
                    if what != "batch_size" and name == "dcgan-upsample":
                        changes["batch_size"] = 64
                    recipe = recipes.get(name).override(changes)
                    told = process.begin(recipe, None)
                    seconds = _median_step(process, plan.seconds)
                    rows.append(
                        {
                            "recipe": name,
                            "grows": what,
                            "value": value,
                            "batch_size": recipe.batch_size,
                            "precision": told["precision"],
                            "step_ms": float(f"{1000 * seconds:.4g}"),
                            "images_per_second": float(f"{recipe.batch_size / seconds:.4g}"),
                            "gflop": recipes.step_gflop(recipe),
                        }
                    )
                    say(f"{name:16}{what:>12} {value:<8g}{1000 * seconds:9.1f} ms")
    return rows


def _median_step(process: Process, budget: float) -> float:
    """Seconds of a step: the median of 3 or more, fewer where one takes seconds."""
    times: list[float] = [process.ask("steps", count=1)["seconds"]]
    while len(times) < 3 or (sum(times) < budget and len(times) < 50):
        if sum(times) > 8:
            break
        times.append(process.ask("steps", count=1)["seconds"])
    return statistics.median(times)


def others_share() -> Callable[[], float]:
    """Starts watching the machine; the call returned says which share of its cores other processes took since."""
    import os
    import resource

    def now() -> tuple[float, float, float]:
        path = Path("/proc/stat")
        ticks = [int(word) for word in path.read_text().splitlines()[0].split()[1:8]] if path.exists() else [0] * 7
        busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return time.perf_counter(), busy, sum(usage.ru_utime + usage.ru_stime for usage in used)

    before = now()

    def share() -> float:
        wall, busy, own = (b - a for a, b in zip(before, now(), strict=True))
        return max(0.0, busy - own) / (wall * (os.cpu_count() or 1))

    return share
