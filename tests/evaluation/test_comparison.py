"""compare: each group has a name and a letter of its own, so that the winner is the one that is named."""

from pathlib import Path

import pytest

from gansmith.errors import UserError
from gansmith.evaluation import comparison
from gansmith.evaluation.report import Figure, Protocol, Report, Subject

NAME = "mnist-mlp-001"


def report(fd: float, name: str = NAME, *, seed: int = 0, group: str | None = None, kind: str = "run") -> Report:
    protocol = Protocol(
        encoder="mnist@abc123", data="mnist", against="mnist test", fingerprint="f" * 64, real=1000, generated=1000,
        seeds=(0,), sets=3, gansmith="0",
    )  # fmt: skip
    figure = Figure(key="fd", name="FD", better="lower", value=fd, values=(fd,), floor=1.0, spread=0.1)
    subject = Subject.model_validate({"name": name, "kind": kind, "recipe": "mlp", "seed": seed, "group": group})
    return Report(subject=subject, protocol=protocol, figures=(figure,))


@pytest.mark.parametrize("turned", [False, True])
def test_the_better_of_two_with_one_name_is_named_by_its_folder(turned: bool) -> None:
    given = [(report(9.0), "/x/bad/runs/" + NAME), (report(5.0), "/x/good/runs/" + NAME)]
    given = given[::-1] if turned else given
    found = comparison.compare([each for each, _ in given], [place for _, place in given])
    assert found.verdict == f"good/runs/{NAME} is better"
    assert found.lines[0].best == (f"good/runs/{NAME}",)
    assert found.lines[0].lettered == ("A is better" if turned else "B is better")
    assert [group.letter for group in found.groups] == ["A", "B"]


def test_without_places_equal_names_are_numbered() -> None:
    found = comparison.compare([report(9.0), report(5.0), report(7.0, "other")])
    assert [group.name for group in found.groups] == [f"{NAME} (1)", f"{NAME} (2)", "other"]
    assert found.verdict == f"{NAME} (2) is best"


def test_three_of_one_name_and_one_of_another() -> None:
    places = ["/a/x/n", "/b/x/n", "/b/y/n", "/c/other"]
    found = comparison.compare([report(5.0, "n"), report(6.0, "n"), report(7.0, "n"), report(8.0, "other")], places)
    assert [group.name for group in found.groups] == ["a/x/n", "b/x/n", "y/n", "other"]
    assert [group.letter for group in found.groups] == ["A", "B", "C", "D"]
    assert found.lines[0].lettered == "A is best"


def test_names_inside_names_and_with_brackets_are_not_mixed_up() -> None:
    found = comparison.compare([report(9.0, "a (1)"), report(5.0, "a"), report(9.0, "is best")])
    assert (found.verdict, found.lines[0].lettered) == ("a is best", "B is best")
    found = comparison.compare([report(5.0, "a (1)"), report(9.0, "a")])
    assert found.verdict == "a (1) is better"


def test_two_groups_of_one_recipe_are_told_apart() -> None:
    short = [report(9.0 + seed / 10, f"short-{seed}", seed=seed, group="2,000 steps") for seed in range(2)]
    long = [report(5.0 + seed / 10, f"long-{seed}", seed=seed, group="4,000 steps") for seed in range(2)]
    found = comparison.compare([*short, *long])
    assert found.verdict == "mlp (2 seeds: long-0, long-1) is better"
    assert found.lines[0].lettered == "B is better"


def test_one_run_twice_is_refused_and_a_copy_is_named_as_one(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / "last").symlink_to(NAME)
    with pytest.raises(UserError, match=f"{NAME}: is given twice"):
        comparison.compare([report(5.0), report(5.0)], [tmp_path / NAME, tmp_path / "last"])
    exported = report(5.0, "runs/x/generator", kind="generator")
    found = comparison.compare([report(5.0), exported], [tmp_path / NAME, tmp_path / NAME / "generator"])
    assert found.verdict == comparison.NO_DIFFERENCE
    assert any("A and B score the same in everything" in note for note in found.notes)
    assert not any("score the same" in note for note in comparison.compare([report(5.0), report(5.01)]).notes)


def test_more_than_26_have_numbers() -> None:
    found = comparison.compare([report(float(number), f"n{number}") for number in range(1, 29)])
    assert [group.letter for group in found.groups][24:] == ["Y", "Z", "27", "28"]
