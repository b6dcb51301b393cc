"""Pictures: what is where in them, how large they are, and that the same input gives the same bytes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from gansmith import render

pytestmark = pytest.mark.painted


def images(count: int, channels: int = 1, size: int = 28, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, channels, size, size), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_shows_each_pixel_enlarged_and_unchanged_in_its_place(channels: int) -> None:
    given = images(6, channels, size=5)
    got = np.asarray(render.sheet(given, columns=3, scale=4, gap=2).convert("RGB"))
    assert got.shape == (2 * 22 + 2, 3 * 22 + 2, 3)
    for index, image in enumerate(given):
        top, left = 2 + index // 3 * 22, 2 + index % 3 * 22
        cell = got[top : top + 20, left : left + 20]
        want = np.broadcast_to(image.transpose(1, 2, 0), (5, 5, 3)).repeat(4, axis=0).repeat(4, axis=1)
        assert np.array_equal(cell, want)


@pytest.mark.parametrize(
    ("count", "size", "columns"), [(64, 28, 8), (40, 28, 8), (16, 28, 4), (25, 64, 5), (64, 64, 8), (10, 32, 5)]
)
def test_a_sheet_is_about_as_wide_as_a_screen_likes(count: int, size: int, columns: int) -> None:
    width = render.sheet(images(count, size=size)).width
    assert 500 <= width <= 800
    assert (width - 2 * (columns + 1)) % (columns * size) == 0


def test_a_sheet_of_very_many_images_is_not_enlarged() -> None:
    assert render.sheet(images(2500, size=28)).width == 50 * 30 + 2


def test_only_marked_images_are_outlined_in_red() -> None:
    sheet = render.sheet(images(6), columns=3, scale=3, marked=[1, 5])
    red = np.all(np.asarray(sheet) == render.RED, axis=2)
    cell = (sheet.width - 2) // 3
    edges = [red[2 + i // 3 * cell + 40, 2 + i % 3 * cell] for i in range(6)]
    assert edges == [False, True, False, False, False, True]


def test_captions_are_written_below_and_cut_to_fit() -> None:
    plain = render.sheet(images(4), columns=4, scale=2)
    short = render.sheet(images(4), columns=4, scale=2, captions=["a", "b", "c", "d"])
    long = render.sheet(images(4), columns=4, scale=2, captions=["a" * 300, "b", "c", "d"])
    assert short.height > plain.height
    assert short.size == long.size
    assert short.tobytes() != long.tobytes()
    band = np.asarray(long)[plain.height - 2 :]
    assert band.max() > 150
    assert np.all(band[:, 60:62] == render.MOUNT[1]), "the first caption runs into the second"
    with pytest.raises(ValueError, match="3 captions for 4 images"):
        render.sheet(images(4), captions=["a", "b", "c"])


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 2, 8, 8), np.uint8), np.zeros((8, 8), np.uint8), np.zeros((0, 1, 8, 8), np.uint8)]
)
def test_what_is_no_image_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="images must be uint8"):
        render.sheet(wrong)
    with pytest.raises(ValueError, match="images must be uint8"):
        render.sheet(np.zeros((4, 1, 8, 8)))


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_picture_is_one_image_as_it_is(channels: int, mode: str) -> None:
    (image,) = images(1, channels)
    picture = render.picture(image)
    assert picture.mode == mode
    assert np.array_equal(np.asarray(picture).reshape(28, 28, channels), image.transpose(1, 2, 0))


@pytest.mark.parametrize(("shape", "columns"), [((64, 1, 28, 28), 8), ((100, 3, 8, 8), 10), ((7, 3, 12, 20), 3)])
def test_the_images_of_a_sheet_are_found_again(shape: tuple[int, ...], columns: int) -> None:
    given = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    sheet = render.sheet(given, columns=columns)
    found = render.cells(sheet, *shape[2:])
    assert found is not None
    assert found[1] == columns
    assert np.array_equal(found[0][: len(given)], given)
    assert render.cells(sheet.rotate(90), shape[2] + 1, shape[3]) is None


def test_a_sheet_is_as_wide_as_allowed_but_never_made_smaller() -> None:
    assert 400 < render.sheet(images(64), columns=8, widest=480).width <= 480
    assert render.sheet(images(64), columns=8, widest=0).width == 8 * 30 + 2


def test_beside_puts_both_on_one_picture_at_one_scale() -> None:
    picture = render.beside(
        np.full((40, 1, 28, 28), 255, np.uint8),
        np.full((40, 3, 28, 28), 128, np.uint8),
        left_title="real",
        right_title="made",
    )
    pixels = np.asarray(picture)
    white, grey = np.all(pixels == 255, axis=2), np.all(pixels == 128, axis=2)
    assert white.sum() == grey.sum() > 0
    assert np.flatnonzero(white.any(axis=0)).max() < np.flatnonzero(grey.any(axis=0)).min()


def test_a_mix_holds_every_image_once_and_knows_which_are_generated() -> None:
    real, generated = images(20, seed=1), images(12, seed=2)
    mixed, is_generated = render.mix(real, generated, seed=3)
    assert is_generated.sum() == 12
    assert sorted(image.tobytes() for image in mixed[is_generated]) == sorted(image.tobytes() for image in generated)
    assert sorted(image.tobytes() for image in mixed[~is_generated]) == sorted(image.tobytes() for image in real)
    assert is_generated[:12].any()
    assert not is_generated[:12].all(), "not shuffled"
    assert np.array_equal(render.mix(real, generated, seed=3)[0], mixed)
    assert not np.array_equal(render.mix(real, generated, seed=4)[0], mixed)
    with pytest.raises(ValueError, match="only equals can be mixed"):
        render.mix(real, images(3, 3), seed=0)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_caption_makes_room_for_itself(mode: str) -> None:
    image = render.sheet(images(16)).convert(mode)
    captioned = render.caption(image, "step 500")
    assert captioned.width == image.width
    assert captioned.height > image.height
    kept = captioned.crop((0, 0, *image.size)).convert("RGB")
    assert kept.tobytes() == image.convert("RGB").tobytes()
    assert captioned.tobytes() != render.caption(image, "step 600").tobytes()


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_animation_keeps_frames_order_and_durations(tmp_path: Path, suffix: str, channels: int) -> None:
    colour = render.TEXT if channels == 3 else 250
    frames = [render.caption(render.sheet(images(4, channels, seed=i), scale=2), f"step {i}") for i in range(4)]
    for place, frame in enumerate(frames):
        frame.paste(colour, (10 * place, 0, 10 * place + 10, 10))
    path = tmp_path / f"a{suffix}"
    render.animation(frames, path, seconds_per_frame=0.2, hold_last=1)
    with Image.open(path) as file:
        read = [(frame.convert("RGB"), frame.info["duration"]) for frame in ImageSequence.Iterator(file)]
        assert file.info["loop"] == 0
    assert [duration for _, duration in read] == [200, 200, 200, 1200]
    for (got, _), want in zip(read, frames, strict=True):
        difference = np.abs(np.asarray(got, dtype=int) - np.asarray(want.convert("RGB"), dtype=int))
        assert difference.mean() < (5 if channels == 1 or suffix == ".webp" else 20)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]
    before = path.read_bytes()
    render.animation(frames, path, seconds_per_frame=0.2, hold_last=1)
    assert path.read_bytes() == before


def test_a_lossy_animation_of_noise_in_colour_is_much_smaller(tmp_path: Path) -> None:
    frames = [render.sheet(images(16, 3, seed=i), scale=1) for i in range(3)]
    render.animation(frames, tmp_path / "crisp.webp")
    render.animation(frames, tmp_path / "lossy.webp", lossy=True)
    assert (tmp_path / "lossy.webp").stat().st_size < (tmp_path / "crisp.webp").stat().st_size / 2


def test_an_animation_refuses_other_suffixes_and_sizes_and_leaves_nothing(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8)), Image.new("L", (9, 8))]
    with pytest.raises(ValueError, match="all of one size"):
        render.animation(frames, tmp_path / "a.webp")
    with pytest.raises(ValueError, match="one or more frames"):
        render.animation([], tmp_path / "a.webp")
    with pytest.raises(ValueError, match=r"\.webp or a \.gif"):
        render.animation(frames[:1], tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def noisy(level: float, count: int = 200) -> tuple[list[int], list[float]]:
    return list(range(count)), (level + np.random.default_rng(0).normal(0, 0.05, count)).tolist()


def drawn(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=int)


def near(pixels: np.ndarray, colour: str) -> np.ndarray:
    want = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return np.abs(pixels - want).sum(axis=2) < 40


def test_a_plot_draws_each_curve_where_it_belongs_the_same_way_twice(tmp_path: Path) -> None:
    curves = {"discriminator": noisy(0.2), "generator": noisy(0.9)}
    for name in ("a.png", "b.png"):
        render.plot(tmp_path / name, curves, title="Losses", x_label="steps", y_label="loss")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    pixels = drawn(tmp_path / "a.png")
    assert pixels.shape == (640, 1280, 3)
    blue, orange = near(pixels, render.LINES[0]), near(pixels, render.LINES[1])
    rows = [np.median(np.flatnonzero(colour[60:, 200:1100].any(axis=1))) for colour in (blue, orange)]
    assert rows[0] > rows[1] + 200, "the smaller values are not below the larger ones"


def test_levels_are_drawn_across_in_the_colour_of_their_curves(tmp_path: Path) -> None:
    path = tmp_path / "pixels.png"
    curves = {"mean": ([0, 100], [0.1, 0.2]), "deviation": ([0, 100], [0.5, 0.6])}
    render.plot(path, curves, title="Pixels", x_label="steps", y_label="value", levels={"m": 0.15, "d": 0.9})
    orange = near(drawn(path), render.LINES[1])[60:500]
    across = orange.sum(axis=1)
    top = int(np.flatnonzero(across > 300).min())
    assert top < 60, "no level above the curves"
    assert across[top] < 1000, "a level is not dashed"


def test_a_lone_spike_does_not_flatten_a_plot_and_is_told(tmp_path: Path) -> None:
    steps, values = noisy(0.5)
    render.plot(tmp_path / "calm.png", {"a": (steps, values)}, title="", x_label="", y_label="")
    values[100] = 1e6
    render.plot(tmp_path / "spike.png", {"a": (steps, values)}, title="", x_label="", y_label="")

    def spread(name: str) -> int:
        rows = np.flatnonzero(near(drawn(tmp_path / name), render.LINES[0])[60:500, 800:1100].any(axis=1))
        return int(np.ptp(rows))

    assert spread("spike.png") > spread("calm.png") / 2


@pytest.mark.parametrize(
    "curves", [{}, {"a": ([], [])}, {"a": ([1], [0.5])}, {"a": ([1, 2], [float("nan"), float("inf")]), "b": ([3], [1])}]
)
def test_a_plot_of_little_or_nothing_is_still_a_plot(
    tmp_path: Path, curves: dict[str, tuple[list[float], list[float]]]
) -> None:
    render.plot(tmp_path / "a.png", curves, title="$x_", x_label="steps", y_label="loss", levels={"chance": 0.5})
    assert drawn(tmp_path / "a.png").shape == (640, 1280, 3)


def test_a_curve_needs_as_many_steps_as_values(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="curve a: 2 x values but 1 y values"):
        render.plot(tmp_path / "a.png", {"a": ([1, 2], [1])}, title="", x_label="", y_label="")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("columns", [1, 4, 8, 100])
@pytest.mark.parametrize("width", [None, 20, 80, 300])
def test_blocks_fit_their_width(columns: int, width: int | None) -> None:
    lines = render.blocks(images(8), columns=columns, colour=False, width=width).splitlines()
    assert max(map(len, lines)) <= max(width or 80, 2 * min(columns, 8) - 1)
    assert not any("\x1b" in line for line in lines)


def test_blocks_shade_from_black_to_white() -> None:
    given = np.stack([np.full((1, 8, 8), level, np.uint8) for level in (0, 60, 120, 180, 255)])
    first, *_ = render.blocks(given, columns=5, colour=False).splitlines()
    assert [part[0] for part in (first[i : i + 8] for i in range(0, 45, 9))] == list(render.SHADES)


def test_blocks_in_colour_hold_two_pixels_a_character() -> None:
    image = np.zeros((1, 3, 2, 1), np.uint8)
    image[0, :, 0, 0], image[0, :, 1, 0] = (10, 20, 30), (200, 100, 50)
    assert render.blocks(image, columns=1, colour=True) == "\x1b[38;2;10;20;30m\x1b[48;2;200;100;50m▀\x1b[0m"


def test_blocks_keep_the_shape_of_images() -> None:
    lines = render.blocks(np.zeros((1, 1, 28, 14), np.uint8), columns=1, colour=True).splitlines()
    assert len(lines) == 14
    assert all(line.count("▀") == 14 for line in lines)
