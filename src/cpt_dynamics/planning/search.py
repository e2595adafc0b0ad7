"""The best plan for a weight between the two losses: a coarse grid over the knobs, and finer ones around its best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting.predictions import NEAR, leaves, span
from cpt_dynamics.laws import Array
from cpt_dynamics.planning.fits import SEEN, FittedPair
from cpt_dynamics.planning.mixture import critical_mixture_ratio
from cpt_dynamics.planning.optimum import NATURAL_LIMITS, BestCombination, Measure, Scan, default_values, grid, scan
from cpt_dynamics.planning.scenario import Pair, Scenario
from cpt_dynamics.planning.turning import critical_point, turning_length
from cpt_dynamics.schedules import MOST_STEPS

COARSE = {1: 40, 2: 12, 3: 8, 4: 6}  # values of each knob that are tried first, by the number of knobs
FINE, ZOOMS = 5, 3  # values of each knob that are then tried between the neighbours of the best one, and how often
PEAKS = (0.02, 1.0)  # of the peak of PT: the peak LRs that are searched if no range is given
IN_RANGE = 40  # values of such a range, or of one that is given
COUNTED: dict[str, tuple[str, ...]] = {"change": ("before", "after"), "final": ("after",)}  # losses in the goal
HALVINGS = 8  # of the step between two values, to where the goal leaves the tolerance
NAMES = {"potential": "loss potential", "peak_lr": "peak LR of CPT", "replay": "replay ratio", "steps": "length of CPT"}
REMEDY = "add runs that reach further, or search outside of what was fitted with --beyond"
LONGEST = 5  # times its length: how far a CPT is stretched to look for the turning length


@dataclass(frozen=True)
class Search:
    """What is searched for the best plan.

    axes: values by knob, each [k], ascending. listed: knobs that can take no other values than these.
    """

    scenario: Scenario
    axes: Mapping[str, Array]
    listed: frozenset[str]
    measure: Measure
    tolerance: float

    @classmethod
    def of(
        cls,
        scenario: Scenario,
        knobs: Sequence[str],
        ranges: Mapping[str, tuple[float, float]],
        steps: Sequence[int],
        measure: Measure,
        tolerance: float,
        within: Mapping[str, tuple[float, float]],
    ) -> "Search":
        """The search over some knobs.

        ranges: of those that have one. steps: lengths of CPT to choose from. within: what other knobs stay in.
        """
        listed = frozenset({"steps"} if len(set(steps)) > 1 else ())
        axes = {}
        for knob in knobs:
            if knob in listed:
                axes[knob] = np.unique(np.array(steps, dtype=np.float64))
            elif knob in ranges:
                axes[knob] = np.unique(_whole(knob, np.linspace(*ranges[knob], IN_RANGE)))
            else:
                axes[knob] = _default(scenario, knob, within.get(knob))
        if all(len(axis) == 1 for axis in axes.values()):
            known = " and ".join(f"one {NAMES[knob]}, {axis[0]:.3g}" for knob, axis in axes.items())
            raise UserError(f"nothing to choose: the fits know {known}; {REMEDY}")
        return cls(scenario, axes, listed, measure, tolerance)


def best_plan(fits: FittedPair, search: Search, weight: float, cap: float | None) -> dict[str, Any]:
    """The best values for one weight, and what they bring."""
    best = _best(fits, search, weight)
    members = [_best(member, search, weight).values for member in fits.ensemble.values()]
    runs = ", ".join(fits.ensemble)
    reason = f"in refits: the range over {len(members)} refits, each without one run ({runs}); no confidence interval"
    away = fits.outside(best.scenario)
    return {
        "weight": weight,
        "steps": best.scenario.continual_steps,
        "knobs": {knob: _knob(fits, search, best, knob, [values[knob] for values in members]) for knob in search.axes},
        "before": best.before,
        "after": best.after,
        "changes": best.changes,
        "goal": best.objective,
        "interval_reason": reason if members else fits.reason,
        "turning": _turning(fits, best.scenario),
        "critical_point": _critical_point(fits, best),
        "cap": None if cap is None else _cap(fits, best.scenario, cap),
        "bands": fits.half_widths(weight, best.before, best.after),
        "outside": {**away, "goal": any(any(away[end].values()) for end in COUNTED[search.measure])},
        "warnings": fits.warnings_of(best.scenario),
    }


def _best(pair: Pair, search: Search, weight: float) -> BestCombination:
    """The best combination of a coarse grid and of finer ones around it."""
    count = COARSE[len(search.axes)]
    axes = {knob: values if knob in search.listed else _thinned(values, count) for knob, values in search.axes.items()}
    best = grid(pair, search.scenario, axes, weight, search.tolerance, search.measure)
    for _ in range(ZOOMS):
        axes = {
            knob: np.array([best.values[knob]]) if knob in search.listed else _around(knob, values, best.values[knob])
            for knob, values in axes.items()
        }
        best = grid(pair, search.scenario, axes, weight, search.tolerance, search.measure)
    return best


def _thinned(values: Array, count: int) -> Array:
    """About `count` of the values, evenly spaced, with both ends."""
    return values[np.unique(np.linspace(0, len(values) - 1, count).round().astype(int))]


def _around(knob: str, values: Array, best: float) -> Array:
    """`FINE` values from the neighbour below the best one to that above it, and the best one."""
    at = int(np.argmin(np.abs(values - best)))
    between = np.linspace(values[max(at - 1, 0)], values[min(at + 1, len(values) - 1)], FINE)
    return np.unique(np.append(_whole(knob, between), best))


def _whole(knob: str, values: Array) -> Array:
    return values.round() if knob == "steps" else values


def _knob(
    pair: FittedPair, search: Search, best: BestCombination, knob: str, members: Sequence[float]
) -> dict[str, Any]:
    """The best value of a knob, how flat the goal is around it, and the curves on which it lies, the others held."""
    axis, value = search.axes[knob], best.values[knob]
    tried = np.unique(np.append(axis, value))
    line = scan(pair, best.scenario, knob, [v for v in tried if not best.scenario.with_knob(knob, v).misfit])
    goals = line.objective(best.weight, search.measure)
    ends = {float(axis[0]): "lower", float(axis[-1]): "upper"} if len(axis) > 1 else {}
    flat, searched = _flat(pair, search, best, line), (float(axis[0]), float(axis[-1]))
    interval = (min(members), max(members)) if members else None
    away = {v: pair.beyond(best.scenario, knob, v) for v in {value, *flat, *searched, *(interval or ())}}
    return {
        "value": value,
        "flat": flat,
        "searched": searched,
        "edge": ends.get(value),
        "natural": value in NATURAL_LIMITS.get(knob, ()),
        "interval": interval,
        "outside": sorted(v for v, is_away in away.items() if is_away),
        "curve": {"values": line.values, **line.after, "goal": goals},
    }


def _flat(pair: Pair, search: Search, best: BestCombination, line: Scan) -> tuple[float, float]:
    """`Scan.flat`, its ends moved to where the goal leaves the tolerance between two values of the scan."""
    found = line.flat(best.weight, search.tolerance, search.measure)
    most = line.objective(best.weight, search.measure).min() + search.tolerance
    ends = []
    for inside, step in zip(found, (-1, 1), strict=True):
        at = int(np.searchsorted(line.values, inside)) + step
        if 0 <= at < len(line.values) and line.knob not in search.listed:
            outside = float(line.values[at])
            for _ in range(HALVINGS):
                middle = float(_whole(line.knob, np.array((inside + outside) / 2)))
                goal = scan(pair, best.scenario, line.knob, [middle]).objective(best.weight, search.measure)[0]
                inside, outside = (middle, outside) if goal <= most else (inside, middle)
        ends.append(inside)
    return ends[0], ends[1]


def _turning(pair: FittedPair, planned: Scenario) -> dict[str, Any]:
    """The turning length of the D_pt loss for the plan's schedule, stretched."""
    try:
        found = turning_length(pair, planned, min(LONGEST * planned.continual_steps, MOST_STEPS))
    except UserError as error:
        return {"steps": None, "infinite": False, "outside": False, "reason": f"no turning length: {error}"}
    reason = f"turning length of this schedule, shortened or stretched: {found.reason}"
    away = bool(found.steps) and pair.beyond(planned, "steps", found.steps or 1)
    return {"steps": found.steps, "infinite": found.infinite, "outside": away, "reason": reason}


def _critical_point(fits: FittedPair, best: BestCombination) -> dict[str, Any]:
    """What the D_pt loss converges to in endless CPT, beside where it starts."""
    try:
        loss = critical_point(fits.general, best.scenario.replay, best.scenario.params)
    except UserError as error:
        return {"loss": None, "reason": f"no critical point: {error}"}
    side = "above" if best.before["general"] > loss else "below"
    return {
        "loss": loss,
        "reason": f"critical point {loss:.3f}: what the D_pt loss would come to in endless CPT at a constant LR; the"
        f" checkpoint, at {best.before['general']:.3f}, is {side} it",
    }


def _cap(fits: FittedPair, planned: Scenario, cap: float) -> dict[str, Any]:
    """The critical mixture ratio for the plan's schedule and length, at the end of CPT."""
    members = list(fits.ensemble.values())
    found = critical_mixture_ratio(fits, planned, cap, "end", ensemble=members)
    return {
        "cap": cap,
        "share": found.ratio,
        "outside": found.ratio is not None and fits.beyond(planned, "replay", 1 - found.ratio),
        "reason": found.reason,
        "changes": found.changes,
        "gaps": found.gaps,
        "interval": found.interval,
        "interval_reason": found.interval_reason if members else fits.reason,
    }


def _default(base: Scenario, knob: str, within: tuple[float, float] | None) -> Array:
    """Values of a knob that are searched if none are given: as in planning, but peak LRs up to that of PT only.

    within: the fitted range, which they stay in.
    """
    values = np.geomspace(*PEAKS, IN_RANGE) * base.peak_lr if knob == "peak_lr" else default_values(base, knob)
    if within is not None:
        values = _inside(knob, values, within)
    kept = [value for value in values if not base.with_knob(knob, value).misfit]
    if not kept:
        raise UserError(f"no peak LR up to that of PT has a schedule: {base.with_knob(knob, values[-1]).misfit}")
    return np.array(kept)


def _inside(knob: str, values: Array, within: tuple[float, float]) -> Array:
    """As many values of a knob where they overlap with the fitted range; one where that has but one."""
    if within[0] > NEAR * within[1]:
        raise UserError(f"the two fits have no {NAMES[knob]} in common: fit both to the same runs, or give --beyond")
    if not leaves(SEEN[knob], within, (values[0], values[-1])):
        return values
    low = values[0] if values[0] >= within[0] / NEAR else within[0]
    high = values[-1] if values[-1] <= NEAR * within[1] else within[1]
    if low > NEAR * high:
        tried = span((values[0], values[-1]))
        raise UserError(f"the {NAMES[knob]} is searched over {tried}, and was {span(within)} in the fits: {REMEDY}")
    if high <= NEAR * low:
        return np.array([high])
    return np.geomspace(low, high, len(values)) if knob == "peak_lr" else np.linspace(low, high, len(values))
