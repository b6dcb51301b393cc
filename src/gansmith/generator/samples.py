"""Generated images with their latents and labels, and the files that they are saved as."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gansmith.errors import UserError
from gansmith.files import EXIF, writing

if TYPE_CHECKING:
    from gansmith import render

MAX_ON_SHEET = 10_000
SHEETS = {".png", ".webp", ".jpg", ".jpeg"}


def columns(classes: int, count: int) -> int:
    """Columns of a sheet of ``count`` images: each shows one class where 2 to 16 classes take turns; otherwise 8."""
    return classes * max(1, round(count**0.5 / classes)) if 1 < classes <= 16 else 8


def check_target(path: Path, count: int, scale: int | None = None) -> None:
    """Checks, before they are made, that ``count`` images can be saved as ``path``, enlarged if ``scale`` is given.

    Raises UserError for an unknown suffix, a file or a folder with content in the way, too many images for a sheet, or
    a scale of what is no sheet.
    """
    suffix = path.suffix.lower()
    if scale is not None and suffix not in SHEETS:
        raise UserError(f"`scale` {scale}: only a sheet is enlarged, not {path}; leave it out, or name a .png")
    if suffix in SHEETS:
        if count > MAX_ON_SHEET:
            raise UserError(f"{path}: a sheet holds up to {MAX_ON_SHEET:,} images; for {count:,} use .npz or a folder")
    elif suffix and suffix != ".npz":
        raise UserError(f"{path}: cannot write {path.suffix}; use .png, .webp, .jpg, .npz or a folder's name")
    if suffix and path.is_dir():
        raise UserError(f"{path}: is a folder; name a file in it")
    if not suffix and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path}: is in the way; name a new or empty folder")


@dataclass(frozen=True, repr=False)
class Samples:
    """Generated images, with the latents and, from a conditional generator, the labels that they were made of."""

    images: np.ndarray
    """uint8 (N, C, H, W)."""
    latents: np.ndarray
    """float32 (N, Z)."""
    seed: int | None = None
    labels: np.ndarray | None = None
    """int64 (N,)."""
    columns: int | None = None
    """Columns of a sheet that show one class each; None where labels do not take turns."""
    digest: str = ""
    """:attr:`Generator.digest` of the generator."""
    classes: tuple[str, ...] = ()
    """The names of labels 0, 1, ..., as far as they are known."""
    conditions: np.ndarray | None = None
    """int64 (N,): class * kinds + kind of what was told to a generator that knows kinds."""

    @property
    def told(self) -> np.ndarray | None:
        """int64 (N,): what the generator was told, be it labels or kinds too; None if nothing."""
        return self.labels if self.conditions is None else self.conditions

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        channels, height, width = self.images.shape[1:]
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"Samples({len(self):,} images, {channels}x{height}x{width}{seed})"

    def save(self, path: str | Path, *, scale: int | None = None) -> Path:
        """Writes a sheet (.png, .webp, .jpg), arrays (.npz) or, without a suffix, a folder of PNG files.

        On a sheet images are enlarged ``scale`` times; without it, as far as fits 1,600 x 1,200 pixels.
        Labelled images go into a folder per class, which :func:`gansmith.data.load` reads as labels. A full disk or
        Ctrl-C leaves what was there.

        Raises UserError as :func:`check_target` does, and OSError when the disk is full.
        """
        from gansmith import render

        path = Path(path)
        check_target(path, len(self), scale)
        with writing(path) as fresh:
            if path.suffix == ".npz":
                known: dict[str, Any] = {} if self.labels is None else {"labels": self.labels}
                known |= {} if self.conditions is None else {"conditions": self.conditions}
                known |= {"generator": np.array(self.digest)} if self.digest else {}
                np.savez_compressed(fresh, images=self.images, latents=self.latents, **known)
            elif path.suffix:
                self.sheet(scale=scale).save(fresh, exif=EXIF)
            else:
                folders = self._folders(fresh)
                for folder in {fresh, *folders}:
                    folder.mkdir(parents=True, exist_ok=True)
                for index, (folder, image) in enumerate(zip(folders, self.images, strict=True)):
                    render.picture(image).save(folder / f"{index:06d}.png", compress_level=1, exif=EXIF)
        return path

    def _folders(self, root: Path) -> list[Path]:
        """The folder below ``root`` for each image: that of its class, if it has one."""
        if self.labels is None:
            return [root] * len(self)
        names = self.classes or [str(label) for label in range(int(self.labels.max()) + 1)]
        folders = folder_names(names)
        return [root / folders[label] for label in self.labels]

    def sheet(self, *, scale: int | None = None) -> "render.Image":
        """All images on one sheet, enlarged as by :meth:`save`; where labels take turns, in columns of one class."""
        from gansmith import render

        return render.sheet(self.images, columns=self.columns, scale=scale, widest=render.SLIDE)

    def _repr_png_(self) -> bytes:
        from gansmith import render

        return render.png(render.sheet(self.images, columns=self.columns))


def folder_names(classes: Sequence[str]) -> list[str]:
    """A folder's name for each class: its own, but for what is no name of a folder, is hidden, or is there already."""
    names: list[str] = []
    taken: set[str] = set()
    for label, name in enumerate(classes):
        safe = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "_", name.strip()).encode("utf-8", "replace")[:200]
        folder = re.sub(r"^\.|[. ]+$", "_", safe.decode("utf-8", "ignore")) or "_"
        while folder.casefold() in taken:
            folder += f"_{label}"
        taken.add(folder.casefold())
        names.append(folder)
    return names
