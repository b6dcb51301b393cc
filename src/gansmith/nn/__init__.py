"""Layers that recipes share; each fast path has a plain twin that defines it."""

from gansmith.nn.conditional import EMBEDDING, ConditionalDiscriminator, ConditionalGenerator
from gansmith.nn.layers import (
    Crop,
    DepthToSpace,
    Dropout,
    Reshape,
    Residual,
    SameConv2d,
    SameConvTranspose2d,
    SpaceToDepth,
    UpsampleConv2d,
    folded_size,
    initialise,
    same_padding,
    set_fast,
)

__all__ = [
    "EMBEDDING",
    "ConditionalDiscriminator",
    "ConditionalGenerator",
    "Crop",
    "DepthToSpace",
    "Dropout",
    "Reshape",
    "Residual",
    "SameConv2d",
    "SameConvTranspose2d",
    "SpaceToDepth",
    "UpsampleConv2d",
    "folded_size",
    "initialise",
    "same_padding",
    "set_fast",
]
