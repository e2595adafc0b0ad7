"""In-loop validation: the losses on every validation set."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cpt_dynamics.config import Config
from cpt_dynamics.corpora.tokens import Tokens
from cpt_dynamics.errors import UserError
from cpt_dynamics.training import distributed


@dataclass(frozen=True)
class ValidationSet:
    """Sequences spread evenly over a corpus' validation text, as batches of [sequences, length + 1] tokens."""

    name: str
    batches: list[Tensor]
    bytes_per_token: float

    @classmethod
    def open(
        cls, name: str, tokens: Tokens, lengths: NDArray[np.int64], size: int, config: Config, device: str
    ) -> "ValidationSet":
        """At most `size` predicted tokens; `lengths` are the bytes of every token of the vocabulary.

        Raises `UserError` where the text is not enough for one batch.
        """
        length, rows = config.batch.length, config.batch.sequences
        count = min(size // length, tokens.sequences(length)) // rows
        if count < 1:
            raise UserError(
                f"the validation text of {name} has {tokens.sequences(length)} sequences of {length} tokens, "
                f"fewer than a batch of {rows}: add text or raise split.validation_share"
            )
        chosen = tokens.spread(count * rows, length)
        rows_of = tokens.ids[chosen[:, None] * length + np.arange(length + 1)].astype(np.int64)
        predicted = lengths[rows_of[:, 1:]]
        data = torch.from_numpy(rows_of).to(device)
        return cls(name, list(data.split(rows)), float(predicted.mean()))

    def bits_per_byte(self, loss: float) -> float:
        return loss / math.log(2) / self.bytes_per_token


@torch.no_grad()
def evaluate(
    token_loss: Callable[[Tensor], Tensor], sets: list[ValidationSet], micro_batch: int | None = None
) -> Tensor:
    """Mean cross-entropy (nats/token) on each validation set, float64 [sets].

    All batches have one size, so means average. The losses stay on the device, which may still be at work on them while
    training goes on. Processes that train together share every batch as they do in training, and all get the same
    losses.
    """
    losses = [torch.stack([_loss(token_loss, batch, micro_batch) for batch in s.batches]) for s in sets]
    return torch.stack([distributed.mean(each).mean() for each in losses])


def _loss(token_loss: Callable[[Tensor], Tensor], batch: Tensor, micro_batch: int | None) -> Tensor:
    """Mean over the rows of a batch that this process takes."""
    parts = distributed.micro_batches(distributed.share(batch), micro_batch)
    return torch.stack([token_loss(part).double() * weight for part, weight in parts]).sum()
