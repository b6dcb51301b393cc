"""`gansmith export`: a generator as a folder, an ONNX file, a PyTorch program, or a web page."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from gansmith.cli.options import Best, Generator, Json, RealImages, Recipes
from gansmith.cli.output import progress, show
from gansmith.text import finite


def export(
    run: Generator,
    /,
    *,
    to: Literal["folder", "onnx", "program", "web"] | None = None,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    title: str | None = None,
    data: RealImages = None,
    quiz: Annotated[bool, Parameter(negative="--no-quiz", show_default=False)] = True,
    best: Best = False,
    own: Recipes = None,
    json: Json = False,
) -> None:
    """Take a generator out of the workshop, for Python, other programs, or anybody with a browser.

    The page is one file: it opens from a double click and needs no network. ONNX needs pip install 'gansmith[onnx]'.

    Args:
        to: folder: what gansmith loads; onnx: an ONNX model; program: torch.export's; web: one HTML page. As the suffix
            of --out says, if not given.
        out: where to: a name ending in .onnx, .pt2 or .html, or a new folder.
        title: of the page; the data's name, if not given.
        quiz: put 60 real images that were not trained on into the page, for a quiz: those of MNIST, which may be
            shared, or those that --data names.
    """
    from gansmith.exports.formats import target

    form, path = target(to, out, Path(run).name if Path(run).name not in ("", "last") else "gan")
    from gansmith import exports
    from gansmith.evaluation import real as real_images
    from gansmith.exports.licences import may_be_shared
    from gansmith.runs import load

    generator = load.load(run, device="cpu", which="best" if best else "newest")
    real = None
    if form == "web" and quiz and (data or may_be_shared(str(generator.about.get("data", "")))):
        real = real_images.find(run, generator, data, progress=progress).unseen
    made = exports.export(generator, path, to=form, real=real, title=title, progress=progress)
    facts = {
        **{"path": made.path, "to": made.to, "bytes": made.size, "weights": made.weights},
        **{"difference": finite(made.difference), "quiz": real is not None, "generator": generator.digest},
    }
    checked = "" if made.difference is None else f"; pixels differ from PyTorch's by {made.difference:.2g} grey levels"
    show(facts, f"{made.path}: {made.size / 1e6:.1f} MB{checked}", json=json)
