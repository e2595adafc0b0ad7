"""Forward area S1 and annealing area S2 of a learning-rate sequence (arXiv 2505.07796, Eqs. 1, 2 and 4)."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cpt_dynamics.errors import UserError

Array = NDArray[np.float64]
Warmup = Literal["peak", "true-in-S1", "true-in-both"]


@dataclass(frozen=True)
class Areas:
    """Areas after every step, each of shape [steps]: in units of the LR, summed over steps.

    The pre-training areas grow until the switch and keep their value after it; the continual ones are
    zero until the switch.
    """

    s1pt: Array
    s2pt: Array
    s1cpt: Array
    s2cpt: Array


def areas(
    lr: ArrayLike,
    pretraining_steps: int,
    lambda_: float = 0.999,
    warmup: Warmup = "peak",
    warmup_steps: int | None = None,
    carry_over: bool = True,
    initial_lr: float | None = None,
) -> Areas:
    """Areas of a run whose step i (from 1) used `lr[i-1]` and whose first `pretraining_steps` are PT.

    S1 sums the LR, S2 sums the momentum `m_i = lambda*m_{i-1} + (lr_{i-1} - lr_i)`.

    warmup: how the initial PT warm-up counts. "peak": as if its LR were already at the peak, in both areas
        (Tissue et al., arXiv 2408.11029); "true-in-S1": real LR in S1, no annealing in S2; "true-in-both":
        real LR in both, so that the rise is negative annealing. A re-warm-up of CPT always counts as it is.
    warmup_steps: the step at which the warm-up reaches its peak; None finds it (see `warmup_length`).
    carry_over: whether the momentum of PT carries over into CPT (then S2pt + S2cpt is S2 of the whole run)
        or restarts there at 0, the LR before the first CPT step being the last one of PT.
    initial_lr: the LR before step 1; None takes that of step 1, so that the start is no annealing.
    """
    rates = np.asarray(lr, dtype=np.float64)
    _check(rates, pretraining_steps, lambda_, warmup)
    peak = warmup_length(rates[:pretraining_steps]) if warmup_steps is None else warmup_steps
    if not 0 <= peak <= pretraining_steps:
        raise UserError(f"warmup_steps is {peak}: choose one between 0 and the {pretraining_steps} steps of PT")

    held = rates.copy()
    if peak:
        held[:peak] = rates[peak - 1]
    forward = held if warmup == "peak" else rates
    annealed = rates if warmup == "true-in-both" else held

    start = annealed[:1] if initial_lr is None else [initial_lr]
    drops = -np.diff(annealed, prepend=start)
    if carry_over:
        momentum = _momentum(drops, lambda_)
    else:
        momentum = np.concatenate(
            [_momentum(drops[:pretraining_steps], lambda_), _momentum(drops[pretraining_steps:], lambda_)]
        )
    s1pt, s1cpt = _sums(forward, pretraining_steps)
    s2pt, s2cpt = _sums(momentum, pretraining_steps)
    return Areas(s1pt, s2pt, s1cpt, s2cpt)


def warmup_length(lr: ArrayLike) -> int:
    """First step (from 1) at the maximum of the initial non-decreasing stretch; 0 if there is no step."""
    rates = np.asarray(lr, dtype=np.float64)
    if not len(rates):
        return 0
    falls = np.flatnonzero(np.diff(rates) < 0)
    stretch = rates[: falls[0] + 1] if len(falls) else rates
    return int(np.argmax(stretch)) + 1


def _momentum(drops: Array, lambda_: float) -> Array:
    from scipy.signal import lfilter  # takes a second to import, so only where it is used

    return np.asarray(lfilter([1.0], [1.0, -lambda_], drops), dtype=np.float64) if len(drops) else drops


def _sums(values: Array, switch: int) -> tuple[Array, Array]:
    """Running sums of the steps before and after the switch, each over all steps."""
    before, after = values.copy(), values.copy()
    before[switch:] = 0
    after[:switch] = 0
    return np.cumsum(before), np.cumsum(after)


def _check(rates: Array, pretraining_steps: int, lambda_: float, warmup: str) -> None:
    if rates.ndim != 1 or not np.all(np.isfinite(rates)) or np.any(rates < 0):
        raise UserError("the LR sequence must be one finite, non-negative number a step")
    if not 0 <= pretraining_steps <= len(rates):
        raise UserError(f"pretraining_steps is {pretraining_steps}, but the run has {len(rates)} steps")
    if not 0 <= lambda_ < 1:
        raise UserError(f"lambda is {lambda_}: it must be at least 0 and below 1")
    if warmup not in get_args(Warmup):
        raise UserError(f"warmup is {warmup!r}: choose one of {', '.join(get_args(Warmup))}")
