"""Pictures for inversion: read safely, and photographed digits normalised as those of MNIST were.

MNIST (LeCun et al. 1998): black-and-white digits fitted into 20x20 pixels with their ratio kept, grey by antialiasing,
then shifted so that the centre of mass is the middle of 28x28.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from gansmith.data.images import MAX_FILE_BYTES, UnusableError, decode, quiet_decoders
from gansmith.errors import UserError
from gansmith.generator import Generator
from gansmith.latent.vectors import Images
from gansmith.text import one_line, printable

BOX, SIDE = 20, 28
WORKING_SIDE = 320
"""Longest side in pixels at which a digit is searched for: strokes are still thick, and it is fast."""
STROKE = 2.0
"""Width in pixels, within the box of 20, to which thinner strokes are thickened; MNIST's are 2 to 3 wide."""
FAINTEST = 24.0
"""Grey levels by which strokes must differ from the background."""
INK = 64
"""Grey level from which on a pixel of a drawing is a stroke."""

Grey = NDArray[np.float64]
Mask = NDArray[np.bool_]


def read(path: str | Path) -> Images:
    """A picture file as uint8 (C, H, W), C 1 or 3: upright, with transparent parts on white.

    Raises UserError in one line when the file is no picture, damaged or too large.
    """
    path = Path(path)
    name = printable(str(path))
    if not path.is_file():
        raise UserError(f"{name}: no such picture")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UserError(f"{name}: is {path.stat().st_size >> 20} MB; {MAX_FILE_BYTES >> 20} MB is the limit")
    try:
        with quiet_decoders():
            return decode(path.read_bytes(), None, "crop").pixels
    except UnusableError as error:
        raise UserError(f"{name}: {one_line(error)}") from None


def wants_digits(generator: Generator) -> bool:
    """Whether a generator makes images like those of MNIST: grey, 28x28, from data of that name."""
    recipe = generator.recipe
    name = str(generator.about.get("data", ""))
    return (recipe.channels, recipe.size) == (1, SIDE) and (name == "mnist" or name.startswith("mnist-"))


def fitted(picture: Images, *, channels: int, size: int) -> Images:
    """A picture uint8 (C, H, W), cropped to a square about its centre and scaled to (channels, size, size)."""
    short = min(picture.shape[1:])
    top, left = ((side - short) // 2 for side in picture.shape[1:])
    square = _image(picture[:, top : top + short, left : left + short])
    square = square.convert("L" if channels == 1 else "RGB")
    if square.size != (size, size):
        square = square.resize((size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(square)
    return np.ascontiguousarray(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1))


def known_pixels(
    picture: Images, unknown: Images | None = None, half: Literal["left", "right", "top", "bottom"] | None = None
) -> Mask:
    """Which pixels (S, S) of a picture (C, S, S) are known, for :func:`gansmith.latent.complete`.

    Where ``unknown`` (1, S, S) is not white, or in one half of the picture; else the light strokes of a drawing.
    """
    if unknown is not None:
        return np.asarray(unknown[0] < 128)
    if half is None:
        return np.asarray(picture.max(axis=0) >= INK)
    known, middle = np.zeros(picture.shape[1:], bool), picture.shape[1] // 2
    rows = {"top": slice(None, middle), "bottom": slice(middle, None)}.get(half, slice(None))
    columns = {"left": slice(None, middle), "right": slice(middle, None)}.get(half, slice(None))
    known[rows, columns] = True
    return known


def normalised(picture: Images) -> Images:
    """A written, scanned or photographed digit uint8 (C, H, W) in the form of MNIST: (1, 28, 28), light on dark.

    A picture that is 28x28 on black already is returned as it is. Otherwise the ink is what differs from a smooth
    background, darker or lighter; specks and parts that touch the edges are dropped, and thin strokes thickened.

    Raises UserError in one line when nothing stands out from the background.
    """
    if picture.shape == (1, SIDE, SIDE) and _border(picture[0].astype(np.float64)).max() < 64:
        return picture
    grey = _image(picture).convert("L")
    grey.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(grey).astype(np.float64)
    paper = _background(pixels)
    darker, lighter = paper - pixels, pixels - paper
    if darker.max() > lighter.max():  # the ink differs from the paper by more
        away = 255 * darker / paper.clip(64, 255)  # in the shade ink differs by less
    else:
        away = 255 * lighter / (255 - paper).clip(64, 255)
    threshold = _otsu(away.clip(0, None))
    mask = _digit(away > threshold)
    if not mask.any() or float(np.median(away[mask])) < FAINTEST:
        raise UserError("nothing stands out in it: write one digit large and dark, or give `as_is`")
    near = np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.MaxFilter(5))) > 0
    full = float(np.percentile(away[mask], 75))
    ink = np.where(near, (away - 0.5 * threshold) / max(full - 0.5 * threshold, 1e-9), 0).clip(0, 1)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _centred(_boxed(ink))


def _boxed(ink: Grey) -> Grey:
    """Ink (H, W) in 0 .. 1, scaled to a longest side of 20 pixels, 0 .. 255, thin strokes thickened first."""
    scale = BOX / max(ink.shape)
    outline = np.hypot(np.diff(np.pad(ink, 1), axis=0)[:, 1:], np.diff(np.pad(ink, 1), axis=1)[1:]).sum()
    stroke = 2 * ink.sum() / max(float(outline), 1e-9)
    image = Image.fromarray((ink * 255).round().astype(np.uint8))
    grow = round((STROKE / scale - stroke) / 2)
    if grow >= 1:
        pad = np.pad(np.asarray(image), grow)
        image = Image.fromarray(pad).filter(ImageFilter.MaxFilter(2 * grow + 1))
        scale = BOX / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return np.asarray(image.resize((size[0], size[1]), Image.Resampling.BICUBIC)).astype(np.float64)


def _centred(box: Grey) -> Images:
    """A picture of at most 20x20 on black, uint8 (1, 28, 28), its centre of mass at pixel (14, 14) as in MNIST."""
    mass = max(float(box.sum()), 1e-9)
    canvas = np.zeros((1, SIDE, SIDE), np.uint8)
    places = []
    for axis, length in enumerate(box.shape):
        centre = float((box.sum(axis=1 - axis) * np.arange(length)).sum()) / mass
        places.append(min(max(round(SIDE / 2 - centre), 0), SIDE - length))
    top, left = places
    canvas[0, top : top + box.shape[0], left : left + box.shape[1]] = box.round().clip(0, 255)
    return canvas


def _background(pixels: Grey) -> Grey:
    """The background (H, W): a quadratic surface fitted to the pixels, repeatedly without those far from it."""
    height, width = pixels.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    values = pixels.ravel()
    middle = float(np.median(_border(pixels)))
    kept = np.abs(values - middle) < max(3 * float(np.median(np.abs(values - middle))), 40.0)
    surface = np.full_like(values, middle)
    for _ in range(4):
        if kept.sum() < len(values) // 5:
            break
        surface = terms @ np.linalg.lstsq(terms[kept], values[kept], rcond=None)[0]
        away = np.abs(values - surface)
        kept = away < max(2.5 * float(np.median(away)), 6.0)
    return np.asarray(surface.reshape(pixels.shape))


def _otsu(values: Grey) -> float:
    """The threshold that splits values of 0 or more into two classes of least variance within (Otsu 1979)."""
    counts, edges = np.histogram(values, 256, (0.0, max(float(values.max()), 1.0)))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    sums = np.cumsum(counts * centres)
    above = below[-1] - below
    means = sums / np.maximum(below, 1) - (sums[-1] - sums) / np.maximum(above, 1)
    return float(centres[int((below * above * means**2).argmax())])


def _digit(mask: Mask) -> Mask:
    """The connected parts of a mask (H, W) that form the digit: large, and not at the edge if others are large."""
    numbers, count = _components(mask)
    areas = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    if not count:
        return mask
    touching = np.isin(np.arange(1, count + 1), _border(numbers))
    if (areas[~touching] >= 0.2 * areas.max()).any():
        areas = np.where(touching, 0, areas)
    kept = np.flatnonzero(areas >= max(0.08 * areas.max(), 3)) + 1
    return np.isin(numbers, kept)


def _components(mask: Mask) -> tuple[NDArray[np.int64], int]:
    """The 8-connected parts of a mask (H, W): each pixel's part, 1 .. count, or 0 outside; and the count."""
    height, width = mask.shape
    numbers = np.zeros(mask.shape, np.int64)
    count = 0
    for start in np.flatnonzero(mask):
        if numbers.flat[start]:
            continue
        count += 1
        numbers.flat[start] = count
        open_ends = [divmod(int(start), width)]
        while open_ends:
            y, x = open_ends.pop()
            for row in range(max(y - 1, 0), min(y + 2, height)):
                for column in range(max(x - 1, 0), min(x + 2, width)):
                    if mask[row, column] and not numbers[row, column]:
                        numbers[row, column] = count
                        open_ends.append((row, column))
    return numbers, count


def _border(pixels: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels of (H, W), as one row."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def _image(picture: Images) -> Image.Image:
    """A picture uint8 (C, H, W) as a Pillow image."""
    return Image.fromarray(picture[0] if len(picture) == 1 else np.ascontiguousarray(picture.transpose(1, 2, 0)))
