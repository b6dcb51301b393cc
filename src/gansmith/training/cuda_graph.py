"""A training step captured as CUDA graphs: on a GPU, small networks spend their time on launching kernels.

Each half of the step, from latents to gradients, becomes one graph. The optimisers stay outside, because their numbers
change from step to step. A graph reads and writes the same memory at every replay: the batch is copied in, and the
output is overwritten by the next step. Random numbers come from the device's generator as it is seeded when a replay
starts, so a replay draws what the eager step would draw.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gansmith import recipes
from gansmith.recipe import Recipe
from gansmith.training.step import (
    DiscriminatorPass,
    StepOutput,
    TrainState,
    discriminator_gradients,
    end_step,
    generator_gradients,
    update_discriminator,
    update_generator,
)

Work = Callable[[], None]
WARM_UP = 3  # runs before the capture, in which libraries choose their kernels and allocate their memory


def capture(works: Sequence[Work], device: torch.device, precision: str) -> list[Work]:
    """Runs ``works`` a few times, then captures each as a CUDA graph; returns their replays, to be called in order.

    Raises RuntimeError when something in them cannot be captured, such as waiting for the device.
    """

    def for_each(do: Callable[[Work], Work]) -> list[Work]:
        # Leaving autocast drops its cache of weights in bf16: the capture must not read those of the warm-up.
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return [do(work) for work in works]

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


def plain(recipe: Recipe) -> bool:
    """Whether each step is one update of D and one of G, of the same arithmetic: what two graphs can replay."""
    if recipes.entry(recipe.name).step is not None:
        return False
    alone = recipe.discriminator_updates == recipe.generator_updates == 1
    return alone and not recipe.one_pass and not recipe.augment.on and recipe.penalty.kind == "none"


class CapturedStep:
    """:func:`gansmith.training.step.step` of one training state, replayed from CUDA graphs.

    Args:
        state: on the device. Its networks and optimisers must not be replaced. Capturing changes only gradients.
        recipe: of the state; its batch size, size, channels and classes are what every batch must have.
        precision: "fp32" or "bf16".
        device: that the graphs run on.
        capture: turns the two halves into their replays; replaced in tests on machines without a GPU.

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
        self._first: DiscriminatorPass
        self._output: StepOutput
        buffers = [*state.generator.buffers(), *state.discriminator.buffers()]  # moving averages of batch norm
        before = [buffer.clone() for buffer in buffers]
        try:
            halves = [self._discriminator_gradients, self._generator_gradients]
            self._replay_discriminator, self._replay_generator = capture(halves, device, precision)
        finally:  # a capture that failed may have stopped anywhere
            state.generator.train()
            state.discriminator.requires_grad_(True)
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)

    def __call__(self, real: Tensor, labels: Tensor | None = None) -> StepOutput:
        """One update of each network; the tensors of the output are overwritten by the next call."""
        self._real.copy_(real)
        if self._labels is not None and labels is not None:
            self._labels.copy_(labels)
        self._replay_discriminator()
        update_discriminator(self._state, self._recipe)
        self._replay_generator()
        update_generator(self._state, self._recipe)
        end_step(self._state, self._recipe)
        return self._output

    def _discriminator_gradients(self) -> None:
        self._first = discriminator_gradients(self._state, self._recipe, self._real, self._labels)

    def _generator_gradients(self) -> None:
        self._output = generator_gradients(self._state, self._recipe, self._first, self._labels, real=self._real)
