"""Command lines that are refused: the exit code 2, and the one line on standard error, word for word.

refusals.json holds each: to add one, give it an argv there, and GANSMITH_REWRITE_FROZEN=1 fills in the rest.
"""

from pathlib import Path

import pytest
from snapshots import REWRITE, portable, read, write

from gansmith.cli import main

FILE = "refusals.json"
CASES = read(FILE)


def contents(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


@pytest.mark.timeout(60)  # one that is not refused would train
@pytest.mark.parametrize("what", CASES)
def test_it_is_refused_in_the_same_line(
    what: str, shared_workshop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    before = contents(shared_workshop)
    capsys.readouterr()
    argv = CASES[what]["argv"]
    code = main(argv)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gansmith: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert contents(shared_workshop) == before
    found = {"argv": argv, "code": code, "stderr": portable(err, shared_workshop).rstrip("\n")}
    if REWRITE:
        write(FILE, what, found)
    assert found == read(FILE)[what]
    assert code == 2


def test_every_verb_refuses_something() -> None:
    verbs = {case["argv"][0] for case in CASES.values()}
    everything = (
        "train recipes data compare evaluate sample runs report doctor info encoder "
        "directions find invert mix morph neighbours quiz truncate"
    )
    assert set(everything.split()) <= verbs
