"""Attributes of drawings that need no classifier: brightness, thickness of strokes, slant, and width.

Images are uint8 (N, C, H, W), light on dark as in MNIST; colours count as their mean. A black image measures 0.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def brightness(images: NDArray[np.uint8]) -> Scores:
    """Mean pixel of each image, 0 to 255, float64 (N,)."""
    return np.asarray(images.mean(axis=(1, 2, 3), dtype=np.float64))


def thickness(images: NDArray[np.uint8]) -> Scores:
    """Mean width of the strokes in pixels, (N,): twice the ink over the length of its outline.

    The ink is the sum of pixels, the outline their total variation, both in units of full white: a stroke of width w
    and length l has ink w l and an outline of 2 l.
    """
    ink = _grey(images)
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    down, right = np.diff(padded, axis=1)[:, :, :-1], np.diff(padded, axis=2)[:, :-1, :]
    outline = np.sqrt(down**2 + right**2).sum(axis=(1, 2))
    return np.asarray(2 * ink.sum(axis=(1, 2)) / np.maximum(outline, 1e-9))


def slant(images: NDArray[np.uint8]) -> Scores:
    """Slant of the drawing, (N,): pixels to the right for each pixel up, from second moments; 0 is upright."""
    vertical, _, both = _moments(images)
    return -both / np.maximum(vertical, 1e-9)


def width(images: NDArray[np.uint8]) -> Scores:
    """Horizontal over vertical standard deviation of the ink without its slant, (N,): a 1 is narrow, a 0 wide."""
    vertical, horizontal, both = _moments(images)
    upright = horizontal - both**2 / np.maximum(vertical, 1e-9)
    return np.sqrt(np.maximum(upright, 0) / np.maximum(vertical, 1e-9))


MEASURES: Mapping[str, Callable[[NDArray[np.uint8]], Scores]] = {
    "brightness": brightness,
    "thickness": thickness,
    "slant": slant,
    "width": width,
}
"""The attributes by name."""


def _grey(images: NDArray[np.uint8]) -> Scores:
    """Grey images (N, H, W) in 0 .. 1."""
    return np.asarray(images.mean(axis=1, dtype=np.float64) / 255)


def _moments(images: NDArray[np.uint8]) -> tuple[Scores, Scores, Scores]:
    """Central second moments of the ink, (N,) each: vertical, horizontal and mixed; 0 for a black image."""
    ink = _grey(images)
    mass = np.maximum(ink.sum(axis=(1, 2)), 1e-9)
    y, x = np.arange(ink.shape[1])[:, None], np.arange(ink.shape[2])[None]
    from_y = y - ((ink * y).sum(axis=(1, 2)) / mass)[:, None, None]
    from_x = x - ((ink * x).sum(axis=(1, 2)) / mass)[:, None, None]
    pairs = (from_y, from_y), (from_x, from_x), (from_y, from_x)
    down, across, both = ((ink * a * b).sum(axis=(1, 2)) / mass for a, b in pairs)
    return down, across, both
