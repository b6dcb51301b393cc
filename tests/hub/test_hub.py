"""Pushing to and fetching from the hub, against a server that stands in for it and speaks its protocol."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gansmith as gs
from gansmith.cli import main
from gansmith.errors import UserError
from gansmith.evaluation.report import FILE, Report
from gansmith.generator import Generator
from gansmith.recipes import own as registry
from gansmith.runs import fetching
from gansmith.runs.run import PRETRAINED

hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
COMMIT = "c0ffee" + 34 * "0"


class Hub(BaseHTTPRequestHandler):
    """The calls that a push and a fetch make; ``files`` are what repositories hold."""

    files: dict[str, bytes]
    served: list[str]

    def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def say(self, value: Any) -> None:
        self.answer(200, json.dumps(value).encode(), Content_Type="application/json")

    def do_GET(self) -> None:
        match = re.fullmatch(r"/(.+)/resolve/[^/]+/(.+)", self.path)
        key = f"{match[1]}/{match[2]}" if match else ""
        if key in self.files:
            self.served.append(f"{self.command} {match[2] if match else ''}")
            body = self.files[key]
            etag = '"' + hashlib.sha256(body).hexdigest() + '"'
            self.answer(200, body, ETag=etag, X_Repo_Commit=COMMIT, Content_Type="application/octet-stream")
        elif match and any(name.startswith(match[1] + "/") for name in self.files):
            self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
        else:
            self.answer(404, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.headers["Authorization"] != "Bearer hf_right":
            self.answer(401)
        elif self.path == "/api/repos/create":
            self.say({"url": f"http://{self.headers['Host']}/somebody/digits", "name": "somebody/digits"})
        elif self.path == "/api/validate-yaml":
            self.say({"errors": [], "warnings": []})
        elif match := re.fullmatch(r"/api/models/(.+)/preupload/main", self.path):
            files = [each["path"] for each in json.loads(body)["files"]]
            self.say({"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in files]})
        elif match := re.fullmatch(r"/api/models/(.+)/commit/main", self.path):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[f"{match[1]}/{line['value']['path']}"] = base64.b64decode(line["value"]["content"])
            url = f"http://{self.headers['Host']}/{match[1]}/commit/{COMMIT}"
            self.say({"commitUrl": url, "commitOid": COMMIT, "commitMessage": ""})
        else:
            self.answer(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    kind = type("OneHub", (Hub,), {"files": {}, "served": []})
    listening = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listening.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.chdir(tmp_path)
    yield kind
    listening.shutdown()
    listening.server_close()


def test_what_is_pushed_is_read_back_the_same(server: type[Hub], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", "mnist", "somebody/digits"]) == 0
    assert "15 figures on its card" in capsys.readouterr().out
    names = {name.removeprefix("somebody/digits/") for name in server.files}
    assert names == {"README.md", "config.json", "model.safetensors", "evaluation.json"}

    card = hub.ModelCard(server.files["somebody/digits/README.md"].decode())
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    report = Report.read(PRETRAINED / "mnist" / FILE)
    assert results == {figure.key: figure.value for figure in report.figures}
    assert (card.data.library_name, card.data.pipeline_tag) == ("gansmith", "unconditional-image-generation")
    assert 'gs.load("hf://somebody/digits")' in card.text

    there = gs.load("hf://somebody/digits")
    assert np.array_equal(there.sample(4).images, gs.load("mnist").sample(4).images)
    assert "GET README.md" not in server.served
    assert main(["sample", "hf://somebody/digits", "-n", "4", "-o", "x.png"]) == 0


def test_a_recipe_of_ones_own_goes_without_its_file(server: type[Hub], tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text("from gansmith import own\n@own.recipe('mine', base='mlp')\ndef mine(recipe): pass\n")
    gs.own.load(source)
    recipe = gs.recipes.get("mine")
    made = Generator(gs.recipes.generator(recipe), recipe).save_pretrained(tmp_path / "made")
    pushed = gs.push(made, "somebody/own")
    assert str(tmp_path) not in "".join(body.decode("latin-1") for body in server.files.values())
    card = server.files["somebody/own/README.md"].decode()
    assert f"- needs: `mine.py` (SHA-256 {pushed.files[0].sha256[:12]}...)" in card
    assert 'gs.own.load("mine.py")\ngs.load("hf://somebody/own")' in card
    assert gs.load("hf://somebody/own").recipe.name == "mine"
    for table in (registry.OWN, registry.ENTRIES, registry._loaded):  # as for somebody else
        table.clear()  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"it is defined in mine.py; to run that file, name it: `recipes` mine.py"):
        gs.load("hf://somebody/own")
    there = tmp_path / "there"
    there.mkdir()
    source.rename(there / "mine.py")
    gs.own.load(there / "mine.py")
    assert gs.load("hf://somebody/own").recipe.name == "mine"


def test_without_a_network_what_was_fetched_is_used(server: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    server.files |= {f"a/b/{path.name}": path.read_bytes() for path in (PRETRAINED / "mnist").iterdir()}
    first = gs.load("hf://a/b")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert gs.load("hf://a/b").digest == first.digest
    with pytest.raises(UserError, match="hf://a/other: the hub cannot be reached, and nothing is kept of it"):
        gs.load("hf://a/other")


def test_what_is_too_large_is_not_fetched(server: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    server.files |= {f"a/b/{path.name}": path.read_bytes() for path in (PRETRAINED / "mnist").iterdir()}
    monkeypatch.setitem(fetching.LIMITS, "model.safetensors", 1000)
    with pytest.raises(UserError, match=r"hf://a/b: model.safetensors is larger than a generator's"):
        gs.load("hf://a/b")
    assert "GET model.safetensors" not in server.served


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("hf://a/nothing", "no such generator on the hub"),
        ("hf://a/empty", "no generator here"),
        ("hf://../../etc", "is no name on the hub; give user/name"),
        ("hf://a/b/c", "is no name on the hub; give user/name"),
        ("hf://a/b--c", "is no name on the hub; give user/name"),
        ("hf://a/b-", "is no name on the hub; give user/name"),
        ("hf://a/b.git", "is no name on the hub; give user/name"),
    ],
)
def test_what_is_not_there_is_one_line(reference: str, said: str, server: type[Hub]) -> None:
    server.files["a/empty/weights.pkl"] = b"not fetched"
    with pytest.raises(UserError, match=said):
        gs.load(reference)
    assert not any("pkl" in name for name in server.served)


def test_a_stranger_is_told_to_log_in(server: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UserError, match="hf auth login"):
        gs.push("mnist", "somebody/digits")
    assert server.files == {}


def test_a_library_that_was_told_to_stay_offline_is_out_of_reach(
    server: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"somebody/digits: the hub cannot be reached \(.*offline"):
        gs.push("mnist", "somebody/digits")
    assert server.files == {}


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gansmith.runs.fetching.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'gansmith\[hub\]'"):
        gs.load("hf://a/b")
