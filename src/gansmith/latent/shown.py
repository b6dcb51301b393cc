"""What a notebook shows of a result: a short line, and its picture; and saving that picture."""

from pathlib import Path
from typing import Any

from gansmith import render


class Shown:
    """A result with a picture."""

    images: Any

    def picture(self, *, scale: int | None = None) -> render.Image:
        """All images on a sheet, each enlarged ``scale`` times; as a notebook shows them, if not given."""
        return render.sheet(self.images, scale=scale)

    def save(self, path: str | Path, *, scale: int | None = None) -> Path:
        """Writes the picture (.png or .jpg). Raises UserError in one line for other names."""
        from gansmith.latent import figures

        path = Path(path)
        figures.check_target(path, figures.SHEETS)
        return figures.save(path, self.picture(scale=scale))

    def _repr_png_(self) -> bytes:
        return render.png(self.picture())

    def __repr__(self) -> str:
        *many, channels, height, width = self.images.shape
        return f"{type(self).__name__}({' x '.join(f'{each:,}' for each in many)} images, {channels}x{height}x{width})"
