"""Explore, as programs ask for it and as people see it: departure, label, every slider, film, map, refusals."""

import io
from base64 import b64decode, b64encode
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from running import Studio

import gansmith as gs
from gansmith import latent


@pytest.fixture(scope="module")
def run(studio: Studio) -> str:
    """A generator of two classes after a few steps."""
    random = np.random.default_rng(0)
    shades = random.integers(0, 255, (120, 1, 28, 28), np.uint8)
    shades[::2] //= 4
    data = gs.data.from_arrays(shades, labels=np.arange(120) % 2)
    trained = gs.train(
        data, recipe="mlp", conditional=True, out=studio.folder, steps=12, batch_size=8, threads=1, signals_every=0
    )
    return trained.name


def pixels(png: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("L")).astype(int)


def text(png: bytes) -> str:
    return b64encode(png).decode()


def test_pictures_are_those_of_the_library_and_every_change_changes_them(studio: Studio, run: str) -> None:
    generator = gs.load(studio.folder / run)
    with studio.client() as client:
        listed = {each["id"]: each["kind"] for each in client.get("/api/explore").json()}
        assert listed[run] == "run"
        assert listed["mnist"] == "pretrained"
        root = f"/api/explore/{run}"
        about = client.get(root).json()
        assert len(about["classes"]) == 2
        directions = client.get(f"{root}/directions").json()
        assert directions[0]["name"] in ("slant", "width", "brightness", "thickness")

        def picture(**point: Any) -> np.ndarray[Any, Any]:
            answer = client.post(f"{root}/picture", json={"point": {"index": 5, **point}})
            assert answer.status_code == 200, answer.text
            return pixels(answer.content)

        plain = picture()
        made = generator.sample(48).images
        assert abs(plain - made[5, 0]).max() <= 1  # roundings
        wall = pixels(client.get(f"{root}/wall.png").content)
        np.testing.assert_array_equal(wall[:28, 5 * 28 : 6 * 28], made[5, 0])
        np.testing.assert_array_equal(picture(label=1), plain)
        assert (picture(label=0) != plain).any()
        assert (picture(truncation=0.5) != plain).any()
        for index in range(len(directions)):
            moved = picture(moves=[0.0] * index + [2.0])
            assert (moved != plain).any(), directions[index]
        kept = client.post(f"{root}/latent", json={"point": {"index": 5, "moves": [2.0]}}).json()
        np.testing.assert_array_equal(picture(**kept), picture(moves=[2.0]))


def test_maps_films_and_mixes_are_of_their_points(studio: Studio, run: str) -> None:
    generator = gs.load(studio.folder / run)
    made = generator.sample(8).images[:, 0]
    root = f"/api/explore/{run}"
    with studio.client() as client:
        chart = pixels(client.post(f"{root}/map", json={"point": {"index": 5}}).content)
        np.testing.assert_array_equal(chart[3 * 28 : 4 * 28, 3 * 28 : 4 * 28], made[5])
        points = [{"index": 1}, {"index": 5}]
        film = pixels(client.post(f"{root}/film", json={"points": points, "frames": 16}).content)
        assert film.shape == (2 * 28, 8 * 28)
        assert abs(film[:28, :28] - made[1]).max() <= 1
        assert abs(film[28:, 7 * 28 :] - made[5]).max() <= 1
        animation = client.post(f"{root}/film", json={"points": points, "frames": 16, "suffix": "gif"}).content
        assert Image.open(io.BytesIO(animation)).n_frames == 16
        mixed = client.post(f"{root}/mix", json={"points": [{"index": 1}, {"index": 2}, {"index": 3}]}).json()
        np.testing.assert_allclose(mixed["latent"], latent.mix(generator, "1 - 2 + 3").result.latents[0], rtol=1e-5)
        saved = studio.folder.parent / "point.npz"
        saved.write_bytes(client.post(f"{root}/point", json={"point": {"index": 5}}).content)
        np.testing.assert_array_equal(latent.images(generator, saved)[0, 0], made[5])


def test_a_drawing_becomes_a_point(studio: Studio, run: str) -> None:
    root = f"/api/explore/{run}"
    with studio.client() as client:
        drawing = client.post(f"{root}/picture", json={"point": {"index": 5}}).content
        found = client.post(f"{root}/drawing", content=drawing).json()
        again = client.post(f"{root}/picture", json={"point": {key: found[key] for key in ("latent", "condition")}})
        distance = np.sqrt(((pixels(again.content) - pixels(drawing)) ** 2).mean())
        assert distance == pytest.approx(found["error"], abs=1)
        assert distance < 20


def test_what_is_rubbed_out_is_completed_and_the_rest_stays(studio: Studio, run: str) -> None:
    root = f"/api/explore/{run}"
    unknown = np.zeros((28, 28))
    unknown[14:] = 255
    with studio.client() as client:
        drawing = client.post(f"{root}/picture", json={"point": {"index": 5}}).content
        body = {"picture": text(drawing), "unknown": text(np_png(unknown)), "count": 3}
        found = client.post(f"{root}/completion", json=body).json()
        assert len(found["answers"]) == 3
        for each in found["answers"]:
            np.testing.assert_array_equal(pixels(b64decode(each["picture"]))[:14], pixels(drawing)[:14])
            point = {key: each[key] for key in ("latent", "condition")}
            again = pixels(client.post(f"{root}/picture", json={"point": point}).content)
            distance = np.sqrt(((again - pixels(drawing))[:14] ** 2).mean())
            assert distance == pytest.approx(each["error"], abs=1)
        lower = {pixels(b64decode(each["picture"]))[14:].tobytes() for each in found["answers"]}
        assert len(lower) == 3
        assert (pixels(b64decode(found["target"]))[14:] == 96).all()
        nothing = client.post(f"{root}/completion", json=body | {"unknown": text(np_png(np.full((28, 28), 255)))})
        assert nothing.status_code == 422
        assert "rub out less" in nothing.json()["error"]


def np_png(image: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(file, "png")
    return file.getvalue()


REFUSED = [
    ("picture", {"point": {"latent": [1, 2]}}, "takes (N, "),
    ("picture", {"point": {"label": 7}}, "no class"),
    ("picture", {"point": {"truncation": 3}}, "truncation"),
    ("picture", {"point": {"moves": [99]}}, "moves"),
    ("picture", {"point": {"moves": [0] * 31 + [1]}}, "directions"),
    ("picture", {"point": {"index": -1}}, "index"),
    ("picture", {"point": {}, "scale": 1000}, "scale"),
    ("map", {"point": {}, "across": 31}, "directions"),
    ("film", {"points": [{}]}, "points"),
    ("film", {"points": [{}, {}], "suffix": "exe"}, "suffix"),
]


def test_junk_is_refused_in_words(studio: Studio, run: str) -> None:
    with studio.client() as client:
        for what, body, words in REFUSED:
            answer = client.post(f"/api/explore/{run}/{what}", json=body)
            assert answer.status_code == 422, (what, body, answer.text)
            assert words in answer.json()["error"]
        answer = client.post(f"/api/explore/{run}/drawing", content=b"no picture")
        assert answer.status_code == 422
        assert "not an image" in answer.json()["error"]
        assert client.get("/api/explore/nothing").status_code == 404
        assert client.get("/api/explore/..%5crun").status_code == 404


SHOWN = "() => document.querySelector('canvas.chosen').toDataURL()"


def test_every_slider_of_the_page_changes_the_picture(page: Any, studio: Studio, run: str) -> None:
    page.goto(f"{studio.root}/explore?run={run}")
    page.locator(".samples .pick").nth(4).click()
    page.get_by_text("Departure: image 4 of seed 0").wait_for()
    page.locator(".move label").nth(10).wait_for()

    def changes(act: Any) -> None:
        before = page.evaluate(SHOWN)
        act()
        page.wait_for_function(f"before => ({SHOWN})() !== before", arg=before)

    changes(lambda: page.locator(".samples .pick").nth(3).click())
    for slider in reversed(page.locator(".move input").all()):  # whichever is moved first
        changes(lambda slider=slider: slider.press("Home"))
    page.get_by_role("button", name="Keep this point").click()
    changes(lambda: page.get_by_role("button", name="Back to the departure").click())
    assert page.locator(".move output").all_inner_texts() == ["1.00", *["0.0"] * 10]
    changes(lambda: page.locator(".departure .segmented input").nth(0).check())
    changes(lambda: page.locator(".map").press("ArrowRight"))
    page.get_by_role("button", name="Keep this point").click()
    page.get_by_text("48 frames").wait_for()
    film = "() => document.querySelector('canvas.screen').toDataURL()"
    before = page.evaluate(film)
    page.get_by_label("Between the points").press("End")
    page.wait_for_function(f"before => ({film})() !== before", arg=before)
    page.set_viewport_size({"width": 1280, "height": 1400})
    changes(lambda: page.locator(".samples .pick").nth(8).drag_to(page.locator(".samples .pick").nth(17)))
    page.get_by_text("Departure: between image 8 and image 17").wait_for()
    page.locator(".samples .pick").nth(9).drag_to(page.locator(".shelf .vacant").first)
    page.get_by_label("Depart from point C").wait_for()
    page.get_by_role("button", name="Mix with an image").click()  # as keyboards and fingers do
    changes(lambda: page.locator(".samples .pick").nth(20).click())
    page.get_by_text("Departure: between a mix and image 20").wait_for()
    page.get_by_role("button", name="Take the chosen image").click()
    page.locator(".paper").scroll_into_view_if_needed()
    box = page.locator(".paper").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + 170, box["y"] + 150, steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Complete it").click()
    page.get_by_text("What you left is as it was").wait_for()
    assert page.locator(".answers img").count() == 6
    changes(lambda: page.locator(".answers .pick").nth(2).click())
    with page.expect_download() as kept:
        page.get_by_role("button", name="Save completions").click()
    assert Image.open(io.BytesIO(kept.value.path().read_bytes())).size == (7 * 280 + 6 * 8, 280)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert [(each["id"], each["nodes"][0]["html"]) for each in Axe().run(page).response["violations"]] == []
