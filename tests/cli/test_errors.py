"""What becomes of an error: one line and 2 for what the user can mend, a traceback for a bug, on every verb."""

import errno
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gansmith.cli import main
from gansmith.cli.app import VERBS

# For each verb a command line that works, and a function that it calls, deep enough to be none of the verb's own.
WAYS = {
    "train": (
        "train digits.npz --recipe mlp --batch-size 16 --threads 1 --steps 2 --out other",
        "gansmith.render.sheet",
    ),
    "studio": ("studio runs --port 0", "gansmith.studio.server._listen"),
    "recipes": ("recipes mlp", "gansmith.recipe.Recipe.to_toml"),
    "sweep": (
        "sweep digits.npz --recipe mlp --vary batch-size=8,16 --seeds 1 --samples 16 --steps 2",
        "gansmith.experiment.sweeping.sweep",
    ),
    "new-recipe": ("new-recipe first", "gansmith.files.write_text"),
    "data": ("data digits.npz", "gansmith.render.blocks"),
    "data shard": ("data shard digits.npz -o sharded", "gansmith.data.layouts.encode"),
    "sample": ("sample last -n 2 -o x.png", "gansmith.render.sheet"),
    "runs": ("runs", "gansmith.runs.quality.known"),
    "evaluate": ("evaluate last --samples 64 --seeds 1", "gansmith.encoders.encoder.Encoder.encode"),
    "compare": (
        "compare last runs/last/generator --data digits.npz --samples 64 --seeds 1",
        "gansmith.encoders.encoder.Encoder.encode",
    ),
    "doctor": ("doctor last", "gansmith.doctor.examination.tabulate"),
    "quiz": ("quiz last --sheet x.png", "gansmith.render.sheet"),
    "morph": ("morph last -o x.png", "gansmith.render.sheet"),
    "mix": ("mix last 1-2 -o x.png", "gansmith.render.sheet"),
    "directions": ("directions last --count 2 -o x.png", "gansmith.render.sheet"),
    "find": ("find last --look bright -n 2 -o x.png", "gansmith.render.sheet"),
    "invert": ("invert last few/0.png --floor 0 -o x.npz", "gansmith.render.sheet"),
    "complete": ("complete last few/0.png --keep left -n 1 -o x.png", "gansmith.render.sheet"),
    "neighbours": ("neighbours last -n 1 -o x.png", "gansmith.encoders.encoder.Encoder.encode"),
    "truncate": ("truncate last --samples 50 -n 2 -o x.png", "gansmith.encoders.encoder.Encoder.encode"),
    "mint": ("mint last -n 4 -o minted --workers 1", "gansmith.minting.shards.write"),
    "push": ("push last somebody/digits", "gansmith.hub.pushing.card"),
    "export": ("export last -o new-folder", "gansmith.generator.Generator.save_pretrained"),
    "card": ("card last --samples 64 -o card", "gansmith.evaluation.pipeline.measure"),
    "report": ("report last", "gansmith.runs.Run.sheets"),
    "encoder train": ("encoder train digits.npz --images 64 -o x.safetensors", "gansmith.encoders.train.train"),
    "encoder show": ("encoder show", "gansmith.encoders.encoder.Encoder.full_name"),
    "info": ("info", "gansmith.experiment.cpu_speed.speeds"),
}


def bug(*_: Any, **__: Any) -> Any:
    """A mistake as NumPy tells it: a ValueError that no user can mend."""
    return np.zeros(6).reshape(4)


def test_every_verb_has_a_way_to_go_wrong() -> None:
    assert sorted(WAYS) == sorted(verb.name for verb in VERBS)


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_a_bug_is_not_swallowed(verb: str, inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argv, place = WAYS[verb]
    monkeypatch.setattr(place, bug if not place.endswith("full_name") else property(bug))
    with pytest.raises(ValueError, match="cannot reshape array of size 6"):
        main(argv.split())


def raising(error: BaseException) -> Any:
    def stand_in(*_: Any, **__: Any) -> Any:
        raise error

    return stand_in


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.png"), 2, "x.png: No space left on device"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "x.png"), 2, "x.png: Permission denied"),
        (MemoryError(), 2, "not enough memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 2, "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 2, "not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_happens_to_a_machine_is_one_line(
    error: BaseException,
    code: int,
    said: str,
    inside: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("gansmith.runs.every", raising(error))
    monkeypatch.setattr("gansmith.cli.output.discard_output", lambda: None)  # standard output is the tests'
    assert main(["runs"]) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"gansmith: {said}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("error", [OSError("cannot identify image file"), RuntimeError("shape"), KeyError("loss")])
def test_what_no_user_can_mend_is_raised(error: Exception, inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gansmith.runs.every", raising(error))
    with pytest.raises(type(error)):
        main(["runs"])


def test_a_debugger_sees_where_a_refusal_comes_from(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANSMITH_DEBUG", "1")
    for argv in (["sample", "nothing"], ["runs", "nowhere"]):
        with pytest.raises(ValueError, match="no"):
            main(argv)


def gansmith(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real command, run by a shell; G in the line is its name."""
    script = command.replace("G ", f"'{sys.executable}' -m gansmith ")
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def test_names_are_looked_up_before_pytorch_is_imported(inside: Path) -> None:
    wrong = {
        "train": ["mnits"],
        "sweep": ["mnits", "--vary", "batch-size=8"],
        "data": ["mnits"],
        "data shard": ["mnits", "-o", "x"],
        "encoder train": ["mnits", "-o", "x.safetensors"],
    }
    more = {
        "mix": ["1"],
        "invert": ["few/0.png"],
        "complete": ["few/0.png"],
        "compare": ["last"],
        "mint": ["-n", "3", "-o", "x"],
        "push": ["somebody/digits"],
    }
    nameless = {"recipes", "new-recipe", "runs", "studio", "info", "encoder show"}
    named = [each.name for each in VERBS if each.name not in nameless]
    lines = [[*name.split(), *wrong.get(name, ["nothing", *more.get(name, [])])] for name in named]
    lines += [["recipes", "mpl"], *(["train", *flags.split()] for flags in ("--recipe mpl", "--steps 0", "--lr 1"))]
    lines += [["complete", "last", "few/0.png"], ["complete", "last", "nothing.png", "--draw"]]
    lines += [["train", "--resume", "nothing"], ["sample", "last", "--nmber", "3"], ["evaluate", "empty/nothing"]]
    code = (
        "import json, sys; from gansmith.cli import main\n"
        "for argv in json.loads(sys.argv[1]):\n"
        "    assert main(argv) == 2, argv\n"
        "    assert 'torch' not in sys.modules, argv\n"
        "assert main(['recipes']) == 0\n"
        "assert 'torch' not in sys.modules, 'recipes'\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, json.dumps(lines)], capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("\n") == len(lines)


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("G runs >&-", 0, ""),
        ("G runs nowhere 2>&-", 2, ""),
        ("G runs nowhere >&- 2>&-", 2, ""),
        ("G quiz last <&-", 2, "no answer was given"),
        ("G runs > /dev/full", 2, "No space left on device"),
    ],
)
def test_closed_and_full_streams_end_without_traceback(command: str, code: int, said: str, inside: Path) -> None:
    ended = gansmith(command)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert said in ended.stderr


def test_a_stream_that_is_not_utf_8_gets_all_it_can_show(inside: Path) -> None:
    ended = gansmith("G recipes mlp", PYTHONIOENCODING="latin-1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\\u201cUnderstanding" in ended.stdout


HOSTILE = {"escape": "\x1b]0;pwned\x07", "override": "a\u202eb", "newline": "one\ntwo"}


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zip whose classes, and a folder whose file, are named to deceive a terminal."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8)
    with zipfile.ZipFile("classes.zip", "w") as archive:
        for index, name in enumerate(["plain", *HOSTILE.values()] * 7):
            Image.fromarray(pixels[index]).save("one.png")
            archive.write("one.png", f"{name}/{index}.png")
    Path("folder").mkdir()
    Path("folder", "\x1b[2J\u202e.zip").touch()
    return tmp_path


@pytest.mark.parametrize(
    "argv",
    [
        ["data", "classes.zip"],
        ["data", "folder"],
        ["data", "no\x1b[2Jthing"],
        ["sample", "no\x1b[2J\u202ething"],
        ["runs", "no\x1b[2J\u202ething"],
        ["recipes", "no\x1b[2J\u202ething"],
        ["data", "classes.zip", "--sheet", "x\x1b[2J\u202e.png"],
        ["data", "classes.zip", "--\x1b[2J\u202e"],
    ],
)
def test_no_name_from_outside_reaches_the_terminal_raw(
    argv: list[str], hostile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(argv)
    out, err = capsys.readouterr()
    assert out + err
    assert not {"\x1b", "\x07", "\u202e"} & set(out + err)


def test_class_names_are_spelled_out_on_one_line(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "classes.zip"]) == 0
    out = capsys.readouterr().out
    for name in ("\\x1b]0;pwned\\x07", "a\\u202eb"):
        assert name in out


@pytest.mark.parametrize(
    ("line", "flag"),
    [
        (["train", "--steps", "1.5"], "--steps"),
        (["train", "--batch-size", "32.0"], "--batch-size"),
        (["data", "mnist", "--scale", "1.5"], "--scale"),
        (["train", "--seed", "."], "--seed"),
        (["train", "--threads", "1e3"], "--threads"),
    ],
)
def test_a_fraction_is_no_whole_number(line: list[str], flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line) == 2
    assert capsys.readouterr().err == f'gansmith: Invalid value for {flag}: "{line[-1]}" is no whole number.\n'


def test_wrong_numbers_and_names_are_refused_before_pytorch_is_imported(tmp_path: Path) -> None:
    refused = [
        "sample mnist -n 0", "sample mnist --seed -1", "sample mnist --scale 0", "sample nosuch",
        "train --steps 0", "train nosuch", "evaluate mnist --samples 1", "evaluate mnist --seeds 0",
        "evaluate mnist --max-fd -1", "quiz mnist --rounds 0",
        "truncate mnist --psi x", "truncate mnist --samples 1", "truncate mnist -n 0", "neighbours mnist --count 0",
        "invert mnist nosuch.png", "complete mnist nosuch.png --keep left", "morph mnist --frames 0",
        "morph mnist --between -1", "directions mnist --count 0", "directions mnist --steps 1",
        "find mnist --label 3 -n 0", "mint mnist -n 0 -o set", "mint mnist -n 9 -o set --workers 0",
        "card mnist --samples 1", "sweep --vary steps=1 --seeds 0",
    ]  # fmt: skip
    code = (
        "import sys; from gansmith.cli import main\n"
        f"for line in {refused}:\n"
        "    assert main(line.split()) == 2 and 'torch' not in sys.modules, line\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("gansmith: ") == len(refused)
