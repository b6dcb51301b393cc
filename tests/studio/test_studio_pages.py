"""The pages as people see them, in Chromium."""

from typing import Any


def test_the_printed_address_opens_the_workshop(page: Any) -> None:
    assert page.title() == "Train · gansmith studio"
    assert "token" not in page.url
    assert page.locator("nav a[aria-current=page]").inner_text() == "Train"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


def test_the_theme_is_kept(page: Any) -> None:
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="theme").click()
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert before != after
    page.reload()
    page.wait_for_selector("h1")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after
