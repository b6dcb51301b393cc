"""The public surface: what `import gansmith` offers is what `__all__` says, and importing it costs nothing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gansmith

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("name", gansmith.__all__)
def test_everything_promised_is_there_and_documented(name: str) -> None:
    assert getattr(gansmith, name).__doc__


def test_nothing_is_exported_that_is_not_promised() -> None:
    assert set(dir(gansmith)) == {*gansmith.__all__, "__version__"}
    assert gansmith.__all__ == sorted(gansmith.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gansmith.nothing


def test_type_checkers_see_the_same_names() -> None:
    source = Path(gansmith.__file__).read_text()
    listed = source.split("if TYPE_CHECKING:")[1].split("\n\n")[0]
    missing = [name for name in gansmith.__all__ if name not in listed]
    assert not missing


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, gansmith; print({'torch', 'numpy', 'PIL', 'matplotlib', 'pydantic'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout.strip()
        == "set()"
    )


def test_the_version_is_said_once() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", gansmith.__version__)


def test_every_dependency_is_pinned_by_version_alone() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pinned = {line.split("==")[0].lower() for line in lines}
    wanted = PROJECT["dependencies"] + [each for extra in PROJECT["optional-dependencies"].values() for each in extra]
    assert {re.match(r"[\w-]+", requirement)[0].lower() for requirement in wanted} <= pinned
