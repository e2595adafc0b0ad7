"""In-loop validation: which steps are evaluated, and the losses on every validation set."""

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
from cpt_dynamics.experiments import Run


def steps_to_evaluate(run: Run, config: Config) -> set[int]:
    """Steps after which losses are measured: powers of two after a phase starts, a grid, and the phase's end.

    The grid counts from the start of the phase, so a run and another that leaves it midway are measured at the
    same steps wherever they agree.
    """
    spec = config.evaluation
    dense = {2**k for k in range(spec.dense.bit_length()) if 2**k <= spec.dense}
    steps: set[int] = set()
    for first, phase in run.stretches:
        within = {*dense, *range(spec.every, phase.steps, spec.every), phase.steps}
        steps |= {first - 1 + step for step in within if step <= phase.steps}
    return steps


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
def evaluate(token_loss: Callable[[Tensor], Tensor], sets: list[ValidationSet]) -> dict[str, float]:
    """Mean cross-entropy (nats/token) on each validation set; all batches have one size, so means average."""
    losses = {s.name: torch.stack([token_loss(batch) for batch in s.batches]).double().mean() for s in sets}
    return {name: float(loss) for name, loss in losses.items()}
