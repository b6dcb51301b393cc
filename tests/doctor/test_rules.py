"""The rules: each failure is named by the numbers that show it, and healthy numbers show none."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from signal_rows import SICK, Row, healthy, sick

from gansmith import doctor, recipes
from gansmith.cli.app import build
from gansmith.doctor import RULES, Facts, Finding, signals
from gansmith.doctor.findings import last_span

MLP = Facts(recipes.get("mlp"), steps=10_000, labelled=True, pixel_std=0.3)


PENALISED = replace(MLP, recipe=MLP.recipe.override({"penalty.kind": "r1", "penalty.gamma": 1000}))
WARNINGS = ("discriminator memorises", "kinds impure", "late decline")
DECLINE: list[Row] = [{"step": 500 * n, "fd": 4.0 + abs(n - 10) * 0.2} for n in range(1, 21)]


def diagnose(metrics: list[Row], rows: list[Row], facts: Facts = MLP, quality: Sequence[Row] = ()) -> list[Finding]:
    return doctor.findings(doctor.tabulate(metrics, rows, quality), facts)


def test_healthy_numbers_give_no_finding() -> None:
    metrics, rows = healthy()
    assert diagnose(metrics, rows) == []
    assert diagnose(metrics, []) == []


def test_every_rule_has_a_case() -> None:
    assert set(SICK) == {rule.name for rule in RULES}


@pytest.mark.parametrize("name", SICK)
def test_a_failure_is_named_first_by_the_numbers_that_show_it(name: str) -> None:
    facts, quality = PENALISED if name == "penalty too strong" else MLP, DECLINE if name == "late decline" else ()
    found = diagnose(*sick(SICK[name], since=5 if name == "late collapse" else 0), facts, quality)
    assert found
    assert found[0].name == name
    assert found[0].until is None
    assert found[0].is_problem == (name not in WARNINGS)
    assert found[0].evidence
    assert found[0].evidence.isascii()
    assert set(found[0].watched) <= {*signals.MEANINGS, *doctor.tabulate(*healthy()).columns}


def test_a_penalty_is_named_where_there_is_one_and_the_end_where_it_stays_worse() -> None:
    silent = sick({"discriminator_accuracy": 0.5, "logit_spread": 0.0})
    (found, *_), (without, *_) = diagnose(*silent, PENALISED), diagnose(*silent)
    assert (found.name, without.name) == ("penalty too strong", "dead discriminator")
    assert found.remedy == "--penalty.gamma 1e+02"
    (decline,) = diagnose(*healthy(), quality=DECLINE)
    assert (decline.name, decline.remedy, decline.until) == ("late decline", "--average.span 0.1", None)
    assert "at its best, by step 5,000, it was 4" in decline.evidence
    once = [dict(row, fd=6.0 if row["step"] == 8000 else 4.0) for row in DECLINE]  # a single high value
    assert diagnose(*healthy(), quality=once) == []
    assert diagnose(*healthy(), quality=[dict(row, fd=min(row["fd"], 4.3)) for row in DECLINE]) == []


def test_a_diverged_run_is_named() -> None:
    (finding,) = diagnose(*healthy(), Facts(recipes.get("mlp"), diverged=True, last_step=123))
    assert (finding.name, finding.step, finding.is_problem) == ("not finite", 123, True)
    assert finding.remedy == "--generator-optimizer.lr 0.0005 --discriminator-optimizer.lr 0.0005"


def test_the_published_case_is_named_from_metrics_alone() -> None:
    metrics = [
        {
            "step": step,
            "discriminator_loss": 8.06,
            "generator_loss": 16.118,
            "discriminator_accuracy": 0.5,
            "generator_accuracy": 0.0,
        }
        for step in range(10, 3001, 10)
    ]
    found = diagnose(metrics, [], Facts(recipes.get("dcgan-upsample"), steps=3000))
    assert found[0].name == "dead discriminator"
    assert "accuracy 0.50, D loss 8.06, G loss 16.1, G accuracy 0.00" in found[0].evidence
    assert "clip" in found[0].evidence


def test_it_takes_three_rows_in_a_row_after_warming_up() -> None:
    metrics, rows = healthy()
    for look in (0, 1, 2, 20, 21, 30, 31, 33, 34):  # steps 250, 500 and 750 are warm-up, or just after
        rows[look]["logit_spread"] = 0.0
    assert diagnose(metrics, rows) == []
    rows[32]["logit_spread"] = 0.0
    (finding,) = diagnose(metrics, rows)
    assert (finding.name, finding.step, finding.until) == ("dead discriminator", 31 * 250, 35 * 250)
    assert not finding.is_problem


def test_a_stretch_ends_after_three_misses() -> None:
    steps = np.arange(12.0)
    hits = np.array([c == "x" for c in "..xxx..xx..."])
    assert last_span(hits, steps) == (2, 8)
    assert last_span(np.array([c == "x" for c in "..xxx...xx.x"]), steps) == (2, 4)
    assert last_span(np.array([c == "x" for c in "..xx.xx.xx.x"]), steps) is None
    assert last_span(hits, steps, patience=2) == (2, 8)
    assert last_span(hits, steps, patience=7) is None


def test_what_still_improves_is_no_problem() -> None:
    falling = {"gap": lambda look: 2.0 * 0.9**look}
    assert not any(f.is_problem for f in diagnose(*sick({"distance": 0.3, "entropy": 0.5, **falling})))
    assert any(f.is_problem for f in diagnose(*sick({"distance": 0.1, "entropy": 0.5, "gap": 1.0})))


def test_gradients_that_jump_from_nothing_do_not_explode_while_losses_are_small() -> None:
    found = diagnose(*sick({"generator_gradient": lambda i: 6.0 * 4**i, "distance": 0.07, "gap": 0.8}))
    assert (found[0].name, found[0].is_problem) == ("total collapse", True)
    assert ("exploding", True) not in [(finding.name, finding.is_problem) for finding in found]


def test_a_discriminator_overpowers_though_it_errs_once_in_ten_looks() -> None:
    right = {"discriminator_accuracy": 1.0, "discriminator_loss": 0.17}
    metrics, rows = sick({**right, "gap": lambda i: 0.8 * 0.95**i})  # images still get better

    def is_problem(every: int) -> bool:
        some = [dict(row, discriminator_loss=0.4) if row["step"] // 250 % every == 1 else row for row in metrics]
        return any(finding.is_problem for finding in diagnose(some, rows) if finding.name == "discriminator overpowers")

    assert is_problem(1000)  # never
    assert is_problem(13)
    assert not is_problem(2)


def test_a_small_wave_is_a_warning() -> None:
    (found,) = diagnose(*sick({"discriminator_loss": lambda i: 0.5 + 0.15 * np.sin(i)}))
    assert (found.name, found.is_problem) == ("oscillation", False)


@pytest.mark.parametrize("name", ["blank or saturated", "noise ignored", "total collapse", "discriminator overpowers"])
def test_what_begins_after_good_images_is_a_late_collapse(name: str) -> None:
    found = diagnose(*sick({**SICK[name], "gap": 0.8}, since=10))
    assert found[0].name == "late collapse"
    assert name in found[0].follows
    assert "at its best" in found[0].evidence
    assert diagnose(*sick({**SICK[name], "gap": 0.8}))[0].name == name  # where they never were good


def test_copies_explain_a_discriminator_that_is_always_right() -> None:
    found = diagnose(*sick({**SICK["generator copies"], **SICK["discriminator overpowers"]}))
    assert found[0].name == "generator copies"
    assert "discriminator overpowers" in found[0].follows


def test_consequences_are_listed_with_their_cause() -> None:
    found = diagnose(*sick({**SICK["dead discriminator"], **SICK["noise-like images"], "entropy": 0.1}))
    assert [finding.name for finding in found] == ["dead discriminator"]
    assert found[0].follows == ("partial collapse", "noise-like images")


@cache
def taken(flags: str) -> int:
    """How many arguments of `train` these flags are. Raises for flags that it does not take."""
    _, bound, _ = build().parse_args(["train", *shlex.split(flags)], print_error=False, exit_on_error=False)
    return len(bound.arguments)


@pytest.mark.parametrize("recipe", recipes.names())
def test_remedies_are_flags_that_train_takes(recipe: str) -> None:
    facts = Facts(recipes.get(recipe), steps=10_000, labelled=True)
    variants = [facts.recipe, facts.recipe.override({"real_label": 1.0, "noise.scale": 0.1, "pixels": (-2, 2)})]
    if not facts.recipe.information:
        variants.append(facts.recipe.override({"conditional": "projection", "discriminator.dropout": 0.5}))
    for variant in variants:
        table = doctor.tabulate(*healthy())
        for rule in RULES:
            flags = rule.remedy(Facts(variant, steps=10_000, labelled=True), table, 20)
            assert taken(flags) >= 1, rule.name


def test_one_remedy_never_repeats_what_is_there() -> None:
    smoothed = recipes.get("mlp-bn")
    overpowered = next(rule for rule in RULES if rule.name == "discriminator overpowers")
    table = doctor.tabulate(*healthy())
    first = overpowered.remedy(Facts(smoothed.override(real_label=1.0)), table, 20)
    assert first == "--real-label 0.9"
    assert overpowered.remedy(Facts(smoothed), table, 20) == "--discriminator.dropout 0.4"
