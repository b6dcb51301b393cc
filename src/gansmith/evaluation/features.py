"""What encoders make of images: everything that metrics need of a set, computed block by block."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gansmith.data import Dataset
from gansmith.encoders import encoder as encoders
from gansmith.encoders.encoder import Encoded, Encoder
from gansmith.metrics.validate import Array, Labels


@dataclass(frozen=True, eq=False)
class Features:
    """A set of N images as encoders see them; None for what was not computed."""

    features: Array
    """float64 (N, D), of the encoder."""
    logits: Array | None = None
    """float64 (N, K), of the encoder, if it has classes."""
    judge_logits: Array | None = None
    """float64 (N, K), of the judge."""
    control_features: Array | None = None
    """float64 (N, D'), of the control."""
    digits: Labels | None = None
    """(M, 3): the digits read in M images of stacked-mnist, a number of its own."""

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Encoders:
    """The networks of one evaluation."""

    encoder: Encoder
    judge: Encoder | None = None
    """A second classifier of the same classes; shipped encoders alone have one."""
    control: Encoder | None = None
    """The untrained network; None where the encoder is that itself."""

    @classmethod
    def choose(cls, train: Dataset, given: str | Path | Encoder | None = None) -> "Encoders":
        """The encoder given, or the one for data like these, with its judge and the control."""
        own = encoders.load(given) if isinstance(given, str | Path) else given or encoder_of(train)
        shipped = own.name in encoders.names() and own.digest == encoders.builtin(own.name).digest
        control = encoders.control(train.shape)
        return cls(
            own, encoders.judge(own.name) if shipped else None, control if own.full_name != control.full_name else None
        )

    @property
    def digests(self) -> list[str]:
        """SHA-256 of each network there is."""
        return [each.card.digest for each in (self.encoder, self.judge, self.control) if each is not None]

    def features(self, blocks: Iterable[np.ndarray], *, full: bool = True) -> Features:
        """What the networks make of images that come in blocks; the encoder alone if not ``full``."""
        networks = [self.encoder, *([self.judge, self.control] if full else [None, None])]
        parts: list[list[Encoded]] = [[], [], []]
        for block in blocks:
            for network, encoded in zip(networks, parts, strict=True):
                if network is not None:
                    encoded.append(network.encode(block))
        main, judge, control = (joined(encoded) if encoded else None for encoded in parts)
        assert main is not None
        return Features(
            main.features,
            main.logits,
            None if judge is None else judge.logits,
            None if control is None else control.features,
        )


def encoder_of(train: Dataset) -> Encoder:
    """The encoder for data like these, where no other is given."""
    return encoders.for_data(train.name, train.shape, train.classes)


def joined(parts: Iterable[Encoded]) -> Encoded:
    """Blocks of encoded images as one."""
    parts = list(parts)
    logits = [part.logits for part in parts if part.logits is not None]
    return Encoded(np.concatenate([part.features for part in parts]), np.concatenate(logits) if logits else None)


def digit_reader() -> Encoder:
    """What reads the digits of stacked-mnist: the shipped encoder of MNIST."""
    return encoders.builtin("mnist")


def digits_of(blocks: Iterator[np.ndarray]) -> Labels:
    """The digits (N, 3) read in the channels of stacked digits, which come in blocks uint8 (n, 3, H, W)."""
    reader, labels = digit_reader(), []
    for block in blocks:
        count, channels, height, width = block.shape
        read = reader.encode(np.ascontiguousarray(block).reshape(count * channels, 1, height, width)).labels
        assert read is not None
        labels.append(read.reshape(count, channels))
    return np.concatenate(labels)
