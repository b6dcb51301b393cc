"""Arrays in files: npz and IDX in every layout, and all that can be wrong with them."""

import gzip
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_samples import idx_bytes, noise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from gansmith import data
from gansmith.data import arrays, idx, npz

LABELS = np.arange(20) % 4


def saved(path: Path, **contents: Any) -> Path:
    np.savez_compressed(path, **contents)
    return path


def refusal(source: Path, **options: Any) -> str:
    """The one line with which a source is refused."""
    with pytest.raises(ValueError, match=r";") as caught:
        data.load(source, **options)
    assert "\n" not in str(caught.value)
    assert str(source.parent) in str(caught.value), "says where"
    return str(caught.value)


@pytest.mark.parametrize(
    ("images", "labels"), [("images", "labels"), ("x", "y"), ("X_train", "y_train"), ("train_images", "train_labels")]
)
def test_npz_keys(tmp_path: Path, images: str, labels: str) -> None:
    pixels = noise(0, 20, 12, 12)
    found = data.load(saved(tmp_path / "My Set.npz", **{images: pixels, labels: LABELS}))
    assert (found.name, found.shape, found.classes) == ("my-set", (1, 12, 12), ("0", "1", "2", "3"))
    assert np.array_equal(found.take(range(20))[:, 0], pixels)
    assert found.labels is not None
    assert np.array_equal(found.labels, LABELS)


def test_npz_in_medmnists_layout(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "blood.npz",
        train_images=noise(0, 20, 28, 28, 3),
        train_labels=LABELS[:, None].astype(np.uint8),
        val_images=noise(1, 9, 28, 28, 3),
        val_labels=LABELS[:9, None],
        test_images=noise(2, 10, 28, 28, 3),
        test_labels=np.full((10, 1), 7),
    )
    train, test = data.load(path), data.load(path, split="test")
    assert (len(train), train.shape, len(test), data.test_count(path)) == (20, (3, 28, 28), 10, 10)
    assert train.classes == test.classes == ("0", "1", "2", "3", "7")
    assert test.labels is not None
    assert set(test.labels.tolist()) == {4}
    assert "val_images (9 images) is not used" in data.inspect(path).notes


def test_layouts_and_types_of_pixels(tmp_path: Path) -> None:
    grey = noise(3, 20, 10, 10)
    rgb = noise(4, 20, 10, 10, 3)
    same = {
        "NHW": grey,
        "NHWC": grey[..., None],
        "NCHW": grey[:, None],
        "int64": grey.astype(np.int64),
        "big": grey.astype(">i4"),
        "sixteen": grey.astype(np.uint16) * 257,
        "float32": grey.astype(np.float32) / 255,
        "float64": grey / 255,
        "fortran": np.asfortranarray(grey),
        "grey-rgb": np.repeat(grey[..., None], 3, axis=3),
    }
    for name, array in same.items():
        assert np.array_equal(data.load(saved(tmp_path / f"{name}.npz", images=array)).take(range(20))[:, 0], grey), (
            name
        )
    for name, array in {"last": rgb, "first": rgb.transpose(0, 3, 1, 2)}.items():
        taken = data.load(saved(tmp_path / f"{name}.npz", images=array)).take(range(20))
        assert np.array_equal(taken.transpose(0, 2, 3, 1), rgb), name
    black_white = data.load(saved(tmp_path / "bool.npz", images=grey > 100)).take(range(20))[:, 0]
    assert np.array_equal(black_white, (grey > 100) * 255)
    rgba = np.concatenate([rgb, np.zeros((20, 10, 10, 1), np.uint8)], axis=3)
    rgba[:, :5, :, 3] = 255
    taken = data.load(saved(tmp_path / "rgba.npz", images=rgba)).take(range(20)).transpose(0, 2, 3, 1)
    assert np.array_equal(taken[:, :5], rgb[:, :5])
    assert np.all(taken[:, 5:] == 255)


def test_kinds_of_labels(tmp_path: Path) -> None:
    pixels = noise(5, 20, 8, 8)
    for name, labels, classes in (
        ("column", LABELS[:, None], ("0", "1", "2", "3")),
        ("onehot", np.eye(4)[LABELS], ("0", "1", "2", "3")),
        ("float", LABELS.astype(float), ("0", "1", "2", "3")),
        ("text", np.array(["ant", "bee", "cat", "dog"])[LABELS], ("ant", "bee", "cat", "dog")),
        ("gaps", LABELS * 10 - 5, ("-5", "5", "15", "25")),
    ):
        found = data.load(saved(tmp_path / f"{name}.npz", images=pixels, labels=labels))
        assert found.classes == classes, name
        assert found.labels is not None
        assert np.array_equal(found.labels, LABELS), name
    many = saved(tmp_path / "many.npz", images=pixels, labels=np.ones((20, 14), np.uint8))
    assert data.load(many).labels is None
    assert any("several labels" in note for note in data.inspect(many).notes)


def test_resizing_arrays(tmp_path: Path) -> None:
    path = saved(tmp_path / "wide.npz", images=noise(6, 20, 24, 40, 3))
    assert "40x24" in refusal(path)
    assert data.load(path, size=16).shape == (3, 16, 16)
    assert data.load(path, size=16, fit="pad").fingerprint != data.load(path, size=16).fingerprint


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({"images": noise(0, 20, 12, 12), "labels": LABELS[:19]}, "19 labels for 20 images"),
        ({"images": noise(0, 20, 12, 12), "labels": np.array(3)}, "one value for 20 images"),
        ({"images": noise(0, 20, 12, 12), "labels": LABELS + 0.5}, "whole numbers"),
        ({"images": noise(0, 20, 12, 12), "labels": np.full(20, np.nan)}, "whole numbers"),
        ({"images": noise(0, 20, 12, 12), "labels": LABELS * 1j}, "type complex128"),
        ({"images": np.full((20, 9, 9), None)}, "never unpickled"),
        ({"images": noise(0, 20, 12, 12), "labels": np.array([None] * 20)}, "never unpickled"),
        ({"images": np.full((20, 9, 9), "x")}, "type <U1"),
        ({"images": noise(0, 20, 9, 9) * 1j}, "type complex128"),
        ({"images": noise(0, 20, 9, 9) / 127.5 - 1}, "float64 pixels from -1 to"),
        ({"images": noise(0, 20, 9, 9).astype(np.float32)}, "float32 pixels from 0 to 255"),
        ({"images": np.full((20, 9, 9), np.nan)}, "has pixels that are not finite"),
        ({"images": noise(0, 20, 9, 9).astype(np.int16) - 1}, "int16 pixels from -1 to"),
        ({"images": noise(0, 20, 785)}, "shape (20, 785)"),
        ({"images": noise(0, 20, 9, 9, 9)}, "shape (20, 9, 9, 9)"),
        ({"images": noise(0, 20, 9, 9, 2)}, "shape (20, 9, 9, 2)"),
        ({"images": noise(0, 20, 7, 9)}, "at least 8"),
        ({"images": noise(0, 7, 9, 9)}, "only 7 of 7"),
        ({"images": noise(0, 0, 9, 9)}, "only 0 of 0"),
        ({"pictures": noise(0, 20, 9, 9)}, "the keys pictures"),
        ({}, "no NumPy arrays"),
    ],
)
def test_npz_refused_in_one_line(tmp_path: Path, contents: dict[str, Any], words: str) -> None:
    assert words in refusal(saved(tmp_path / "bad.npz", **contents))


def test_damaged_npz(tmp_path: Path) -> None:
    path = saved(tmp_path / "set.npz", images=noise(0, 200, 12, 12))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "not a whole zip" in refusal(path)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    path.write_bytes(flipped)
    assert "is damaged" in refusal(path)
    assert "no test images" in refusal(saved(tmp_path / "no-test.npz", images=noise(0, 20, 9, 9)), split="test")


def npy(header: str, values: bytes) -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + values


def test_npz_that_claims_more_than_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "liar.npz"
    with zipfile.ZipFile(path, "w") as archive:
        header = "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999, 28, 28), }"
        archive.writestr("images.npy", npy(header, b"x" * 1000))
    assert "its header claims shape" in refusal(path)
    bomb = saved(tmp_path / "bomb.npz", images=np.zeros((4000, 40, 40), np.uint8))
    monkeypatch.setattr(npz, "MAX_FLAT_BYTES", 1 << 20)
    assert "decompression bomb" in refusal(bomb)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from(["|u1", "<f4", "|O", "|S3", "V2", "x", "<M8[s]"]), st.data())
def test_wild_npy_headers_end_in_one_line(tmp_path: Path, tail: bytes, descr: str, draw: st.DataObject) -> None:
    shape = draw.draw(st.one_of(st.tuples(*[st.integers(-1, 30)] * 3), st.text("(),0123456789-Le", max_size=9)))
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}"
    path = tmp_path / "wild.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", npy(header, tail))
    refusal(path)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st_numpy.arrays(
        st.sampled_from([np.uint8, np.float32, np.int16, np.bool_]), st_numpy.array_shapes(max_dims=5, max_side=12)
    )
)
def test_any_array_is_read_whole_or_refused(tmp_path: Path, array: np.ndarray[Any, Any]) -> None:
    path = saved(tmp_path / "any.npz", images=array)
    try:
        inspection = data.inspect(path, size=16)
    except ValueError as error:
        said = str(error)
    else:
        said = "fine"
        assert inspection.count == len(array)
        assert inspection.shape in ((1, 16, 16), (3, 16, 16))
    assert "\n" not in said


def test_idx_folder_and_file(idx_folder: Path) -> None:
    train, test = data.load(idx_folder), data.load(idx_folder, split="test")
    assert (train.name, train.shape, len(train), len(test)) == ("digits", (1, 20, 20), 30, 10)
    assert np.array_equal(train.take(range(30))[:, 0], noise(0, 30, 20, 20))
    assert train.classes == test.classes == ("0", "1", "2", "3", "4")
    assert data.test_count(idx_folder) == 10
    by_file = data.load(idx_folder / "train-images-idx3-ubyte.gz")
    assert by_file.fingerprint == train.fingerprint
    assert data.load(idx_folder / "train-images-idx3-ubyte.gz", split="test").fingerprint == test.fingerprint
    (idx_folder / "train-labels-idx1-ubyte.gz").unlink()
    alone = data.load(idx_folder / "train-images-idx3-ubyte.gz")
    assert (alone.labels, alone.classes) == (None, ())
    assert any("no labels file" in note for note in data.inspect(idx_folder).notes)


def test_any_name_of_an_idx_file(tmp_path: Path) -> None:
    (tmp_path / "my-images.bin").write_bytes(idx_bytes(noise(0, 12, 9, 9)))
    (tmp_path / "my-labels.bin").write_bytes(idx_bytes(np.arange(12, dtype=np.uint8)))
    assert len(data.load(tmp_path / "my-images.bin").classes) == 12


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_refused_in_one_line(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / ("train-images-idx3-ubyte" + (".gz" if zipped else ""))
    whole = idx_bytes(noise(0, 30, 20, 20))

    def said(content: bytes) -> str:
        path.write_bytes(gzip.compress(content) if zipped else content)
        return refusal(tmp_path)

    assert "29 of 30 images are there" in said(whole[:-1])
    assert "goes on after" in said(whole + b"x")
    assert "does not begin as an IDX file" in said(b"\x89PNG" + whole)
    assert "does not begin as an IDX file" in said(b"")
    assert "ends inside its header" in said(whole[:9])
    assert "holds float32" in said(b"\0\0\x0d\x03" + whole[4:])
    assert "absurd shape" in said(whole[:4] + b"\xff" * 12 + whole[16:])
    assert "absurd shape" in said(whole[:4] + b"\xff" * 4 + whole[8:])
    assert "holds labels, not images" in said(idx_bytes(noise(0, 30)))
    assert "at least 8" in said(idx_bytes(noise(0, 30, 4, 4)))
    path.write_bytes(gzip.compress(whole) if zipped else whole)
    labels = tmp_path / "train-labels-idx1-ubyte"
    for content, words in (
        (idx_bytes(noise(0, 29)), "29 labels for 30 images"),
        (idx_bytes(noise(0, 30))[:-1], "is cut short"),
        (idx_bytes(noise(0, 30)) + b"x", "goes on after its end"),
        (idx_bytes(noise(0, 30, 2, 2)), "3 dimensions where labels have one"),
    ):
        labels.write_bytes(content)
        assert words in refusal(tmp_path)


def test_damaged_gzip(idx_folder: Path) -> None:
    path = idx_folder / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged or cut short" in refusal(idx_folder)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    path.write_bytes(flipped)
    assert "damaged" in refusal(idx_folder)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=4), st.lists(st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1)), max_size=5), st.binary()
)
def test_wild_idx_headers(tmp_path: Path, magic: bytes, sizes: list[int], tail: bytes) -> None:
    path = tmp_path / "wild-images-idx3-ubyte"
    start = b"\0\0\x08" + bytes([len(sizes)]) if len(magic) < 2 else magic
    path.write_bytes(start + struct.pack(f">{len(sizes)}I", *sizes) + tail)
    try:
        count = sum(len(block) for block in idx.image_blocks(path))
    except ValueError as error:
        said = str(error)
    else:
        said = f"read {count} images;"
        assert count == sizes[0]
    assert "\n" not in said
    assert ";" in said


def test_blocks_are_bounded_in_memory() -> None:
    assert arrays.rows_per_block((10**9, 28, 28), 1) * 28 * 28 <= arrays.BLOCK_BYTES
    assert arrays.rows_per_block((10, 8000, 8000), 1) == 1


def test_npy_headers_are_what_numpy_writes(tmp_path: Path) -> None:
    path = saved(tmp_path / "set.npz", images=noise(0, 20, 9, 9))
    entry = data.inspect(path).cache_path
    assert entry is not None
    with (entry / "images.npy").open("rb") as file:
        loaded = np.load(io.BytesIO(file.read()), allow_pickle=False)
    assert np.array_equal(loaded[:, 0], noise(0, 20, 9, 9))
