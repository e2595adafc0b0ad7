"""Training text where steps read it: held by a GPU, or in token files that are mapped into memory."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from cpt_dynamics.config import Batch
from cpt_dynamics.corpora import batches
from cpt_dynamics.corpora.tokens import Tokens

ENTRY = 4  # bytes that a GPU holds of a token
SHARE = 1 / 8  # of a GPU's memory that text may take; several processes may share the GPU


class Text:
    """Batches of the training text on a device.

    Parameters
    ----------
    streams : corpus -> its training tokens
    device : where batches are wanted
    resident : whether the device holds the text, so that a step sends it the numbers of its sequences and no text.
        Left out, a GPU does where it has room. The batches are the same either way.
    """

    def __init__(self, streams: Mapping[str, Tokens], device: str, resident: bool | None = None) -> None:
        self.streams = streams
        self.device = torch.device(device)
        self.resident = self._fits() if resident is None else resident
        self._held: dict[str, Tensor] = {}

    def batch(self, mixture: Mapping[str, float], step: int, size: Batch, seed: int) -> Tensor:
        """The batch of a step (see `corpora.batches.batch`), int64 [sequences, length + 1]."""
        if not self.resident:
            return self._send(batches.batch(self.streams, mixture, step, size.sequences, size.length, seed))
        span = torch.arange(size.length + 1, device=self.device)
        parts = [
            self._ids(name)[self._send(chosen * size.length)[:, None] + span]
            for name, chosen in batches.chosen(self.streams, mixture, step, size.sequences, size.length, seed)
        ]
        return torch.cat(parts).long()

    def _fits(self) -> bool:
        if self.device.type != "cuda":
            return False
        room = SHARE * torch.cuda.get_device_properties(self.device).total_memory
        return ENTRY * sum(len(tokens.ids) for tokens in self.streams.values()) <= room

    def _ids(self, name: str) -> Tensor:
        if name not in self._held:
            self._held[name] = torch.from_numpy(self.streams[name].ids.astype(np.int32)).to(self.device)
        return self._held[name]

    def _send(self, array: np.ndarray) -> Tensor:
        """An array on the device; a copy out of pinned memory does not wait for the steps that are under way."""
        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor
