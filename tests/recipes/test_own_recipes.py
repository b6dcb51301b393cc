"""Recipes of the user's own: registered, loaded, built, checked, trained and found again."""

import importlib
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gansmith as gs
from gansmith import data, own, recipes
from gansmith.cli import main
from gansmith.errors import UserError
from gansmith.recipes import own as registry
from gansmith.training import parts

FILE = '''from pathlib import Path
from torch import nn
from gansmith import own
Path("was-run").touch()
@own.recipe("mine", base="mlp", batch_size=8)
def mine(recipe):
    """two layers"""
    pixels = recipe.channels * recipe.size**2
    image = nn.Unflatten(1, (recipe.channels, recipe.size, recipe.size))
    generator = nn.Sequential(nn.Linear(recipe.noise.size, 16), nn.ReLU(), nn.Linear(16, pixels), nn.Tanh(), image)
    return generator, nn.Sequential(nn.Flatten(), nn.Linear(pixels, 16), nn.ReLU(), nn.Linear(16, 1))
'''
QUICK = ["--threads", "1", "--evaluate-every", "0", "--quiet"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """mine.py and a few digits in the working folder."""
    monkeypatch.chdir(tmp_path)
    supply(tmp_path)
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def supply(folder: Path) -> None:
    digits = data.load("mnist")
    assert digits.labels is not None
    np.savez(folder / "digits.npz", images=digits.take(range(96)), labels=digits.labels[:96])


def few() -> data.Dataset:
    return data.from_arrays(data.load("mnist").take(range(96)), np.arange(96) % 3)


def forget() -> None:
    """As in a new process: nothing is loaded."""
    for table in (registry.OWN, registry.ENTRIES, registry._loaded):
        table.clear()  # type: ignore[attr-defined]
    Path("was-run").unlink(missing_ok=True)


def train(*words: str) -> int:
    return main(["train", "digits.npz", "--recipes", "mine.py", "--recipe", "mine", *QUICK, *words])


def weights(run: str) -> bytes:
    return Path("runs", run, "generator", "model.safetensors").read_bytes()


def test_a_file_is_listed_trained_resumed_sampled_and_explored(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--steps", "6") == 0
    command = [
        sys.executable,
        "-m",
        "gansmith",
        "train",
        "digits.npz",
        "--recipes",
        "mine.py",
        "--recipe",
        "mine",
        *QUICK,
    ]
    process = subprocess.Popen([*command, "--steps", "100000", "--checkpoint-every", "2"], stderr=subprocess.DEVNULL)
    try:
        while not list(Path("runs").glob("digits-mine-002/checkpoints/step-*/manifest.json")):
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    newest = max(Path("runs/digits-mine-002/checkpoints").glob("step-*"))
    steps = str(int(newest.name.removeprefix("step-")) + 3)
    assert main(["train", "--resume", "digits-mine-002", "--recipes", "mine.py", "--steps", steps, *QUICK[:2]]) == 0
    assert train("--steps", steps) == 0
    assert weights("digits-mine-002") == weights("digits-mine-003")
    forget()
    capsys.readouterr()
    for words in (["recipes"], ["recipes", "mine"], ["sample", "last"], ["morph", "last", "--seeds", "1,2"]):
        assert main([*words, "--recipes", "mine.py"]) == 0
    told = capsys.readouterr().out
    assert "two layers" in told
    assert "mine.py" in told
    assert main(["evaluate", "last", "--recipes", "mine.py", "--samples", "50", "--seeds", "1", "--json"]) == 0


def test_a_run_never_runs_the_file_it_names(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--steps", "1") == 0
    forget()
    capsys.readouterr()
    for words in (
        ["sample", "last"],
        ["doctor", "last"],
        ["sample", "runs/last/generator"],
        ["train", "--resume", "last"],
    ):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert f"it is defined in {file}; to run that file, name it: --recipes {file}" in said
        assert said.count("\n") == 1
    assert main(["runs"]) == 0
    assert "mine" in capsys.readouterr().out
    assert repr(gs.Run(Path("runs/digits-mine-001"))).endswith("mine, finished)")
    assert not Path("was-run").exists()
    file.rename("moved.py")
    assert main(["sample", "last"]) == 2
    assert "where it is no longer" in capsys.readouterr().err
    assert main(["sample", "last", "--recipes", "moved.py"]) == 0  # its text is the same
    assert Path("was-run").exists()


def test_a_file_that_changed_since_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--steps", "1") == 0
    forget()
    file.write_text(FILE + "# a comment\n")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for verb, trained in (("sample", "this generator"), ("doctor", "digits-mine-001")):
            assert main([verb, "last", "--recipes", "mine.py"]) == 0
            assert f"warning: {file} changed since {trained} was trained with it" in capsys.readouterr().err
        file.write_text(FILE.replace("16", "17"))
        assert main(["sample", "last", "--recipes", "mine.py"]) == 2
        assert "the weights do not fit recipe mine" in capsys.readouterr().err


def test_a_changed_file_is_run_again_and_an_unchanged_one_is_not(file: Path) -> None:
    assert own.load(file) == ("mine",)
    Path("was-run").unlink()
    assert own.load("mine.py") == ("mine",)
    assert not Path("was-run").exists()
    file.write_text(FILE.replace('"mine", base', '"other", base'))
    assert own.load(file) == ("other",)
    assert "mine" in registry.ENTRIES or "mine" not in recipes.names()


class Deep(nn.Module):
    """A discriminator that is no chain, with batch norm."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(pixels, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.last(self.norm(self.first(images.flatten(1))))
        return answer


class Tied(nn.Module):
    """A generator with weights that are used twice, and a constant that no file holds."""

    def __init__(self, recipe: gs.Recipe) -> None:
        super().__init__()
        self.into = nn.Linear(recipe.noise.size, recipe.noise.size, bias=False)
        self.again = nn.Linear(recipe.noise.size, recipe.noise.size, bias=False)
        self.again.weight = self.into.weight
        self.out = nn.Linear(recipe.noise.size, recipe.channels * recipe.size**2)
        self.constant = torch.full((), 0.5)
        self.shape = (-1, recipe.channels, recipe.size, recipe.size)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.out(self.again(torch.relu(self.into(z)))) * self.constant).reshape(self.shape)


def test_any_modules_are_trained_saved_and_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    @own.recipe("odd", base="house", batch_size=8, noise={"size": 12})
    def odd(recipe: gs.Recipe) -> Any:
        return Tied(recipe), Deep(recipe.channels * recipe.size**2)

    assert odd.kinds == gs.recipes.get("house").kinds
    run = gs.train(few(), recipe=odd, steps=2, threads=1, evaluate_every=0, out=tmp_path)
    assert (run.recipe.kinds, run.recipe.pack, run.recipe.one_pass) == (0, 1, False)
    summary = recipes.summary(run.recipe)
    assert [row.layer for row in summary.generator] == ["Linear", "Linear", "Linear"]
    assert [row.layer for row in summary.discriminator] == ["Linear", "BatchNorm1d", "Linear"]
    read = gs.load(run)
    assert read.sample(4).images.std() > 0
    network = read.network
    assert isinstance(network, Tied)
    assert network.again.weight is network.into.weight
    for asked in ({"kinds": 2}, {"conditional": True}):
        with pytest.raises(UserError, match=r"must be an nn.Sequential that ends in nn.Linear\(..., 1\)"):
            gs.train(few(), recipe=odd, steps=2, out=tmp_path, **asked)


FIXED = """from torch import nn
from gansmith import own
@own.recipe("fixed", base="house", size=16, channels=3, noise={"size": 12}, batch_size=8)
def fixed(recipe):
    generator = nn.Sequential(nn.Linear(12, 768), nn.Sigmoid(), nn.Unflatten(1, (3, 16, 16)))
    return generator, nn.Sequential(nn.Flatten(), nn.Linear(768, 1))
"""


def test_networks_of_one_size_are_listed_and_trained(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(FIXED)
    assert main(["recipes", "fixed", "--recipes", "mine.py"]) == 2
    assert "ends in a sigmoid" in capsys.readouterr().err
    file.write_text(FIXED.replace("Sigmoid", "Tanh"))
    assert main(["recipes", "fixed", "--recipes", "mine.py"]) == 0
    assert "kinds = 0" in capsys.readouterr().out, "a generator of a fixed number of coordinates cannot be told kinds"
    np.savez("colours.npz", images=np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8))
    assert main(["train", "colours.npz", "--recipes", "mine.py", "--recipe", "fixed", *QUICK, "--steps", "1"]) == 0
    file.write_text(FIXED.replace("size=16, channels=3, ", ""))  # now they do not fit the recipe
    capsys.readouterr()
    assert main(["recipes", "--recipes", "mine.py", "--json"]) == 0
    assert {row["recipe"]: row["generator"] for row in json.loads(capsys.readouterr().out)}["fixed"] is None


def test_the_networks_of_the_base_and_other_sizes() -> None:
    @own.recipe("plain", base="mlp")
    def plain(recipe: gs.Recipe) -> None:
        """mlp again"""

    assert recipes.parameters(plain) == recipes.entry("mlp").parameters
    assert recipes.step_gflop(plain) == pytest.approx(recipes.step_gflop(recipes.get("mlp")))
    bigger = plain.override(size=16, channels=3)
    registry.check(bigger)
    assert recipes.generator(bigger)(torch.zeros(2, 100)).shape == (2, 3, 16, 16)
    half = own.recipe("half", base="mlp")(lambda recipe: (nn.Sequential(nn.Linear(recipe.noise.size, 784)), None))
    assert recipes.parameters(half)[1:] == recipes.parameters(plain)[1:]
    assert len(recipes.generator(half)) == 1
    told = plain.override(conditional="projection", classes=10)
    assert recipes.discriminator(told)(torch.zeros(2, 1, 28, 28), torch.tensor([0, 9])).shape == (2, 1)


class Blind(nn.Module):
    """Networks that learn nothing, or are others in training."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.weight = how, nn.Parameter(torch.ones(1))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        answer = self.weight * given.flatten(1)[:, :1]
        if self.how == "flat":
            return answer[:, 0] if self.training else answer
        if self.how == "steps":
            return self.weight * (given.flatten(1)[:, :1] > 0)
        images = answer[:, :, None, None].expand(-1, 1, 28, 28)
        return images.detach() if self.how == "cut" else images


def broken(image: Any = None, logit: Any = None, result: Any = None) -> Callable[[gs.Recipe], Any]:
    """A function of networks, one of which answers this."""

    class Fixed(nn.Module):
        def __init__(self, answer: Any) -> None:
            super().__init__()
            self.answer = answer
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, given: torch.Tensor) -> Any:
            return self.answer

    def build(recipe: gs.Recipe) -> Any:
        shape = (2, recipe.channels, recipe.size, recipe.size)
        pair = (
            Fixed(torch.zeros(shape) if image is None else image),
            Fixed(torch.zeros(2, 1) if logit is None else logit),
        )
        return pair if result is None else result

    return build


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        (
            broken(image=torch.zeros(2, 28, 28)),
            r"makes \(2, 28, 28\) of latents \(2, 100\); .* \(2, 1, 28, 28\)",
        ),
        (broken(logit=torch.zeros(2)), r"discriminator answers \(2,\) of images \(2, 1, 28, 28\); it must be \(2, 1\)"),
        (broken(logit=[1]), "discriminator answers list"),
        (broken(image=torch.zeros(2, 1, 64, 64)), r"it must be \(2, 1, 28, 28\), or `size` 64"),
        (
            lambda recipe: (None, nn.Sequential(nn.Flatten(), nn.Linear(784, 1), nn.Sigmoid())),
            "its discriminator ends in a sigmoid; leave it out",
        ),
        (
            lambda recipe: (nn.Sequential(nn.Linear(100, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))), None),
            r"its generator ends in a sigmoid, .* `pixels` are \(-1.0, 1.0\); end in nn.Tanh\(\)",
        ),
        (broken(result=nn.ReLU()), r"returns ReLU; return \(generator, discriminator\)"),
        (broken(result=(nn.ReLU(), 3)), "two nn.Modules"),
        (lambda recipe: (Blind("cut"), None), "its generator's images: no gradient flows from them to its weights"),
        (lambda recipe: (Blind("whole"), Blind("steps")), "logits: no gradient flows from them to the images"),
        (lambda recipe: (Blind("whole"), Blind("flat")), r"discriminator answers in training \(2,\) of images"),
        (lambda recipe: 1 / 0, "ZeroDivisionError: division by zero"),
        (
            lambda recipe: (nn.Linear(3, 4), nn.Linear(1, 1)),
            r"multiplied .* \(in the generator of latents \(2, 100\)\)",
        ),
    ],
)
def test_networks_that_do_not_fit(networks: Any, said: str, tmp_path: Path) -> None:
    value = own.recipe("wrong", base="mlp")(networks)
    with pytest.raises(UserError, match=said) as caught:
        gs.train(few(), recipe=value, steps=1, out=tmp_path)
    assert str(Path(__file__).name) in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FILE.replace("base=", "bass="), r"mine.py, line 5: a recipe has no bass; did you mean"),
        (FILE.replace('"mlp"', '"mpl"'), "no recipe is called 'mpl'; did you mean mlp"),
        (FILE.replace('"mine"', '"mlp"'), "recipe mlp: comes with gansmith; give yours another name"),
        (FILE.replace('"mine"', '"My Own"'), "give a name of small letters"),
        (FILE + "1 / 0\n", "mine.py, line 12: ZeroDivisionError: division by zero"),
        (FILE + "raise SystemExit\n", "line 12: SystemExit"),
        (FILE + "def (\n", "line 12: SyntaxError"),
        ("x = 1\n", r"registers nothing; decorate a function with @own.recipe\(NAME\)"),
        ("from gansmith import own\nown.recipe('a')(3)\n", "decorate a function"),
    ],
)
def test_files_that_cannot_be_used(file: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(text)
    with pytest.raises(UserError, match=said):
        own.load(file)
    assert not registry.OWN
    assert not registry.ENTRIES
    assert main(["recipes", "--recipes", "mine.py"]) == 2
    err = capsys.readouterr().err
    assert "gansmith/recipes/own.py" not in err, "the traceback is shortened to the file"


def test_the_traceback_is_that_of_the_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("def deeper():\n    return {}['x']\n\ndeeper()\n")
    assert main(["recipes", "--recipes", "mine.py"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in lines if "File" in line] == [
        f'File "{file}", line 4, in <module>',
        f'File "{file}", line 2, in deeper',
    ]
    assert lines[-1] == f"gansmith: {file}, line 2: KeyError: 'x'"


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("x")
    for given in ("missing.py", "text.txt", tmp_path, 3):
        with pytest.raises(UserError, match="`recipes`"):
            own.load(given)  # type: ignore[arg-type]


def test_a_name_of_ones_own_without_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--recipe", "mine"], ["--recipe", "zzz"], ["--loss", "zzz"], ["--augment.own", "zzz"]):
        assert main(["train", "mnist", *words, "--plan"]) == 2
        assert "--recipes FILE" in capsys.readouterr().err


def test_two_files_may_not_define_one_name(file: Path) -> None:
    own.load(file)
    file.with_name("other.py").write_text(FILE)
    with pytest.raises(UserError, match=r"mine.py defines one of this name too; rename one of them"):
        own.load("other.py")


@pytest.fixture
def package(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that an installed package offers, beside one that it lacks."""
    path = file.with_name("package_of_recipes.py")
    path.write_text(FILE.replace('"mine"', '"installed"'))
    about = path.with_name("package_of_recipes-1.0.dist-info")
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: package-of-recipes\nVersion: 1.0\n")
    points = "[gansmith.recipes]\nmine = package_of_recipes\nworse = no_such_module\n"
    (about / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setattr(registry, "_installed", False)
    yield path
    sys.modules.pop("package_of_recipes", None)


def again() -> None:
    """As in a new process, where packages are loaded anew."""
    forget()
    sys.modules.pop("package_of_recipes", None)
    importlib.invalidate_caches()
    registry._installed = False


def test_installed_packages_bring_recipes(package: Path) -> None:
    assert not Path("was-run").exists()
    with pytest.warns(UserWarning, match="package-of-recipes cannot be loaded .ModuleNotFoundError: No module named"):
        assert recipes.get("installed").batch_size == 8
    (from_,) = recipes.get("installed").files
    assert (from_.path, from_.package) == (str(package), "package-of-recipes")


@pytest.mark.filterwarnings("default")
def test_a_package_that_changed_broke_or_is_gone_is_told(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits.npz", "--recipe", "installed", *QUICK, "--steps", "1"]) == 0
    text = package.read_text()
    again()
    package.write_text(text.replace("16", "170"))
    capsys.readouterr()
    assert main(["train", "--resume", "last", "--steps", "2"]) == 2
    said = capsys.readouterr().err
    assert "the package package-of-recipes changed since digits-installed-001 was trained with it" in said
    assert "networks do not fit the run's recipe" in said
    assert gs.Run(Path("runs/digits-installed-001")).state == "finished", "a resume that is refused changes nothing"
    again()
    package.write_text(text + "1 / 0\n")
    assert main(["sample", "last"]) == 2
    said = capsys.readouterr().err
    assert f"cannot be loaded ({package}, line 12: ZeroDivisionError: division by zero)" in said
    assert "installed" not in registry.ENTRIES, "what a package registered before it failed is not known"
    again()
    package.unlink()
    assert main(["sample", "last"]) == 2
    said = capsys.readouterr().err
    assert "it is defined in the package package-of-recipes, which is not installed here" in said
    assert "--recipes" not in said


def test_new_recipe_writes_a_file_that_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    supply(tmp_path)
    assert main(["new-recipe", "my-own"]) == 0
    assert "gansmith train mnist --recipes my_own.py --recipe my-own --minutes 2" in capsys.readouterr().out
    words = ["train", "digits.npz", "--recipes", "my_own.py", "--recipe", "my-own", "--steps", "2", "--batch-size", "8"]
    assert main([*words, *QUICK, "--size", "21"]) == 0
    assert main([*words, *QUICK, "--conditional"]) == 0
    assert "my-own" in parts.LOSSES
    assert main(["new-recipe", "my-own"]) == 2
    assert "is there already" in capsys.readouterr().err
    for words in (["mlp"], ["My Own"], ["other", "-o", "other.txt"], ["other", "-o", "no/folder/x.py"]):
        assert main(["new-recipe", *words]) == 2
