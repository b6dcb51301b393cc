"""Runs made to fail in known ways, and runs left alone: what is done to each, and what the doctor should say of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gansmith.training.step import TrainState

NO_PROBLEM = ("too early to say", "learning", "healthy", "near real")
PUBLISHED_CLIP = 16.118  # -ln(1e-7): where Keras clips the cross-entropy of a sigmoid


@dataclass(frozen=True, eq=False)
class Case:
    """A training, and what may be said of it: findings that name its failure, or verdicts without a problem."""

    name: str
    how: str
    right: frozenset[str]
    recipe: str
    steps: int
    overrides: Mapping[str, Any] = field(default_factory=dict)
    source: str = "mnist"
    change: Callable[[TrainState], None] | None = None
    quick: bool = False
    evaluate_every: int = 0

    @property
    def fails(self) -> bool:
        """Whether it is made to fail."""
        return "healthy" not in self.right


class Altered(nn.Module):
    """A player with something done to what goes in and what comes out."""

    def __init__(
        self,
        inner: nn.Module,
        before: Callable[[Tensor], Tensor] = lambda value: value,
        after: Callable[[Tensor], Tensor] = lambda value: value,
    ) -> None:
        super().__init__()
        self.inner, self.before, self.after = inner, before, after

    def forward(self, value: Tensor, *more: Any) -> Tensor:
        result: Tensor = self.after(self.inner(self.before(value), *more))
        return result


class Constant(nn.Module):
    """One learned picture for all noise."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.Parameter(torch.zeros(1, 1, 28, 28))

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.picture).expand(len(z), -1, -1, -1)


class Salty(nn.Module):
    """A generator that strews white pixels over an eighth of its images, others for each noise."""

    salt: Tensor

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("salt", torch.randn(100, 784))

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.inner(z)
        return torch.maximum(images, (z @ self.salt > 11.5).float().view_as(images))


class OwnLabels(nn.Module):
    """A conditional generator that makes up its label from the noise."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        result: Tensor = self.inner(z, (z[:, 0] * 1e4).long().remainder(10))
        return result


def dead_from_the_start(state: TrainState) -> None:
    """The published case: a sigmoid at its lower limit, where the clipped cross-entropy has no slope."""
    state.discriminator = Altered(
        state.discriminator, after=lambda logit: (logit - 50).clamp(-PUBLISHED_CLIP, PUBLISHED_CLIP)
    )


def dead_rectifiers(state: TrainState) -> None:
    """Every unit of the discriminator's first layer is off for every image."""
    first = next(layer for layer in state.discriminator.modules() if isinstance(layer, nn.Linear))
    nn.init.constant_(first.bias, -1000.0)


def no_noise(state: TrainState) -> None:
    """The generator gets zeros for noise."""
    replaced(state, Altered(state.generator, before=lambda z: z * 0.0))


def constant(state: TrainState) -> None:
    """The generator is one picture."""
    replaced(state, Constant())


def saturated(state: TrainState) -> None:
    """The generator's sigmoid starts at its upper limit."""
    last = [layer for layer in state.generator.modules() if isinstance(layer, nn.Linear)][-1]
    nn.init.constant_(last.bias, 40.0)


def uneven(state: TrainState) -> None:
    """What transposed convolutions do whose kernel their stride does not divide, and nobody who sees it."""
    blur_eyes(state, 4)
    rows = torch.ones(28)
    rows[::2] = 0.6
    replaced(state, Altered(state.generator, after=lambda images: images * rows * rows[:, None]))


def salted(state: TrainState) -> None:
    """Salt in the images, and nobody who sees more of it than its sum."""
    blur_eyes(state, 14)
    replaced(state, Salty(state.generator))


def blur_eyes(state: TrainState, size: int) -> None:
    """The discriminator sees averages of `size` x `size` pixels."""

    def averages(images: Tensor) -> Tensor:
        return nn.functional.interpolate(nn.functional.avg_pool2d(images, size), scale_factor=size)

    state.discriminator = Altered(state.discriminator, before=averages)


def saturating(state: TrainState) -> None:
    """A discriminator whose answers are clipped: right about everything, and without a slope for the generator."""
    state.discriminator = Altered(state.discriminator, after=lambda logit: (logit * 100).clamp(-8, 8))


def infinite(state: TrainState) -> None:
    """A weight becomes infinite at the 600th update of the generator."""

    def poison(number: int, group: dict[str, Any]) -> None:
        if number == 600:
            group["params"][0].data[0] = float("inf")

    around(state.generator_optimizer, poison)


def hurried(state: TrainState) -> None:
    """Both rates are 30 times as high from the 1,001st update on."""
    for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
        around(optimizer, lambda number, group: group.update(lr=group["lr"] * (30 if number > 1000 else 1)))


def shaken(state: TrainState) -> None:
    """Every update of the generator from the 1,001st on moves its weights by 5 % of themselves at random, too."""

    def shake(number: int, group: dict[str, Any]) -> None:
        if number > 1000:
            for parameter in group["params"]:
                parameter.data.mul_(1 + 0.05 * torch.randn_like(parameter))

    around(state.generator_optimizer, shake)


def wasting(state: TrainState) -> None:
    """The generator's weights shrink by a hundredth with every update from the 1,001st on."""

    def shrink(number: int, group: dict[str, Any]) -> None:
        if number > 1000:
            for parameter in group["params"]:
                parameter.data.mul_(0.99)

    around(state.generator_optimizer, shrink)


def by_turns(state: TrainState) -> None:
    """Each player learns for 100 steps while the other stands still."""
    for turn, optimizer in enumerate((state.discriminator_optimizer, state.generator_optimizer)):
        around(optimizer, lambda number, group, turn=turn: (number - 1) // 100 % 2 == turn)


def around(optimizer: torch.optim.Optimizer, before: Callable[[int, dict[str, Any]], object]) -> None:
    """Calls ``before`` with an update's number, from 1, and the optimiser's settings; False leaves the update out."""
    inner, count = optimizer.step, [0]

    def step(*arguments: Any) -> Any:
        count[0] += 1
        return None if before(count[0], optimizer.param_groups[0]) is False else inner(*arguments)

    optimizer.step = step  # type: ignore[method-assign,assignment]


def other_labels(state: TrainState) -> None:
    """The generator makes another class than the one requested."""
    replaced(state, OwnLabels(state.generator))


def replaced(state: TrainState, generator: nn.Module) -> None:
    """Another generator, with an optimiser of its own."""
    state.generator = generator.train()
    old = state.generator_optimizer
    (group,) = old.param_groups
    settings = {key: value for key, value in group.items() if key != "params"}
    state.generator_optimizer = type(old)(generator.parameters(), **settings)


HALF = {"generator.width": 0.5, "discriminator.width": 0.5, "batch_size": 64}
SMALL_DCGAN = {"generator.width": 0.25, "discriminator.width": 0.25, "batch_size": 64}


def well(name: str, how: str, recipe: str, steps: int, **more: Any) -> Case:
    """A run that should show no problem."""
    return Case(f"healthy: {name}", how, frozenset(NO_PROBLEM), recipe, steps, **more)


def failing(name: str, how: str, right: str, recipe: str, steps: int, **more: Any) -> Case:
    """A run that fails; `right`: the findings, or the verdict, that say so, with a bar between them."""
    return Case(name, how, frozenset(right.split(" | ")), recipe, steps, **more)


CASES = (
    well("mlp", "as published", "mlp", 12_000),
    well("mlp-bn", "as published", "mlp-bn", 1500),
    well("mlp-bn, half as wide", "widths 0.5, batches of 64", "mlp-bn", 2000, overrides=HALF, quick=True),
    well("Fashion-MNIST", "the same", "mlp-bn", 2000, overrides=HALF, source="fashion-mnist"),
    well("dcgan-upsample", "widths 0.25, batches of 64", "dcgan-upsample", 250, overrides=SMALL_DCGAN),
    well("dcgan-transpose", "widths 0.25, batches of 64", "dcgan-transpose", 250, overrides=SMALL_DCGAN),
    failing(
        "rates 50 : 1",
        "--generator-optimizer.lr 2e-5 --real-label 1",
        "discriminator overpowers",
        "mlp",
        2000,
        overrides={"generator_optimizer.lr": 2e-5, "real_label": 1.0},
        quick=True,
    ),
    failing(
        "dead, as published",
        "a clipped sigmoid at its limit",
        "dead discriminator",
        "mlp",
        1000,
        overrides={"real_label": 1.0},
        change=dead_from_the_start,
        quick=True,
    ),
    failing(
        "dead units",
        "--discriminator.slope 0, first biases at -1000",
        "dead discriminator",
        "mlp",
        1000,
        overrides={"discriminator.slope": 0.0},
        change=dead_rectifiers,
        quick=True,
    ),
    failing("noise zeroed", "z x 0", "noise ignored", "mlp", 1500, change=no_noise, quick=True),
    failing(
        "constant generator",
        "one learned picture",
        "noise ignored | total collapse",
        "mlp",
        1500,
        overrides={"pixels": (0.0, 1.0)},
        change=constant,
        quick=True,
    ),
    failing("one picture", "deconv as published", "total collapse | noise ignored", "deconv", 1000),
    failing(
        "mostly ones",
        "70 % of the training images are ones, 10 % of the test images",
        "partial collapse",
        "mlp-bn",
        1500,
        overrides=HALF,
        source="ones",
    ),
    failing(
        "100 images",
        "100 training images",
        "generator copies | discriminator memorises",
        "mlp-bn",
        1500,
        overrides={**HALF, "batch_size": 32},
        source="few",
    ),
    failing(
        "uneven overlap",
        "every second row and column at 0.6, unseen by a discriminator of 4 x 4 averages",
        "checkerboard",
        "mlp-bn",
        800,
        overrides=HALF,
        change=uneven,
    ),
    failing(
        "rates of 1",
        "both --...-optimizer.lr 1",
        "exploding | not finite",
        "mlp",
        1500,
        overrides={"generator_optimizer.lr": 1.0, "discriminator_optimizer.lr": 1.0},
        quick=True,
    ),
    failing("infinity", "a weight set to infinity at step 600", "not finite", "mlp", 1000, change=infinite, quick=True),
    failing(
        "saturated at the start",
        "output biases at 40",
        "blank or saturated",
        "mlp-bn",
        800,
        overrides=HALF,
        change=saturated,
        quick=True,
    ),
    failing(
        "salt",
        "white pixels that a discriminator of 14 x 14 averages cannot see",
        "noise-like images | discriminator too weak",
        "mlp-bn",
        1000,
        overrides=HALF,
        change=salted,
    ),
    failing(
        "slow discriminator",
        "--discriminator-optimizer.lr 1e-7",
        "discriminator too weak",
        "mlp-bn",
        800,
        overrides={**HALF, "discriminator_optimizer.lr": 1e-7},
        quick=True,
    ),
    failing(
        "no slope",
        "answers x 100, clipped at 8",
        "vanishing gradient | discriminator overpowers | dead discriminator",
        "mlp",
        1000,
        change=saturating,
        quick=True,
    ),
    failing(
        "labels swapped",
        "--conditional, but the generator makes another class",
        "labels ignored",
        "mlp-bn",
        1200,
        overrides={**HALF, "conditional": "projection"},
        change=other_labels,
    ),
    failing(
        "hurried",
        "both rates x 30 from step 1,000",
        "late collapse",
        "mlp-bn",
        2000,
        overrides=HALF,
        change=hurried,
    ),
    failing(
        "wasting",
        "the generator's weights shrink by 1 % a step from step 1,000",
        "late collapse",
        "mlp-bn",
        2000,
        overrides=HALF,
        change=wasting,
    ),
    failing(
        "penalty of 10,000",
        "--penalty.kind r1 --penalty.gamma 1e4",
        "penalty too strong",
        "mlp-bn",
        1000,
        overrides={**HALF, "penalty.kind": "r1", "penalty.gamma": 1e4},
        quick=True,
    ),
    failing(
        "two kinds",
        "--kinds 2, of MNIST's ten digits",
        "kinds impure",
        "mlp-bn",
        600,
        overrides={**HALF, "kinds": 2},
        quick=True,
    ),
    failing(
        "shaken",
        "the generator's weights tremble by 5 % a step from step 1,000; measured every 200",
        "late decline | late collapse",
        "mlp-bn",
        2000,
        overrides=HALF,
        change=shaken,
        evaluate_every=200,
    ),
    failing("by turns", "each player learns for 100 steps in turn", "oscillation", "mlp", 5000, change=by_turns),
    well(
        "colour-mnist",
        "widths 0.25, batches of 64",
        "dcgan-transpose",
        400,
        overrides=SMALL_DCGAN,
        source="colour-mnist",
    ),
    failing(
        "colour without convolutions",
        "widths 0.5, batches of 64, on colour-mnist: still noise after 2,000 steps",
        "noise-like images",
        "mlp-bn",
        2000,
        overrides=HALF,
        source="colour-mnist",
    ),
    failing(
        "own colour folder",
        "356 colour pictures of 32 x 32 in a folder, 600 steps: confetti",
        "noise-like images | learning",
        "mlp-bn",
        600,
        source="folder",
        evaluate_every=300,
    ),
    failing(
        "colour: noise zeroed",
        "z x 0, on colour-mnist",
        "noise ignored",
        "mlp-bn",
        800,
        overrides=HALF,
        source="colour-mnist",
        change=no_noise,
    ),
    failing(
        "own colour folder: dead, as published",
        "a clipped sigmoid at its limit, on the folder",
        "dead discriminator",
        "mlp-bn",
        600,
        overrides={**HALF, "real_label": 1.0},
        source="folder",
        change=dead_from_the_start,
    ),
)
