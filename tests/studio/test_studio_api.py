"""The API: what it describes is what it does, nothing makes it fail, and a studio that only shows starts nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from running import Studio, start

import gansmith as gs
from gansmith import own
from gansmith.studio import wording
from gansmith.studio.app import build
from gansmith.studio.desk import Desk

HARMLESS = {
    "/api/plan",
    "/api/game",
    "/api/game/{game_id}",
    "/api/quiz",
    "/api/quiz/{code}/players",
    "/api/quiz/{code}/next",
    "/api/quiz/{code}/answers",
    "/api/quiz/{code}/end",
}
"""Routes that change nothing but memory, although they are asked by POST or DELETE."""


def schema() -> Any:
    """The description that the application gives of itself."""
    return build(Desk(Path("nowhere"))).openapi()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio that only shows one small run, of a recipe of one's own."""
    folder = tmp_path_factory.mktemp("shown") / "runs"
    file = folder.with_name("mine.py")
    file.write_text("from gansmith import own\nown.recipe('mine', base='mlp')(lambda recipe: None)\n")
    own.load(file)
    shades = np.random.default_rng(0).integers(0, 255, (64, 1, 28, 28), np.uint8)
    gs.train(shades, recipe="mine", out=folder, steps=4, batch_size=8, threads=1)
    running = start(folder, "--read-only", "--recipes", str(file))
    yield running
    running.end()


def test_a_studio_that_only_shows_starts_nothing(shown: Studio) -> None:
    before = sorted(shown.folder.rglob("*"))
    asked = 0
    with shown.client() as client:
        run = client.get("/api/runs").json()[0]["run"]
        for path, methods in schema()["paths"].items():
            for method in set(methods) - {"get"}:
                if path in HARMLESS or path.startswith("/api/explore/"):
                    continue
                place = path.replace("{run_id}", run).replace("{job_id}", "x")
                assert client.request(method, place, json={}).status_code == 403, (method, path)
                asked += 1
        assert client.get(f"/api/runs/{run}/report").status_code == 200
    assert asked >= 6
    assert sorted(shown.folder.rglob("*")) == before


def test_recipes_of_ones_own_are_listed_and_their_runs_shown(shown: Studio) -> None:
    with shown.client() as client:
        assert "mine" in {each["name"] for each in client.get("/api/recipes").json()}
        run = client.get("/api/runs").json()[0]["run"]
        assert client.get(f"/api/compare?run={run}").json()["runs"][0]["recipe"] == "mine"
        assert client.get(f"/api/runs/{run}/samples").json()["count"] == 24  # which a process of its own makes


@pytest.mark.parametrize("name", ["%2e%2e", ".studio", "last", "a%2fb", "x" * 300, "%00"])
def test_a_run_is_looked_up_and_no_path(shown: Studio, name: str) -> None:
    with shown.client() as client:
        for rest in ("", "/report", "/findings", "/sheets/0.png"):
            assert client.get(f"/api/runs/{name}{rest}").status_code in (404, 422)


def test_no_route_hides_another() -> None:
    """A path with a name in it, such as /runs/{run_id}/{word}, would take what comes after it."""
    places = [(method, path) for path, methods in schema()["paths"].items() for method in methods]
    for number, (method, path) in enumerate(places):
        pattern = re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(path))
        hidden = [other for verb, other in places[number + 1 :] if verb == method and re.fullmatch(pattern, other)]
        assert hidden == [], path


def test_every_answer_says_what_went_wrong(shown: Studio) -> None:
    with shown.client() as client:
        for path in (
            "/api/runs/none",
            "/api/data/none",
            "/api/nothing",
            "/api/compare",
            "/api/runs/none/samples?seed=-1",
        ):
            answer = client.get(path)
            assert 400 <= answer.status_code < 500
            assert len(answer.json()["error"]) > 10


def test_an_error_names_what_the_page_offers() -> None:
    said = wording.on_pages("size 32: train anew without `from_`,\nor leave `steps` out")
    assert said == "size 32: train anew without “Begin with”, or leave steps out"


def test_the_api_fuzzed_never_fails(shown: Studio) -> None:
    loaded = schemathesis.openapi.from_dict(schema())
    operations = [found.ok() for found in loaded.get_all_operations()]
    assert len(operations) > 20
    for operation in operations:
        fuzz(operation, shown)


def fuzz(operation: Any, shown: Studio) -> None:
    """Asks one route for what its description allows, and for what it does not."""

    many = 2 if operation.path in ("/api/plan", "/api/game") else 4  # these take a second each

    @settings(
        max_examples=many, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        if isinstance(case.body, dict) and case.body.get("recipe", "house") == "house":
            case.body["recipe"] = "mlp"  # the quickest
        answer = case.call(base_url=shown.root, headers={"authorization": f"Bearer {shown.token}"}, timeout=60)
        assert answer.status_code < 500 or answer.status_code == 503, (case.as_curl_command(), answer.text)

    ask()
