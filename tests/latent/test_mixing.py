"""Arithmetic on noise: what numpy says, whatever the brackets; and a line for everything else."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gansmith as gs
from gansmith import latent, recipes
from gansmith.generator import Generator, snapshot
from gansmith.latent import expression
from gansmith.latent.classes import encoder_of


def generator(name: str = "mlp", **changes: object) -> Generator:
    torch.manual_seed(0)
    recipe = recipes.get(name).override({"generator.width": 0.25, "noise.size": 12, **changes})
    return snapshot(recipes.generator(recipe), recipe, settle_on=256)


G = generator()
CONDITIONAL = generator(conditional="projection", classes=10)
ROWS = G.sample(40).latents.astype(np.float64)


def result(text: str, g: Generator = G, **options: object) -> np.ndarray:
    return latent.mix(g, text, **options).result.latents[0]


SEED = st.integers(0, 39).map(lambda i: (str(i), ROWS[i]))
FACTOR = st.one_of(
    st.integers(0, 9).map(str), st.floats(0, 9).map(lambda x: f"{x:.3f}"), st.sampled_from(["1e-2", ".5", "2."])
)


def combined(inner: st.SearchStrategy) -> st.SearchStrategy:
    """Expressions of expressions, as (text, what it is worth); every one stands in brackets."""
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(pair, st.sampled_from("+-")).map(
            lambda x: (f"({x[0][0][0]} {x[1]} {x[0][1][0]})", x[0][0][1] + (x[0][1][1] if x[1] == "+" else -x[0][1][1]))
        ),
        st.tuples(FACTOR, inner).map(lambda x: (f"({x[0]}*{x[1][0]})", float(x[0]) * x[1][1])),
        st.tuples(inner, st.integers(1, 9)).map(lambda x: (f"({x[0][0]} / {x[1]})", x[0][1] / x[1])),
        inner.map(lambda x: (f"(-{x[0]})", -x[1])),
        st.lists(inner, min_size=1, max_size=4).map(
            lambda x: (f"mean({', '.join(each[0] for each in x)})", np.mean([each[1] for each in x], axis=0))
        ),
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(SEED, combined, max_leaves=8))
def test_expressions_are_worth_what_numpy_says(pair: tuple[str, np.ndarray]) -> None:
    text, worth = pair
    assert result(text) == pytest.approx(worth, rel=1e-5, abs=1e-5 * max(1.0, np.abs(worth).max()))


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("12 - 8 + 7", ROWS[12] - ROWS[8] + ROWS[7]),
        ("12-8+7", ROWS[12] - ROWS[8] + ROWS[7]),
        ("1 - 2 - 3", ROWS[1] - ROWS[2] - ROWS[3]),
        ("1 - (2 - 3)", ROWS[1] - ROWS[2] + ROWS[3]),
        ("-5", -ROWS[5]),
        ("--5", ROWS[5]),
        ("0.5 * 12", ROWS[12] / 2),
        ("12 * 0.5", ROWS[12] / 2),
        ("2 * 12", 2 * ROWS[12]),  # of two whole numbers the last is the image's
        ("2 * 3 * 12", 6 * ROWS[12]),
        ("12 / 2", ROWS[12] / 2),
        ("(12) * 2", 2 * ROWS[12]),
        ("2 * -3", -2 * ROWS[3]),
        ("1 + 2 * 3", ROWS[1] + 2 * ROWS[3]),
        ("mean(1,2,3)", ROWS[1:4].mean(0)),
        ("mean(1..3, 7)", ROWS[[1, 2, 3, 7]].mean(0)),
        ("MEAN(4) - mean(1 + 2, 0.5*3)", ROWS[4] - (ROWS[1] + ROWS[2] + ROWS[3] / 2) / 2),
    ],
)
def test_precedence_and_factors(text: str, worth: np.ndarray) -> None:
    assert result(text) == pytest.approx(worth, abs=1e-5)


def test_saved_vectors_stand_for_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a-b").mkdir()
    for name in ("me.npz", "a-b/c.safetensors", "two words.npz"):
        latent.save(name, latent.points(G, "5,6"), G)
    for text in (
        "me.npz#1 - 3",
        "./me.npz#1-3",
        "a-b/c.safetensors#1 -3",
        '"two words.npz"#1 - 3',
        f"{tmp_path}/me.npz#1-3",
    ):
        assert result(text) == pytest.approx(ROWS[6] - ROWS[3], abs=1e-6)
    assert result("mean(me.npz, 7)") == pytest.approx(ROWS[5:8].mean(0), abs=1e-6)
    assert result("12-me.npz#0") == pytest.approx(ROWS[12] - ROWS[5], abs=1e-6)
    with pytest.raises(ValueError, match=r"me\.npz: 2 vectors, not one"):
        result("me.npz")


def test_terms_stand_beside_the_result() -> None:
    mixed = latent.mix(G, "12 - 0.5*8 + mean(1,2)", seed=4)
    assert mixed.vectors.names == ("12", "- 0.5 * 8", "1", "2", "+ mean(1,2)", "= 12 - 0.5*8 + mean(1,2)")
    assert mixed.images.shape == (6, 1, 28, 28)
    samples = G.sample(13, seed=4).images
    assert np.array_equal(mixed.images[[0, 1, 2, 3]], samples[[12, 8, 1, 2]])
    assert np.array_equal(mixed.images[-1:], latent.images(G, mixed.result))


def test_a_conditional_result_has_the_first_terms_class_or_the_one_asked_for() -> None:
    mixed = latent.mix(CONDITIONAL, "3 - 14 + 5")
    assert mixed.vectors.labels is not None
    assert mixed.vectors.labels.tolist() == [3, 4, 5, 3]
    other = latent.mix(CONDITIONAL, "3", label=7)
    assert np.array_equal(other.result.latents, latent.points(CONDITIONAL, 3).latents)
    assert np.array_equal(other.images[-1:], CONDITIONAL.images(torch.from_numpy(other.result.latents), [7]))
    group = latent.mix(CONDITIONAL, "mean(label=7, n=5)")
    assert group.result.latents[0] == pytest.approx(CONDITIONAL.sample(5).latents.mean(0), abs=1e-6)
    assert group.result.labels is not None
    assert group.result.labels.tolist() == [7]
    with pytest.raises(ValueError, match="trained without labels"):
        latent.mix(G, "3", label=7)
    with pytest.raises(ValueError, match="no class is called '12'"):
        latent.mix(CONDITIONAL, "mean(label=12)")


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_rescaling_brings_a_mean_back_to_the_noises_length(distribution: str) -> None:
    g = generator(**{"noise.size": 400, "noise.distribution": distribution, "noise.center": 2, "noise.scale": 3})
    plain, rescaled = (result("mean(0..31)", g, rescale=value) - 2 for value in (False, True))
    usual = np.linalg.norm(g.sample(64).latents - 2, axis=1)
    assert np.linalg.norm(plain) < 0.3 * usual.min()
    assert usual.min() < np.linalg.norm(rescaled) < usual.max()
    assert plain @ rescaled == pytest.approx(np.linalg.norm(plain) * np.linalg.norm(rescaled), rel=1e-4)


HOSTILE = [
    "", " ", "+", "12 +", "* 3", "12 40", "12 ** 2", "(12", "12)", "()", "mean()", "mean(1,", "mean 3", "0.5",
    "0.5 * 0.5", "1 / 0", "1 / 2 / 0.0", "1 / (2)", "3 * (4) * (5)", "mean(1)*mean(2)", "1e9 * 3", "1e999 * 3",
    "nan", "inf * 3", "x", "__import__('os')", "mean.__class__", "lambda: 3", "[1]", "{1}", "1;2",
    "1 if 2 else 3", "1\n+", "é", "1 + \x00", "#3", "mean(label)", "mean(label=)", "mean(label=3, n=0)",
    "mean(label=3, n=-1)", "mean(label=3, k=2)", "mean(9..1)", "mean(0..99999999)", "1..3", "no.npz",
    "'no.npz'", "a.txt", "'a.txt'", "=3", "1 == 1", "(" * 5000, "(" * 200 + "1" + ")" * 200, "-" * 3000 + "1",
    "1+" * 400, "9" * 400, "1" * 30 + " + 2", "mean(" * 30 + "1" + ")" * 30, '"', "'x", "a.npz" * 150,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=itertools.count())
def test_hostile_expressions_get_a_line(text: str) -> None:
    with pytest.raises(ValueError, match=" ") as refusal:
        latent.mix(G, text)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 400


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789.+-*/(),=mean label#\"'\n\tn", max_size=60))
@example("mean(label=3)")
def test_any_text_is_read_or_refused_in_a_line(text: str) -> None:
    try:
        expression.parse(text)
    except ValueError as error:
        told = str(error)
    else:
        told = ""
    assert "\n" not in told


def test_a_class_is_told_with_the_kind_of_the_first_term() -> None:
    """The generator that comes along is told kinds within classes: 7 alone would be a kind of zeros."""
    generator = gs.load("mnist")
    own = latent.mix(generator, "12").vectors.labels
    assert own is not None
    seven = latent.mix(generator, "12 + 1 - 5", label="7", rescale=True)
    assert seven.vectors.labels is not None
    kinds = generator.recipe.kinds
    assert seven.vectors.labels[-1] // kinds == 7
    assert seven.vectors.labels[-1] % kinds == own[-1] % kinds
    read = encoder_of(generator).encode(seven.images[-1:]).logits
    assert read is not None
    assert read.argmax() == 7
