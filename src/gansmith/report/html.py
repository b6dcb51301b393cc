"""Parts of a report's HTML: pictures inside the page, tables, amounts of time."""

import base64
import hashlib
import io
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

STILL_BYTES = 160_000  # a larger picture goes into the page as WebP
MEDIA_TYPES = {".png": "image/png", ".webp": "image/webp", ".gif": "image/gif"}


def img(path: Path, alt: str, *, css: str = "pixels", as_is: bool = False) -> str:
    """An img element with the picture inside; empty if there is none that can be read."""
    from PIL import Image

    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as picture:
            width, height = picture.size
            media = MEDIA_TYPES[path.suffix.lower()]
            if len(content) > STILL_BYTES and not as_is:
                smaller = io.BytesIO()
                picture.convert("RGB").save(smaller, "webp", quality=85, method=4)
                if smaller.tell() < len(content):
                    content, media = smaller.getvalue(), "image/webp"
    except (OSError, KeyError, SyntaxError):
        return ""
    encoded = base64.b64encode(content).decode()
    source = f"data:{media};base64,{encoded}"
    return f'<img class="{css}" src="{source}" width="{width}" height="{height}" alt="{escape(alt)}">'


def table(rows: Mapping[str, str]) -> str:
    lines = (f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>\n' for name, value in rows.items())
    return f"<table>\n{''.join(lines)}</table>"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as `generator_optimizer.lr: 0.001`; of a path, only its last part."""
    rows: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            shown = ", ".join(map(str, value[:20]))
            rows[prefix + name] = shown + (f", ... ({len(value):,} in all)" if len(value) > 20 else "")
        elif isinstance(value, str) and Path(value).is_absolute():
            rows[prefix + name] = Path(value).name
        else:
            rows[prefix + name] = value if isinstance(value, str) else "none" if value is None else json.dumps(value)
    return rows


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if not hours else ""]
    return " ".join(part for part in parts if part)


def source_hash(text: str) -> str:
    """The source expression that lets just this inline style or script run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
