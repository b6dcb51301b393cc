"""Real or forged: the quiz is fair and seeded, the score exact, and the answers come from anywhere."""

import io
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gansmith as gs
from decoder import decoder
from gansmith import data, runs
from gansmith.cli import main
from gansmith.evaluation import human as quizzes


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    out = tmp_path_factory.mktemp("runs")
    return gs.train(
        "mnist",
        recipe="mlp",
        steps=2,
        out=out,
        threads=1,
        evaluate_every=0,
        signals_every=0,
        overrides={"batch_size": 8},
    )


def test_each_image_is_what_the_key_says() -> None:
    held_out = data.load("mnist", split="test")
    quiz = quizzes.make(decoder(), held_out, rounds=200, seed=3)
    assert 70 < quiz.forged.sum() < 130
    known = {image.tobytes() for image in held_out.take(np.arange(len(held_out)))}
    assert [image.tobytes() in known for image in quiz.images] == [not forged for forged in quiz.forged]
    again = quizzes.make(decoder(), held_out, rounds=200, seed=3)
    assert np.array_equal(again.images, quiz.images)
    assert not np.array_equal(quizzes.make(decoder(), held_out, rounds=200, seed=4).forged, quiz.forged)


def test_the_verdict_is_the_exact_binomial_tests() -> None:
    assert quizzes.chance(0, 20) == 1
    assert quizzes.chance(20, 20) == 2.0**-20
    assert quizzes.chance(15, 20) == pytest.approx(0.020694732666015625)
    assert quizzes.chance(600, 1000) == pytest.approx(1.3642320780e-10, rel=1e-6)
    quiz = quizzes.make(decoder(), data.load("mnist", split="test"), rounds=20, seed=1)
    key = quiz.forged.tolist()
    for right, verdict in ((20, "better"), (15, "better"), (14, "no better"), (10, "no better"), (4, "worse")):
        answers = [forged if index < right else not forged for index, forged in enumerate(key)]
        score = quizzes.score(quiz, answers)
        assert (score.rounds, score.right) == (20, right)
        assert score.verdict.startswith(verdict)
    assert quizzes.score(quiz, key[:3]).verdict.startswith("too few")
    always_real = quizzes.score(quiz, [False] * 20)
    assert (always_real.taken_for_real, always_real.forged) == (sum(key), sum(key))
    with pytest.raises(ValueError, match="nothing to score"):
        quizzes.score(quiz, [])


def test_absurd_quizzes() -> None:
    held_out = data.load("mnist", split="test")
    for rounds, seed in ((0, 0), (1001, 0), (5, -1)):
        with pytest.raises(ValueError, match=r"`rounds`|`seed`"):
            quizzes.make(decoder(), held_out, rounds=rounds, seed=seed)
    with pytest.raises(ValueError, match="must be alike"):
        quizzes.make(decoder(), data.load("colour-mnist", split="test"), rounds=5)


def ask(monkeypatch: pytest.MonkeyPatch, run: gs.Run, text: str, *flags: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    return main(["quiz", str(run.path), "--rounds", "6", "--seed", "5", *flags])


def test_answers_are_read_scored_and_kept(
    run: gs.Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.path / "quiz.jsonl").unlink(missing_ok=True)
    key = quizzes.make(gs.load(run), data.load("mnist", split="test"), rounds=6, seed=5).forged
    right = "".join("f\n" if forged else " Real \n" for forged in key)
    assert ask(monkeypatch, run, "what?\n" + right, "--player", "Ada") == 0
    said = capsys.readouterr().out
    assert "6 of 6; a guesser does as well in 0.016" in said
    assert "1 of 6: real or forged?" in said
    wrong = "".join("r\n" if forged else "f\n" for forged in key)
    assert ask(monkeypatch, run, wrong, "--json") == 0
    seen = capsys.readouterr()
    facts = json.loads(seen.out)
    assert (facts["right"], facts["wrong"], facts["chance"]) == (0, [1, 2, 3, 4, 5, 6], 1.0)
    assert "real or forged?" in seen.err
    kept = list(runs.rows(run.path / "quiz.jsonl"))
    assert [(row["player"], row["right"], row["step"], row["real"]) for row in kept] == [
        ("Ada", 6, 2, "test images"),
        ("", 0, 2, "test images"),
    ]
    assert ask(monkeypatch, run, right) == 0
    assert "67% of 18 answers right, in 3 games" in capsys.readouterr().out
    gs.resume(run.path, steps=3)
    assert len(list(runs.rows(run.path / "quiz.jsonl"))) == 3  # going on with a run keeps its quizzes


def test_a_quiz_may_end_early(run: gs.Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for text, answered in (("r\nf\n", 2), ("r\nq\nf\n", 1)):
        assert ask(monkeypatch, run, text) == 0
        assert f"of {answered};" in capsys.readouterr().out
    before = (run.path / "quiz.jsonl").read_text()
    assert ask(monkeypatch, run, "") == 2
    assert "no answer was given" in capsys.readouterr().err

    class Stops(io.StringIO):
        def readline(self, *_: int) -> str:
            if self.tell() >= 4:
                raise KeyboardInterrupt
            return super().readline()

    monkeypatch.setattr(sys, "stdin", Stops("r\nr\n"))
    assert main(["quiz", str(run.path), "--rounds", "6"]) == 130
    assert "of 2;" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", Stops(""))
    monkeypatch.setattr(Stops, "readline", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["quiz", str(run.path), "--rounds", "6"]) == 130
    assert (run.path / "quiz.jsonl").read_text().startswith(before)
    assert len((run.path / "quiz.jsonl").read_text().splitlines()) == len(before.splitlines()) + 1


def test_a_sheet_and_its_key(run: gs.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["quiz", str(run.path), "--rounds", "9", "--sheet", str(tmp_path / "q.png"), "--json"]
    assert main(command) == 0
    facts = json.loads(capsys.readouterr().out)
    key = quizzes.make(gs.load(run), data.load("mnist", split="test"), rounds=9, seed=0).forged
    assert facts["forged"] == key.tolist()
    from PIL import Image

    red = []
    for name in ("q.png", "q-key.png"):
        with Image.open(tmp_path / name) as sheet:
            pixels = np.asarray(sheet.convert("RGB"))
            red.append(int(((pixels[..., 0] > 200) & (pixels[..., 1] < 90)).sum()))
    assert red[0] == 0 < red[1]
    assert main(["quiz", str(run.path), "--sheet", str(tmp_path / "q.txt")]) == 2
    assert main(["quiz", str(run.path), "--rounds", "0"]) == 2


def test_an_exported_generator_needs_data_it_can_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decoder().save_pretrained(tmp_path / "g")
    monkeypatch.setattr(sys, "stdin", io.StringIO("r\nr\n"))
    assert main(["quiz", str(tmp_path / "g"), "--rounds", "2"]) == 0
    assert "kept in" not in capsys.readouterr().out
    config = json.loads((tmp_path / "g" / "config.json").read_text())
    config["about"]["data"] = "shells"
    (tmp_path / "g" / "config.json").write_text(json.dumps(config))
    assert main(["quiz", str(tmp_path / "g"), "--rounds", "2"]) == 2
    assert "name them with --data" in capsys.readouterr().err


def test_piped_answers_from_another_process(run: gs.Run) -> None:
    command = [sys.executable, "-m", "gansmith", "quiz", str(run.path), "--rounds", "4"]
    ended = subprocess.run(command, input="r\nf\nr\nf\n", capture_output=True, text=True, check=True)
    assert "verdict" in ended.stdout
    assert math.isclose(json.loads((run.path / "quiz.jsonl").read_text().splitlines()[-1])["rounds"], 4)
