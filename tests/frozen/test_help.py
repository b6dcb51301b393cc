"""What --help says, of every verb: 100 columns wide, plain. Changed on purpose? GANSMITH_REWRITE_FROZEN=1."""

import re

import pytest
from snapshots import HERE, REWRITE, hold_text

from gansmith.cli import main

VERBS = sorted(path.stem for path in (HERE / "help").glob("*.txt"))  # "encoder-train" is `encoder train`


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def helped(capsys: pytest.CaptureFixture[str], *verb: str) -> str:
    capsys.readouterr()
    assert main([*verb, "--help"]) == 0
    return capsys.readouterr().out


def commands(text: str) -> list[str]:
    """The verbs that a help lists."""
    return re.findall(r"^│ ([a-z]+) ", text, re.MULTILINE)


def every(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, ...]]:
    """The name of each verb's file, and the verb."""
    found: dict[str, tuple[str, ...]] = {"gansmith": ()}
    for verb in commands(helped(capsys)):
        found[verb] = (verb,)
    for family in ("encoder", "data"):
        for inner in commands(helped(capsys, family)):
            found[f"{family}-{inner}"] = (family, inner)
    return found


def test_the_verbs_are_those_whose_help_is_held(capsys: pytest.CaptureFixture[str]) -> None:
    found = every(capsys)
    if REWRITE:
        for path in (HERE / "help").glob("*.txt"):
            path.unlink()
        for name, verb in found.items():
            hold_text(f"help/{name}.txt", helped(capsys, *verb))
        return
    assert sorted(found) == VERBS


@pytest.mark.skipif(REWRITE, reason="rewritten all at once")
@pytest.mark.parametrize("name", VERBS)
def test_help_says_what_it_said(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    verb = () if name == "gansmith" else tuple(name.split("-"))
    hold_text(f"help/{name}.txt", helped(capsys, *verb))
