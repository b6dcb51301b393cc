"""Image files of every mode and state of decay -> square uint8 arrays."""

import io

import numpy as np
import pytest
from data_samples import noise
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gansmith.data import images
from gansmith.data.images import UnusableError, decode
from gansmith.data.types import Fit


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_exact_pixels_survive_when_the_size_is_right() -> None:
    pixels = noise(0, 28, 28)
    picture = decode(encoded(Image.fromarray(pixels)), 28, "crop")
    assert np.array_equal(picture.pixels, pixels[None])
    assert (picture.width, picture.height, picture.mode) == (28, 28, "L")


def test_resizing_is_antialiased() -> None:
    stripes = np.zeros((128, 128), np.uint8)
    stripes[:, ::2] = 255  # finer than 16 pixels can show: must become an even grey, not a moire of black and white
    pixels = decode(encoded(Image.fromarray(stripes)), 16, "crop").pixels
    assert pixels.shape == (1, 16, 16)
    assert abs(int(pixels.min()) - 127) < 6
    assert abs(int(pixels.max()) - 127) < 6


def test_crop_keeps_the_middle_and_pad_keeps_all() -> None:
    wide = np.full((40, 120, 3), (10, 200, 30), np.uint8)
    wide[:, 40:80] = (250, 0, 0)
    data = encoded(Image.fromarray(wide))
    cropped = decode(data, 20, "crop").pixels
    assert cropped.shape == (3, 20, 20)
    assert np.array_equal(cropped[:, 10, 10], (250, 0, 0))
    assert cropped[0].min() > 230  # the filter reaches a little over the edge
    padded = decode(data, 60, "pad").pixels
    assert np.array_equal(padded[:, 30, 5], (10, 200, 30))
    assert np.array_equal(padded[:, 30, 30], (250, 0, 0))
    assert np.array_equal(padded[:, 0, 30], (10, 200, 30))  # the median of the border fills above and below


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize(("width", "height"), [(9, 1000), (1000, 9), (33, 31), (8, 8)])
def test_any_shape_becomes_the_square(fit: Fit, width: int, height: int) -> None:
    assert decode(encoded(Image.fromarray(noise(1, height, width))), 32, fit).pixels.shape == (1, 32, 32)


def test_grey_is_kept_grey_however_stored() -> None:
    grey = Image.fromarray(noise(2, 20, 20))
    for mode in ("RGB", "RGBA", "LA", "P"):
        picture = decode(encoded(grey.convert(mode)), None, "crop")
        assert picture.pixels.shape == (1, 20, 20), mode
        assert np.array_equal(picture.pixels[0], np.asarray(grey)), mode


def test_one_bit_and_sixteen_bits() -> None:
    half = np.zeros((10, 10), bool)
    half[:5] = True
    assert set(decode(encoded(Image.fromarray(half)), None, "crop").pixels.ravel().tolist()) == {0, 255}
    deep = np.full((10, 10), 257 * 100, np.uint16)
    deep[0, 0], deep[0, 1] = 65535, 0
    pixels = decode(encoded(Image.fromarray(deep)), None, "crop").pixels
    assert (pixels[0, 0, 0], pixels[0, 0, 1], pixels[0, 5, 5]) == (255, 0, 100)


@pytest.mark.parametrize(
    ("mode", "kind", "form"),
    [("I;16", "<u2", "PNG"), ("I;16", "<u2", "TIFF"), ("I;16B", ">u2", "TIFF"), ("I", "<i4", "TIFF")],
)
def test_deep_grey_of_either_byte_order(mode: str, kind: str, form: str) -> None:
    def stored(values: np.ndarray) -> bytes:
        return encoded(Image.frombytes(mode, (20, 20), values.astype(kind).tobytes()), form)

    deep = np.arange(400).reshape(20, 20) * 160
    assert np.array_equal(decode(stored(deep), None, "crop").pixels[0], (deep + 128) // 257)
    assert not decode(stored(deep * 0), None, "crop").pixels.any()
    assert trouble(stored(deep // 160 % 200))[0] == "wrong mode"
    if mode == "I":
        assert "beyond 0..65535" in trouble(stored(deep * 10))[1]
        assert "beyond 0..65535" in trouble(stored(-deep))[1]


def test_transparency_is_laid_on_white() -> None:
    rgba = np.zeros((10, 10, 4), np.uint8)
    rgba[:5] = (200, 10, 10, 255)
    rgba[5:, :5] = (0, 0, 0, 128)
    pixels = decode(encoded(Image.fromarray(rgba)), None, "crop").pixels
    assert np.array_equal(pixels[:, 0, 0], (200, 10, 10))
    assert np.array_equal(pixels[:, 9, 9], (255, 255, 255))
    assert abs(int(pixels[0, 9, 0]) - 127) <= 1
    palette = Image.new("P", (10, 10), 0)
    palette.putpalette([9, 99, 199, 1, 2, 3])
    pixels = decode(encoded(palette, transparency=0), None, "crop").pixels
    assert np.all(pixels == 255)


def test_cmyk_and_palette_become_rgb() -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixels = decode(encoded(red, "JPEG", quality=95), None, "crop").pixels
    assert pixels[0].min() > 240
    assert pixels[1:].max() < 20
    palette = Image.new("P", (10, 10), 1)
    palette.putpalette([0, 0, 0, 9, 99, 199])
    assert np.array_equal(decode(encoded(palette), None, "crop").pixels[:, 3, 3], (9, 99, 199))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = np.full((24, 16), 40, np.uint8)
    upright[:6] = 220  # bright on top
    upright[:, :2] = 120  # and a grey strip on the left
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    picture = decode(data, None, "crop")
    assert np.array_equal(picture.pixels[0], upright)
    assert (picture.width, picture.height) == (16, 24)


def test_animation_counts_by_its_first_frame() -> None:
    frames = [Image.fromarray(np.full((12, 12), value, np.uint8)) for value in (30, 200)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.all(decode(data, None, "crop").pixels == 30)


def trouble(data: bytes) -> tuple[str, str]:
    with pytest.raises(UnusableError) as caught:
        decode(data, 16, "crop")
    assert "\n" not in caught.value.what
    return caught.value.kind, caught.value.what


def test_what_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoded(Image.fromarray(noise(3, 64, 64)))
    assert trouble(b"hello, I am a text file")[0] == "not an image"
    assert trouble(b"")[0] == "truncated"
    assert trouble(whole[: len(whole) // 2])[0] == "truncated"
    jpeg = encoded(Image.fromarray(noise(3, 64, 64)), "JPEG")
    assert trouble(jpeg[: len(jpeg) // 2])[0] == "truncated"
    damaged = bytearray(whole)
    damaged[200] ^= 0xFF
    assert trouble(bytes(damaged))[0] in ("unreadable", "truncated")
    assert trouble(encoded(Image.fromarray(noise(3, 7, 300)))) == (
        "tiny",
        "is 300x7 pixels; the shorter side must have at least 8",
    )
    floats = Image.fromarray(np.ones((16, 16), np.float32))
    assert trouble(encoded(floats, "TIFF"))[0] == "wrong mode"
    shallow = Image.fromarray(noise(3, 16, 16).astype(np.uint16))  # 8-bit values in a file of 16 bits
    assert trouble(encoded(shallow)) == (
        "wrong mode",
        "has pixels of up to 255 of 65,535, all but black; save it as 8-bit",
    )
    assert trouble(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")[0] == "not an image"
    monkeypatch.setattr(images, "MAX_IMAGE_PIXELS", 64 * 64 - 1)
    assert trouble(whole)[0] == "too large"


def test_a_bomb_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    one_bit = encoded(Image.new("1", (9_000, 9_000)))  # 81 million pixels in a file of some kB
    assert trouble(one_bit) == ("too large", "is 9000x9000 pixels; 64 million is the limit")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    assert trouble(one_bit) == ("too large", "has so many pixels that it may be a decompression bomb")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=6), st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF"]))
def test_damaged_bytes_end_in_a_picture_or_a_reason(at: int, junk: bytes, kind: str) -> None:
    data = bytearray(encoded(Image.fromarray(noise(4, 16, 16)), kind))
    at %= len(data)
    data[at : at + len(junk)] = junk
    with images.quiet_decoders():
        try:
            shape = decode(bytes(data), 16, "pad").pixels.shape[1:]
        except UnusableError:
            shape = (16, 16)
    assert shape == (16, 16)
