"""The quiz: played to the end by keyboard, by two browsers at one table, and an API that keeps its key."""

import io
import json
import sys
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from running import Studio

import gansmith as gs
from gansmith import runs
from gansmith.cli import main

ROUNDS = 3


@pytest.fixture(scope="module")
def code(studio: Studio) -> str:
    """A round without a clock."""
    with studio.client() as client:
        asked = {"pretrained": "mnist", "rounds": ROUNDS, "seconds": None, "seed": 3}
        answer = client.post("/api/quiz", json=asked)
        assert answer.status_code == 201
        assert not {"key", "forged", "seed", "pictures"} & set(answer.json())
        return str(answer.json()["code"])


def accessible(page: Any) -> None:
    """Fails where axe finds something, or the page is wider than the window."""
    assert [(each["id"], each["nodes"][0]["html"]) for each in Axe().run(page).response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def joined(client: Any, code: str, name: str = "") -> dict[str, str]:
    """The headers of a new player."""
    return {"x-player": client.post(f"/api/quiz/{code}/players", json={"name": name}).json()["player"]}


def test_a_game_by_keyboard_to_the_end(page: Any, studio: Studio) -> None:
    page.goto(f"{studio.root}/quiz")
    page.get_by_role("radio", name="mnist").first.focus()
    accessible(page)
    page.keyboard.press("Enter")  # sends the form
    for number in range(1, 21):
        page.get_by_text(f"Picture {number} of 20", exact=True).wait_for()
        page.keyboard.press("r" if number % 2 else "ArrowRight")
        page.locator(".quiz-told", has_text="it is").wait_for()
        page.keyboard.press("ArrowLeft")  # the next one
    head = page.get_by_role("heading", level=1, name="of 20 right")
    head.wait_for()
    right = int(head.inner_text().split()[0])
    assert page.locator(".quiz-strip img.right").count() == right
    assert page.locator(".quiz-strip img").count() == 20
    assert page.get_by_text("p = ").is_visible()
    accessible(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the picture").click()
    assert download.value.path().read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    page.reload()
    page.get_by_role("heading", level=1, name=f"{right} of 20 right").wait_for()


def test_two_browsers_see_one_table(page: Any, studio: Studio, browser: Any, code: str) -> None:
    page.goto(f"{studio.root}/quiz/{code}/table")
    page.get_by_text("Nobody plays yet").wait_for()
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    other = context.new_page()
    other.goto(studio.url.replace("/?", "/quiz?"))
    other.get_by_label("Code").fill(code.lower())
    other.get_by_role("button", name="Join").click()
    other.get_by_label("Your name").fill("<b>Ada</b>")
    other.get_by_role("button", name="Play").click()
    other.get_by_text(f"Picture 1 of {ROUNDS}", exact=True).wait_for()
    name = page.get_by_role("rowheader", name="<b>Ada</b>")  # text, no markup
    name.wait_for()
    for number in range(1, ROUNDS + 1):
        other.get_by_text(f"Picture {number} of {ROUNDS}", exact=True).wait_for()
        other.get_by_role("button", name="Forged").click()
        other.locator(".quiz-told", has_text="it is").wait_for()
        if number == 2:
            accessible(other)
        page.locator("td", has_text="done" if number == ROUNDS else f"{number} of {ROUNDS}").wait_for()
        other.get_by_role("button", name="Next picture").click()
    other.get_by_role("heading", level=1, name=f"of {ROUNDS} right").wait_for()
    page.get_by_text("1 player, 1 finished; ").wait_for()
    accessible(page)
    page.get_by_role("link", name="Play myself").click()
    page.get_by_role("button", name="Play", exact=True).click()
    other.get_by_role("rowheader", name="Player 1").wait_for()
    context.close()


def test_no_answer_leaves_before_it_is_given(studio: Studio, code: str) -> None:
    with studio.client() as client:
        player = joined(client, code)
        for index in range(ROUNDS):
            turn = client.post(f"/api/quiz/{code}/next", headers=player).json()
            table = client.get(f"/api/quiz/{code}").json()
            for said in (turn, table):
                assert "forged" not in json.dumps(said)
                assert "seed" not in said
            if index == 0:
                shown = turn["picture"]
                assert client.post(f"/api/quiz/{code}/next", headers=player).json()["picture"] == shown
                early = client.post(f"/api/quiz/{code}/answers", headers=player, json={"index": 1, "forged": True})
                assert early.status_code == 422
                assert client.get(f"/api/quiz/{code}/result", headers=player).status_code == 422
            said = {"index": index, "forged": True}
            first = client.post(f"/api/quiz/{code}/answers", headers=player, json=said).json()
            assert first["correct"] is first["forged"]
            assert client.post(f"/api/quiz/{code}/answers", headers=player, json=said).status_code == 422  # once alone
        found = client.get(f"/api/quiz/{code}/result", headers=player).json()
        assert found["score"]["right"] == sum(each["forged"] for each in found["pictures"]) == found["right"]
        assert found["score"]["taken_for_real"] == 0


def test_what_comes_after_the_clock_does_not_count(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    from gansmith.studio import rooms

    now = [100.0]
    monkeypatch.setattr(rooms.time, "monotonic", lambda: now[0])
    made = {"generator": "g", "real": "r", "pictures": ("a", "b"), "key": (True, False), "seed": 0}
    played = rooms.Rooms().open(made, 10)
    player = played.join("")
    assert played.show(player)["left"] == 10
    now[0] += 8
    assert played.answer(player, 0, True)["correct"]
    now[0] += 500  # nothing is shown
    assert played.show(player)["left"] == 2
    now[0] += 4
    assert played.answer(player, 1, False) == {
        "name": "Player 1", "answered": 1, "right": 1, "spent": 10.0, "over": True, "late": True
    }  # fmt: skip


def test_rounds_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    from gansmith.errors import UserError
    from gansmith.studio import rooms

    now = [100.0]
    monkeypatch.setattr(rooms.time, "monotonic", lambda: now[0])
    made = {"generator": "g", "real": "r", "pictures": ("a",), "key": (True,), "seed": 0}
    there = rooms.Rooms()
    codes = []
    for _ in range(rooms.MOST_ROUNDS + 1):
        now[0] += 1
        codes.append(there.open(made, None).code)
    assert there.find(codes[0]) is None
    last = there.find(codes[-1])
    assert last is not None
    for _ in range(rooms.MOST_PLAYERS):
        last.join("")
    with pytest.raises(UserError, match="full"):
        last.join("")
    now[0] += rooms.LIFE + 1
    assert there.find(codes[-1]) is None


def test_junk_is_refused_in_words(studio: Studio, code: str) -> None:
    with studio.client() as client:
        player = joined(client, code, "Grace")
        refused = [
            client.post("/api/quiz", json={}),
            client.post("/api/quiz", json={"pretrained": "../mnist"}),
            client.post("/api/quiz", json={"run": "../x"}),
            client.post("/api/quiz", json={"pretrained": "mnist", "rounds": 101}),
            client.post(f"/api/quiz/{code}/players", json={"name": "x" * 25}),
            client.post(f"/api/quiz/{code}/players", json={"name": "a\u202eb"}),
            client.post(f"/api/quiz/{code}/players", json={"name": " grace "}),
            client.post(f"/api/quiz/{code}/answers", headers=player, json={"index": 0, "forged": True}),
            client.post(f"/api/quiz/{code}/answers", headers=player, json={"index": 0, "forged": 7}),
            client.post(f"/api/quiz/{code}/next", headers={"x-player": "none"}),
            client.get("/api/quiz/%2e%2e"),
            client.get("/api/quiz/QQQQ"),
        ]
        for answer in refused:
            assert answer.status_code in (403, 404, 422), answer.url
            assert len(answer.json()["error"]) > 10


def test_a_score_against_a_run_is_kept_as_that_of_the_command_line(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    shades = np.random.default_rng(0).integers(0, 255, (120, 1, 28, 28), np.uint8)
    run = gs.train(shades, recipe="mlp", out=studio.folder, steps=2, batch_size=8, threads=1, signals_every=0)
    with studio.client() as client:
        asked = {"run": run.name, "rounds": ROUNDS, "seconds": None, "seed": 3}
        code = client.post("/api/quiz", json=asked).json()["code"]
        own = joined(client, code, "Ada")
        for index in range(ROUNDS):
            client.post(f"/api/quiz/{code}/next", headers=own)
            client.post(f"/api/quiz/{code}/answers", json={"index": index, "forged": True}, headers=own)
        for _ in range(2):  # kept once
            score = client.get(f"/api/quiz/{code}/result", headers=own).json()["score"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("f\n" * ROUNDS))
    assert main(["quiz", str(run.path), "--rounds", str(ROUNDS), "--seed", "3", "--player", "Ada", "--json"]) == 0
    browser, terminal = runs.rows(run.path / "quiz.jsonl")
    assert {**browser, "time": ""} == {**terminal, "time": ""}
    assert browser["right"] == score["right"]
