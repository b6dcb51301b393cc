"""A studio in a process of its own, and Chromium to look at it with."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from running import Studio, start

FLAGS = ["--disable-gpu", "--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
"""Chromium's own sandbox cannot be had as root, as containers run tests."""


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio over a folder of runs that is empty at first."""
    running = start(tmp_path_factory.mktemp("studio") / "runs")
    yield running
    running.end()


def browser_path() -> str:
    """Where Chromium is. Skips where there is none, which the CI does not forgive."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.environ.get("CI"):
        pytest.fail("Chromium is missing: make browser")
    pytest.skip("Chromium is missing, and this system does not let it be installed: make browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    path = browser_path()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(studio: Studio, browser: Any) -> Iterator[Any]:
    """A page that came by the printed address; complaints of the browser and requests to elsewhere fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(90_000)  # other work may hold the CPUs
    page = context.new_page()
    complaints = watch(page, studio)
    page.goto(studio.url.replace("/?", "/judge?"))  # it plans nothing
    page.wait_for_selector("h1")
    yield page
    context.close()
    assert complaints == []


def watch(page: Any, studio: Studio) -> list[str]:
    """What goes wrong on a page, as it comes."""
    complaints: list[str] = []
    own = (studio.root, studio.root.replace("http", "ws"), "data:", "blob:")
    refusal = "status of 422"  # which the page says in words
    page.on(
        "console",
        lambda said: (
            complaints.append(said.text) if said.type in ("error", "warning") and refusal not in said.text else 0
        ),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(own) else complaints.append(asked.url))
    return complaints
