"""The same networks as a PyTorch user writes them: the library's own layers, optimisers at their defaults, eager mode.

fp32 is plain PyTorch in its default memory format; bf16 is autocast with channels-last, which is faster there than
without. As in PyTorch's own DCGAN tutorial the generator's step also computes gradients that the discriminator throws
away, and losses are read at every step.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.speed.peers import Built
from gansmith.recipe import Network, Optimizer, Recipe


def build(recipe: Recipe, precision: str, images: np.ndarray) -> Built:
    """fp32 or bf16; "auto" is fp32, PyTorch's default."""
    bf16 = precision == "bf16"
    torch.manual_seed(0)
    generator, discriminator = networks(recipe)
    if bf16:
        generator, discriminator = (net.to(memory_format=torch.channels_last) for net in (generator, discriminator))
    g_optimizer, d_optimizer = (
        optimizer(generator, recipe.generator_optimizer),
        optimizer(discriminator, recipe.discriminator_optimizer),
    )
    data = torch.from_numpy(images)
    count, (black, white) = recipe.batch_size, recipe.pixels
    target = torch.cat([torch.full((count, 1), recipe.real_label), torch.zeros(count, 1)])
    ones = torch.ones(count, 1)

    def noise(number: int) -> Tensor:
        if recipe.noise.distribution == "uniform":
            return torch.rand(number, recipe.noise.size) * 2 * recipe.noise.scale - recipe.noise.scale
        return torch.randn(number, recipe.noise.size) * recipe.noise.scale + recipe.noise.center

    def one(index: int) -> tuple[float, float]:
        real = data[torch.randint(len(data), (count,))].float() / 255 * (white - black) + black
        if bf16:
            real = real.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            z = noise(count)
            if recipe.fakes == "inference":
                generator.eval()
            if recipe.share_noise:
                fake = generator(z)
            else:
                with torch.no_grad():
                    fake = generator(z)
            generator.train()
            logits = discriminator(torch.cat([real, fake.detach().float()]))
        d_loss = F.binary_cross_entropy_with_logits(logits.float(), target)
        d_optimizer.zero_grad()
        d_loss.backward()
        clip(discriminator, recipe.discriminator_optimizer)
        d_optimizer.step()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = discriminator(fake if recipe.share_noise else generator(noise(count)))
        g_loss = F.binary_cross_entropy_with_logits(logits.float(), ones)
        g_optimizer.zero_grad()
        g_loss.backward()
        clip(generator, recipe.generator_optimizer)
        g_optimizer.step()
        return d_loss.item(), g_loss.item()

    @torch.no_grad()
    def sample(number: int) -> np.ndarray:
        generator.eval()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            parts = [generator(noise(min(256, number - start))) for start in range(0, number, 256)]
        generator.train()
        pixels = (torch.cat(parts).float() - black) / (white - black) * 255
        return pixels.round().clamp(0, 255).byte().numpy()

    parameters = {"generator": size(generator), "discriminator": size(discriminator)}
    return Built(one, sample, parameters, "bf16" if bf16 else "fp32")


def networks(recipe: Recipe) -> tuple[nn.Module, nn.Module]:
    """The two networks of a recipe of 28x28 grey images, of any width."""
    g, d = recipe.generator, recipe.discriminator
    if recipe.name == "mlp":
        return mlp_generator(recipe, g, (128,), norm=False), mlp_discriminator(d, (128,))
    if recipe.name == "mlp-bn":
        return mlp_generator(recipe, g, (256, 512, 1024), norm=True), mlp_discriminator(d, (512, 256))
    if recipe.name == "deconv":
        return deconv_generator(g), deconv_discriminator(d)
    transposed = recipe.name == "dcgan-transpose"
    return dcgan_generator(g, transposed=transposed), dcgan_discriminator(d, first_dropout=transposed)


def scaled(widths: tuple[int, ...], numbers: Network) -> list[int]:
    """Published widths times the recipe's factor."""
    return [max(1, round(width * numbers.width)) for width in widths]


def mlp_generator(recipe: Recipe, numbers: Network, widths: tuple[int, ...], *, norm: bool) -> nn.Module:
    """z (N, 100) -> images (N, 1, 28, 28)."""
    layers: list[nn.Module] = []
    units = recipe.noise.size
    for width in scaled(widths, numbers):
        layers += [nn.Linear(units, width), nn.LeakyReLU(numbers.slope)]
        layers += [nn.BatchNorm1d(width)] if norm else []
        units = width
    last = nn.Tanh() if recipe.pixels[0] < 0 else nn.Sigmoid()
    return nn.Sequential(*layers, nn.Linear(units, 784), last, nn.Unflatten(1, (1, 28, 28)))


def mlp_discriminator(numbers: Network, widths: tuple[int, ...]) -> nn.Module:
    """Images (N, 1, 28, 28) -> logits (N, 1)."""
    layers: list[nn.Module] = [nn.Flatten()]
    units = 784
    for width in scaled(widths, numbers):
        layers += [nn.Linear(units, width), nn.LeakyReLU(numbers.slope)]
        units = width
    return nn.Sequential(*layers, nn.Linear(units, 1))


def deconv_generator(numbers: Network) -> nn.Module:
    """z (N, 100) -> images (N, 1, 28, 28) by way of 2x2, 3x3, 6x6 and 12x12 maps."""
    a, b, c = scaled((256, 128, 64), numbers)
    return nn.Sequential(
        *(nn.Unflatten(1, (25, 2, 2)), nn.ReLU()),
        *(nn.ConvTranspose2d(25, a, 5, 2, padding=2), nn.BatchNorm2d(a), nn.ReLU()),
        *(nn.ConvTranspose2d(a, b, 5, 2, padding=2, output_padding=1), nn.BatchNorm2d(b), nn.ReLU()),
        *(nn.ConvTranspose2d(b, c, 5, 2, padding=2, output_padding=1), nn.BatchNorm2d(c), nn.ReLU()),
        *(nn.ConvTranspose2d(c, 1, 5, 2, output_padding=1), nn.Tanh()),
    )


def deconv_discriminator(numbers: Network) -> nn.Module:
    """Images (N, 1, 28, 28) -> logits (N, 1)."""
    a, b, hidden = scaled((8, 16, 32), numbers)
    return nn.Sequential(
        *(nn.Conv2d(1, a, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(a, b, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(b * 49, hidden), nn.ReLU(), nn.Linear(hidden, 1)),
    )


def dcgan_generator(numbers: Network, *, transposed: bool) -> nn.Module:
    """z (N, 100) -> images (N, 1, 28, 28)."""
    a, b, c, d = scaled((256, 128, 64, 32), numbers)
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [kind(inputs, outputs, 5, padding=2), nn.BatchNorm2d(outputs), nn.LeakyReLU(numbers.slope)]

    return nn.Sequential(
        *(nn.Linear(100, 49 * a), nn.BatchNorm1d(49 * a), nn.LeakyReLU(numbers.slope)),
        *(nn.Unflatten(1, (a, 7, 7)), nn.Dropout(numbers.dropout)),
        *(nn.Upsample(scale_factor=2), *block(a, b)),
        *(nn.Upsample(scale_factor=2), *block(b, c)),
        *block(c, d),
        *(kind(d, 1, 5, padding=2), nn.Sigmoid()),
    )


def dcgan_discriminator(numbers: Network, *, first_dropout: bool) -> nn.Module:
    """Images (N, 1, 28, 28) -> logits (N, 1)."""
    a, b, c, d = scaled((64, 128, 256, 512), numbers)
    drop = nn.Dropout(numbers.dropout)
    return nn.Sequential(
        *(nn.Conv2d(1, a, 5, 2, padding=2), nn.LeakyReLU(numbers.slope), *([drop] if first_dropout else [])),
        *(nn.Conv2d(a, b, 5, 2, padding=2), nn.LeakyReLU(numbers.slope), drop),
        *(nn.Conv2d(b, c, 5, 2, padding=2), nn.LeakyReLU(numbers.slope), drop),
        *(nn.Conv2d(c, d, 5, padding=2), nn.LeakyReLU(numbers.slope), drop),
        *(nn.Flatten(), nn.Linear(16 * d, 1)),
    )


def optimizer(network: nn.Module, numbers: Optimizer) -> torch.optim.Optimizer:
    """Adam or RMSprop as the library gives them."""
    if numbers.kind == "adam":
        return torch.optim.Adam(network.parameters(), numbers.lr, (numbers.beta1, numbers.beta2), numbers.eps)
    return torch.optim.RMSprop(network.parameters(), numbers.lr, numbers.beta2, numbers.eps)


def clip(network: nn.Module, numbers: Optimizer) -> None:
    """Gradients by value, where the recipe asks for it."""
    if numbers.clip_value is not None:
        nn.utils.clip_grad_value_(network.parameters(), numbers.clip_value)


def size(network: nn.Module) -> int:
    """Parameters and moving averages."""
    averages = sum(buffer.numel() for buffer in network.buffers() if buffer.is_floating_point())
    return sum(parameter.numel() for parameter in network.parameters()) + averages
