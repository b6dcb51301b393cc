"""What makes no sense is refused, or said, before a training starts."""

from pathlib import Path

import numpy as np
import pytest

from gansmith import data, recipes
from gansmith.cli import main
from gansmith.errors import UserError
from gansmith.experiment import sense


def test_a_time_that_holds_no_step_is_refused_with_one_that_holds_ten() -> None:
    with pytest.raises(UserError, match=r"`minutes` 0\.01: a single step takes 2 s here; give 0\.4 or more"):
        sense.check_budget(0.01, 2.0)
    sense.check_budget(0.4, 2.0)
    sense.check_budget(None, 2.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"penalty.kind": "r1", "penalty.gamma": 1e4}, True),
        ({"penalty.kind": "r1", "penalty.gamma": 150, "size": 256}, False),  # as published for faces
        ({"penalty.kind": "gradient", "penalty.gamma": 10}, False),
        ({"penalty.kind": "gradient", "penalty.gamma": 5000}, True),
        ({"penalty.gamma": 1e4}, False),  # no penalty at all
    ],
)
def test_a_penalty_that_silences_is_said(changes: dict[str, object], said: bool) -> None:
    lines = list(sense.doubts(recipes.get("mlp").override(changes)))
    assert bool(lines) == said
    assert not any("\n" in line for line in lines)


def test_no_published_recipe_is_doubted() -> None:
    assert [line for name in recipes.names() for line in sense.doubts(recipes.get(name))] == []


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mnist = data.load("mnist")
    few, ones = tmp_path / "few.npz", tmp_path / "ones.npz"
    np.savez(few, images=mnist.take(np.arange(50))[:, 0], labels=mnist.labels[:50])
    np.savez(ones, images=mnist.take(np.arange(50))[:, 0], labels=np.ones(50, int))
    out = ["--out", str(tmp_path), "--threads", "1", "--recipe", "mlp", "--batch-size", "8"]
    for words, line in (
        ([str(few), "--kinds", "20", "--steps", "1"], "--kinds 20: few has 50 images, and a kind needs 8"),
        ([str(ones), "--conditional", "--steps", "1"], "--conditional: all images of ones are of one class"),
        ([str(few), "--minutes", "0.000001"], "--minutes 1e-06: a single step takes"),
    ):
        capsys.readouterr()
        assert main(["train", *words, *out]) == 2
        error = capsys.readouterr().err.strip()
        assert line in error
        assert "\n" not in error


def test_the_first_lines_say_what_is_augmented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "few.npz", images=data.load("mnist").take(np.arange(60))[:, 0])
    narrow = ["--generator.width", "0.25", "--discriminator.width", "0.25", "--batch-size", "8", "--threads", "1"]
    words = ["train", str(tmp_path / "few.npz"), "--steps", "1", "--out", str(tmp_path), *narrow]
    assert main([*words, "--augment.shift", "0.125", "--augment.share", "0.7"]) == 0
    assert "augment    70% of what the discriminator sees: moved by up to 12%" in capsys.readouterr().out
    assert main(words) == 0
    assert "augment    50% of what the discriminator sees: moved by up to 12%" in capsys.readouterr().out
    assert main([*words, "--recipe", "mlp"]) == 0
    assert "augment" not in capsys.readouterr().out
    assert main([*words, "--augment.share", "0"]) == 0
    assert "augment" not in capsys.readouterr().out
