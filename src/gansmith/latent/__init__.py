"""Latent tools: functions of a generator and vectors that return vectors and images; none opens a run."""

from gansmith.latent.completion import Completed, complete, enlarge
from gansmith.latent.direction_finding import Directions, directions
from gansmith.latent.finding import Found, find
from gansmith.latent.inversion import Inverted, invert
from gansmith.latent.mixing import Mixed, mix
from gansmith.latent.morphing import Morph, constants, morph
from gansmith.latent.nearest_training import Neighbours, neighbours
from gansmith.latent.truncation import Truncated, trade, truncate
from gansmith.latent.vectors import Points, Vectors, images, points, read, save, steady

__all__ = [
    "Completed",
    "Directions",
    "Found",
    "Inverted",
    "Mixed",
    "Morph",
    "Neighbours",
    "Points",
    "Truncated",
    "Vectors",
    "complete",
    "constants",
    "directions",
    "enlarge",
    "find",
    "images",
    "invert",
    "mix",
    "morph",
    "neighbours",
    "points",
    "read",
    "save",
    "steady",
    "trade",
    "truncate",
]
