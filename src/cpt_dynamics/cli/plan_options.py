"""What the planning commands share: a pre-training and a CPT from their options, and how they are described."""

import argparse
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting.predictions import leaves, span
from cpt_dynamics.planning import Scenario
from cpt_dynamics.planning.fits import SEEN, SETS, FittedPair, Outside, by_set
from cpt_dynamics.planning.pretraining import pretraining
from cpt_dynamics.planning.schedule import Shape
from cpt_dynamics.schedules import Schedule

MARK, OUTSIDE = "*", "outside of what was fitted"  # after a number, and what that means
UNTOLD = "no run tells whether the law holds there"
LABELS = {
    "peak_lr_pt": "peak LR of PT",
    "peak_lr_cpt": "peak LR of CPT",
    "s1pt": "forward area S1 of PT",
    "s1cpt": "forward area S1 of CPT",
    "s2pt": "annealing area S2 of PT",
    "s2cpt": "annealing area S2 of CPT",
    "replay": "replay ratio",
    "params": "non-embedding parameters",
}
REWARMUP = 0.1  # of CPT, the most that the re-warm-up takes if its length is not given


def scenario_of(
    options: argparse.Namespace,
    fits: FittedPair,
    steps: int,
    shape: Shape = "cosine",
    peak: float | Literal["last"] | None = None,
    end: float = 0.0,
    decay_share: float = 0.2,
) -> Scenario:
    """PT as in the options and a CPT of some steps; LRs in units of LR. peak: None takes that of PT."""
    _check(options, fits, steps)
    before = pretraining(options.pretraining)
    if not 0 <= end <= before.peak_lr:
        raise UserError(f"--end {end:g}: give an LR from 0 to the peak of PT, {before.peak_lr:g}")
    top: float | Literal["last"] = 1.0 if peak is None else peak if peak == "last" else peak / before.peak_lr
    rewarmup = min(before.warmup, int(REWARMUP * steps)) if options.rewarmup is None else options.rewarmup
    return Scenario(
        before.schedule,
        before.steps,
        Schedule(shape=shape, peak=top, end=end / before.peak_lr, decay_share=decay_share),
        steps,
        before.peak_lr,
        before.warmup,
        rewarmup,
        options.replay or 0.0,
        math.nan if options.params is None else options.params,
    )


def _check(options: argparse.Namespace, fits: FittedPair, steps: int) -> None:
    replay, params = options.replay, options.params
    if options.rewarmup is not None and options.rewarmup > steps:
        raise UserError(f"--rewarmup {options.rewarmup:,} is longer than CPT, --steps {steps:,}: give fewer steps")
    if replay is not None and not 0 <= replay <= 1:
        raise UserError(f"--replay {replay:g}: give a share from 0 to 1")
    if replay and not fits.reading("replay"):
        raise UserError("--replay: neither law reads the replay ratio: fit cpt_replay_* to runs with several ratios")
    if params is None and fits.reading("params"):
        raise UserError("--params is missing: a law reads the number of non-embedding parameters")


def check_peaks(option: str, asked: Sequence[float] | None, fitted: Sequence[float] | None) -> None:
    """`UserError` where peak LRs of CPT are to be advised that no fit has seen."""
    if asked is None or fitted is None or not leaves(SEEN["peak_lr"], fitted, (min(asked), max(asked))):
        return
    raise UserError(
        f"{option}: a peak LR of CPT of {span(asked)} is {OUTSIDE}, {span(fitted)}: stay inside, add"
        " runs that reach there, or give --beyond"
    )


def band_lines(bands: Mapping[str, Any]) -> list[str]:
    """How far the losses and the goal may be off, by curves that the fits left out. bands: see `FittedPair`."""
    parts = []
    for end, kind in (("before", "before CPT"), ("after", "at its end")):
        known = [f"{SETS[role]} {_half_width(one)}" for role, one in bands[end].items() if one]
        parts += [f"{kind} {', '.join(known)}"] if known else []
    parts += [f"goal {_half_width(bands['goal'])}, by errors at the end alone"] if bands["goal"] else []
    return [f"bands for what is measured, by runs left out in turn (nats/token): {'; '.join(parts)}"] if parts else []


def _half_width(found: Mapping[str, float]) -> str:
    return f"± {found['half_width']:.3f} ({found['level']:.0%})"


def legend(found: Mapping[str, Any], marked: bool) -> list[str]:
    """What the marks of a plan mean. found: `FittedPair.outside`. marked: whether any other number has a mark."""
    lines = by_set({role: left({**found["before"][role], **names}) for role, names in found["after"].items()})
    return [f"{MARK} {OUTSIDE}: {line}" for line in lines or ([UNTOLD] if marked else [])]


def left(names: Outside) -> list[str]:
    """The fitted ranges that are left, one line each."""
    return [f"{LABELS.get(name, name)} {span(here)} (fitted: {span(fitted)})" for name, (fitted, here) in names.items()]


def described(scenarios: Sequence[Scenario], chosen: Collection[str]) -> list[str]:
    """PT, and what is the same in CPTs of several lengths, one line each. chosen: knobs that are not given."""
    scenario = scenarios[0]
    before, after, peak = scenario.pretraining, scenario.continual, scenario.peak_lr
    rises = " or ".join(f"{steps:,}" for steps in dict.fromkeys(one.rewarmup for one in scenarios))
    last = f", last LR {before.end * peak:g} (loss potential {100 * before.end:.3g} %)"
    if "potential" in chosen:
        last = f", {before.decay} decay over the last {100 * before.decay_share:.3g} %"
    rise = f"re-warm-up over {rises} steps" if rises != "0" else "no re-warm-up"
    if after.peak == "last":
        rise = "from the last LR of PT"
    elif "peak_lr" not in chosen:
        rise += f" to {after.peak * peak:g}"
    fall = "constant" if after.shape == "constant" else f"{after.shape} to an LR of {after.end * peak:g}"
    if after.shape == "wsd":
        fall += f" over the last {100 * after.decay_share:g} % of the steps"
    return [
        f"pre-training (PT): {scenario.pretraining_steps:,} steps, peak LR {peak:g}{last}",
        f"CPT: {rise}, then {fall}",
    ]
