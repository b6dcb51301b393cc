"""One bad entry spoils no folder or archive, and bombs, odd names and huge pictures do no harm."""

import gzip
import io
import os
import struct
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_samples import idx_bytes, noise, png_bytes
from PIL import Image

from gansmith import data, files
from gansmith.data import build, idx, images, zips

Make = Callable[..., Path]


def refusal(source: Path, **options: Any) -> str:
    with pytest.raises(ValueError, match=r";") as caught:
        data.load(source, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    return str(caught.value)


def loop(folder: Path) -> None:
    (folder / "loop.png").symlink_to("loop.png")


def ring(folder: Path) -> None:
    (folder / "a.png").symlink_to("b.png")
    (folder / "b.png").symlink_to("a.png")


def self_folder(folder: Path) -> None:
    (folder / "again").symlink_to("again")
    (folder / "cat" / "up").symlink_to("..")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")


def endless(folder: Path) -> None:
    (folder / "zero.png").symlink_to("/dev/zero")


def gone(folder: Path) -> None:
    (folder / "gone.jpg").symlink_to("nowhere")


def under_a_file(folder: Path) -> None:
    (folder / "under.png").symlink_to("cat/0.png/x")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("spoil", [loop, ring, self_folder, pipe, endless, gone, under_a_file])
@pytest.mark.parametrize("place", [".", "cat"])
def test_an_entry_that_cannot_be_read_spoils_no_other(
    two_classes: Path, spoil: Callable[[Path], None], place: str
) -> None:
    before = data.load(two_classes)
    names = set(two_classes.rglob("*"))
    spoil(two_classes / place if spoil is not self_folder else two_classes)
    added = {path.name for path in set(two_classes.rglob("*")) - names if path.suffix in (".png", ".jpg")}
    after = data.load(two_classes)
    assert (after.fingerprint, after.classes) == (before.fingerprint, before.classes)
    assert {Path(problem.file).name for problem in after.problems} == (set() if spoil is self_folder else added)
    assert {problem.kind for problem in after.problems} <= {"unreadable"}


@pytest.mark.parametrize("prefix", ["./", "././", "set//", ".\\", "./set/./"])
def test_zip_members_named_from_here(tmp_path: Path, prefix: str) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for i in range(16):
            archive.writestr(f"{prefix}{'cat' if i % 2 else 'dog'}/{i}.png", png_bytes(noise(i, 8, 8)))
        archive.writestr(f"{prefix}cat/.hidden.png", b"x")
    found = data.load(tmp_path / "d.zip")
    assert (len(found), found.classes, found.problems) == (16, ("cat", "dog"), ())


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "npz", "three"])
def test_equal_member_names(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("d.npz" if kind == "npz" else "d.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(9):
            archive.writestr(
                f"{i}.npy" if kind == "npz" else f"{i}.png",
                png_bytes(noise(i, 8, 8)) if kind != "npz" else npy(noise(i, 3)),
            )
        if kind == "npz":
            archive.writestr("images.npy", npy(noise(0, 99, 8, 8)))
            archive.writestr("images.npy", npy(noise(1, 20, 8, 8)))
        for i in range(3 if kind == "three" else 1):
            archive.writestr("./3.png", png_bytes(noise(50 + i, 8, 8)))
    found = data.load(path)
    if kind == "npz":
        assert np.array_equal(found.take(range(20))[:, 0], noise(1, 20, 8, 8))
        return
    assert len(found) == 9
    assert np.array_equal(found.take([3])[0, 0], noise(52 if kind == "three" else 50, 8, 8)), "the last one counts"
    assert {str(each) for each in found.problems} == {
        "3.png: there are several members of this name; the last one is used"
    }


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def plain(kind: str, index: int) -> bytes:
    mask = np.zeros((900, 900, 3), np.uint8)
    mask[100 + index : 300, 100:300] = 255
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM", "TGA"])
def test_plain_pictures_are_no_bomb_and_a_bomb_spoils_no_picture(tmp_path: Path, kind: str) -> None:
    suffix = {"BMP": "bmp", "TIFF": "tif", "PPM": "ppm", "TGA": "tga"}[kind]
    with zipfile.ZipFile(tmp_path / "d.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(9):
            archive.writestr(f"{i}.{suffix}", plain(kind, i))
        archive.writestr("bomb.bmp", bytes(9 << 20))
        archive.writestr("tail.bmp", plain("BMP", 3) + bytes(48 << 20))
    found = data.load(tmp_path / "d.zip", size=16)
    assert len(found) == 9
    assert [(each.file, each.kind, "decompression bomb" in each.what) for each in found.problems] == [
        ("bomb.bmp", "too large", True),
        ("tail.bmp", "too large", True),
    ]


def test_too_much_that_is_plain_is_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(9):
            archive.writestr(f"{i}.bmp", plain("BMP", i))
    monkeypatch.setattr(zips.open_zip, "__defaults__", (10 << 20,))
    assert "decompression bomb" in refusal(tmp_path / "d.zip")


@pytest.mark.parametrize(
    ("file", "shape"),
    [("labels-idx1", (4_000_000,)), ("images-idx3", (3_000, 28, 28)), ("labels-idx2", (3_000, 1_000))],
)
def test_gzipped_idx_bombs_are_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(idx, "MAX_FLAT_BYTES", 1 << 20)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(noise(0, 12, 8, 8)))
    raw = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(int(np.prod(shape)))
    (tmp_path / f"train-{file}-ubyte.gz").write_bytes(gzip.compress(raw))
    source = tmp_path / ("train-images-idx3-ubyte.gz" if "images" in file else "train-images-idx3-ubyte")
    assert "as a decompression bomb does" in refusal(source)


def test_gzipped_labels_are_counted_before_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(noise(0, 12, 8, 8)))
    raw = struct.pack(">4BI", 0, 0, 8, 1, 50_000_000) + bytes(50_000_000)
    cut = gzip.compress(raw, 1)[:100_000]  # reading on would find this
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(cut)
    assert "50,000,000 labels for 12 images" in refusal(tmp_path)


def test_a_header_that_lies_about_images_is_noticed_before_labels(tmp_path: Path) -> None:
    raw = struct.pack(">4B3I", 0, 0, 8, 3, 4_000_000_000, 8, 8)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(raw + bytes(640))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 4_000_000_000) + bytes(99))
    assert "10 of 4,000,000,000 images are there" in refusal(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").unlink()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(raw + bytes(640)))
    assert "as a decompression bomb does" in refusal(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(12, 8, 8), (12, 64), (12, 8, 8, 3)])
def test_arrays_in_fortran_order_cut_short(tmp_path: Path, shape: tuple[int, ...], packed: bool) -> None:
    raw = npy(np.asfortranarray(noise(0, *shape)))
    if packed:
        with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
            archive.writestr("images.npy", raw[:-58])
    else:
        (tmp_path / "f.npy").write_bytes(raw[:-58])
    assert "cut short" in refusal(tmp_path / ("f.npz" if packed else "f.npy"))


ODD = [b"\xff\xfe", b"\x1b]0;pwned\x07", "cat\u202egnp".encode(), b"two\nlines", b"\x9bclear", "\u2066x".encode()]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_printable_wherever_they_show(tmp_path: Path, name: bytes) -> None:
    """As a class, as the folder, as a problem, in notes; and what was printed can be given again."""
    root = os.fsencode(tmp_path) + b"/" + name
    for folder in (name, b"ok"):
        os.makedirs(root + b"/" + folder)  # noqa: PTH103
        for i in range(8):
            with open(root + b"/" + folder + b"/%d.png" % i, "wb") as file:  # noqa: PTH123
                file.write(png_bytes(noise((folder == b"ok") * 9 + i, 8, 8)))
    for extra in (b"/" + name + b".txt", b"/ok/" + name + b".png"):
        with open(root + extra, "wb") as file:  # noqa: PTH123
            file.write(b"x")
    found = data.load(os.fsdecode(root))
    about = data.inspect(os.fsdecode(root))
    assert len(found.classes) == 2
    everything = [*found.classes, found.source, *map(str, found.problems), *about.notes, repr(found)]
    assert all(text.isprintable() for text in everything)
    assert len(found.problems) == 1
    assert data.describe(about).replace("\n", "").isprintable()
    found.source.encode()
    again = data.load(found.source)
    assert (again.fingerprint, again.source) == (found.fingerprint, found.source)


@pytest.mark.parametrize("place", ["member", "note", "class", "npz key", "zip file", "csv column"])
def test_odd_names_in_archives_and_messages(tmp_path: Path, place: str) -> None:
    odd = "\x1b[2J\u202e"
    if place == "npz key":
        np.savez(tmp_path / "d.npz", **{f"images{odd}": noise(0, 9, 8, 8)})
        refusal(tmp_path / "d.npz")
    elif place == "zip file":
        (tmp_path / "h").mkdir()
        (tmp_path / "h" / f"{odd}.zip").write_bytes(b"x")
        refusal(tmp_path / "h")
        refusal(tmp_path / "h" / f"{odd}.zip")
        refusal(tmp_path / f"{odd}.zip")
    elif place == "csv column":
        rows = "\n".join(",".join(map(str, noise(i, 65).tolist())) for i in range(9))
        (tmp_path / "d.csv").write_text(f"{odd}," + ",".join(f"p{i}" for i in range(64)) + "\n" + rows)
        assert all(note.isprintable() for note in data.inspect(tmp_path / "d.csv").notes)
    else:
        with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
            for i in range(20):
                folder = odd if place == "class" and i % 2 else "a"
                archive.writestr(f"{folder}/{i}.png", png_bytes(noise(i, 8, 8)))
            archive.writestr(f"b/{odd}.png" if place == "member" else f"b/{odd}.txt", b"x")
        about = data.inspect(tmp_path / "d.zip")
        assert data.describe(about).replace("\n", "").isprintable()


def test_classes_that_print_alike_stay_two(tmp_path: Path) -> None:
    for folder in (b"\xff", b"\\udcff"):
        os.makedirs(os.fsencode(tmp_path) + b"/d/" + folder)  # noqa: PTH103
        for i in range(8):
            with open(os.fsencode(tmp_path) + b"/d/" + folder + b"/%d.png" % i, "wb") as file:  # noqa: PTH123
                file.write(png_bytes(noise(len(folder) * 9 + i, 8, 8)))
    found = data.load(tmp_path / "d")
    assert len(set(found.classes)) == 2
    assert np.bincount(found.labels).tolist() == [8, 8]  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "L"])
@pytest.mark.parametrize("size", [16, None])
def test_pixels_under_way_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, size: int | None
) -> None:
    """However many threads there are, pictures just under the limit are decoded one after another."""
    for i in range(24):
        pixels = noise(i, 300, 300, 4) if mode == "RGBA" else noise(i, 300, 300)
        Image.fromarray(pixels.astype(np.uint16) * 200 if mode == "I;16" else pixels).save(tmp_path / f"{i}.png")
    monkeypatch.setattr(build, "_threads", lambda: 8)
    monkeypatch.setattr(images, "_PIXELS_AT_ONCE", images.Budget(300 * 300))
    lock, under_way, most = threading.Lock(), [0], [0]
    convert = images._eight_bits

    def watched(image: Image.Image) -> Image.Image:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.005)
        try:
            return convert(image)
        finally:
            with lock:
                under_way[0] -= 1

    monkeypatch.setattr(images, "_eight_bits", watched)
    assert len(data.load(tmp_path, size=size)) == 24
    assert most[0] == 1


def test_decoded_pictures_that_wait_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(40):
        Image.fromarray(noise(i, 64, 64)).save(tmp_path / f"{i}.png")
    monkeypatch.setattr(build, "_threads", lambda: 8)
    monkeypatch.setattr(build, "_WAITING_BYTES", 3 * 64 * 64 * 4)
    monkeypatch.setattr(build, "_TASK_BYTES", 3 * 64 * 64)
    lock, decoded, taken, ahead = threading.Lock(), [0], [0], [0]
    decode, take = build.decode, build._Survey._take

    def counting(*args: Any) -> Any:
        with lock:
            decoded[0] += 1
            ahead[0] = max(ahead[0], decoded[0] - taken[0])
        return decode(*args)

    def taking(self: Any, member: Any, result: Any) -> bool:
        time.sleep(0.002)
        with lock:
            taken[0] += 1
        return take(self, member, result)

    monkeypatch.setattr(build, "decode", counting)
    monkeypatch.setattr(build._Survey, "_take", taking)
    assert len(data.load(tmp_path)) == 40
    assert ahead[0] <= 5


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "I;16", "I", "P with transparency"])
def test_bands_convert_to_the_same_pixels(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    rgba = Image.fromarray(noise(0, 40, 30, 4))
    image = {
        "I;16": Image.fromarray(noise(1, 40, 30).astype(np.uint16) * 200),
        "I": Image.fromarray(noise(1, 40, 30).astype(np.int32) * 200),
        "P with transparency": rgba.convert("RGB").quantize(16),
    }.get(mode) or rgba.convert("RGBA" if mode == "PA" else mode)
    if mode == "PA":
        image = rgba.convert("RGB").quantize(16).convert("PA")
    if mode.startswith("P "):
        image.info["transparency"] = 3
    whole = np.asarray(images._eight_bits(image))
    monkeypatch.setattr(images, "_BAND_PIXELS", 7 * 30)
    assert np.array_equal(np.asarray(images._eight_bits(image)), whole)


def test_equal_files_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for i in range(600):
            archive.writestr(f"{i}.png", png_bytes(noise(i % 20, 8, 8)))
    decoded = []
    decode = build.decode
    monkeypatch.setattr(build, "decode", lambda *args: decoded.append(1) or decode(*args))
    monkeypatch.setattr(build, "_threads", lambda: 2)
    about = data.inspect(tmp_path / "d.zip")
    assert (about.count, about.found, about.sizes) == (20, 600, ((8, 8, 600),))
    assert about.problems[0].what == "has the same pixels as 0.png"
    assert len(decoded) < 300


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors cannot be counted here")
@pytest.mark.parametrize("kind", ["folder", "zip", "npz"])
def test_a_data_set_opened_often_holds_few_descriptors(two_classes: Path, tmp_path: Path, kind: str) -> None:
    source = two_classes
    if kind == "npz":
        source = tmp_path / "d.npz"
        np.savez(source, images=noise(0, 20, 8, 8))
    elif kind == "zip":
        source = tmp_path / "d.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for i in range(20):
                archive.writestr(f"{i}.png", png_bytes(noise(i, 8, 8)))
    held = [data.load(source)]
    before = len(list(Path("/proc/self/fd").iterdir()))
    held += [data.load(source) for _ in range(30)]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    assert len(held) == 31


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no owners here")
@pytest.mark.parametrize("harm", ["open to all", "a link", "a file", "of somebody else"])
def test_without_a_home_the_cache_is_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str) -> None:
    for name in ("GANSMITH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    files._temporary_cache.cache_clear()
    own = tmp_path / f"gansmith-{os.getuid()}"
    assert files.cache_dir() == own
    assert own.stat().st_mode & 0o777 == 0o700
    files._temporary_cache.cache_clear()
    assert files.cache_dir() == own, "used again"
    files._temporary_cache.cache_clear()
    own.rmdir()
    if harm == "open to all":
        own.mkdir()
        own.chmod(0o777)
    elif harm == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        own.symlink_to(tmp_path / "elsewhere")
    elif harm == "a file":
        own.write_text("x")
    else:
        own.mkdir(mode=0o700)
        uid = os.getuid()
        monkeypatch.setattr(files.os, "getuid", lambda: uid + 1)
        own.rename(tmp_path / f"gansmith-{uid + 1}")
    found = files.cache_dir()
    assert found.name not in (f"gansmith-{os.getuid()}", own.name)
    assert found.stat().st_mode & 0o777 == 0o700
    assert files.cache_dir() == found, "the same for the whole process"
    files._temporary_cache.cache_clear()
