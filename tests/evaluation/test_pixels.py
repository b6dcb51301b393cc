"""The nearest images in pixels: those of a plain search, to the last unit."""

import numpy as np

import gansmith as gs
from gansmith.evaluation import pixels


def test_nearest_in_pixels_is_what_a_plain_search_finds() -> None:
    train = gs.data.from_arrays(gs.data.load("mnist").take(np.arange(4000)))
    images = train.take([5, 70, 3000])
    near = pixels.nearest(images, train, k=3).indices
    assert near[:, 0].tolist() == [5, 70, 3000]
    flat = train.take(np.arange(4000)).reshape(4000, -1).astype(np.int64)
    differences = np.square(flat - flat[70]).sum(axis=1)
    assert near[1].tolist() == np.argsort(differences, kind="stable")[:3].tolist()


def test_distances_are_exact_where_single_precision_is_not() -> None:
    stored = np.full((3, 3, 64, 64), 255, np.uint8)  # squares sum to 8e8, which float32 holds to a multiple of 64
    stored[0, 0, 0, 0] -= 3
    stored[1, 0, 0, 0] -= 2
    stored[2, 0, 0, :2] -= 1
    found = pixels.nearest(np.full((1, 3, 64, 64), 255, np.uint8), gs.data.from_arrays(stored), k=3)
    assert found.indices.tolist() == [[2, 1, 0]]
    assert found.squares.tolist() == [[2, 4, 9]]
    others = pixels.nearest(stored, gs.data.from_arrays(stored), k=1, own=np.arange(3))
    assert others.indices[:, 0].tolist() == [1, 0, 1]
    assert others.squares[:, 0].tolist() == [1, 1, 2]
