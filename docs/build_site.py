"""Prepares the site that `make docs` builds: documents, notebooks, a gallery, and a reference of docstrings.

    python docs/build_site.py build/site-source

writes them there, with zensical.toml, which holds the navigation; `zensical build` makes HTML of it without a network.
"""

import importlib
import inspect
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MODULES = {
    "gansmith": "All that `import gansmith as gs` offers.",
    "gansmith.data": "Images from anywhere, decoded once.",
    "gansmith.latent": "Functions of a generator and latents.",
    "gansmith.own": "Networks, losses, penalties, augmentations and steps of one's own.",
    "gansmith.recipes": "The recipes, and what they hold.",
    "gansmith.trackers": "Where numbers and sheets are passed on to.",
    "gansmith.training.events": "What observers are told.",
    "gansmith.training.options": "The options of a training.",
    "gansmith.metrics": "Arrays of features in, numbers out.",
    "gansmith.errors": "What a caller can mend, as types.",
}
UNSTABLE = r"<function .*? at 0x[0-9a-f]+>|<[^<>]*>"
"""What Python writes of a default that has no words."""
NOTEBOOKS = ("quickstart", "own_data", "own_recipe", "evaluation")
NAVIGATION: list[dict[str, Any]] = [
    {
        "Start here": [
            "index.md",
            "notebooks/quickstart.md",
            "studio.md",
            "data.md",
            "house.md",
            "runs.md",
            "gallery.md",
        ]
    },
    {
        "Lessons": [
            "notebooks/lessons.md",
            *(f"lessons/{name}.md" for name in ("mlp", "mlp-bn", "deconv", "dcgan-upsample", "dcgan-transpose")),
        ]
    },
    {
        "How to": [
            *("conditional.md", "explore.md", "evaluate.md", "doctor.md", "sweep.md", "own.md", "track.md", "hub.md"),
            *("mint.md", "card.md", "export.md", "complete.md", "scale.md"),
            *("encoders.md", *(f"notebooks/{name}.md" for name in NOTEBOOKS[1:])),
        ]
    },
    {
        "Reference": [
            *("recipes.md", "papers.md", "metrics.md", "format.md"),
            *(f"reference/{name}.md" for name in MODULES),
        ]
    },
    {"Comparison": ["performance.md"]},
    {"Architecture": ["architecture.md", "faults.md", "contributing.md", "changelog.md", "log.md"]},
]
OUTSIDE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/quality/log.md": "log.md",
    "README.md": "index.md",
}
"""Documents that lie outside of docs/, and where they are on the site."""


def main(target: Path) -> None:
    """Writes the site's source into a folder, which is emptied first."""
    shutil.rmtree(target, ignore_errors=True)
    pages = target / "docs"
    for path in (*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in OUTSIDE)):
        write(pages / place(path), relinked(path))
    shutil.copytree(DOCS / "images", pages / "images")
    for path in sorted((DOCS / "notebooks").glob("*.py")):
        write(pages / "notebooks" / f"{path.stem}.md", "".join(notebook(path.read_text(), outputs(path))))
    for name, about in MODULES.items():
        write(pages / "reference" / f"{name}.md", reference(name, about))
    write(pages / "gallery.md", "\n".join(gallery()))
    write(target / "zensical.toml", configuration())


def write(path: Path, text: str) -> None:
    """A file with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def place(path: Path) -> Path:
    """Where a file of the repository is on the site."""
    inside = path.resolve().relative_to(ROOT).as_posix()
    return Path(OUTSIDE.get(inside, inside.removeprefix("docs/")))


def relinked(path: Path) -> str:
    """A document whose links lead to places of the site; those to files that it has not become plain text."""

    def link(match: re.Match[str]) -> str:
        picture, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        if re.match(r"[a-z]+:", target):
            return match[0]
        goal = (path.parent / target).resolve()
        where = place(goal)
        if goal.suffix not in {".md", ".png", ".webp", ".svg"}:
            return text
        there = os.path.relpath(where, place(path).parent)
        return f"{picture}[{text}]({there}{anchor})"

    text = re.sub(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)", link, path.read_text(encoding="utf-8"))
    return re.sub(r'(src|href)="docs/', r'\1="', text)


def gallery() -> Iterator[str]:
    """Every picture of the documents with the commands that stand before it on its page."""
    yield "# Gallery\n\nPictures of the documents, and below each the commands that stand before it on its page.\n"
    for path in sorted(set(DOCS.rglob("*.md")) - {DOCS / "doctor.md"}):  # whose picture is of a run that was kept
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"^!\[(.+)\]\(([^)\s]+)\)", text, flags=re.MULTILINE):
            before = re.findall(r"^```(?:sh|console)\n(.*?)^```", text[: match.start()], flags=re.MULTILINE | re.DOTALL)
            if before:
                picture = place((path.parent / match[2]).resolve()).as_posix()
                title = re.search(r"^# (.+)", text, flags=re.MULTILINE)
                link = f"[{title[1] if title else path.stem}]({place(path).as_posix()})"
                yield f"![{match[1]}]({picture})\n\n{match[1]} ({link})\n"
                yield f"```sh\n{before[-1]}```\n"


def outputs(path: Path) -> list[str]:
    """What docs/execute.py kept of a notebook's cells, as HTML."""
    kept = path.parent / "outputs" / f"{path.stem}.json"
    return [entry["html"] for entry in json.loads(kept.read_text(encoding="utf-8"))] if kept.exists() else []


def notebook(source: str, shown: list[str]) -> Iterator[str]:
    """A py:percent notebook as Markdown, each of its code cells with what it showed when it was executed."""
    rest = iter(shown)
    for cell in re.split(r"^# %%", source, flags=re.MULTILINE)[1:]:
        head, _, body = cell.partition("\n")
        if "[markdown]" in head:
            yield re.sub(r"^# ?", "", body, flags=re.MULTILINE) + "\n"
            continue
        yield f"```python\n{body.strip()}\n```\n\n"
        if html := re.sub(r"\n\s*\n", "\n", next(rest, "")).strip():  # a blank line would end the HTML
            yield f'<div class="gansmith-output">\n{html}\n</div>\n\n'


def reference(name: str, about: str) -> str:
    """A module's public names with signatures and docstrings."""
    module = importlib.import_module(name)
    public = getattr(module, "__all__", None) or [
        each for each, value in vars(module).items() if getattr(value, "__module__", "") == name and each[0] != "_"
    ]
    parts = [f"# {name}\n\n{about}\n"]
    for each in public:
        value = getattr(module, each)
        if inspect.ismodule(value):
            parts.append(f"## {each}\n\n{first_line(value)}\n")
        elif inspect.isclass(value) or callable(value):
            parts += [*entry(f"{each}", value, "##"), *(methods(value) if inspect.isclass(value) else ())]
    return "\n".join(parts)


def methods(kind: type) -> Iterator[str]:
    """The public methods and properties that a class defines itself."""
    for name, value in vars(kind).items():
        inner = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if name.startswith("_") or not (inspect.isfunction(inner) or isinstance(inner, property)):
            continue
        if name in {"model_post_init"} or not inspect.getdoc(inner):
            continue
        yield from entry(f"{kind.__name__}.{name}", inner, "###")


def entry(title: str, value: Any, heading: str) -> Iterator[str]:
    """A heading, the signature, and the docstring."""
    yield f"{heading} {title}\n"
    if not isinstance(value, property):
        try:
            shown = signature(title, value)
            yield f"```text\n{shown}\n```\n"
        except (TypeError, ValueError):
            pass
    yield prose(inspect.getdoc(value) or "") + "\n"


def signature(title: str, value: Any) -> str:
    """`train(source=None, *, ...)`, a parameter a line where it is long."""
    found = inspect.signature(value)
    plain = re.sub(UNSTABLE, "...", str(found)).replace("gansmith.", "")
    one = f"{title}{plain}"
    if len(one) <= 100:
        return one
    lines, star = [], False
    for each in found.parameters.values():
        if each.kind is each.KEYWORD_ONLY and not star:
            lines, star = [*lines, "    *,"], True
        lines.append(f"    {re.sub(UNSTABLE, '...', str(each)).replace('gansmith.', '')},")
    back = "" if found.return_annotation is found.empty else f" -> {inspect.formatannotation(found.return_annotation)}"
    return "\n".join([f"{title}(", *lines, f"){back}"]).replace("gansmith.", "")


def prose(text: str) -> str:
    """A docstring as Markdown: sections as lists, roles as code, examples as blocks."""
    text = re.sub(r":(?:func|class|meth|mod|data|attr):`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    lines, code, section = list[str](), False, False
    for line in text.splitlines():
        if line.startswith(">>>") and not code:
            lines, code = [*lines, "```pycon"], True
        if code and not line.strip():
            lines, code = [*lines, "```"], False
        item = re.match(r"    (\*{0,2}\w+(?:, \w+)*): (.*)", line) if section else None
        if line.rstrip() in {"Args:", "Raises:", "Returns:", "Yields:"}:
            lines, section = [*lines, f"**{line.strip().rstrip(':')}**", ""], True
        elif code:
            lines.append(line.partition("  # doctest")[0])
        elif item:
            lines.append(f"- `{item[1]}`: {escape(item[2], quote=False)}")
        elif section and line.startswith("    "):
            lines.append("  " + escape(line.strip(), quote=False))
        else:
            section = section and not line.strip()
            lines.append(escape(line, quote=False))
    return "\n".join([*lines, *(["```"] if code else [])])


def first_line(module: Any) -> str:
    """What a module is for."""
    return (module.__doc__ or "").strip().splitlines()[0]


def unlisted() -> list[str]:
    """Documents that the navigation does not name: how-to pages, until somebody gives them a better place."""
    named = {page for group in NAVIGATION for pages in group.values() for page in pages}
    return [path.name for path in sorted(DOCS.glob("*.md")) if path.name not in named]


def configuration() -> str:
    """zensical.toml: nothing that a network is needed for, neither fonts nor scripts."""
    groups = [(title, pages) for group in NAVIGATION for title, pages in group.items()]
    lists = {title: json.dumps([*pages, *(unlisted() if title == "How to" else [])]) for title, pages in groups}
    navigation = ", ".join(f"{{ {json.dumps(title)} = {pages} }}" for title, pages in lists.items())
    return (
        '[project]\nsite_name = "gansmith"\nsite_description = "The GAN workshop"\n'
        f'docs_dir = "docs"\nsite_dir = "site"\nuse_directory_urls = false\nnav = [{navigation}]\n\n'
        '[project.theme]\nvariant = "modern"\nfont = false\n'
        'features = ["navigation.tabs", "navigation.indexes", "content.code.copy", "search.highlight"]\n'
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
