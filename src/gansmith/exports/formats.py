"""The four forms in which a generator leaves, how each is named, and what was checked of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from gansmith import markup
from gansmith.errors import UserError
from gansmith.progress import Progress
from gansmith.runs import Run

if TYPE_CHECKING:
    from gansmith.data import Dataset
    from gansmith.generator import Generator

Format = Literal["folder", "onnx", "program", "web"]
TO: tuple[Format, ...] = get_args(Format)
SUFFIXES: Mapping[str, Format] = {"": "folder", ".onnx": "onnx", ".pt2": "program", ".html": "web"}
"""The suffix that a file of each form has."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    to: Format
    size: int
    """Bytes, of all files."""
    difference: float | None
    """The greatest difference of a pixel from PyTorch's, in grey levels of 0 .. 255, over 64 samples that were made
    again from what was written (``web``: from the weights as the page stores them); None for ``folder``."""
    weights: str
    """How the weights are stored: "float32" or "float16"."""

    def __repr__(self) -> str:
        return f"Exported({self.to}, {self.size / 1e6:.2g} MB, {self.weights}: {self.path})"

    def _repr_html_(self) -> str:
        checked = (
            "not computed again" if self.difference is None else f"at most {self.difference:.2g} of 255 grey levels"
        )
        rows = [
            ("form", self.to),
            ("weights", self.weights),
            ("size", f"{self.size:,} bytes"),
            ("away from PyTorch's images", checked),
            ("path", self.path),
        ]
        return markup.block(markup.table(("exported", ""), rows))


def target(to: str | None, path: Path | None, name: str) -> tuple[Format, Path]:
    """The form and the path of an export, each found from the other where it is None.

    Args:
        to: the form.
        path: where to.
        name: of the generator, for the path that is chosen where none is given.

    Raises UserError in one line for an unknown form, a suffix of another, and what is in the way.
    """
    if to is not None and to not in TO:
        raise UserError(f"`to` {to!r}: choose {', '.join(TO)}")
    if path is None:
        to = to or "folder"
        suffix = next(suffix for suffix, form in SUFFIXES.items() if form == to)
        path = Path(f"{name}-generator" if to == "folder" else f"{name}{suffix}")
    found = SUFFIXES.get(path.suffix.lower())
    if to in (None, "folder") and path.is_dir():
        found = "folder"  # whatever dots its name has
    to = to or found
    if to is None or (to != "folder" and found != to):
        wanted = next((suffix for suffix, form in SUFFIXES.items() if form == to), None)
        use = f"a name that ends in {wanted}" if wanted else ".onnx, .pt2, .html or a folder's name"
        raise UserError(f"`out` {path}: use {use}")
    if to == "folder" and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"`out` {path}: is in the way; name a new or empty folder")
    if to != "folder" and path.is_dir():
        raise UserError(f"`out` {path}: is a folder; name a file in it")
    if not path.absolute().parent.is_dir():
        raise UserError(f"`out` {path}: there is no folder {path.parent}; make it first")
    return to, path


def export(
    generator: "Generator | Run | str | Path",
    path: str | Path,
    *,
    to: Format | None = None,
    real: "Dataset | None" = None,
    title: str | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Writes a generator in a form that other programs read, and compares what was written with PyTorch.

    "folder" is what :func:`gansmith.load` reads; "onnx" an ONNX model; "program" a ``torch.export`` program (.pt2);
    "web" one HTML page that needs neither network nor server. An ONNX model, a program and a page make each image from
    its own latent alone: batch-norm statistics of recipes that use the batch's are settled first.

    Args:
        generator: what is written, in float32; or what :func:`gansmith.load` takes: a run, a folder, a name, "last".
        path: a file (.onnx, .pt2, .html), which is replaced, or for "folder" a new or empty folder.
        to: the form; as the path's suffix says if None.
        real: real images for the quiz of a page, of the generator's shape; without them the page has no quiz.
        title: of a page; the generator's data if None.
        progress: called during long work.

    Raises:
        UserError: one line: what :func:`target` refuses, a missing extra, or layers that a page does not know.
    """
    form, path = target(to, Path(path), "")
    if isinstance(generator, str | Path | Run):
        from gansmith.runs.load import load

        generator = load(generator)
    if form == "folder":
        generator.save_pretrained(path)
        return Exported(path, form, sum(file.stat().st_size for file in path.iterdir()), None, "float32")
    if form == "web":
        from gansmith.exports.page import write

        weights, difference = write(generator, path, real=real, title=title, progress=progress)
        return Exported(path, form, path.stat().st_size, difference, weights)
    from gansmith.exports import graph

    difference = (graph.write_onnx if form == "onnx" else graph.write_program)(generator, path)
    return Exported(path, form, path.stat().st_size, difference, "float32")
