"""Files that belong together by their names: the labels of an images file, and its relative for testing."""

import re
from pathlib import Path

_TYPE = re.compile(r"[-._]idx\d([-._]\w+)?$")
_IMAGES = re.compile(r"images?|imgs?|(?<![a-z])(x|data|pixels)(?![a-z])")
_LABELS = re.compile(r"labels?|targets?|(?<![a-z])(y|classes)(?![a-z])")
TESTS = ("t10k", "test", "val", "valid", "validation")
"""What may stand in a name in the place of "train", in this order."""


def stem(name: str) -> str:
    """A file's name in small letters without its suffixes: of train-images-idx3-ubyte.gz, train-images."""
    name = re.sub(r"\.(gz|xz|bz2)$", "", name.lower())
    name = re.sub(r"\.(npy|npz|csv|tsv|txt|bin|json|idx|idx\d[-._]\w+)$", "", name)
    return _TYPE.sub("", name)


def kind(name: str) -> str:
    """The suffix that decides how a file is read; empty for IDX files, which have any."""
    found = re.search(r"\.(npy|npz|csv|tsv|txt|json|mat)(?=(\.gz)?$)", name.lower())
    return found[1] if found else ""


def labels_beside(images: Path) -> tuple[Path | None, tuple[str, ...]]:
    """The file of labels whose name goes with that of an images file, and notes on those that cannot be read."""
    wanted, swapped = stem(images.name), _IMAGES.sub("#", stem(images.name))
    if wanted == swapped:
        return None, ()
    found = []
    for path in _around(images):
        if path.name != images.name and stem(path.name) != wanted and _LABELS.sub("#", stem(path.name)) == swapped:
            found.append(path)
    same = [path for path in found if kind(path.name) == kind(images.name)]
    same.sort(key=lambda path: (path.suffix != images.suffix, path.name))
    others = (
        ()
        if same
        else tuple(f"{path.name} may hold the labels and is not read; save them like the images" for path in found)
    )
    return (same[0] if same else None), others


def test_beside(images: Path) -> Path | None:
    """The images file for testing beside one for training, compressed or not."""
    there = {path.name: path for path in _around(images)}
    for word in TESTS:
        name = re.sub("train(ing)?", word, images.name, count=1)
        plain = name.removesuffix(".gz")
        for other in (name, plain, f"{plain}.gz"):
            if other != images.name and other in there and name != images.name:
                return there[other]
    return None


def _around(path: Path) -> list[Path]:
    try:
        return sorted(other for other in path.parent.iterdir() if other.is_file())
    except OSError:
        return []
