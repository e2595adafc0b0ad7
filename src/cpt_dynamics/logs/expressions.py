"""Schedules that a person types, such as ``warmup 500 to 2e-4; constant 20000; linear 5000 to 0``.

An expression is a list of parts, separated by ``;``, ``,`` or line ends, each a shape, its number of steps and
pairs of a word and a value (in any order; LRs are absolute)::

    warmup STEPS to LR [from LR]                          linear rise
    constant STEPS [at LR]
    linear | cosine | 1-sqrt | exponential STEPS to LR [from LR]
    wsd STEPS to LR decay SHARE [shape SHAPE] [from LR]   constant, then SHAPE (linear) over SHARE of these steps

A part starts from the LR that the part before it ended with, or from its own ``from`` or ``at``. Before the first
part the LR is 0 for a warm-up, and unknown for everything else. The first step of a warm-up already has a positive
LR and the last step of a decay uses the LR after ``to``, as in `cpt_dynamics.schedules`.

``pretraining:`` or ``continual:`` before a part begins that phase; parts before any of them are pre-training.
``delayed`` as the first part of a phase shifts it by one step: step i uses the LR that the parts give after i - 1
steps, so a warm-up begins with 0 and a decay ends one step short. Schedulers of torch and transformers do this:
transformers' ``cosine`` of 20,000 steps, 500 of them warm-up, is ``delayed; warmup 500 to 2e-4; cosine 19500 to 0``.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpt_dynamics.curves.table import PHASES
from cpt_dynamics.errors import UserError, short
from cpt_dynamics.schedules import DECAYS, LEAST_LR, MOST_LR, MOST_STEPS, Array

WORDS = {
    "warmup": {"to", "from"},
    "constant": {"at"},
    "wsd": {"to", "from", "decay", "shape"},
    **{shape: {"to", "from"} for shape in DECAYS},
}


@dataclass(frozen=True)
class Stretch:
    """Steps of one shape, from the LR before them to the LR after them."""

    shape: str
    steps: int
    start: float
    end: float
    phase: str = PHASES[0]
    delayed: bool = False

    @property
    def lr(self) -> Array:
        """LR used by every step, [steps]."""
        share = (np.arange(self.steps) + (not self.delayed)) / self.steps
        if self.shape == "constant":
            return np.full(self.steps, self.end)
        if self.shape == "warmup":
            return self.start + (self.end - self.start) * share
        return DECAYS[self.shape](share, self.start, self.end)


@dataclass(frozen=True, eq=False)
class Expression:
    """The LR that each step uses and the phase that it belongs to, both of shape [steps]; and what they are made of."""

    text: str
    stretches: tuple[Stretch, ...]
    lr: Array
    phases: NDArray[np.str_]

    @property
    def pretraining_steps(self) -> int:
        return int((self.phases == "pretraining").sum())

    def table(self, run: str) -> pd.DataFrame:
        """The schedule of `run` as a table of schedules (`curves.SCHEDULE_COLUMNS`)."""
        steps = np.arange(1, len(self.lr) + 1)
        return pd.DataFrame({"run": run, "step": steps, "phase": self.phases.astype(object), "lr": self.lr})


def parse(expression: str) -> Expression:
    """Read a schedule expression; `UserError` names the part that is wrong."""
    stretches: list[Stretch] = []
    last: float | None = None
    for phase, parts in _phases(expression):
        delayed = parts[:1] == ["delayed"]
        parts = parts[delayed:]
        if not parts:
            raise UserError(
                f"schedule {short(expression)}: {phase} has no part: add one, such as constant 1000 at 2e-4"
            )
        for part in parts:
            for stretch in _part(part, last):
                stretches.append(replace(stretch, phase=phase, delayed=delayed))
                last = stretch.end
    steps = [stretch.steps for stretch in stretches]
    if sum(steps) > MOST_STEPS:
        raise UserError(f"schedule {short(expression)} has {sum(steps):,} steps: at most {MOST_STEPS:,} are possible")
    lr = np.concatenate([stretch.lr for stretch in stretches])
    return Expression(expression, tuple(stretches), lr, np.repeat([stretch.phase for stretch in stretches], steps))


def _phases(expression: str) -> list[tuple[str, list[str]]]:
    """The phases of an expression in order, each with the texts of its parts."""
    phases: list[tuple[str, list[str]]] = []
    for text in re.split(r"[;,\n]", expression.lower()):
        *labels, part = (piece.strip() for piece in text.split(":"))
        for label in labels:
            if label not in PHASES:
                raise _wrong(text.strip(), f"no phase {short(label)}, only {' and '.join(PHASES)}")
            if phases and PHASES.index(label) <= PHASES.index(phases[-1][0]):
                raise _wrong(text.strip(), f"{label} cannot begin after {phases[-1][0]}")
            phases.append((label, []))
        if part:
            phases = phases or [(PHASES[0], [])]
            phases[-1][1].append(part)
    if not phases:
        raise UserError("the schedule is empty: write one, such as warmup 500 to 2e-4; cosine 19500 to 0")
    return phases


def _part(part: str, last: float | None) -> list[Stretch]:
    """The stretches of one part, which begins where the LR is `last`."""
    shape, *rest = part.split()
    if shape == "delayed":
        raise _wrong(part, "delayed stands alone, as the first part of a phase")
    if shape not in WORDS:
        raise _wrong(part, f"no shape {short(shape)}, only {', '.join(WORDS)}")
    if not rest:
        raise _wrong(part, "the number of steps is missing")
    steps, words = _steps(part, rest[0]), _words(part, shape, rest[1:])
    if shape == "constant":
        level = _lr(part, words["at"]) if "at" in words else _known(part, last, "at")
        return [Stretch(shape, steps, level, level)]
    if "to" not in words:
        raise _wrong(part, "the LR that it ends with is missing: add to LR")
    end, start = _lr(part, words["to"]), last
    if "from" in words:
        start = _lr(part, words["from"])
    if shape == "warmup":
        rise = Stretch(shape, steps, start or 0.0, end)
        if rise.end < rise.start:
            raise _wrong(part, f"a warm-up cannot fall, from {rise.start:g} to {end:g}: use linear")
        return [rise]
    start = _known(part, start, "from")
    if end > start:
        raise _wrong(part, f"a decay cannot rise, from {start:g} to {end:g}: use warmup")
    hold = 0
    if shape == "wsd":
        shape = _shape(part, words.get("shape", "linear"))
        hold = steps - _decay_steps(part, steps, words)
    if shape == "exponential" and end <= 0:
        raise _wrong(part, "an exponential decay cannot reach 0: end it with a positive LR")
    decay = Stretch(shape, steps - hold, start, end)
    return [Stretch("constant", hold, start, start), decay] if hold else [decay]


def _words(part: str, shape: str, rest: list[str]) -> dict[str, str]:
    words = dict(zip(rest[::2], rest[1::2], strict=False))
    for word in rest[::2]:
        if word not in WORDS[shape]:
            raise _wrong(part, f"no word {short(word)} for {shape}, only {', '.join(sorted(WORDS[shape]))}")
    if len(rest) % 2:
        raise _wrong(part, f"a value is missing after {short(rest[-1])}")
    if len(words) < len(rest) // 2:
        raise _wrong(part, "a word stands there twice")
    return words


def _shape(part: str, shape: str) -> str:
    if shape not in DECAYS:
        raise _wrong(part, f"no decay shape {short(shape)}, only {', '.join(DECAYS)}")
    return shape


def _decay_steps(part: str, steps: int, words: dict[str, str]) -> int:
    if "decay" not in words:
        raise _wrong(part, "the share of the steps that decay is missing: add decay SHARE, such as decay 0.2")
    share = _number(part, words["decay"])
    if not 0 < share <= 1 or round(share * steps) < 1:
        raise _wrong(part, f"decay {words['decay']} leaves no step to decay, or more than all: use a share up to 1")
    return round(share * steps)


def _steps(part: str, word: str) -> int:
    steps = _number(part, word)
    if steps != round(steps) or not 1 <= steps <= MOST_STEPS:
        raise _wrong(part, f"the number of steps must be a whole number from 1 to {MOST_STEPS:,}, not {short(word)}")
    return int(steps)


def _lr(part: str, word: str) -> float:
    lr = _number(part, word)
    if lr and not LEAST_LR <= lr <= MOST_LR:
        raise _wrong(part, f"an LR cannot be negative, and is 0 or from {LEAST_LR:g} to {MOST_LR:g}: {short(word)}")
    return lr


def _number(part: str, word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise _wrong(part, f"{short(word)} is not a number")
    return number


def _known(part: str, lr: float | None, word: str) -> float:
    if lr is None:
        raise _wrong(part, f"the LR that it starts from is unknown: add {word} LR")
    return lr


def _wrong(part: str, what: str) -> UserError:
    return UserError(f"schedule part {short(part)}: {what}")
