"""Learning-rate schedules: each is a function from a number of steps to the LR *used by* every step."""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cpt_dynamics.config import Section
from cpt_dynamics.errors import UserError

Array = NDArray[np.float64]
Share = Annotated[float, Field(ge=0, le=1)]


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
        if self.peak != "last" and self.peak <= 0:
            raise ValueError("peak must be positive, or `last`")
        return self


def lr(schedule: Schedule, steps: int, peak_lr: float, warmup: int, last: float | None = None) -> Array:
    """LR of the steps of one phase.

    Parameters
    ----------
    steps : number of steps of the phase.
    peak_lr : peak LR of pre-training, the unit of `schedule.peak` and `schedule.end`.
    warmup : steps of the linear rise; used where `schedule.warmup` and the peak is above `last`.
    last : LR of the step before the phase, None at the start of a run.

    Returns
    -------
    array of `steps` LRs; the first warm-up step already uses a positive LR, the last decay step uses `end`.
    """
    if steps < 1:
        raise UserError(f"a phase needs at least one step, got {steps}")
    if schedule.peak == "last" and last is None:
        raise UserError("schedule.peak is `last`, but no phase comes before: give a number")
    start = 0.0 if last is None else last
    top = start if schedule.peak == "last" else float(schedule.peak) * peak_lr
    rise = warmup if schedule.warmup and top > start else 0
    if rise >= steps:
        raise UserError(f"a warm-up of {rise} steps does not fit into a phase of {steps} steps: shorten it")
    ramp = start + (top - start) * np.arange(1, rise + 1) / max(rise, 1)
    stable = steps - rise
    if schedule.shape == "constant":
        return np.concatenate([ramp, np.full(stable, top)])
    end = schedule.end * peak_lr
    if end > top:
        raise UserError(f"schedule.end ({schedule.end}) is above the LR that the phase decays from")
    tail = stable if schedule.shape != "wsd" else round(schedule.decay_share * steps)
    if not 1 <= tail <= stable:
        raise UserError(f"a decay of {tail} steps does not fit into the {stable} steps after the warm-up")
    kind = schedule.decay if schedule.shape == "wsd" else schedule.shape
    decay = DECAYS[kind](np.arange(1, tail + 1) / tail, top, end)
    return np.concatenate([ramp, np.full(stable - tail, top), decay])


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
