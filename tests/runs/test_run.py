"""Names in the runs folder: what is no run, no name or no text gets one line that says which file it is."""

from pathlib import Path

import pytest

import gansmith as gs
from gansmith import runs
from gansmith.runs import Run
from gansmith.runs.run import create, point_last


@pytest.mark.parametrize("where", [None, 3, 2.5, True, b"last", ["last"], {"run": "last"}], ids=repr)
def test_what_is_no_name_is_refused_in_a_line(where: object) -> None:
    with pytest.raises(ValueError, match="give a folder, a run's name, or last") as caught:
        gs.load(where)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("where", ["a" * 5000, "a\0b", "", ".", "nosuch", "line\nbreak", "\x1b[2J", "a/" * 3000])
def test_names_of_no_run_are_refused_in_a_line(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for attempt in (gs.load, gs.resume, lambda name: gs.load(Path(name))):
        with pytest.raises(ValueError, match=r"run") as caught:
            attempt(where)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 300


def test_an_unknown_choice_of_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose newest or best"):
        gs.load(Run(tmp_path), which="latest")


@pytest.mark.parametrize("name", ["mnist-mlp-²", "mnist-mlp-①", "mnist-mlp-", "mnist-mlp-x", "mnist-mlp-" + "9" * 200])
def test_odd_names_do_not_count_as_runs(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / "mnist-mlp-004").mkdir()
    assert create(tmp_path, "mnist", "mlp").name == "mnist-mlp-005"


def test_a_folder_called_last_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"last: is a folder"):
        point_last(create(tmp_path, "mnist", "mlp"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", "mnist-mlp-001"]
    assert (tmp_path / "last" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("before", ["nothing", "link", "dangling", "text"])
def test_last_is_the_newest_whatever_it_was(before: str, tmp_path: Path) -> None:
    old, new = create(tmp_path, "mnist", "mlp"), create(tmp_path, "mnist", "mlp")
    (new.path / "run.json").write_text('{"format": 1}')
    if before in ("link", "dangling"):
        (tmp_path / "last").symlink_to(old.name if before == "link" else "gone")
    elif before == "text":
        (tmp_path / "last").write_text(old.name)
    point_last(new)
    assert runs.find("last", out=tmp_path).name == new.name
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_files_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "last").write_bytes(b"mnist\xff")
    with pytest.raises(ValueError, match=r"last: cannot be read \(not text\)"):
        runs.find("last", out=tmp_path)
    (tmp_path / "state.txt").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"state\.txt: cannot be read"):
        _ = Run(tmp_path).state
    (tmp_path / "recipe.json").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"recipe\.json: "):
        _ = Run(tmp_path).recipe
