"""Previews of images made of characters, for terminals."""

import itertools
from typing import Any

import numpy as np
from PIL.Image import Resampling, fromarray

from gansmith.render.sheets import Images, checked

SHADES = " ░▒▓█"


def blocks(images: Images, *, columns: int, colour: bool, width: int | None = None) -> str:
    """Images (N, C, H, W) as lines of text, `columns` images a row, within `width` characters (80 when not given).

    With `colour`, each character is an upper half block in 24-bit ANSI colours: two pixels. Without, it is one of five
    shades of grey for those two pixels. Images are made smaller to fit, never larger. No newline at the end.
    """
    images = checked(images)
    count, _, height, wide = images.shape
    columns = max(1, min(columns, count))
    across = max(1, min(wide, ((width or 80) - (columns - 1)) // columns))
    down = max(1, round(across * height / wide / 2))
    tiles = [_tile(image, across, 2 * down) for image in images]
    lines: list[str] = []
    for start in range(0, count, columns):
        row = tiles[start : start + columns]
        if start:
            lines.append("")
        for y in range(down):
            parts = [_half_blocks(t[2 * y], t[2 * y + 1]) if colour else _shades(t[2 * y], t[2 * y + 1]) for t in row]
            lines.append(" ".join(parts) if colour else " ".join(parts).rstrip())
    return "\n".join(lines)


def _tile(image: Images, width: int, height: int) -> Images:
    """(C, H, W) to RGB rows (height, width, 3), averaged over areas."""
    rgb = np.broadcast_to(image.transpose(1, 2, 0), (*image.shape[1:], 3))
    small = fromarray(np.ascontiguousarray(rgb)).resize((width, height), Resampling.BOX)
    return np.asarray(small)


def _half_blocks(upper: np.ndarray[Any, Any], lower: np.ndarray[Any, Any]) -> str:
    pairs = [(tuple(a), tuple(b)) for a, b in zip(upper.tolist(), lower.tolist(), strict=True)]
    parts = []
    for (above, below), run in itertools.groupby(pairs):
        ink, ground = ";".join(map(str, above)), ";".join(map(str, below))
        parts.append(f"\x1b[38;2;{ink}m\x1b[48;2;{ground}m" + "▀" * len(list(run)))
    return "".join(parts) + "\x1b[0m"


def _shades(upper: np.ndarray[Any, Any], lower: np.ndarray[Any, Any]) -> str:
    # Rec. 601 luma, lifted a little: thin strokes are averaged with what is around them.
    luma = (np.stack([upper, lower]).mean(axis=0) @ np.array([0.299, 0.587, 0.114])) / 256
    return "".join(SHADES[int(value**0.7 * len(SHADES))] for value in luma)
