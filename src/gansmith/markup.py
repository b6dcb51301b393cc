"""HTML for notebooks: tables, lines and pictures, everything in them escaped."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

STYLE = "font-size:13px;line-height:1.5"


def block(*parts: str) -> str:
    """Parts, which are HTML, below each other."""
    return f'<div style="{STYLE}">{"".join(parts)}</div>'


def line(text: object, *, strong: bool = False) -> str:
    """A line of text."""
    said = escape(str(text))
    return f"<div>{f'<strong>{said}</strong>' if strong else said}</div>"


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; the first column is text, and stands left, as does the last."""
    last = len(headers) - 1

    def cells(tag: str, values: Sequence[object]) -> str:
        return "".join(
            f'<{tag} style="text-align:{"left" if index in (0, last) else "right"};padding:2px 10px">'
            f"{escape('' if value is None else str(value))}</{tag}>"
            for index, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{cells('th', headers)}</tr></thead>"
    return f'<table style="border-collapse:collapse">{head}<tbody>{body}</tbody></table>'


def picture(content: bytes, *, alt: str, kind: str = "png") -> str:
    """A picture or an animation, inside the page."""
    encoded = base64.b64encode(content).decode()
    style = "max-width:100%;image-rendering:pixelated"
    return f'<img alt="{escape(alt)}" style="{style}" src="data:image/{escape(kind)};base64,{encoded}">'
