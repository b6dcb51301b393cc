"""A trained generator: seed and index -> image, the same for every batch size and number of workers."""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gansmith import recipes, render
from gansmith.checkpoint import read_tensors, write_tensors
from gansmith.recipe import Noise, Recipe, parse
from gansmith.run import read_json, remove, write_text

CHUNK = 64  # images computed at once, always: equal shapes make equal bits, so an image never depends on the request
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


def to_uint8(images: Tensor, pixels: tuple[float, float]) -> np.ndarray:
    """Images within ``pixels`` (black, white) -> uint8 (N, C, H, W), rounded; what lies outside is clipped."""
    black, white = pixels
    scaled = (images.float() - black) * (255 / (white - black))
    return scaled.round().clamp(0, 255).to(torch.uint8).cpu().numpy()


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
    for start in range(0, count, 256):
        network(latents(noise, seed=0x5E771E, start=start, count=256).to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def check_target(path: Path, count: int) -> None:
    """Whether ``count`` images can be saved as ``path``, before they are made.

    Raises ValueError for a suffix that says nothing, a folder that already holds something, or too large a sheet.
    """
    suffix = path.suffix.lower()
    if suffix in SHEETS:
        if count > MAX_ON_SHEET:
            raise ValueError(f"{path}: a sheet holds up to {MAX_ON_SHEET:,} images; for {count:,} use .npz or a folder")
    elif suffix and suffix != ".npz":
        raise ValueError(f"{path}: cannot write {path.suffix}; use .png, .webp, .jpg, .npz or a folder's name")
    if suffix and path.is_dir():
        raise ValueError(f"{path}: is a folder; name a file in it")
    if not suffix and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"{path}: is in the way; name a new or empty folder")


@dataclass(frozen=True)
class Samples:
    """Generated images, uint8 (N, C, H, W), with the latents (N, Z) they came from."""

    images: np.ndarray
    latents: np.ndarray
    seed: int | None = None

    def __len__(self) -> int:
        return len(self.images)

    def save(self, path: str | Path) -> Path:
        """Writes a sheet (.png, .webp, .jpg), arrays (.npz) or, without a suffix, a folder of PNG files.

        Beside its place first, then renamed: a full disk or Ctrl-C leaves what was there.
        Raises ValueError as :func:`check_target` does, and OSError when the disk is full.
        """
        path = Path(path)
        check_target(path, len(self))
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".writing-{path.name}")
        try:
            if path.suffix == ".npz":
                with fresh.open("wb") as file:
                    np.savez_compressed(file, images=self.images, latents=self.latents)
            elif path.suffix:
                self.sheet().save(fresh)
            else:
                fresh.mkdir()
                for index, image in enumerate(self.images):
                    render.picture(image).save(fresh / f"{index:06d}.png", compress_level=1)
                if path.exists():
                    path.rmdir()
            fresh.replace(path)
        except BaseException:
            remove(fresh)
            raise
        return path

    def sheet(self) -> render.Image:
        """All images on one sheet."""
        return render.sheet(self.images)

    def _repr_png_(self) -> bytes:
        return render.png(self.sheet())


@dataclass
class Generator:
    """A generator ready to sample: its network in inference mode and its recipe."""

    network: nn.Module
    recipe: Recipe
    classes: Sequence[str] = ()
    about: dict[str, object] = field(default_factory=dict)

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

    def latents(self, n: int, *, seed: int = 0, start: int = 0) -> Tensor:
        """Latents (n, Z) of samples start .. start + n of ``seed``."""
        return latents(self.recipe.noise, seed=seed, start=start, count=n)

    @torch.no_grad()
    def images(self, z: Tensor) -> np.ndarray:
        """Latents (N, Z) -> uint8 (N, C, S, S); an image depends on its own latent alone (statistics "batch" apart)."""
        if z.dim() != 2 or z.shape[1] != self.recipe.noise.size:
            raise ValueError(f"latents have shape {tuple(z.shape)}; this generator takes (N, {self.recipe.noise.size})")
        shape = (len(z), self.recipe.channels, self.recipe.size, self.recipe.size)
        images = np.empty(shape, np.uint8)
        for start in range(0, len(z), CHUNK):
            part = z[start : start + CHUNK]
            full = torch.cat([part, part[-1:].expand(CHUNK - len(part), -1)]) if len(part) < CHUNK else part
            output = self.network(full.to(self.device))
            images[start : start + CHUNK] = to_uint8(output[: len(part)], self.recipe.pixels)
        return images

    def sample(self, n: int = 64, *, seed: int = 0, start: int = 0) -> Samples:
        """Images start .. start + n of the endless sequence of ``seed``.

        Raises ValueError for n outside 1 .. 10,000,000 or a negative seed or start.
        """
        if not 1 <= n <= MAX_IMAGES:
            raise ValueError(f"{n} images: ask for 1 to {MAX_IMAGES:,}")
        if seed < 0 or start < 0:
            raise ValueError(f"seed {seed}, start {start}: neither may be negative")
        if self.recipe.statistics != "batch":
            z = self.latents(n, seed=seed, start=start)
            return Samples(self.images(z), z.numpy(), seed)
        first, end = start // CHUNK * CHUNK, -(-(start + n) // CHUNK) * CHUNK  # whole chunks: neighbours matter
        z = self.latents(end - first, seed=seed, start=first)
        wanted = slice(start - first, start - first + n)
        return Samples(self.images(z)[wanted], z[wanted].numpy(), seed)

    def _repr_png_(self) -> bytes:
        return self.sample(32)._repr_png_()

    def save_pretrained(self, folder: str | Path) -> Path:
        """Writes model.safetensors, config.json and a README card, as model hubs lay them out."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / ".writing-model.safetensors"
        write_tensors(fresh, self.network.state_dict())
        fresh.replace(folder / "model.safetensors")
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
        """Reads what :meth:`save_pretrained` wrote. Raises ValueError in one line for anything else."""
        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder}: no generator here (config.json is missing)")
        try:
            config = read_json(folder / "config.json")
            if config.get("format") != FORMAT:
                raise ValueError(f"format {config.get('format')}; this gansmith reads format {FORMAT}")
            recipe = parse(config.get("recipe", {}))
            network = recipes.generator(recipe)
            network.load_state_dict(read_tensors(folder / "model.safetensors"))
        except RuntimeError:
            raise ValueError(f"{folder}: the weights do not fit recipe {recipe.name}") from None
        except ValueError as error:
            raise ValueError(f"{folder}: the generator cannot be read ({error})") from None
        classes, about = config.get("classes"), config.get("about")
        return cls(
            network,
            recipe,
            [str(name) for name in classes] if isinstance(classes, list) else (),
            about if isinstance(about, dict) else {},
        )


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
        f"latents, made with gansmith.\n\n{about}\n\n```python\nimport gansmith as gs\n\n"
        f'gs.load("path/to/this/folder").sample(64, seed=0).save("sheet.png")\n```\n'
    )
