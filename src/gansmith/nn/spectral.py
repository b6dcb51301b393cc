"""Spectral normalisation: each weight divided by its largest singular value, so that a layer stretches nothing.

Miyato et al. 2018 ("Spectral normalization for generative adversarial networks"): a weight is read as a matrix of one
row an output channel; the value is followed by one power iteration at each forward pass in training (algorithm 1), from
a vector that is part of the network's state.
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
