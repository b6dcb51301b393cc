"""Trainings that a page starts: to the end, over reloads, and over the death of worker and server."""

import io
import json
import os
import signal
import socket
import struct
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from running import Studio, start, wait_for
from websockets.sync.client import connect

import gansmith as gs
from gansmith.runs import Run
from gansmith.studio import choices
from gansmith.studio.choices import of_remedy
from gansmith.studio.desk import Desk


def pictures(count: int = 80, *, ending: str = "png") -> bytes:
    """A zip of small pictures of two classes."""
    archive = io.BytesIO()
    shades = np.random.default_rng(0).integers(0, 255, (count, 28, 28), np.uint8)
    with zipfile.ZipFile(archive, "w") as file:
        for number, shade in enumerate(shades):
            picture = io.BytesIO()
            Image.fromarray(shade).save(picture, "png")
            file.writestr(f"{'ab'[number % 2]}/{number}.{ending}", picture.getvalue())
    return archive.getvalue()


@pytest.fixture(scope="module")
def data(studio: Studio) -> str:
    """The id of a small data set that was uploaded."""
    with studio.client() as client:
        answer = client.post("/api/data/uploads", content=pictures(), headers={"X-Name": "two kinds.zip"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def begin(studio: Studio, data: str, **options: Any) -> str:
    """Starts a training by the API; the name of its run."""
    request = {"data": data, "recipe": "mlp", "options": {"batch_size": 8, **options}}
    with studio.client() as client:
        answer = client.post("/api/trainings", json=request)
        assert answer.status_code == 201, answer.text
        job = answer.json()["id"]
        return str(wait_for(lambda: client.get(f"/api/trainings/{job}").json()["run"]))


def state(studio: Studio, run: str) -> str:
    with studio.client() as client:
        return str(client.get(f"/api/runs/{run}").json()["state"])


def test_a_training_from_the_first_click_to_the_last_picture(page: Any, studio: Studio, data: str) -> None:
    page.goto(f"{studio.root}/train?recipe=mlp")
    page.locator(f"input[name=data][value='{data}']").check()
    page.locator("input[name=recipe][value=mlp]").check()
    page.get_by_role("radio", name="Steps").check()
    page.get_by_role("spinbutton", name="Steps").fill("60")
    page.get_by_text("Takes").wait_for()
    page.locator(".plan:not(.waiting)").wait_for()
    assert "60, of 64 images" in page.locator(".plan").inner_text()
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/train/two-kinds-mlp-001")
    page.reload()
    page.get_by_text("Finished", exact=True).wait_for(timeout=60000)
    slider = page.get_by_role("slider")
    assert "the newest" in slider.get_attribute("aria-valuetext")
    slider.press("Home")
    page.get_by_text("before any training").wait_for()
    assert page.get_by_role("img", name="at step 0").count() == 1
    assert page.get_by_role("link", name="Report").count() == 1
    run = Run(studio.folder / "two-kinds-mlp-001")
    assert run.finished
    assert run.sheets()[-1][0] == 60
    page.get_by_role("button", name="One step").click()
    page.locator(".figure", has_text="of 61").wait_for()
    wait_for(lambda: run.metrics()[-1]["step"] == 61 and state(studio, run.name) == "finished")


def test_a_training_begins_with_the_networks_of_a_run(page: Any, studio: Studio, data: str) -> None:
    shades = np.random.default_rng(0).integers(0, 255, (80, 1, 28, 28), np.uint8)
    run = gs.train(shades, recipe="mlp", out=studio.folder, steps=2, batch_size=8, threads=1)
    page.goto(f"{studio.root}/train/{run.name}")
    page.get_by_role("link", name="Begin another from it").click()
    page.get_by_label("Begin with").wait_for()
    assert page.get_by_label("Begin with").input_value() == run.name
    page.locator(f"input[name=data][value='{data}']").check()
    page.get_by_role("radio", name="Steps").check()
    page.get_by_role("spinbutton", name="Steps").fill("3")
    page.locator(".plan:not(.waiting)", has_text="3, of 8 images").wait_for()
    page.get_by_role("button", name="Start training").click()
    page.get_by_text(f"begun from {run.name}").wait_for()


def test_a_training_that_is_paused_goes_on_where_it_was(studio: Studio, data: str) -> None:
    name = begin(studio, data, steps=100_000)
    wait_for(lambda: Run(studio.folder / name).metrics())
    with studio.client() as client:
        assert client.post(f"/api/runs/{name}/pause").status_code == 200
        wait_for(lambda: state(studio, name) == "paused")
        paused = client.get(f"/api/runs/{name}").json()["step"]
        assert client.post(f"/api/runs/{name}/pause").status_code == 422  # it does not run
        answer = client.post(f"/api/runs/{name}/resume", json={"steps": paused + 5})
        assert answer.status_code == 201
        wait_for(lambda: state(studio, name) == "finished")
        assert Run(studio.folder / name).metrics()[-1]["step"] == paused + 5


def test_clients_that_never_read_or_die_slow_nobody(studio: Studio, data: str) -> None:
    name = begin(studio, data, steps=200)
    address = f"{studio.root.replace('http', 'ws')}/api/runs/{name}/live"
    headers = {"authorization": f"Bearer {studio.token}"}
    with ExitStack() as clients:
        more = {"additional_headers": headers, "close_timeout": 0.1}
        for _ in range(8):
            clients.enter_context(connect(address, max_queue=1, **more))  # never reads
            killed = clients.enter_context(connect(address, **more))
            killed.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no farewell
            killed.socket.close()
        last = 0
        with connect(address, additional_headers=headers) as reader:
            for message in reader:
                news = json.loads(message)
                if news["type"] == "rows" and news["log"] == "metrics" and news["rows"]["step"]:
                    last = news["rows"]["step"][-1]
                if news["type"] == "status" and news["status"]["state"] == "finished" and last == 200:
                    break
        assert last == 200
        with studio.client() as client:
            assert client.get("/api/runs").status_code == 200


def test_a_remedy_trains_the_same_anew_but_for_what_it_changes(studio: Studio, data: str) -> None:
    name = begin(studio, data, steps=3, real_label=0.7, seed=5)
    with studio.client() as client:
        wait_for(lambda: state(studio, name) == "finished")
        again = client.get(f"/api/runs/{name}/request").json()
        changed = of_remedy("--real-label 0.9 --discriminator-optimizer.lr 1e-4")
        request = {**again, "options": {**again["options"], **changed["options"]}}
        job = client.post("/api/trainings", json=request).json()["id"]
        other = wait_for(lambda: client.get(f"/api/trainings/{job}").json()["run"])
        wait_for(lambda: state(studio, other) == "finished")
        found = client.get("/api/compare", params={"run": [name, other]}).json()
    assert {each["field"]: each["values"] for each in found["differences"]} == {
        "real_label": [0.7, 0.9],
        "discriminator_optimizer.lr": [0.001, 0.0001],
    }


def test_a_remedy_is_a_button_that_trains_anew_with_its_flags(page: Any, studio: Studio, data: str) -> None:
    ill = begin(studio, data, steps=40, loss="least-squares", pixels=[0, 1e25])
    wait_for(lambda: state(studio, ill) == "diverged")
    page.goto(f"{studio.root}/train/{ill}")
    button = page.locator(".finding button", has_text="Train anew with")
    remedy = of_remedy(button.locator("code").inner_text())
    button.click()
    page.wait_for_function("ill => !location.pathname.endsWith(ill)", arg=ill)
    with studio.client() as client:
        found = client.get("/api/compare", params={"run": [ill, page.url.rpartition("/")[2]]}).json()
    changed = {each["field"]: each["values"][1] for each in found["differences"]}
    assert changed
    assert changed == remedy["options"]


def test_remedies_are_read_as_the_command_line_reads_them() -> None:
    assert of_remedy("--recipe mlp-bn") == {"recipe": "mlp-bn", "options": {}}
    assert of_remedy("--conditional") == {"conditional": "projection", "options": {}}
    assert of_remedy("--pixels -1 1 --steps 300") == {"options": {"pixels": [-1, 1], "steps": 300}}


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[list[Studio]]:
    """A studio that may be killed; those that were started instead are ended too."""
    running = [start(tmp_path / "runs")]
    yield running
    for each in running:
        each.end()


def test_a_training_outlives_the_server_and_its_own_death_is_said(fragile: list[Studio]) -> None:
    first = fragile[0]
    with first.client() as client:
        data = client.post("/api/data/uploads", content=pictures(), headers={"X-Name": "a.zip"}).json()["id"]
    name = begin(first, data, steps=200_000)
    wait_for(lambda: Run(first.folder / name).metrics())
    with first.client() as client:
        job = next(each["id"] for each in client.get("/api/trainings").json() if each["run"] == name)
    trainer = int(_job(first.folder, job)["pid"])
    assert os.getpgid(trainer) != os.getpgid(first.process.pid)  # Ctrl-C goes to a group
    for worker in _children(first.process.pid):
        os.kill(worker, signal.SIGKILL)
    with first.client() as client:
        answers = [client.get("/api/data/mnist").status_code for _ in range(2)]
    assert answers[-1] == 200  # another worker has taken its place
    assert set(answers) <= {200, 503}
    workers = _children(first.process.pid)
    assert workers
    first.kill()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    again = start(first.folder)
    fragile.append(again)
    assert state(again, name) == "training"
    step = Run(first.folder / name).metrics()[-1]["step"]
    wait_for(lambda: Run(first.folder / name).metrics()[-1]["step"] > step)
    with again.client() as client:
        assert client.get(f"/api/trainings/{job}").json()["alive"]
        os.kill(trainer, signal.SIGKILL)
        wait_for(lambda: state(again, name) == "broken")
        assert "killed" in client.get(f"/api/runs/{name}").json()["error"]


def _job(folder: Path, job: str) -> dict[str, Any]:
    from gansmith.files import read_json

    return read_json(folder / ".studio" / "jobs" / job / "job.json")


def _children(pid: int) -> list[int]:
    """The workers of a server: its children that compute."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and "spawn_main" in (path / "cmdline").read_text():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def bomb() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(20):
            file.writestr(f"{number}.bmp", b"\0" * (4 << 20))
    return archive.getvalue()


def escaping() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../out.png", b"x")
    return archive.getvalue()


def test_a_dropped_zip_is_taken_and_one_that_is_none_is_refused_in_words(page: Any, studio: Studio) -> None:
    page.goto(f"{studio.root}/train?recipe=mlp")
    page.locator("#zip").set_input_files({"name": "no zip.zip", "mimeType": "application/zip", "buffer": b"MZ" * 100})
    page.get_by_text("no-zip.zip: is no zip").wait_for()
    page.locator("#zip").set_input_files({"name": "my own.zip", "mimeType": "application/zip", "buffer": pictures()})
    page.get_by_role("radio", name="my-own.zip").wait_for()
    assert page.get_by_role("radio", name="my-own.zip").is_checked()
    page.get_by_text("80 images, 28×28, grey · 2 classes").wait_for()


def test_folders_of_images_can_be_chosen_and_others_are_not_shown(tmp_path: Path) -> None:
    for name in ("program/src/deep", "images/cats"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "images/cats/1.png").write_bytes(b"x")
    (tmp_path / "program/src/deep/1.py").write_text("")
    (tmp_path / "away").symlink_to("/")
    found = [each.name for each in choices.data(Desk(tmp_path / "runs", (tmp_path,))) if each.kind == "folder"]
    assert found == ["images"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"GIF89a" + b"x" * 100, "no zip"),
        (b"PK\x03\x04" + b"x" * 100, "zip"),
        (escaping(), "out"),
        (bomb(), ""),
        (pictures(6), ""),
        (pictures(20, ending="py"), ""),
    ],
)
def test_hostile_uploads_leave_nothing_behind(studio: Studio, content: bytes, said: str) -> None:
    before = sorted((studio.folder / ".studio" / "data").glob("*"))
    with studio.client() as client:
        answer = client.post("/api/data/uploads", content=content, headers={"X-Name": "../../../etc/passwd"})
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["error"]
    assert sorted((studio.folder / ".studio" / "data").glob("*")) == before
