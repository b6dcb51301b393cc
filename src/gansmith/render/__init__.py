"""Arrays to pictures: sheets of samples, animations, plots, and previews made of characters.

Every function is pure: plain arrays and numbers in, a picture or a file out, the same bytes for the same input. Images
are uint8 of shape (N, C, H, W) with C 1 (grey) or 3 (RGB) and values 0 to 255.
"""

from PIL.Image import Image

from gansmith.render.animations import animation
from gansmith.render.characters import SHADES, blocks
from gansmith.render.plots import LINES, figure, figure_png, plot, style
from gansmith.render.sheets import (
    MOUNT,
    RED,
    SLIDE,
    TALLEST,
    TEXT,
    Images,
    beside,
    caption,
    cells,
    mix,
    picture,
    png,
    sheet,
)

__all__ = [
    "LINES",
    "MOUNT",
    "RED",
    "SHADES",
    "SLIDE",
    "TALLEST",
    "TEXT",
    "Image",
    "Images",
    "animation",
    "beside",
    "blocks",
    "caption",
    "cells",
    "figure",
    "figure_png",
    "mix",
    "picture",
    "plot",
    "png",
    "sheet",
    "style",
]
