"""Learning-rate schedules: each is a function from a number of steps to the LR *used by* every step."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cpt_dynamics.config import Section
from cpt_dynamics.errors import UserError

Array = NDArray[np.float64]
Share = Annotated[float, Field(ge=0, le=1)]
MOST_STEPS = 10_000_000  # of a run or a phase of one: more is a slip of the keyboard, and tables of it fill the memory
LEAST_LR, MOST_LR = 1e-30, 1e6  # of an LR that is not 0: beyond any optimizer's, and areas stay finite


class Schedule(Section):
    """The LR of one phase, in units of the peak LR of pre-training."""

    shape: Literal["constant", "cosine", "linear", "wsd"] = "constant"
    peak: float | Literal["last"] = Field(
        1.0,
        description="highest LR of the phase; `last`: the LR the previous phase ended with (no re-warm-up)",
    )
    end: Share = Field(0.0, description="LR of the last step")
    decay: Literal["linear", "exponential", "1-sqrt", "cosine"] = Field(
        "linear", description="shape of the decay of `wsd`"
    )
    decay_share: float = Field(0.2, gt=0, le=1, description="share of the steps that `wsd` decays over")
    warmup: bool = Field(
        True, description="rise linearly from the last LR (0 at the start) to `peak` over the scale's warm-up"
    )

    @model_validator(mode="after")
    def _peak(self) -> "Schedule":
        if self.peak != "last" and not 0 < self.peak <= 1e6:
            raise ValueError("peak must be positive and at most 1e6, or `last`")
        return self


@dataclass(frozen=True)
class Piece:
    """Steps of a phase over which the LR has one shape.

    shape : `rise`, `constant`, or one of `DECAYS`
    start, end : LR before the first of `whole` steps, and at the last of them
    steps : how many of these are taken; fewer than `whole` where another run leaves the phase
    """

    shape: str
    start: float
    end: float
    whole: int
    steps: int

    @property
    def lr(self) -> Array:
        """LR of every step, [steps]."""
        done = np.arange(1, self.steps + 1)
        if self.shape == "rise":
            return self.start + (self.end - self.start) * done / self.whole
        if self.shape == "constant":
            return np.full(self.steps, self.end)
        return DECAYS[self.shape](done / self.whole, self.start, self.end)


def cut(pieces: Iterable[Piece], steps: int) -> tuple[Piece, ...]:
    """The first `steps` steps, with neighbours of one constant LR joined: the same for the same LRs."""
    taken: list[Piece] = []
    for piece in pieces:
        used = min(piece.steps, steps)
        if not used:
            break
        steps -= used
        if piece.start == piece.end:
            if taken and taken[-1].shape == "constant" and taken[-1].end == piece.end:
                used += taken.pop().steps
            piece = Piece("constant", piece.end, piece.end, used, used)
        taken.append(replace(piece, steps=used))
    return tuple(taken)


def lr(schedule: Schedule, steps: int, peak_lr: float, warmup: int, last: float | None = None) -> Array:
    """LR of the steps of one phase, [steps] (see `pieces`)."""
    return np.concatenate([piece.lr for piece in pieces(schedule, steps, peak_lr, warmup, last)])


def pieces(schedule: Schedule, steps: int, peak_lr: float, warmup: int, last: float | None = None) -> tuple[Piece, ...]:
    """The LR of one phase: at most a rise, a constant piece and a decay.

    Parameters
    ----------
    steps : number of steps of the phase.
    peak_lr : peak LR of pre-training, the unit of `schedule.peak` and `schedule.end`.
    warmup : steps of the linear rise; used where `schedule.warmup` and the peak is above `last`.
    last : LR of the step before the phase, None at the start of a run.

    The first warm-up step already uses a positive LR, the last decay step uses `end`.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise UserError(f"a phase needs at least one step and at most {MOST_STEPS:,}, got {steps:,}")
    if schedule.peak == "last" and last is None:
        raise UserError("schedule.peak is `last`, but no phase comes before: give a number")
    start = 0.0 if last is None else last
    top = start if schedule.peak == "last" else float(schedule.peak) * peak_lr
    rise = warmup if schedule.warmup and top > start else 0
    if rise >= steps:
        raise UserError(f"a warm-up of {rise} steps does not fit into a phase of {steps} steps: shorten it")
    stable = steps - rise
    made = [Piece("rise", start, top, rise, rise)]
    if schedule.shape == "constant":
        return _there([*made, Piece("constant", top, top, stable, stable)])
    end = schedule.end * peak_lr
    if end > top:
        raise UserError(f"schedule.end ({schedule.end}) is above the LR that the phase decays from")
    tail = stable if schedule.shape != "wsd" else round(schedule.decay_share * steps)
    if not 1 <= tail <= stable:
        raise UserError(f"a decay of {tail} steps does not fit into the {stable} steps after the warm-up")
    kind = schedule.decay if schedule.shape == "wsd" else schedule.shape
    level = stable - tail
    return _there([*made, Piece("constant", top, top, level, level), Piece(kind, top, end, tail, tail)])


def _there(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    return tuple(piece for piece in pieces if piece.steps)


def _exponential(u: Array, top: float, end: float) -> Array:
    if end <= 0:
        raise UserError("an exponential decay needs schedule.end above 0")
    return top * (end / top) ** u


# LR at a share u of the decay's steps, from `top` (u = 0) to `end` (u = 1).
DECAYS: dict[str, Callable[[Array, float, float], Array]] = {
    "linear": lambda u, top, end: end + (top - end) * (1 - u),
    "cosine": lambda u, top, end: end + (top - end) * (1 + np.cos(np.pi * u)) / 2,
    "1-sqrt": lambda u, top, end: end + (top - end) * (1 - np.sqrt(u)),
    "exponential": _exponential,
}
