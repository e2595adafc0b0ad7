"""Forward area S1 and annealing area S2 of a learning-rate sequence (arXiv 2505.07796, Eqs. 1, 2 and 4)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cpt_dynamics.errors import UserError

Array = NDArray[np.float64]
Warmup = Literal["peak", "true-in-S1", "true-in-both"]
SHORT = 10_000  # steps up to which a loop takes less time than the import of SciPy's filter, with the same result


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


@dataclass(frozen=True)
class AreaSettings:
    """How areas are made, by the names of the parameters of `curves.features`; lr_power: of the weighted areas."""

    lambda_: float = 0.999
    warmup: Warmup = "peak"
    carry_over: bool = True
    lr_power: float = 0.1

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> "AreaSettings":
        """From the `settings` of a fit; what they do not state takes the default."""
        return cls(**{"lambda_" if name == "lambda" else name: value for name, value in stated.items()})

    def to_json(self) -> dict[str, Any]:
        """As the `settings` of a fit."""
        return {"lambda" if name == "lambda_" else name: value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Events:
    """The changes of the LR in a history, each of shape [events].

    drop: LR before minus LR after. lr: after the change. step: the first step (from 1) at the new LR.
    before: sum of the LR over the steps before it. Neighbouring changes may be merged (see `History.events`).
    """

    drop: Array
    lr: Array
    step: NDArray[np.int64]
    before: Array


@dataclass(frozen=True, eq=False)
class History:
    """The LR of a whole run as the areas count it: `forward` in S1, `annealed` in S2, each of shape [steps].

    start: the LR before step 1. pretraining_steps: how many of the steps are PT.
    """

    forward: Array
    annealed: Array
    start: float
    pretraining_steps: int
    merge: int = 1  # steps of a falling LR that count as one change in `events`

    @cached_property
    def sums(self) -> Array:
        """Sum of the LR up to and with every step, [steps]."""
        return np.cumsum(self.forward)

    @property
    def drops(self) -> Array:
        """LR before minus LR of every step, [steps]."""
        return -np.diff(self.annealed, prepend=self.start)

    @cached_property
    def events(self) -> tuple[Events, Events]:
        """The changes of the LR in PT and in CPT.

        With `merge` above 1, that many neighbouring steps of a falling LR are one change, at their middle: laws
        that sum over changes are then faster to fit. Steps of a rising LR are never merged, since their terms
        vary too fast from step to step.
        """
        switch = self.pretraining_steps
        return self._events(0, switch), self._events(switch, len(self.forward))

    def _events(self, first: int, last: int) -> Events:
        drops = self.drops[first:last]
        at = np.flatnonzero(drops) + first
        falling = self.drops[at] > 0
        # a new group begins at every rise and wherever `merge` steps are full
        group = np.cumsum(~falling | np.diff(falling, prepend=False) | (at % self.merge == 0))
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        middle = at[(starts + np.append(starts[1:], len(at)) - 1) // 2] if len(at) else at
        drop = np.add.reduceat(self.drops[at], starts) if len(at) else np.zeros(0)
        before = np.concatenate([[0.0], self.sums])[middle]
        return Events(drop, self.annealed[middle], middle + 1, before)


def history(
    lr: ArrayLike,
    pretraining_steps: int,
    warmup: Warmup = "peak",
    warmup_steps: int | None = None,
    initial_lr: float | None = None,
    merge: int = 1,
) -> History:
    """The LR sequence of a run with its warm-up counted as stated; the parameters are those of `areas`."""
    rates = np.asarray(lr, dtype=np.float64)
    _check(rates, pretraining_steps, warmup)
    peak = warmup_length(rates[:pretraining_steps]) if warmup_steps is None else warmup_steps
    if not 0 <= peak <= pretraining_steps:
        raise UserError(f"warmup_steps is {peak}: choose one between 0 and the {pretraining_steps} steps of PT")
    held = rates.copy()
    if peak:
        held[:peak] = rates[peak - 1]
    forward = held if warmup == "peak" else rates
    annealed = rates if warmup == "true-in-both" else held
    start = float(annealed[0]) if initial_lr is None and len(annealed) else float(initial_lr or 0.0)
    return History(forward, annealed, start, pretraining_steps, merge)


def areas(
    lr: ArrayLike,
    pretraining_steps: int,
    lambda_: float = 0.999,
    warmup: Warmup = "peak",
    warmup_steps: int | None = None,
    carry_over: bool = True,
    initial_lr: float | None = None,
    lr_power: float = 0.0,
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
    lr_power: S2 sums `m_i * lr_i^lr_power` instead (arXiv 2505.07796, Eq. 9, where it is 0.1 and 0.2).
    """
    return areas_of(history(lr, pretraining_steps, warmup, warmup_steps, initial_lr), lambda_, carry_over, lr_power)


def areas_of(found: History, lambda_: float = 0.999, carry_over: bool = True, lr_power: float = 0.0) -> Areas:
    """`areas` of a history."""
    momentum = _momentum_of(found, lambda_, carry_over)
    if lr_power:
        momentum = momentum * found.annealed**lr_power
    s1pt, s1cpt = _sums(found.forward, found.pretraining_steps)
    s2pt, s2cpt = _sums(momentum, found.pretraining_steps)
    return Areas(s1pt, s2pt, s1cpt, s2cpt)


def area_columns(
    found: History, at: NDArray[np.int64], lambda_: float = 0.999, carry_over: bool = True, lr_power: float = 0.1
) -> dict[str, Array]:
    """The areas that laws read by name, after the steps `at` (from 1), each of shape [len(at)].

    s2pt_lr and s2cpt_lr are weighted by a power of the LR (Eq. 9), the others are those of `areas_of`.
    """
    momentum = _momentum_of(found, lambda_, carry_over)
    weighted = momentum * found.annealed**lr_power if lr_power else momentum
    columns = {}
    for first, second, values in (
        ("s1pt", "s1cpt", found.forward),
        ("s2pt", "s2cpt", momentum),
        ("s2pt_lr", "s2cpt_lr", weighted),
    ):
        columns[first], columns[second] = _sums_at(values, found.pretraining_steps, at)
    return columns


def warmup_length(lr: ArrayLike) -> int:
    """First step (from 1) at the maximum of the initial non-decreasing stretch; 0 if there is no step."""
    rates = np.asarray(lr, dtype=np.float64)
    if not len(rates):
        return 0
    falls = np.flatnonzero(np.diff(rates) < 0)
    stretch = rates[: falls[0] + 1] if len(falls) else rates
    return int(np.argmax(stretch)) + 1


def _momentum_of(found: History, lambda_: float, carry_over: bool) -> Array:
    """The momentum after every step of a history, [steps]."""
    if not 0 <= lambda_ < 1:
        raise UserError(f"lambda is {lambda_}: it must be at least 0 and below 1")
    switch, drops = found.pretraining_steps, found.drops
    if carry_over:
        return _momentum(drops, lambda_)
    return np.concatenate([_momentum(part, lambda_) for part in (drops[:switch], drops[switch:])])


def _momentum(drops: Array, lambda_: float) -> Array:
    if len(drops) <= SHORT:
        passed = accumulate(drops.tolist(), lambda momentum, drop: lambda_ * momentum + drop, initial=0.0)
        return np.fromiter(passed, dtype=np.float64)[1:]
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1.0, -lambda_], drops), dtype=np.float64)


def _sums(values: Array, switch: int) -> tuple[Array, Array]:
    """Running sums of the steps before and after the switch, each over all steps."""
    before, after = np.empty_like(values), np.empty_like(values)
    np.cumsum(values[:switch], out=before[:switch])
    before[switch:] = before[switch - 1] if switch else 0.0
    after[:switch] = 0.0
    np.cumsum(values[switch:], out=after[switch:])
    return before, after


def _sums_at(values: Array, switch: int, at: NDArray[np.int64]) -> tuple[Array, Array]:
    """What `_sums` holds after the steps `at` (from 1), each [len(at)]."""
    before, after = (np.concatenate([[0.0], np.cumsum(part)]) for part in (values[:switch], values[switch:]))
    return before[np.minimum(at, switch)], after[np.maximum(at - switch, 0)]


def _check(rates: Array, pretraining_steps: int, warmup: str) -> None:
    if rates.ndim != 1 or not np.all(np.isfinite(rates)) or np.any(rates < 0):
        raise UserError("the LR sequence must be one finite, non-negative number a step")
    if not 0 <= pretraining_steps <= len(rates):
        raise UserError(f"pretraining_steps is {pretraining_steps}, but the run has {len(rates)} steps")
    if warmup not in get_args(Warmup):
        raise UserError(f"warmup is {warmup!r}: choose one of {', '.join(get_args(Warmup))}")
