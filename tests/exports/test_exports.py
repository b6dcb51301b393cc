"""What leaves the workshop makes the images that `sample` makes: in onnxruntime, in torch.export, and in Chromium."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gansmith as gs
from gansmith import data, exports, recipes
from gansmith.cli import main
from gansmith.errors import UserError
from gansmith.exports import kernel, layers, page
from gansmith.generator import Generator, snapshot
from gansmith.latent.vectors import steady
from helpers import ARTICLES

WEB = Path(page.__file__).parent / "web"


def untrained(name: str) -> Generator:
    """A narrow generator of a recipe, with weights and averages that are no defaults; of house, labels x kinds."""
    told = {"house": {"conditional": "auxiliary", "one_pass": False, "classes": 3, "kinds": 4}, "acgan": {"classes": 3}}
    recipe = recipes.get(name).override({"generator.width": 0.125, **told.get(name, {})})
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = recipes.generator(recipe)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr, operator]
                layer.running_var.uniform_(0.5, 2)  # type: ignore[union-attr, operator]
        for parameter in network.parameters():
            parameter.data.add_(0.05 * torch.randn_like(parameter))
    made = steady(snapshot(network, recipe, settle_on=256))
    made.classes = ["a", "b<", "c"][: recipe.classes]
    return made


@pytest.mark.parametrize("name", ["house", *ARTICLES])
def test_onnx_makes_the_same_images_at_any_batch_size(name: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    generator = untrained(name)
    made = gs.export(generator, tmp_path / "g.onnx")
    assert made.to == "onnx"
    assert made.difference is not None
    assert made.difference < 0.01
    session = onnxruntime.InferenceSession(made.path, providers=["CPUExecutionProvider"])
    wanted, black, white = generator.sample(64, seed=7), *generator.recipe.pixels
    for rows in (slice(0, 64), slice(3, 4)):
        given: dict[str, Any] = {"z": wanted.latents[rows]}
        if wanted.told is not None:
            given["label"] = wanted.told[rows]
        (images,) = session.run(["images"], given)
        levels = ((images - black) * 255 / (white - black)).clip(0, 255)  # deconv's tanh goes below its black
        assert np.abs(levels - wanted.images[rows]).max() < 0.51  # rounding alone
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["input z"])["distribution"] == generator.recipe.noise.distribution
    assert json.loads(facts["output images"])["white"] == white
    if name == "house":
        label = json.loads(facts["input label"])
        assert (label["most"], label["classes"], label["kinds"]) == (11, ["a", "b<", "c"], 4)


def test_a_program_is_loaded_by_pytorch_alone(tmp_path: Path) -> None:
    generator = untrained("house")
    made = gs.export(generator, tmp_path / "g.pt2")
    extra = {"gansmith.json": ""}
    program = torch.export.load(made.path, extra_files=extra).module()
    wanted = generator.sample(5, seed=7)
    assert wanted.told is not None
    images = program(torch.from_numpy(wanted.latents), torch.from_numpy(wanted.told)).numpy()
    assert np.abs((images + 1) * 127.5 - wanted.images).max() < 0.51
    assert json.loads(extra["gansmith.json"])["generator"] == generator.digest


@pytest.mark.parametrize("name", ["g.pt2", "g.html", "g"])
def test_a_disk_that_is_full_is_an_error_that_names_the_file(name: str, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    generator = untrained("mlp")
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            gs.export(generator, tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value.filename).startswith(str(tmp_path / name))


def test_a_folder_is_what_load_reads(tmp_path: Path) -> None:
    generator = untrained("mlp")
    made = gs.export(generator, tmp_path / "g")
    assert (made.to, made.difference) == ("folder", None)
    assert gs.load(made.path).digest == generator.digest
    again = gs.export(made.path, tmp_path / "named")  # by what `load` takes
    assert gs.load(again.path).digest == generator.digest
    with pytest.raises(UserError, match="in the way"):
        gs.export(generator, tmp_path / "g")


@pytest.mark.parametrize(
    ("to", "path", "said"),
    [
        ("onnx", "x.html", "ends in .onnx"),
        (None, "x.pt", "use .onnx, .pt2, .html"),
        ("torchscript", "x.pt", "choose folder, onnx"),
        ("web", "nowhere/x.html", "no folder"),
    ],
)
def test_a_name_of_another_form_is_refused(to: str | None, path: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        exports.target(to, tmp_path / path, "g")


def test_the_form_and_the_name_follow_from_each_other() -> None:
    assert exports.target(None, Path("a.html"), "g") == ("web", Path("a.html"))
    assert exports.target("program", None, "g") == ("program", Path("g.pt2"))
    assert exports.target(None, None, "g") == ("folder", Path("g-generator"))


def test_what_is_missing_or_unknown_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"does not know the layer GELU; export it to onnx"):
        layers.program(nn.Sequential(nn.Linear(4, 4), nn.GELU()))
    with pytest.raises(UserError, match="stride 1"):
        layers.program(nn.Sequential(nn.Conv2d(1, 1, 3, stride=2)))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'gansmith\[onnx\]'"):
        gs.export(untrained("mlp"), tmp_path / "x.onnx")


def test_weights_that_float16_would_spoil_stay_float32() -> None:
    generator = untrained("mlp")
    model, difference = page.engine_model(generator)
    assert (model["dtype"], difference <= page.ROUNDED) == ("float16", True)
    for parameter in generator.network.parameters():
        parameter.data *= 1e6  # beyond float16
    model, difference = page.engine_model(generator)
    assert (model["dtype"], difference) == ("float32", 0.0)


browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield found
        found.close()


ENGINE = """([model, seed, count, ways]) => {
  const made = ways.map((plain) => {
    Gansmith.plain = plain
    const g = Gansmith(model), at = [...Array(count).keys()]
    const z = at.map((i) => g.latent(seed, i)), label = at.map((i) => g.label(i, null))
    const one = [...g.images([z[count - 1]], model.conditions ? [label[count - 1]] : null)]
    const images = [...g.images(z, model.conditions ? label : null)]
    return { simd: g.simd, z: z.map((each) => [...each]), label, images, one }
  })
  return made
}"""


@browser
def test_the_engine_makes_the_images_of_sample_for_every_recipe(chromium: Any) -> None:
    tab = chromium.new_page()
    tab.add_script_tag(path=WEB / "engine.js")
    for name in recipes.BUILT_IN:
        generator, count = untrained(name), 9  # more than a batch
        wanted = generator.sample(count, seed=2**40 + 3)
        model, _ = page.engine_model(generator)
        ways = [False, True] if name in ("house", "r3gan", "mlp") else [False]
        for plain, made in zip(ways, tab.evaluate(ENGINE, [model, 2**40 + 3, count, ways]), strict=True):
            assert made["simd"] != plain
            assert np.array_equal(np.float32(made["z"]), wanted.latents), name
            assert wanted.told is None or made["label"] == wanted.told.tolist()
            shape = (count, *wanted.images.shape[2:], generator.recipe.channels)
            images = np.array(made["images"]).reshape(shape).transpose(0, 3, 1, 2)
            assert np.abs(images - wanted.images.astype(int)).max() <= 2, name
            assert made["one"] == images[-1].transpose(1, 2, 0).flatten().tolist()
    tab.close()


def test_the_kernel_is_small() -> None:
    assert kernel.module()[:8] == b"\0asm\1\0\0\0"
    assert len(kernel.module()) < 1000


@browser
def test_the_page_works_from_a_file_without_a_network(chromium: Any, tmp_path: Path) -> None:
    generator = untrained("house")
    real = data.load("mnist", split="test")
    made = gs.export(generator, tmp_path / "g.html", real=real, title="<b>Digits")
    context = chromium.new_context(viewport={"width": 390, "height": 800}, offline=True)
    tab, said, asked = context.new_page(), [], []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(made.path.as_uri())
    tab.wait_for_selector("html[data-ready]")
    assert (said, [url for url in asked if not url.startswith("blob:")]) == ([], [made.path.as_uri()])
    assert tab.inner_text("h1") == "<b>Digits"
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    tab.focus("#wall button")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    large = "document.getElementById('large').getContext('2d').getImageData(0, 0, 28, 28)"
    shown = f"[...{large}.data].filter((_, i) => i % 4 === 0)"
    first = np.array(tab.evaluate(shown)).reshape(28, 28)
    assert np.abs(first - generator.sample(2).images[1, 0].astype(int)).max() <= 2
    assert tab.get_attribute("#large", "aria-label") == "The chosen image: image 1 of seed 0: b<"
    tab.locator("#sliders input").first.fill("3")
    assert np.abs(np.array(tab.evaluate(shown)).reshape(28, 28) - first).max() > 2
    tab.click("#labels button:has-text('c')")
    assert tab.inner_text("#where") == "Image 1 of seed 0: c"
    before = tab.evaluate("document.getElementById('between').toDataURL()")
    tab.click("#play")
    tab.wait_for_function("was => document.getElementById('between').toDataURL() !== was", arg=before)
    tab.click("#play")
    for _ in range(10):
        tab.click("#real")
    assert "of 10 right" in tab.inner_text("#round")
    assert "CC BY-SA 3.0" in tab.inner_text("#quiz")
    made_by_api = tab.evaluate("[...generate(gansmith.latent(0, 5), gansmith.label(5, null)).data.slice(0, 4)]")
    assert made_by_api[3] == 255
    nameless = "[...document.querySelectorAll('button, input, select, canvas:not(button canvas):not(li canvas)')]"
    named = "(e) => e.textContent.trim() || e.getAttribute('aria-label') || (e.labels && e.labels.length)"
    assert tab.evaluate(f"{nameless}.filter((e) => !({named})(e)).map((e) => e.outerHTML)") == []
    context.close()


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    untrained("mlp").save_pretrained(tmp_path / "g")
    assert main(["export", str(tmp_path / "g"), "-o", str(tmp_path / "page.html"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["to"], found["quiz"], found["weights"]) == ("web", False, "float16")  # nobody knows its data
    assert found["difference"] < 0.5
    assert found["bytes"] == (tmp_path / "page.html").stat().st_size


def test_ctrl_c_is_no_fault_of_the_exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which makes an error of its own of what ends it."""
    pytest.importorskip("onnxruntime")

    def stopped(*given: Any, **asked: Any) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise RuntimeError("Please file an issue") from interrupt

    monkeypatch.setattr(torch.onnx, "export", stopped)
    assert main(["export", "mnist", "--to", "onnx", "-o", str(tmp_path / "x.onnx")]) == 130
    assert not list(tmp_path.iterdir())
