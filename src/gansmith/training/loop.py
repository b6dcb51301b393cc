"""The training loop.

The clock is the number of images seen, and no random state outlives a step: step k draws its latents and dropout from a
stream seeded by (seed, k) and takes its real images from position k * batch_images of the data's endless permutation. A
run that is cut anywhere and resumed from a checkpoint therefore ends in the same bytes as one that never stopped.
"""

import hashlib
import math
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gansmith import generator as sampling
from gansmith import recipes
from gansmith.errors import DivergenceError, UserError
from gansmith.nn import place, rows, set_fast
from gansmith.recipe import Recipe
from gansmith.training import average, optim, private
from gansmith.training.cuda_graph import CapturedStep, capturable
from gansmith.training.events import Event, Measured, Observer, Probe, Progress, Saved, Snapshot
from gansmith.training.options import Settings
from gansmith.training.parallel import ALONE, Group
from gansmith.training.step import (
    StepOutput,
    TrainState,
    discriminator_gradients,
    end_step,
    step,
    update_discriminator,
)


class Images(Protocol):
    """Where real images come from: :class:`gansmith.data.Batches`, or :class:`gansmith.data.on_device.Resident`."""

    def at(self, position: int) -> np.ndarray | Tensor:
        """uint8 (batch_size, C, H, W) from a position in the stream."""
        ...

    def labels_at(self, position: int) -> np.ndarray:
        """Their classes (batch_size,); only conditional recipes need them."""
        ...


def train(
    state: TrainState,
    recipe: Recipe,
    images: Images,
    settings: Settings,
    *,
    seconds: float | None = None,
    save: Callable[[TrainState], Path],
    stop: Callable[[], int] = lambda: False,
    observers: Sequence[Observer] = (),
    probes: Sequence[Probe] = (),
) -> bool:
    """Trains until ``settings.steps``, the end of the ``seconds``, or ``stop()``, and ends with a checkpoint.

    Where several processes train together, each calls this; observers, probes and ``save`` are for process 0.

    Returns False after ``stop()``, else True. Raises DivergenceError when a loss, a metric or a weight is not finite,
    and PeerError when another process is gone.
    """
    device = next(state.generator.parameters()).device
    group = state.group
    advance = _advance(state, recipe, images, settings)
    snapshot = _snapshots(state, recipe, settings.seed)
    over = _ending(state, settings.steps, seconds)
    notify = partial(_notify, observers)
    if state.step == 0 and group.rank == 0:
        notify(snapshot())  # the untrained generator
    saved = state.step or None  # step 0 has no checkpoint yet
    ended, stopped = _decide(state, over(), stop)
    while not ended and not stopped():
        # ---- single training step ------------------------------------------------------------
        held = seed_step(settings.seed, state.step, recipe, device, group)
        real, labels = batch_at(images, state.step, recipe, device)
        with rows.holding(held):
            output = advance(real, labels)  # one update of the discriminator, one of the generator
        # --------------------------------------------------------------------------------------
        now, seen = state.step, state.step * recipe.batch_images
        ended, stopped = _decide(state, over(), stop)

        # losses and accuracies
        check_finite(output, now, group)
        logged = now % settings.log_every == 0 or ended
        notify(Progress(now, seen, metrics(output, recipe, now, group) if logged else None))

        # quality, and the doctor's signals
        for probe in probes:
            if now % probe.every == 0 or ended:
                notify(Measured(now, seen, probe.kind, probe.look(state, output)))

        # images of the fixed latents
        if group.rank == 0 and (now % settings.sheet_every == 0 or ended):
            notify(snapshot())

        # checkpoint
        if now % settings.checkpoint_every == 0 or ended:
            notify(Saved(now, save(state)))
            saved = now
    if saved != state.step:
        notify(Saved(state.step, save(state)))
    return ended


def _decide(state: TrainState, over: bool, stop: Callable[[], int]) -> tuple[bool, Callable[[], int]]:
    """(whether training is over, what tells whether to stop): in a group, process 0's word and anybody's signal."""
    if not state.group.shared:
        return over, stop
    stopped, over, state.length = state.group.agree(int(stop()), over, state.length)
    return over, lambda: stopped


def _notify(observers: Sequence[Observer], event: Event) -> None:
    for observer in observers:
        observer(event)


def _ending(state: TrainState, steps: int | None, seconds: float | None) -> Callable[[], bool]:
    """Tells whether training is over, by steps or by the clock.

    It notes how long the run will be, too: so many steps, or what the rate so far makes of the time.
    """
    begun, first = time.monotonic(), state.step
    if steps is not None:
        state.length = steps

    def over() -> bool:
        if seconds is None:
            return steps is not None and state.step >= steps
        spent = time.monotonic() - begun
        if steps is None and state.step > first:
            state.length = state.step + round(max(0.0, seconds / spent - 1) * (state.step - first))
        return spent >= seconds or (steps is not None and state.step >= steps)

    return over


def _advance(
    state: TrainState, recipe: Recipe, images: Images, settings: Settings
) -> Callable[[Tensor, Tensor | None], StepOutput]:
    """(real, labels) -> one step, as the settings want it."""
    if settings.privacy is None:
        return stepper(state, recipe, precision=settings.precision, fast=settings.fast == "auto")
    assert isinstance(images, private.Drawn)
    return private.PrivateStep(state, recipe, images, settings.privacy)


def stepper(
    state: TrainState, recipe: Recipe, *, precision: str, fast: bool = True
) -> Callable[[Tensor, Tensor | None], StepOutput]:
    """(real, labels) -> :func:`gansmith.training.step.step` in a precision; on CUDA, where ``fast``, as CUDA graphs."""
    device = next(state.generator.parameters()).device
    if fast and device.type == "cuda" and capturable(recipe) and not state.group.shared:
        try:
            return CapturedStep(state, recipe, precision, device)
        except RuntimeError as error:
            reason = (str(error).splitlines() or [""])[0]
            warnings.warn(f"CUDA graph capture failed; running eagerly ({reason})", stacklevel=1)

    own = recipes.entry(recipe.name).step
    # Weights in bf16 are kept until the context ends, so not where one step updates them and uses them again.
    once = own is None and recipe.discriminator_updates == recipe.generator_updates == 1
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=once)
    make = partial(step, state, recipe) if own is None else partial(_own_step, own, state, recipe)
    advance: Callable[[Tensor, Tensor | None], StepOutput] = autocast(make)
    return advance


def _own_step(
    own: Callable[..., StepOutput], state: TrainState, recipe: Recipe, real: Tensor, labels: Tensor | None = None
) -> StepOutput:
    """One step by a function of the user's, counted if that did not."""
    before = state.step
    output = own(state, recipe, real, labels)
    if not isinstance(output, StepOutput):
        raise UserError(f"recipe {recipe.name}: its step returns {type(output).__name__}; return a StepOutput")
    if state.step == before:
        end_step(state, recipe)
    return output


def stream(seed: int, label: object) -> int:
    """A seed for the random stream that ``label`` names: 32 bits of SHA-256, all that a Mersenne twister takes."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{label}".encode()).digest()[:4], "big")


def seed_step(seed: int, step: int, recipe: Recipe, device: torch.device, group: Group) -> rows.Rows | None:
    """Seeds what a step draws; returns the rows of its batches held here, None for all of them.

    Where processes share batches, what is drawn for rows comes from a generator that all seed alike, and what layers of
    the user's own draw beside that from the global one, which is seeded by the process too.
    """
    seed_all(stream(seed, f"{step} in process {group.rank}" if group.shared else step), device)
    return group.rows(recipe.batch_size, stream(seed, step), device, pack=recipe.pack)


def seed_all(seed: int, device: torch.device) -> None:
    """torch.manual_seed, but on a CPU without its half millisecond of noting the caller for CUDA's lazy start."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def new_state(
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    fast: bool = True,
    group: Group = ALONE,
    places: np.ndarray | None = None,
) -> TrainState:
    """Untrained networks, the same for the same recipe and seed, and their optimisers.

    ``fast`` decides whether layers that have two paths take the fast one or the plain one that defines it. ``places``
    (conditions, D) are those of :attr:`gansmith.data.kinds.Kinds.places`.
    """
    torch.manual_seed(stream(seed, "weights"))
    generator = _placed(recipes.generator(recipe), device)
    discriminator = _placed(recipes.discriminator(recipe), device)
    for network in (generator, discriminator):
        set_fast(network, fast)
    if places is not None:
        place(discriminator, torch.tensor(places, device=device))
    return TrainState(
        generator.train(),
        discriminator.train(),
        optim.build(generator.parameters(), recipe.generator_optimizer),
        optim.build(discriminator.parameters(), recipe.discriminator_optimizer),
        length=recipe.steps,
        average=average.start(generator, recipe.average),
        group=group,
    )


def batch_at(images: Images, step: int, recipe: Recipe, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """The real images of a step, as :func:`to_pixels` gives them, and their conditions (N,) where there are any."""
    position = step * recipe.batch_images
    real = to_pixels(images.at(position), recipe, device)
    if not recipe.labelled:
        return real, None
    return real, torch.from_numpy(images.labels_at(position)).to(device, torch.long)


def to_pixels(images: np.ndarray | Tensor, recipe: Recipe, device: torch.device) -> Tensor:
    """uint8 (N, C, H, W) -> float32 within recipe.pixels, on the device, channels last."""
    black, white = recipe.pixels
    small = torch.as_tensor(images).to(device, non_blocking=True)
    scaled = torch.add(torch.tensor(float(black)), small, alpha=(white - black) / 255)  # in one pass over memory
    return scaled.contiguous(memory_format=torch.channels_last)


def check_finite(output: StepOutput, step: int, group: Group = ALONE) -> None:
    """Raises DivergenceError when a loss is not finite, or what a process of several adds to losses and gradients.

    Does nothing on a GPU, where reading a loss would stall.
    """
    if output.generator_loss.device.type == "cpu":
        if said := group.blame():
            raise DivergenceError(f"step {step}: {said}")
        losses = {"discriminator": output.discriminator_loss.item(), "generator": output.generator_loss.item()}
        for network, value in losses.items():
            if not math.isfinite(value):
                raise DivergenceError(f"step {step}: the {network}'s loss is {value}")


def metrics(output: StepOutput, recipe: Recipe, step: int, group: Group = ALONE) -> dict[str, float]:
    """Losses, accuracies, and mean and standard deviation of the fakes' pixels in [0, 1].

    Raises DivergenceError when one is not finite.
    """
    black, white = recipe.pixels
    fake = (output.fake - black) / (white - black)
    tensors = {
        "discriminator_loss": output.discriminator_loss,
        "generator_loss": output.generator_loss,
        "discriminator_accuracy": output.discriminator_accuracy,
        "generator_accuracy": output.generator_accuracy,
        **dict(zip(("pixel_mean", "pixel_std"), _mean_and_std(fake, group), strict=True)),
    }
    values = {name: float(tensor) for name, tensor in tensors.items()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise DivergenceError(f"by step {step} {group.blame() or f'{name} is {value}'}")
    return values


def _mean_and_std(fake: Tensor, group: Group) -> tuple[Tensor, Tensor]:
    """Over the pixels of all processes."""
    if not group.shared:
        return fake.mean(), fake.std()
    wide = fake.double()
    sums = torch.stack([wide.sum(), wide.square().sum(), wide.new_tensor(wide.numel())])
    group.add_in_place(sums)
    mean = sums[0] / sums[2]
    return mean, ((sums[1] - sums[2] * mean.square()).clamp_min(0) / (sums[2] - 1)).sqrt()


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
    """Trains a discriminator against an untrained generator, and returns its accuracy at each step.

    A discriminator that cannot separate these has nothing to teach the generator. Its networks are thrown away:
    R. Atienza's article warns against starting from a pre-trained discriminator.
    """
    state = new_state(recipe, seed=seed, device=device, fast=fast)
    accuracies: list[float] = []
    while len(accuracies) < steps and not stop():
        torch.manual_seed(stream(seed, f"sanity {state.step}"))
        real, labels = batch_at(images, state.step, recipe, device)
        output = discriminator_gradients(state, recipe, real, labels)
        update_discriminator(state, recipe)
        state.step += 1
        accuracies.append(float(output.accuracy))
    return accuracies


def _snapshots(state: TrainState, recipe: Recipe, seed: int) -> Callable[[], Snapshot]:
    """A function that shows what the generator makes now of 64 fixed latents, or of fewer with every class each."""
    columns = sampling.columns(recipe.turns, 64)
    latents = sampling.latents(recipe.noise, seed=seed, count=64)
    if recipe.turns == recipe.conditions > 0:
        latents = latents.repeat_interleave(recipe.turns, 0)[: 64 // columns * columns]

    def snapshot() -> Snapshot:
        generator = sampling.snapshot(state.shown, recipe, settle_on=1024)
        return Snapshot(state.step, generator.images(latents), columns)

    return snapshot


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
