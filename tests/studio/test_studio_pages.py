"""The pages as people see them, in Chromium: the game, its tour, judging, themes, and what axe finds."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from running import Studio, start

import gansmith as gs


@pytest.fixture(scope="module")
def runs(studio: Studio) -> list[str]:
    """Two trainings of a few steps that differ in a field."""
    shades = np.random.default_rng(0).integers(0, 255, (120, 1, 28, 28), np.uint8)
    made = []
    for more in ({}, {"real_label": 0.8}):
        run = gs.train(
            shades,
            recipe="mlp",
            out=studio.folder,
            steps=6,
            batch_size=8,
            threads=1,
            signals_every=2,
            **more,
        )
        made.append(run.name)
    return made


def test_the_printed_address_opens_the_workshop(page: Any, studio: Studio) -> None:
    page.goto(f"{studio.url}&recipe=mlp")  # which is planned quickly
    page.get_by_role("heading", name="Train").wait_for()
    assert page.title() == "Train · gansmith studio"
    assert "token" not in page.url
    assert page.locator("nav a[aria-current=page]").inner_text() == "Train"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


def test_a_recipe_that_the_address_names_is_in_sight(page: Any, studio: Studio) -> None:
    page.goto(f"{studio.root}/train?recipe=wgan-gp")
    chosen, shown = page.locator(".recipes label:has(:checked)"), page.locator(".choices.recipes")
    chosen.wait_for()
    assert "wgan-gp" in chosen.inner_text()
    inner, outer = chosen.bounding_box(), shown.bounding_box()
    assert outer["y"] <= inner["y"] <= inner["y"] + inner["height"] <= outer["y"] + outer["height"] + 1


def test_the_theme_is_kept(page: Any) -> None:
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="theme").click()
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert before != after
    page.reload()
    page.wait_for_selector("h1")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after


def test_an_empty_folder_says_what_to_do(browser: Any, tmp_path: Path) -> None:
    empty = start(tmp_path / "runs")
    page = browser.new_page()
    page.goto(empty.url.replace("/?", "/judge?"))
    page.get_by_text("No runs yet").wait_for()
    assert page.get_by_role("link", name="Train the first one").get_attribute("href") == "/train"
    page.close()
    empty.end()


def test_the_game_moves_by_hand_and_back_in_time(page: Any, studio: Studio) -> None:
    page.goto(f"{studio.root}/game")
    learned = page.locator("text=/Detective learned [0-9]+ times/")
    learned.wait_for()
    page.get_by_role("button", name="Only the detective").click()
    page.locator("text=/Detective learned 1 times, forger 0 times/").wait_for()
    page.get_by_role("button", name="Only the forger").click()
    page.locator("text=/Detective learned 1 times, forger 1 times/").wait_for()
    page.get_by_role("button", name="One step").click()
    page.locator("text=/Detective learned 2 times, forger 2 times/").wait_for()
    scores = page.locator(".wall.forged figcaption")
    now = scores.all_inner_texts()
    assert len(now) == 24
    assert all(re.fullmatch(r"\d+ %", each) for each in now)
    pixels = (
        "() => [...document.querySelector('.wall.forged canvas').getContext('2d').getImageData(0,0,28,28).data].join()"
    )
    plain = page.evaluate(pixels)
    page.get_by_label("Show where the forger would change them").check()
    page.wait_for_function(f"before => ({pixels})() !== before", arg=plain)
    page.get_by_label("Show where the forger would change them").uncheck()
    page.wait_for_function(f"before => ({pixels})() === before", arg=plain)
    page.get_by_role("slider", name="Slow motion").press("Home")
    page.locator("text=/Detective learned 0 times/").wait_for()
    assert scores.all_inner_texts() != now


def test_the_tour_shows_one_picture_beside_many(page: Any, studio: Studio) -> None:
    page.goto(f"{studio.root}/game/tour")
    page.get_by_text("Two players who know nothing").wait_for()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.get_by_text("Stop 7 of 7").wait_for()
    differ = [
        int(re.findall(r"differ (\d+) %", each)[0])
        for each in page.locator("text=/Two forgeries differ/").all_inner_texts()
    ]
    assert differ[0] > 3 * differ[1]
    assert page.get_by_role("button", name="Next").is_disabled()


def test_runs_are_compared_and_told_apart_by_what_was_set(page: Any, studio: Studio, runs: list[str]) -> None:
    page.goto(f"{studio.root}/judge")
    page.get_by_role("button", name="Steps").click()
    for run in runs:
        page.get_by_label(f"Choose {run}").check()
        assert page.locator("tr.chosen").last.bounding_box()["height"] < 90
    all_runs = page.get_by_role("region", name="Runs")
    assert all_runs.evaluate("box => box.scrollWidth - box.clientWidth") <= 0, "the last column lies outside"
    page.set_viewport_size({"width": 390, "height": 844})
    quality = all_runs.get_by_role("columnheader", name="Quality").bounding_box()
    assert quality["x"] + quality["width"] < 390, "on a phone a run's quality is seen beside its name"
    page.set_viewport_size({"width": 1280, "height": 860})
    page.get_by_role("button", name="Put 2 runs side by side").click()
    page.get_by_role("heading", name="Side by side").wait_for()
    table = page.get_by_role("region", name="Differences of configuration").inner_text()
    assert "real_label" in table
    assert "0.8" in table
    assert "seed" not in table
    page.locator(".pick").nth(2).click()
    page.get_by_text("grey levels away").wait_for()
    assert page.get_by_role("img", name="Training image").count() == 5


VIEWS = ("/judge", "/judge/RUN", "/game", "/game/tour", "/train/RUN", "/train?recipe=mlp")


@pytest.mark.parametrize("look", [("light", 1280, VIEWS), ("dark", 390, VIEWS[1:4])])
def test_axe_finds_nothing_and_nothing_overflows(studio: Studio, browser: Any, runs: list[str], look: Any) -> None:
    scheme, width, views = look
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(studio.url.replace("/?", "/judge?"))
    for view in views:
        page.goto(studio.root + view.replace("RUN", runs[0]))
        page.locator("main:not([aria-busy]) h1").wait_for()
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, view
        found = [(each["id"], each["nodes"][0]["html"]) for each in Axe().run(page).response["violations"]]
        assert found == [], view
    context.close()
