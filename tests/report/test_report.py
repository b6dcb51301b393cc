"""The report: all of a run in one file that needs nothing else, whatever is missing, whatever the names contain."""

import base64
import hashlib
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gansmith import render
from gansmith.evaluation.report import Figure, Protocol, Report, Share, Subject
from gansmith.report import contents, diagnosis
from gansmith.report import page as pages
from gansmith.report.contents import gather
from gansmith.report.page import write_report

pytestmark = pytest.mark.painted

STEPS = [0, 100, 200, 300]
METRICS = {
    "discriminator_loss": 0.6,
    "generator_loss": 0.9,
    "discriminator_accuracy": 0.7,
    "generator_accuracy": 0.3,
    "pixel_mean": 0.13,
    "pixel_std": 0.31,
}


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)


def rows(path: Path, values: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything that runs have."""
    folder = tmp_path_factory.mktemp("home") / "runs" / "mnist-mlp-001"
    for name in ("samples", "generator", "checkpoints"):
        (folder / name).mkdir(parents=True)
    settings = {"format": 1, "name": folder.name, "seed": 7, "steps": 300, "minutes": None, "animation": "samples.webp"}
    (folder / "run.json").write_text(json.dumps(settings))
    (folder / "recipe.json").write_text(json.dumps({"name": "mlp", "batch_size": 64, "noise": {"size": 100}}))
    data = {"name": "mnist", "source": str(folder), "count": 60000, "shape": [1, 28, 28], "classes": list(range(1000))}
    (folder / "data.json").write_text(json.dumps(data))
    environment = {"gansmith": "0.1.0", "device": "cpu", "precision": "fp32", "threads": 2, "why": {"device": "no GPU"}}
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "state.txt").write_text("finished\n")
    rows(folder / "metrics.jsonl", [{"step": step, "images": 64 * step, **METRICS} for step in STEPS])
    rows(folder / "timing.jsonl", [{"step": 300, "seconds": 75.2, "images_per_second": 255.0}])
    sheets = [render.sheet(images(64, seed=step), scale=1) for step in STEPS]
    for step, sheet in zip(STEPS, sheets, strict=True):
        sheet.save(folder / "samples" / f"step-{step:06d}.png")
    render.animation(sheets, folder / "samples.webp")
    for name in ("sheet", "real-and-generated", "quiz", "quiz-key", "losses", "accuracies", "pixels"):
        render.sheet(images(40, seed=len(name))).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(finished, tmp_path / "runs" / finished.name))


def evaluated(
    run: Path, *, name: str = "run", figure: str = "FD", classes: Sequence[str] = (), note: str = "a note"
) -> None:
    """Leaves an evaluation in a run's folder."""
    Report(
        subject=Subject(name=name, kind="run", step=300),
        protocol=Protocol(
            encoder="mnist@1",
            data="mnist",
            against="mnist test",
            fingerprint="f" * 64,
            real=100,
            generated=100,
            seeds=(0,),
            sets=3,
            gansmith="0.1.0",
        ),
        figures=(Figure(key="fd", name=figure, better="lower", value=25.0, values=(25.0,), floor=0.5, spread=0.1),),
        classes=tuple(Share(name=each, real=0.5, generated=0.25) for each in classes),
        notes=(note,),
        variance=50.0,
    ).save(run / "evaluation.json")


class Page(HTMLParser):
    """The elements of a page: (tag, attributes, the text right after it, the tags around it)."""

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text("utf-8")
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.text: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(self.source)
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), list(self.open)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def titles(self) -> list[str]:
        return self.text.get("h2", [])


def test_a_finished_run_shows_all_of_it(finished: Path) -> None:
    path = write_report(finished)
    assert path == finished / "report.html"
    page = Page(path)
    assert page.titles() == [
        "Samples",
        "From noise",
        "Real beside generated",
        "Can you tell?",
        "How training went",
        "Go on",
        "Record",
    ]
    assert page.text["h1"] == ["mnist-mlp-001"]
    facts = dict(zip(page.text["dt"], page.text["dd"], strict=True))
    assert facts == {
        "quality": "not measured yet",
        "training": "Too early to say.",
        "data": "mnist, 60,000 images of 28 x 28",
        "recipe": "mlp",
        "steps": "300",
        "images seen": "19,200 in batches of 64",
        "seed": "7",
        "device": "cpu",
        "precision": "fp32",
        "threads": "2",
        "training time": "75 s, 255 images/s",
    }
    assert len(page.all("img")) == 1 + 4 + 1 + 1 + 2 + 3
    assert "noise.size" in page.text["th"]
    assert "why.device" in page.text["th"]
    assert dict(zip(page.text["th"], page.text["td"], strict=True))["minutes"] == "none"
    assert "(1,000 in all)" in page.source


def test_the_page_asks_nothing_of_the_network(finished: Path) -> None:
    page = Page(write_report(finished))
    for tag, attributes, _ in page.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert (attributes.get(name) or "#").startswith(("data:", "#")), f"<{tag} {name}> leaves the file"
        assert not [name for name in attributes if name.startswith("on") or name == "style"], "inline code or style"
    assert not re.search(r"https?://|url\(|@import", page.source)
    anchors = {attributes.get("id") for _, attributes, _ in page.elements}
    assert {attributes["href"] for attributes in page.all("a")} <= {f"#{anchor}" for anchor in anchors}


def test_the_policy_lets_run_only_what_is_on_the_page(finished: Path) -> None:
    page = Page(write_report(finished))
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    for tag in ("style", "script"):
        (content,) = page.text[tag]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_every_picture_says_what_it_shows_and_how_large_it_is(finished: Path) -> None:
    page = Page(write_report(finished))
    for image in page.all("img"):
        assert len(image.get("alt") or "") > 15
        assert int(image["width"] or 0) > 0
        assert int(image["height"] or 0) > 0
    alts = " ".join(image["alt"] or "" for image in page.all("img"))
    assert "At step 300: discriminator loss 0.6, generator loss 0.9." in alts
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels)), "a heading is skipped"


def test_the_key_of_the_quiz_is_hidden(finished: Path) -> None:
    page = Page(write_report(finished))
    (around,) = [
        around for tag, attributes, around in page.elements if tag == "img" and "outlined" in (attributes["alt"] or "")
    ]
    assert "details" in around
    assert all("open" not in attributes for attributes in page.all("details"))


def test_the_same_run_gives_the_same_bytes_and_leaves_nothing_beside(run: Path) -> None:
    before = {path.name for path in run.iterdir()}
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    assert {path.name for path in run.iterdir()} == before | {"report.html"}


def test_no_path_of_the_machine_is_told(run: Path) -> None:
    source = write_report(run).read_text()
    assert str(run.parent.parent) not in source
    assert "/tmp" not in re.sub(r"base64,[^\"]+", "", source)


@pytest.mark.parametrize(
    ("state", "command", "note"),
    [
        ("finished", "gansmith train --resume runs/mnist-mlp-001 --steps 600", ""),
        ("interrupted", "gansmith train --resume runs/mnist-mlp-001", "interrupted at step 300 of 900"),
        ("unfinished", "gansmith train --resume runs/mnist-mlp-001", "it is at step 300 of 900"),
        ("diverged", "gansmith train --resume runs/mnist-mlp-001", "diverged after step 300 of 900"),
    ],
)
def test_the_commands_go_on_from_where_the_run_is(run: Path, state: str, command: str, note: str) -> None:
    settings = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(settings | {"steps": 900}))
    (run / "state.txt").write_text(state)
    page = Page(write_report(run))
    assert page.text["code"] == [
        command,
        "gansmith sample runs/mnist-mlp-001 -n 64 --seed 1 -o more.png",
        "gansmith evaluate runs/mnist-mlp-001",
        'import gansmith as gs\n\ngs.load("runs/mnist-mlp-001").sample(64, seed=1).save("more.png")',
    ]
    assert note in page.source
    assert ('class="state"' in page.source) == (state != "finished")


HOSTILE = {
    "markup": '<script>alert("x")</script>&amp;\'"><img src=http://x>',
    "template": "{{ 7 * 7 }}{% include 'run.html' %}",
    "terminal escape": "a\x1b[31mred\x07",
    "right to left": "abc\u202etxt.exe",
}


@pytest.mark.parametrize("evil", HOSTILE.values(), ids=HOSTILE)
def test_names_cannot_break_out_of_the_page(run: Path, evil: str) -> None:
    for name in ("recipe", "data", "environment", "run"):
        values = json.loads((run / f"{name}.json").read_text())
        changes = {"name": evil, evil: [evil], "device": evil, "gansmith": evil}
        (run / f"{name}.json").write_text(json.dumps(values | changes))
    evaluated(run, name=evil, figure=evil, classes=[evil], note=evil)
    strange = run.with_name(f"a & b <i> $(x){evil}".replace("/", ""))
    run.rename(strange)
    page = Page(write_report(strange))
    assert len(page.all("script")) == 1
    assert all((image["src"] or "").startswith("data:") for image in page.all("img"))
    assert page.text["h1"][0].startswith("a & b <i> $(x)")
    assert any("gansmith train --resume 'runs/a & b <i> $(x)" in text for text in page.text["code"])
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page.source)
    shown = "".join(text for texts in page.text.values() for text in texts)
    assert evil.encode("unicode_escape").decode() in shown or evil in shown
    assert "{{ 7 * 7 }}" in shown or "{{" not in evil


def test_a_command_can_be_pasted_into_a_shell(run: Path) -> None:
    strange = run.with_name("a & b; $(touch x) it's")
    run.rename(strange)
    command = next(iter(gather(strange).commands.values()))
    assert shlex.split(command) == ["gansmith", "train", "--resume", "runs/a & b; $(touch x) it's", "--steps", "600"]


PIECES = [
    "recipe.json",
    "data.json",
    "environment.json",
    "run.json",
    "metrics.jsonl",
    "timing.jsonl",
    "samples",
    "samples.webp",
    "sheet.png",
    "real-and-generated.png",
    "quiz.png",
    "quiz-key.png",
    "losses.png",
    "state.txt",
    "checkpoints",
    "generator",
]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("how", ["missing", "torn"])
def test_a_missing_or_torn_piece_is_left_out(run: Path, piece: str, how: str) -> None:
    path = run / piece
    if path.is_dir():
        shutil.rmtree(path)
    elif how == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: min(20, path.stat().st_size // 2)])
    page = Page(write_report(run))
    assert len(page.titles()) >= 6
    assert "None" not in page.source


def test_an_empty_folder_gives_an_empty_report(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path))
    assert page.titles() == ["Samples"]
    assert not page.all("img")


def test_an_unfinished_run_shows_its_newest_sheet(run: Path) -> None:
    for path in run.glob("*.png"):
        path.unlink()
    (run / "state.txt").unlink()
    page = Page(write_report(run))
    assert page.all("img")[0]["alt"] == "Sheet of 64 images that the generator made at step 300"
    assert page.titles() == ["Samples", "From noise", "Go on", "Record"]


def test_many_large_sheets_are_thinned_out_but_first_and_last_stay(run: Path) -> None:
    sheet = render.sheet(np.random.default_rng(0).integers(0, 256, (64, 3, 28, 28), dtype=np.uint8))
    sheet.save(run / "samples" / "step-000000.png")
    for step in range(10, 400, 10):
        shutil.copy(run / "samples" / "step-000000.png", run / "samples" / f"step-{step:06d}.png")
    page = Page(write_report(run))
    told = [text for text in page.text["figcaption"] if text.startswith("step ")]
    assert told[0] == "step 0 (untrained)"
    assert told[-1] == "step 390"
    assert 2 <= len(told) <= contents.SLIDES
    assert len(page.source) < 3_000_000


def test_sheets_in_any_number_are_evenly_chosen(run: Path) -> None:
    for step in range(10, 1001, 10):
        shutil.copy(run / "samples" / "step-000000.png", run / "samples" / f"step-{step:06d}.png")
    told = [text for text in Page(write_report(run)).text["figcaption"] if text.startswith("step ")]
    steps = [int(re.sub(r"\D", "", text)) for text in told]
    assert len(steps) == contents.SLIDES
    assert (steps[0], steps[-1]) == (0, 1000)
    assert set(np.diff(steps)) <= {80, 90, 100}


def test_the_headline_says_how_good_the_images_are_and_how_training_went(run: Path) -> None:
    curve = {"metric": "FD-mnist", "samples": 100, "against": "mnist test", "real": 100, "fingerprint": "f"}
    (run / "quality.json").write_text(json.dumps(curve | {"floor": 0.5, "spread": 0.01, "variance": 50.0}))
    rows(run / "quality.jsonl", [{"step": 100, "fd": 9.0}, {"step": 300, "fd": 5.0}])
    assert gather(run).verdicts == {
        "quality": "far from real: FD-mnist 5 at step 300, where as many real images have 0.5",
        "training": "Too early to say.",
    }
    evaluated(run)
    assert gather(run).verdicts["quality"] == (
        "very far from real: FD 25 at step 300, where as many real images have 0.5"
    )
    page = Page(write_report(run))
    header = [text for text in page.text["dd"] if "real images" in text]
    assert header[0] == gather(run).verdicts["quality"]


def test_another_page_needs_only_a_template_and_values() -> None:
    page = pages.render("base.html", title="a <b>", sections=[("x", "X & Y")], version="1")
    assert "<title>a &lt;b&gt; - gansmith</title>" in page
    assert '<a href="#x">X &amp; Y</a>' in page


def test_a_damaged_log_leaves_out_the_diagnosis_and_a_bug_is_not_hidden(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in (b"\xff\xfe\n", b'{"step": "x"}\n', b'{"step": 1, "discriminator_loss": []}\n'):
        for name in ("metrics", "signals", "quality", "timing"):
            (run / f"{name}.jsonl").write_bytes(content)
        with pytest.warns(UserWarning, match="damaged lines are left out"):
            assert gather(run).diagnosis is None

    def broken(*arguments: Any, **keywords: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(diagnosis, "examine", broken)
    with pytest.warns(UserWarning, match="damaged lines"), pytest.raises(KeyError, match="a bug"):
        write_report(run)


def test_an_animation_too_large_for_the_page_is_named_instead(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "ANIMATION_BYTES", 100)
    page = Page(write_report(run))
    assert "samples.webp" in page.text["code"]
    assert not [image for image in page.all("img") if (image["alt"] or "").startswith("Animation")]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser")
def test_in_a_browser_the_sheets_have_a_slider(run: Path, tmp_path: Path) -> None:
    path = write_report(run)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    asked = [*command, "--virtual-time-budget=2000", "--dump-dom", path.as_uri()]
    (tmp_path / "dom.html").write_bytes(subprocess.run(asked, capture_output=True, check=True, timeout=120).stdout)
    page = Page(tmp_path / "dom.html")
    (slider,) = page.all("input")
    assert (slider["type"], slider["max"], slider["aria-valuetext"]) == ("range", "3", "step 300")
    assert page.text["button"] == ["Play", *["Copy"] * 4]
    assert sum("hidden" in figure for figure in page.all("figure")) == 3
