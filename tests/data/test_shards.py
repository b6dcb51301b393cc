"""Shards: the same data set as their source, wherever they lie, whatever fits the disk; damage is named."""

import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

import gansmith as gs
from gansmith import data
from gansmith.data import kept_shards, layouts, places, sharding
from gansmith.errors import UserError
from gansmith.files import EXIF, read_tensors

COUNT, ROWS = 96, 40


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 images of 8x8 in 3 classes, and 16 to test with."""
    path = tmp_path_factory.mktemp("source") / "dots.npz"
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT + 16, 8, 8), np.uint8)
    labels = np.arange(COUNT + 16) % 3
    np.savez(path, x_train=images[:COUNT], y_train=labels[:COUNT], x_test=images[COUNT:], y_test=labels[COUNT:])
    return path


@pytest.fixture(scope="module")
def shards(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shards") / "dots"
    index = data.shard(source, out, rows=ROWS)
    assert [shard.count for shard in index.train.shards] == [40, 40, 16]
    return out


@pytest.fixture(autouse=True)
def own_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads what another one kept."""
    monkeypatch.setattr(kept_shards, "folder", lambda: tmp_path / "kept")
    monkeypatch.setattr(places, "_PAUSES", ())


class Ranges(SimpleHTTPRequestHandler):
    """A server of files; with ``known``, it sends parts of them, as services do."""

    known = True
    asked: list[str | None] = []  # noqa: RUF012

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        self.asked.append(wanted and wanted[0])
        if not (self.known and wanted):
            super().do_GET()
            return
        start, end = int(wanted[1]), int(wanted[2])
        part = Path(self.translate_path(self.path)).read_bytes()[start : end + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(kind: partial[Ranges]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def address(shards: Path) -> Iterator[str]:
    pytest.importorskip("aiohttp")
    with serving(partial(Ranges, directory=shards)) as found:
        yield found


def in_memory(shards: Path) -> str:
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    for path in shards.rglob("*.*"):
        files.pipe(f"/dots/{path.relative_to(shards).as_posix()}", path.read_bytes())
    return "memory://dots"


def same(source: Path, place: str | Path, split: data.Split = "train", steps: int = 40) -> None:
    """Everything that a training reads is as it is of the source, in any order."""
    one, other = data.load(source, split=split), data.load(place, split=split)
    assert (one.fingerprint, one.classes, one.shape) == (other.fingerprint, other.classes, other.shape)
    assert one.labels is not None
    assert other.labels is not None
    assert one.labels.tolist() == other.labels.tolist()
    assert one.mean_and_std() == other.mean_and_std()
    batches = [data.Batches(each, 7, seed=3) for each in (one, other)]
    for step in range(steps):  # 40: three times through
        assert np.array_equal(*(each.at(7 * step) for each in batches))
    assert np.array_equal(one.take(np.arange(len(one))), other.take(np.arange(len(other))))


@pytest.mark.parametrize("layout", ["tar", "parquet"])
@pytest.mark.parametrize("gigabytes", ["16", "0"])
def test_shards_are_the_data_they_were_made_of(
    layout: sharding.Layout, gigabytes: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kept_shards.BUDGET, gigabytes)
    monkeypatch.setattr("gansmith.data.shard_store.WHOLE", 16 if gigabytes == "16" else 1)
    monkeypatch.setattr(layouts, "ROW_GROUP", 9)
    data.shard(source, tmp_path / "out", layout=layout, rows=ROWS)
    same(source, tmp_path / "out")
    same(source, tmp_path / "out", "test")
    assert bool(list((tmp_path / "kept").glob("*"))) == (gigabytes != "0")


def test_shards_are_read_from_a_distance(source: Path, shards: Path) -> None:
    same(source, in_memory(shards))


@pytest.mark.parametrize("known", [True, False], ids=["ranges", "whole files alone"])
def test_shards_are_read_from_a_server(
    known: bool, source: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ranges, "known", known)
    monkeypatch.setattr(Ranges, "asked", asked := [])
    monkeypatch.setenv(kept_shards.BUDGET, "0")
    monkeypatch.setattr("gansmith.data.shard_store.WHOLE", 1)
    same(source, address, steps=3)
    assert any(asked)  # one image at a time


class Hub(Ranges):
    """What a hub says of one data set, somebody/dots, whose files are those of a folder."""

    def do_POST(self) -> None:
        wanted = re.findall(r"paths=([^&]+)", self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.say([self.about(name) for name in map(unquote, wanted) if self.file(name).exists()])

    def do_GET(self) -> None:
        tree = self.path.partition("?")[0].partition("/tree/main")[2]
        if "/resolve/" in self.path:
            self.path = "/" + self.path.rpartition("/resolve/main/")[2]
            super().do_GET()
        elif not self.path.startswith("/api/datasets/somebody/dots"):
            self.send_response(401)
            self.send_header("X-Error-Message", "Invalid username or password.")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif "/tree/" in self.path:
            self.say([self.about(path.name) for path in sorted(self.file(tree.strip("/")).iterdir())])
        else:
            self.say({"id": "somebody/dots", "sha": 40 * "0", "siblings": []})

    def file(self, name: str) -> Path:
        return Path(self.directory) / name

    def about(self, name: str) -> dict[str, object]:
        return {"type": "file", "path": name, "size": self.file(name).stat().st_size, "oid": 40 * "0"}

    def say(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub(shards: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the shards on a server that stands in for the hub."""
    pytest.importorskip("huggingface_hub")
    import fsspec
    from huggingface_hub import HfFileSystem

    with serving(partial(Hub, directory=shards)) as address:
        monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": address})
        HfFileSystem.clear_instance_cache()
        yield "hf://datasets/somebody/dots"
    HfFileSystem.clear_instance_cache()


def test_shards_are_read_from_the_hub(source: Path, hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kept_shards.BUDGET, "0")
    monkeypatch.setattr("gansmith.data.shard_store.WHOLE", 1)
    monkeypatch.setattr(Ranges, "asked", asked := [])
    one, other = data.load(source), data.load(hub)
    assert one.fingerprint == other.fingerprint
    some = np.array([5, 90, 41, 41])
    assert np.array_equal(one.take(some), other.take(some))
    assert any(asked)  # one image at a time
    with pytest.raises(UserError, match=r"^hf://datasets/somebody/none"):
        data.load("hf://datasets/somebody/none")


def test_webdataset_can_read_them(shards: Path) -> None:
    import tarfile

    with tarfile.open(shards / "train-000001.tar") as tar:
        names = tar.getnames()
        label = tar.extractfile("000000040.cls")
        assert label is not None
        assert label.read() == b"1"
    assert names[:4] == ["000000040.png", "000000040.cls", "000000041.png", "000000041.cls"]


def test_the_disk_that_is_used_has_a_limit(
    source: Path, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = 40 * 64 + 32
    monkeypatch.setenv(kept_shards.BUDGET, str(1.2 * one / 1e9))
    kept = tmp_path / "kept"
    same(source, shards)
    assert [path.stat().st_size for path in kept.glob("*.pixels")] == [one]
    other = np.random.default_rng(1).integers(0, 256, (40, 8, 8), np.uint8)
    np.savez(tmp_path / "other.npz", other)
    data.shard(tmp_path / "other.npz", tmp_path / "more")
    same_files = set(kept.glob("*.pixels"))
    data.load(tmp_path / "more").take(np.arange(40))  # what is of other data gives way
    assert [path.stat().st_size for path in kept.glob("*.pixels")] == [one]
    assert set(kept.glob("*.pixels")) != same_files
    (left,) = kept.glob("*.pixels")
    left.write_bytes(b"x" * one)  # damaged: read again
    assert np.array_equal(data.load(tmp_path / "more").take(np.arange(40))[:, 0], other)


def copied(shards: Path, to: Path) -> Path:
    for path in shards.rglob("*.*"):
        target = to / path.relative_to(shards)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return to


@pytest.mark.parametrize("singly", [True, False])
def test_a_shard_that_is_missing_torn_or_changed_is_named(
    singly: bool, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gansmith.data.shard_store.WHOLE", 1 if singly else 16)
    place = copied(shards, tmp_path / "copy")
    hurt = place / "train-000001.tar"
    whole = hurt.read_bytes()
    opened = data.load(place)
    some = np.arange(50, 60)
    at = whole.index(b"IDAT", 30_000) + 9
    hurt.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(UserError, match=r"train-000001\.tar: is torn or was changed \(.*\); copy it again$"):
        opened.take(np.arange(40, 80) if singly else some)
    hurt.write_bytes(whole[:1000])
    with pytest.raises(UserError, match=r"train-000001\.tar: is torn or was changed \(.*\); copy it again$"):
        opened.take(some)
    with pytest.raises(UserError, match=r"train-000001\.tar: is torn or was changed \(1,000 of .* bytes\)"):
        data.load(place)
    hurt.unlink()
    for use in (lambda: data.load(place), lambda: opened.take(some)):
        with pytest.raises(UserError, match=r"train-000001\.tar: is missing; restore it$"):
            use()
    assert len(opened.take(np.arange(40))) == 40  # the others serve


def test_an_index_that_lies_is_refused(shards: Path, tmp_path: Path) -> None:
    place = copied(shards, tmp_path / "copy")
    text = (place / "index.json").read_text()
    for old, new in (
        ("train-000001.tar", "../../train-000001.tar"),
        ('"count": 16', '"count": 17'),
        ('"version": 1', '"version": 9'),
        ('"rows": "train-rows.npy"', '"rows": "/etc/passwd"'),
    ):
        assert old in text
        (place / "index.json").write_text(text.replace(old, new))
        with pytest.raises(UserError, match=r"index\.json: "):
            data.load(place)
    (place / "index.json").write_text(text)
    (place / "train-rows.npy").write_bytes(bytes(1700))
    with pytest.raises(UserError, match=r"train-rows\.npy: is missing, torn or was changed"):
        data.load(place)


def test_what_cannot_be_opened_is_said_in_one_line(shards: Path, source: Path, tmp_path: Path) -> None:
    for wrong, words in (
        ("nothing://x/y", "nothing"),
        ("memory://empty", "index.json: is missing"),
        ("http://me:secret@example.org/x", "holds a password"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            data.load(wrong)
        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value)
    with pytest.raises(UserError, match="hold 8x8 images; use `size` 8"):
        data.load(shards, size=16)
    with pytest.raises(UserError, match="holds something else; name a new folder"):
        data.shard(source, shards.parent)
    with pytest.raises(UserError, match="`shard` 0: give 1 to"):
        data.shard(source, tmp_path / "x", rows=0)


def test_writing_that_was_cut_goes_on(
    source: Path, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, made = layouts.encode, []

    def few(image: data.types.Pixels) -> bytes:
        if len(made) == 50:
            raise OSError(28, "No space left on device")
        made.append(1)
        return whole(image)

    monkeypatch.setattr(layouts, "encode", few)
    out = tmp_path / "out"
    with pytest.raises(OSError, match="No space"):
        data.shard(source, out, rows=ROWS)
    assert not (out / "index.json").exists()
    monkeypatch.setattr(layouts, "encode", whole)
    with pytest.raises(UserError, match="holds something else"):
        data.shard(source, out, rows=ROWS + 1)
    first = (out / "train-000000.tar").stat().st_mtime_ns
    data.shard(source, out, rows=ROWS)
    assert (out / "train-000000.tar").stat().st_mtime_ns == first
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted(path.name for path in shards.iterdir())
    for name in names:
        assert (out / name).read_bytes() == (shards / name).read_bytes(), name


def test_training_from_shards_ends_in_the_bytes_of_training_from_the_source(
    source: Path, shards: Path, hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"recipe": "mlp", "batch_size": 16, "size": 8, "threads": 1, "evaluate_every": 0, "signals_every": 0}
    ends = []
    plain = gs.train(source, steps=8, out=tmp_path / "plain", progress=False, **more)
    # cut in the middle of a pass, gone on with from elsewhere, with no room for what is read
    cut = gs.train(shards, steps=4, out=tmp_path / "cut", progress=False, **more)
    monkeypatch.setenv(kept_shards.BUDGET, "0")
    cut = gs.resume(cut.path, source=hub, steps=8, progress=False)
    for run in (plain, cut):
        ends.append(read_tensors(run.checkpoints / "step-000008" / "generator.safetensors"))
    for name, tensor in ends[0].items():
        assert all(tensor.equal(other[name]) for other in ends[1:]), name


def test_the_verb_writes_and_shows_them(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gansmith.cli import main

    out = tmp_path / "out"
    assert main(["data", "shard", str(source), "-o", str(out), "--shard", "40", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["count"] for each in told["train"]["shards"]] == [40, 40, 16]
    assert main(["data", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["count"], told["test_count"]) == ("tar shards", 96, 16)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 16), (1, 64, 40)])
def test_many_pictures_at_once_are_pngs_of_the_same_pixels(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype(np.uint8)
    for image, content in zip(images, layouts.encode_all(images, exif=EXIF), strict=True):
        with Image.open(io.BytesIO(content)) as picture:
            picture.verify()  # its checksums too
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.getexif()[305] == "gansmith"
            assert np.array_equal(np.atleast_3d(np.asarray(picture)).transpose(2, 0, 1), image)
    assert len(layouts.encode_all(images[:0])) == 0
