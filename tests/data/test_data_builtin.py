"""MNIST from the package, Fashion-MNIST from wherever it is, and what is derived from MNIST."""

import gzip
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from data_samples import idx_bytes, noise

from gansmith import data
from gansmith.data import builtin, derived

STEM = "t10k-labels-idx1-ubyte"


@pytest.mark.usefixtures("shared_cache")
def test_mnist_is_the_official_set() -> None:
    train = data.load("mnist")
    assert (len(train), train.shape, train.classes, train.name) == (60_000, (1, 28, 28), tuple("0123456789"), "mnist")
    assert train.labels is not None
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    header = idx_bytes(np.zeros((0, 28, 28), np.uint8))[:4] + bytes.fromhex("0000ea60 0000001c 0000001c")
    pixels = train.take(range(60_000))
    sums = builtin.SHA256["mnist"]
    assert hashlib.sha256(header + pixels.tobytes()).hexdigest() == sums["train-images-idx3-ubyte"]
    assert train.mean_and_std() == pytest.approx((0.13066, 0.30811), abs=1e-5)
    assert train.mean_and_std() == pytest.approx((pixels.mean() / 255, pixels.std() / 255), abs=1e-12)
    test = data.load("mnist", split="test")
    assert len(test) == data.test_count("mnist") == 10_000
    assert test.fingerprint != train.fingerprint


@pytest.mark.usefixtures("shared_cache")
def test_mnist_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.load("mnist")
    monkeypatch.setattr(builtin, "_image_blocks", lambda *_: pytest.fail("its file is decoded again"))
    assert np.array_equal(data.load("mnist").take([5, 59_999]), first.take([5, 59_999]))
    with pytest.raises(pytest.fail.Exception, match="decoded again"):  # at a size that was not asked for before
        data.load("mnist", size=9)


@pytest.mark.usefixtures("shared_cache")
def test_mnist_at_another_size() -> None:
    small = data.load("mnist", split="test", size=14)
    full = data.load("mnist", split="test").take(range(50)).reshape(50, 14, 2, 14, 2).mean(axis=(2, 4))
    assert small.shape == (1, 14, 14)
    assert np.abs(small.take(range(50))[:, 0] - full).mean() < 12


def test_altered_mnist_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in builtin.PACKAGED.glob("t10k*.gz"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = bytearray(gzip.decompress((tmp_path / f"{STEM}.gz").read_bytes()))
    content[100] ^= 1
    (tmp_path / f"{STEM}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setattr(builtin, "PACKAGED", tmp_path)
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte\.gz: is not the official file"):
        data.load("mnist", split="test")
    (tmp_path / f"{STEM}.gz").write_bytes(gzip.compress(content)[:200])
    with pytest.raises(ValueError, match="cut short"):
        data.load("mnist", split="test")


def test_licence_lies_beside_mnist() -> None:
    text = (builtin.PACKAGED / "LICENSE").read_text()
    for word in ("LeCun", "Cortes", "Burges", "CC BY-SA 3.0", "https://creativecommons.org/licenses/by-sa/3.0/"):
        assert word in text


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def mirror(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """A mirror on this machine; what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer(self)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sends(content: bytes, claimed: int | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) if claimed is None else claimed))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


RAW = idx_bytes(noise(0, 500))
SUM = hashlib.sha256(RAW).hexdigest()


def test_download_is_checked_and_kept(fresh_cache: Path, tmp_path: Path) -> None:
    with mirror(sends(gzip.compress(RAW))) as (url, asked):
        for _ in range(2):
            path = builtin.find_fashion(STEM, SUM, mirror=url, debian=tmp_path)
        assert asked == [f"/{STEM}.gz"]
    assert path == fresh_cache / "fashion-mnist" / f"{STEM}.gz"
    assert gzip.decompress(path.read_bytes()) == RAW


def stalls(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x")
    handler.wfile.flush()
    time.sleep(0.6)


def refuses(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


def garbles(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"not HTTP at all\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (sends(gzip.compress(RAW[:-1] + b"x")), "checksum is wrong"),
        (sends(b"<html>a login page</html>"), "checksum is wrong"),
        (sends(gzip.compress(RAW)[:200], claimed=len(gzip.compress(RAW))), "stopped after 200 of"),
        (stalls, "timed out"),
        (refuses, "404"),
        (garbles, "cannot be fetched"),
    ],
)
def test_bad_downloads_end_in_one_line(
    answer: Answer, words: str, fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtin, "DOWNLOAD_TIMEOUT", 0.3)
    with mirror(answer) as (url, _), pytest.raises(ValueError, match=words) as caught:
        builtin.find_fashion(STEM, SUM, mirror=url, debian=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert "apt install dataset-fashion-mnist" in message
    assert str(fresh_cache / "fashion-mnist") in message
    assert list((fresh_cache / "fashion-mnist").iterdir()) == []


def test_endless_and_slow_downloads_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "_MAX_DOWNLOAD", 100)
    with mirror(sends(bytes(5000))) as (url, _), pytest.raises(ValueError, match="too much or too slowly"):
        builtin.find_fashion(STEM, SUM, mirror=url, debian=tmp_path)
    monkeypatch.setattr(builtin, "_MAX_DOWNLOAD", 10_000)
    monkeypatch.setattr(builtin, "DOWNLOAD_SECONDS", -1.0)
    with mirror(sends(bytes(5000))) as (url, _), pytest.raises(ValueError, match="too much or too slowly"):
        builtin.find_fashion(STEM, SUM, mirror=url, debian=tmp_path)


def test_the_cache_comes_before_debian_and_debian_before_the_mirror(fresh_cache: Path, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9/"
    debian = tmp_path / "debian"
    debian.mkdir()
    with pytest.raises(ValueError, match="Connection refused"):
        builtin.find_fashion(STEM, SUM, mirror=nowhere, debian=debian)
    (debian / f"{STEM}.gz").write_bytes(gzip.compress(RAW))
    assert builtin.find_fashion(STEM, SUM, mirror=nowhere, debian=debian).parent == debian
    kept = fresh_cache / "fashion-mnist" / f"{STEM}.gz"
    kept.write_bytes(gzip.compress(RAW + b"x"))
    assert builtin.find_fashion(STEM, SUM, mirror=nowhere, debian=debian).parent == debian
    kept.write_bytes(gzip.compress(RAW))
    assert builtin.find_fashion(STEM, SUM, mirror=nowhere, debian=debian) == kept


def test_fashion_mnist_without_a_network_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(builtin, "MIRROR", "http://127.0.0.1:9/")
    monkeypatch.setattr(builtin, "DEBIAN", tmp_path / "none")
    with pytest.raises(ValueError, match="apt install dataset-fashion-mnist") as caught:
        data.load("fashion-mnist")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not builtin.DEBIAN.exists(), reason="needs Debian's package dataset-fashion-mnist")
@pytest.mark.usefixtures("shared_cache")
def test_fashion_mnist_from_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    fashion = data.load("fashion-mnist", split="test")
    assert (len(fashion), fashion.shape, fashion.classes[9]) == (10_000, (1, 28, 28), "Ankle boot")
    assert np.bincount(fashion.labels if fashion.labels is not None else []).tolist() == [1000] * 10
    monkeypatch.setattr(builtin, "DEBIAN", Path("/nowhere"))  # once decoded, the files are needed no more
    assert data.load("fashion-mnist", split="test").fingerprint == fashion.fingerprint


@pytest.mark.usefixtures("shared_cache")
def test_stacked_mnist_is_three_digits() -> None:
    stacked, mnist = data.load("stacked-mnist"), data.load("mnist")
    assert (len(stacked), stacked.shape, len(stacked.classes)) == (128_000, (3, 28, 28), 1000)
    assert (stacked.classes[0], stacked.classes[42], stacked.classes[-1]) == ("000", "042", "999")
    assert stacked.labels is not None
    assert mnist.labels is not None
    digits = {mnist.take([i]).tobytes(): int(label) for i, label in enumerate(mnist.labels[:60_000])}
    for index, image in zip((0, 5, 127_999), stacked.take([0, 5, 127_999]), strict=True):
        read = "".join(str(digits[channel.tobytes()]) for channel in image)
        assert stacked.classes[stacked.labels[index]] == read
    counts = np.bincount(stacked.labels, minlength=1000)
    assert counts.min() > 60  # 128 expected in each of the 1,000 classes
    assert counts.max() < 260
    assert len(data.load("stacked-mnist", split="test")) == data.test_count("stacked-mnist") == 26_000
    assert data.load("stacked-mnist", size=14, split="test").shape == (3, 14, 14)


@pytest.mark.usefixtures("shared_cache")
def test_colour_mnist_can_be_read_in_every_channel() -> None:
    colour, mnist = data.load("colour-mnist"), data.load("mnist")
    assert (len(colour), colour.shape, colour.classes) == (60_000, (3, 28, 28), mnist.classes)
    images, digits = colour.take(range(200)).astype(int), mnist.take(range(200))
    ink = np.broadcast_to(digits > 200, images.shape)
    for image, where in zip(images, ink, strict=True):
        for channel, inked in zip(image, where, strict=True):
            assert abs(channel[inked].mean() - channel[0, 0]) > 0.25 * 255
    corners = images[:, :, 0, 0]
    assert corners.min() < 20
    assert corners.max() > 235
    assert len(np.unique(corners, axis=0)) > 190


def test_colour_mnist_inverts_its_background() -> None:
    blank = data.from_arrays(np.zeros((40, 1, 28, 28), np.uint8), [0] * 40)
    inked = data.from_arrays(np.full((40, 1, 28, 28), 255, np.uint8), [0] * 40)
    ground = derived.derive("colour-mnist", blank, 0).take(range(40)).astype(int)
    inverse = derived.derive("colour-mnist", inked, 0).take(range(40)).astype(int)
    assert np.abs(ground + inverse - 255).max() <= 1
    assert np.abs(np.diff(ground, axis=2)).max() <= 5  # smooth


@pytest.mark.usefixtures("shared_cache")
@pytest.mark.parametrize("name", ["colour-mnist", "stacked-mnist"])
def test_an_index_of_a_derived_set_is_one_image(name: str) -> None:
    derived_set, again, other = data.load(name), data.load(name, seed=0), data.load(name, seed=1)
    together = derived_set.take([7, 100, 7, 31_000])
    assert np.array_equal(together[0], together[2])
    assert np.array_equal(together[3], derived_set.take([31_000])[0])
    assert np.array_equal(again.take([100]), together[1:2])
    assert not np.array_equal(other.take([100]), together[1:2])
    assert derived_set.fingerprint == again.fingerprint != other.fingerprint
    mean, std = derived_set.mean_and_std()
    pixels = derived_set.take(np.random.default_rng(5).permutation(len(derived_set))[:10_000])
    assert (mean, std) == pytest.approx((pixels.mean() / 255, pixels.std() / 255), abs=0.01)


def test_random_bits_are_pinned() -> None:
    """Runs that were begun with a derived set must find the same images in every later version."""
    bits = derived.random_bits(3, np.array([0, 1, 10**9]), 2)
    assert bits.dtype == np.uint64
    assert bits.tolist() == PINNED
    many = derived.random_bits(0, np.arange(20_000), 1)[:, 0]
    assert len(np.unique(many)) == 20_000
    assert np.bincount((many >> np.uint64(60)).astype(int), minlength=16).min() > 1100


PINNED = [
    [9007078603410896157, 7389188954628153430],
    [4557674856592075421, 17587195242784298135],
    [5361404632214353863, 6337466785971998742],
]
