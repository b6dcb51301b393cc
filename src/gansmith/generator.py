"""A trained generator: seed and index -> image, the same for every batch size and number of workers."""

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gansmith import recipes
from gansmith.data.types import class_of
from gansmith.errors import UserError
from gansmith.files import read_json, read_tensors, write_tensors, write_text, writing
from gansmith.hardware import Precision
from gansmith.nn import ConditionalGenerator
from gansmith.progress import Progress, Ticker
from gansmith.recipe import Noise, Recipe, parse

if TYPE_CHECKING:
    from gansmith import render

CHUNK = 64  # images computed at once, always: equal shapes make equal bits, so an image never depends on the request
DENSE_CHUNK = 512  # without convolutions: there every chunk reads all weights for little arithmetic
MAX_IMAGES = 10_000_000
MAX_ON_SHEET = 10_000
SHEETS = {".png", ".webp", ".jpg", ".jpeg"}
FORMAT = 1


def latents(noise: Noise, *, seed: int, start: int = 0, count: int) -> Tensor:
    """Latents (count, noise.size) float32: rows start .. start + count of the endless sequence of ``seed``.

    Counter-based (Philox, Salmon et al. 2011): row i depends on seed and i alone. The normal is the inverse
    distribution function of the uniform, so that every coordinate takes exactly one draw.
    """
    words = -(-noise.size // 4) * 4  # Philox gives four 64-bit words a count
    bits = np.random.Philox(key=seed % 2**128)
    bits.advance(start * words // 4)
    uniform = np.random.Generator(bits).random((count, words))[:, : noise.size]
    centred = torch.from_numpy(uniform + 2.0**-54)  # inside (0, 1)
    values = 2 * centred - 1 if noise.distribution == "uniform" else torch.special.ndtri(centred)
    return (noise.center + noise.scale * values).float()


def labels(classes: int, *, start: int = 0, count: int) -> Tensor:
    """Labels (count,) int64 for images start .. start + count that were asked for without: image i has i mod K."""
    return torch.arange(start, start + count) % classes


def columns(classes: int, count: int) -> int:
    """How many columns a sheet of ``count`` images needs so that each shows one class where labels cycle; else 8."""
    return classes * max(1, round(count**0.5 / classes)) if 1 < classes <= 16 else 8


def to_uint8(images: Tensor, pixels: tuple[float, float]) -> np.ndarray:
    """Images within ``pixels`` (black, white) -> uint8 (N, C, H, W), rounded; what lies outside is clipped."""
    black, white = pixels
    scaled = (images.float() - black) * (255 / (white - black))
    return scaled.round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def generate(generator: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
    """Images (N, C, S, S) of latents (N, Z), and of classes (N,) where the recipe is conditional."""
    images: Tensor = generator(z) if labels is None else generator(z, labels)
    return images


@torch.no_grad()
def settle(network: nn.Module, noise: Noise, *, count: int = 4096) -> None:
    """Measures batch-norm statistics over ``count`` latents and keeps them: an image then depends on its latent alone.

    Changes ``network`` in place and leaves it in inference mode. Latents are those of a seed of their own.
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


def check_target(path: Path, count: int) -> None:
    """Whether ``count`` images can be saved as ``path``, before they are made.

    Raises UserError for a suffix that says nothing, a folder that already holds something, or too large a sheet.
    """
    suffix = path.suffix.lower()
    if suffix in SHEETS:
        if count > MAX_ON_SHEET:
            raise UserError(f"{path}: a sheet holds up to {MAX_ON_SHEET:,} images; for {count:,} use .npz or a folder")
    elif suffix and suffix != ".npz":
        raise UserError(f"{path}: cannot write {path.suffix}; use .png, .webp, .jpg, .npz or a folder's name")
    if suffix and path.is_dir():
        raise UserError(f"{path}: is a folder; name a file in it")
    if not suffix and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path}: is in the way; name a new or empty folder")


@dataclass(frozen=True)
class Samples:
    """Generated images, uint8 (N, C, H, W), with the latents (N, Z) and, on labels, the labels (N,) they came from."""

    images: np.ndarray
    latents: np.ndarray
    seed: int | None = None
    labels: np.ndarray | None = None
    columns: int | None = None
    digest: str = ""

    def __len__(self) -> int:
        return len(self.images)

    def save(self, path: str | Path) -> Path:
        """Writes a sheet (.png, .webp, .jpg), arrays (.npz) or, without a suffix, a folder of PNG files.

        A full disk or Ctrl-C leaves what was there.
        Raises UserError as :func:`check_target` does, and OSError when the disk is full.
        """
        from gansmith import render

        path = Path(path)
        check_target(path, len(self))
        with writing(path) as fresh:
            if path.suffix == ".npz":
                known: dict[str, Any] = {} if self.labels is None else {"labels": self.labels}
                known |= {"generator": np.array(self.digest)} if self.digest else {}
                np.savez_compressed(fresh, images=self.images, latents=self.latents, **known)
            elif path.suffix:
                self.sheet().save(fresh)
            else:
                fresh.mkdir()
                for index, image in enumerate(self.images):
                    render.picture(image).save(fresh / f"{index:06d}.png", compress_level=1)
        return path

    def sheet(self) -> "render.Image":
        """All images on one sheet; where labels cycle, in columns of one class."""
        from gansmith import render

        return render.sheet(self.images, columns=self.columns)

    def _repr_png_(self) -> bytes:
        from gansmith import render

        return render.png(self.sheet())


@dataclass
class Generator:
    """A generator ready to sample: its network in inference mode and its recipe.

    With precision "bf16" a DCGAN's images are made nearly twice as fast where the device multiplies bf16 fast; pixels
    differ by some grey levels.
    """

    network: nn.Module
    recipe: Recipe
    classes: Sequence[str] = ()
    about: dict[str, object] = field(default_factory=dict)
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        self.network.eval()
        if self.recipe.statistics == "batch":
            for layer in self.network.modules():
                if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                    layer.train()
                    layer.momentum = 0.0  # the stored averages stay as they are

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.network.parameters()).device

    @cached_property
    def chunk(self) -> int:
        """How many images are computed at once."""
        dense = all(parameter.dim() <= 2 for parameter in self.network.parameters())
        return DENSE_CHUNK if dense and self.recipe.statistics != "batch" else CHUNK

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the recipe and the weights, 64 hex digits: what saved vectors name.

        The averages of batch norm count where training made them, not where they are settled from the weights.
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
        """Latents (n, Z) of samples start .. start + n of ``seed``."""
        return latents(self.recipe.noise, seed=seed, start=start, count=n)

    def label(self, name: str | int) -> int:
        """The label that a class's name, or else its number, means.

        Raises UserError in one line when this generator was trained without labels, or has no such class.
        """
        if not self.recipe.classes:
            raise UserError(
                f"label {name}: this generator was trained without labels; `gansmith find RUN --label {name}` looks "
                "for noise that makes the class, `gansmith train --conditional` trains on labels"
            )
        return class_of(name, self.classes or [str(number) for number in range(self.recipe.classes)])

    @torch.no_grad()
    def images(
        self,
        z: Tensor,
        labels: Sequence[int] | np.ndarray | Tensor | None = None,
        *,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Latents (N, Z) -> uint8 (N, C, S, S); an image depends on its own latent alone (statistics "batch" apart).

        Args:
            z: the latents.
            labels: a conditional generator's classes (N,), each in 0 .. K - 1; without them row i has class i mod K.
            progress: told after two seconds how it gets on.

        Raises UserError in one line for latents or labels of another kind.
        """
        if z.dim() != 2 or z.shape[1] != self.recipe.noise.size:
            raise UserError(f"latents have shape {tuple(z.shape)}; this generator takes (N, {self.recipe.noise.size})")
        given = self._labels(labels, len(z))
        shape = (len(z), self.recipe.channels, self.recipe.size, self.recipe.size)
        images = np.empty(shape, np.uint8)
        tick = Ticker(progress, "images", len(z))
        chunk = self.chunk
        for start in range(0, len(z), chunk):
            part, asked = (_filled(rows, start, chunk) for rows in (z, given))
            assert part is not None
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                output = generate(self.network, part.to(self.device), None if asked is None else asked.to(self.device))
            images[start : start + chunk] = to_uint8(output[: len(z) - start], self.recipe.pixels)
            tick(min(start + chunk, len(z)))
        return images

    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        start: int = 0,
        label: str | int | Sequence[str | int] | None = None,
        progress: Progress | None = None,
    ) -> Samples:
        """Images start .. start + n of the endless sequence of ``seed``.

        Args:
            n: how many.
            seed: which sequence.
            start: its first image.
            label: what a conditional generator is to make: a class by name or number, or several that take turns.
                Without it all take turns: image i has class i mod K.
            progress: told after two seconds how it gets on.

        Raises UserError for n outside 1 .. 10,000,000, a negative seed or start, or a label that it does not know.
        """
        if not 1 <= n <= MAX_IMAGES:
            raise UserError(f"{n} images: ask for 1 to {MAX_IMAGES:,}")
        if seed < 0 or start < 0:
            raise UserError(f"seed {seed}, start {start}: neither may be negative")
        asked = [label] if isinstance(label, str | int) else label
        turns = torch.tensor([self.label(name) for name in asked] if asked else range(self.recipe.classes))
        first, end = start, start + n
        if self.recipe.statistics == "batch":  # whole chunks: neighbours matter
            first, end = start // self.chunk * self.chunk, -(-(start + n) // self.chunk) * self.chunk
        z = self.latents(end - first, seed=seed, start=first)
        given = turns[labels(len(turns), start=first, count=end - first)] if len(turns) else None
        wanted = slice(start - first, start - first + n)
        return Samples(
            self.images(z, given, progress=progress)[wanted],
            z[wanted].numpy(),
            seed,
            None if given is None else given[wanted].numpy(),
            columns(len(turns), n) if 1 < len(turns) <= 16 and not start % len(turns) else None,
            self.digest,
        )

    def _labels(self, given: Sequence[int] | np.ndarray | Tensor | None, count: int) -> Tensor | None:
        """Labels (count,) int64 for as many latents; None for a generator without."""
        classes = self.recipe.classes
        if given is None:
            return labels(classes, count=count) if classes else None
        if not classes:
            raise UserError("labels: this generator was trained without them; leave them out")
        checked = torch.as_tensor(given, device="cpu")
        known = (checked >= 0) & (checked < classes)
        if checked.shape != (count,) or checked.is_floating_point() or not bool(known.all()):
            raise UserError(f"labels {tuple(checked.shape)}: give {count} whole numbers from 0 to {classes - 1}")
        return checked.long()

    def _repr_png_(self) -> bytes:
        return self.sample(32)._repr_png_()

    def save_pretrained(self, folder: str | Path) -> Path:
        """Writes model.safetensors, config.json and a README card, as model hubs lay them out."""
        folder = Path(folder)
        write_tensors(folder / "model.safetensors", self.network.state_dict())
        config = {
            "format": FORMAT,
            "library": "gansmith",
            "recipe": self.recipe.model_dump(mode="json"),
            "classes": list(self.classes),
            "about": self.about,
        }
        write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
        write_text(folder / "README.md", _card(self))
        return folder

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "Generator":
        """Reads what :meth:`save_pretrained` wrote. Raises UserError in one line for anything else."""
        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder}: no generator here (config.json is missing)")
        try:
            config = read_json(folder / "config.json")
            if config.get("format") != FORMAT:
                raise UserError(f"format {config.get('format')}; this gansmith reads format {FORMAT}")
            recipe = parse(config.get("recipe", {}))
            network = recipes.generator(recipe)
            network.load_state_dict(read_tensors(folder / "model.safetensors"))
        except RuntimeError:
            raise UserError(f"{folder}: the weights do not fit recipe {recipe.name}") from None
        except UserError as error:
            raise UserError(f"{folder}: the generator cannot be read ({error})") from None
        classes, about = config.get("classes"), config.get("about")
        return cls(
            network,
            recipe,
            [str(name) for name in classes] if isinstance(classes, list) else (),
            about if isinstance(about, dict) else {},
        )


def _filled(rows: Tensor | None, start: int, count: int) -> Tensor | None:
    """Rows start .. start + count; where there are fewer, the last one is repeated."""
    if rows is None:
        return None
    part = rows[start : start + count]
    return torch.cat([part, part[-1:].expand(count - len(part), *part.shape[1:])]) if len(part) < count else part


def snapshot(network: nn.Module, recipe: Recipe, *, settle_on: int = 4096) -> Generator:
    """A sampling copy of a generator in training, which is left untouched.

    Args:
        network: the generator.
        recipe: says whether its batch-norm statistics are to be settled.
        settle_on: how many latents to settle them on.
    """
    replica = copy.deepcopy(network)
    if recipe.statistics == "settled":
        settle(replica, recipe.noise, count=settle_on)
    return Generator(replica, recipe)


def _card(generator: Generator) -> str:
    recipe = generator.recipe
    about = "\n".join(f"- {name}: {value}" for name, value in generator.about.items())
    return (
        f"---\nlibrary_name: gansmith\ntags: [gan, image-generation]\n---\n\n# {recipe.name} generator\n\n"
        f"{recipe.channels}x{recipe.size}x{recipe.size} images from {recipe.noise.size} {recipe.noise.distribution} "
        f"latents{f' and {recipe.classes} labels' if recipe.classes else ''}, made with gansmith.\n\n{about}\n\n"
        f"```python\nimport gansmith as gs\n\n"
        f'gs.load("path/to/this/folder").sample(64, seed=0).save("sheet.png")\n```\n'
    )
