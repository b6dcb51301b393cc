"""Who may ask the studio, and what its answers let a page do."""

import http.client
from contextlib import closing
from typing import Any

import httpx2 as httpx
import pytest
from running import Studio
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gansmith.errors import UserError
from gansmith.studio.server import serve


def raw(studio: Studio, path: str, **headers: str) -> int:
    """The status of a request whose headers are just these."""
    host, _, port = studio.root.removeprefix("http://").partition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=10)) as line:
        line.putrequest(headers.pop("method", "GET"), path, skip_host=True)
        for name, value in headers.items():
            line.putheader(name.replace("_", "-"), value)
        line.endheaders()
        with line.getresponse() as answer:
            return answer.status


def test_the_token_opens_the_studio_and_nothing_else_does(studio: Studio) -> None:
    with httpx.Client(base_url=studio.root) as stranger:
        assert stranger.get("/api/about").status_code == 401
        assert stranger.get("/").status_code == 401
        assert stranger.get("/?token=wrong").status_code == 401
        assert stranger.get("/api/about", headers={"authorization": "Bearer wrong"}).status_code == 401
        answer = stranger.get(studio.url)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert studio.token not in cookie
        assert stranger.get("/api/about").status_code == 200  # by the cookie


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost:1", ""])
def test_a_name_that_is_not_this_machines_is_refused(studio: Studio, host: str) -> None:
    assert raw(studio, "/api/about", Host=host, Authorization=f"Bearer {studio.token}") == 400


@pytest.mark.parametrize(
    "given", [{"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"Origin": "null"}]
)
def test_another_page_cannot_make_it_do_anything(studio: Studio, given: dict[str, str]) -> None:
    own = studio.root.removeprefix("http://")
    assert raw(studio, "/api/runs", method="POST", Host=own, Authorization=f"Bearer {studio.token}", **given) == 403


def test_sockets_are_guarded_too(studio: Studio) -> None:
    address = studio.root.replace("http", "ws") + "/api/runs/none/live"
    for headers in ({}, {"Authorization": f"Bearer {studio.token}", "Origin": "http://evil.example"}):
        with pytest.raises(InvalidStatus), connect(address, additional_headers=headers, proxy=None):
            pass


def test_pages_can_load_nothing_from_elsewhere(studio: Studio) -> None:
    with studio.client() as client:
        for path in ("/", "/train", "/static/app.js", "/api/about", "/api/nothing"):
            headers = client.get(path).headers
            policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
            assert policy["default-src"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"


def test_large_bodies_are_refused(studio: Studio) -> None:
    with studio.client() as client:
        assert client.post("/api/plan", content=b"x" * (2 << 20)).status_code in (404, 405, 413)
        assert client.get("/static/../app.py").status_code in (404, 200)
        assert "import" not in client.get("/static/%2e%2e/app.py").text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"port": 99999}, "`port` 99999: give 1 to 65535, or 0 for any"),
        ({"port": -1}, "`port` -1: give 1 to 65535, or 0 for any"),
        ({"out": __file__}, "is no folder of runs"),
    ],
)
def test_an_address_or_folder_that_makes_no_sense_is_refused_before_it_opens(asked: dict[str, Any], said: str) -> None:
    """The system takes a port modulo 65,536."""
    with pytest.raises(UserError, match=said):
        serve(**asked, opened=lambda url: pytest.fail(f"opened at {url}"))
