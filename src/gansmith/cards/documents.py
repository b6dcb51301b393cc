"""A card as files: README.md with the hub's YAML, card.html, card.json, and croissant.json for a set with files."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from gansmith import render
from gansmith.cards.attack import Exposed
from gansmith.cards.contents import Card
from gansmith.cards.croissant import croissant
from gansmith.cards.sections import Section, Table, sections
from gansmith.errors import UserError
from gansmith.files import read_json, read_text, write_json, write_text
from gansmith.minting import Minted
from gansmith.report.page import render as page
from gansmith.report.pictures import Picture
from gansmith.text import printable

MARK = "<!-- card by gansmith -->"
SHOWN, PAIRS = 100, 50


def check(folder: Path) -> None:
    """Raises UserError where the folder's README.md was written by someone else."""
    readme = folder / "README.md"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"`out` {folder}: is a file; name a folder")
    if readme.exists() and MARK not in read_text(readme):
        raise UserError(f"{readme}: is not a card that gansmith wrote; name another folder with `out`")


def check_smaller(folder: Path, digest: str, samples: int) -> None:
    """Raises UserError where the folder holds a card of the same generator that was measured on more images."""
    path = folder / "card.json"
    if not path.exists():
        return
    there = read_json(path)
    measured, origin = there.get("measured"), there.get("origin")
    if isinstance(measured, int) and measured > samples and isinstance(origin, dict) and origin.get("digest") == digest:
        raise UserError(
            f"`samples` {samples:,}: {folder} holds a card of {measured:,} images, which is kept; give as many, or "
            "another folder with `out`"
        )


def write(folder: Path, card: Card, images: np.ndarray, exposed: Exposed | None, minted: Minted | None) -> None:
    """Writes the files of a card, each whole or not at all.

    Args:
        folder: made where it is not there.
        card: what they say.
        images: uint8 (N, C, S, S), of which the first are shown.
        exposed: training images to show; None to show none.
        minted: the set, if it has files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = sections(card)
    write_json(folder / "card.json", json.loads(card.model_dump_json()))
    if minted is not None:
        write_json(folder / "croissant.json", croissant(card, minted))
    write_text(folder / "README.md", readme(card, parts))
    shown = render.sheet(images[:SHOWN], columns=20, scale=1 if images.shape[2] > 32 else 2)
    write_text(
        folder / "card.html",
        page(
            "card.html",
            title=card.name,
            sections=[(part.anchor, part.title) for part in parts],
            version=card.gansmith,
            card=card,
            parts_of=parts,
            sheet=_picture(shown, f"The first {min(SHOWN, len(images))} images"),
            exposed=_pairs(exposed),
        ),
    )


def _pairs(exposed: Exposed | None) -> Picture | None:
    """Each exposed training image, outlined, beside the published image nearest to it."""
    if exposed is None:
        return None
    both = np.stack([exposed.members, exposed.published], axis=1)[:PAIRS]
    flat = both.reshape(-1, *both.shape[2:])
    picture = render.sheet(flat, columns=20, scale=1 if flat.shape[2] > 32 else 2, marked=range(0, len(flat), 2))
    return _picture(
        picture, "The most exposed training images, outlined, each beside the published image nearest to it"
    )


def _picture(picture: render.Image, alt: str) -> Picture:
    content = base64.b64encode(render.png(picture)).decode()
    return Picture(f"data:image/png;base64,{content}", picture.width, picture.height, alt)


def readme(card: Card, parts: list[Section]) -> str:
    """The card in Markdown, with the hub's YAML before it."""
    yaml: dict[str, Any] = {
        "pretty_name": card.name,
        "license": card.licence,
        "tags": ["synthetic", "gan", "gansmith"],
        "task_categories": ["image-classification" if card.labels != "none" else "unconditional-image-generation"],
        "source_datasets": [card.origin.data] if card.public else [],
        "size_categories": [_size(card.total)],
        "annotations_creators": ["machine-generated"],
    }
    if card.layout == "parquet":
        yaml["configs"] = [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}]
    front = "\n".join(f"{key}: {json.dumps(value)}" for key, value in yaml.items())  # JSON is YAML
    return f"---\n{front}\n---\n{MARK}\n\n# {_text(card.name)}\n\n" + "\n".join(_markdown(part) for part in parts)


def _size(count: int) -> str:
    """The hub's word for a number of rows."""
    steps = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
    return next((word for most, word in steps if count < most), "10M<n<100M")


def _markdown(part: Section) -> str:
    lines = [f"## {part.title}\n"]
    lines += [f"{_text(part.lead)}\n"] if part.lead else []
    for title, entries in part.lists.items():
        lines += [f"{title}:\n"] if title else []
        lines += [*(f"- {_text(entry)}" for entry in entries), ""]
    if part.facts:
        lines += [*(f"- {name}: {_text(value)}" for name, value in part.facts.items()), ""]
    for table in part.tables:
        lines += [*_table(table), ""]
    lines += [f"Protocol: {_text(part.protocol)}.\n"] if part.protocol else []
    return "\n".join(lines)


def _table(table: Table) -> list[str]:
    rows = [table.headers, ["---"] * len(table.headers), *table.rows]
    return ["| " + " | ".join(_text(cell) for cell in row) + " |" for row in rows]


def _text(text: str) -> str:
    """Text that Markdown shows as it is."""
    plain = printable(text).replace("\\", "\\\\")
    for mark in "`*_[]<>|":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
