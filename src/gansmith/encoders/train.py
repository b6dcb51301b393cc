"""How an encoder is trained: labelled images in, an Encoder with its accuracy on other images out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from gansmith.encoders.encoder import Encoder, Progress
from gansmith.encoders.file import Card, Test, stored
from gansmith.encoders.network import (
    MIN_SIDE,
    MOST_CLASSES,
    Architecture,
    Network,
    channels_last,
    converted,
    folded,
    own_shape,
    pools_for,
)
from gansmith.errors import UserError

BATCH = 250
MINIMUM_PER_CLASS = 4
"""Fewer images than this of a class cannot be split into some to learn from and some to be tested on."""
_SETTLE_ON = 20_000


@dataclass(frozen=True)
class Course:
    """What decides a training beside data and seed."""

    widths: tuple[int, ...] = (32, 64, 96, 96)
    kernel: int = 3
    dimensions: int = 96
    images: int = 0
    """Images seen in all, counting repeats; 0: 20 times each, but at least 8,000 and at most 1,200,000."""
    rate: float = 3e-3
    """AdamW's highest learning rate; it rises over the first fifth and falls to 0 as a cosine."""
    decay: float = 0.05
    smoothing: float = 0.02
    """Share of each label given to all classes alike."""
    rotation: float = 10.0
    """Degrees, either way."""
    zoom: float = 0.1
    """Share by which height and width grow or shrink, each for itself."""
    shift: float = 0.08
    """Share of the side, any way."""
    flip: bool = False
    """Mirror half of the images left to right."""
    cutout: float = 0.0
    """Side of a square that is blackened, as a share of the image's."""


_GENERAL = Course()
_GENERAL_JUDGE = Course(widths=(40, 64, 96), kernel=5, dimensions=64)
_FASHION = {"rotation": 0.0, "zoom": 0.0, "flip": True, "cutout": 0.3, "smoothing": 0.05}
COURSES = {
    "mnist": Course(widths=(32, 48, 64, 96), images=600_000),
    "mnist-judge": replace(_GENERAL_JUDGE, images=480_000),
    "fashion-mnist": Course(images=1_500_000, **_FASHION),  # type: ignore[arg-type]
    "fashion-mnist-judge": replace(_GENERAL_JUDGE, images=1_200_000, **_FASHION),  # type: ignore[arg-type]
}
"""Those of the shipped encoders; other data take a general one."""


def course_for(name: str, *, judge: bool, count: int) -> Course:
    """The course for a data set of this name with ``count`` training images."""
    general = _GENERAL_JUDGE if judge else _GENERAL
    course = COURSES.get(f"{name}-judge" if judge else name, general)
    return course if course.images else replace(course, images=min(max(20 * count, 8_000), 1_200_000))


def held_out(labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Which images (N,) to test on where the data has no test split: a tenth of each class, at least one."""
    chosen = np.zeros(len(labels), bool)
    random = np.random.default_rng(seed)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        chosen[members[: max(1, len(members) // 10)]] = True
    return chosen


def check(labels: NDArray[np.int64] | None, classes: Sequence[str], name: str) -> None:
    """Raises UserError, in one line, if an encoder cannot be trained on images of these labels."""
    if labels is None:
        raise UserError(f"{name}: has no labels; put the images in one sub-folder per class, or measure with control")
    counts = np.bincount(labels, minlength=len(classes))
    if np.count_nonzero(counts) < 2:
        raise UserError(f"{name}: has only one class; an encoder learns to tell two or more apart")
    if len(classes) > MOST_CLASSES:
        raise UserError(f"{name}: has {len(classes):,} classes; an encoder tells {MOST_CLASSES:,} apart at most")
    poor = [(int(count), each) for count, each in zip(counts, classes, strict=True) if count < MINIMUM_PER_CLASS]
    if poor:
        count, each = min(poor)
        raise UserError(
            f"{name}: only {count} images of class {each!r}; give {MINIMUM_PER_CLASS} or more of each class"
        )


def train(
    images: np.ndarray,
    labels: NDArray[np.int64],
    test_images: np.ndarray,
    test_labels: NDArray[np.int64],
    *,
    name: str,
    classes: Sequence[str],
    course: Course,
    seed: int = 0,
    fingerprint: str | None = None,
    bf16: bool = False,
    progress: Progress | None = None,
) -> Encoder:
    """Trains an encoder and measures, as it will be used, the share of the test images that it names right.

    The test images decide nothing: the course has a fixed length, and the last weights are kept.

    Args:
        images: uint8 (N, C, H, W) to learn from.
        labels: (N,) indices into ``classes``.
        test_images: uint8 (M, C, H, W), others.
        test_labels: (M,).
        name: of the encoder: lower case letters, digits and hyphens.
        classes: their names.
        course: architecture, length and augmentation.
        seed: decides initial weights, order and augmentation.
        fingerprint: of the training data, kept in the card.
        bf16: multiply in bfloat16, where the machine does that faster. Stored and used weights are not affected.
        progress: hears after each batch.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        architecture = _architecture(images, course, len(classes))
        network = channels_last(Network(architecture, norm=True)).train()
        random = torch.Generator().manual_seed(seed)
        _learn(network, images, labels, course, random, bf16=bf16, progress=progress)
        _settle(network, images)
    used = folded(network)
    used.load_state_dict({key: tensor.float() for key, tensor in stored(used).items()})
    training = {**{key: _plain(value) for key, value in asdict(course).items()}, "seed": seed, "batch": BATCH}
    card = Card(
        name=name,
        classes=tuple(classes),
        architecture=architecture,
        trained_on=fingerprint,
        training={**training, "precision": "bf16" if bf16 else "fp32", "distinct_images": len(images)},
    ).with_digest(used)
    encoder = Encoder(card, used)
    correct = int(np.sum(encoder.encode(test_images).labels == test_labels))
    return Encoder(card.model_copy(update={"test": Test(images=len(test_labels), correct=correct)}), encoder.network)


def _plain(value: object) -> str | int | float | bool:
    return value if isinstance(value, int | float | bool) else str(value)


def _architecture(images: np.ndarray, course: Course, classes: int) -> Architecture:
    if min(images.shape[2:]) < MIN_SIDE:
        raise UserError(f"images of shape {images.shape[1:]}: an encoder takes sides of {MIN_SIDE} pixels or more")
    channels, height, width = own_shape((images.shape[1], images.shape[2], images.shape[3]))
    some = images[np.linspace(0, len(images) - 1, min(len(images), 10_000)).astype(int)]
    mean, spread = some.mean() / 255, max(some.std() / 255, 0.01)
    return Architecture(
        channels=channels,
        height=height,
        width=width,
        widths=course.widths,
        kernel=3 if course.kernel == 3 else 5,
        pools=pools_for(height, width, len(course.widths) - 1),
        dimensions=course.dimensions,
        classes=classes,
        black=round(float(-mean / spread), 6),
        white=round(float((1 - mean) / spread), 6),
    )


def _learn(
    network: Network,
    images: np.ndarray,
    labels: NDArray[np.int64],
    course: Course,
    random: torch.Generator,
    *,
    bf16: bool,
    progress: Progress | None,
) -> None:
    batch = min(BATCH, max(2, len(images) // 2))
    steps = max(1, round(course.images / batch))
    optimizer = torch.optim.AdamW(_groups(network, course), betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle((step + 1) / steps))
    targets = torch.from_numpy(labels)
    for step, chosen in zip(range(steps), _batches(len(images), batch, random), strict=False):
        pixels = converted(images[chosen.numpy()], network.architecture.shape)
        pixels = augmented(pixels, course, random).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            _, logits = network(pixels)
        loss = F.cross_entropy(logits.float(), targets[chosen], label_smoothing=course.smoothing)
        if not math.isfinite(loss.item()):
            raise UserError(f"training the encoder diverged at step {step + 1}; try another `seed`")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress("training the encoder, images seen", (step + 1) * batch, steps * batch)


def _groups(network: Network, course: Course) -> list[dict[str, object]]:
    """Weights decay; biases and shifts do not."""
    trained = [each for each in network.parameters() if each.requires_grad]
    weights = [each for each in trained if each.dim() > 1]
    rest = [each for each in trained if each.dim() <= 1]
    return [
        {"params": weights, "lr": course.rate, "weight_decay": course.decay},
        {"params": rest, "lr": course.rate, "weight_decay": 0.0},
    ]


def one_cycle(progress: float) -> float:
    """Factor of the learning rate at a share of the training in (0, 1]: up in a line for a fifth, down as a cosine."""
    warm = 0.2
    return progress / warm if progress < warm else 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))


def _batches(count: int, batch: int, random: torch.Generator) -> Iterator[Tensor]:
    """Indices (batch,), without end: one permutation after another, what is left over of each dropped."""
    while True:
        order = torch.randperm(count, generator=random)
        yield from order[: count // batch * batch].reshape(-1, batch)


def augmented(images: Tensor, course: Course, random: torch.Generator) -> Tensor:
    """Images float32 (N, C, H, W) moved about as the course says, black (0) where nothing was.

    Shifts alone are by whole pixels, so that textures stay as they are.
    """
    count, _, height, width = images.shape

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, generator=random) - 1

    angle = uniform(count) * math.radians(course.rotation)
    scale = torch.exp(uniform(count, 2) * math.log1p(course.zoom))
    sides = torch.tensor([width, height])
    shift = uniform(count, 2) * course.shift * sides
    if course.flip:
        scale[:, 0] *= torch.where(torch.rand(count, generator=random) < 0.5, -1.0, 1.0)
    moved = bool(course.rotation or course.zoom)
    if not moved:
        shift = shift.round()
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = [cos * scale[:, 0], -sin * scale[:, 1], sin * scale[:, 0], cos * scale[:, 1]]
    turn = torch.stack(rows, 1).reshape(-1, 2, 2)
    grid = F.affine_grid(torch.cat([turn, (2 * shift / sides)[:, :, None]], 2), list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, "bilinear" if moved else "nearest", "zeros", align_corners=False)
    if course.cutout:
        centre = torch.rand(count, 2, 1, generator=random) * sides[:, None]
        across = (torch.arange(width) + 0.5 - centre[:, 0]).abs() < course.cutout * width / 2
        down = (torch.arange(height) + 0.5 - centre[:, 1]).abs() < course.cutout * height / 2
        images = images.masked_fill((down[:, None, :, None] & across[:, None, None, :]), 0.0)
    return images


@torch.no_grad()
def _settle(network: Network, images: np.ndarray) -> None:
    """Batch-norm statistics over training images as they are, in float32."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over batches
    some = images[np.linspace(0, len(images) - 1, min(len(images), _SETTLE_ON)).astype(int)]
    batch = min(BATCH, len(some))
    for start in range(0, len(some) - batch + 1, batch):
        network(converted(some[start : start + batch], network.architecture.shape))
    network.eval()
