"""A trained generator: seed and index -> image, the same for every batch size and number of workers."""

from gansmith.generator.generator import CHUNK, Generator, generate, read_network, settle, snapshot, to_uint8
from gansmith.generator.samples import Samples, check_target, columns
from gansmith.generator.sequence import conditions, labels, latents

__all__ = [
    "CHUNK",
    "Generator",
    "Samples",
    "check_target",
    "columns",
    "conditions",
    "generate",
    "labels",
    "latents",
    "read_network",
    "settle",
    "snapshot",
    "to_uint8",
]
