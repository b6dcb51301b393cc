"""Directions in latent space that change one property of the images, found in four ways and ranked by their effect.

- "pca": GANSpace (Härkönen et al. 2020): principal components of the first layer's activations, regressed back to z.
- "sefa": SeFa (Shen & Zhou 2021): eigenvectors of AᵀA, where A is the first layer's weight.
- "attributes", "classes": ridge regression on z of measured attributes, or of a classifier's scores.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gansmith import markup
from gansmith.errors import DIRECTIONS, UserError
from gansmith.generator import Generator, conditions
from gansmith.generator import latents as latents_of
from gansmith.latent import vectors
from gansmith.latent.attributes import MEASURES, brightness
from gansmith.latent.vectors import Images, Latents, Vectors, steady
from gansmith.nn import ConditionalGenerator
from gansmith.nn.isolation import isolated
from gansmith.progress import Progress, Ticker
from gansmith.recipe import Noise

Method = Literal["pca", "sefa", "attributes", "classes"]
Measures = Mapping[str, Callable[[Images], NDArray[np.floating[Any]]]]

SAMPLES = 1024
"""Latents for which activations are recorded; attributes are measured on twice as many or more."""
BLOCK = 512
"""Images made at once."""
PROBES = 16
"""Latents about which the effect of a direction is measured."""
EACH = 16
"""Images of each class or kind on which attributes are measured, up to 8,192 in all."""
STEP = 1.0
"""How far to each side, in standard deviations of the noise, the effect is measured."""
_SEED = 0xA7E5  # of samples that nothing else uses
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Directions:
    """Directions of one generator, the strongest first."""

    vectors: Latents
    """float32 (K, Z): adding one moves a latent by a standard deviation of the noise."""
    effects: Matrix
    """(K,): root mean square change of the pixels for that move, in grey levels of 0 .. 255."""
    names: tuple[str, ...]
    """K of them, such as "pca 3" or "slant"."""
    fits: tuple[float | None, ...]
    """Of "attributes" and "classes", R²: the share of the property's variance explained on other samples; else None."""
    method: Method
    """How the directions were found."""

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        return f"Directions({self.method}: {', '.join(self.names)})"

    def _repr_html_(self) -> str:
        fits = ["" if fit is None else f"{fit:.2f}" for fit in self.fits]
        effects = [f"{effect:.1f}" for effect in self.effects]
        rows = zip(self.names, effects, fits, strict=True)
        return markup.table(["direction", "effect in grey levels", "R²"], rows)

    def save(self, path: str | Path, generator: Generator) -> Path:
        """Writes a .npz or .safetensors file for :func:`read`. Raises as :func:`gansmith.latent.save` does."""
        empty = Vectors(np.empty((0, 0), np.float32), self.names)
        return vectors.save(path, empty, generator, directions=self.vectors, effects=self.effects.astype(np.float32))


@isolated()
def directions(
    generator: Generator,
    *,
    method: Method = "pca",
    count: int = 8,
    measures: Measures | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Directions:
    """The ``count`` directions of the strongest effect.

    Args:
        generator: whose latents they are; of a conditional one all classes take turns.
        method: how they are found.
        count: how many to keep, 1 to 100.
        measures: for "attributes" and "classes", functions by name that take images uint8 (N, C, S, S) and return (N,);
            the attributes of :mod:`gansmith.latent.attributes` if None.
        seed: which latents effects are measured about.
        progress: called with the images measured, if that takes more than two seconds.

    Raises UserError in one line for a count outside that range, an unknown method, and classes without ``measures``.
    """
    count, noise = DIRECTIONS.check("count", count), generator.recipe.noise
    if method not in get_args(Method):
        raise UserError(f"`method` {method!r}: choose {', '.join(get_args(Method))}")
    still = steady(generator)
    fits: list[float | None]
    if method in ("pca", "sefa"):
        found = (_ganspace if method == "pca" else _sefa)(still)
        found = found[: min(len(found), max(2 * count, 16))]  # those of the largest eigenvalues
        names, fits = [f"{method} {index}" for index in range(len(found))], [None] * len(found)
    else:
        if measures is None and method == "classes":
            raise UserError("directions of classes need a classifier's scores: give measures")
        found, names, fits = _regressed(still, measures or MEASURES, progress)
    units = found / np.linalg.norm(found, axis=1, keepdims=True)
    moves = (_spread(noise) * units).astype(np.float32)
    effects, brighter = _effects(still, moves, seed)
    if method in ("pca", "sefa"):  # these have no sign of their own: towards more ink
        moves *= np.where(brighter < 0, -1, 1)[:, None].astype(np.float32)
    order = np.argsort(-effects, kind="stable")[:count]
    chosen = tuple(names[index] for index in order), tuple(fits[index] for index in order)
    return Directions(np.ascontiguousarray(moves[order]), effects[order], *chosen, method)


def read(path: str | Path, generator: Generator) -> tuple[Latents, Matrix]:
    """Directions (K, Z) and their effects (K,) of a saved file; effects are 0 where the file has none.

    Raises UserError as :func:`gansmith.latent.read` does.
    """
    path = Path(path)
    arrays = vectors.read_arrays(path, generator)
    found, size = arrays.get("directions"), generator.recipe.noise.size
    if found is None:
        raise UserError(f"{path}: holds no directions; make them with `gansmith directions`")
    if found.ndim != 2 or found.shape[1] != size:
        raise UserError(f"{path}: directions have shape {found.shape}; this generator takes (K, {size})")
    effects = arrays.get("effects")
    fits = effects is not None and effects.shape == found.shape[:1]
    return found, np.asarray(effects if fits else np.zeros(len(found)), np.float64)


def direction(text: str, generator: Generator) -> Latents:
    """The direction (Z,) that `d.npz#2` names; `d.npz` names the first, the strongest.

    Raises UserError in one line when there is no such direction.
    """
    path, index = vectors.split_index(text)
    found, _ = read(path, generator)
    if (index or 0) >= len(found):
        raise UserError(f"{text}: there is no direction {index}; {path} holds {len(found)}, counted from 0")
    return np.asarray(found[index or 0], np.float32)


def walk(generator: Generator, base: Vectors, step: Latents, offsets: NDArray[np.floating[Any]]) -> Vectors:
    """The single vector of ``base`` plus ``offsets`` (T,) times ``step`` (Z,): T vectors; offset 0 gives it exactly."""
    latents = base.latents + np.asarray(offsets, np.float32)[:, None] * step
    labels = None if base.labels is None else np.repeat(base.labels, len(offsets))
    return Vectors(latents.astype(np.float32), tuple(f"{offset:+g}" for offset in offsets), labels)


def _spread(noise: Noise) -> float:
    """The standard deviation of a coordinate of the noise."""
    return noise.scale / 3**0.5 if noise.distribution == "uniform" else noise.scale


def _ganspace(generator: Generator) -> Matrix:
    """Directions (K, Z) of method "pca", not normalised, by falling variance of the activations."""
    z = latents_of(generator.recipe.noise, seed=_SEED, count=SAMPLES)
    layers = _layers(generator, z[: generator.chunk])
    first = _first_weight(layers)
    # With no nonlinearity after the layer its outputs are linear in z: then the layer's own.
    after = [layer for layer in layers[layers.index(first) + 1 :] if not _is_weight(layer) and _is_activation(layer)]
    activations = _outputs(generator, after[0] if after else first, z)
    positions = np.arange(SAMPLES) % generator.chunk  # labels start again with every chunk
    classes = positions % max(1, generator.recipe.conditions)  # differences between classes are no direction
    centred, z_centred = (_centred(values, classes) for values in (activations, z.double().numpy()))
    # x_j = scores on the principal components; u_k = argmin sum_j |z_j - u_k x_jk|² (components are uncorrelated)
    values, left = np.linalg.eigh(centred @ centred.T)
    keep = values > values.max() * 1e-9
    scores = (left[:, keep] * np.sqrt(values[keep]))[:, ::-1]
    return np.asarray((scores.T @ z_centred / (scores**2).sum(axis=0)[:, None])[: z.shape[1]])


def _centred(values: Matrix, classes: NDArray[np.int64]) -> Matrix:
    """Rows (N, D) less the mean of their class."""
    means = np.stack([values[classes == each].mean(axis=0) for each in range(int(classes.max()) + 1)])
    return np.asarray(values - means[classes])


def _sefa(generator: Generator) -> Matrix:
    """Directions (Z, Z) of method "sefa", by falling eigenvalue."""
    size = generator.recipe.noise.size
    z = torch.zeros(1, size)
    layers = _layers(generator, z)
    first = _first_weight(layers)
    inputs: list[Tensor] = []
    handle = first.register_forward_pre_hook(lambda layer, given: inputs.append(given[0]))
    try:
        generator.images(z)
    finally:
        handle.remove()
    shape, device = inputs[0].shape[1:], inputs[0].device
    with torch.no_grad():
        # the unit vectors of the noise alone: a label's coordinates come last
        basis = torch.eye(int(np.prod(shape)))[:size].reshape(size, *shape).to(device)
        response = (first(basis) - first(torch.zeros_like(basis[:1]))).flatten(1).double().cpu().numpy()
    _, found = np.linalg.eigh(response @ response.T)
    return np.asarray(found.T[::-1])


def _regressed(
    generator: Generator, measures: Measures, progress: Progress | None
) -> tuple[Matrix, list[str], list[float | None]]:
    """Ridge regression of each measure on z: weights (K, Z), names, and R² on the half of samples not fitted to.

    Of a conditional generator, differences between classes and kinds are left out: no direction explains them.
    """
    noise, told = generator.recipe.noise, generator.recipe.conditions
    count = max(2 * SAMPLES, 8 * noise.size, min(EACH * told, 8 * SAMPLES))
    z, given = latents_of(noise, seed=_SEED, count=count), conditions(generator.recipe, count=count)
    tick = Ticker(progress, "measuring images", count)
    parts = []
    for start in range(0, count, BLOCK):
        rows = slice(start, start + BLOCK)
        parts.append(generator.images(z[rows], None if given is None else given[rows]))
        tick(min(start + BLOCK, count))
    images = np.concatenate(parts)
    half = count // 2
    groups = np.zeros(count, np.int64) if given is None or told > half // 4 else given.numpy()
    halves = np.unique(groups + told * (np.arange(count) >= half), return_inverse=True)[1]
    x = (z.double().numpy() - noise.center) / _spread(noise)
    x = _centred(x, halves) if groups.any() else x
    found, names, fits = [], [], list[float | None]()
    for name, measure in measures.items():
        y = np.asarray(measure(images), np.float64)
        y = _centred(y[:, None], halves)[:, 0] if groups.any() else y - y[:half].mean()
        if y[:half].std() < 1e-9:  # a constant
            continue
        weights = np.linalg.solve(x[:half].T @ x[:half] + noise.size * np.eye(noise.size), x[:half].T @ y[:half])
        rest = y[half:] - x[half:] @ weights
        found.append(weights)
        names.append(name)
        fits.append(float(1 - (rest**2).sum() / max(((y[half:] - y[half:].mean()) ** 2).sum(), 1e-12)))
    if not found:
        raise UserError("directions: all images are the same, so nothing is measured; train the generator further")
    return np.array(found), names, fits


def _effects(generator: Generator, moves: Latents, seed: int) -> tuple[Matrix, Matrix]:
    """Per move (K, Z): root mean square change of the pixels, and change of brightness, (K,) each in grey levels."""
    base = latents_of(generator.recipe.noise, seed=seed, count=PROBES).numpy()
    ends = [(base[None] + sign * STEP * moves[:, None]).reshape(-1, base.shape[1]) for sign in (-1, 1)]
    told = conditions(generator.recipe, count=PROBES)
    labels = None if told is None else np.tile(told.numpy(), len(moves))
    low, high = (generator.images(torch.from_numpy(end), labels) for end in ends)
    apart = (high.astype(np.float64) - low).reshape(len(moves), PROBES, -1)
    effects = np.sqrt((apart**2).mean(axis=2)).mean(axis=1) / (2 * STEP)
    return effects, (brightness(high) - brightness(low)).reshape(len(moves), PROBES).mean(axis=1)


def _layers(generator: Generator, z: Tensor) -> list[nn.Module]:
    """The network's layers without children, in the order in which they run on latents ``z``."""
    network, order = generator.network, list[nn.Module]()
    body = network.body if isinstance(network, ConditionalGenerator) else network
    leaves = [layer for layer in body.modules() if not list(layer.children())]
    handles = [leaf.register_forward_hook(lambda layer, given, made: order.append(layer)) for leaf in leaves]
    try:
        generator.images(z)
    finally:
        for handle in handles:
            handle.remove()
    return order


def _is_weight(layer: nn.Module) -> bool:
    """Whether a layer multiplies by a matrix or a kernel."""
    weight = getattr(layer, "weight", None)
    return isinstance(weight, Tensor) and weight.dim() >= 2


def _first_weight(layers: list[nn.Module]) -> nn.Module:
    """The first layer with a matrix or a kernel."""
    return next(layer for layer in layers if _is_weight(layer))


def _is_activation(layer: nn.Module) -> bool:
    """Whether a layer is a nonlinearity."""
    return isinstance(layer, nn.LeakyReLU | nn.ReLU | nn.Tanh | nn.Sigmoid | nn.SiLU | nn.GELU)


def _outputs(generator: Generator, layer: nn.Module, z: Tensor) -> Matrix:
    """A layer's outputs for latents (N, Z), flattened: float64 (N, D)."""
    parts = list[NDArray[np.float64]]()

    def keep(_: nn.Module, given: Any, made: Tensor) -> None:
        parts.append(made.flatten(1).double().cpu().numpy())
        raise _EnoughError  # the layers after it are most of the work

    handle = layer.register_forward_hook(keep)
    try:
        for start in range(0, len(z), generator.chunk):
            with contextlib.suppress(_EnoughError):
                generator.images(z[start : start + generator.chunk])
    finally:
        handle.remove()
    return np.concatenate(parts)[: len(z)]


class _EnoughError(Exception):
    """Ends a forward pass at the layer whose outputs are wanted."""
