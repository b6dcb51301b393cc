"""The table of metrics: computed where their needs are met, said where they are not, and a bug is a traceback."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gansmith as gs
from gansmith.cli import main
from gansmith.evaluation import floors, scores
from gansmith.evaluation.features import Features
from gansmith.evaluation.floors import Floor
from gansmith.evaluation.reference import Reference, bins_of, divide
from gansmith.metrics.frechet import Gaussian
from gansmith.metrics.prdc import Cloud

ALL = {metric.key for metric in scores.METRICS}
D = 8


def features(count: int, seed: int, **more: Any) -> Features:
    rng = np.random.default_rng(seed)
    draw = lambda width: rng.normal(size=(count, width))  # noqa: E731
    arrays = {"features": draw(D), "logits": draw(3), "judge_logits": draw(3), "control_features": draw(D)}
    return Features(**{**arrays, "digits": rng.integers(0, 10, (count, 3)), **more})


def reference(count: int = 1000, **more: Any) -> Reference:
    real, train = features(count, 1), features(count, 2).features
    parts = {
        "control": Gaussian.of(real.control_features),
        "real": real,
        "train": train,
        "all_train": train,
        "held_out": True,
        "bins": bins_of(train),
    }
    return Reference(**{**parts, "cloud": Cloud.of(real.features), **more})


def test_all_metrics_are_computed_where_all_needs_are_met() -> None:
    found = scores.score(features(1000, 3), reference())
    assert set(found.values) == ALL
    assert not found.unmet
    assert found.closest is not None
    assert all(isinstance(value, float) and np.isfinite(value) for value in found.values.values())


SAME = Features(np.ones((1000, D)))
LACKS = {
    "classes": ({"logits": None, "judge_logits": None}, {}, {"recognised", "classifier_score", "class_entropy"}),
    "judge": ({"judge_logits": None}, {}, {"recognised"}),
    "control": ({"control_features": None}, {}, {"fd_control"}),
    "stacks": ({"digits": None}, {}, {"modes", "kl"}),
    "test split": ({}, {"held_out": False}, {"fd_train", "closer", "authentic"}),
    "bins": ({}, {"bins": None}, {"ndb"}),
    "variety": ({}, {"real": SAME, "cloud": Cloud.of(SAME.features)}, {"precision", "recall", "density", "coverage"}),
}


@pytest.mark.parametrize("lack", LACKS)
def test_a_metric_whose_need_is_not_met_is_left_out_and_said(lack: str) -> None:
    of_generated, of_reference, missing = LACKS[lack]
    found = scores.score(replace(features(1000, 3), **of_generated), reference(**of_reference))
    assert set(found.values) == ALL - missing
    named = {metric.key for metrics in found.unmet.values() for metric in metrics}
    assert named == (set() if lack in {"control", "stacks"} else missing)


@pytest.mark.parametrize(
    ("count", "missing", "words"),
    [
        (
            D,
            {"fd", "fd_train", "fd_control", "fd_infinity"},
            f"more images than the {D} features on each side, not {D} generated ones",
        ),
        (4 * D + 3, {"fd_infinity"}, "36 images a set or more"),
    ],
)
def test_few_images_leave_out_what_needs_more(count: int, missing: set[str], words: str) -> None:
    found = scores.score(features(count, 3), reference())
    assert set(found.values) == ALL - missing
    assert list(found.unmet) == [words]
    assert {metric.key for metric in found.unmet[words]} == missing


def test_further_seeds_take_the_cheap_metrics_alone_and_training_images_not_what_measures_against_them() -> None:
    later = scores.score(features(1000, 4), reference(), first=False)
    assert set(later.values) == {"fd", "fd_train", "classifier_score", "class_entropy"}
    sides = reference()
    own = replace(features(1000, 2, digits=None), features=sides.train)
    assert not {"fd_train", "ndb", "closer", "authentic"} & set(scores.score_real(own, sides, training=True, full=True))
    once = scores.score_real(features(1000, 5), sides, training=False, full=False)
    assert {"fd", "fd_train", "precision", "class_entropy"} <= set(once)
    assert not {"kid", "ndb", "authentic", "recognised"} & set(once)


def test_a_floor_of_one_set_has_the_spread_that_is_known() -> None:
    assert Floor((1.0, 3.0), 9.0).spread() == pytest.approx(np.sqrt(2))
    assert Floor((1.0,), 9.0).spread() == 9.0
    assert Floor((0.5,)).spread(100) == pytest.approx(np.sqrt(2 * 0.25 / 100))
    assert Floor((0.5,)).spread() is None


def test_a_bug_in_a_metric_reaches_the_user_as_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floors, "WHOLE", 500)
    mnist = gs.data.load("mnist")
    np.savez(tmp_path / "some.npz", images=mnist.take(np.arange(300)))

    def broken(*_: Any) -> float:
        raise ValueError("operands could not be broadcast together")

    gs.evaluate(tmp_path / "some.npz", data=tmp_path / "some.npz", samples=100)
    monkeypatch.setattr(scores, "kid", broken)
    with pytest.raises(ValueError, match="broadcast") as caught:
        gs.evaluate(tmp_path / "some.npz", data=tmp_path / "some.npz", samples=100)
    assert not isinstance(caught.value, gs.errors.UserError)
    with pytest.raises(ValueError, match="broadcast"):
        main(["evaluate", str(tmp_path / "some.npz"), "--data", str(tmp_path / "some.npz"), "--samples", "100"])


def test_copies_show_in_data_that_lie_class_by_class() -> None:
    rng = np.random.default_rng(0)
    centres = 6 * rng.normal(size=(10, D))

    def draw(count: int) -> np.ndarray:
        return np.repeat(centres, count // 10, axis=0) + rng.normal(size=(count, D))

    train, held_out = draw(6000), Features(draw(1000))
    sides = reference(real=held_out, train=train, all_train=train, cloud=Cloud.of(held_out.features), control=None)
    copies = train[rng.permutation(6000)[:1000]] + 1e-3 * rng.normal(size=(1000, D))
    assert scores.Sides(Features(draw(1000)), sides).closer == pytest.approx(0.5, abs=0.06)
    assert scores.Sides(Features(copies), sides).closer > 0.56


@pytest.mark.parametrize(("images", "samples"), [(300, 50), (300, 1000), (41, 20)])
def test_halves_of_training_images_share_none(images: int, samples: int) -> None:
    train = gs.data.from_arrays(np.zeros((images, 1, 8, 8), np.uint8))
    split = divide(train, None, samples)
    others = np.concatenate([part.indices for part in split.others])
    assert not set(split.real.indices.tolist()) & set(others.tolist())
    assert len(set(others.tolist())) == len(others)
