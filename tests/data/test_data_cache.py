"""The cache: found by content, rebuilt when damaged, safe with many builders, and streamed."""

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_samples import noise
from PIL import Image

from gansmith import data, files, progress
from gansmith.data import build, cache, types
from gansmith.data import dataset as datasets


def entries(root: Path) -> list[Path]:
    return sorted((root / "data").iterdir())


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(build, "_build", decoded)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "own"))
    assert files.cache_dir() == tmp_path / "own"
    monkeypatch.delenv("GANSMITH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert files.cache_dir() == tmp_path / "xdg" / "gansmith"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert files.cache_dir() == tmp_path / "home" / ".cache" / "gansmith"


def test_decoded_once(two_classes: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.load(two_classes)
    assert len(entries(fresh_cache)) == 1
    forbid_decoding(monkeypatch)
    again = data.load(two_classes)
    assert again.fingerprint == first.fingerprint
    assert again.mean_and_std() == first.mean_and_std()
    with pytest.raises(AssertionError, match="decoded again"):
        data.load(two_classes, size=20)


def test_found_by_content_when_moved_or_touched(
    two_classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = data.load(two_classes).fingerprint
    forbid_decoding(monkeypatch)
    shutil.copytree(two_classes, tmp_path / "elsewhere")
    assert data.load(tmp_path / "elsewhere").fingerprint == fingerprint
    os.utime(two_classes / "cat" / "1.png", (5, 5))
    assert data.load(two_classes).fingerprint == fingerprint


def test_an_altered_file_is_noticed_even_with_its_old_time_and_size(two_classes: Path) -> None:
    path = two_classes / "cat" / "1.png"
    for seed in (50, 51):
        Image.fromarray(noise(seed, 28, 28)).save(path, compress_level=0)
        if seed == 50:
            before, status = data.load(two_classes), path.stat()
    assert path.stat().st_size == status.st_size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = data.load(two_classes)
    assert after.fingerprint != before.fingerprint
    assert np.array_equal(after.take([1])[0, 0], noise(51, 28, 28))


def test_renamed_and_moved_files_are_noticed(two_classes: Path) -> None:
    before = data.load(two_classes)
    (two_classes / "cat" / "1.png").rename(two_classes / "dog" / "1.png")
    after = data.load(two_classes)
    assert after.labels is not None
    assert before.labels is not None
    assert (int(before.labels.sum()), int(after.labels.sum())) == (12, 13)
    (two_classes / "loose.png").write_text("x")
    assert [problem.kind for problem in data.load(two_classes).problems] == ["misplaced"]


@pytest.mark.parametrize("full_check", [True, False])
@pytest.mark.parametrize(
    "harm",
    [
        *(
            "flip",
            "cut",
            "grow",
            "no meta",
            "bad meta",
            "labels",
            "histogram",
            "empty",
            "labels header",
            "labels claim",
        ),
        *("labels gone", "labels pickled", "deep meta", "meta number", "meta class", "meta null", "meta is a folder"),
    ],
)
def test_a_damaged_entry_is_rebuilt(
    two_classes: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch, harm: str, full_check: bool
) -> None:
    if not full_check:
        monkeypatch.setattr(cache, "FULL_CHECK_BYTES", 0)
    expected = data.load(two_classes)
    pixels = expected.take(range(20))
    del expected
    (entry,) = entries(fresh_cache)
    images, meta, labels = entry / "images.npy", entry / "meta.json", entry / "labels.npy"
    raw = bytearray(images.read_bytes())
    if harm == "flip":
        raw[5000] ^= 1
        images.write_bytes(raw)
    elif harm == "cut":
        images.write_bytes(raw[:-1])
    elif harm == "grow":
        images.write_bytes(raw + b"x")
    elif harm == "no meta":
        meta.unlink()
    elif harm == "bad meta":
        meta.write_text(meta.read_text()[:-9])
    elif harm == "labels":
        np.save(labels, np.load(labels)[::-1])
    elif harm == "histogram":
        about = json.loads(meta.read_text())
        meta.write_text(json.dumps(about | {"histogram": [*about["histogram"][:-1], 7]}))
    elif harm == "labels header":  # NumPy meets these bytes with a TokenError
        content = labels.read_bytes()
        labels.write_bytes(content[:20] + bytes([content[20] ^ 0x10]) + content[21:])
    elif harm == "labels claim":  # and these with a MemoryError
        content = labels.read_bytes()
        labels.write_bytes(content.replace(b"(20,)", b"(99999999999999,)")[:128] + content[128:])
    elif harm == "labels gone":
        labels.unlink()
    elif harm == "labels pickled":
        np.save(labels, np.array([None] * 20), allow_pickle=True)
    elif harm == "deep meta":
        meta.write_text('{"shape":' + "[" * 100_000)
    elif harm == "meta number":
        meta.write_text(meta.read_text().replace('"found": 20', '"found": 70'))
    elif harm == "meta class":
        meta.write_text(json.dumps(json.loads(meta.read_text()) | {"modes": [1], "sizes": 3}))
    elif harm == "meta null":
        meta.write_text("null")
    elif harm == "meta is a folder":
        meta.unlink()
        meta.mkdir()
    else:
        shutil.rmtree(entry)
        entry.mkdir()
    again = data.load(two_classes)
    assert np.array_equal(again.take(range(20)), pixels)
    assert again.labels is not None
    assert again.labels.tolist() == [0] * 8 + [1] * 12
    assert data.inspect(two_classes).found == 20
    forbid_decoding(monkeypatch)
    data.load(two_classes)
    assert len(entries(fresh_cache)) == 1


@pytest.mark.parametrize("full_check", [True, False])
@pytest.mark.parametrize("swap", ["copy", "rename", "meta too"])
def test_an_entry_of_other_data_is_not_taken(
    tmp_path: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch, swap: str, full_check: bool
) -> None:
    """An entry says which source it is of; only one who forges that too can put other images in its place."""
    if not full_check:
        monkeypatch.setattr(cache, "FULL_CHECK_BYTES", 0)
    for seed in (1, 2):
        np.savez(tmp_path / f"{seed}.npz", images=noise(seed, 20, 8, 8))
    data.load(tmp_path / "1.npz")
    (first,) = entries(fresh_cache)
    data.load(tmp_path / "2.npz")
    (second,) = (entry for entry in entries(fresh_cache) if entry != first)
    known = (first / "meta.json").read_bytes()
    shutil.rmtree(first)
    if swap == "rename":
        second.rename(first)
    else:
        shutil.copytree(second, first)
    if swap == "meta too":
        (first / "meta.json").write_bytes(known)
    assert np.array_equal(data.load(tmp_path / "1.npz").take(range(20))[:, 0], noise(1, 20, 8, 8))


def test_a_builder_that_fails_leaves_nothing(
    two_classes: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache.Writer, "_put", full)
        with pytest.raises(ValueError, match=r"No space left on device\); free some space") as caught:
            data.load(two_classes)
    assert "\n" not in str(caught.value)
    assert entries(fresh_cache) == []

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache.Writer, "_put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            data.load(two_classes)
    assert entries(fresh_cache) == []
    assert len(data.load(two_classes)) == 20


def test_a_closed_cache_is_done_without(two_classes: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(cache.tempfile, "tempdir", str(tmp_path))
    pets = data.load(two_classes)
    assert np.array_equal(pets.take([3])[0, 0], noise(3, 28, 28))
    assert not list(tmp_path.glob("gansmith-*"))


def test_what_killed_builders_left_is_swept_after_a_day(two_classes: Path, fresh_cache: Path) -> None:
    old, young = fresh_cache / "data" / "building-old", fresh_cache / "data" / "building-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "images.npy").write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    data.load(two_classes)
    assert not old.exists()
    assert young.exists()


def _load_and_report(path: str, start: float, results: "multiprocessing.Queue[str]") -> None:
    while time.time() < start:
        pass
    results.put(data.load(path).fingerprint)


def test_processes_that_build_at_once_agree(make_folder: Callable[..., Path], fresh_cache: Path) -> None:
    folder = make_folder("many", {f"{i}.png": noise(i, 24, 24) for i in range(300)})
    context = multiprocessing.get_context("forkserver")
    results: multiprocessing.Queue[str] = context.Queue()
    start = time.time() + 1.0
    workers = [context.Process(target=_load_and_report, args=(str(folder), start, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    fingerprints = {results.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join(60)
    assert fingerprints == {data.load(folder).fingerprint}
    assert len(entries(fresh_cache)) == 1


def test_losing_the_race_opens_the_winners_entry(
    two_classes: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopt = cache.adopt

    def second(folder: Path, in_cache: bool, key: str) -> cache.Entry | None:
        if not cache.entry_folder(key).exists():
            shutil.copytree(folder, cache.entry_folder(key))  # another process is first
        return adopt(folder, in_cache, key)

    monkeypatch.setattr(build.cache, "adopt", second)
    assert len(data.load(two_classes)) == 20
    assert len(entries(fresh_cache)) == 1


def test_pixels_are_streamed(make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a few files may be decoded ahead of the writer, however many there are."""
    folder = make_folder("stream", {f"{i:04d}.png": noise(i, 8, 8) for i in range(600)})
    monkeypatch.setattr(build, "_threads", lambda: 2)
    ahead, decoded, written = [0], [0], [0]
    decode, append = build.decode, cache.Writer.append

    def counting_decode(*args: object) -> object:
        decoded[0] += 1
        ahead[0] = max(ahead[0], decoded[0] - written[0])
        return decode(*args)  # type: ignore[arg-type]

    def counting_append(self: cache.Writer, pixels: types.Pixels) -> None:
        written[0] += len(pixels)
        time.sleep(0.0005)  # a slow disk
        append(self, pixels)

    monkeypatch.setattr(build, "decode", counting_decode)
    monkeypatch.setattr(cache.Writer, "append", counting_append)
    data.load(folder)
    assert decoded == written == [600]
    assert ahead[0] <= (4 * 2 + 2) * 16


def test_files_that_change_while_they_are_read_are_refused(
    two_classes: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else pixels of the new file would be kept under the hash of the old one."""
    decode = build.decode

    def meddling(*args: object) -> object:
        Image.fromarray(noise(99, 28, 28)).save(two_classes / "dog" / "19.png")
        return decode(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(build, "decode", meddling)
        with pytest.raises(ValueError, match="changed while it was read; try again"):
            data.load(two_classes)
    assert entries(fresh_cache) == []
    assert len(data.load(two_classes)) == 20


def test_progress_is_told_after_two_seconds(
    make_folder: Callable[..., Path], two_classes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int, int]] = []
    data.load(two_classes, progress=lambda *event: told.append(event))
    assert told == []
    now = [0.0]

    def slowly() -> float:
        now[0] += 0.7
        return now[0]

    monkeypatch.setattr(progress.time, "monotonic", slowly)
    folder = make_folder("slow", {f"{i}.png": noise(i, 8, 8) for i in range(100)})
    data.load(folder, progress=lambda *event: told.append(event))
    decoding = [event for event in told if event[0] == "decoding slow"]
    assert decoding[-1] == ("decoding slow", 100, 100)
    assert [done for _, done, _ in decoding] == sorted({done for _, done, _ in decoding})
    assert decoding[0][1] < 100


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system has no posix_fadvise")
def test_coming_batches_are_read_ahead(two_classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = data.Batches(data.load(two_classes), 6, 0)
    datasets._mapped.clear()
    monkeypatch.setattr(datasets, "PREFETCH_FROM_BYTES", 0)
    ahead = data.Batches(data.load(two_classes), 6, 0)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(datasets.os, "posix_fadvise", lambda _fd, start, length, _how: asked.append((start, length)))
    for position in range(0, 60, 6):
        asked.clear()
        assert np.array_equal(plain.at(position), ahead.at(position))
        ahead.dataset.store._reader._last.result(timeout=10)  # type: ignore[attr-defined]
        rows = ahead.indices_at(position + 2 * 6)
        assert asked == [(cache.HEADER_BYTES + 784 * row, 784) for row in rows.tolist()]
