"""A GPU's step, recorded once and replayed: small networks there are bound by launching kernels, not by running them.

Both lessons, from noise to gradients, become a CUDA graph each; updates stay outside, since their numbers change from
step to step. What was recorded reads and writes the same memory each time: the batch is copied in, and an outcome
holds until the next step. Random numbers come from the device's generator as it is seeded when a replay starts, so
that replaying draws what recording it would have drawn.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gansmith.recipe import Recipe
from gansmith.training.step import (
    Lesson,
    Outcome,
    Players,
    teach_discriminator,
    teach_generator,
    update_discriminator,
    update_generator,
)

Work = Callable[[], None]
WARM_UP = 3  # runs before recording, in which libraries choose their kernels and take their memory


def record(works: Sequence[Work], device: torch.device, precision: str) -> list[Work]:
    """Runs ``works`` a few times, then records each as a CUDA graph; returns what replays them, to be called in turns.

    Raises RuntimeError when something in them cannot be recorded, such as a wait for the device.
    """

    def all_of(each: Callable[[Work], Work]) -> list[Work]:
        # Leaving the context forgets weights cast to bf16: those of the warm-up are not the recorded ones.
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return [each(work) for work in works]

    def run(work: Work) -> Work:
        work()
        return work

    def recorded(work: Work) -> Work:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=aside):
            work()
        return graph.replay

    with torch.cuda.device(device):
        pool = torch.cuda.graph_pool_handle()  # one for all, since the second work reads what the first one made
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                all_of(run)
        torch.cuda.current_stream().wait_stream(aside)
        return all_of(recorded)


class Replay:
    """:func:`gansmith.training.step.step` for these players, recorded. The players must stay the ones they are.

    Args:
        players: on the device; recording leaves them as they were, but for their gradients.
        recipe: theirs; its batch size, size, channels and classes are what every batch must have.
        precision: "fp32" or "bf16".
        device: whose step is recorded.
        recorder: of two works; :func:`record`.

    Raises RuntimeError when the step cannot be recorded.
    """

    def __init__(
        self,
        players: Players,
        recipe: Recipe,
        precision: str,
        device: torch.device,
        recorder: Callable[[Sequence[Work], torch.device, str], list[Work]] = record,
    ) -> None:
        self._players, self._recipe = players, recipe
        shape = (recipe.batch_size, recipe.channels, recipe.size, recipe.size)
        self._real = torch.zeros(shape, device=device).contiguous(memory_format=torch.channels_last)
        self._labels = torch.zeros(len(self._real), dtype=torch.long, device=device) if recipe.classes else None
        self._lesson: Lesson
        self._outcome: Outcome
        moving = [*players.generator.buffers(), *players.discriminator.buffers()]  # averages of batch normalisation
        before = [buffer.clone() for buffer in moving]
        try:
            self._teach_discriminator, self._teach_generator = recorder(
                [self._discriminators_lesson, self._generators_lesson], device, precision
            )
        finally:  # a recording that failed may have stopped anywhere
            players.generator.train()
            players.discriminator.requires_grad_(True)
            for buffer, value in zip(moving, before, strict=True):
                buffer.copy_(value)

    def __call__(self, real: Tensor, labels: Tensor | None = None) -> Outcome:
        """One update of each player; the outcome's tensors are overwritten by the next."""
        self._real.copy_(real)
        if self._labels is not None and labels is not None:
            self._labels.copy_(labels)
        self._teach_discriminator()
        update_discriminator(self._players, self._recipe)
        self._teach_generator()
        update_generator(self._players, self._recipe)
        self._players.step += 1
        return self._outcome

    def _discriminators_lesson(self) -> None:
        self._lesson = teach_discriminator(self._players, self._recipe, self._real, self._labels)

    def _generators_lesson(self) -> None:
        self._outcome = teach_generator(self._players, self._recipe, self._lesson)
