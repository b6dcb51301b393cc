"""Real images kept on the device: a step then copies indices there, a few kB, in the place of pixels."""

import numpy as np
import torch
from torch import Tensor

from gansmith.data import Batches

SHARE = 0.25  # of a GPU's free memory that images may take; the rest is for training
_CHUNK = 4096


class Resident:
    """The same stream as its :class:`gansmith.data.Batches`, from a copy of all images on a device."""

    def __init__(self, batches: Batches, device: torch.device) -> None:
        count, *shape = batches.dataset.store.shape
        self._batches, self._pixels = batches, torch.empty(count, *shape, dtype=torch.uint8, device=device)
        for start in range(0, count, _CHUNK):
            part = batches.dataset.store.take(np.arange(start, min(start + _CHUNK, count)))
            self._pixels[start : start + _CHUNK] = torch.from_numpy(part).to(device)

    def at(self, position: int) -> Tensor:
        """Images ``position`` onwards of the stream: uint8 (batch_size, C, H, W), on the device."""
        indices = torch.from_numpy(self._batches.own_at(position))
        if self._pixels.is_cuda:  # from pinned memory the copy does not wait for the steps before it
            indices = indices.pin_memory().to(self._pixels.device, non_blocking=True)
        return self._pixels[indices]

    def labels_at(self, position: int) -> np.ndarray:
        """Their classes (batch_size,)."""
        return self._batches.labels_at(position)


def nearest(batches: Batches, device: torch.device) -> "Batches | Resident":
    """Resident images on a GPU that has the room, else the batches as they are."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if int(np.prod(batches.dataset.store.shape)) <= SHARE * free:
            return Resident(batches, device)
    return batches
