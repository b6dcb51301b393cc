"""What a recipe's networks hold and cost, counted on networks whose weights are never initialised."""

import functools
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gansmith import recipes
from gansmith.nn import ConditionalDiscriminator, ConditionalGenerator, UpsampleConv2d, folded_size
from gansmith.nn.unfilled import with_memory
from gansmith.recipe import Recipe
from gansmith.recipes.entries import Row, Summary


def summary(recipe: Recipe) -> Summary:
    """Output shape and parameters of each layer.

    A conditional generator's table begins with its labels' embedding, a conditional discriminator's ends with its head.
    """
    generator, discriminator = _networks(recipe)
    latent, image = _inputs(recipe)
    label = torch.zeros(1, dtype=torch.long)
    if isinstance(generator, ConditionalGenerator):
        wider = torch.zeros(1, recipe.noise.size + recipes.condition_size(recipe))
        made = _rows([generator.embedding], label) + _layers(generator.body, wider)
    else:
        made = _layers(generator, latent)
    if not isinstance(discriminator, ConditionalDiscriminator):
        return Summary(made, _layers(discriminator, image))
    judged = _rows([*discriminator.features, discriminator.logit], image)
    features = torch.zeros(1, discriminator.logit.in_features)
    judged += _rows([discriminator.projection], label) + _rows([discriminator.classifier], features)
    if discriminator.company is not None:
        company = discriminator.company
        judged += _rows([company.layer, company.logit], torch.zeros(1, company.layer.in_features))
        judged += _rows([company.projection], label)
    return Summary(made, judged)


@functools.lru_cache(maxsize=64)
def operations(recipe: Recipe, *, folded: bool = True) -> tuple[int, int]:
    """Multiplications and additions of matrix products that the generator makes for one image, and the discriminator.

    ``folded`` counts upsampling convolutions as the fast layers compute them, else as their definition says.
    """
    (generator, discriminator), (latent, image) = _networks(recipe), _inputs(recipe)
    return _operations(generator, latent, folded=folded), _operations(discriminator, image, folded=folded)


def _networks(recipe: Recipe) -> tuple[nn.Module, nn.Module]:
    """Both networks in inference mode, made without drawing or storing weights; spectral norm changes no count."""
    recipe = recipe.model_copy(update={"spectral_norm": False})
    with recipes.unfilled(recipe):
        generator, discriminator = recipes.generator(recipe), recipes.discriminator(recipe)
    return with_memory(generator).eval(), with_memory(discriminator).eval()


def _inputs(recipe: Recipe) -> tuple[Tensor, Tensor]:
    """A latent and an image."""
    return torch.zeros(1, recipe.noise.size), torch.zeros(1, recipe.channels, recipe.size, recipe.size)


@torch.no_grad()
def _layers(network: nn.Module, value: Tensor) -> tuple[Row, ...]:
    """The layers of a chain; of any other module its parts, in the order in which they are first used."""
    if isinstance(network, nn.Sequential):
        return _rows(network.children(), value)
    rows: dict[nn.Module, Row] = {}

    def note(layer: nn.Module, inputs: object, output: object) -> None:
        if layer not in rows and isinstance(output, Tensor):
            rows[layer] = _row(layer, output)

    hooks = [layer.register_forward_hook(note) for layer in network.children()]
    output = network(value)
    for hook in hooks:
        hook.remove()
    return tuple(rows.values()) or (_row(network, output),)


@torch.no_grad()
def _rows(layers: Iterable[nn.Module | None], value: Tensor) -> tuple[Row, ...]:
    rows = []
    for layer in filter(None, layers):
        value = layer(value)
        rows.append(_row(layer, value))
    return tuple(rows)


def _row(layer: nn.Module, output: Tensor) -> Row:
    trainable = sum(parameter.numel() for parameter in layer.parameters())
    averages = sum(buffer.numel() for buffer in layer.buffers() if buffer.is_floating_point())
    return Row(type(layer).__name__, tuple(output.shape[1:]), trainable + averages, trainable)


@torch.no_grad()
def _operations(network: nn.Module, value: Tensor, *, folded: bool) -> int:
    counts: list[int] = []
    for layer in network.modules():
        layer.register_forward_hook(
            lambda layer, inputs, output: counts.append(_products(layer, inputs[0], output, folded=folded))
        )
    network(value)
    return 2 * sum(counts)


def _products(layer: nn.Module, value: Tensor, output: Tensor, *, folded: bool) -> int:
    """A layer's multiplications for one image: its weights, times the positions that each is applied at."""
    if isinstance(layer, nn.Linear):
        return layer.weight.numel()
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.weight.numel() * value[0, 0].numel()
    if isinstance(layer, UpsampleConv2d) and folded:
        pairs, kernel = layer.weight[..., 0, 0].numel(), layer.weight.shape[-1]
        return pairs * 4 * folded_size(kernel) ** 2 * value[0, 0].numel()
    if isinstance(layer, nn.Conv2d | UpsampleConv2d):
        return layer.weight.numel() * output[0, 0].numel()
    return 0
