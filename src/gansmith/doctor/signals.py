"""Signals: numbers that tell how two networks are doing, taken now and then while they train.

They are taken on the same 256 noise vectors each time, the first 64 those of the sheets (with labels, all classes in
turn), 256 training images and, where the data have a test split, 256 test images, the holdout. Without one, real
images are training images, and whether the discriminator memorises stays open. Everything is computed in inference mode
(with the batch's statistics where the recipe samples so), draws nothing random, and leaves the networks as they were.

Images are compared by random features (:mod:`gansmith.doctor.random_features`), fitted to the run's own data of
whatever kind; real images are compared by the same ones, and only ratios to them count.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from gansmith import data, generator, hardware, recipes
from gansmith.data.kinds import Kinds
from gansmith.doctor import random_features
from gansmith.doctor.random_features import RandomFeatures, unit
from gansmith.errors import UserError
from gansmith.evaluation.real import RealImages
from gansmith.generator import generate
from gansmith.recipe import Recipe
from gansmith.training.events import Probe
from gansmith.training.losses import is_paired
from gansmith.training.step import StepOutput, TrainState, discriminate

BANK = 256  # noise vectors, training images and test images
INTERVALS = (50, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 2000, 5000, 10_000)

MEANINGS: Mapping[str, str] = {
    "distance": "mean distance of two generated images in features, over that of two real ones",
    "sensitivity": "change of the image for a change of the noise, over the distance of two real images",
    "gap": "energy distance of generated from real images in features, over the distance of two real ones",
    "entropy": "entropy of the classes seen in generated images, over that in real ones",
    "least_share": "share of the rarest class among generated images, over its share among real ones",
    "top_class": "index of the class seen most often",
    "top_share": "its share",
    "label_accuracy": "share of generated images that are of the requested class, over that of real ones",
    "kind_purity": "share of training images that are of the commonest class of their kind, where kinds are found in "
    "data with labels that are not told",
    "logit_train": "the discriminator's mean answer to training images",
    "logit_holdout": "the discriminator's mean answer to test images",
    "logit_fake": "the discriminator's mean answer to generated images",
    "logit_spread": "standard deviation of its answers to all of these",
    "accuracy": "share of them that it takes for what they are, real and generated weighing the same",
    "real_loss": "its cross-entropy over these images",
    "generator_gradient": "norm of the generator's gradient in the last step",
    "discriminator_gradient": "norm of the discriminator's gradient in the last step",
    "generator_weight": "norm of all of the generator's weights",
    "discriminator_weight": "norm of all of the discriminator's weights",
    "generator_dead": "share of the generator's units that are off for every image",
    "discriminator_dead": "share of the discriminator's units that are off for every image",
    "contrast": "standard deviation of generated pixels over that of real ones",
    "black": "share of pixels that are black, less that of real images",
    "white": "share of pixels that are white, less that of real images",
    "greys": "share of pixels between black and white, over that of real images",
    "total_variation": "mean difference of neighbouring pixels, over that of real images",
    "high_frequency": "share of the power above half the highest frequency, over that of real images",
    "checkerboard": "power at the highest frequency over its neighbours, over that of real images",
    "closer_to_train": "share of generated images nearer to a training image than to any of as many test images; only "
    "for sets of up to 2,560",
}


@dataclass(frozen=True)
class Bank:
    """What every measurement of a run uses: noise, real images, and what they score."""

    recipe: Recipe
    noise: Tensor  # (256, Z)
    train: Tensor  # (N, C, S, S) in [0, 1]
    holdout: Tensor | None
    features: RandomFeatures
    real: Mapping[str, float]  # the values of real images that ratios are taken to
    real_features: Tensor
    train_features: Tensor
    told: Tensor | None  # (256,) the conditions that the generator is told, where the recipe has any
    labels: Tensor | None  # (256,) the classes that these ask for, where it has classes
    shown: Tensor | None  # (M,) the conditions of all images that the discriminator is shown, where data have some
    shares: Tensor | None  # (K,) of the classes of real images
    purity: float | None  # of the kinds, where they are told in the place of labels
    readable: float  # share of real images whose class is read right
    neighbours_tell: bool  # whether `train` is enough of the training set for its neighbours to mean something


def bank(
    recipe: Recipe,
    dataset: data.Dataset,
    holdout: data.Dataset | None,
    *,
    seed: int,
    device: torch.device,
    kinds: Kinds | None = None,
) -> Bank:
    """Noise and real images for measuring a run of this recipe, data, seed and kinds."""
    features = random_features.fit(dataset, device)
    count = min(BANK, len(dataset), len(holdout) if holdout is not None else BANK)
    train, train_labels = _some(dataset, count, device)
    held, held_labels = (None, None) if holdout is None else _some(holdout, count, device)
    shown = [train_labels, held_labels]
    if kinds is not None:
        chosen = _chosen(dataset, count)
        shown = [torch.from_numpy(kinds.conditions[chosen]).to(device)]
        shown += [] if holdout is None else [torch.from_numpy(kinds.read(holdout, _chosen(holdout, count))).to(device)]
    real, real_labels = (train, train_labels) if held is None else (held, held_labels)
    told = _told(recipe, device)
    real_features = features(real)
    classes, readable, shares = features.classes(real_features), 0.0, None
    if classes is not None and real_labels is not None:
        readable = float((classes == real_labels).float().mean())
        shares = torch.bincount(classes, minlength=len(dataset.classes)).float() / len(classes)
    reference = {
        **picture(real),
        "distance": _pairwise(real_features),
        "pixels": _pairwise(real.flatten(1)),
        "entropy": _entropy(shares),
    }
    return Bank(
        recipe=recipe,
        noise=generator.latents(recipe.noise, seed=seed, count=BANK).to(device),
        train=train,
        holdout=held,
        features=features,
        real=reference,
        real_features=real_features,
        train_features=features(train),
        told=told,
        labels=told // max(1, recipe.kinds) if told is not None and recipe.classes else None,
        shown=None
        if not recipe.labelled or told is None
        else torch.cat([part for part in (*shown, told) if part is not None]),
        shares=shares,
        purity=None if kinds is None or recipe.classes else kinds.purity(dataset),
        readable=readable,
        neighbours_tell=len(train) * 10 >= len(dataset),
    )


def holdout(dataset: data.Dataset, fit: data.Fit) -> data.Dataset | None:
    """The test split of a training set, brought to its size; None where there is none that fits."""
    try:
        return RealImages(dataset, fit).test
    except UserError:  # training can do without
        return None


def probe(
    recipe: Recipe,
    dataset: data.Dataset,
    holdout: data.Dataset | None,
    *,
    seed: int,
    every: int,
    precision: str,
    device: torch.device,
    kinds: Kinds | None = None,
) -> Probe:
    """The probe that training takes: a row of signals every so many steps. Its bank is made for the first row."""

    @functools.cache
    def own_bank() -> Bank:
        return bank(recipe, dataset, holdout, seed=seed, device=device, kinds=kinds)

    def take(state: TrainState, output: StepOutput) -> dict[str, float]:
        return measure(state, own_bank(), precision=precision)

    return Probe("signals", every, take)


@torch.no_grad()
def measure(state: TrainState, bank: Bank, *, precision: str = "fp32") -> dict[str, float]:
    """One row of signals, the finite ones of :data:`MEANINGS`, to six digits."""
    black, white = bank.recipe.pixels
    device = bank.noise.device
    values = {**_gradients("generator", state.generator), **_gradients("discriminator", state.discriminator)}
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        with inference(state.generator, bank.recipe), _dead_units(state.generator) as dead:
            output = generate(state.generator, bank.noise, bank.told).float()
        values["generator_dead"] = dead()
        real = [bank.train] if bank.holdout is None else [bank.train, bank.holdout]
        shown = torch.cat([*((images * (white - black) + black) for images in real), output])
        shown = shown.contiguous(memory_format=torch.channels_last)
        with inference(state.discriminator, None), _dead_units(state.discriminator) as dead:
            logits = discriminate(state.discriminator, shown, bank.shown)[0].float().flatten()
        values["discriminator_dead"] = dead()
    if bank.purity is not None:
        values["kind_purity"] = bank.purity
    values |= _answers(logits, len(bank.train), bank.holdout is not None, bank.recipe.loss)
    values |= of_images(((output - black) / (white - black)).clamp(0, 1), bank)
    return {name: float(f"{value:.6g}") for name, value in values.items() if abs(value) < float("inf")}


@torch.no_grad()
def of_images(fake: Tensor, bank: Bank) -> dict[str, float]:
    """The signals that generated images alone give.

    Args:
        fake: images (N, C, S, S) in [0, 1], made from the first N of the bank's noise.
        bank: the run's.
    """
    real = bank.real
    now = picture(fake)
    features = bank.features(fake)
    between = float(torch.cdist(features, bank.real_features).mean())
    own = _pairwise(features)
    moved = (fake.roll(bank.recipe.conditions or 1, dims=0) - fake).flatten(1).norm(dim=1)
    values = {
        "distance": own / max(real["distance"], 1e-6),
        "sensitivity": float(moved.mean()) / max(real["pixels"], 1e-6),
        "gap": (2 * between - own - real["distance"]) / max(real["distance"], 1e-6),
        "contrast": now["std"] / max(real["std"], 1e-3),
        "black": now["black"] - real["black"],
        "white": now["white"] - real["white"],
        "greys": (1 - now["black"] - now["white"]) / max(1 - real["black"] - real["white"], 0.01),
        "total_variation": now["total_variation"] / max(real["total_variation"], 1e-4),
        "high_frequency": now["high_frequency"] / max(real["high_frequency"], 1e-6),
        "checkerboard": now["checkerboard"] / max(real["checkerboard"], 1e-6),
    }
    classes = bank.features.classes(features)
    if classes is not None and bank.shares is not None:
        values |= _classes(classes, bank)
    if bank.holdout is not None and bank.neighbours_tell:
        to_train, to_holdout = (
            torch.cdist(features, other).amin(dim=1) for other in (bank.train_features, bank.real_features)
        )
        nearer = (to_train < to_holdout).float() + (to_train == to_holdout).float() / 2
        values["closer_to_train"] = float(nearer.mean())
    return values


def picture(images: Tensor) -> dict[str, float]:
    """Statistics of the pixels of images (N, C, S, S) in [0, 1]: spread, limits, roughness, spectrum."""
    across, down = images.diff(dim=3).abs().mean(), images.diff(dim=2).abs().mean()
    spectrum = torch.fft.rfft2(images - images.mean(dim=(2, 3), keepdim=True)).abs().square().mean(dim=(0, 1))
    size = images.shape[-1]
    u = torch.fft.fftfreq(size, device=images.device).abs()[:, None] * 2  # 1 is the highest frequency
    v = torch.fft.rfftfreq(size, device=images.device)[None] * 2
    lines = size // 2 - torch.arange(3)  # rows of the highest frequency that there is, and the two below
    top, *below = [float(spectrum[line].mean() + spectrum[:, line].mean()) for line in lines.tolist()]
    return {
        "std": float(images.std()),
        "black": float((images < 0.5 / 255).float().mean()),
        "white": float((images > 254.5 / 255).float().mean()),
        "total_variation": float(across + down),
        "high_frequency": float(spectrum[(u > 0.5) | (v > 0.5)].sum() / spectrum.sum().clamp_min(1e-12)),
        "checkerboard": 2 * top / max(sum(below), 1e-12),
    }


def interval(recipe: Recipe, *, device: str, precision: str) -> int:
    """Steps between two rows, so that measuring them takes under 2 % of the time.

    A function of recipe and machine kind alone, not of a clock, for the same run must have the same rows.
    """
    seconds = hardware.nominal_seconds(recipes.step_gflop(recipe), device=device, precision=precision)
    row, step = (0.010, 0.0015) if device.startswith("cuda") else (0.014, 0.0)  # a GPU launches kernels first
    passes = 3 / 8 * BANK / recipe.batch_size  # forward through both, against 4 and 8 passes' worth in a step
    ratio = (row + seconds * passes) / (step + seconds)
    return next((every for every in INTERVALS if ratio / every <= 0.017), INTERVALS[-1])


def _answers(logits: Tensor, count: int, held: bool, game: str) -> dict[str, float]:
    """The signals of the discriminator's logits for training, holdout and generated images."""
    real = logits[: count * (2 if held else 1)]
    fake = logits[len(real) :]
    unseen = real[-count:]
    middle = 0.5 if game == "least-squares" else 0.0
    if is_paired(game):  # only differences mean something: the middle is between the two
        middle = float(unseen.mean() + fake.mean()) / 2
        logits, unseen, fake = logits - middle, unseen - middle, fake - middle
        real, middle = real - middle, 0.0
    values = {
        "logit_train": float(real[:count].mean()),
        "logit_fake": float(fake.mean()),
        "logit_spread": float(logits.std()),
        "accuracy": float((unseen > middle).float().mean() + (fake <= middle).float().mean()) / 2,
        "real_loss": float(F.softplus(-unseen).mean() + F.softplus(fake).mean()) / 2,
    }
    return values | ({"logit_holdout": float(unseen.mean())} if held else {})


def _classes(classes: Tensor, bank: Bank) -> dict[str, float]:
    assert bank.shares is not None
    shares = torch.bincount(classes, minlength=len(bank.shares)).float() / len(classes)
    common = bank.shares > 0.2 / len(bank.shares)  # a class that real images hardly show cannot be missed
    values = {
        "entropy": _entropy(shares) / max(bank.real["entropy"], 1e-6),
        "least_share": float((shares[common] / bank.shares[common]).min()),
        "top_class": float(shares.argmax()),
        "top_share": float(shares.max()),
    }
    if bank.labels is not None and bank.readable > 0:
        values["label_accuracy"] = float((classes == bank.labels).float().mean()) / bank.readable
    return values


def _gradients(player: str, network: nn.Module) -> dict[str, float]:
    weights = list(network.parameters())
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    return {
        f"{player}_gradient": float(nn.utils.get_total_norm(gradients)) if gradients else 0.0,
        f"{player}_weight": float(nn.utils.get_total_norm(weights)),
    }


@contextmanager
def inference(network: nn.Module, recipe: Recipe | None) -> Iterator[None]:
    """Holds a network in inference mode, a generator with the batch statistics that its recipe samples with."""
    modes = [(layer, layer.training) for layer in network.modules()]
    network.eval()
    norms = [layer for layer, _ in modes if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    by_batch = norms if recipe is not None and recipe.statistics != "moving" else []
    momenta = [layer.momentum for layer in by_batch]
    averages = [[buffer.clone() for buffer in layer.buffers()] for layer in by_batch]
    for layer in by_batch:
        layer.train()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for norm, momentum, buffers in zip(by_batch, momenta, averages, strict=True):
            norm.momentum = momentum
            for buffer, value in zip(norm.buffers(), buffers, strict=True):
                buffer.copy_(value)


@contextmanager
def _dead_units(network: nn.Module) -> Iterator[Callable[[], float]]:
    """Meanwhile counts the units of rectifying layers that are never above zero: their share of all, when called."""
    off: list[tuple[int, int]] = []

    def note(layer: nn.Module, arguments: object, output: Tensor) -> None:
        units = output.amax(dim=[0, *range(2, output.dim())]) <= 0
        off.append((int(units.sum()), len(units)))

    rectifying = (layer for layer in network.modules() if isinstance(layer, nn.LeakyReLU | nn.ReLU))
    hooks = [layer.register_forward_hook(note) for layer in rectifying]
    try:
        yield lambda: sum(dead for dead, _ in off) / max(1, sum(units for _, units in off))
    finally:
        for hook in hooks:
            hook.remove()


def _some(dataset: data.Dataset, count: int, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """`count` images in [0, 1] chosen with a fixed seed, and their labels."""
    chosen = _chosen(dataset, count)
    labels = None if dataset.labels is None else torch.from_numpy(dataset.labels[chosen]).to(device)
    return unit(dataset.take(chosen), device), labels


def _chosen(dataset: data.Dataset, count: int) -> NDArray[np.int64]:
    return np.random.default_rng(1).permutation(len(dataset))[:count]


def _told(recipe: Recipe, device: torch.device) -> Tensor | None:
    """Conditions (256,): all in turn, so that equal ones are a known distance apart, or some of many."""
    if 0 < recipe.conditions <= BANK // 2:
        return torch.arange(BANK, device=device) % recipe.conditions
    told = generator.conditions(recipe, count=BANK)
    return None if told is None else told.to(device)


def _pairwise(rows: Tensor) -> float:
    """Mean Euclidean distance of two different rows."""
    return float(torch.cdist(rows, rows).sum()) / max(1, len(rows) * (len(rows) - 1))


def _entropy(shares: Tensor | None) -> float:
    return 0.0 if shares is None else float(torch.special.entr(shares).sum())
