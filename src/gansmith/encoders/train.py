"""Training an encoder: labelled images in, an Encoder with its accuracy on other images out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from gansmith.data import Dataset, naming
from gansmith.encoders.encoder import Encoder
from gansmith.encoders.file import Card, Test, stored
from gansmith.encoders.network import (
    MIN_SIDE,
    MOST_CLASSES,
    Architecture,
    Network,
    channels_last,
    converted,
    fitted,
    folded,
    own_shape,
    pools_for,
)
from gansmith.errors import UserError
from gansmith.nn.isolation import isolated, only_training
from gansmith.progress import Progress

BATCH = 250
MINIMUM_PER_CLASS = 4
"""Fewer images of a class cannot be split into some to train on and some to test on."""
MOST_IMAGES = 200_000
"""Images that are held in memory at most."""
Labelled = tuple[np.ndarray, NDArray[np.int64]]
_STATISTICS_OF = 20_000
"""Images that the batch-norm statistics of the finished encoder are of."""


@dataclass(frozen=True)
class Settings:
    """What decides the training of an encoder, beside data and seed."""

    widths: tuple[int, ...] = (32, 64, 96, 96)
    kernel: int = 3
    dimensions: int = 96
    images: int = 0
    """Images to train on in all, counting repeats; 0 for 20 times each, but at least 8,000 and at most 1,200,000."""
    rate: float = 3e-3
    """Peak learning rate of AdamW; it rises over the first fifth and falls to 0 as a cosine."""
    decay: float = 0.05
    """Weight decay."""
    smoothing: float = 0.02
    """Label smoothing: the share of each label that is spread over all classes."""
    rotation: float = 10.0
    """Largest random rotation in degrees, either way."""
    zoom: float = 0.1
    """Largest share by which height and width grow or shrink, independently."""
    shift: float = 0.08
    """Largest shift, as a share of the side."""
    flip: bool = False
    """Whether half of the images are mirrored left to right."""
    cutout: float = 0.0
    """Side of a square that is blacked out, as a share of the image's."""


_GENERAL = Settings()
_GENERAL_JUDGE = Settings(widths=(40, 64, 96), kernel=5, dimensions=64)
_FASHION = {"rotation": 0.0, "zoom": 0.0, "flip": True, "cutout": 0.3, "smoothing": 0.05}
SHIPPED = {
    "mnist": Settings(widths=(32, 48, 64, 96), images=600_000),
    "mnist-judge": replace(_GENERAL_JUDGE, images=480_000),
    "fashion-mnist": Settings(images=1_500_000, **_FASHION),  # type: ignore[arg-type]
    "fashion-mnist-judge": replace(_GENERAL_JUDGE, images=1_200_000, **_FASHION),  # type: ignore[arg-type]
}
"""Of the shipped encoders; other data take the general ones."""


def settings_for(name: str, *, judge: bool, count: int) -> Settings:
    """The settings for a data set of this name with ``count`` training images."""
    general = _GENERAL_JUDGE if judge else _GENERAL
    settings = SHIPPED.get(f"{name}-judge" if judge else name, general)
    return settings if settings.images else replace(settings, images=min(max(20 * count, 8_000), 1_200_000))


def held_out(labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Which images (N,) to test on where there is no test split: a tenth of each class, at least one."""
    chosen = np.zeros(len(labels), bool)
    random = np.random.default_rng(seed)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        chosen[members[: max(1, len(members) // 10)]] = True
    return chosen


def split(train: Dataset, test: Dataset | None, seed: int) -> tuple[Labelled, Labelled]:
    """(images, labels) to train on, and others to test on: the test split, or else a tenth of the training split.

    Images are as large as an encoder takes them; of more than 200,000, a random choice. Raises UserError for a test
    split without labels.
    """
    if test is not None:
        if test.labels is None:
            raise UserError(f"{train.name}: its test split has no labels; give labels for both splits, or for one")
        return _labelled(train, np.ones(len(train), bool), seed), _labelled(test, np.ones(len(test), bool), seed)
    assert train.labels is not None
    chosen = held_out(train.labels, seed)
    return _labelled(train, ~chosen, seed), _labelled(train, chosen, seed)


def _labelled(dataset: Dataset, chosen: NDArray[np.bool_], seed: int) -> Labelled:
    assert dataset.labels is not None
    rows = np.flatnonzero(chosen)
    if len(rows) > MOST_IMAGES:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_IMAGES, replace=False))
    parts = [fitted(dataset.take(rows[start : start + 1000])) for start in range(0, len(rows), 1000)]
    return np.concatenate(parts), dataset.labels[rows]


def check(labels: NDArray[np.int64] | None, classes: Sequence[str], name: str) -> None:
    """Raises UserError, in one line, if an encoder cannot be trained on images of these labels."""
    if labels is None:
        raise UserError(f"{name}: has no labels; {naming.LABELS}, or measure with control")
    counts = np.bincount(labels, minlength=len(classes))
    if np.count_nonzero(counts) < 2:
        raise UserError(f"{name}: has only one class; an encoder needs two or more")
    if len(classes) > MOST_CLASSES:
        raise UserError(f"{name}: has {len(classes):,} classes; an encoder has {MOST_CLASSES:,} at most")
    poor = [(int(count), each) for count, each in zip(counts, classes, strict=True) if count < MINIMUM_PER_CLASS]
    if poor:
        count, each = min(poor)
        raise UserError(
            f"{name}: only {count} images of class {each!r}; give {MINIMUM_PER_CLASS} or more of each class"
        )


@isolated()
@only_training()
def train(
    images: np.ndarray,
    labels: NDArray[np.int64],
    test_images: np.ndarray,
    test_labels: NDArray[np.int64],
    *,
    name: str,
    classes: Sequence[str],
    settings: Settings,
    seed: int = 0,
    fingerprint: str | None = None,
    bf16: bool = False,
    progress: Progress | None = None,
) -> Encoder:
    """Trains an encoder and measures its accuracy on the test images, in the form in which it is stored.

    The test images decide nothing: the length is fixed, and the last weights are kept.

    Args:
        images: uint8 (N, C, H, W) to train on.
        labels: (N,) indices into ``classes``.
        test_images: uint8 (M, C, H, W), others.
        test_labels: (M,).
        name: of the encoder: lower case letters, digits and hyphens.
        classes: their names.
        settings: architecture, length and augmentation.
        seed: decides initial weights, order and augmentation.
        fingerprint: of the training data, kept in the card.
        bf16: whether to multiply in bfloat16, where the machine does that faster; weights are stored alike.
        progress: called after each batch.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        architecture = _architecture(images, settings, len(classes))
        network = channels_last(Network(architecture, norm=True)).train()
        random = torch.Generator().manual_seed(seed)
        _fit(network, images, labels, settings, random, bf16=bf16, progress=progress)
        _set_statistics(network, images)
    final = folded(network)
    final.load_state_dict({key: tensor.float() for key, tensor in stored(final).items()})  # as a file holds them
    training = {**{key: _plain(value) for key, value in asdict(settings).items()}, "seed": seed, "batch": BATCH}
    card = Card(
        name=name,
        classes=tuple(classes),
        architecture=architecture,
        trained_on=fingerprint,
        training={**training, "precision": "bf16" if bf16 else "fp32", "distinct_images": len(images)},
    ).with_digest(final)
    encoder = Encoder(card, final)
    correct = int(np.sum(encoder.encode(test_images).labels == test_labels))
    return Encoder(card.model_copy(update={"test": Test(images=len(test_labels), correct=correct)}), encoder.network)


def _plain(value: object) -> str | int | float | bool:
    return value if isinstance(value, int | float | bool) else str(value)


def _architecture(images: np.ndarray, settings: Settings, classes: int) -> Architecture:
    if min(images.shape[2:]) < MIN_SIDE:
        raise UserError(f"images of shape {images.shape[1:]}: an encoder takes sides of {MIN_SIDE} pixels or more")
    channels, height, width = own_shape((images.shape[1], images.shape[2], images.shape[3]))
    some = images[np.linspace(0, len(images) - 1, min(len(images), 10_000)).astype(int)]
    mean, spread = some.mean() / 255, max(some.std() / 255, 0.01)
    return Architecture(
        channels=channels,
        height=height,
        width=width,
        widths=settings.widths,
        kernel=3 if settings.kernel == 3 else 5,
        pools=pools_for(height, width, len(settings.widths) - 1),
        dimensions=settings.dimensions,
        classes=classes,
        black=round(float(-mean / spread), 6),
        white=round(float((1 - mean) / spread), 6),
    )


def _fit(
    network: Network,
    images: np.ndarray,
    labels: NDArray[np.int64],
    settings: Settings,
    random: torch.Generator,
    *,
    bf16: bool,
    progress: Progress | None,
) -> None:
    batch = min(BATCH, max(2, len(images) // 2))
    steps = max(1, round(settings.images / batch))
    optimizer = torch.optim.AdamW(_groups(network, settings), betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle((step + 1) / steps))
    targets = torch.from_numpy(labels)
    for step, chosen in zip(range(steps), _batches(len(images), batch, random), strict=False):
        pixels = converted(images[chosen.numpy()], network.architecture.shape)
        pixels = augmented(pixels, settings, random).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            _, logits = network(pixels)
        loss = F.cross_entropy(logits.float(), targets[chosen], label_smoothing=settings.smoothing)
        if not math.isfinite(loss.item()):
            raise UserError(f"training the encoder diverged at step {step + 1}; try another `seed`")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress("training the encoder, images", (step + 1) * batch, steps * batch)


def _groups(network: Network, settings: Settings) -> list[dict[str, object]]:
    """Parameter groups: weights decay; biases and shifts do not."""
    trained = [each for each in network.parameters() if each.requires_grad]
    weights = [each for each in trained if each.dim() > 1]
    rest = [each for each in trained if each.dim() <= 1]
    return [
        {"params": weights, "lr": settings.rate, "weight_decay": settings.decay},
        {"params": rest, "lr": settings.rate, "weight_decay": 0.0},
    ]


def one_cycle(progress: float) -> float:
    """Factor of the learning rate at a share of the training in (0, 1]: linear warm-up for a fifth, then a cosine."""
    warm = 0.2
    return progress / warm if progress < warm else 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))


def _batches(count: int, batch: int, random: torch.Generator) -> Iterator[Tensor]:
    """Endless batches of indices: one permutation after another, the incomplete last batch of each dropped."""
    while True:
        order = torch.randperm(count, generator=random)
        yield from order[: count // batch * batch].reshape(-1, batch)


def augmented(images: Tensor, settings: Settings, random: torch.Generator) -> Tensor:
    """Images float32 (N, C, H, W) with random rotation, zoom, shift, flip and cutout; black (0) where nothing was.

    Without rotation and zoom, shifts are by whole pixels, which leaves textures as they are.
    """
    count, _, height, width = images.shape

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, generator=random) - 1

    angle = uniform(count) * math.radians(settings.rotation)
    scale = torch.exp(uniform(count, 2) * math.log1p(settings.zoom))
    sides = torch.tensor([width, height])
    shift = uniform(count, 2) * settings.shift * sides
    if settings.flip:
        scale[:, 0] *= torch.where(torch.rand(count, generator=random) < 0.5, -1.0, 1.0)
    moved = bool(settings.rotation or settings.zoom)
    if not moved:
        shift = shift.round()
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = [cos * scale[:, 0], -sin * scale[:, 1], sin * scale[:, 0], cos * scale[:, 1]]
    turn = torch.stack(rows, 1).reshape(-1, 2, 2)
    grid = F.affine_grid(torch.cat([turn, (2 * shift / sides)[:, :, None]], 2), list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, "bilinear" if moved else "nearest", "zeros", align_corners=False)
    if settings.cutout:
        centre = torch.rand(count, 2, 1, generator=random) * sides[:, None]
        across = (torch.arange(width) + 0.5 - centre[:, 0]).abs() < settings.cutout * width / 2
        down = (torch.arange(height) + 0.5 - centre[:, 1]).abs() < settings.cutout * height / 2
        images = images.masked_fill((down[:, None, :, None] & across[:, None, None, :]), 0.0)
    return images


@torch.no_grad()
def _set_statistics(network: Network, images: np.ndarray) -> None:
    """Computes the batch-norm statistics anew, over training images without augmentation, in float32."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over batches
    some = images[np.linspace(0, len(images) - 1, min(len(images), _STATISTICS_OF)).astype(int)]
    batch = min(BATCH, len(some))
    for start in range(0, len(some) - batch + 1, batch):
        network(converted(some[start : start + batch], network.architecture.shape))
    network.eval()
