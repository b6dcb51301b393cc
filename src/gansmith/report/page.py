"""Values to HTML: the templates, and the policy that lets a page load nothing and run only its own script."""

import base64
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansmith.files import write_text
from gansmith.report.contents import gather
from gansmith.text import printable

if TYPE_CHECKING:
    import jinja2


def write_report(folder: Path) -> Path:
    """Writes `report.html` into a run's folder from what lies there, finished or not, and returns its path.

    The same folder gives the same bytes; an earlier report is replaced in one piece.
    """
    run = gather(folder)
    path = folder / "report.html"
    write_text(path, render("run.html", title=run.name, sections=run.sections, version=run.version, run=run))
    return path


def render(template: str, *, title: str, sections: Sequence[tuple[str, str]], version: str, **values: Any) -> str:
    """A page of a template that extends base.html.

    Args:
        template: the name of its file.
        title: the page's.
        sections: (anchor, title) of each, for the navigation.
        version: of gansmith, for the footer.
        values: what else the template shows.
    """
    templates = _templates()
    css, script = (_source(name) for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src {source_hash(css)}; script-src {source_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    page = templates.get_template(template)
    return page.render(title=title, sections=sections, version=version, css=css, script=script, policy=policy, **values)


@functools.cache
def _templates() -> "jinja2.Environment":
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("gansmith.report"),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _visible(value: Any) -> Any:
    """Text with control characters, and those that turn the direction of writing, as escapes; line ends stay."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return "\n".join(map(printable, value.split("\n")))
    return value


def _source(name: str) -> str:
    """A style or script of ours, which is put into pages as it is."""
    import markupsafe

    loader = _templates().loader
    assert loader is not None
    return markupsafe.Markup(loader.get_source(_templates(), name)[0])


def source_hash(text: str) -> str:
    """The source expression that lets just this inline style or script run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
