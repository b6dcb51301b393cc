"""What verbs print and draw beside their documents: progress of long work, and pictures that fill a slide."""

import io
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gansmith import recipes
from gansmith.cli import main, output
from gansmith.generator import Generator


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    return now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_says_rate_and_time_left(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(output.shutil, "get_terminal_size", lambda: os.terminal_size((60, 24)))
    for seconds, done in ((0, 1000), (4, 3000), (8, 9000)):
        clock[0] = 100.0 + seconds
        output.progress("encoding", done, 9000)
    text = sys.stderr.getvalue()
    first, middle, last = text.split("\r")[1:]
    assert first.rstrip() == "encoding: 1,000 of 9,000"
    assert middle.rstrip() == "encoding: 3,000 of 9,000, 500/s, about 12 s left"
    assert last == "encoding: 9,000 of 9,000".ljust(59) + "\n"
    output.progress("w" * 200, 1, 2)
    assert len(sys.stderr.getvalue().split("\r")[-1]) == 59  # nothing wraps


def test_elsewhere_a_line_comes_every_ten_seconds_and_at_the_end(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    for second in range(25):
        clock[0] = 100.0 + second
        output.progress("decoding", 1 + second, 25)
    assert capsys.readouterr().err.splitlines() == [
        "decoding: 11 of 25, 1.0/s, about 14 s left",
        "decoding: 21 of 25, 1.0/s, about 4 s left",
        "decoding: 25",
    ]


def test_work_that_was_given_up_begins_anew(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    output.progress("again", 50, 100)
    clock[0] += 100
    output.progress("again", 10, 100)
    clock[0] += 10
    output.progress("again", 30, 100)
    assert capsys.readouterr().err == "again: 30 of 100, 2.0/s, about 35 s left\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    recipe = recipes.get("mlp").override({"generator.width": 0.25})
    folder = tmp_path_factory.mktemp("made") / "generator"
    Generator(recipes.generator(recipe), recipe).save_pretrained(folder)
    return folder


VERBS = {
    "sample": "sample {}",
    "sample, ten": "sample {} -n 10",
    "morph": "morph {}",
    "morph, three": "morph {} --seeds 1,2,3",
    "mix": "mix {} 1-2+3",
    "directions": "directions {}",
    "find": "find {} --look bright --number 12",
    "truncate": "truncate {} --samples 0",
}


@pytest.mark.parametrize("what", VERBS)
def test_a_picture_fills_a_slide_unless_a_scale_is_given(
    what: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = VERBS[what].format(made).split()
    widths = []
    for name, more in (("slide", []), ("one", ["--scale", "1"]), ("three", ["--scale", "3"])):
        assert main([*argv, "--out", f"{name}.png", *more]) == 0
        with Image.open(f"{name}.png") as picture:
            widths.append(picture.width)
            assert picture.height <= 1300
    slide, one, three = widths
    assert 1000 <= slide <= 1600
    assert one < three <= 3 * one


def test_each_pixel_of_an_enlarged_sheet_is_a_square(made: Path, tmp_path: Path) -> None:
    assert main(["sample", str(made), "-n", "1", "--scale", "5", "-o", str(tmp_path / "x.png")]) == 0
    pixels = np.asarray(Image.open(tmp_path / "x.png"))[2:-2, 2:-2]
    assert pixels.shape == (140, 140)
    assert np.array_equal(pixels, pixels[::5, ::5].repeat(5, 0).repeat(5, 1))


def test_frames_of_an_animation_take_the_scale_too(made: Path, tmp_path: Path) -> None:
    assert main(["morph", str(made), "--frames", "3", "--scale", "2", "-o", str(tmp_path / "x.gif")]) == 0
    with Image.open(tmp_path / "x.gif") as film:
        assert film.size == (56, 56)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--scale 0 -o x.png", r"--scale 0: give 1 to 64"),
        ("--scale 65 -o x.png", r"--scale 65: give 1 to 64"),
        ("--scale 2 -o x.npz", r"--scale 2: only a sheet is enlarged, not x\.npz"),
        ("--scale 2 -o folder", r"--scale 2: only a sheet is enlarged, not folder"),
        ("--scale 64 -n 200 -o x.png", r"--scale 64: the picture would be [\d,]+ x [\d,]+ pixels"),
    ],
)
def test_a_scale_that_makes_no_sense_is_refused(
    flags: str,
    message: str,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sample", str(made), *flags.split()]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["quiz {}", "data mnist"])
def test_a_scale_without_a_sheet_is_refused(verb: str, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*verb.format(made).split(), "--scale", "2"]) == 2
    assert "--scale: only a --sheet is enlarged" in capsys.readouterr().err


def test_numbers_of_numpy_are_plain_ones_in_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    output.document({"sure": np.True_, "count": np.int64(3), "share": np.float32(0.5), "path": Path("a")})
    assert json.loads(capsys.readouterr().out) == {"sure": True, "count": 3, "share": 0.5, "path": "a"}
