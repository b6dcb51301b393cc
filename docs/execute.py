"""Executes the notebooks of docs/notebooks, and keeps what their cells show for the site.

    python docs/execute.py [NAME ...]

writes docs/notebooks/outputs/NAME.json, a list with an entry a code cell: {"source": a hash, "html": what it shows}.
The notebooks train for some minutes, which `make docs` does not repeat: it puts these outputs below their cells.
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "notebooks"


def main(names: list[str]) -> None:
    """Executes some notebooks, or all."""
    for path in sorted(HERE.glob("*.py")):
        if not names or path.stem in names:
            kept = [{"source": digest(source), "html": html(outputs)} for source, outputs in executed(path)]
            target = HERE / "outputs" / f"{path.stem}.json"
            target.parent.mkdir(exist_ok=True)
            target.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            print(f"{target}: {target.stat().st_size:,} bytes", flush=True)


def digest(source: str) -> str:
    """What tells a cell from one that was changed since."""
    return hashlib.sha256(source.strip().encode()).hexdigest()[:16]


def executed(path: Path) -> list[tuple[str, list[Any]]]:
    """The code cells of a notebook, each with its outputs."""
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(path)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": folder}})
        client.create_kernel_manager()
        client.km.kernel_spec.argv[0] = sys.executable
        client.execute()
    return [(cell.source, cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]


def html(outputs: list[Any]) -> str:
    """All that a cell shows; lines that were printed apart stand together."""
    return "".join(shown(outputs)).replace("</pre><pre>", "")


def shown(outputs: list[Any]) -> Iterator[str]:
    """Outputs as HTML: what a notebook would choose of each."""
    for output in outputs:
        if output.output_type == "stream":
            yield f"<pre>{escape(output.text)}</pre>"
            continue
        data = output.data
        if "text/html" in data:
            yield data["text/html"]
        elif "image/png" in data:
            yield f'<img alt="" src="data:image/png;base64,{data["image/png"].strip()}">'
        else:
            yield f"<pre>{escape(data['text/plain'])}</pre>"
        yield "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
