"""What is to be evaluated: a run, an exported generator, or images that any other program made."""

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from gansmith import data, runs
from gansmith.data import Dataset, sources
from gansmith.data.build import SizeNeededError, Source
from gansmith.data.folders import Files
from gansmith.data.images import UnusableError, decode, quiet_decoders, squared
from gansmith.errors import UserError
from gansmith.evaluation import real
from gansmith.evaluation.real import RealImages
from gansmith.evaluation.reference import BLOCK
from gansmith.evaluation.report import Subject
from gansmith.generator import Generator
from gansmith.generator.sequence import apportioned
from gansmith.progress import Progress, Ticker
from gansmith.recipe import Recipe
from gansmith.runs import Run, checkpoint, load
from gansmith.text import one_line

Which = Literal["newest", "best"]
LEAST = 16  # images below which nothing is worth measuring


@dataclass(frozen=True)
class Made:
    """A generator to evaluate."""

    subject: Subject
    generator: Generator
    run: Run | None = None
    """The run that it is of, if it is of one."""
    notes: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    """Of each class among the real images, where those differ and the generator is told classes."""
    available: int = sys.maxsize
    """How many images there are: any number."""

    def sets(self, count: int, seeds: Sequence[int]) -> list[Iterator[np.ndarray]]:
        """``count`` images of each latent seed, as :meth:`first` takes them."""
        return [self.first(count, seed) for seed in seeds]

    def first(self, count: int, seed: int) -> Iterator[np.ndarray]:
        """The first ``count`` images of a latent seed, in blocks uint8 (n, C, S, S).

        Of a generator that is told classes, which take turns, the first of each class, as often as the data have it.
        """
        indices = self._indices(count)
        for start in range(0, int(indices.max(initial=-1)) + 1, BLOCK):
            low, high = np.searchsorted(indices, [start, start + BLOCK])
            wanted = indices[low:high] - start
            if len(wanted):
                yield self.generator.sample(int(wanted[-1]) + 1, seed=seed, start=start).images[wanted]

    def pick(self, indices: np.ndarray, count: int, seed: int) -> np.ndarray:
        """Some images of a set: uint8 (n, C, S, S)."""
        chosen = self._indices(count)[indices]
        return np.concatenate([self.generator.sample(1, seed=seed, start=int(index)).images for index in chosen])

    def _indices(self, count: int) -> np.ndarray:
        """Which images of the generator's sequence, in order, ``count`` of them are evaluated."""
        return in_shares(self.shares, count) if self.shares else np.arange(count)


@dataclass(frozen=True, eq=False)
class Images:
    """Images to evaluate that another program made."""

    subject: Subject
    images: np.ndarray
    """uint8 (N, C, H, W)."""
    notes: tuple[str, ...] = ()

    @property
    def available(self) -> int:
        """How many there are."""
        return len(self.images)

    def sets(self, count: int, seeds: Sequence[int]) -> list[Iterator[np.ndarray]]:
        """Disjoint sets of ``count`` images, one for each seed as far as there are so many; the first seed chooses."""
        order = np.random.default_rng(seeds[0]).permutation(len(self.images))
        sets = min(len(seeds), len(order) // count)
        return [self._blocks(np.sort(order[i * count : (i + 1) * count])) for i in range(sets)]

    def first(self, count: int, seed: int) -> Iterator[np.ndarray]:
        """The first ``count`` images, whatever the seed, in blocks."""
        return self._blocks(np.arange(min(count, len(self.images))))

    def pick(self, indices: np.ndarray, count: int, seed: int) -> np.ndarray:
        """Some images of the first set: uint8 (n, C, H, W)."""
        first_set = np.sort(np.random.default_rng(seed).permutation(len(self.images))[:count])
        picked: np.ndarray = self.images[first_set[indices]]
        return picked

    def _blocks(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(indices), BLOCK):
            yield self.images[indices[start : start + BLOCK]]


Generated = Made | Images


def resolve(
    source: data.Images | Run | Generator,
    *,
    which: Which = "newest",
    out: str | Path = "runs",
    device: str = "cpu",
) -> Made | Path | Source:
    """What a source is: a generator, the path of images, or images as :func:`gansmith.data.load` takes them.

    Raises UserError, in one line, when there is no such thing.
    """
    if isinstance(source, Generator):
        return Made(Subject(name=source.recipe.name, kind="generator", recipe=source.recipe.name), source)
    if isinstance(source, Run):
        return of_run(source, which=which, device=device)
    if not isinstance(source, str | Path):
        return sources.find(source, "train", None)
    path = Path(source)
    folder = runs.exported(source, out=out)
    if folder is not None:
        return _of_folder(source, folder, which=which, device=device)
    if path.exists() and not (path / "run.json").exists() and path.name != "last":
        if which == "best":
            raise UserError(f"{path}: holds images, not checkpoints; leave `best` out")
        return path
    return of_run(runs.find(source, out=out), which=which, device=device)


def place_of(source: str) -> Path:
    """The path that a source means: its own, or that of the run of this name. Raises UserError where there is none."""
    path = runs.exported(source) or Path(source)
    return path if path.exists() and path.name != "last" else runs.find(source).path


def of_run(run: Run, *, which: Which = "newest", device: str = "cpu") -> Made:
    """A run's generator."""
    generator = load.load(run, device=device, which=which)
    step = generator.about.get("steps")
    subject = Subject(
        name=run.name,
        kind="run",
        recipe=run.recipe.name,
        step=step if isinstance(step, int) else None,
        which=which,
        seed=run.settings.seed,
        group=group_of(run, which),
    )
    return Made(subject, generator, run)


def newest_step(run: Run) -> int | None:
    """The step of a run's newest checkpoint."""
    newest = checkpoint.newest(run.checkpoints, [])
    return None if newest is None else int(checkpoint.state(newest)["step"])


def group_of(run: Run, which: Which) -> str:
    """Equal for runs of the same recipe, data, origin and length, whatever their seeds."""
    values = run.recipe.values()
    del values["steps"]
    recipe = {"conditional": run.recipe.conditional, "classes": run.recipe.classes, **values}
    minutes = run.settings.minutes
    length = f"{minutes:.3g} minutes" if minutes is not None else f"{newest_step(run)} steps"
    origin = [] if run.settings.origin is None else [run.settings.origin.digest]
    files = [file.sha256 for file in run.settings.recipes]
    text = json.dumps([recipe, run.data.fingerprint, length, which, *origin, *files], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _of_folder(source: str | Path, folder: Path, *, which: Which, device: str) -> Made:
    generator = load.load(folder, device=device, which=which)
    about, recipe = generator.about, generator.recipe
    step, seed = about.get("steps"), about.get("seed")
    subject = Subject(
        name=str(source),
        kind="generator",
        recipe=recipe.name,
        step=step if isinstance(step, int) else None,
        seed=seed if isinstance(seed, int) else None,
    )
    return Made(subject, generator)


def real_images(
    what: Made | Path | Source, source: data.Images | None, *, progress: Progress | None = None
) -> RealImages:
    """The real images that what is evaluated imitates: its own, or others that ``source`` names or is.

    Raises UserError in one line where nobody knows them, or as :func:`gansmith.evaluation.real.find` does.
    """
    if isinstance(what, Made):
        if what.run is not None:
            return real.of_run(what.run, source, progress=progress)
        return real.of_generator(what.generator, what.subject.name, source, progress=progress)
    if source is None:
        raise UserError("images: name the real images that they imitate, such as `data` mnist")
    images: Any = source if isinstance(source, str | Path) else sources.find(source, "train", progress)  # read once
    try:
        return real.of_data(images, progress=progress)
    except SizeNeededError:
        size = size_of(what, progress)
        if size is None:
            raise
        return real.of_data(images, size=size, progress=progress)


def in_shares(shares: Sequence[float], count: int) -> np.ndarray:
    """Indices (count,), in order, in a sequence whose K classes take turns: each class's first, by its share of all."""
    each = apportioned(shares, count)
    return np.sort(np.concatenate([turn + len(each) * np.arange(most) for turn, most in enumerate(each)]))


def shares_of(recipe: Recipe, like: Dataset) -> tuple[float, ...]:
    """The classes' shares of the real images, where a recipe is told those classes and they are not all alike."""
    counts = like.class_counts
    if not recipe.classes or recipe.classes != len(counts) or min(counts) == max(counts):
        return ()
    return tuple(count / sum(counts) for count in counts)


def generated(what: Made | Path | Source, like: Dataset, progress: Progress | None = None) -> Generated:
    """What is evaluated, ready to be encoded: images are brought to the shape of the real ones.

    Raises UserError in one line for images that cannot be read, or have values that are no pixels.
    """
    if isinstance(what, Made):
        return replace(what, shares=shares_of(what.generator.recipe, like))
    return read(what, like, progress)


def size_of(what: Path | Source, progress: Progress | None = None) -> int | None:
    """The height of the first image of a folder or file of images, or of given ones, if it is square."""
    content = sources.find(what, "train", progress).content
    if not isinstance(content, Files):
        return content.height if content.height == content.width else None
    for member in content.members[:20]:
        try:
            picture = decode(content.read(member.name), None, "crop")
        except (UnusableError, OSError):
            continue
        return picture.height if picture.height == picture.width else None
    return None


def read(what: Path | Source, like: Dataset, progress: Progress | None = None) -> Images:
    """All images of a folder, .zip, .npz or IDX file, or given ones, copies too, brought to the real ones' shape.

    Of a file both splits count, of what is given the training split. Raises UserError, in one line, when there are
    none, or values that are no pixels, such as NaN.
    """
    source = sources.find(what, "train", progress, everything=True)
    subject = Subject(name=str(what) if isinstance(what, Path) else "images", kind="images")
    content = source.content
    if not isinstance(content, Files):
        blocks = list(content.blocks())
        if source.test_count and isinstance(what, Path):
            test = sources.find(what, "test", progress).content
            assert not isinstance(test, Files), "both splits are arrays"
            blocks += test.blocks()
        if not blocks:
            raise UserError(f"{subject.name}: holds no images; give {LEAST} or more")
        return fitted(np.concatenate(blocks), like, subject)
    size, wanted = like.shape[1], like.shape[0]
    ticker = Ticker(progress, f"reading {source.name}", len(content.members))
    found: list[np.ndarray] = []
    troubles = [f"{problem.file} {problem.what}" for problem in content.problems]
    resized = coloured = 0
    with quiet_decoders():
        for done, member in enumerate(content.members):
            try:
                picture = decode(content.read(member.name), size, "crop")
            except UnusableError as trouble:
                troubles.append(f"{member.name} {trouble.what}")
            except Exception as error:  # a damaged zip member raises anything: BadZipFile, zlib, lzma
                troubles.append(f"{member.name} cannot be read ({one_line(error)})")
            else:
                resized += (picture.width, picture.height) != (size, size)
                coloured += len(picture.pixels) == 3
                found.append(channels(picture.pixels[None], wanted)[0])
            ticker(done + 1)
    if not found:
        first = troubles[0] if troubles else "there are none"
        raise UserError(f"{subject.name}: none of its {len(content.members):,} files can be used ({first})")
    notes = [*source.notes]
    notes += [f"{len(troubles):,} files cannot be used, such as {troubles[0]}"] if troubles else []
    if resized:
        notes.append(f"{resized:,} images were resized to {size}x{size}, as {like.name} is")
    if coloured and wanted == 1:
        notes.append(_GREYED.format(like.name))
    return Images(subject, np.stack(found), tuple(notes))


_GREYED = "the images are RGB and {} is grey: they are measured as grey, and their colours do not count"


def fitted(images: np.ndarray, like: Dataset, subject: Subject) -> Images:
    """Images uint8 (N, C, H, W) brought to the shape of the real ones, with a note where that changed them."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or not images.size:
        raise UserError(f"{subject.name}: images are {images.dtype} {images.shape}; give uint8 (N, 1 or 3, H, W)")
    wanted, size = like.shape[:2]
    notes = []
    if images.shape[1] == 3 and wanted == 1:
        if bool(np.any(images != images[:, :1])):
            notes.append(_GREYED.format(like.name))
    elif images.shape[1] == 1 and wanted == 3:
        notes.append(f"the images are grey and {like.name} is RGB: they are measured as RGB of three equal channels")
    images = channels(images, wanted)
    if images.shape[2:] != (size, size):
        notes.append(f"the images are {images.shape[3]}x{images.shape[2]} and were resized to {size}x{size}")
        images = np.stack([channels(_resized(image, size)[None], wanted)[0] for image in images])
    return Images(subject, images, tuple(notes))


def channels(images: np.ndarray, wanted: int) -> np.ndarray:
    """Images uint8 (N, C, H, W) with 1 or 3 channels: grey by Rec. 601's luma, RGB by repeating."""
    if images.shape[1] == wanted:
        return images
    if wanted == 3:
        return np.repeat(images, 3, axis=1)
    if not np.any(images != images[:, :1]):
        return np.ascontiguousarray(images[:, :1])
    luma: np.ndarray = np.einsum("nchw,c->nhw", images, np.array([0.299, 0.587, 0.114], np.float32))
    grey: np.ndarray = np.rint(luma)[:, None].astype(np.uint8)
    return grey


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    plain = image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
    return squared(Image.fromarray(plain), size, "crop")
