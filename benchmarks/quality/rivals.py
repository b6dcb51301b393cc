"""What people would train instead: networks and settings of well-known programs, as recipes.

    gansmith train mnist --recipes benchmarks/quality/rivals.py --recipe pytorch-dcgan --size 64 --minutes 2

`pytorch-dcgan` is the DCGAN example of PyTorch and `keras-dcgan` that of keras.io, both made for 64x64. `stylegan2` has
the networks and settings of StyleGAN2 (Karras et al. 2020b) as StyleGAN2-ADA sets them by itself for small images
(Karras et al. 2020a), at an eighth of the published width, which is width 8; changes of what the discriminator sees
have a fixed share of the images, where ADA finds one, and there is no penalty on path lengths, as in its settings for
CIFAR-10.
"""

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansmith import Recipe, own

Networks = tuple[nn.Module, nn.Module]
SLOPE = 0.2


@own.recipe("pytorch-dcgan", base="dcgan", size=64, batch_size=64, noise={"size": 100, "distribution": "normal"})
def pytorch_dcgan(recipe: Recipe) -> Networks:
    """the DCGAN example of PyTorch, made for 64x64"""
    levels, width = round(math.log2(recipe.size / 4)), 64
    widths = [width << level for level in reversed(range(levels))]  # 512, 256, 128, 64
    layers: list[nn.Module] = [nn.Unflatten(1, (recipe.noise.size, 1, 1))]
    layers += [nn.ConvTranspose2d(recipe.noise.size, widths[0], 4, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for before, after in pairwise(widths):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    layers += [nn.ConvTranspose2d(widths[-1], recipe.channels, 4, 2, 1, bias=False), nn.Tanh()]
    judge: list[nn.Module] = [nn.Conv2d(recipe.channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(SLOPE)]
    for after, before in reversed(list(pairwise(widths))):
        judge += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE)]
    judge += [nn.Conv2d(widths[0], 1, 4, bias=False), nn.Flatten()]
    networks = nn.Sequential(*layers), nn.Sequential(*judge)
    for module in (*networks[0], *networks[1]):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.02)
    return networks


@own.loss("keras-dcgan")
def noisy_labels(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy, with up to 0.05 added to the labels, where that example calls generated images 1."""
    noise = 0.05 * torch.rand(2, *real.shape, device=real.device, dtype=real.dtype)
    of_real = F.softplus(-real) + noise[0] * real
    of_fake = F.softplus(fake) + noise[1] * fake
    return (of_real.mean() + of_fake.mean()) / 2, F.softplus(-fake).mean()


KERAS = {"kind": "adam", "lr": 1e-4, "eps": 1e-7}


@own.recipe(
    "keras-dcgan",
    base="dcgan",
    size=64,
    batch_size=32,
    pixels=(0.0, 1.0),
    apart=False,
    loss="keras-dcgan",
    noise={"size": 128, "distribution": "normal"},
    generator_optimizer=KERAS | {"beta1": 0.9},
    discriminator_optimizer=KERAS | {"beta1": 0.9},
)
def keras_dcgan(recipe: Recipe) -> Networks:
    """the DCGAN example of keras.io, made for 64x64"""
    small, channels = recipe.size // 8, recipe.channels
    generator = nn.Sequential(
        *(nn.Linear(recipe.noise.size, 128 * small * small), nn.Unflatten(1, (128, small, small))),
        *(nn.ConvTranspose2d(128, 128, 4, 2, 1), nn.LeakyReLU(SLOPE)),
        *(nn.ConvTranspose2d(128, 256, 4, 2, 1), nn.LeakyReLU(SLOPE)),
        *(nn.ConvTranspose2d(256, 512, 4, 2, 1), nn.LeakyReLU(SLOPE)),
        *(nn.Conv2d(512, channels, 5, padding=2), nn.Sigmoid()),
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(channels, 64, 4, 2, 1), nn.LeakyReLU(SLOPE)),
        *(nn.Conv2d(64, 128, 4, 2, 1), nn.LeakyReLU(SLOPE)),
        *(nn.Conv2d(128, 128, 4, 2, 1), nn.LeakyReLU(SLOPE)),
        *(nn.Flatten(), nn.Dropout(0.2), nn.Linear(128 * small * small, 1)),
    )
    for module in (*generator, *discriminator):
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
            module.bias.data.zero_()  # type: ignore[union-attr]
    return generator, discriminator


class Equal(nn.Module):
    """A layer whose weights are drawn with std 1 and scaled in use, so that all learn as fast (Karras et al. 2018)."""

    def __init__(self, before: int, after: int, kernel: int = 0, *, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        shape = (after, before, kernel, kernel) if kernel else (after, before)
        self.weight = nn.Parameter(torch.randn(shape) / rate)
        self.bias = nn.Parameter(torch.full((after,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(self.weight[0].numel()), rate

    def forward(self, inputs: Tensor) -> Tensor:
        weight, bias = self.weight * self.scale, self.bias * self.rate
        if weight.ndim == 2:
            return F.linear(inputs, weight, bias)
        return F.conv2d(inputs, weight, bias, padding=weight.shape[-1] // 2)


class Styled(nn.Module):
    """A convolution whose weights a style scales, so that outputs keep their size, and noise (N, 1, S, S)."""

    def __init__(self, before: int, after: int, kernel: int, styles: int, *, last: bool = False) -> None:
        super().__init__()
        self.style = Equal(styles, before, bias=1.0)
        self.weight = nn.Parameter(torch.randn(after, before, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(after))
        self.strength = None if last else nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor, styles: Tensor) -> Tensor:
        style, kernel = self.style(styles), self.weight.shape[-1]
        weight = self.weight / math.sqrt(self.weight[0].numel())
        maps = F.conv2d(maps * style[:, :, None, None], weight, padding=kernel // 2)
        if self.strength is None:
            return maps + self.bias[:, None, None]
        sizes = (weight.square().sum((2, 3))[None] * style[:, None].square()).sum(2)  # of each image's own weights
        maps = maps * (sizes + 1e-8).rsqrt()[:, :, None, None]
        if self.training:
            maps = maps + self.strength * torch.randn_like(maps[:, :1])
        return F.leaky_relu(maps + self.bias[:, None, None], SLOPE) * math.sqrt(2)


class StyleGenerator(nn.Module):
    """z (N, Z) -> styles by two layers -> images (N, C, S, S), a sum of what each level adds to the one before."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        width, self.levels = recipe.generator.scaled(64), round(math.log2(recipe.size / 4))
        self.mapping = nn.ModuleList([Equal(recipe.noise.size, width, rate=0.01), Equal(width, width, rate=0.01)])
        self.start = nn.Parameter(torch.randn(1, width, 4, 4))
        self.convolutions = nn.ModuleList([Styled(width, width, 3, width) for _ in range(2 * self.levels + 1)])
        self.images = nn.ModuleList(
            [Styled(width, recipe.channels, 1, width, last=True) for _ in range(self.levels + 1)]
        )

    def forward(self, latents: Tensor) -> Tensor:
        styles = latents * (latents.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            styles = F.leaky_relu(layer(styles), SLOPE) * math.sqrt(2)
        maps = self.convolutions[0](self.start.expand(len(latents), -1, -1, -1), styles)
        images: Tensor = self.images[0](maps, styles)
        for level in range(self.levels):
            first, second = self.convolutions[2 * level + 1], self.convolutions[2 * level + 2]
            maps = second(first(_doubled(maps), styles), styles)
            images = _doubled(images) + self.images[level + 1](maps, styles)
        return images


class StyleDiscriminator(nn.Module):
    """Images (N, C, S, S) -> logits (N, 1), by residual blocks, and how much a group of four images differ."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        width, self.levels = recipe.discriminator.scaled(64), round(math.log2(recipe.size / 4))
        self.first = Equal(recipe.channels, width, 1)
        self.blocks = nn.ModuleList([Equal(width, width, 3) for _ in range(2 * self.levels)])
        self.skips = nn.ModuleList([Equal(width, width, 1) for _ in range(self.levels)])
        self.last = nn.ModuleList([Equal(width + 1, width, 3), Equal(16 * width, width), Equal(width, 1)])

    def forward(self, images: Tensor) -> Tensor:
        maps = _active(self.first(images))
        for level in range(self.levels):
            inner = _active(self.blocks[2 * level + 1](F.avg_pool2d(_active(self.blocks[2 * level](maps)), 2)))
            maps = (inner + self.skips[level](F.avg_pool2d(maps, 2))) / math.sqrt(2)
        maps = _active(self.last[0](torch.cat([maps, _differences(maps)], 1)))
        logits: Tensor = self.last[2](_active(self.last[1](maps.flatten(1))))
        return logits


def _active(maps: Tensor) -> Tensor:
    return F.leaky_relu(maps, SLOPE) * math.sqrt(2)


def _doubled(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)


def _differences(maps: Tensor) -> Tensor:
    """(N, 1, S, S): the standard deviation over groups of four images (Karras et al. 2018); 0 where none fits."""
    group = next(size for size in (4, 2, 1) if len(maps) % size == 0)
    parts = maps.reshape(group, -1, *maps.shape[1:])
    spread = (parts - parts.mean(0)).square().mean(0).add(1e-8).sqrt().mean((1, 2, 3))
    return spread.repeat(group)[:, None, None, None].expand(-1, 1, *maps.shape[2:])


PLAYER = {"kind": "adam", "lr": 2.5e-3, "beta1": 0.0, "beta2": 0.99, "eps": 1e-8, "decay": 0.0, "warm_up": 0.0}
AUTO: dict[str, Any] = {
    "batch_size": 32,
    "loss": "non-saturating",
    "reduction": "sum",
    "pack": 1,
    "kinds": 0,
    "one_pass": False,
    "shared_kinds": False,
    "penalty": {"kind": "r1", "gamma": 0.01, "gamma_end": None, "every": 16},
    "average": {"half_life": 10_000.0, "span": 0.0},
    "augment": {"shift": 0.125, "cutout": 0.5, "colour": 1.0, "share": 0.3},
    "noise": {"size": 64, "distribution": "normal"},
    "generator_optimizer": PLAYER,
    "discriminator_optimizer": PLAYER,
}


@own.recipe("stylegan2", base="house", **AUTO)
def stylegan2(recipe: Recipe) -> Networks:
    """StyleGAN2's networks and settings for small images, at an eighth of their width"""
    return StyleGenerator(recipe), StyleDiscriminator(recipe)
