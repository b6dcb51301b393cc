"""Minting: a data set of generated images on disk, in shards, the same whoever makes it and however often it is cut."""

from gansmith.minting.manifest import Minted
from gansmith.minting.order import mint

__all__ = ["Minted", "mint"]
