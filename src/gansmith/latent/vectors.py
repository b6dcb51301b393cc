"""Latent vectors: written as points, saved in files that name their generator, and turned into images.

A *point* is written the same way everywhere: a whole number i is image i of a seed, `me.npz` the vector of a saved
file, `me.npz#3` the vector with index 3 of several.
"""

import copy
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors
from torch import Tensor

from gansmith import data
from gansmith.errors import UserError, whole_number
from gansmith.files import write_bytes, writing
from gansmith.generator import Generator, Samples, conditions, settle
from gansmith.nn.isolation import isolated

Latents = NDArray[np.float32]
Labels = NDArray[np.int64]
Images = NDArray[np.uint8]

SUFFIXES = (".npz", ".safetensors")
MAX_VECTORS = 1_000_000
MAX_BYTES = 1 << 30
MAX_POINTS = 1000
"""Points that may be named at once: more are taken for a mistake."""
MAX_INDEX = 2**40
"""The largest index of an image of a seed."""
FORMAT = "gansmith latents 1"
_KEYS = {"latents", "directions", "labels", "conditions", "names", "generator", "effects"}


@dataclass(frozen=True, eq=False, repr=False)
class Vectors:
    """N latents, each with a name and, for a conditional generator, the label of a class."""

    latents: Latents
    """float32 (N, Z)."""
    names: tuple[str, ...]
    """N of them, for captions."""
    labels: Labels | None = None
    """int64 (N,), each in 0 .. K - 1; None for a generator without labels."""

    def __len__(self) -> int:
        return len(self.latents)

    def __repr__(self) -> str:
        names = ", ".join(self.names[:6]) + (", ..." if len(self) > 6 else "")
        return f"Vectors({len(self):,} x {self.latents.shape[1]}: {names})"

    def __getitem__(self, rows: slice) -> "Vectors":
        return Vectors(self.latents[rows], self.names[rows], None if self.labels is None else self.labels[rows])

    def named(self, names: Sequence[str]) -> "Vectors":
        """The same latents and labels under other names, as many."""
        return Vectors(self.latents, tuple(names), self.labels)


Point = int | str | Path
Points = Point | Vectors | Samples | ArrayLike | Tensor | Sequence[Any]


def join(parts: Sequence[Vectors]) -> Vectors:
    """The vectors of several parts, all of one generator, in order."""
    labels = [part.labels for part in parts if part.labels is not None]
    return Vectors(
        np.concatenate([part.latents for part in parts]),
        tuple(name for part in parts for name in part.names),
        np.concatenate(labels) if labels else None,
    )


@isolated()
def steady(generator: Generator) -> Generator:
    """A generator whose images depend on their own latents alone.

    That is ``generator`` itself, except for recipes with statistics "batch", whose images depend on the others of their
    batch: then it is a copy with settled statistics (see :func:`gansmith.generator.settle`).
    """
    if generator.recipe.statistics != "batch":
        return generator
    network = copy.deepcopy(generator.network)
    settle(network, generator.recipe.noise)
    recipe = generator.recipe.override(statistics="settled")
    return Generator(network, recipe, generator.classes, generator.about)


def images(generator: Generator, what: Points, *, seed: int = 0) -> Images:
    """Images uint8 (N, C, S, S) of points, each of which depends on its own vector alone.

    Takes ``what`` and ``seed`` as :func:`points` does, and raises UserError as it does.
    """
    found = points(generator, what, seed=seed)
    return steady(generator).images(torch.from_numpy(found.latents), found.labels)


def seeded(generator: Generator, indices: Sequence[int], *, seed: int = 0) -> Vectors:
    """The latents of images ``indices`` of ``seed``, as :meth:`Generator.sample` takes them.

    Raises UserError for a negative seed or an index outside 0 .. 2^40.
    """
    seed, indices = whole_number("seed", seed), [whole_number("index", each) for each in indices]
    if seed < 0:
        raise UserError(f"`seed` {seed}: must not be negative")
    for index in indices:
        if not 0 <= index <= MAX_INDEX:
            raise UserError(f"image {index} of seed {seed}: the images of a seed are numbered from 0 to {MAX_INDEX:,}")
    rows = [generator.latents(1, seed=seed, start=index) for index in indices]
    told = [conditions(generator.recipe, start=index, count=1) for index in indices]
    labels = (
        np.array([int(each) for each in told if each is not None], np.int64) if generator.recipe.conditions else None
    )
    latents = torch.cat(rows).numpy() if rows else np.empty((0, generator.recipe.noise.size), np.float32)
    return Vectors(latents, tuple(str(index) for index in indices), labels)


def points(generator: Generator, what: Points, *, seed: int = 0) -> Vectors:
    """The vectors that image indices, files and arrays stand for.

    Args:
        generator: whose latents they are.
        what: image indices, files (a file of several stands for all of them), arrays (N, Z), Vectors or Samples; a
            sequence of these, or a text of indices and files with commas.
        seed: the seed that image indices belong to.

    Raises UserError in one line for anything else, values that are not finite, and another generator's vectors.
    """
    if isinstance(what, Vectors):
        return _fitting(generator, what, "these vectors")
    if isinstance(what, Samples):
        return _fitting(generator, Vectors(what.latents, _numbered(len(what)), what.told), "these samples")
    if isinstance(what, Tensor):
        what = what.detach().cpu().numpy() if what.dtype != torch.bfloat16 else what.detach().float().cpu().numpy()
    if isinstance(what, np.ndarray) and what.ndim < 2 and what.dtype.kind in "iu":
        return points(generator, what.tolist(), seed=seed)
    if isinstance(what, np.ndarray) and what.ndim:
        rows = _numbers(np.atleast_2d(what), "this array")
        told = conditions(generator.recipe, count=len(rows))
        labels = None if told is None else told.numpy()
        return _fitting(generator, Vectors(rows, _numbered(len(rows)), labels), "this array")
    if isinstance(what, str):
        parts = [part.strip() for part in what.split(",")]
        if len(parts) > 1:
            return points(generator, parts, seed=seed)
        return _point(generator, parts[0], seed)
    if isinstance(what, Path):
        return _point(generator, str(what), seed)
    if isinstance(what, int | np.integer):
        return seeded(generator, [whole_number("index", what)], seed=seed)
    if not isinstance(what, Sequence) or isinstance(what, bytes) or not 1 <= len(what) <= MAX_POINTS:
        raise UserError(f"points: give 1 to {MAX_POINTS:,} image numbers, files or arrays of latents")
    found = join([points(generator, each, seed=seed) for each in what])
    if len(found) > MAX_POINTS:
        raise UserError(f"{len(found):,} points: name at most {MAX_POINTS:,}; one of a file is FILE#0")
    return found


def one(generator: Generator, what: Points, *, seed: int = 0) -> Vectors:
    """The vector of one point, as Vectors of length 1. Raises UserError as :func:`points` does, and for several."""
    found = points(generator, what, seed=seed)
    if len(found) != 1:
        hint = f"; choose one, such as {what}#0" if isinstance(what, str | Path) and "," not in str(what) else ""
        raise UserError(f"{what if isinstance(what, str | Path) else 'points'}: {len(found)} vectors, not one{hint}")
    return found


def save(path: str | Path, vectors: Vectors, generator: Generator, **more: NDArray[Any]) -> Path:
    """Writes vectors as .npz or .safetensors, whole or not at all.

    Args:
        path: the file; its suffix decides the format.
        vectors: what to write.
        generator: the generator of the vectors, and the only one for which the file can be read again.
        more: further float arrays (N, ...), such as the effects of directions; ``directions`` replaces the latents.

    Raises UserError for another suffix, OSError when it cannot be written.
    """
    path = Path(path)
    check_target(path)
    arrays: dict[str, NDArray[Any]] = {} if "directions" in more else {"latents": vectors.latents}
    if vectors.labels is not None:
        arrays["labels"] = vectors.labels
    arrays |= {name: np.ascontiguousarray(value) for name, value in more.items()}
    if path.suffix.lower() == ".npz":
        texts = {"generator": np.array(generator.digest), "names": np.array(vectors.names, np.str_)}
        with writing(path) as fresh:
            np.savez(fresh, **arrays, **texts)  # type: ignore[arg-type]  # its stub takes names for flags
    else:
        about = {"format": FORMAT, "generator": generator.digest, "names": json.dumps(vectors.names)}
        write_bytes(path, safetensors.save(arrays, metadata=about))
    return path


def check_target(path: Path) -> None:
    """Raises UserError when vectors cannot be saved as ``path``: another suffix, or a folder."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: cannot write vectors as {path.suffix or 'a folder'}; use .npz or .safetensors")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file in it")


def read(path: str | Path, generator: Generator) -> Vectors:
    """The vectors of a file that :func:`save` or :meth:`gansmith.Samples.save` wrote. Nothing is unpickled.

    Raises UserError in one line when the file is missing, damaged or over 1 GB, or its vectors are of another
    generator or size, not finite, or have labels that make no sense.
    """
    path = Path(path)
    arrays = read_arrays(path, generator)
    if "latents" not in arrays:
        what = "directions; use them with `direction`" if "directions" in arrays else "no latents"
        raise UserError(f"{path}: holds {what}")
    latents, labels, classes = (
        arrays["latents"],
        arrays.get("conditions", arrays.get("labels")),
        generator.recipe.conditions,
    )
    if labels is not None and (labels.dtype.kind not in "iu" or labels.shape != latents.shape[:1]):
        raise UserError(f"{path}: its labels are {labels.dtype} {labels.shape}; give one whole number a vector")
    if classes and labels is None:
        told = conditions(generator.recipe, count=len(latents))  # as `sample` does without labels
        labels = None if told is None else told.numpy()
    elif not classes:
        labels = None
    found = Vectors(latents, read_names(arrays, path), None if labels is None else labels.astype(np.int64))
    return _fitting(generator, found, str(path))


def read_arrays(path: Path, generator: Generator) -> dict[str, NDArray[Any]]:
    """The arrays of a file of vectors or directions by name. Raises UserError unless they are ``generator``'s."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: is no file of vectors; give an image's number, or a .npz or .safetensors file")
    if not os.path.isfile(path):  # noqa: PTH113  (Path.is_file raises for names that are too long)
        raise UserError(f"{str(path)[:200]}: no such file of vectors")
    arrays = data.read_arrays(path, _KEYS, MAX_BYTES) if path.suffix.lower() == ".npz" else _read_safetensors(path)
    owner = arrays.pop("generator", None)
    if owner is None or owner.dtype.kind != "U" or owner.ndim:
        raise UserError(f"{path}: does not say which generator its vectors are of; make it with gansmith")
    if str(owner) != generator.digest:
        raise UserError(
            f"{path}: its vectors are another generator's ({str(owner)[:8]}, this one is {generator.digest[:8]}); "
            "use the run that they were made with"
        )
    for name in ("latents", "directions", "effects"):
        if name in arrays:
            arrays[name] = _numbers(arrays[name], f"{path}, {name}")
    return arrays


def read_names(arrays: dict[str, NDArray[Any]], path: Path) -> tuple[str, ...]:
    """Names for the vectors of a file: the file's own, and with an index where there are several."""
    count = len(arrays["latents"])
    return (path.name,) if count == 1 else tuple(f"{path.name}#{index}" for index in range(count))


def split_index(text: str) -> tuple[str, int | None]:
    """Splits a point such as `me.npz#3` into ("me.npz", 3); a text without an index gives (text, None)."""
    match = re.fullmatch(r"(.+)#(\d{1,7})", text)
    return (match[1], int(match[2])) if match else (text, None)


def _point(generator: Generator, text: str, seed: int) -> Vectors:
    """The vectors of one point given as text: an image's index or a file."""
    if re.fullmatch(r"\d{1,15}", text):
        return seeded(generator, [int(text)], seed=seed)
    path, index = split_index(text)
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UserError(f"{text[:80]!r} is no point; give an image's number such as 3, or a file such as me.npz#0")
    found = read(path, generator)
    if index is None:
        return found
    if index >= len(found):
        raise UserError(f"{text}: there is no vector {index}; {path} holds {len(found)}, counted from 0")
    return found[index : index + 1]


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(str(index) for index in range(count))


def _numbers(values: NDArray[Any], where: str) -> NDArray[np.float32]:
    """An array of one or two dimensions as float32. Raises UserError for no numbers, too many, or not finite ones."""
    if values.dtype.kind not in "fiu" or values.ndim not in (1, 2) or not 1 <= len(values) <= MAX_VECTORS:
        raise UserError(f"{where}: is {values.dtype} {values.shape}; give numbers (N, Z), N from 1 to {MAX_VECTORS:,}")
    with np.errstate(over="ignore"):
        values = np.array(values, np.float32, order="C")  # a copy that can be written to, as torch wants it
    if not np.isfinite(values).all():
        raise UserError(f"{where}: holds values that are not finite")
    return values


def _fitting(generator: Generator, vectors: Vectors, where: str) -> Vectors:
    """Vectors that the generator can take. Raises UserError for another size, or labels that make no sense."""
    size, classes, labels = generator.recipe.noise.size, generator.recipe.conditions, vectors.labels
    latents = _numbers(vectors.latents, where)
    if latents.ndim != 2 or latents.shape[1] != size:
        raise UserError(f"{where}: latents have shape {latents.shape}; this generator takes (N, {size})")
    if labels is not None and not classes:
        raise UserError(f"{where}: has labels, but this generator was trained without")
    if classes and (labels is None or labels.min() < 0 or labels.max() >= classes):
        raise UserError(f"{where}: needs labels from 0 to {classes - 1}, one a vector")
    return Vectors(latents, vectors.names, labels)


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    """The known arrays of a .safetensors file, none over 1 GB. Raises UserError in one line for anything else."""
    try:
        with safe_open(path, framework="np") as file:
            about = file.metadata() or {}
            arrays: dict[str, NDArray[Any]] = {}
            for name in _KEYS & set(file.keys()):
                part = file.get_slice(name)
                if part.get_dtype() not in {"F32", "F64", "I32", "I64"} or np.prod(part.get_shape()) * 8 > MAX_BYTES:
                    raise UserError(f"{path}, {name}: is {part.get_dtype()} {part.get_shape()}; give float32 latents")
                arrays[name] = file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    arrays.pop("generator", None)
    if "generator" in about:
        arrays["generator"] = np.array(about["generator"])
    return arrays
