"""The notebooks of docs/notebooks run, on small budgets and in one kernel, and what they show is fit to be seen."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from test_documents import fewer

nbclient = pytest.importorskip("nbclient")
jupytext = pytest.importorskip("jupytext")

SOURCES = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.py"))
SET_UP = """%reset -f
import gansmith.evaluation.floors, gansmith.hardware
gansmith.evaluation.floors.WHOLE = 500
gansmith.hardware.available_cores = lambda: 1
"""


def small(source: str) -> str:
    """A cell's budgets, shrunk as those of documents are."""
    source = re.sub(r"\bsteps=([\d_]+)", lambda match: f"steps={fewer(float(match[1]))}", source)
    source = re.sub(r"\bminutes=([\d.]+)", "steps=3, batch_size=8, kinds=10", source)
    source = source.replace('base="house"', 'base="house", kinds=10, batch_size=8')
    return re.sub(r"\bsamples=([\d_]+)", "samples=150", source)


@pytest.fixture(scope="module")
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The code cells of the notebooks that are looked at, with their outputs."""
    from nbformat import v4

    whole, owners = v4.new_notebook(), []
    thorough = request.config.getoption("--thorough")
    sources = [path for path in SOURCES if thorough or path.stem in ("quickstart", "evaluation")]
    for path in sources:
        whole.cells.append(v4.new_code_cell(SET_UP))
        owners.append("")
        for cell in jupytext.read(path).cells:
            if cell.cell_type == "code":
                whole.cells.append(v4.new_code_cell(small(cell.source)))
                owners.append(path.stem)
    client = nbclient.NotebookClient(
        whole, timeout=200, resources={"metadata": {"path": str(tmp_path_factory.mktemp("notebooks"))}}
    )
    client.create_kernel_manager()
    client.km.kernel_spec.argv[0] = sys.executable
    client.execute()
    return {
        path.stem: [cell for cell, owner in zip(whole.cells, owners, strict=True) if owner == path.stem]
        for path in sources
    }


@pytest.mark.parametrize("name", [path.stem for path in SOURCES])
def test_a_notebook_runs_and_shows_pictures_and_tables(name: str, executed: dict[str, list[Any]]) -> None:
    cells = executed[name]
    assert cells
    for cell in cells:
        for output in cell.outputs:
            if output.output_type == "stream":
                assert output.name == "stdout", output.text
                continue
            assert {"text/html", "image/png"} & set(output.data), output.data.get("text/plain")
            assert "array(" not in output.data["text/plain"]
            assert len(output.data["text/plain"]) < 250
            assert "<script" not in output.data.get("text/html", "")


def test_a_training_is_one_display_with_its_sheet(executed: dict[str, list[Any]]) -> None:
    first = executed["quickstart"][0].outputs
    shown = [output for output in first if output.output_type == "display_data"]
    assert len(shown) == 1
    html = shown[0].data["text/html"]
    assert "step 3 of 3" in html
    assert "data:image/png;base64" in html
    assert "3 steps, took" in html


def test_a_morph_is_a_film_and_a_report_the_table_of_the_command_line(executed: dict[str, list[Any]]) -> None:
    assert "data:image/webp;base64" in executed["quickstart"][-1].outputs[-1].data["text/html"]
    table = executed["evaluation"][0].outputs[-1].data["text/html"]
    assert all(f">{word}<" in table for word in ("metric", "95 % interval", "x floor", "in words"))
