"""A training step captured as CUDA graphs: on a GPU, small networks spend their time on launching kernels.

Each half of the step, from latents to gradients, becomes one graph, or both halves one where one pass of the
discriminator serves both players. A step with a penalty is another step than one without, so there is a set of graphs
for each. The optimisers stay outside, because their numbers change from step to step. A graph reads and writes the same
memory at every replay: the batch is copied in, and the output is overwritten by the next step. Random numbers come from
the device's generator as it is seeded when a replay starts, so a replay draws what the eager step would draw.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from gansmith import recipes
from gansmith.recipe import Recipe
from gansmith.training import schedule
from gansmith.training.step import (
    DiscriminatorPass,
    StepOutput,
    TrainState,
    discriminator_gradients,
    end_step,
    generator_gradients,
    gradients_of_both,
    penalised,
    update_discriminator,
    update_generator,
)

Work = Callable[[], None]
WARM_UP = 3  # runs before the capture, in which libraries choose their kernels and allocate their memory


def capture(works: Sequence[Work], device: torch.device, precision: str) -> list[Work]:
    """Runs ``works`` a few times, then captures each as a CUDA graph; returns their replays.

    A replay may read what the one before it in ``works`` left, and nothing else that a replay made. Raises RuntimeError
    when something in them cannot be captured, such as waiting for the device.
    """

    def for_each(do: Callable[[Work], Work]) -> list[Work]:
        results = []
        for work in works:
            # Leaving autocast drops its weights in bf16: no graph must read what a warm-up or another graph made.
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                results.append(do(work))
        return results

    def run(work: Work) -> Work:
        work()
        return work

    def captured(work: Work) -> Work:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=side):
            work()
        return graph.replay

    with torch.cuda.device(device):
        pool = torch.cuda.graph_pool_handle()  # shared, since the second work reads what the first one made
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                for_each(run)
        torch.cuda.current_stream().wait_stream(side)
        return for_each(captured)


def capturable(recipe: Recipe) -> bool:
    """Whether the steps of a recipe are of one or two kinds, with a penalty and without: what graphs can replay."""
    return recipes.entry(recipe.name).step is None and not recipe.augment.on


@dataclass
class Made:
    """What the graphs of one kind of step leave in memory."""

    first: DiscriminatorPass | None = None
    output: StepOutput | None = None
    gradients: dict[nn.Parameter, Tensor | None] = field(default_factory=dict)


class CapturedStep:
    """:func:`gansmith.training.step.step` of one training state, replayed from CUDA graphs.

    Args:
        state: on the device. Its networks and optimisers must not be replaced. Capturing changes only gradients.
        recipe: of the state; its batch size, size, channels and classes are what every batch must have.
        precision: "fp32" or "bf16".
        device: that the graphs run on.
        capture: turns the parts of a step into their replays; replaced in tests on machines without a GPU.

    Raises RuntimeError when the step cannot be captured.
    """

    def __init__(
        self,
        state: TrainState,
        recipe: Recipe,
        precision: str,
        device: torch.device,
        capture: Callable[[Sequence[Work], torch.device, str], list[Work]] = capture,
    ) -> None:
        self._state, self._recipe = state, recipe
        shape = (recipe.batch_size, recipe.channels, recipe.size, recipe.size)
        self._real = torch.zeros(shape, device=device).contiguous(memory_format=torch.channels_last)
        self._labels = torch.zeros(len(self._real), dtype=torch.long, device=device) if recipe.labelled else None
        self._gamma = torch.zeros((), device=device)
        every = 0 if recipe.penalty.kind == "none" else recipe.penalty.every
        kinds = [kind for kind, exists in ((False, every != 1), (True, every > 0)) if exists]
        self._made = {kind: Made() for kind in kinds}
        parts = (self._both,) if recipe.one_pass else (self._discriminator, self._generator)
        works = [partial(part, kind) for kind in kinds for part in parts]
        buffers = [*state.generator.buffers(), *state.discriminator.buffers()]  # moving averages of batch norm
        before = [buffer.clone() for buffer in buffers]
        try:
            replays = iter(capture(works, device, precision))
        finally:  # a capture that failed may have stopped anywhere
            state.generator.train()
            state.discriminator.requires_grad_(True)
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
        self._replays = {kind: [next(replays) for _ in parts] for kind in kinds}

    def __call__(self, real: Tensor, labels: Tensor | None = None) -> StepOutput:
        """The updates of a step; the tensors of the output are overwritten by the next call."""
        state, recipe = self._state, self._recipe
        kind = penalised(state, recipe)
        if kind:
            self._gamma.fill_(schedule.gamma(recipe.penalty, share=state.share))
        made, (first, *second) = self._made[kind], self._replays[kind]
        batches = torch.split(real, recipe.batch_size)
        told = [None] * len(batches) if labels is None else torch.split(labels, recipe.batch_size)
        for turn, (batch, classes) in enumerate(zip(batches, told, strict=True)):
            self._real.copy_(batch)
            if self._labels is not None and classes is not None:
                self._labels.copy_(classes)
            self._replay(first, made)
            update_discriminator(state, recipe, turn)
        if recipe.one_pass:
            update_generator(state, recipe)
        for turn, replay in enumerate(second * recipe.generator_updates):
            self._replay(replay, made)
            update_generator(state, recipe, turn)
        end_step(state, recipe)
        assert made.output is not None
        return made.output

    def _replay(self, replay: Work, made: Made) -> None:
        """Runs a graph; the weights' gradients are those that it writes, not those of the graph captured last."""
        replay()
        for weight, gradient in made.gradients.items():
            weight.grad = gradient

    def _both(self, kind: bool) -> None:
        with self._at(kind):
            self._made[kind].output = gradients_of_both(self._state, self._recipe, self._real, self._labels)
        self._note(kind, self._state.generator, self._state.discriminator)

    def _discriminator(self, kind: bool) -> None:
        with self._at(kind):
            self._made[kind].first = discriminator_gradients(self._state, self._recipe, self._real, self._labels)
        self._note(kind, self._state.discriminator)

    def _generator(self, kind: bool) -> None:
        made = self._made[kind]
        assert made.first is not None
        made.output = generator_gradients(self._state, self._recipe, made.first, self._labels, real=self._real)
        self._note(kind, self._state.generator)

    @contextmanager
    def _at(self, kind: bool) -> Iterator[None]:
        """The state as it is at a step of this kind."""
        state = self._state
        step, state.step, state.gamma = state.step, 0 if kind else 1, self._gamma
        try:
            yield
        finally:
            state.step, state.gamma = step, None

    def _note(self, kind: bool, *networks: nn.Module) -> None:
        self._made[kind].gradients |= {weight: weight.grad for net in networks for weight in net.parameters()}
