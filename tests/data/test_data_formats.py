"""More of what people have: .npy, tables of pixels, IDX under other names, Parquet; and what is not read says why."""

import gzip
import json
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_samples import Array, idx_bytes, noise, png_bytes
from PIL import Image

from gansmith import data

Make = Callable[..., Path]


def refusal(source: Path, **options: Any) -> str:
    with pytest.raises(ValueError, match=r";") as caught:
        data.load(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("shape", "expected", "words"),
    [
        ((20, 28, 28), (1, 28, 28), None),
        ((20, 784), (1, 28, 28), "rows of 784 values are read as images of 28x28"),
        ((20, 3072), (3, 32, 32), "rows of 3,072 values are read as images of 3x32x32"),
        ((20, 9, 9, 3), (3, 9, 9), None),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_files(
    tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...], words: str | None, order: Any
) -> None:
    pixels = noise(0, *shape)
    np.save(tmp_path / "cat.npy", np.asarray(pixels, order=order))
    found = data.load(tmp_path / "cat.npy")
    assert (found.shape, found.name) == (expected, "cat")
    assert (
        found.take([7]).ravel().tolist()
        == (pixels[7].transpose(2, 0, 1) if len(shape) == 4 else pixels[7]).ravel().tolist()
    )
    assert (words is None) or words in data.inspect(tmp_path / "cat.npy").notes


@pytest.mark.parametrize(
    ("images", "labels", "tests"),
    [
        ("x_train.npy", "y_train.npy", "x_test.npy"),
        ("train_images.npy", "train_labels.npy", "test_images.npy"),
        ("my-train-imgs.npy", "my-train-targets.npy", "my-val-imgs.npy"),
    ],
)
def test_npy_files_that_belong_together(tmp_path: Path, images: str, labels: str, tests: str) -> None:
    np.save(tmp_path / images, noise(0, 20, 8, 8))
    np.save(tmp_path / labels, np.arange(20) % 4)
    np.save(tmp_path / tests, noise(1, 10, 8, 8))
    assert data.load(tmp_path / images).classes == tuple("0123")
    assert data.test_count(tmp_path / images) == 10
    assert len(data.load(tmp_path / images, split="test")) == 10


def test_bad_npy_files(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, noise(0, 64, 64))
    assert "images of shape (64, 64); reshape" in refusal(path)
    np.save(path, np.array([None] * 20), allow_pickle=True)
    assert "never unpickled" in refusal(path)
    np.save(path, noise(0, 20, 8, 8))
    path.write_bytes(path.read_bytes()[:-1])
    assert "its header claims shape" in refusal(path) or "cut short" in refusal(path)
    np.save(path, noise(0, 20, 8, 8))
    np.save(tmp_path / "a-labels.npy", np.arange(3))
    path.rename(tmp_path / "a-images.npy")
    assert "3 labels for 20 images" in refusal(tmp_path / "a-images.npy")


def table(rows: Array, labels: list[Any] | None, delimiter: str = ",", last: bool = False) -> str:
    lines = []
    for place, row in enumerate(rows.reshape(len(rows), -1).tolist()):
        cells = [str(value) for value in row]
        if labels is not None:
            cells = [*cells, str(labels[place])] if last else [str(labels[place]), *cells]
        lines.append(delimiter.join(cells))
    return "\n".join(lines) + "\n"


def header(names: list[str], delimiter: str = ",") -> str:
    return delimiter.join(names) + "\n"


PIXELS = noise(0, 24, 8, 8)
CORNERED = np.where(np.indices((24, 8, 8))[1] == 0, 0, PIXELS).astype(np.uint8)
LABELS = [i % 3 for i in range(24)]
NAMED = [f"pixel{i}" for i in range(64)]


@pytest.mark.parametrize(
    ("text", "pixels", "classes"),
    [
        (header(["label", *NAMED]) + table(PIXELS, LABELS), PIXELS, ("0", "1", "2")),
        (table(PIXELS, LABELS), PIXELS, ("0", "1", "2")),
        (table(CORNERED, LABELS, last=True), CORNERED, ("0", "1", "2")),
        (header(NAMED) + table(PIXELS, None), PIXELS, ()),
        (table(PIXELS, None), PIXELS, ()),
        (header([str(i) for i in range(64)]) + table(PIXELS, None), PIXELS, ()),
        (
            header(["class", *(f"{i}x{j}" for i in range(8) for j in range(8))], ";")
            + table(PIXELS, list("abc") * 8, ";"),
            PIXELS,
            ("a", "b", "c"),
        ),
        (table(PIXELS, LABELS, "\t").replace("\n", "\r\n"), PIXELS, ("0", "1", "2")),
        (header(['"number"', *(f'"p_{i}"' for i in range(64))]) + table(PIXELS, LABELS), PIXELS, ("0", "1", "2")),
        (header(["label", *NAMED]) + table(PIXELS.astype(np.float64), [1.0, 2.0, 10.0] * 8), PIXELS, ("1", "2", "10")),
    ],
    ids=["kaggle", "plain", "last", "unlabelled", "bare", "numbered", "semicolons", "tabs", "quotes", "decimals"],
)
def test_tables_of_pixels(tmp_path: Path, text: str, pixels: Array, classes: tuple[str, ...]) -> None:
    (tmp_path / "digits.csv").write_text(text)
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("digits.csv", "packed.csv.gz"):
        found = data.load(tmp_path / name)
        assert np.array_equal(found.take(range(24))[:, 0], pixels)
        assert found.classes == classes
        if classes:
            assert found.labels.tolist() == LABELS  # type: ignore[union-attr]


def test_tables_of_shares_of_white_and_of_two_splits(tmp_path: Path) -> None:
    (tmp_path / "x_train.csv").write_text(table(PIXELS / 255, None))
    assert np.array_equal(data.load(tmp_path / "x_train.csv").take(range(24))[:, 0], PIXELS)
    (tmp_path / "mnist_train.csv").write_text(table(PIXELS, LABELS))
    (tmp_path / "mnist_test.csv").write_text(table(PIXELS[:10], [5] * 10))
    train, test = (data.load(tmp_path / "mnist_train.csv", split=split) for split in ("train", "test"))  # type: ignore[arg-type]
    assert train.classes == test.classes == ("0", "1", "2", "5")
    assert data.test_count(tmp_path / "mnist_train.csv") == 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,label\n" + "a.png,1\n" * 20, "is no table of images (2 columns)"),
        (table(PIXELS[:, :7], LABELS), "is no table of images (57 columns)"),
        (table(PIXELS, LABELS) + "1,2,3\n", "every row needs the same cells"),
        (table(PIXELS, LABELS).replace(",7,", ",x,", 1), "every row needs the same cells, all numbers"),
        (table(PIXELS.astype(int) * 300, LABELS), "save them as uint8"),
        ("", "is no table of images (0 columns)"),
    ],
    ids=["names", "no square", "short row", "a word", "too bright", "empty"],
)
def test_tables_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert words in refusal(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("folder", "train"),
    [
        ("gzip", "emnist-digits-train-images-idx3-ubyte.gz"),
        ("MNIST/raw", "train-images-idx3-ubyte"),
        (".", "qmnist-train-images-idx3-ubyte.gz"),
        ("a/b", "Kannada-train.images.idx3-ubyte"),
    ],
)
def test_idx_sets_under_any_name_in_any_folder(tmp_path: Path, folder: str, train: str) -> None:
    root = tmp_path / "d"
    (root / folder).mkdir(parents=True)
    for split, count in (("train", 20), ("test", 10)):
        for kind, array in (("images", noise(0, count, 8, 8)), ("labels", np.arange(count, dtype=np.uint8) % 5)):
            name = (
                train.replace("train", split)
                .replace("images", kind)
                .replace("idx3", "idx1" if kind == "labels" else "idx3")
            )
            raw = idx_bytes(array)
            (root / folder / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    found = data.load(root)
    assert (len(found), found.classes, data.test_count(root)) == (20, tuple("01234"), 10)
    upright = noise(0, 20, 8, 8)
    assert np.array_equal(found.take(range(20))[:, 0], upright.transpose(0, 2, 1) if "emnist" in train else upright)
    assert any("on its side" in note for note in data.inspect(root).notes) == ("emnist" in train)


def test_several_idx_sets_are_named(tmp_path: Path) -> None:
    for name in ("emnist-letters", "emnist-digits", "emnist-balanced"):
        (tmp_path / f"{name}-train-images-idx3-ubyte").write_bytes(idx_bytes(noise(0, 20, 8, 8)))
    message = refusal(tmp_path)
    assert "holds 3 sets of IDX files; give the images of one" in message
    assert "emnist-letters-train-images-idx3-ubyte" in message


def test_the_same_idx_set_packed_and_unpacked_is_one(tmp_path: Path) -> None:
    for folder, name in (("raw", "k-train-images-idx3-ubyte"), ("gzip", "k-train-images-idx3-ubyte.gz")):
        (tmp_path / folder).mkdir()
        raw = idx_bytes(noise(0, 20, 8, 8))
        (tmp_path / folder / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    assert len(data.load(tmp_path)) == 20


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("cifar.tar.gz", gzip.compress(b"x", mtime=0), "unpack it and give the folder"),
        ("digits.mat", b"MATLAB", "scipy.io.loadmat"),
        ("faces.h5", b"\x89HDF", "h5py"),
        ("data_batch_1", b"\x80\x04\x95", "pickles run programs"),
        ("set.tfrecord", b"x", "save its images as PNG files"),
        ("set.7z", b"7z", "unpack it"),
    ],
)
def test_what_is_not_read_says_how_to_get_there(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["digits.csv", "x.npy", "set.zip", "a.mat", "b.tar.gz", "mnist.csv.gz"])
def test_a_folder_that_holds_the_data_in_one_file_names_it(make_folder: Make, name: str) -> None:
    message = refusal(make_folder("d", {name: "x"}))
    assert f"holds no images, but {name}; " in message


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "a.heif", "b.jxl", "c.NEF", "d.psd"])
def test_images_of_unreadable_formats_are_skipped_images(make_folder: Make, name: str) -> None:
    folder = make_folder("d", {**{f"{i}.png": noise(i, 8, 8) for i in range(9)}, name: b"x"})
    about = data.inspect(folder)
    assert (about.count, about.found) == (9, 10)
    assert about.problems[0].file == name
    assert "save it as JPEG or PNG" in about.problems[0].what
    assert not any("not images" in note for note in about.notes)


def test_a_folder_of_nothing_but_heic(make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder("d", {f"IMG_{i}.HEIC": b"x" for i in range(9)})
    assert "none of its 9 images can be read: IMG_0.HEIC is a HEIC photo" in refusal(folder)
    renamed = make_folder("r", {f"{i}.jpg": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100) for i in range(9)})
    assert "is a HEIC photo, which cannot be read here; save it as JPEG" in refusal(renamed)


@pytest.mark.parametrize(
    ("name", "several"),
    [("a.tif", True), ("a.gif", True), ("a.webp", True), ("a.png", True), ("one.tif", False), ("one.webp", False)],
)
def test_more_than_one_page_or_frame_is_said(make_folder: Make, name: str, several: bool) -> None:
    folder = make_folder("d", {f"{i}.png": noise(i, 16, 16) for i in range(9)})
    pages = [Image.fromarray(noise(90 + i, 16, 16, 3)) for i in range(5)]
    pages[0].save(folder / name, **({"save_all": True, "append_images": pages[1:]} if several else {}))
    for _ in range(2):  # from the cache too
        notes = data.inspect(folder).notes
        assert (f"of several pages or frames the first is used: 1 file, such as {name}" in notes) == several


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (noise(0, 12, 16, 16).astype(np.uint16) * 16, "as 12 bits in 16"),
        (noise(0, 12, 16, 16).astype(np.uint16) * 4, "as 10 bits in 16"),
        (noise(0, 12, 16, 16) // 15, "the range of the pixels is from 0 to 17 of 255"),
        (noise(0, 12, 16, 16) // 255 * 100, "from 0 to 100 of 255"),
        (noise(0, 12, 16, 16) / 255 * 0.06, "from 0 to 15 of 255"),
        (noise(0, 12, 16, 16) // 5 + 200, "of little contrast: the range of the pixels is from 200 to 251 of 255"),
        (noise(0, 12, 16, 16), None),
        (noise(0, 12, 16, 16).astype(np.uint16) * 257, None),
    ],
    ids=["12 bits", "10 bits", "0..17", "percent", "floats", "bright", "8 bits", "16 bits"],
)
def test_a_narrow_range_is_noted(tmp_path: Path, images: Any, words: str | None) -> None:
    np.savez(tmp_path / "d.npz", images=images)
    sources = [tmp_path / "d.npz"]
    if images.dtype.kind == "u" or images.dtype == np.int64:
        folder = tmp_path / "d"
        folder.mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{i}.png")
        sources.append(folder)
    for source in sources:
        noted = [note for note in data.inspect(source).notes if "range" in note]
        assert (words is None and not noted) or (words or "") in noted[0]


class FakeParquet:
    """The part of pyarrow.parquet.ParquetFile that is used, over rows in memory."""

    rows: dict[str, list[dict[str, Any]]] = {}  # noqa: RUF012
    names: list[str] = []  # noqa: RUF012

    def __init__(self, path: Path) -> None:
        self._rows = self.rows[path.name]
        about = {"info": {"features": {"label": {"names": self.names}}}}
        self.schema_arrow = types.SimpleNamespace(
            names=list(self._rows[0]), metadata={b"huggingface": json.dumps(about).encode()} if self.names else None
        )
        self.metadata = types.SimpleNamespace(
            num_row_groups=-(-len(self._rows) // 7),
            row_group=lambda group: types.SimpleNamespace(num_rows=len(self._rows[7 * group : 7 * group + 7])),
        )

    def _table(self, rows: list[dict[str, Any]], columns: list[str]) -> dict[str, Any]:
        def column(name: str) -> Any:
            return types.SimpleNamespace(to_pylist=lambda: [row[name] for row in rows])

        return {name: column(name) for name in columns}

    def read(self, columns: list[str]) -> dict[str, Any]:
        return self._table(self._rows, columns)

    def read_row_group(self, group: int, columns: list[str]) -> dict[str, Any]:
        return self._table(self._rows[7 * group : 7 * group + 7], columns)


@pytest.fixture
def parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a folder of Parquet files for a stand-in for pyarrow, so that the reading of rows is tested without it."""

    def make(names: list[str], **files: list[int] | None) -> Path:
        folder = tmp_path / "hf"
        folder.mkdir()
        seed = 0
        FakeParquet.rows, FakeParquet.names = {}, names
        for file, labels in files.items():
            name = file.replace("_", "-") + ".parquet"
            (folder / name).write_bytes(b"PAR1")
            rows = []
            for label in labels or [0] * 10:
                row: dict[str, Any] = {"image": {"bytes": png_bytes(noise(seed, 8, 8)), "path": None}}
                rows.append(row | ({} if labels is None else {"label": label}))
                seed += 1
            FakeParquet.rows[name] = rows
        module = types.ModuleType("pyarrow.parquet")
        module.ParquetFile = FakeParquet  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "pyarrow", types.ModuleType("pyarrow"))
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", module)
        return folder

    return make


def test_parquet_of_hugging_face(parquet: Callable[..., Path]) -> None:
    folder = parquet(["zebra", "ant"], train_00000_of_00002=[0, 1] * 10, train_00001_of_00002=[1] * 5, test_0=[0] * 9)
    found = data.load(folder)
    assert (len(found), found.classes, data.test_count(folder)) == (25, ("zebra", "ant"), 9)
    assert found.labels.tolist() == [0, 1] * 10 + [1] * 5  # type: ignore[union-attr]
    assert np.array_equal(found.take(range(25))[:, 0], [noise(i, 8, 8) for i in range(25)])


def test_parquet_without_names_and_without_labels(parquet: Callable[..., Path]) -> None:
    folder = parquet([], data_0=[3, 10] * 5, extra_1=[2] * 4)
    assert data.load(folder).classes == ("2", "3", "10")


def test_parquet_without_labels(parquet: Callable[..., Path]) -> None:
    assert data.load(parquet([], train_0=None)).classes == ()


def test_parquet_without_pyarrow_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "train-0.parquet").write_bytes(b"PAR1")
    for source in (tmp_path, tmp_path / "train-0.parquet"):
        assert "Parquet files need pyarrow; pip install 'gansmith[parquet]'" in refusal(source)


def test_real_parquet_files(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    rows = {
        "image": [{"bytes": png_bytes(noise(i, 8, 8)), "path": None} for i in range(20)],
        "label": [i % 2 for i in range(20)],
    }
    pyarrow.parquet.write_table(pyarrow.table(rows), tmp_path / "train-0.parquet", row_group_size=6)
    found = data.load(tmp_path / "train-0.parquet")
    assert np.array_equal(found.take(range(20))[:, 0], [noise(i, 8, 8) for i in range(20)])
    assert found.classes == ("0", "1")
    (tmp_path / "train-0.parquet").write_bytes(b"PAR1 not")
    assert "is not a whole Parquet file" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["mnist", "MNIST", "fashion-mnist", "stacked-mnist"])
def test_images_of_ones_own_are_not_taken_for_public_ones_by_their_name(
    name: str, tmp_path: Path, make_folder: Callable[..., Path]
) -> None:
    images = np.stack([noise(i, 8, 8) for i in range(20)])
    folder = make_folder(name, {f"{i}.png": image for i, image in enumerate(images)})
    archive = shutil.make_archive(str(tmp_path / "zipped" / name), "zip", folder)
    np.savez(tmp_path / f"{name}.npz", images=images)
    for source in (folder, Path(archive), tmp_path / f"{name}.npz"):
        assert data.load(source).name == f"{name.lower()}-given", source
    assert data.from_arrays(images[:, None], name=name).name == f"{name.lower()}-given"
    assert data.load(folder.rename(tmp_path / f"{name}-small")).name == f"{name.lower()}-small"
