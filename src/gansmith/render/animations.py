"""Animations: frames of one size as an endless WebP or GIF."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL.Image import Dither, Image, new

from gansmith.errors import UserError
from gansmith.files import EXIF, MADE_BY, write_bytes


def animation(
    frames: Sequence[Image],
    path: Path,
    *,
    seconds_per_frame: float = 0.25,
    hold_last: float = 1.5,
    lossy: bool = False,
) -> None:
    """Write frames of one size as an endless animation: WebP or GIF, by the suffix of `path`, in one piece.

    Each frame is shown for `seconds_per_frame`, the last one for `hold_last` seconds longer. Pixels stay crisp unless
    `lossy`, which makes a WebP of frames that are not enlarged smaller. UserError for another suffix, for no frames, or
    frames of different sizes.
    """
    suffix = path.suffix.lower()
    if suffix not in {".webp", ".gif"}:
        raise UserError(f"{path.name}: an animation is a .webp or a .gif; choose one of these endings")
    if not frames or len({frame.size for frame in frames}) != 1:
        raise UserError(f"{path.name}: an animation needs one or more frames, all of one size")
    # Rounded to 32 of 256 levels, which nobody sees and which halves the file; then without loss: the coder finds
    # that enlarged pixels repeat, while a lossy one blurs every edge of them into more bytes. More effort than 25 takes
    # three times as long for a tenth of the bytes.
    mode = "L" if all(frame.mode == "L" for frame in frames) else "RGB"
    levels = [round(round(value * 31 / 255) * 255 / 31) for value in range(256)] * len(mode)
    pictures = [frame.convert(mode).point(levels) for frame in frames]
    durations = [round(1000 * seconds_per_frame)] * len(pictures)
    durations[-1] += round(1000 * hold_last)
    if suffix == ".gif" and mode == "RGB":
        pictures = _one_palette(pictures)
    options: dict[str, Any] = {"optimize": False, "comment": MADE_BY}
    if suffix == ".webp":
        options = {"quality": 75, "method": 4} if lossy else {"lossless": True, "quality": 25, "method": 2}
        options["exif"] = EXIF
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, suffix[1:], save_all=True, append_images=pictures[1:], duration=durations, loop=0, **options
    )
    write_bytes(path, buffer.getvalue())


def _one_palette(pictures: list[Image]) -> list[Image]:
    """RGB frames in one palette of 256 colours, taken from the first, middle and last: no flicker between frames."""
    some = [pictures[0], pictures[len(pictures) // 2], pictures[-1]]
    width, height = some[0].size
    montage = new("RGB", (width, 3 * height))
    for i, picture in enumerate(some):
        montage.paste(picture, (0, i * height))
    palette = montage.quantize(256)
    return [picture.quantize(palette=palette, dither=Dither.NONE) for picture in pictures]
