"""Conditional networks: a generator of a given class, and a discriminator that takes the class into account.

Both wrap the networks of a published pair and leave their layers as they are. Without labels both still work: row i of
a generator's batch takes label i modulo the number of classes, and a discriminator ignores the class.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EMBEDDING = 64  # coordinates that a label adds to the latent; divisible by 4, as `deconv`'s latents must be
PLACE = 64  # coordinates of a condition's place among the data


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

    Where it trains with packs, each ``pack`` images in a row, real or generated and of one label, share one logit: the
    mean of their own, and that of :class:`Company`, so that images of a label that are too alike give themselves away
    (PacGAN, Lin et al. 2018, and minibatch discrimination, Salimans et al. 2016). In inference mode it judges each
    image alone.

    Args:
        body: the published discriminator, a chain that ends in a linear layer to one logit.
        classes: how many labels there are; 0 for none.
        head: which of the three; None without labels.
        numbers: that "information" reads.
        pack: images of a pack; 1 for none.
        shared: the e of a projection are :class:`Placed`.
    """

    def __init__(
        self,
        body: nn.Sequential,
        classes: int,
        head: Literal["projection", "auxiliary", "information"] | None,
        *,
        numbers: int = 0,
        pack: int = 1,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.classes = classes
        *features, logit = body.children()
        assert isinstance(logit, nn.Linear), "a published discriminator ends in a linear layer"
        self.features = nn.Sequential(*features)
        self.logit = logit
        embedding = Placed if shared else nn.Embedding
        self.projection = embedding(classes, logit.in_features) if head == "projection" else None
        self.classifier = _classifier(head, logit.in_features, classes + numbers)
        if self.projection is not None:
            nn.init.zeros_(self.projection.weight)
        linear = [number for number, layer in enumerate(features) if isinstance(layer, nn.Linear)]
        self.seen = linear[-1] if linear else len(features)
        """Layers before the last hidden one, if that is linear."""
        last = [*features, logit][self.seen]
        assert isinstance(last, nn.Linear)
        self.company = Company(last.in_features, classes, pack, shared=shared) if pack > 1 else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Images (N, C, S, S) and labels (N,) -> logits (N, 1); with labels, a classifier's logits (N, K) too."""
        seen = self.features[: self.seen](images)
        features = self.features[self.seen :](seen)
        logits: Tensor = self.logit(features)
        if labels is not None and self.projection is not None:
            logits = logits + _match(self.projection, labels, features)
        if self.company is not None and self.training:
            logits = self.company(logits, seen.flatten(1), labels)
        if labels is None or self.classifier is None:
            return logits
        return logits, self.classifier(features)

    def of_each(self, images: Tensor) -> Tensor:
        """Images (N, C, S, S) -> logits (N, K) under each of K labels, in inference mode; (N, 1) if all are the same.

        The body sees each image once.
        """
        features = self.features(images)
        logits: Tensor = self.logit(features)
        if self.projection is None:
            return logits
        vectors: Tensor = self.projection(torch.arange(self.classes, device=images.device))
        matched: Tensor = features @ vectors.T
        return logits + matched


class Placed(nn.Embedding):
    """Embeddings of conditions that lie near each other or far apart, as kinds of images do: e(y) + W p(y).

    Each kind has few images, so its own vector e learns slowly; W, which begins at 0, learns from all what holds for
    kinds of such a place p. The places are no weights: :func:`place` sets them, and until then they are 0.
    """

    places: Tensor

    def __init__(self, classes: int, features: int) -> None:
        super().__init__(classes, features)
        self.shared = nn.Linear(PLACE, features, bias=False)
        nn.init.zeros_(self.shared.weight)
        self.register_buffer("places", torch.zeros(classes, PLACE))

    def forward(self, labels: Tensor) -> Tensor:
        """Conditions (N,) -> vectors (N, F)."""
        vectors: Tensor = super().forward(labels) + self.shared(self.places[labels])
        return vectors


def place(network: nn.Module, places: Tensor) -> None:
    """Tells a network where its conditions lie, (conditions, D), D up to PLACE; one that has no use for it stays."""
    for layer in network.modules():
        if isinstance(layer, Placed):
            layer.places[:, : places.shape[1]] = places


class Company(nn.Module):
    """What a discriminator sees in the images of a pack together: their mean, and how far they are from it.

    Args:
        features: of an image, which the discriminator's last hidden layer sees.
        classes: how many labels there are; 0 for none.
        pack: images in a row that belong together.
        shared: its projection is :class:`Placed`.
    """

    WIDTH = 128

    def __init__(self, features: int, classes: int, pack: int, *, shared: bool = False) -> None:
        super().__init__()
        self.pack = pack
        self.layer = nn.Linear(2 * features, self.WIDTH)
        self.logit = nn.Linear(self.WIDTH, 1)
        self.projection = (Placed if shared else nn.Embedding)(classes, self.WIDTH) if classes else None
        if self.projection is not None:
            nn.init.zeros_(self.projection.weight)

    def forward(self, logits: Tensor, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N, 1), features (N, F) and labels (N,) of images, N a multiple of the pack -> logits (N, 1)."""
        packs = features.view(-1, self.pack, features.shape[1])
        mean = packs.mean(dim=1)
        apart = (packs - mean[:, None]).abs().sum(dim=1)
        hidden = F.leaky_relu(self.layer(torch.cat([mean, apart], dim=1)), 0.2)
        shared: Tensor = logits.view(-1, self.pack).mean(dim=1, keepdim=True) + self.logit(hidden)
        if labels is not None and self.projection is not None:
            shared = shared + _match(self.projection, labels[:: self.pack], hidden)
        return shared.repeat_interleave(self.pack, dim=0)


def _match(projection: nn.Embedding, labels: Tensor, features: Tensor) -> Tensor:
    """e(y)·f(x), (N, 1)."""
    match: Tensor = (projection(labels) * features).sum(dim=1, keepdim=True)
    return match


def _classifier(head: str | None, features: int, outputs: int) -> nn.Module | None:
    """What reads a class from features (N, F): Q of InfoGAN, section C.1, has a layer of 128 units of its own."""
    if head in (None, "projection"):
        return None
    if head == "auxiliary":
        return nn.Linear(features, outputs)
    return nn.Sequential(nn.Linear(features, 128), nn.BatchNorm1d(128), nn.LeakyReLU(0.1), nn.Linear(128, outputs))
