"""Encoders: images -> features and logits, whatever the batch they come in, with a digest that is part of their name.

There are three kinds: the shipped ones for MNIST and Fashion-MNIST, each with a judge, which is a second classifier
that was trained independently; those that users train; and the control, whose weights are random.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.encoders import file
from gansmith.encoders.file import Card
from gansmith.encoders.network import (
    MIN_SIDE,
    Architecture,
    Network,
    blank,
    converted,
    own_shape,
    pools_for,
    randomised,
)
from gansmith.errors import UserError
from gansmith.nn import shares
from gansmith.progress import Progress

__all__ = ["CHUNK", "Encoded", "Encoder", "builtin", "control", "for_data", "judge", "load", "names"]

CHUNK = 128
"""Images computed at once, always: equal shapes make equal bits, so no feature depends on the request."""
SHIPPED = Path(__file__).parent / "weights"
_NAMES = ("mnist", "fashion-mnist")
_CONTROL_KEY = 0xC0117201


@dataclass(frozen=True)
class Encoded:
    """N images as an encoder sees them."""

    features: NDArray[np.float64]
    """(N, D)."""
    logits: NDArray[np.float64] | None
    """(N, K); None if the encoder has no classes."""

    def __len__(self) -> int:
        return len(self.features)

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """The likeliest class of each image (N,); None if there are no classes."""
        return None if self.logits is None else self.logits.argmax(1)


@dataclass(frozen=True, eq=False)
class Encoder:
    """A network in inference mode, with its card."""

    card: Card
    network: Network

    @property
    def name(self) -> str:
        """What it was trained for, such as "mnist"; "control" for the untrained one."""
        return self.card.name

    @property
    def digest(self) -> str:
        """The first 6 hex digits of the SHA-256 over its architecture and weights."""
        return self.card.digest[:6]

    @property
    def full_name(self) -> str:
        """Name and digest, as in a metric's name: "mnist@1a2b3c"."""
        return f"{self.name}@{self.digest}"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of its classes, by the column of the logits; empty if it has none."""
        return self.card.classes

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) that images are brought to before they are encoded."""
        return self.card.architecture.shape

    @property
    def dimensions(self) -> int:
        """D of the features."""
        return self.card.architecture.dimensions

    @property
    def test_accuracy(self) -> float | None:
        """Accuracy on test images, none of which it was trained on; None if untrained."""
        return None if self.card.test is None else self.card.test.correct / self.card.test.images

    @property
    def trained_on(self) -> str | None:
        """Fingerprint of its training data; None if untrained."""
        return self.card.trained_on

    @torch.no_grad()
    def encode(self, images: np.ndarray, *, progress: Progress | None = None) -> Encoded:
        """Features and logits of images uint8 (N, C, H, W), C 1 or 3, any height and width; N may be 0.

        Computed in float32 and returned as float64. An image's features depend on that image alone, not on the others
        of the call. Images of another shape than the encoder's are converted as
        :func:`gansmith.encoders.network.converted` says. ``progress(what, done, total)`` is called after each chunk.
        Raises UserError for anything that is no such array.
        """
        images = _checked(images)
        count, architecture = len(images), self.card.architecture
        device = next(self.network.parameters()).device
        features = np.empty((count, architecture.dimensions))
        logits = np.empty((count, architecture.classes)) if architecture.classes else None
        for start in shares.starts(count, CHUNK):
            part = converted(images[start : start + CHUNK], architecture.shape)
            size = len(part)
            if size < CHUNK:
                part = torch.cat([part, part[-1:].expand(CHUNK - size, -1, -1, -1)])
            some_features, some_logits = self.network(part.contiguous(memory_format=torch.channels_last).to(device))
            features[start : start + size] = some_features[:size].double().cpu().numpy()
            if logits is not None:
                logits[start : start + size] = some_logits[:size].double().cpu().numpy()
            if progress is not None:
                progress(f"encoding with {self.full_name}", min(start + CHUNK, count), count)
        shares.complete([features] if logits is None else [features, logits], CHUNK)
        return Encoded(features, logits)

    def save(self, path: str | Path) -> Path:
        """Writes one .safetensors file, whole or not at all. UserError for another suffix; OSError if it cannot."""
        return file.write(Path(path), self.card, self.network)


def _checked(images: np.ndarray) -> np.ndarray:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        given = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise UserError(f"images to encode are {given}; give a uint8 array (N, 1 or 3, H, W)")
    if images.shape[1] not in (1, 3) or min(images.shape[2:]) < 1:
        raise UserError(f"images to encode have shape {images.shape}; give (N, 1 or 3, H, W)")
    return images


def names() -> tuple[str, ...]:
    """The data sets that encoders are shipped for."""
    return _NAMES


def builtin(name: str) -> Encoder:
    """The shipped encoder for "mnist" or "fashion-mnist". UserError for another name."""
    return _shipped(name, "")


def judge(name: str) -> Encoder:
    """The second classifier of "mnist" or "fashion-mnist", trained independently. UserError for another name."""
    return _shipped(name, "-judge")


def load(path: str | Path) -> Encoder:
    """An encoder's .safetensors file, such as `gansmith encoder train` writes. UserError in one line for all else."""
    return Encoder(*file.read(Path(path)))


@cache
def _shipped(name: str, suffix: str) -> Encoder:
    if name not in _NAMES:
        raise UserError(f"no encoder is shipped for {name}: choose {' or '.join(_NAMES)}, or train one")
    return load(SHIPPED / f"{name}{suffix}.safetensors")


def control(shape: Sequence[int]) -> Encoder:
    """The control: a convolutional network with random weights, always the same for images of a shape (C, H, W).

    It has no classes. A difference that only a trained encoder sees is suspect. Raises UserError for a shape that no
    images have.
    """
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < MIN_SIDE:
        raise UserError(f"shape {tuple(shape)}: give (1 or 3, H, W) with sides of {MIN_SIDE} or more")
    return _control(own_shape((int(shape[0]), int(shape[1]), int(shape[2]))))


@cache
def _control(shape: tuple[int, int, int]) -> Encoder:
    channels, height, width = shape
    architecture = Architecture(
        channels=channels,
        height=height,
        width=width,
        widths=(32, 48, 64, 96),
        pools=pools_for(height, width, 3),
        dimensions=96,
        classes=0,
        black=-1.0,
        white=1.0,
    )
    network = blank(architecture)
    randomised(network, _CONTROL_KEY)
    card = Card(name="control", classes=(), architecture=architecture)
    return Encoder(card.with_digest(network), network)


def for_data(name: str, shape: Sequence[int], classes: Sequence[str]) -> Encoder:
    """The encoder for images of a data set: the shipped one if it was trained on such images, else the control.

    A shipped one is taken for the data set of its name, and for grey data of the same classes whose name begins so
    ("mnist-small"). No shipped encoder has seen images of colour-mnist and stacked-mnist: those get the control.
    """
    for known in _NAMES:
        if name == known or (name.startswith(f"{known}-") and shape[0] == 1):
            encoder = builtin(known)
            if name == known or tuple(classes) == encoder.classes:
                return encoder
    return control(shape)
