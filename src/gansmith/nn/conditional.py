"""Conditional networks: a generator of a given class, and a discriminator that takes the class into account.

Both wrap the networks of a published pair and leave their layers as they are. Without labels both still work: row i of
a generator's batch takes label i modulo the number of classes, and a discriminator ignores the class.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EMBEDDING = 64  # coordinates that a label adds to the latent; divisible by 4, as `deconv`'s latents must be


class ConditionalGenerator(nn.Module):
    """(z, y) -> body([z, e(y)]): a learned vector for each class stands beside the noise (Mirza & Osindero 2014).

    The vectors have length 1, where the noise's is near 10: left to grow, they drowned it, and `mlp-bn` drew each class
    in one or two ways; begun at the noise's own size, it drew nothing for its first 1,000 steps.

    Args:
        body: a generator of latents (N, Z + EMBEDDING).
        classes: how many labels there are.
        length: of the vectors.
        one_hot: the vectors are not learned: 0s and a ``length`` for each class; the body then takes (N, Z + classes).
    """

    def __init__(self, body: nn.Module, classes: int, length: float = 1.0, *, one_hot: bool = False) -> None:
        super().__init__()
        self.classes = classes
        self.length = length
        self.embedding = None if one_hot else nn.Embedding(classes, EMBEDDING)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=0.1)  # a length below 1: an update of 1e-3 turns it a little
        self.body = body

    def vectors(self, labels: Tensor) -> Tensor:
        """Embeddings (N, EMBEDDING) of labels (N,), or one-hot vectors (N, classes), each of the same length."""
        if self.embedding is None:
            return self.length * F.one_hot(labels, self.classes).float()
        return self.length * F.normalize(self.embedding(labels), dim=1)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, Z) and labels (N,) int64 in 0 .. classes - 1 -> images (N, C, S, S)."""
        if labels is None:
            labels = torch.arange(len(z), device=z.device) % self.classes
        images: Tensor = self.body(torch.cat([z, self.vectors(labels)], dim=1))
        return images


class ConditionalDiscriminator(nn.Module):
    """A discriminator with a second use of its last features f(x), beside the published logit w·f(x) + b.

    "projection" adds e(y)·f(x) to the logit (Miyato & Koyama 2018, equation 3); e starts at 0, so that training starts
    from the published discriminator. "auxiliary" has a linear classifier read the class from f(x) (AC-GAN, Odena et
    al. 2017); "information" a small network, and numbers beside the class (InfoGAN, Chen et al. 2016: Q).

    Args:
        body: the published discriminator, a chain that ends in a linear layer to one logit.
        classes: how many labels there are.
        head: which of the three.
        numbers: that "information" reads.
    """

    def __init__(
        self,
        body: nn.Sequential,
        classes: int,
        head: Literal["projection", "auxiliary", "information"],
        *,
        numbers: int = 0,
    ) -> None:
        super().__init__()
        *features, logit = body.children()
        assert isinstance(logit, nn.Linear), "a published discriminator ends in a linear layer"
        self.features = nn.Sequential(*features)
        self.logit = logit
        self.projection = nn.Embedding(classes, logit.in_features) if head == "projection" else None
        self.classifier = _classifier(head, logit.in_features, classes + numbers)
        if self.projection is not None:
            nn.init.zeros_(self.projection.weight)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Images (N, C, S, S) and labels (N,) -> logits (N, 1); with labels, a classifier's logits (N, K) too."""
        features = self.features(images)
        logits: Tensor = self.logit(features)
        if labels is None:
            return logits
        if self.projection is not None:
            match: Tensor = (self.projection(labels) * features).sum(dim=1, keepdim=True)
            return logits + match
        assert self.classifier is not None
        return logits, self.classifier(features)


def _classifier(head: str, features: int, outputs: int) -> nn.Module | None:
    """What reads a class from features (N, F): Q of InfoGAN, section C.1, has a layer of 128 units of its own."""
    if head == "projection":
        return None
    if head == "auxiliary":
        return nn.Linear(features, outputs)
    return nn.Sequential(nn.Linear(features, 128), nn.BatchNorm1d(128), nn.LeakyReLU(0.1), nn.Linear(128, outputs))
