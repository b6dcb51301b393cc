"""What the package ships of real images: found under its key, true, and passed over where anything changed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_scores import reference

from gansmith import data
from gansmith.data.builtin import DEBIAN
from gansmith.evaluation import cache, floors, online, pipeline
from gansmith.evaluation.features import Encoders
from gansmith.evaluation.real import of_data
from gansmith.evaluation.reference import Part, Split, divide, encode
from gansmith.metrics.frechet import frechet

MAKE = "make it again: python -m benchmarks.floors"


@pytest.fixture(autouse=True)
def nothing_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache of features; what is computed of all images is left out."""
    monkeypatch.setattr(cache, "_place", lambda key: tmp_path / f"{key[:40]}.safetensors")
    monkeypatch.setattr(floors, "_reference", lambda *_: reference(20))

    def measured(*_: Any, **__: Any) -> Any:
        raise LookupError(MAKE)

    monkeypatch.setattr(floors, "_measured", measured)
    monkeypatch.setattr(floors, "encode", measured)
    monkeypatch.setattr(online.reference, "encode", measured)


def standard(name: str) -> tuple[Split, Encoders]:
    real = of_data(name)
    return divide(real.train, real.held_out, pipeline.SAMPLES), Encoders.choose(real.train)


@pytest.mark.parametrize("name", data.names())
def test_data_with_a_name_have_their_floors_in_the_package(name: str) -> None:
    if name == "fashion-mnist" and not DEBIAN.exists():
        pytest.skip("needs Debian's package dataset-fashion-mnist")
    split, encoders = standard(name)
    found, floor = floors.prepare(split, encoders)
    assert {"fd", "precision", "authentic"} <= floor.keys()
    assert len(floor["fd"].values) == 3
    assert (found.control is None) == (encoders.control is None)
    assert online.frechet_reference(split.others[0].dataset).protocol.floor > 0


def test_they_are_what_is_measured_here() -> None:
    split, encoders = standard("mnist")
    _, floor = floors.prepare(split, encoders)
    real, others = (encode(part, encoders.encoder).features for part in (split.real, split.others[2]))
    assert frechet(real, others) == pytest.approx(floor["fd"].values[2], rel=1e-4)


def test_features_of_all_training_images_are_the_encoders_to_a_hundredth_of_a_neighbours_distance() -> None:
    split, encoders = standard("mnist")
    found = floors._all_train(split, encoders, None)  # finds them, or the fixture's refusal raises
    assert found is not None
    assert found.shape == (60_000, encoders.encoder.dimensions)
    some = np.arange(59_000, 59_256)
    exact = encode(Part(split.others[0].dataset, some), encoders.encoder).features
    assert np.abs(found[some] - exact).max() <= 0.02
    assert np.abs(found[some] - exact).mean() > 0  # in 8 bits


def test_another_encoder_count_or_image_finds_none() -> None:
    split, encoders = standard("mnist")
    other = Encoders.choose(split.real.dataset, Encoders.choose(data.load("mnist")).judge)
    fewer = divide(split.others[0].dataset, split.real.dataset, 9_999)
    train = split.others[0].dataset
    changed = Split(Part(train, np.arange(10_000)), split.others, held_out=True)
    for some, networks in ((split, other), (fewer, encoders), (changed, encoders)):
        with pytest.raises(LookupError):
            floors.prepare(some, networks)


def test_ones_own_entry_comes_first_and_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    split, encoders = standard("mnist")
    _, shipped = floors.prepare(split, encoders)
    (name,) = [path.name for path in cache.SHIPPED.iterdir() if _values(path).get("fd") == [*shipped["fd"].values]]
    cache.write(name.split(".")[0], {}, {"fd": [1.0]})
    assert floors.prepare(split, encoders)[1]["fd"].values == (1.0,)
    (tmp_path / name).write_bytes(b"torn")
    assert floors.prepare(split, encoders)[1] == shipped


def _values(path: Path) -> dict[str, Any]:
    stored = cache._read(path)
    assert stored is not None, path
    return stored[1]
