"""The critical mixture ratio: the largest share of D_cpt text that keeps the D_pt loss under a cap."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cpt_dynamics.errors import UserError
from cpt_dynamics.laws import Array
from cpt_dynamics.planning.scenario import Pair, Predictor, Scenario

When = Literal["any", "end"]
HALVINGS = 30  # of the step between two shares: 1e-11 of the whole for the default shares


@dataclass(frozen=True)
class CriticalRatio:
    """The largest feasible share of D_cpt text, 1 - replay.

    ratio: None where no share is feasible. binding: whether the cap on the D_pt loss is what limits it. reason: one
    plain sentence on that. changes: of both losses over CPT at `ratio`, by role; highest: the D_pt loss's largest
    rise on the way there (nats/token; NaN without a ratio). gaps: a smaller share than `ratio` is infeasible.
    interval, interval_reason: range of the ratios over an ensemble, and what it is or why there is none.
    """

    ratio: float | None
    binding: bool
    reason: str
    cap: float
    when: When
    changes: dict[str, float]
    highest: float
    gaps: bool
    interval: tuple[float, float] | None
    interval_reason: str


@dataclass(frozen=True)
class _Losses:
    """Losses of a pair for any share of D_cpt text, the rest of the scenario the same."""

    pair: Pair
    general: pd.DataFrame
    domain: pd.DataFrame

    def rises(self, share: float) -> Array:
        """The D_pt loss after every step of CPT over its value before, [steps of CPT] (nats/token)."""
        losses = _predict(self.pair.general, self.general, share)
        return np.asarray(losses[1:] - losses[0])

    def domain_change(self, share: float) -> float:
        before, after = _predict(self.pair.domain, self.domain, share)
        return float(after - before)

    def violated(self, share: float, cap: float, when: When) -> str:
        """What makes a share infeasible, "" if nothing does."""
        rises = self.rises(share)
        # CPT begins at no rise, so only what follows the highest loss tells whether it is back.
        lowest = rises[-1] if when == "end" else rises[int(np.argmax(rises)) :].min()
        if lowest > cap:
            return "the D_pt loss stays above the cap"
        return "" if self.domain_change(share) < 0 else "the D_cpt loss does not fall"


def critical_mixture_ratio(
    pair: Pair,
    scenario: Scenario,
    cap: float,
    when: When = "any",
    shares: ArrayLike | None = None,
    ensemble: Sequence[Pair] = (),
) -> CriticalRatio:
    """The critical mixture ratio of arXiv 2407.17467, from laws over replay ratios (arXiv 2505.07796, Eq. 8).

    A share of D_cpt text is feasible if the D_cpt loss is lower after CPT than before, and the D_pt loss at most
    `cap` (nats/token) above its value before CPT: with `when` "any" at some step at or after that of the highest
    D_pt loss, as in the source ("for some t <= T"; the first steps, at which no loss has risen yet, do not count),
    with "end" at the last step. The source's cap is 0.05, which it calls arbitrary. The ratio is for the scenario's
    LR schedule and length; its `replay` is not used.

    shares: tried first (None: 0 to 1 in steps of 0.02); the step above the largest feasible one is then halved.
    ensemble: refitted pairs of laws, whose range of ratios is the interval.
    """
    if when not in get_args(When):
        raise UserError(f"when is {when!r}: choose one of {', '.join(get_args(When))}")
    if not np.isfinite(cap):
        raise UserError(f"cap is {cap}: give the rise of the D_pt loss that is accepted, in nats/token")
    tried = np.linspace(0, 1, 51) if shares is None else np.unique(np.asarray(shares, dtype=np.float64))
    if not len(tried) or not (tried[0] >= 0 and tried[-1] <= 1):
        raise UserError("shares of D_cpt text must be numbers between 0 and 1, at least one of them")
    found = _search(_losses(pair, scenario), cap, when, tried)
    if not ensemble:
        reason = "no interval: it takes refitted laws (each curve left out in turn, or other seeds) as an ensemble"
        return replace(found, interval_reason=reason)
    members = [_search(_losses(member, scenario), cap, when, tried) for member in ensemble]
    known = [member.ratio for member in members if member.ratio is not None]
    if len(known) < len(members):
        reason = f"no interval: {len(members) - len(known)} of {len(members)} refitted pairs of laws have no ratio"
        return replace(found, interval_reason=reason)
    free = sum(not member.binding for member in members)
    note = f"; the cap does not limit {free} of them" if free else ""
    reason = f"range of the ratios of {len(members)} refitted pairs of laws, not a confidence interval{note}"
    return replace(found, interval=(min(known), max(known)), interval_reason=reason)


def _losses(pair: Pair, scenario: Scenario) -> _Losses:
    for law in pair.roles().values():
        if "replay" not in law.law.inputs:
            raise UserError(f"law {law.law.name!r} does not read `replay`: fit cpt_replay_general and _domain")
    before = scenario.pretraining_steps
    ends = [before, before + scenario.continual_steps]
    steps = np.arange(before, ends[1] + 1)
    return _Losses(pair, scenario.features(pair.general.settings, steps), scenario.features(pair.domain.settings, ends))


def _predict(law: Predictor, table: pd.DataFrame, share: float) -> Array:
    losses = law.predict(table.assign(replay=1 - share))
    if not np.all(np.isfinite(losses)):
        raise UserError(f"law {law.law.name!r} predicts no finite loss at a share of {share:g}: check its parameters")
    return losses


def _search(losses: _Losses, cap: float, when: When, tried: Array) -> CriticalRatio:
    """The ratio, without an interval."""
    violated = [losses.violated(share, cap, when) for share in tried]
    feasible = np.flatnonzero([not reason for reason in violated])
    if not len(feasible):
        reason = f"no share is feasible: {violated[0]} even at a share of {tried[0]:g}"
        binding = "cap" in violated[0]
        return CriticalRatio(None, binding, reason, cap, when, {}, float("nan"), False, None, "")
    i = int(feasible[-1])
    ratio, limit = float(tried[i]), ""
    if i + 1 < len(tried):
        ratio, limit = _bisect(losses, cap, when, ratio, float(tried[i + 1]))
    rises = losses.rises(ratio)
    return CriticalRatio(
        ratio,
        "cap" in limit,
        f"at a larger share {limit}" if limit else "every share up to the largest one tried is feasible",
        cap,
        when,
        {"general": float(rises[-1]), "domain": losses.domain_change(ratio)},
        float(max(rises.max(), 0.0)),
        len(feasible) <= i,
        None,
        "",
    )


def _bisect(losses: _Losses, cap: float, when: When, low: float, high: float) -> tuple[float, str]:
    """Largest feasible share between a feasible and an infeasible one, and what is violated above it."""
    limit = losses.violated(high, cap, when)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        reason = losses.violated(middle, cap, when)
        if reason:
            high, limit = middle, reason
        else:
            low = middle
    return low, limit
