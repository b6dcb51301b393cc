"""Pushing a generator: config.json, model.safetensors, evaluation.json, and a card whose figures the hub reads."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gansmith.errors import UserError
from gansmith.evaluation import wording
from gansmith.evaluation.report import FILE, Report
from gansmith.files import read_json, write_json
from gansmith.generator import Generator
from gansmith.recipe import RecipeFile
from gansmith.runs import Run, exported, fetching, find
from gansmith.runs.load import load
from gansmith.text import one_line

TASK = "unconditional-image-generation"


@dataclass(frozen=True)
class Pushed:
    """A generator on the hub."""

    name: str
    """user/name."""
    url: str
    figures: int
    """Figures of its card; 0 where it was never evaluated."""
    files: tuple[RecipeFile, ...] = ()
    """The Python sources that its recipe needs, which are not pushed."""


def push(where: str | Path | Run, name: str, *, out: str | Path = "runs", private: bool = False) -> Pushed:
    """Pushes the generator of a run, or an exported one, to the hub: `gs.load("hf://user/name")` reads it there.

    Who may write is decided by the hub's own login: `hf auth login`, or $HF_TOKEN.

    Args:
        where: the run, its folder, its name, "last", or an exported generator's folder.
        name: user/name; it is made if it is not there.
        out: where names of runs are looked up.
        private: whether it is hidden from others, where it is made.

    Raises UserError, in one line, for a name that is none, a missing library, and a hub that refuses.
    """
    repo, revision = fetching.parts(name)
    if revision is not None:
        raise UserError(f"{name}: give user/name alone")
    hub = fetching.library()
    generator, report = load(where, out=out), _report(where, out)
    with tempfile.TemporaryDirectory() as place:
        folder = generator.save_pretrained(Path(place) / "generator")
        _without_folders(folder / "config.json")
        if report is not None:
            report.save(folder / FILE)
        (folder / "README.md").write_text(card(generator, report, repo), encoding="utf-8")
        api = hub.HfApi(endpoint=fetching.endpoint())
        try:
            api.create_repo(repo, private=private, exist_ok=True)
            api.upload_folder(repo_id=repo, folder_path=folder, commit_message=f"{generator.recipe.name}, by gansmith")
        except hub.errors.LocalTokenNotFoundError:
            raise UserError("the hub does not know you; `hf auth login`, or set HF_TOKEN") from None
        except hub.errors.HfHubHTTPError as error:
            why = one_line(error)[:160]
            raise UserError(f"{repo}: the hub refused ({why}); `hf auth login` tells it who you are") from None
        except Exception as error:
            if not isinstance(error, ConnectionError) and not fetching.of_http(error):
                raise
            raise UserError(f"{repo}: the hub cannot be reached ({one_line(error)[:120]})") from None
    url = f"{fetching.endpoint() or 'https://huggingface.co'}/{repo}"
    return Pushed(repo, url, len(report.figures) if report else 0, generator.recipe.files)


def _without_folders(path: Path) -> None:
    """Leaves of files of one's own their names alone: where they lie here is nobody's business."""
    config = read_json(path)
    for each in config.get("recipes", ()):
        each["path"] = Path(each["path"]).name
    write_json(path, config)


def _report(where: str | Path | Run, out: str | Path) -> Report | None:
    """The evaluation that is kept beside a generator, if there is one."""
    folder = None if isinstance(where, Run) else exported(where, out=out)
    path = folder or (where if isinstance(where, Run) else find(where, out=out)).path
    return Report.read(path / FILE) if (path / FILE).exists() else None


def card(generator: Generator, report: Report | None, repo: str) -> str:
    """README.md: the hub's metadata with figures as its model index, and the same table for people."""
    hub = fetching.library()
    data = str(generator.about.get("data", "images"))
    results = [
        hub.EvalResult(
            task_type=TASK,
            dataset_type=data,
            dataset_name=report.protocol.against if report else data,
            metric_type=figure.key,
            metric_name=figure.name,
            metric_value=figure.value,
        )
        for figure in (report.figures if report else ())
    ]
    about = hub.ModelCardData(
        library_name="gansmith",
        pipeline_tag=TASK,
        tags=["gan", "image-generation", generator.recipe.name],
        model_name=repo.partition("/")[2],
        eval_results=results or None,
    )
    recipe = generator.recipe
    lines = [f"- {name}: {value}" for name, value in generator.about.items()]
    told = f" and {recipe.classes} labels" if recipe.classes else ""
    return "\n".join(
        [
            f"---\n{about.to_yaml()}\n---\n",
            f"# {repo.partition('/')[2]}\n",
            f"Recipe `{recipe.name}`, trained with gansmith:",
            f"{recipe.channels}x{recipe.size}x{recipe.size} images from {recipe.noise.size} numbers{told}.\n",
            *lines,
            *_needed(recipe.files),
            f"\n```python\nimport gansmith as gs\n\n{''.join(_loads(recipe.files))}"
            f'gs.load("hf://{repo}").sample(64, seed=0).save("sheet.png")\n```\n',
            *_measured(report),
        ]
    )


def _needed(files: Sequence[RecipeFile]) -> Iterator[str]:
    """What loading it takes beside gansmith."""
    for file in files:
        where = file.where if file.package or not file.path else f"`{Path(file.path).name}`"
        yield f"- needs: {where} (SHA-256 {file.sha256[:12]}...), a program of its author's that is not here"


def _loads(files: Sequence[RecipeFile]) -> Iterator[str]:
    """The lines of Python that load what it needs."""
    for file in files:
        if file.path and not file.package:
            yield f'gs.own.load("{Path(file.path).name}")\n'


def _measured(report: Report | None) -> list[str]:
    """The table of a report in Markdown."""
    if report is None:
        return ["Its quality was not measured; `gansmith evaluate` measures it.\n"]
    cells = [[cell.replace("|", "/") for cell in row] for row in [wording.HEADERS, ["---"] * 6, *wording.rows(report)]]
    table = ["| " + " | ".join(row) + " |" for row in cells]
    return [f"{wording.headline(report)}\n", *table, f"\nprotocol: {report.protocol.line}\n"]
