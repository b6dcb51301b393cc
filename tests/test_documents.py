"""Every command and every Python block of README.md and docs/ runs, in order, document by document.

A document's blocks run in a temporary folder, through the real command line, on small budgets:

- `gansmith` lines of sh and console blocks run; in console blocks, those after `$ ` (the rest is output). `--steps N`
  becomes N / 1000, from 2 to 12; `--minutes M` becomes as many steps; a fresh training gets small batches
  and narrow networks, and `--resume` goes on to step 13, or past it where it names a budget.
  `> FILE` is honoured. The shell's other commands, such as `git clone`, are left alone.
- The run of docs/explore.md gets a generator that draws digits (tests/decoder.py): one of a few steps knows no class.
  `truncate` measures few images, `neighbours` and `evaluate` look among few, `encoder show` tests on 500, and `invert`
  compares with one.
- `make TARGET` lines are checked against the Makefile.
- Python blocks of a document share one namespace; `steps=N` and `minutes=M` shrink the same way. A block that begins
  with a comment such as `# my_recipes.py` is written to that file instead.
- Data that documents may name: `my-images/` (class sub-folders of digits), `my-images.zip`, `my-images.npz`, and
  `me.png`, a digit written on paper. Data sets that need a network are replaced by mnist.
- `<!-- not run: REASON -->` before a block leaves that one out.
"""

import contextlib
import io
import re
import shlex
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from decoder import decoder
from gansmith import data
from gansmith.cli import main

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
NEEDS_NETWORK = {"fashion-mnist": "mnist"}
FENCE = re.compile(
    r"(?P<marker><!-- not run: [^>]+ -->\s*\n\s*)?"
    r"^(?P<indent> *)```(?P<kind>[a-z]+)[^\n]*\n(?P<body>.*?)^ *```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text without the fence's indentation, and its first line in the document."""

    kind: str
    text: str
    line: int
    skipped: bool


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a document that have a language."""
    found = []
    for match in FENCE.finditer(text):
        body = re.sub(f"^{match['indent']}", "", match["body"], flags=re.MULTILINE)
        line = text.count("\n", 0, match.start("body")) + 1
        found.append(Block(match["kind"], body, line, match["marker"] is not None))
    return found


def commands(block: Block) -> list[str]:
    """The shell commands of a block, continued lines joined."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.kind == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    return [line.strip().removeprefix(".venv/bin/") for line in lines]


def fewer(steps: float) -> int:
    """A budget of a document, shrunk; more stays more, or equal."""
    return max(2, min(12, int(steps) // 1000))


def small(words: list[str]) -> list[str]:
    """A command's words on a small budget."""
    words = [NEEDS_NETWORK.get(word, word) for word in words]
    resumed = 13 if "--resume" in words else 0  # what is resumed here has ended, at its 12th step or before
    for index, word in enumerate(words[:-1]):
        if word == "--steps":
            words[index + 1] = str(resumed + fewer(float(words[index + 1])))
        if word == "--minutes":
            words[index : index + 2] = ["--steps", str(resumed + fewer(1000 * float(words[index + 1])))]
    if words[0] == "train" and "--help" not in words:
        if "--steps" not in words:
            words += ["--steps", str(resumed or 2)]
        if "--batch-size" not in words and "--resume" not in words:
            words += ["--batch-size", "8"]
        if "--resume" not in words and not any("width" in word for word in words):
            words += ["--generator.width", "0.1", "--discriminator.width", "0.1"]
    if words[0] == "sweep":
        words = ["--seeds=1" if last == "--seeds" else word for word, last in zip(words, [None, *words], strict=False)]
        words = [word for word in words if word != "--seeds"]
        words += ["--samples", "50", "--batch-size", "8", "--generator.width", "0.1", "--discriminator.width", "0.1"]
    if words[0] in {"evaluate", "compare"}:
        words = [*(word for word, last in zip(words, [None, *words], strict=False) if "--samples" not in (word, last))]
        words += ["--samples", "150"]
    if words[0] == "mint":
        words = [
            str(min(int(word), 300)) if last == "-n" else word
            for word, last in zip(words, [None, *words], strict=False)
        ]
        words += ["--workers", "1"]
    if words[0] == "card":
        words += ["--samples", "100", "--data", "my-images.npz"]
    if words[:2] == ["encoder", "show"]:
        words = ["digits.npz" if last == "--test" else word for word, last in zip(words, [None, *words], strict=False)]
    if words[0] == "truncate" and "--samples" not in words:
        words += ["--samples", "50"]
    if words[0] == "neighbours" and "--data" not in words:
        words += ["--data", "my-images.npz"]
    if words[0] == "invert" and "--floor" not in words:
        words += ["--floor", "1"]
    return words


def run_command(line: str) -> None:
    """Runs one `gansmith ...` line of a document; its output goes to the file that `> FILE` names."""
    words = shlex.split(line, comments=True)[1:]
    target = None
    if ">" in words:
        target = words[words.index(">") + 1]
        del words[words.index(">") : words.index(">") + 2]
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = main(small(words))
    assert code == 0, f"{line}\nended with {code}: {errors.getvalue()}"
    if target:
        Path(target).write_text(output.getvalue())


def check_make(line: str) -> None:
    """`make TARGET NAME=VALUE`: the Makefile knows target and name."""
    makefile = (ROOT / "Makefile").read_text()
    for word in shlex.split(line, comments=True)[1:]:
        name, equals, _ = word.partition("=")
        pattern = rf"^{re.escape(name)} \?=" if equals else rf"^{re.escape(name)}:"
        assert re.search(pattern, makefile, re.MULTILINE), f"the Makefile does not know {name}"


def run_python(block: Block, name: str, namespace: dict[str, object]) -> None:
    """Runs a Python block of a document, its budgets shrunk."""
    source = re.sub(r"\bsteps=([\d_]+)", lambda match: f"steps={fewer(float(match[1]))}", block.text)
    source = re.sub(r"\bminutes=([\d.]+)", lambda match: f"steps={fewer(1000 * float(match[1]))}", source)
    if file := re.match(r"# (\w+\.py)\n", source):
        Path(file[1]).write_text(source)
        return
    for wanted, used in NEEDS_NETWORK.items():
        source = source.replace(f'"{wanted}"', f'"{used}"')
    code = compile("\n" * (block.line - 1) + source, name, "exec")  # line numbers of the document in tracebacks
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, namespace)


def supply(folder: Path) -> None:
    """The data that documents name: 96 digits of three classes, as a folder, a zip and an .npz; and 500 of all ten."""
    digits = data.load("mnist")
    assert digits.labels is not None
    np.savez(folder / "digits.npz", train_images=digits.take(np.arange(500)), train_labels=digits.labels[:500])
    chosen = np.concatenate([np.flatnonzero(digits.labels == label)[:32] for label in (0, 1, 2)])
    images = digits.take(chosen)
    for index, (image, label) in enumerate(zip(images, digits.labels[chosen], strict=True)):
        path = folder / "my-images" / f"class-{label}" / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(path)
    with zipfile.ZipFile(folder / "my-images.zip", "w") as archive:
        for path in sorted((folder / "my-images").rglob("*.png")):
            archive.write(path, path.relative_to(folder / "my-images"))
    Image.fromarray(255 - np.pad(images[-1, 0].repeat(5, 0).repeat(5, 1), 40)).save(folder / "me.png")
    np.savez(folder / "my-images.npz", train_images=images[:, 0], train_labels=digits.labels[chosen])


@pytest.mark.parametrize("name", NAMES)
def test_what_a_document_says_works(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gansmith.hardware.available_cores", lambda: 1)  # other tests run beside this one
    monkeypatch.setattr("gansmith.evaluation.floors.WHOLE", 500)
    monkeypatch.setattr("gansmith.minting.sieve.OTHERS", 200)
    monkeypatch.setattr("gansmith.minting.sieve.UNSEEN", 500)
    supply(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks((ROOT / name).read_text()):
        if block.skipped:
            continue
        if block.kind == "python":
            run_python(block, name, namespace)
        elif block.kind in {"sh", "console"}:
            for line in commands(block):
                if line.startswith("gansmith "):
                    run_command(line)
                    if name == "docs/explore.md" and line.startswith("gansmith train"):
                        decoder().save_pretrained("runs/last/generator")
                elif line.startswith("make "):
                    check_make(line)
        else:
            assert block.kind not in {"bash", "shell", "py"}, f"{name}:{block.line}: write sh, console or python"


@pytest.mark.parametrize("name", NAMES)
def test_links_and_pictures_are_there(name: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / name).read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s#]+)[^)]*\)|(?:src|href)=\"([^\"#]+)", text)
    local = [link or source for link, source in targets if not re.match(r"[a-z]+:", link or source)]
    missing = [target for target in local if not ((ROOT / name).parent / target).exists()]
    assert not missing


def test_the_readme_names_its_commands() -> None:
    lines = [line for block in blocks((ROOT / "README.md").read_text()) for line in commands(block)]
    assert {"make demo", "make test"} <= {" ".join(line.split()[:2]) for line in lines}
    assert any(line.startswith("gansmith train") for line in lines)


def test_blocks_and_budgets_are_read_as_described() -> None:
    text = "<!-- not run: slow -->\n```sh\ngansmith x\n```\n\n1. a\n"
    text += "   ```console\n   $ gansmith y \\\n       --z\n   out\n   ```\n"
    first, second = blocks(text)
    assert (first.skipped, second.skipped) == (True, False)
    assert [" ".join(line.split()) for line in commands(second)] == ["gansmith y --z"]
    assert small(["train", "fashion-mnist", "--steps", "4000"])[:4] == ["train", "mnist", "--steps", "4"]
    words = small(["train", "--minutes", "2", "--batch-size", "16", "--generator.width", "2"])
    assert words == ["train", "--steps", "2", "--batch-size", "16", "--generator.width", "2"]
    with pytest.raises(AssertionError, match="does not know"):
        check_make("make nothing")
