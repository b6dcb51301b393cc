"""Figures of latent tools: labels of a plot are legible however close their points lie."""

import numpy as np
import pytest

from gansmith.latent import figures

pytestmark = pytest.mark.painted


@pytest.mark.parametrize("spread", [0.0, 1.0, 10.0, 100.0])
def test_labels_cover_neither_each_other_nor_a_point(spread: float) -> None:
    names = ["0.3", "0.5", "0.6", "0.7", "0.75", "0.8", "0.85", "0.9", "1", "1.25", "real"]
    points = np.random.default_rng(0).normal((250, 120), spread, (len(names), 2)).clip((60, 40), (480, 260))
    frame = np.array([40.0, 30.0, 500.0, 280.0])
    places = figures.label_places(names, points, frame)
    halves = np.array([(4 * len(name), 6) for name in names])
    assert ((places - halves >= frame[:2]) & (places + halves <= frame[2:])).all()
    for index, (place, half) in enumerate(zip(places, halves, strict=True)):
        apart = (np.abs(places - place) >= halves + half).any(axis=1)
        assert apart[np.arange(len(names)) != index].all()
        assert (np.abs(points - place) >= half).any(axis=1).all()
