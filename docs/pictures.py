"""Makes a lesson's picture from a run: `python docs/pictures.py RUN NAME` writes docs/images/NAME-progress.png."""

import sys
from pathlib import Path

from PIL import Image

from gansmith import render
from gansmith.run import find

IMAGES = Path(__file__).parent / "images"
ROWS = 5  # of 8


def progress(where: str, name: str) -> Path:
    """The same noise untrained, early, and at the end: three sheets side by side, each named."""
    sheets = find(where).sheets()
    chosen = [sheets[0], sheets[max(1, len(sheets) // 10)], sheets[-1]]
    parts = []
    for step, path in chosen:
        with Image.open(path) as sheet:
            height = round(sheet.height * ROWS / 8)
            part = sheet.convert("L").crop((0, 0, sheet.width, height)).resize((400, round(400 * height / sheet.width)))
        parts.append(render.caption(part, f"step {step:,}" if step else "untrained"))
    whole = Image.new(parts[0].mode, (sum(part.width for part in parts) + 16, parts[0].height), "white")
    for index, part in enumerate(parts):
        whole.paste(part, (index * (part.width + 8), 0))
    IMAGES.mkdir(exist_ok=True)
    target = IMAGES / f"{name}-progress.png"
    whole.save(target, optimize=True)
    return target


if __name__ == "__main__":
    print(progress(*sys.argv[1:]))
