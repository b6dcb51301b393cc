"""Files are written whole or not at all, with the permissions that the umask says, and leave nothing behind."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from gansmith import files


def leftover(path: Path, *, hours: float) -> Path:
    """What a writer of `path` leaves that was killed so long ago."""
    left = path.with_name(f".writing-0123abcd-{path.name}")
    left.mkdir()
    (left / "half").write_text("half")
    os.utime(left, (time.time() - 3600 * hours,) * 2)
    return left


@pytest.mark.parametrize("name", ["folder", "sheet.png", "odd [name]*.png"])
def test_leftovers_of_a_killed_writer_go_after_a_day_and_not_before(name: str, tmp_path: Path) -> None:
    target, other = tmp_path / name, tmp_path / "another"
    running, foreign = leftover(target, hours=23), leftover(other, hours=48)
    files.write_text(target, "new")
    assert running.exists()
    assert foreign.exists()
    os.utime(running, (time.time() - 3600 * 25,) * 2)
    files.write_text(target, "newer")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([foreign.name, name])


def test_a_killed_writer_does_not_stand_in_the_way(tmp_path: Path) -> None:
    leftover(tmp_path / "out", hours=0)
    with files.writing(tmp_path / "out") as fresh:
        fresh.mkdir()
        with files.writing(tmp_path / "out") as second:  # nor do two at once
            second.mkdir()
    assert (tmp_path / "out").is_dir()


def test_an_error_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    for number, full in enumerate((OSError(28, "full"), OSError(28, "full", str(tmp_path / "other")))):
        with pytest.raises(OSError, match="full") as caught, files.writing(tmp_path / "a.png"):
            raise full
        assert caught.value.filename == str(tmp_path / ("a.png", "other")[number])
    with pytest.raises(OSError, match="No such file") as caught, files.writing(tmp_path / "a.png") as fresh:
        fresh.read_bytes()
    assert caught.value.filename == str(tmp_path / "a.png")


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o000])
def test_the_umask_decides_who_may_read(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        files.write_tensors(tmp_path / "x.safetensors", {"x": torch.zeros(2)})
        files.write_json(tmp_path / "x.json", {})
        with files.writing(tmp_path / "folder") as fresh:
            fresh.mkdir()
    finally:
        os.umask(before)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~umask


def test_shapes_are_read_from_the_header(tmp_path: Path) -> None:
    tensors = {"a": torch.zeros(2, 3), "b": torch.tensor(4), "c": torch.zeros(5, dtype=torch.bfloat16)}
    files.write_tensors(tmp_path / "x.safetensors", tensors)
    assert files.read_shapes(tmp_path / "x.safetensors") == {
        "a": ("F32", (2, 3)),
        "b": ("I64", ()),
        "c": ("BF16", (5,)),
    }
    (tmp_path / "x.safetensors").write_bytes((tmp_path / "x.safetensors").read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"x\.safetensors: cannot be read"):
        files.read_shapes(tmp_path / "x.safetensors")
    np.savez(tmp_path / "y.safetensors.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="cannot be read"):
        files.read_shapes(tmp_path / "y.safetensors.npz")
