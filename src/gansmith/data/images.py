"""One image file's bytes -> one square uint8 array: modes, transparency, orientation, cropping, antialiased resizing.

Decisions: transparency is laid on white, as a browser shows it; the EXIF orientation is applied; 16 bits become 8 by
v / 257; CMYK and palettes become RGB; of several pages or frames the first counts; an image whose every pixel has
R = G = B is grey, however it is stored. `fit="pad"` fills with the median colour of the image's own border.
"""

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, UnidentifiedImageError

from gansmith.data.types import MAX_IMAGE_PIXELS, MIN_SIDE, Fit, Kind, Pixels
from gansmith.files import MADE_BY
from gansmith.text import one_line

SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
        *(".pgm", ".ppm", ".pbm", ".pnm", ".avif", ".ico", ".tga"),
    )
)
UNREADABLE = {
    **dict.fromkeys((".heic", ".heif", ".hif"), "a HEIC photo"),
    **dict.fromkeys((".jp2", ".j2k", ".jpx", ".jpf"), "a JPEG 2000 image"),
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"), "a camera's raw photo"),
    **{".jxl": "a JPEG XL image", ".psd": "a Photoshop image", ".xcf": "a GIMP image", ".svg": "a vector drawing"},
    **{".exr": "an OpenEXR image", ".hdr": "a Radiance image", ".dcm": "a DICOM image"},
}
"""Suffixes of images that are not read, and what such a file is."""
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "ICO", "TGA")
"""The only formats that are tried: all are plain pictures; none runs a program, as PostScript would."""
MAX_FILE_BYTES = 256 << 20
ORIENTATION_TAG = 0x0112
SOFTWARE_TAG = 0x0131
_BAND_PIXELS = 1 << 20
_TURN = Image.Transpose
_UPRIGHT = {  # EXIF 2.3, table 6: what undoes each orientation
    2: _TURN.FLIP_LEFT_RIGHT,
    3: _TURN.ROTATE_180,
    4: _TURN.FLIP_TOP_BOTTOM,
    5: _TURN.TRANSPOSE,
    6: _TURN.ROTATE_270,
    7: _TURN.TRANSVERSE,
    8: _TURN.ROTATE_90,
}
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N", "I"})
_COLOUR_MODES = frozenset({"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"})


class UnusableError(Exception):
    """This image cannot be used: the kind of trouble, and what exactly."""

    def __init__(self, kind: Kind, what: str) -> None:
        super().__init__(what)
        self.kind, self.what = kind, what


@dataclass(frozen=True)
class Picture:
    """A decoded image: uint8 (C, H, W), C 1 if it is grey and 3 if not; and what the file held."""

    pixels: Pixels
    width: int
    height: int
    mode: str
    several: bool = False
    """Whether the file holds more pages or frames."""
    made: bool = False
    """Whether gansmith wrote the file."""


class Budget:
    """Lets work begin while what is under way needs no more than so much together; larger work goes alone.

    What needs less than a 64th of all does not wait: that many threads there never are.
    """

    def __init__(self, most: int) -> None:
        self._most, self._used, self._changed = most, 0, threading.Condition()

    @contextmanager
    def of(self, need: int) -> Iterator[None]:
        """Waits until there is room for `need`, and takes it for the block."""
        if need < self._most // 64:
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._used or self._used + need <= self._most)
            self._used += need
        try:
            yield
        finally:
            with self._changed:
                self._used -= need
                self._changed.notify_all()


_PIXELS_AT_ONCE = Budget(MAX_IMAGE_PIXELS)


def instead(suffix: str) -> str:
    """What an image of an unreadable format is, and the remedy."""
    return f"is {UNREADABLE[suffix]}, which cannot be read here; save it as JPEG or PNG (`magick mogrify -format png`)"


def decode(content: bytes, size: int | None, fit: Fit) -> Picture:
    """Decode an image file's bytes to (C, size, size), or to its own height and width if `size` is None.

    Raises UnusableError.
    """
    if len(content) > MAX_FILE_BYTES:
        raise UnusableError("too large", f"is {len(content) >> 20} MB; {MAX_FILE_BYTES >> 20} MB is the limit")
    if not content:
        raise UnusableError("truncated", "is empty (0 bytes)")
    try:
        return _decode(content, size, fit)
    except UnusableError:
        raise
    except UnidentifiedImageError:
        if content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"):
            raise UnusableError("unreadable", instead(".heic")) from None
        raise UnusableError("not an image", "is not an image in a format that can be read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnusableError("too large", "has so many pixels that it may be a decompression bomb") from None
    except Exception as error:  # decoders meet hostile bytes with exceptions of every kind
        text = one_line(error)
        if isinstance(error, EOFError) or "truncated" in text.lower() or "not enough" in text.lower():
            raise UnusableError("truncated", f"is cut short ({text})") from None
        raise UnusableError("unreadable", f"cannot be decoded ({text})") from None


def _decode(content: bytes, size: int | None, fit: Fit) -> Picture:
    with Image.open(io.BytesIO(content), formats=formats()) as image:
        width, height, mode = image.width, image.height, image.mode
        if width * height > MAX_IMAGE_PIXELS:
            raise UnusableError(
                "too large", f"is {width}x{height} pixels; {MAX_IMAGE_PIXELS // 10**6} million is the limit"
            )
        if min(width, height) < MIN_SIDE:
            raise UnusableError("tiny", f"is {width}x{height} pixels; the shorter side must have at least {MIN_SIDE}")
        if size is not None:  # lets JPEG decode at a fraction of its size, never below twice the size wanted
            scale = 2 * size / min(width, height)
            image.draft(None, (int(width * scale) + 1, int(height * scale) + 1))
        with _PIXELS_AT_ONCE.of(image.width * image.height):
            image.load()
            orientation = image.getexif().get(ORIENTATION_TAG, 1)
            upright = _eight_bits(image)
            if orientation in _UPRIGHT:
                upright = upright.transpose(_UPRIGHT[orientation])
            pixels = squared(upright, size, fit)
        if orientation in (5, 6, 7, 8):
            width, height = height, width
        return Picture(pixels, width, height, mode, _several(image), _made(image))


def is_made(content: bytes) -> bool:
    """Whether these are the bytes of a picture that gansmith wrote."""
    if MADE_BY.encode() not in content:
        return False
    with (
        suppress(Exception),
        Image.open(io.BytesIO(content), formats=formats()) as image,
    ):  # hostile bytes raise anything
        return _made(image)
    return False


def _made(image: Image.Image) -> bool:
    return image.getexif().get(SOFTWARE_TAG) == MADE_BY or image.info.get("comment") == MADE_BY.encode()


def _several(image: Image.Image) -> bool:
    """Whether there is a second page or frame; a camera's preview (MPO) is none."""
    with suppress(Exception):  # a damaged second page spoils no first
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    return False


@cache
def formats() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image as mode L or RGB."""
    if image.mode not in _GREY_MODES | _COLOUR_MODES:
        raise UnusableError("wrong mode", f"has pixels of mode {image.mode}; save it as 8-bit or 16-bit grey or RGB")
    if image.mode.startswith("I"):
        values = np.asarray(image)  # whose extremes Pillow knows in one byte order alone
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise UnusableError("wrong mode", "has 32-bit pixels beyond 0..65535; save it as 8-bit or 16-bit")
        if 0 < high <= 255:
            raise UnusableError("wrong mode", f"has pixels of up to {high} of 65,535, all but black; save it as 8-bit")
        return _in_bands(image, "L", _from_sixteen_bits)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return _in_bands(image, "RGB", _on_white)
    return image.convert("L" if image.mode in _GREY_MODES else "RGB")


def _in_bands(image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The image converted some rows at a time, for conversions that need several times its memory."""
    rows = max(1, _BAND_PIXELS // image.width)
    if image.height <= rows:
        return convert(image)
    result = Image.new(mode, image.size)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(image.height, top + rows))
        result.paste(convert(image.crop(box)), box)
    return result


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    straight = image.convert("LA") if image.mode == "La" else image
    rgba = straight.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")


def squared(image: Image.Image, size: int | None, fit: Fit) -> Pixels:
    """An L or RGB image as (C, size, size): cropped or padded to a square about its centre, resized by Lanczos.

    `size` None keeps height and width. RGB that is grey in every pixel becomes C = 1. An image that has the right size
    already keeps its exact pixels.
    """
    if size is None or image.size == (size, size):
        return channels_first(np.asarray(image))
    width, height = image.size
    short, long = min(width, height), max(width, height)
    lanczos = Image.Resampling.LANCZOS
    if fit == "crop" or short == long:
        left, top = (width - short) // 2, (height - short) // 2
        box = (left, top, left + short, top + short)
        return channels_first(np.asarray(image.resize((size, size), lanczos, box=box, reducing_gap=3.0)))
    inner = (max(1, round(width * size / long)), max(1, round(height * size / long)))
    pixels = np.asarray(image.resize(inner, lanczos, reducing_gap=3.0))
    edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    border = np.median(np.concatenate(edges), axis=0).astype(np.uint8)
    padded = np.empty((size, size, *pixels.shape[2:]), np.uint8)
    padded[:] = border
    left, top = (size - inner[0]) // 2, (size - inner[1]) // 2
    padded[top : top + inner[1], left : left + inner[0]] = pixels
    return channels_first(padded)


def channels_first(pixels: Pixels) -> Pixels:
    """(H, W) or (H, W, 3) -> (1, H, W) or (3, H, W); RGB with R = G = B everywhere -> (1, H, W)."""
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels[None])
    red = pixels[..., 0]
    if np.array_equal(red, pixels[..., 1]) and np.array_equal(red, pixels[..., 2]):
        return np.ascontiguousarray(red[None])
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep Pillow's warnings about odd files off the console; what matters is reported as a Problem."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
