"""A pre-training as planning needs it, from a schedule that a person types."""

from dataclasses import dataclass

from cpt_dynamics import schedules
from cpt_dynamics.errors import UserError
from cpt_dynamics.laws import Array
from cpt_dynamics.logs.expressions import Expression, parse
from cpt_dynamics.schedules import DECAYS, Schedule

TAIL = 0.2  # of a constant pre-training: the steps that decay where another loss potential is tried


@dataclass(frozen=True)
class Pretraining:
    """Schedule, steps, peak LR (the unit of the schedule) and steps of warm-up."""

    schedule: Schedule
    steps: int
    peak_lr: float
    warmup: int = 0

    @property
    def lr(self) -> Array:
        """LR used by every step, [steps]."""
        return schedules.lr(self.schedule, self.steps, self.peak_lr, self.warmup)


def pretraining(expression: str) -> Pretraining:
    """The PT of a schedule expression: at most a warm-up, a constant stretch and one decay, in this order.

    A constant LR becomes a decay to itself, so that its loss potential can be varied.
    """
    stated = parse(expression)
    if stated.pretraining_steps < len(stated.lr):
        raise UserError("--pretraining describes pre-training alone: leave out what comes after `continual:`")
    if not stated.lr.max() > 0:
        raise UserError("--pretraining: the LR is 0 at every step: give one above 0")
    found = _planned(stated)
    if found is None:
        raise UserError(
            f"--pretraining {expression!r} is not a linear warm-up, a constant stretch and one decay"
            f" ({', '.join(DECAYS)}), none of them delayed, as planning needs it: give the nearest such schedule"
        )
    return found


def _planned(stated: Expression) -> Pretraining | None:
    """None where the stretches are other ones than planning knows."""
    stretches, steps = list(stated.stretches), len(stated.lr)
    rise = stretches.pop(0) if stretches[0].start < stretches[0].end else None
    fall = stretches.pop() if stretches and stretches[-1].end < stretches[-1].start else None
    levels = {level for stretch in stretches for level in (stretch.start, stretch.end)}
    levels |= {rise.end} if rise else set()
    levels |= {fall.start} if fall else set()
    only_rises = rise is not None and rise.steps == steps
    if len(levels) > 1 or only_rises or (rise and rise.start) or any(one.delayed for one in stated.stretches):
        return None
    (top,), warmup = levels, rise.steps if rise else 0
    if fall is None:
        share = min(max(TAIL, 1 / steps), 1 - warmup / steps)
        return Pretraining(Schedule(shape="wsd", end=1.0, decay_share=share), steps, top, warmup)
    decay = {"decay": fall.shape, "end": fall.end / top, "decay_share": fall.steps / steps}
    return Pretraining(Schedule.model_validate({"shape": "wsd", **decay}), steps, top, warmup)
