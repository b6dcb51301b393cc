"""Pictures inside a page: a file as a data URI, with its size and what it shows."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

STILL_BYTES = 160_000
"""A larger still picture goes into the page as WebP."""
MEDIA_TYPES = {".png": "image/png", ".webp": "image/webp", ".gif": "image/gif"}


@dataclass(frozen=True)
class Picture:
    """An image element: its source, its size in pixels, and what it shows for those who cannot see it."""

    source: str
    width: int
    height: int
    alt: str


def embed(path: Path, alt: str, *, as_is: bool = False) -> Picture | None:
    """The picture of a file, or None if there is none that can be read; ``as_is`` keeps large files' bytes."""
    from PIL import Image

    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as picture:
            width, height = picture.size
            media = MEDIA_TYPES[path.suffix.lower()]
            if len(content) > STILL_BYTES and not as_is:
                smaller = io.BytesIO()
                picture.convert("RGB").save(smaller, "webp", quality=80, method=1)
                if smaller.tell() < len(content):
                    content, media = smaller.getvalue(), "image/webp"
    except (OSError, KeyError, SyntaxError):  # what Pillow raises for damaged files; another kind of file
        return None
    return Picture(f"data:{media};base64,{base64.b64encode(content).decode()}", width, height, alt)
