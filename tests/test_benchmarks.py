"""The benchmarks: peers are the published networks, tiny settings run through, and tables hold the numbers."""

import json
import statistics
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import doctor_cases, remedies
from benchmarks import recipes as headline
from benchmarks.quality import curves
from benchmarks.speed import __main__ as benchmark
from benchmarks.speed import peers, table
from benchmarks.speed.group import interpreter
from benchmarks.speed.measure import PUBLISHED, Plan, published_gflop
from gansmith import evaluation, hardware, own, recipes
from gansmith.doctor.rules import RULES
from gansmith.evaluation import pipeline
from gansmith.training import loop
from helpers import ARTICLES

ROOT = Path(__file__).parents[1]
IMAGES = np.random.default_rng(0).integers(0, 256, (32, 1, 28, 28), np.uint8)
KERAS = interpreter("keras")
TINY = (("batch_size", 4), ("generator.width", 0.1), ("discriminator.width", 0.1))


def test_time_to_quality_is_measured_once_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, picture = tmp_path / "curves.json", tmp_path / "curves.png"
    words = ["--recipes", "mlp", "--seconds", "0.3", "--out", str(out), "--picture", str(picture)]
    monkeypatch.setattr(curves, "SAMPLES", 100)
    monkeypatch.setattr("sys.argv", ["curves", *words])
    curves.main()
    (found,) = json.loads(out.read_text())["curves"]
    seconds = [point["seconds"] for point in found["points"]]
    assert seconds[-1] >= 0.3
    assert seconds == sorted(seconds)
    assert found["points"][-1]["steps"] > found["points"][0]["steps"] > 0
    assert found["points"][-1]["fd"] > found["floor"] > 0
    assert picture.stat().st_size > 10_000
    before = out.read_bytes()
    curves.main()
    assert out.read_bytes() == before


def test_every_recipe_is_measured() -> None:
    assert set(PUBLISHED) == {"house", *ARTICLES}


@pytest.mark.parametrize("name", ARTICLES)
@pytest.mark.parametrize("peer", ["ours", "eager"])
def test_peers_are_the_published_networks(peer: str, name: str) -> None:
    built = peers.build(peer, recipes.get(name), "fp32", IMAGES if peer == "eager" else np.tile(IMAGES, (8, 1, 1, 1)))
    assert (built.parameters["generator"], built.parameters["discriminator"]) == PUBLISHED[name]
    built = peers.build(peer, recipes.get(name).override(dict(TINY)), "fp32", IMAGES)
    assert np.isfinite(built.step(0)).all()
    images = built.sample(3)
    assert (images.shape, images.dtype) == ((3, 1, 28, 28), np.uint8)


def test_house_as_one_would_write_it_learns_as_ours_does() -> None:
    recipe = recipes.get("house")
    images = np.repeat(np.random.default_rng(0).integers(0, 256, (8, 1, 28, 28), np.uint8), 80, axis=0)
    for peer in ("ours", "eager"):
        built = peers.build(peer, recipe, "fp32", images)
        assert (built.parameters["generator"], built.parameters["discriminator"]) == PUBLISHED["house"]
        small = peers.build(peer, recipe.override(kinds=8), "fp32", images)
        losses = [small.step(index)[0] for index in range(60)]
        assert np.mean(losses[-5:]) < 0.8 * losses[0]  # D tells noise from them
        assert (small.sample(3).shape, small.sample(3).dtype) == ((3, 1, 28, 28), np.uint8)


@pytest.mark.skipif(KERAS is None, reason="make bench installs Keras")
def test_keras_trains_the_published_networks() -> None:
    code = (
        "import json, sys, numpy as np\n"
        "from benchmarks.speed import peers\n"
        "from gansmith.recipe import parse\n"
        "images = np.random.default_rng(0).integers(0, 256, (32, 1, 28, 28), np.uint8)\n"
        "from benchmarks.speed.peers import keras_articles\n"
        "asked = [parse(values) for values in json.load(sys.stdin)]\n"
        "for recipe in asked:\n"
        "    print(json.dumps([network.count_params() for network in keras_articles.networks(recipe)]))\n"
        "built = peers.build('keras', asked[0].override(batch_size=4), 'fp32', images)\n"
        "print(json.dumps([*built.step(0), *built.sample(3).shape]))\n"
    )
    asked = json.dumps([recipes.get(name).model_dump(mode="json") for name in ARTICLES])
    told = subprocess.run(
        [str(KERAS), "-c", code], input=asked, capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    *counts, made = (json.loads(line) for line in told.splitlines() if line.startswith("["))
    assert [tuple(count) for count in counts] == [PUBLISHED[name] for name in ARTICLES]
    assert np.isfinite(made[:2]).all()
    assert made[2:] == [3, 1, 28, 28]


def test_folding_saves_arithmetic_where_there_is_upsampling() -> None:
    assert published_gflop(recipes.get("dcgan-upsample")) > 1.2 * recipes.step_gflop(recipes.get("dcgan-upsample"))
    assert published_gflop(recipes.get("mlp")) == recipes.step_gflop(recipes.get("mlp"))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict:
    plan = Plan(
        recipes=("deconv",),
        peers=("ours", "eager fp32"),
        rounds=2,
        seconds=0.01,
        samples=64,
        sides=(256,),
        growth=False,
        cores=1,
        overrides=TINY,
    )
    return json.loads(benchmark.run(plan, tmp_path_factory.mktemp("results")).read_text())


def test_a_tiny_benchmark_has_everything(results: dict) -> None:
    assert set(results["recipes"]) == {"deconv"}
    both = hardware.bf16_support("cpu")[0]
    kinds = {"fp32", "bf16"} if both else {"fp32"}
    assert results["ceiling_gflop_per_second"].keys() == kinds
    assert str(ROOT) not in json.dumps(results)
    for row in results["recipes"].values():
        assert row["rounds"] == 2
        assert row["peers"].keys() == {"ours", "eager fp32"}
        assert row["ratios"].keys() == {"eager fp32 over ours"}
        assert row["data_ms"].keys() == {"memory", "cache"}
        for peer in row["peers"].values():
            assert peer["step_ms"]["least"] <= peer["step_ms"]["median"] <= peer["step_ms"]["most"]
            assert len(peer["step_ms"]["all"]) == 2
            assert peer["samples_per_second"]["median"] > 0
            assert peer["peak_mb"] > 50
            assert peer["start_seconds"] > 0
            assert 0 < peer["share_of_ceiling"] < 1.5
        ratios = row["ratios"]["eager fp32 over ours"]["all"]
        a, b = (row["peers"][peer]["step_ms"]["all"] for peer in ("eager fp32", "ours"))
        assert ratios == pytest.approx([x / y for x, y in zip(a, b, strict=True)], rel=0.01)


def test_tables_go_between_the_markers_and_hold_the_numbers(results: dict, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- benchmark: begin -->\nold\n<!-- benchmark: end -->\nafter\n")
    for _ in range(2):  # again changes nothing
        table.update(page, results)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    row = results["recipes"]["deconv"]
    assert table.with_spread(row["peers"]["ours"]["step_ms"], "ms") in text
    assert f"{row['peers']['eager fp32']['peak_mb']:,.0f} MB" in text
    lines = [line.count("|") for line in table.steps(results["recipes"])]
    assert len(set(lines)) == 1  # every row has every column
    page.write_text("no markers")
    with pytest.raises(ValueError, match="needs one line"):
        table.update(page, results)


@pytest.mark.parametrize(
    ("name", "size", "published"),
    [("pytorch-dcgan", 64, (3_576_704, 2_765_568)), ("keras-dcgan", 64, (None, 404_801)), ("stylegan2", 32, None)],
)
def test_rivals_have_the_published_parameters(name: str, size: int, published: tuple[int | None, ...] | None) -> None:
    """Of RGB images; and make images of their size, which their discriminators read."""
    own.load(curves.RIVALS)
    recipe = recipes.get(name).override(size=size, channels=3)
    networks = recipes.generator(recipe), recipes.discriminator(recipe)
    images = networks[0](torch.randn(4, recipe.noise.size))
    assert images.shape == (4, 3, size, size)
    assert networks[1](images).shape == (4, 1)
    for network, count in zip(networks, published or (), strict=False):
        assert count in (None, sum(each.numel() for each in network.parameters()))


def test_growth_and_targets_are_tabled(results: dict) -> None:
    rows = [
        {"recipe": "mlp", "grows": "batch_size", "value": size, "step_ms": 2.0 * size, "batch_size": size}
        for size in (16, 64)
    ]
    assert "16: 32.0 ms · 64: 128 ms" in table.growth(rows)[-1]
    goals = "\n".join(table.targets(results["recipes"]))
    assert "memory over eager fp32" in goals


def test_recipes_are_trained_once_measured_and_tabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = [
        headline.Case(name, "mlp", 4, seeds=(0, 1), overrides={"batch_size": 8}, fast=fast)
        for name, fast in (("tiny", "auto"), ("tiny-plain", "off"))
    ]
    monkeypatch.setattr(headline, "HEADLINE", tiny[:1])
    monkeypatch.setattr(headline, "PATHS", tiny[1:])
    monkeypatch.setattr(headline, "TWINS", [("tiny", "tiny-plain")])
    monkeypatch.setattr(pipeline, "SAMPLES", 200)
    monkeypatch.setattr(headline, "PAPERS", [headline.Case("paper", "mlp", 4, seeds=(0,), overrides={"batch_size": 8})])
    page, results, papers = tmp_path / "page.md", tmp_path / "found.json", tmp_path / "papers.md"
    papers.write_text("<!-- papers: begin -->\n<!-- papers: end -->\n")
    page.write_text("<!-- recipes: begin -->\n<!-- recipes: end -->\n<!-- layers: begin -->\n<!-- layers: end -->\n")

    def run(do: str, *more: str) -> None:
        places = ["--docs", str(page), "--papers", str(papers), "--results", str(results)]
        monkeypatch.setattr("sys.argv", ["recipes", do, str(tmp_path), *places, *more])
        headline.main()

    run("train")
    logs = {path: path.read_text() for path in tmp_path.rglob("metrics.jsonl")}
    assert len(logs) == 5
    run("train")
    assert logs == {path: path.read_text() for path in tmp_path.rglob("metrics.jsonl")}
    monkeypatch.setattr(headline, "HEADLINE", [replace(tiny[0], steps=6)])
    run("train")
    run("tables")
    found = json.loads(results.read_text())
    assert found["tiny"]["steps"] == [6, 6]
    assert found["tiny-plain"]["steps"] == [4, 4]
    distances = found["tiny"]["figures"]["fd"]
    line = next(line for line in page.read_text().splitlines() if line.startswith("| `mlp` | mnist"))
    assert f"| {statistics.fmean(distances):.0f} ± {statistics.stdev(distances):.0f} |" in line
    assert "| plain |" in page.read_text()
    assert "| `mlp` | mnist | 4 | 1 |" in papers.read_text()
    kept = results.read_text()
    monkeypatch.setattr(pipeline, "measure", None)  # what was evaluated is not evaluated again
    monkeypatch.setattr(evaluation, "measure", None)
    run("tables", "--only", "tiny")  # and the others stay
    assert results.read_text() == kept


def test_every_failure_has_a_run_made_to_fail() -> None:
    named = set().union(*(case.right for case in doctor_cases.CASES if case.fails))
    assert named - {*doctor_cases.NO_PROBLEM} == {rule.name for rule in RULES} | {"not finite"}
    for case in doctor_cases.CASES:
        recipes.get(case.recipe).override(dict(case.overrides))


def test_players_by_turns_learn_one_at_a_time() -> None:
    recipe = recipes.get("mlp").override({**dict(TINY), "batch_size": 2})
    state = loop.new_state(recipe, seed=0, device=torch.device("cpu"))
    doctor_cases.by_turns(state)
    advance = loop.stepper(state, recipe, precision="fp32")
    real = torch.rand(2, 1, 28, 28)
    moved = []
    for _ in range(201):
        before = [next(network.parameters()).clone() for network in (state.generator, state.discriminator)]
        advance(real, None)
        after = [next(network.parameters()) for network in (state.generator, state.discriminator)]
        moved.append(tuple(not torch.equal(a, b) for a, b in zip(before, after, strict=True)))
    assert moved == [(False, True)] * 100 + [(True, False)] * 100 + [(False, True)]


def test_remedies_are_flags_that_a_training_takes() -> None:
    assert remedies.flags("--real-label 0.9 --conditional") == {"real_label": [0.9], "conditional": []}
    assert remedies.flags("--pixels -1 1 --recipe mlp-bn") == {"pixels": [-1, 1], "recipe": ["mlp-bn"]}
    case = next(case for case in doctor_cases.CASES if case.name == "one picture")
    better = remedies.treated(case, "--recipe mlp-bn --steps 50 --pixels 0 1")
    assert (better.recipe, better.steps, better.overrides["pixels"]) == ("mlp-bn", 50, (0, 1))
    assert remedies.treatable(case)
    assert not remedies.treatable(next(case for case in doctor_cases.CASES if case.name == "salt"))
    table_rows = remedies.rows({"x": [("", "exploding"), ("--real-label 0.9", "healthy")]})
    assert table_rows == [["x", "exploding", "`--real-label 0.9`: healthy", "", ""]]
