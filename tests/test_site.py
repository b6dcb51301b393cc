"""The site that `make docs` builds: every link leads somewhere, and the reference holds all that is public."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import gansmith

ROOT = Path(__file__).parents[1]


def program(name: str) -> Any:
    """A program of docs/ as a module."""
    specification = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    program("build_site").main(target)
    return target


def without_code(path: Path) -> str:
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda match: match[0].replace("[", " ").replace("]", " "), text)


def anchors(path: Path) -> set[str]:
    """The places of a page that a link can name: its headings, as Markdown's table of contents writes them."""
    titles = re.findall(r"^#+ (.+)", without_code(path), flags=re.MULTILINE)
    plain = (
        re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)).strip().lower() for title in titles
    )
    return {re.sub(r"[-\s]+", "-", title) for title in plain}


def test_every_link_leads_to_a_page_a_place_or_a_picture(source: Path) -> None:
    broken = []
    for page in sorted((source / "docs").rglob("*.md")):
        for target, anchor in re.findall(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)", without_code(page)):
            if re.match(r"[a-z]+:", target):
                continue
            goal = (page.parent / target) if target else page
            if not goal.is_file() or (anchor and goal.suffix == ".md" and anchor not in anchors(goal)):
                broken.append(f"{page.relative_to(source)}: {target}#{anchor}")
    assert not broken


def test_every_page_is_in_the_navigation_once(source: Path) -> None:
    def pages(entries: list[Any]) -> list[str]:
        return [
            page for each in entries for page in ([each] if isinstance(each, str) else pages(next(iter(each.values()))))
        ]

    listed = pages(tomllib.loads((source / "zensical.toml").read_text())["project"]["nav"])
    there = [path.relative_to(source / "docs").as_posix() for path in (source / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(there)


def test_the_reference_holds_all_that_is_public(source: Path) -> None:
    text = (source / "docs" / "reference" / "gansmith.md").read_text()
    assert set(gansmith.__all__) <= set(re.findall(r"^## (\w+)$", text, flags=re.MULTILINE))
    assert "### Generator.sample" in text
    assert " at 0x" not in text


def test_each_picture_of_the_gallery_stands_above_its_command(source: Path) -> None:
    text = (source / "docs" / "gallery.md").read_text()
    parts = text.split("\n![")[1:]
    assert len(parts) > 10
    assert all("```sh\n" in part and "gansmith" in part for part in parts)


OUTPUTS = sorted((ROOT / "docs" / "notebooks" / "outputs").glob("*.json"))


@pytest.mark.parametrize("outputs", OUTPUTS, ids=lambda path: path.stem)
def test_what_the_site_shows_of_a_notebook_is_of_its_cells(outputs: Path, source: Path) -> None:
    kept, path = json.loads(outputs.read_text()), outputs.parents[1] / f"{outputs.stem}.py"
    cells = [cell for cell in re.split(r"^# %%", path.read_text(), flags=re.MULTILINE)[1:] if "[markdown]" not in cell]
    now = [program("execute").digest(cell.partition("\n")[2]) for cell in cells]
    assert [each["source"] for each in kept] == now, "run `python docs/execute.py` anew"
    page = (source / "docs" / "notebooks" / f"{path.stem}.md").read_text()
    assert page.count('<div class="gansmith-output">') == sum(bool(each["html"]) for each in kept) > 0
