"""A name or a path -> the source it means: built in, image folder, zip, npz or IDX; errors say what could be meant."""

import difflib
from collections.abc import Callable
from pathlib import Path

from gansmith.data import builtin, derived, folders, idx, npz
from gansmith.data.build import Source
from gansmith.data.folders import Files
from gansmith.data.images import SUFFIXES
from gansmith.data.types import Problem, Split
from gansmith.errors import UserError
from gansmith.progress import Progress
from gansmith.text import one_line, printable, slug

KINDS_READ = "a folder of images, a .zip of one, an .npz archive or an IDX images file"


def names() -> tuple[str, ...]:
    """The data sets that are known by name."""
    return (*builtin.NAMES, *derived.NAMES)


def spelled(source: str | Path) -> str | Path:
    """`source`, but for a Path that is nothing on the disk and spells a name: Path("mnist") is "mnist"."""
    return str(source) if isinstance(source, Path) and str(source) in names() and not source.exists() else source


def find(source: str | Path, split: Split, progress: Progress | None) -> Source:
    """One split of what a name (not a derived one's) or a path means. Decodes nothing. Raises UserError."""
    if isinstance(source, str) and source in builtin.NAMES:
        return builtin.builtin_source(source, split, progress)
    if isinstance(source, str) and not source.strip():
        raise UserError(f"data {source!r}: is empty; give a name ({', '.join(names())}) or a path")
    path = Path(source).expanduser()
    try:
        exists, folder = path.exists(), path.is_dir()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{printable(str(source)[:100])}: cannot be looked at ({one_line(error)}); check the path"
        ) from None
    if not exists:
        raise UserError(_missing(printable(str(source)), path))
    path = path.resolve()
    if folder:
        return _folder(path, split)
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)}); check its permissions") from None
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _npz(path, split)
    if suffix == ".zip" or (start == b"PK\x03\x04" and suffix not in (".pt", ".pth", ".docx", ".xlsx")):
        return _zip(path, split)
    if suffix in SUFFIXES:
        raise UserError(f"{path}: is a single image; give the folder it is in: {path.parent}")
    if idx.is_idx(path):
        return _idx(path, idx.find_by_file(path), split)
    raise UserError(f"{path}: is nothing that can be read; give {KINDS_READ}")


def _missing(given: str, path: Path) -> str:
    """What to say about a source that is neither a name nor a path."""
    bare = Path(given).name
    near = difflib.get_close_matches(given.lower(), names(), n=1, cutoff=0.6)
    looks_like_path = bare != given or path.suffix.lower() in (".zip", ".npz", ".gz")
    if near and not looks_like_path:
        return f"{given}: no data set has this name and no file or folder either; did you mean {near[0]}?"
    beside: list[str] = []
    try:
        beside = [str(path.parent / entry.name) for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        beside = []
    close = difflib.get_close_matches(str(path), beside, n=1, cutoff=0.8)
    meant = f"did you mean {close[0]}?" if close else f"give a path, or one of {', '.join(names())}"
    return f"{given}: there is no such file or folder; {meant}"


def _no_split(origin: Path, what: str) -> UserError:
    return UserError(f"{origin}: has no test images; {what}")


def _folder(path: Path, split: Split) -> Source:
    if pairs := idx.find_in_folder(path):
        return _idx(path, pairs, split)
    listed, troubles = folders.list_folder(path)
    return _images(path, split, "image folder", listed, folders.read_from(path), tuple(troubles))


def _zip(path: Path, split: Split) -> Source:
    archive = folders.open_zip(path)
    members = folders.list_zip(archive)
    return _images(path, split, "zip of images", list(members), folders.read_from_zip(archive, members), ())


def _images(
    path: Path,
    split: Split,
    kind: str,
    listed: list[str],
    read: Callable[[str], bytes],
    troubles: tuple[Problem, ...],
) -> Source:
    """A source of image files from their names; `troubles`: folders that could not be looked into."""
    arrangement = folders.arrange(listed)
    if not any(arrangement.splits.values()):
        raise UserError(_no_images(path, kind, listed))
    if split not in arrangement.splits:
        raise _no_split(path, "put them in a folder test beside a folder train")
    members, test = arrangement.splits[split], arrangement.splits.get("test")
    zipped = path.is_file()
    return Source(
        name=slug(path.stem if zipped else path.name),
        origin=str(path),
        kind=kind,
        split=split,
        classes=arrangement.classes,
        content=Files(members, read, (*troubles, *arrangement.problems[split])),
        test_count=None if test is None else len(test),
        parts=(("", path),) if zipped else tuple((member.name, path / member.name) for member in members),
        notes=arrangement.notes,
    )


def _no_images(path: Path, kind: str, listed: list[str]) -> str:
    if not listed:
        return f"{path}: is empty; give {KINDS_READ}"
    for name in listed:
        if name.lower().endswith((".npz", ".zip")):
            return f"{path}: holds no images, but {name}; give that file itself"
    seen = ", ".join(folders.suffixes_seen(listed))
    return f"{path}: this {kind} holds {len(listed):,} files ({seen}) and no images; give {KINDS_READ}"


def _npz(path: Path, split: Split) -> Source:
    arrays, classes, notes, test_count = npz.read_npz(path, split)
    return Source(
        name=slug(path.stem),
        origin=str(path),
        kind="NumPy archive",
        split=split,
        classes=classes,
        content=arrays,
        test_count=test_count,
        parts=(("", path),),
        notes=notes,
    )


def _idx(origin: Path, pairs: dict[Split, idx.Pair], split: Split) -> Source:
    if split not in pairs:
        if split == "test":
            raise _no_split(origin, "put t10k-images-idx3-ubyte beside the training images")
        raise UserError(f"{origin}: has no training images; put train-images-idx3-ubyte beside the test images")
    arrays, classes = idx.read_pairs(pairs, split)
    files = [file for pair in pairs.values() for file in (pair.images, pair.labels) if file is not None]
    test = pairs.get("test")
    return Source(
        name=slug(origin.name.split(".")[0]),
        origin=str(origin),
        kind="IDX files",
        split=split,
        classes=classes,
        content=arrays,
        test_count=None if test is None else idx.image_shape(test.images)[0],
        parts=tuple((file.name, file) for file in files),
        notes=() if pairs[split].labels else ("no labels file lies beside the images: there are no classes",),
    )
