"""A trained generator: seed and index -> image, the same for every batch size and number of workers."""

import copy
import hashlib
import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from pydantic import ValidationError
from torch import Tensor, nn

from gansmith import recipes
from gansmith.data.types import class_of
from gansmith.errors import FROM_0, IMAGES, START, UserError, whole_number
from gansmith.files import read_json, read_shapes, read_tensors, write_tensors, write_text
from gansmith.generator.samples import Samples, columns
from gansmith.generator.sequence import conditions, in_proportion, labels, latents
from gansmith.hardware import Precision, check_precision
from gansmith.nn import ConditionalGenerator, shares
from gansmith.nn.isolation import isolated
from gansmith.nn.unfilled import with_memory
from gansmith.progress import Progress, Ticker
from gansmith.recipe import Noise, Recipe, RecipeFile, changed_since, explain, parse, where_missing

CHUNK = 64  # images computed at once, always: equal shapes make equal bits, so an image never depends on the request
DENSE_CHUNK = 512  # without convolutions: there every chunk reads all weights for little arithmetic
FORMAT = 1


def to_uint8(images: Tensor, pixels: tuple[float, float]) -> np.ndarray:
    """Images (N, C, H, W) whose values for black and white are ``pixels`` -> uint8, rounded and clipped."""
    black, white = pixels
    scaled = (images.float() - black) * (255 / (white - black))
    return scaled.round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def generate(generator: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
    """Images (N, C, S, S) of latents (N, Z); a conditional generator takes labels (N,) int64 too."""
    images: Tensor = generator(z) if labels is None else generator(z, labels)
    return images


@torch.no_grad()
def settle(network: nn.Module, noise: Noise, *, count: int = 4096) -> None:
    """Sets batch-norm statistics to their averages over ``count`` latents: an image then depends on its latent alone.

    Changes ``network`` in place and leaves it in inference mode. The latents are always the same.
    """
    network.eval()
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over batches
        norm.train()
    device = next(network.parameters()).device
    classes = network.classes if isinstance(network, ConditionalGenerator) else 0
    for start in range(0, count, 256):
        z = latents(noise, seed=0x5E771E, start=start, count=256).to(device)
        generate(network, z, labels(classes, start=start, count=256).to(device) if classes else None)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


@dataclass(repr=False)
class Generator:
    """A generator ready to sample: its network, which is put into inference mode, and its recipe."""

    network: nn.Module
    recipe: Recipe
    classes: Sequence[str] = ()
    """The names of labels 0, 1, ...; of the data's classes where the generator takes no labels."""
    about: dict[str, object] = field(default_factory=dict)
    """Where it comes from: "data", "steps" and "seed" of its training."""
    precision: Precision = "fp32"
    """"bf16" makes a DCGAN's images nearly twice as fast where the device multiplies bf16 fast; pixels then differ by
    some grey levels."""
    class_counts: Sequence[int] = ()
    """How many images of each label it was trained on; empty where that is not known, or is private."""

    def __post_init__(self) -> None:
        self.network.eval()
        if self.recipe.statistics == "batch":
            for layer in self.network.modules():
                if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                    layer.train()
                    layer.momentum = 0.0  # the stored averages stay as they are

    @property
    def device(self) -> torch.device:
        """The device of its parameters, where images are computed."""
        return next(self.network.parameters()).device

    @cached_property
    def chunk(self) -> int:
        """How many images are computed at once: 64, or 512 where all layers are dense."""
        dense = all(parameter.dim() <= 2 for parameter in self.network.parameters())
        return DENSE_CHUNK if dense and self.recipe.statistics != "batch" else CHUNK

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the recipe and the weights, 64 hex digits: saved vectors name the generator by it.

        Batch-norm statistics are included where training made them, not where they follow from the weights.
        """
        recipe = self.recipe.model_dump_json(exclude_defaults=True, exclude={"statistics"})
        result = hashlib.sha256(recipe.encode())
        trained = self.recipe.statistics == "moving"
        tensors = self.network.state_dict() if trained else dict(self.network.named_parameters())
        for name, tensor in tensors.items():
            result.update(name.encode())
            result.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return result.hexdigest()

    def latents(self, n: int, *, seed: int = 0, start: int = 0) -> Tensor:
        """Latents (n, Z) float32 of samples start .. start + n - 1 of ``seed``, on the CPU.

        Raises UserError for what is no whole number, and for a negative one.
        """
        n, (seed, start) = IMAGES._replace(low=0).check("n", n), _place(seed, start)
        return latents(self.recipe.noise, seed=seed, start=start, count=n)

    def label(self, name: str | int) -> int:
        """The label (0 .. K - 1) that a class's name, or else its number, means.

        Raises UserError in one line when this generator was trained without labels, or has no such class.
        """
        name = str(name) if isinstance(name, str) else whole_number("label", name)  # NumPy's text and numbers too
        if not self.recipe.classes:
            raise UserError(
                f"label {name}: this generator was trained without labels; `gansmith find RUN --label {name}` looks "
                "for noise that makes the class, `gansmith train --conditional` trains on labels"
            )
        return class_of(name, self.classes or [str(number) for number in range(self.recipe.classes)])

    @isolated()
    @torch.no_grad()
    def images(
        self,
        z: Tensor | ArrayLike,
        labels: Tensor | ArrayLike | None = None,
        *,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Latents (N, Z) -> uint8 (N, C, S, S); an image depends on its own latent alone (statistics "batch" apart).

        Args:
            z: the latents: a tensor or an array of real numbers, taken as float32.
            labels: a conditional generator's classes (N,), each in 0 .. K - 1; without them row i has class i mod K.
                With M kinds in each class (``recipe.kinds``, as `house` has them) K is so many times as much, and kind
                m of class c is c * M + m.
            progress: called with the images done, if that takes more than two seconds.

        Raises UserError in one line for latents of another size or not finite, and labels that are no such numbers.
        """
        check_precision(self.precision, self.device.type)
        z = self._latents(z)
        given = self._labels(labels, len(z))
        shape = (len(z), self.recipe.channels, self.recipe.size, self.recipe.size)
        images = np.empty(shape, np.uint8)
        tick = Ticker(progress, "images", len(z))
        chunk = self.chunk
        for start in shares.starts(len(z), chunk):
            part, classes = _filled(z, start, chunk), None if given is None else _filled(given, start, chunk)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                output = generate(
                    self.network, part.to(self.device), None if classes is None else classes.to(self.device)
                )
            images[start : start + chunk] = to_uint8(output[: len(z) - start], self.recipe.pixels)
            tick(min(start + chunk, len(z)))
        shares.complete([images], chunk)
        return images

    @isolated()
    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        start: int = 0,
        label: str | int | Iterable[str | int] | None = None,
        as_in_data: bool = False,
        progress: Progress | None = None,
    ) -> Samples:
        """Images start .. start + n - 1 of the endless sequence of ``seed``.

        Args:
            n: how many images, 1 to 10,000,000.
            seed: which sequence, 0 or more.
            start: the index of the first image, 0 or more.
            label: a conditional generator's class, by name or number, or several that take turns. Without it all
                take turns: image i has class i mod K.
            as_in_data: without a label, classes as often as the data of the training had them, evenly spread, where
                :attr:`class_counts` says so.
            progress: called with the images done, if that takes more than two seconds.

        Raises UserError for numbers outside these ranges, and an unknown label.
        """
        n, (seed, start) = IMAGES.check("n", n), _place(seed, start)
        turns = self._as_in_data if as_in_data and label is None else self._turns(label)
        first, end = start, start + n
        if self.recipe.statistics == "batch":  # whole chunks: neighbours matter
            first, end = start // self.chunk * self.chunk, -(-(start + n) // self.chunk) * self.chunk
        z = latents(self.recipe.noise, seed=seed, start=first, count=end - first)
        given = conditions(self.recipe, start=first, count=end - first, classes=turns)
        wanted = slice(start - first, start - first + n)
        told = None if given is None else given[wanted].numpy()
        return Samples(
            self.images(z, given, progress=progress)[wanted],
            z[wanted].numpy(),
            seed,
            None if told is None or not turns else told // max(1, self.recipe.kinds),
            _columns(len(turns) or self.recipe.turns, start, n),
            self.digest,
            tuple(self.classes),
            told if self.recipe.kinds else None,
        )

    @cached_property
    def _as_in_data(self) -> list[int]:
        """The labels that take turns so that each comes as often as in the data; each once where that is not known."""
        return in_proportion(self.class_counts).tolist() if self.class_counts else self._turns(None)

    def _turns(self, label: str | int | Iterable[str | int] | None) -> list[int]:
        """The labels that take turns; none for a generator without."""
        names: Any = label.tolist() if isinstance(label, Tensor | np.ndarray) else label
        if isinstance(names, str) or not isinstance(names, Iterable | None):
            return [self.label(names)]
        return [self.label(name) for name in names or ()] or list(range(self.recipe.classes))

    def _latents(self, given: Tensor | ArrayLike) -> Tensor:
        """Latents (N, Z) float32 and finite, without gradients."""
        size = self.recipe.noise.size
        z = _tensor("latents", given)
        if z.dim() != 2 or z.shape[1] != size:
            raise UserError(f"latents have shape {tuple(z.shape)}; this generator takes (N, {size})")
        if z.is_complex() or z.dtype == torch.bool:
            raise UserError(f"latents are {z.dtype}; give real numbers (N, {size})")
        z = z.float()
        if not bool(torch.isfinite(z).all()):
            raise UserError("latents hold values that are not finite")
        return z

    def _labels(self, given: Tensor | ArrayLike | None, count: int) -> Tensor | None:
        """Labels (count,) int64 for as many latents; None for a generator without."""
        classes = self.recipe.conditions
        if given is None:
            return conditions(self.recipe, count=count)
        if not classes:
            raise UserError("labels: this generator was trained without them; leave them out")
        found = _tensor("labels", given)
        whole = not (found.is_floating_point() or found.is_complex() or found.dtype == torch.bool)
        found = found.long() if whole else found
        if not whole or found.shape != (count,) or not bool(((found >= 0) & (found < classes)).all()):
            shape = tuple(found.shape)
            raise UserError(f"labels {shape}: give {count:,} whole numbers from 0 to {classes - 1}")
        return found

    def __call__(self, z: Tensor | ArrayLike, labels: Tensor | ArrayLike | None = None) -> Samples:
        """The samples of latents (N, Z), as :meth:`images` makes them; one latent (Z,) counts as N = 1."""
        given = _tensor("latents", z)
        latents = self._latents(given[None] if given.dim() == 1 else given)
        told = self._labels(labels, len(latents))
        known = None if told is None else told.numpy() // max(1, self.recipe.kinds)
        made = self.images(latents, told)
        return Samples(made, latents.cpu().numpy(), None, known, None, self.digest, tuple(self.classes))

    def __repr__(self) -> str:
        recipe = self.recipe
        trained = (
            f", {self.about['steps']:,} steps on {self.about['data']}" if {"steps", "data"} <= {*self.about} else ""
        )
        shape = f"{recipe.channels}x{recipe.size}x{recipe.size}"
        return f"Generator({recipe.name}{trained}: {recipe.noise.size} numbers to {shape})"

    def _repr_png_(self) -> bytes:
        return self.sample(32)._repr_png_()

    def save_pretrained(self, folder: str | Path) -> Path:
        """Writes model.safetensors, config.json and a README card into a folder, as model hubs lay them out.

        Raises OSError when they cannot be written.
        """
        folder = Path(folder)
        write_tensors(folder / "model.safetensors", self.network.state_dict())
        config = {
            "format": FORMAT,
            "library": "gansmith",
            "recipe": self.recipe.complete(),
            **({"recipes": [file.model_dump() for file in self.recipe.files]} if self.recipe.files else {}),
            "classes": list(self.classes),
            **({"class_counts": list(self.class_counts)} if self.class_counts else {}),
            "about": self.about,
        }
        write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
        write_text(folder / "README.md", _card(self))
        return folder

    @classmethod
    @isolated()
    def from_pretrained(cls, folder: str | Path) -> "Generator":
        """Reads what :meth:`save_pretrained` wrote, onto the CPU. Raises UserError in one line for anything else."""
        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder}: no generator here (config.json is missing)")
        try:
            config = read_json(folder / "config.json")
            if config.get("format") != FORMAT:
                raise UserError(f"format {config.get('format')}; this gansmith reads format {FORMAT}")
            recipe = _recipe(config)
            network = read_network(recipe, folder / "model.safetensors")
            counts = _class_counts(config, recipe)
        except UserError as error:
            raise UserError(f"{folder}: the generator cannot be read ({error})") from None
        classes, about = config.get("classes"), config.get("about")
        return cls(
            network,
            recipe,
            [str(name) for name in classes] if isinstance(classes, list) else (),
            about if isinstance(about, dict) else {},
            class_counts=counts,
        )


def _class_counts(config: dict[str, Any], recipe: Recipe) -> tuple[int, ...]:
    """How many images of each label an exported generator was trained on; empty where that is not said."""
    given = config.get("class_counts", [])
    if given == []:
        return ()
    if not isinstance(given, list) or len(given) != recipe.classes or {type(count) for count in given} != {int}:
        raise UserError(f"class_counts: give {recipe.classes:,} whole numbers, one a class")
    if min(given) < 0 or not 0 < sum(given) < 1 << 53:
        raise UserError("class_counts: are numbers of images, 0 or more, not all 0")
    return tuple(given)


def _recipe(config: dict[str, Any]) -> Recipe:
    """The recipe of an exported generator. Raises UserError, naming a file of the user's that it needs."""
    given = config.get("recipes")
    try:
        files = [RecipeFile.model_validate(each) for each in given] if isinstance(given, list) else []
    except ValidationError as error:
        raise UserError(f"config.json, recipes: {explain(error)}") from None
    try:
        recipe = parse(config.get("recipe", {}))
        recipes.entry(recipe.name)
    except UserError as error:
        raise UserError(where_missing(files) or str(error)) from None
    for file in changed_since(files) if recipe.files else ():
        warnings.warn(f"{file.where} changed since this generator was trained with it", stacklevel=1)
    return recipe


def read_network(recipe: Recipe, path: Path) -> nn.Module:
    """A recipe's generator network with the weights of a safetensors file, on the CPU.

    Memory is taken only once the file's header fits the recipe, and nothing is drawn from torch's random stream.
    Raises UserError for weights of another recipe or type, and for values that are not finite.
    """
    with recipes.unfilled(recipe):
        network = recipes.generator(recipe)
    found = read_shapes(path)
    wanted = {name: (tensor.is_floating_point(), tuple(tensor.shape)) for name, tensor in network.state_dict().items()}
    if {name: ("F" in kind, shape) for name, (kind, shape) in found.items()} != wanted:  # F32, BF16, ...; I64
        raise UserError(f"{path}: the weights do not fit recipe {recipe.name}")
    with_memory(network).load_state_dict(read_tensors(path))
    for name, tensor in network.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise UserError(f"{path}: {name} holds values that are not finite")
    return network


def _tensor(what: str, given: Tensor | ArrayLike) -> Tensor:
    """A tensor or an array of numbers as a tensor. Raises UserError for text, objects and ragged lists."""
    try:
        return given.detach() if isinstance(given, Tensor) else torch.from_numpy(np.array(given, order="C"))
    except (TypeError, ValueError):
        raise UserError(f"{what} are no numbers: give an array or a tensor of them") from None


def _columns(turns: int, start: int, count: int) -> int | None:
    """Columns of a sheet that show one class, or made-up kind, each; None where that cannot be."""
    return columns(turns, count) if 1 < turns <= 16 and not start % turns else None


def _filled(rows: Tensor, start: int, count: int) -> Tensor:
    """Rows start .. start + count - 1; where there are fewer, the last one is repeated."""
    part = rows[start : start + count]
    return torch.cat([part, part[-1:].expand(count - len(part), *part.shape[1:])]) if len(part) < count else part


@isolated()
def snapshot(network: nn.Module, recipe: Recipe, *, settle_on: int = 4096) -> Generator:
    """A copy of a generator network for sampling; the network itself is left as it is.

    Args:
        network: the generator, which may be in training.
        recipe: its recipe, whose ``statistics`` say whether :func:`settle` is needed.
        settle_on: how many latents batch-norm statistics are averaged over.
    """
    replica = copy.deepcopy(network)
    if recipe.statistics == "settled":
        settle(replica, recipe.noise, count=settle_on)
    return Generator(replica, recipe)


def _card(generator: Generator) -> str:
    """README.md of an exported generator: a model card."""
    recipe = generator.recipe
    about = "\n".join(f"- {name}: {value}" for name, value in generator.about.items())
    return (
        f"---\nlibrary_name: gansmith\ntags: [gan, image-generation]\n---\n\n# {recipe.name} generator\n\n"
        f"{recipe.channels}x{recipe.size}x{recipe.size} images from {recipe.noise.size} {recipe.noise.distribution} "
        f"latents{f' and {recipe.classes} labels' if recipe.classes else ''}, made with gansmith.\n\n{about}\n\n"
        f"```python\nimport gansmith as gs\n\n"
        f'gs.load("path/to/this/folder").sample(64, seed=0).save("sheet.png")\n```\n'
    )


def _place(seed: int, start: int) -> tuple[int, int]:
    """A seed, and the index of an image of it, as ints. Raises UserError for others."""
    return FROM_0.check("seed", seed), START.check("start", start)
