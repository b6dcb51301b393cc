"""The training loop.

Images seen is the clock, and nothing random outlives a step: step k draws its noise and dropout from a stream seeded by
(seed, k) and takes its real images from position k * batch_size of the data's endless permutation. So a run
that is cut anywhere and resumed from a checkpoint ends in the same bytes as one that never stopped.
"""

import hashlib
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gansmith import generator as sampling
from gansmith import recipes
from gansmith.errors import DivergenceError
from gansmith.nn import set_fast
from gansmith.recipe import Recipe
from gansmith.training import optim
from gansmith.training.cuda_graph import Replay
from gansmith.training.step import (
    Outcome,
    Players,
    discriminator_gradients,
    draw,
    make_fakes,
    step,
    update_discriminator,
)


@dataclass(frozen=True)
class Progress:
    """A step was made. Metrics come only with logged steps."""

    step: int
    images: int
    metrics: Mapping[str, float] | None


@dataclass(frozen=True)
class Snapshot:
    """What the generator makes now of the same fixed noise: uint8 (64, C, H, W).

    On labels, each noise is there with every class, and each of ``columns`` shows one class, as far as these fit.
    """

    step: int
    images: np.ndarray
    columns: int = 8


@dataclass(frozen=True)
class Saved:
    """A checkpoint is safely on disk."""

    step: int
    path: Path


@dataclass(frozen=True)
class Measured:
    """What a probe found."""

    step: int
    images: int
    kind: str
    values: Mapping[str, float]


Event = Progress | Snapshot | Saved | Measured
Observer = Callable[[Event], None]


@dataclass(frozen=True)
class Probe:
    """Something to look at now and then while training: a function of the players and their last step.

    It may use the players as it likes if it leaves them as they were, their random stream too (a step seeds its own).
    """

    kind: str
    every: int
    look: Callable[[Players, Outcome], Mapping[str, float]]


class Images(Protocol):
    """Where real images come from: :class:`gansmith.data.Batches`, or :class:`gansmith.data.on_device.Resident`."""

    def at(self, position: int) -> np.ndarray | Tensor:
        """uint8 (batch_size, C, H, W) from a position in the stream."""
        ...

    def labels_at(self, position: int) -> np.ndarray:
        """Their classes (batch_size,); asked for by conditional recipes only."""
        ...


@dataclass(frozen=True)
class Plan:
    """How long to train, in steps or until the seconds are over, and how often to look, log and save, in steps."""

    seed: int
    steps: int
    seconds: float | None
    sheet_every: int
    log_every: int
    checkpoint_every: int


def train(
    players: Players,
    recipe: Recipe,
    images: Images,
    plan: Plan,
    *,
    precision: str,
    fast: bool = True,
    save: Callable[[Players], Path],
    stop: Callable[[], bool] = lambda: False,
    observers: Sequence[Observer] = (),
    probes: Sequence[Probe] = (),
) -> bool:
    """Trains until ``plan.steps``, or until the time is over or ``stop()`` is true, and ends with a checkpoint.

    Returns whether the end was reached, rather than a stop asked for.

    Raises:
        DivergenceError: a loss or a weight is no longer finite.
    """
    device = next(players.generator.parameters()).device
    columns = sampling.columns(recipe.classes, 64)
    fixed_noise = sampling.latents(recipe.noise, seed=plan.seed, count=64)
    if recipe.classes:  # the same noise for each class
        fixed_noise = fixed_noise.repeat_interleave(recipe.classes, 0)[: 64 // columns * columns]

    def notify(event: Event) -> None:
        for observer in observers:
            observer(event)

    def look() -> None:
        generator = sampling.snapshot(players.generator, recipe, settle_on=1024)
        notify(Snapshot(players.step, generator.images(fixed_noise), columns))

    if players.step == 0:
        look()  # the untrained generator
    advance = stepper(players, recipe, precision=precision, fast=fast)
    start, saved = time.monotonic(), players.step or None  # step 0 has no checkpoint yet
    ended = players.step >= plan.steps
    while not ended and not stop():
        seed_all(stream(plan.seed, players.step), device)
        position = players.step * recipe.batch_size
        real = to_pixels(images.at(position), recipe, device)
        labels = labels_at(images, position, recipe, device)

        outcome = advance(real, labels)
        now = players.step
        ended = now >= plan.steps or (plan.seconds is not None and time.monotonic() - start >= plan.seconds)
        check_finite(outcome, now)
        logged = now % plan.log_every == 0 or ended
        notify(Progress(now, now * recipe.batch_size, read(outcome, recipe, now) if logged else None))
        for probe in probes:
            if now % probe.every == 0 or ended:
                notify(Measured(now, now * recipe.batch_size, probe.kind, probe.look(players, outcome)))
        if now % plan.sheet_every == 0 or ended:
            look()
        if now % plan.checkpoint_every == 0 or ended:
            notify(Saved(now, save(players)))
            saved = now
    if saved != players.step:
        notify(Saved(players.step, save(players)))
    return ended


def stepper(
    players: Players, recipe: Recipe, *, precision: str, fast: bool = True
) -> Callable[[Tensor, Tensor | None], Outcome]:
    """(real, labels) -> :func:`step` in a precision; on a GPU, where ``fast``, recorded and replayed."""
    device = next(players.generator.parameters()).device
    if fast and device.type == "cuda":
        try:
            return Replay(players, recipe, precision, device)
        except RuntimeError as error:
            reason = (str(error).splitlines() or [""])[0]
            warnings.warn(f"the step could not be recorded, and is launched anew each time ({reason})", stacklevel=1)

    def advance(real: Tensor, labels: Tensor | None) -> Outcome:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return step(players, recipe, real, labels)

    return advance


def stream(seed: int, label: object) -> int:
    """A seed for the random stream that ``label`` names: 32 bits of SHA-256, all that a Mersenne twister takes."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{label}".encode()).digest()[:4], "big")


def seed_all(seed: int, device: torch.device) -> None:
    """torch.manual_seed, but on a CPU half a millisecond faster: that one also notes its caller for a sleeping CUDA."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def new_players(recipe: Recipe, *, seed: int, device: torch.device, fast: bool = True) -> Players:
    """Untrained networks, the same for the same recipe and seed, and their optimisers.

    ``fast`` decides whether layers that have two paths take the fast one or the plain one that defines it.
    """
    torch.manual_seed(stream(seed, "weights"))
    generator = _placed(recipes.generator(recipe), device)
    discriminator = _placed(recipes.discriminator(recipe), device)
    for network in (generator, discriminator):
        set_fast(network, fast)
    return Players(
        generator.train(),
        discriminator.train(),
        optim.build(generator.parameters(), recipe.generator_optimizer),
        optim.build(discriminator.parameters(), recipe.discriminator_optimizer),
    )


def to_pixels(images: np.ndarray | Tensor, recipe: Recipe, device: torch.device) -> Tensor:
    """uint8 (N, C, H, W) -> float32 within recipe.pixels, on the device, channels last."""
    black, white = recipe.pixels
    small = torch.as_tensor(images).to(device, non_blocking=True)
    scaled = torch.add(torch.tensor(float(black)), small, alpha=(white - black) / 255)  # in one pass over memory
    return scaled.contiguous(memory_format=torch.channels_last)


def labels_at(images: Images, position: int, recipe: Recipe, device: torch.device) -> Tensor | None:
    """The classes (N,) of the real images at a position, on the device; None where the recipe asks for none."""
    if recipe.conditional == "none":
        return None
    return torch.from_numpy(images.labels_at(position)).to(device, torch.long)


def check_finite(outcome: Outcome, step: int) -> None:
    """Raises DivergenceError when a loss is not finite. On a GPU, where a look would stall, only logged steps look."""
    if outcome.generator_loss.device.type == "cpu":
        losses = {"discriminator": outcome.discriminator_loss.item(), "generator": outcome.generator_loss.item()}
        for player, value in losses.items():
            if not math.isfinite(value):
                raise DivergenceError(f"step {step}: the {player}'s loss is {value}")


def read(outcome: Outcome, recipe: Recipe, step: int) -> dict[str, float]:
    """The step's metrics as numbers. Raises DivergenceError when one is not finite."""
    black, white = recipe.pixels
    fake = (outcome.fake - black) / (white - black)
    values: dict[str, Any] = {
        "discriminator_loss": outcome.discriminator_loss,
        "generator_loss": outcome.generator_loss,
        "discriminator_accuracy": outcome.discriminator_accuracy,
        "generator_accuracy": outcome.generator_accuracy,
        "pixel_mean": fake.mean(),
        "pixel_std": fake.std(),
    }
    metrics = {name: float(value) for name, value in values.items()}
    for name, number in metrics.items():
        if not math.isfinite(number):
            raise DivergenceError(f"by step {step} {name} is {number}")
    return metrics


def sanity_check(
    recipe: Recipe,
    images: Images,
    *,
    seed: int,
    steps: int,
    device: torch.device,
    fast: bool = True,
    stop: Callable[[], bool] = lambda: False,
) -> list[float]:
    """The discriminator alone, real images against an untrained generator's fakes: its accuracy after each step.

    On players of its own, so training starts untouched: the article warns against a pre-trained discriminator.
    One that cannot tell these apart will not teach anybody.
    """
    players = new_players(recipe, seed=seed, device=device, fast=fast)
    accuracies = []
    for index in range(steps):
        if stop():
            break
        torch.manual_seed(stream(seed, f"sanity {index}"))
        position = index * recipe.batch_size
        real = to_pixels(images.at(position), recipe, device)
        labels = labels_at(images, position, recipe, device)
        fake = make_fakes(players.generator, draw(recipe.noise, len(real), device), recipe, labels)
        known = None if labels is None else torch.cat([labels, labels])
        _, accuracy = discriminator_gradients(players, recipe, real, fake, known)
        update_discriminator(players, recipe)
        players.step += 1
        accuracies.append(float(accuracy))
    return accuracies


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
