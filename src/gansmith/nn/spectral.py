"""Spectral normalisation: each weight, read as a matrix, divided by its largest singular value.

Miyato et al. 2018 ("Spectral normalization for generative adversarial networks"): the matrix has one row an output
channel, so that a linear layer stretches nothing, and a convolution no more than its windows overlap. The value is
followed by one power iteration at each forward pass in training (algorithm 1), from a vector that is part of the
network's state.
"""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gansmith.nn.conditional import Placed

NORMALISED = (nn.Linear, nn.Conv2d, nn.Embedding)


def normalise(network: nn.Module) -> None:
    """Puts the norm on every linear layer, convolution and embedding of a network, in place."""
    for layer in list(network.modules()):
        if isinstance(layer, nn.Embedding):  # of a projection, which begins at 0: that has no direction
            nn.init.normal_(layer.weight)
        if isinstance(layer, Placed):
            nn.init.normal_(layer.shared.weight)
        if isinstance(layer, NORMALISED):
            spectral_norm(layer)
