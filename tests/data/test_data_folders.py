"""Image folders and zips: classes, splits, what is skipped, what is refused."""

import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_samples import Array, noise
from hypothesis import given
from hypothesis import strategies as st

from gansmith import data
from gansmith.data import folders, zips

Make = Callable[..., Path]


def refusal(source: Path | str, **options: Any) -> str:
    """The one line with which a source is refused."""
    with pytest.raises(ValueError, match=r".") as caught:
        data.load(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert ";" in message, "says what to do"
    return message


def zip_of(folder: Path, target: Path) -> Path:
    return Path(shutil.make_archive(str(target), "zip", folder))


def test_subfolders_are_classes(two_classes: Path) -> None:
    pets = data.load(two_classes)
    assert (pets.name, pets.shape, pets.classes, len(pets)) == ("pets", (1, 28, 28), ("cat", "dog"), 20)
    assert pets.labels is not None
    assert pets.labels.dtype == np.int64
    assert pets.labels.tolist() == [0] * 8 + [1] * 12
    assert np.array_equal(pets.take([7, 8])[:, 0], [noise(7, 28, 28), noise(8, 28, 28)])
    assert pets.problems == ()
    assert Path(pets.source) == two_classes


def test_flat_folder_has_no_labels(make_folder: Make) -> None:
    flat = data.load(make_folder("Flat Stones", {f"{i}.png": noise(i, 30, 30, 3) for i in range(9)}), size=16)
    assert (flat.name, flat.shape, flat.classes, flat.labels) == ("flat-stones", (3, 16, 16), (), None)
    with pytest.raises(ValueError, match="no labels"):
        data.Batches(flat, 4, 0).labels_at(0)


def test_numbered_classes_keep_their_order(make_folder: Make) -> None:
    folder = make_folder("digits", {f"{i}/a.png": np.full((8, 8), i, np.uint8) for i in range(12)})
    assert data.load(folder).classes == tuple(str(number) for number in range(12))


def test_numbered_files_keep_their_order(make_folder: Make) -> None:
    folder = make_folder("order", {f"{i}.png": np.full((8, 8), i, np.uint8) for i in range(12)})
    assert data.load(folder).take(range(12))[:, 0, 0, 0].tolist() == list(range(12))


def test_train_and_test_folders_are_splits_with_one_numbering(make_folder: Make) -> None:
    files = {f"set/train/{c}/{i}.png": noise(ord(c) * 99 + i, 8, 8) for c in "abc" for i in range(5)}
    files |= {f"set/Test/{c}/{i}.png": noise(ord(c) * 77 + i, 8, 8) for c in "bc" for i in range(6)}
    folder = make_folder("splits", files)
    train, test = data.load(folder), data.load(folder, split="test")
    assert (len(train), len(test), train.classes, test.classes) == (15, 12, ("a", "b", "c"), ("a", "b", "c"))
    assert test.labels is not None
    assert test.labels.tolist() == [1] * 6 + [2] * 6
    assert data.test_count(folder) == 12


def test_a_class_called_train_is_a_class(make_folder: Make) -> None:
    files = {f"{c}/{i}.png": noise(hash(c) % 999 + i, 8, 8) for c in ("train", "tram", "test") for i in range(4)}
    assert data.load(make_folder("vehicles", files)).classes == ("test", "train", "tram")


def test_no_test_split_is_said(two_classes: Path) -> None:
    assert "has no test images" in refusal(two_classes, split="test")
    assert data.test_count(two_classes) is None


def test_mixed_modes_are_rgb_if_one_is_coloured(make_folder: Make) -> None:
    files: dict[str, Array] = {f"{i}.png": noise(i, 12, 12) for i in range(40)}
    grey = data.load(make_folder("grey", {**files, "z.png": np.repeat(noise(99, 12, 12, 1), 3, axis=2)}))
    assert grey.shape == (1, 12, 12)
    colour = noise(98, 12, 12, 3)
    mixed = data.load(make_folder("mixed", {**files, "z.png": colour}))
    assert mixed.shape == (3, 12, 12)
    assert np.array_equal(mixed.take([40])[0], colour.transpose(2, 0, 1))
    assert np.array_equal(mixed.take([3])[0], np.repeat(noise(3, 12, 12)[None], 3, axis=0))
    both = np.concatenate([mixed.take(range(41)).ravel()])
    assert mixed.mean_and_std() == pytest.approx((both.mean() / 255, both.std() / 255))
    assert "in colour: 1 of 41 images" in data.describe(data.inspect(tmp := Path(mixed.source)))
    assert tmp.exists()


def test_size_is_asked_for_when_images_differ(make_folder: Make) -> None:
    files = {f"{i}.png": noise(i, 20, 20) for i in range(9)}
    mixed = make_folder("differ", {**files, "x.png": noise(50, 33, 21)})
    message = refusal(mixed)
    assert "20x20, 21x33" in message
    assert "`size`" in message
    assert data.load(mixed, size=24).shape == (1, 24, 24)
    assert "`size`" in refusal(make_folder("oblong", {f"{i}.png": noise(i, 20, 30) for i in range(9)}))


def test_bad_files_are_named_and_skipped(make_folder: Make) -> None:
    good = {f"a/{i}.png": noise(i, 16, 16) for i in range(9)}
    folder = make_folder("flawed", good)
    whole = (folder / "a/3.png").read_bytes()
    make_folder(
        "flawed",
        {
            "a/text.png": "I am a text",
            "a/cut.png": whole[:100],
            "a/z-copy.png": noise(5, 16, 16),
            "b/copy.png": noise(6, 16, 16),
            "b/own.png": noise(77, 16, 16),
            "b/tiny.png": noise(78, 3, 3),
            "loose.png": noise(79, 16, 16),
            "notes.txt": "passed over",
            ".hidden.png": "not looked at",
        },
    )
    flawed = data.load(folder)
    assert len(flawed) == 10
    assert {(problem.file, problem.kind) for problem in flawed.problems} == {
        ("a/text.png", "not an image"),
        ("a/cut.png", "truncated"),
        ("a/z-copy.png", "duplicate"),
        ("b/copy.png", "duplicate"),
        ("b/tiny.png", "tiny"),
        ("loose.png", "misplaced"),
    }
    assert flawed.labels is not None
    assert flawed.labels.tolist() == [0] * 9 + [1]
    copy = next(problem for problem in flawed.problems if problem.file == "b/copy.png")
    assert copy.what == "has the same pixels as a/6.png, of another class"
    assert data.load(folder).problems == flawed.problems  # also from the cache


def test_refused_when_too_little_is_left(make_folder: Make) -> None:
    folder = make_folder("few", {f"{i}.png": noise(i, 16, 16) for i in range(7)} | {"x.png": "text"})
    message = refusal(folder)
    assert "only 7 of 8 images can be used" in message
    assert "x.png: is not an image" in message
    none = make_folder("none", {"x.png": "text", "y.png": "text too"})
    assert "only 0 of 2 images" in refusal(none)
    inspection = data.inspect(none)
    assert (inspection.count, inspection.found, inspection.usable, inspection.shape) == (0, 2, False, None)


def test_hopeless_paths(make_folder: Make, tmp_path: Path) -> None:
    assert "is empty" in refusal(make_folder("empty", {}))
    assert "no images" in refusal(make_folder("texts", {"a.txt": "x", "b.csv": "y"}))
    assert "stones.npz; give that file" in refusal(make_folder("holder", {"stones.npz": "x"}))
    single = make_folder("single", {"a.png": noise(0, 9, 9)}) / "a.png"
    assert "single image" in refusal(single)
    assert "nothing that can be read" in refusal(make_folder("other", {"a.pdf": "%PDF"}) / "a.pdf")
    assert "did you mean mnist?" in refusal("mnits")
    assert "did you mean stacked-mnist?" in refusal("stacked_mnist")
    assert "one of mnist, fashion-mnist" in refusal("zebra")
    assert "no such file or folder" in refusal(tmp_path / "nowhere" / "at-all")
    assert "empty/" not in refusal(str(tmp_path / "emty"))
    assert str(tmp_path / "empty") in refusal(str(tmp_path / "emty"))
    assert "is empty" in refusal(" ")
    assert "a\\x00b: there is no such" in refusal("a\0b")
    assert "cannot be looked at" in refusal("a" * 5000)
    for bad in (7, 1025, 28.0, True, -3):
        with pytest.raises(ValueError, match="size"):
            data.load("mnist", size=bad)  # type: ignore[arg-type]
    for option in ({"split": "val"}, {"fit": "stretch"}, {"seed": -1}):
        with pytest.raises(ValueError, match="use"):
            data.load("mnist", **option)  # type: ignore[arg-type]


def test_permission_denied(two_classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open, real_scan = Path.open, folders.os.scandir

    def closed_file(self: Path, *args: str, **options: object) -> object:
        if self.name == "3.png":
            raise PermissionError(13, "Permission denied")
        return real_open(self, *args, **options)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", closed_file)
        (problem,) = data.load(two_classes).problems
    assert str(problem) == "cat/3.png: cannot be read (Permission denied)"
    assert problem.kind == "unreadable"

    def close_folder(name: str) -> None:
        def closed(path: Path) -> object:
            if Path(path).name == name:
                raise PermissionError(13, "Permission denied")
            return real_scan(path)

        monkeypatch.setattr(folders.os, "scandir", closed)

    close_folder("cat")
    rest = data.load(two_classes)
    assert [(problem.file, problem.kind) for problem in rest.problems] == [("cat", "unreadable")]
    assert len(rest) == 12
    close_folder("pets")
    assert "Permission denied" in refusal(two_classes)


def test_links_that_loop_are_followed_once(two_classes: Path) -> None:
    (two_classes / "cat" / "again").symlink_to(two_classes)
    (two_classes / "dog" / "gone.png").symlink_to(two_classes / "nothing.png")
    pets = data.load(two_classes)
    assert len(pets) == 20
    assert [(problem.file, problem.kind) for problem in pets.problems] == [("dog/gone.png", "unreadable")]


def test_odd_names_stay_on_one_line(make_folder: Make) -> None:
    files = {f"{i}.png": noise(i, 16, 16) for i in range(8)}
    folder = make_folder("odd", {**files, "bad\nname\x1b.png": "text"})
    (problem,) = data.load(folder).problems
    assert str(problem).startswith("bad\\nname\\x1b.png: ")


def test_zip_is_read_like_its_folder(two_classes: Path, tmp_path: Path) -> None:
    zipped = data.load(zip_of(two_classes.parent / "pets", tmp_path / "packed"))
    folder = data.load(two_classes)
    assert zipped.fingerprint == folder.fingerprint
    assert (zipped.name, zipped.classes) == ("packed", folder.classes)
    assert not list(tmp_path.glob("**/packed/**/*.png"))


def write_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "..\\evil.png", "C:\\evil.png"])
def test_zip_with_escaping_names_is_refused(tmp_path: Path, name: str) -> None:
    assert "points outside the zip" in refusal(write_zip(tmp_path / "evil.zip", {"good.png": b"x", name: b"x"}))


def test_zip_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = write_zip(tmp_path / "bomb.zip", {"a.bmp": bytes(20 << 20)})
    assert bomb.stat().st_size < 50_000
    assert "decompression bomb" in refusal(bomb)
    many = write_zip(tmp_path / "many.zip", {f"{i}.png": b"x" for i in range(50)})
    monkeypatch.setattr(zips, "MAX_MEMBERS", 49)
    assert "50 members" in refusal(many)
    monkeypatch.setattr(zips, "MAX_MEMBERS", 50)
    monkeypatch.setattr(zips, "MAX_TOTAL_BYTES", 49)
    assert "claim to unpack" in refusal(many)


def test_zip_member_over_the_limit_is_skipped(
    two_classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipped = zip_of(two_classes, tmp_path / "packed")
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr("cat/huge.png", noise(0, 1 << 19).tobytes())
    monkeypatch.setattr(zips, "MAX_FILE_BYTES", 1 << 18)
    (problem,) = data.load(zipped).problems
    assert (problem.file, problem.kind) == ("cat/huge.png", "too large")


def test_zip_that_lies_about_its_sizes(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "liar.zip", {"a.png": b"x" * 100}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 20 : directory + 28] = struct.pack("<II", 1 << 30, 1 << 30)
    path.write_bytes(content)
    assert "decompression bomb" in refusal(path)


def test_damaged_and_encrypted_zips(two_classes: Path, tmp_path: Path) -> None:
    zipped = zip_of(two_classes, tmp_path / "packed")
    whole = zipped.read_bytes()
    zipped.write_bytes(whole[: len(whole) // 2])
    assert "not a whole zip" in refusal(zipped)
    zipped.write_bytes(b"I am a text")
    assert "not a whole zip" in refusal(zipped)
    flipped = bytearray(whole)
    start = whole.index(b"cat/3.png") + 200
    flipped[start : start + 4] = b"\0\0\0\0"
    zipped.write_bytes(flipped)
    (problem,) = data.load(zipped).problems
    assert (problem.file, problem.kind) == ("cat/3.png", "unreadable")
    locked = bytearray(whole)
    locked[whole.index(b"PK\x01\x02") + 8] |= 1
    zipped.write_bytes(locked)
    assert "encrypted" in refusal(zipped)
    assert "is empty" in refusal(write_zip(tmp_path / "empty.zip", {}))
    assert "no images" in refusal(write_zip(tmp_path / "texts.zip", {"a.txt": b"x", "__MACOSX/._a.png": b"x"}))


@given(
    st.lists(st.text("ab0/.", min_size=1, max_size=8).map(lambda s: s.strip("/") + ".png"), max_size=12, unique=True)
)
def test_every_image_is_used_or_a_problem(names: list[str]) -> None:
    arrangement = folders.arrange(names)
    members = [member.name for part in arrangement.splits.values() for member in part.members]
    problems = [problem.file for part in arrangement.splits.values() for problem in part.problems]
    assert sorted(members + problems) == sorted(name for name in names if Path(name).suffix)
    for part in arrangement.splits.values():
        assert {member.label for member in part.members} <= (set(range(len(part.classes))) or {-1})
