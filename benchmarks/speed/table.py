"""Results -> Markdown, put between two marker lines of a document.

python -m benchmarks.speed.table benchmarks/results/<machine>.json docs/performance.md
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BUSY = 0.1  # share of the cores that other processes took, from which on it is said
Told = dict[str, Any]
TARGETS = (  # recipes, pair, least ratio
    (("dcgan-upsample", "dcgan-transpose"), "Keras over ours", 10.0),
    (("dcgan-upsample", "dcgan-transpose"), "eager bf16 over ours", 3.0),
    (("dcgan-upsample", "dcgan-transpose"), "eager fp32 over ours fp32", 1.6),
    (("deconv",), "Keras over ours", 4.0),
    (("mlp", "mlp-bn"), "Keras over ours", 5.0),
    (("mlp", "mlp-bn"), "eager fp32 over ours", 1.5),
)


def update(document: Path, results: Told) -> None:
    """Replaces the benchmark's tables in a document. Raises ValueError when it has no place for them."""
    fill(document, "benchmark", markdown(results))


def fill(document: Path, name: str, text: str) -> None:
    """Replaces what is between a document's two markers of this name. Raises ValueError when it has none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    whole = document.read_text()
    if whole.count(begin) != 1 or whole.count(end) != 1:
        raise ValueError(f"{document}: needs one line {begin} and one {end}")
    before, rest = whole.split(begin)
    document.write_text(f"{before}{begin}\n\n{text.rstrip()}\n\n{end}{rest.split(end)[1]}")


def markdown(results: Told) -> str:
    """All tables."""
    about, ceiling = results["machine"], results["ceiling_gflop_per_second"]
    tools = ", ".join(f"{name} {about[name]}" for name in ("torch", "keras", "tensorflow-cpu") if about[name])
    coarse = f"{ceiling['bf16']:.0f} of bf16" if "bf16" in ceiling else "no bf16 here"
    lines = [
        f"{about['processor']}, {about['cores']} core{'s' * (about['cores'] > 1)} ({about['bf16']}), {tools}; "
        f"{results['when']}, {results['minutes']:g} minutes. "
        f"Other processes took {results['share_of_other_processes']:.0%} of its cores. "
        f"Ceiling, measured between the rounds: {ceiling['fp32']:.0f} GFLOP/s of fp32 products, "
        f"{coarse}. Times are medians, in brackets least and most; `3.0x` is how many times "
        "longer a peer takes, round by round."
        + (" The machine was busy: ratios mean more than times." if results["share_of_other_processes"] > BUSY else ""),
        "",
        *steps(results["recipes"]),
        "",
        *arithmetic(results["recipes"]),
        "",
        *sampling(results["recipes"]),
        "",
        *memory(results["recipes"]),
        "",
        *targets(results["recipes"]),
    ]
    if results["growth"]:
        lines += ["", *growth(results["growth"])]
    return "\n".join(lines) + "\n"


def steps(rows: Told) -> list[str]:
    """A step's time, and the peers' against it."""
    body = []
    for name, row in rows.items():
        peer = row["peers"]["ours"]
        body.append(
            [
                f"`{name}`, batch {row['batch_size']}",
                peer["precision"],
                with_spread(peer["step_ms"], "ms"),
                f"{peer['images_per_second']:,.0f}",
                *(ratio(row, pair) for pair in ("eager fp32 over ours", "eager bf16 over ours", "Keras over ours")),
                ratio(row, "eager fp32 over ours fp32"),
            ]
        )
    heads = [
        "recipe",
        "precision",
        "a step",
        "images/s",
        "eager fp32",
        "eager bf16",
        "Keras",
        "eager fp32 : ours in fp32",
    ]
    return grid(heads, body)


def arithmetic(rows: Told) -> list[str]:
    """Useful arithmetic and the share of the ceiling; the data path's share of a step."""
    body = []
    for name, row in rows.items():
        peer = row["peers"]["ours"]
        step = peer["step_ms"]["median"]
        body.append(
            [
                f"`{name}`",
                f"{row['gflop']:.3g}",
                f"{row['gflop_published']:.3g}",
                f"{peer['gflop_per_second']:.0f}",
                f"{peer['share_of_ceiling']:.0%}",
                *(f"{row['data_ms'][where] / step:.2%}" for where in ("memory", "cache") if where in row["data_ms"]),
            ]
        )
    heads = [
        "recipe",
        "GFLOP a step",
        "as published",
        "GFLOP/s",
        "of the ceiling",
        "data from memory",
        "from the cache",
    ]
    return grid(heads, body)


def sampling(rows: Told) -> list[str]:
    """Images a second from a trained generator."""
    names = ("ours", "ours in bf16", "eager fp32", "eager bf16", "Keras")
    body = []
    for name, row in rows.items():
        rates = {peer: row["peers"][peer]["samples_per_second"]["median"] for peer in names if peer in row["peers"]}
        if "samples_per_second_bf16" in row["peers"]["ours"]:
            rates["ours in bf16"] = row["peers"]["ours"]["samples_per_second_bf16"]["median"]
        cells = [f"{rates[peer]:,.0f}" if peer in rates else "" for peer in names]
        against = [f"{rates[our] / rates['Keras']:.1f}x" if {our, "Keras"} <= rates.keys() else "" for our in names[:2]]
        body.append([f"`{name}`", *cells, *against])
    return grid(["images sampled a second", *names, "ours : Keras", "in bf16"], body)


def memory(rows: Told) -> list[str]:
    """Peak memory and the time to the first step."""
    names = ("ours", "eager fp32", "eager bf16", "Keras")
    body = []
    for name, row in rows.items():
        peers = [row["peers"].get(peer) for peer in names]
        cells = [f"{peer['peak_mb']:,.0f} MB" if peer else "" for peer in peers]
        body.append([f"`{name}`", *cells, *(f"{peer['start_seconds']:.1f} s" if peer else "" for peer in peers)])
    return grid(["peak memory; start to first step", *names, *names], body)


def targets(rows: Told) -> list[str]:
    """The goals, which were set for a machine with AMX, and what came out here."""
    body = []
    for names, pair, least in TARGETS:
        for name in names:
            if name in rows and pair in rows[name]["ratios"]:
                found = rows[name]["ratios"][pair]["median"]
                body.append([f"`{name}`", pair, f"{least:g}x", f"{found:.1f}x", "yes" if found >= least else "no"])
    for name, row in rows.items():
        peers = row["peers"]
        if name.startswith("dcgan"):
            share = peers["ours"]["share_of_ceiling"]
            body.append([f"`{name}`", "share of the ceiling", "35 %", f"{share:.0%}", "yes" if share >= 0.35 else "no"])
        if "Keras" in peers:
            found = peers["ours"]["samples_per_second"]["median"] / peers["Keras"]["samples_per_second"]["median"]
            body.append([f"`{name}`", "sampling over Keras", "5x", f"{found:.1f}x", "yes" if found >= 5 else "no"])
        if "eager fp32" in peers:
            found = peers["ours"]["peak_mb"] / peers["eager fp32"]["peak_mb"]
            body.append([f"`{name}`", "memory over eager fp32", "1x", f"{found:.2f}x", "yes" if found <= 1 else "no"])
    return grid(["recipe", "goal", "wanted", "here", "met"], body)


def growth(rows: Sequence[Told]) -> list[str]:
    """ms a step as batch, size and width grow."""
    body = []
    for name, what in dict.fromkeys((row["recipe"], row["grows"]) for row in rows):
        points = [row for row in rows if (row["recipe"], row["grows"]) == (name, what)]
        cells = [f"{row['value']:g}: {short(row['step_ms'])} ms" for row in points]
        body.append([f"`{name}`", what.replace("_", " "), " · ".join(cells)])
    return grid(["recipe", "grows", "a step"], body)


def ratio(row: Told, pair: str) -> str:
    """A ratio with its spread; empty where a peer was not measured."""
    return with_spread(row["ratios"][pair], "x") if pair in row["ratios"] else ""


def short(number: float) -> str:
    """With one decimal below 100, with none above."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"


def with_spread(value: Told, unit: str) -> str:
    """Median (least-most)."""
    space = "" if unit == "x" else " "
    return f"{short(value['median'])}{space}{unit} ({short(value['least'])}-{short(value['most'])})"


def grid(heads: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    rows = [heads, ["---"] * len(heads), *body]
    return ["| " + " | ".join(row) + " |" for row in rows]


if __name__ == "__main__":
    update(Path(sys.argv[2]), json.loads(Path(sys.argv[1]).read_text()))
