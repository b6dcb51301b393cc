"""`house` as a PyTorch user writes it from its description: plain layers, one update after the other, eager mode.

A game of pairs (Huang et al. 2024): D compares real and generated images of one kind, and every fourth step the
squared slopes at both are added, in fp32. G's update has a pass of its own through D, as in most published code;
`house` itself takes both players' gradients from one pass. Kinds are drawn at random: what is timed does not depend
on them.
"""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.speed.peers import Built, random_kinds
from benchmarks.speed.peers.eager import size
from gansmith.recipe import Optimizer, Recipe

PLACE = 64  # coordinates of a kind's place among the data
TOGETHER = 128  # units that see both images of a pair


class Block(nn.Module):
    """x + conv(act(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        return x + self.convolution(F.leaky_relu(x, 0.2))


class HouseGenerator(nn.Module):
    """z (N, 64) and kinds (N,) -> images (N, 1, 28, 28), by way of 7x7 and 14x14 maps."""

    def __init__(self, kinds: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(kinds, 64)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.body = nn.Sequential(
            *(nn.Linear(128, 256), nn.LeakyReLU(0.2), nn.Linear(256, 49 * 64), nn.Unflatten(1, (64, 7, 7))),
            *(Block(64), nn.Conv2d(64, 4 * 32, 1), nn.PixelShuffle(2), Block(32)),
            *(nn.LeakyReLU(0.2), nn.Conv2d(32, 4, 3, padding=1), nn.PixelShuffle(2), nn.Tanh()),
        )

    def forward(self, z: Tensor, kinds: Tensor) -> Tensor:
        """The kind's vector, of length 4, stands beside the noise."""
        vectors = 4 * F.normalize(self.embedding(kinds), dim=1)
        return self.body(torch.cat([z, vectors], dim=1))  # type: ignore[no-any-return]


class Projection(nn.Module):
    """(e(y) + W p(y))·f(x): a vector for each kind, and what kinds near each other share."""

    def __init__(self, kinds: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(kinds, features)
        nn.init.zeros_(self.embedding.weight)
        self.shared = nn.Linear(PLACE, features, bias=False)
        nn.init.zeros_(self.shared.weight)
        self.register_buffer("places", torch.randn(kinds, PLACE))

    def forward(self, kinds: Tensor, features: Tensor) -> Tensor:
        """(N,) and (N, F) -> (N, 1)."""
        vectors = self.embedding(kinds) + self.shared(self.places[kinds])
        return (vectors * features).sum(dim=1, keepdim=True)


class HouseDiscriminator(nn.Module):
    """Images (N, 1, 28, 28), pairs of a kind in a row, and kinds (N,) -> logits (N, 1), one a pair."""

    def __init__(self, kinds: int) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            *(nn.PixelUnshuffle(2), nn.Conv2d(4, 32, 3, padding=1), nn.LeakyReLU(0.2)),
            *(nn.PixelUnshuffle(2), nn.Conv2d(128, 64, 1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(64, 64, 3, padding=1), nn.LeakyReLU(0.2)),
            *(nn.ZeroPad2d((0, 1, 0, 1)), nn.PixelUnshuffle(2), nn.Conv2d(256, 128, 1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(128, 128, 3, padding=1), nn.LeakyReLU(0.2), nn.Flatten()),
        )
        self.hidden, self.logit = nn.Linear(16 * 128, 256), nn.Linear(256, 1)
        self.alone = Projection(kinds, 256)
        self.pair, self.pair_logit = nn.Linear(2 * 16 * 128, TOGETHER), nn.Linear(TOGETHER, 1)
        self.together = Projection(kinds, TOGETHER)

    def forward(self, images: Tensor, kinds: Tensor) -> Tensor:
        """Each image's own logit, averaged over its pair, and the pair's."""
        seen = self.maps(images)
        features = F.leaky_relu(self.hidden(seen), 0.2)
        logits = self.logit(features) + self.alone(kinds, features)
        first, second = seen[::2], seen[1::2]
        hidden = F.leaky_relu(self.pair(torch.cat([(first + second) / 2, (first - second).abs()], dim=1)), 0.2)
        pairs = self.pair_logit(hidden) + self.together(kinds[::2], hidden)
        return (logits.view(-1, 2).mean(dim=1, keepdim=True) + pairs).repeat_interleave(2, dim=0)


class Pairs:
    """Real images in pairs of one kind, drawn at random."""

    def __init__(self, images: np.ndarray, kinds: int, count: int) -> None:
        self.images, self.conditions = torch.from_numpy(images), torch.from_numpy(random_kinds(len(images), kinds))
        self.order = self.conditions.argsort(stable=True)
        self.starts = torch.searchsorted(self.conditions[self.order], torch.arange(kinds + 1))
        self.count = count

    def __call__(self) -> tuple[Tensor, Tensor]:
        """A batch of images in [-1, 1], the two of a pair in a row, and their kinds."""
        kinds = self.conditions[torch.randint(len(self.images), (self.count // 2,))].repeat_interleave(2)
        sizes = self.starts[kinds + 1] - self.starts[kinds]
        rows = self.order[self.starts[kinds] + (torch.rand(self.count) * sizes).long()]
        return self.images[rows].float() / 127.5 - 1, kinds


class Game:
    """Both players' losses, in bf16 where it is asked for and there is no penalty."""

    def __init__(self, recipe: Recipe, bf16: bool) -> None:
        self.recipe, self.bf16 = recipe, bf16
        self.generator, self.discriminator = HouseGenerator(recipe.kinds), HouseDiscriminator(recipe.kinds)
        if bf16:
            self.generator.to(memory_format=torch.channels_last)
            self.discriminator.to(memory_format=torch.channels_last)

    def half(self, on: bool = True) -> torch.autocast:
        """Autocast to bf16, where it is on."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16 and on)

    def fakes(self, kinds: Tensor) -> Tensor:
        """An image of each kind."""
        return self.generator(torch.randn(len(kinds), 64), kinds)  # type: ignore[no-any-return]

    def discriminator_loss(self, real: Tensor, kinds: Tensor, penalised: bool) -> Tensor:
        """Of the relativistic game, with R1 and R2 where they are due."""
        with self.half(), torch.no_grad():
            fake = self.fakes(kinds).float()
        seen = torch.cat([real, fake]).requires_grad_(penalised)
        with self.half(not penalised):
            on_real, on_fake = self.discriminator(seen, torch.cat([kinds, kinds])).float().chunk(2)
        loss = F.softplus(on_fake - on_real).mean()
        if penalised:
            (slopes,) = torch.autograd.grad(on_real.sum() + on_fake.sum(), seen, create_graph=True)
            gamma = self.recipe.penalty.every * self.recipe.penalty.gamma
            loss = loss + gamma * slopes.square().sum() / (2 * len(real))
        return loss

    def generator_loss(self, real: Tensor, kinds: Tensor) -> Tensor:
        """Of the relativistic game: what D says of the real images counts too."""
        with self.half():
            with torch.no_grad():
                on_real = self.discriminator(real, kinds).float()
            on_fake = self.discriminator(self.fakes(kinds), kinds).float()
        return F.softplus(on_real - on_fake).mean()


def adam(network: nn.Module, numbers: Optimizer) -> torch.optim.Adam:
    """As the recipe says, at its first rate."""
    return torch.optim.Adam(network.parameters(), numbers.lr, (numbers.beta1, numbers.beta2), numbers.eps)


def build(recipe: Recipe, precision: str, images: np.ndarray) -> Built:
    """fp32 or bf16 as in :mod:`benchmarks.speed.peers.eager`; the recipe's own widths alone."""
    torch.manual_seed(0)
    game, pairs = Game(recipe, bf16=precision == "bf16"), Pairs(images, recipe.kinds, recipe.batch_size)
    average = copy.deepcopy(game.generator).requires_grad_(False)
    g_optimizer = adam(game.generator, recipe.generator_optimizer)
    d_optimizer = adam(game.discriminator, recipe.discriminator_optimizer)

    def one(index: int) -> tuple[float, float]:
        real, kinds = pairs()
        if game.bf16:
            real = real.contiguous(memory_format=torch.channels_last)
        d_loss = game.discriminator_loss(real, kinds, penalised=index % recipe.penalty.every == 0)
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        g_loss = game.generator_loss(real, kinds)
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        with torch.no_grad():
            for mean, weight in zip(average.parameters(), game.generator.parameters(), strict=True):
                mean.lerp_(weight, 1 - (1 - 1 / (index + 2)) ** 10)
        return d_loss.item(), g_loss.item()

    @torch.no_grad()
    def sample(number: int) -> np.ndarray:
        with game.half():
            sizes = [min(256, number - start) for start in range(0, number, 256)]
            parts = [average(torch.randn(count, 64), torch.randint(recipe.kinds, (count,))) for count in sizes]
        return ((torch.cat(parts).float() + 1) * 127.5).round().clamp(0, 255).byte().numpy()

    parameters = {"generator": size(game.generator), "discriminator": size(game.discriminator)}
    return Built(one, sample, parameters, "bf16" if game.bf16 else "fp32")
