"""recommend: the learning rate, replay ratio, checkpoint and length of CPT that two fitted laws think best."""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from cpt_dynamics.cli import logs, scenario
from cpt_dynamics.cli.scenario import Fits
from cpt_dynamics.cli.text import bullets, table
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import plain
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import (
    KNOBS,
    ROLES,
    Joint,
    Pair,
    Scan,
    Scenario,
    critical_mixture_ratio,
    critical_point,
    default_values,
    grid,
    scan,
    turning_length,
)
from cpt_dynamics.planning.optimum import NATURAL_LIMITS, TOLERANCE, Measure
from cpt_dynamics.planning.schedule import Shape

NAMES = {"potential": "loss potential", "peak_lr": "peak LR", "replay": "replay ratio", "steps": "steps"}
COARSE = {1: 40, 2: 12, 3: 8, 4: 6}  # values of each knob that are tried first, by the number of knobs
FINE, ZOOMS = 5, 3  # values of each knob that are then tried between the neighbours of the best one, and how often
PEAKS = (0.02, 1.0)  # of the peak of PT: the peak LRs that are searched if no range is given
IN_RANGE = 40  # values of such a range, or of one that is given
HALVINGS = 8  # of the step between two values, to where the goal leaves the tolerance
LONGEST = 5  # times its length: how far a CPT is stretched to look for the turning length
GOALS = {
    "change": "goal: w1*(change of the D_pt loss) + (1 - w1)*(change of the D_cpt loss) over CPT (Eq. 5 of arXiv"
    " 2505.07796), as low as possible; losses in nats/token",
    "final": "goal: w1*(D_pt loss) + (1 - w1)*(D_cpt loss) at the end of CPT, as low as possible; in nats/token",
}
OF_CHECKPOINTS = {
    "change": "the goal counts the changes from each checkpoint's own losses, so a never-annealed checkpoint is"
    " favoured for having been worse; --measure final compares the losses at the end",
    "final": "checkpoints are compared by the losses at the end; by their changes, as Eq. 5 of arXiv 2505.07796 is"
    " printed (--measure change), a never-annealed one would be favoured for having been worse",
}


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


def add_recommend(parser: argparse.ArgumentParser) -> None:
    scenario.add_fits(parser)
    parser.add_argument(
        "--weight",
        dest="weights",
        action="append",
        type=float,
        required=True,
        metavar="W1",
        help="weight of the D_pt loss in the goal, from 0 to 1; once more for another plan",
    )
    group = scenario.add_training(parser)
    group.add_argument("--steps", nargs="+", type=int, required=True, metavar="N", help="of CPT; several: a plan each")
    group.add_argument("--peak", metavar="LR", help="peak LR of CPT; `last`: start from the checkpoint's LR")
    group.add_argument("--shape", choices=get_args(Shape), default="cosine", help="of CPT's LR (default: cosine)")
    group.add_argument("--decay-share", type=float, default=0.2, metavar="S", help="share of CPT that wsd decays over")
    group.add_argument("--end", type=float, default=0.0, metavar="LR", help="last LR of CPT (default: 0)")
    group = parser.add_argument_group("what is chosen")
    group.add_argument(
        "--choose",
        nargs="+",
        choices=KNOBS,
        metavar="KNOB",
        help=f"of {', '.join(KNOBS)} (default: peak_lr and, where both laws read it, replay, unless given)",
    )
    group.add_argument(
        "--range",
        action="append",
        metavar="KNOB=LOW:HIGH",
        help="where a knob is searched (peak_lr: up to the peak of PT)",
    )
    group.add_argument(
        "--measure",
        choices=get_args(Measure),
        help="weigh the changes of both losses (Eq. 5), or the final losses (default: change; with potential: final)",
    )
    group.add_argument(
        "--tolerance", type=float, default=TOLERANCE, metavar="NATS", help="what counts as no worse (default: 0.001)"
    )
    group.add_argument("--cap", type=float, metavar="NATS", help="most D_cpt text that lets the D_pt loss rise by this")
    scenario.add_results(parser)


def run_recommend(options: argparse.Namespace) -> None:
    scenario.check_plot(options)
    fits = scenario.read_fits(options)
    _check(options, fits)
    knobs = _knobs(options, fits)
    searches = [_search(options, fits, knobs, steps) for steps in _lengths(options, knobs)]
    plans = [_plan(fits, search, weight, options.cap) for search in searches for weight in options.weights]
    measure = searches[0].measure
    result: dict[str, Any] = plain(
        {
            "fits": fits.to_json(),
            "goal": GOALS[measure],
            "measure": measure,
            "tolerance": options.tolerance,
            "training": _training(searches, fits),
            "plans": plans,
            "fit_warnings": fits.warnings(),
        }
    )
    figure = None
    if options.plot:
        from cpt_dynamics.figures.kit import (
            recommendation_plot as recommendations,  # takes half a second, so only where it is used
        )

        figure = recommendations.draw(result)
    logs.give(options, result, [*fits.described(), *_text(result)], figure)


# --- options ------------------------------------------------------------------------------------------------


def _check(options: argparse.Namespace, fits: Fits) -> None:
    for weight in options.weights:
        if not 0 <= weight <= 1:
            raise UserError(f"--weight {weight:g}: the weight of the D_pt loss lies between 0 and 1")
    if not 0 < options.decay_share <= 1:
        raise UserError(f"--decay-share {options.decay_share:g}: give a share above 0, up to 1")
    if not options.tolerance >= 0:
        raise UserError(f"--tolerance {options.tolerance:g}: give a difference of losses from 0 on")
    if options.cap is not None and len(fits.reading("replay")) < len(ROLES):
        raise UserError("--cap needs laws of the replay ratio: fit cpt_replay_* to runs with several ratios")


def _knobs(options: argparse.Namespace, fits: Fits) -> list[str]:
    """The knobs to choose: what is neither given nor left out by the laws."""
    given = {"peak_lr": options.peak, "replay": options.replay}
    if options.choose is None:
        answered = ["peak_lr", *(["replay"] if len(fits.reading("replay")) == len(ROLES) else [])]
        knobs = [knob for knob in answered if given[knob] is None]
        if not knobs:
            raise UserError("nothing is left to choose: drop --peak, or name knobs with --choose")
        return knobs
    for knob in options.choose:
        if given.get(knob) is not None:
            raise UserError(f"{knob} is both given and to be chosen: drop one of --choose {knob} and its value")
        missing = set(ROLES) - set(fits.reading("replay"))
        if knob == "replay" and missing:
            role = min(missing)
            law = fits.roles()[role].law.name
            raise UserError(f"--choose replay: law {law!r} of {fits.files[role]} does not read it: fit cpt_replay_*")
    return list(dict.fromkeys(options.choose))


def _lengths(options: argparse.Namespace, knobs: Sequence[str]) -> list[int]:
    """The length of CPT of each search: the shortest one alone where the best one is chosen."""
    return [min(options.steps)] if "steps" in knobs else list(dict.fromkeys(options.steps))


def _search(options: argparse.Namespace, fits: Fits, knobs: Sequence[str], steps: int) -> Search:
    base = scenario.scenario_of(
        options, fits, steps, options.shape, _peak(options.peak), options.end, options.decay_share
    )
    ranges = _ranges(options, knobs)
    listed = frozenset({"steps"} if len(set(options.steps)) > 1 else ())
    axes = {}
    for knob in knobs:
        if knob == "steps" and listed:
            axes[knob] = np.unique(np.array(options.steps, dtype=np.float64))
        elif knob in ranges:
            axes[knob] = np.unique(_whole(knob, np.linspace(*ranges[knob], IN_RANGE)))
        else:
            axes[knob] = _default(base, knob)
    measure: Measure = options.measure or ("final" if "potential" in knobs else "change")
    return Search(base, axes, listed, measure, options.tolerance)


def _default(base: Scenario, knob: str) -> Array:
    """Values of a knob that are searched if none are given: as in planning, but peak LRs up to that of PT only."""
    if knob != "peak_lr":
        return default_values(base, knob)
    values = np.geomspace(*PEAKS, IN_RANGE) * base.peak_lr
    kept = [value for value in values if not base.with_knob(knob, value).misfit]
    if not kept:
        raise UserError(f"no peak LR up to that of PT has a schedule: {base.with_knob(knob, values[-1]).misfit}")
    return np.array(kept)


def _peak(text: str | None) -> float | Literal["last"] | None:
    if text is None or text == "last":
        return "last" if text else None
    try:
        lr = float(text)
    except ValueError:
        lr = math.nan
    if not (math.isfinite(lr) and lr > 0):
        raise UserError(f"--peak {text}: give an LR above 0, or last")
    return lr


def _ranges(options: argparse.Namespace, knobs: Sequence[str]) -> dict[str, tuple[float, float]]:
    found = {}
    for text in options.range or []:
        knob, _, limits = text.partition("=")
        try:
            low, high = (float(limit) for limit in limits.split(":"))
        except ValueError:
            low, high = math.nan, math.nan
        if knob not in knobs:
            raise UserError(f"--range {text}: {knob!r} is not chosen here, only {', '.join(knobs)}")
        least, most = NATURAL_LIMITS.get(knob, (1.0 if knob == "steps" else 0.0, math.inf))
        if not (least <= low < high <= most and math.isfinite(high)) or (knob == "peak_lr" and low <= 0):
            raise UserError(f"--range {text}: write {knob}=LOW:HIGH with possible values of it")
        found[knob] = (low, high)
    return found


# --- the search ---------------------------------------------------------------------------------------------


def _plan(fits: Fits, search: Search, weight: float, cap: float | None) -> dict[str, Any]:
    """The best values for one weight, and what they bring."""
    best = _best(fits.pair, search, weight)
    members = [_best(member, search, weight).values for member in fits.ensemble.values()]
    runs = ", ".join(fits.ensemble)
    reason = f"in refits: the range over {len(members)} refits, each without one run ({runs}); no confidence interval"
    return {
        "weight": weight,
        "steps": best.scenario.continual_steps,
        "knobs": {
            knob: _knob(fits.pair, search, best, knob, [values[knob] for values in members]) for knob in search.axes
        },
        "before": best.before,
        "after": best.after,
        "changes": best.changes,
        "goal": best.objective,
        "interval_reason": reason if members else fits.reason,
        "turning": _turning(fits.pair, best.scenario),
        "critical_point": _critical_point(fits, best),
        "cap": None if cap is None else _cap(fits, best.scenario, cap),
        "warnings": scenario.plan_warnings(fits, best.scenario),
    }


def _best(pair: Pair, search: Search, weight: float) -> Joint:
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


def _knob(pair: Pair, search: Search, best: Joint, knob: str, members: Sequence[float]) -> dict[str, Any]:
    """The best value of a knob, how flat the goal is around it, and the curves on which it lies, the others held."""
    axis, value = search.axes[knob], best.values[knob]
    tried = np.unique(np.append(axis, value))
    line = scan(pair, best.scenario, knob, [v for v in tried if not best.scenario.with_knob(knob, v).misfit])
    goals = line.objective(best.weight, search.measure)
    ends = {float(axis[0]): "lower", float(axis[-1]): "upper"} if len(axis) > 1 else {}
    return {
        "value": value,
        "flat": _flat(pair, search, best, line),
        "searched": (axis[0], axis[-1]),
        "edge": ends.get(value),
        "natural": value in NATURAL_LIMITS.get(knob, ()),
        "interval": (min(members), max(members)) if members else None,
        "curve": {"values": line.values, **line.after, "goal": goals},
    }


def _flat(pair: Pair, search: Search, best: Joint, line: Scan) -> tuple[float, float]:
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


def _turning(pair: Pair, planned: Scenario) -> dict[str, Any]:
    """The turning length of the D_pt loss for the plan's schedule, stretched."""
    try:
        found = turning_length(pair, planned, LONGEST * planned.continual_steps)
    except UserError as error:
        return {"steps": None, "infinite": False, "reason": f"no turning length: {error}"}
    reason = f"turning length of this schedule, shortened or stretched: {found.reason}"
    return {"steps": found.steps, "infinite": found.infinite, "reason": reason}


def _critical_point(fits: Fits, best: Joint) -> dict[str, Any]:
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


def _cap(fits: Fits, planned: Scenario, cap: float) -> dict[str, Any]:
    """The critical mixture ratio for the plan's schedule and length, at the end of CPT."""
    members = list(fits.ensemble.values())
    found = critical_mixture_ratio(fits.pair, planned, cap, "end", ensemble=members)
    return {
        "cap": cap,
        "share": found.ratio,
        "reason": found.reason,
        "changes": found.changes,
        "gaps": found.gaps,
        "interval": found.interval,
        "interval_reason": found.interval_reason if members else fits.reason,
    }


# --- what is said -------------------------------------------------------------------------------------------


def _training(searches: Sequence[Search], fits: Fits) -> list[str]:
    """What all plans have in common besides the laws."""
    first = searches[0]
    held = "replay" not in first.axes and fits.reading("replay")
    replay = [f"replay ratio: {_shown('replay', first.scenario.replay)}"] if held else []
    checkpoints = [OF_CHECKPOINTS[first.measure]] if "potential" in first.axes else []
    return [*scenario.described([search.scenario for search in searches], set(first.axes)), *replay, *checkpoints]


def _text(result: Mapping[str, Any]) -> list[str]:
    plans = result["plans"]
    lines = [*bullets([*result["training"], result["goal"]]), "", *_overview(plans)]
    several = len({plan["steps"] for plan in plans}) > 1
    for plan in plans:
        name = f"w1 = {plan['weight']:g}" + (f", {plan['steps']:,} steps" if several else "")
        lines += ["", *_of_plan(plan, name, result["tolerance"])]
    if result["fit_warnings"]:
        lines += ["", "warnings of the fits themselves:", *bullets(result["fit_warnings"])]
    return lines


def _overview(plans: Sequence[Mapping[str, Any]]) -> list[str]:
    """A row for each plan."""
    knobs = [knob for knob in plans[0]["knobs"] if knob != "steps"]
    rows = [
        [
            f"{plan['weight']:g}",
            _shown("steps", plan["steps"]),
            *(_shown(knob, plan["knobs"][knob]["value"]) for knob in knobs),
            *(f"{plan['before'][role]:.3f} -> {plan['after'][role]:.3f}" for role in ROLES),
            f"{plan['goal']:.3f}",
        ]
        for plan in plans
    ]
    return table(["w1", "steps", *(NAMES[knob] for knob in knobs), "D_pt loss", "D_cpt loss", "goal"], rows, left=0)


def _of_plan(plan: Mapping[str, Any], name: str, tolerance: float) -> list[str]:
    """The details of one plan."""
    rows = []
    for knob, found in plan["knobs"].items():
        interval = [_span(knob, found["interval"])] if found["interval"] else []
        rows.append(
            [NAMES[knob], _shown(knob, found["value"]), _span(knob, found["flat"]), *interval, _place(knob, found)]
        )
    refits = ["in refits"] if any(found["interval"] for found in plan["knobs"].values()) else []
    head = [name, "best", f"within {tolerance:g} of it", *refits, "where the best one lies "]
    notes = [plan["turning"]["reason"], plan["critical_point"]["reason"], plan["interval_reason"]]
    lines = [*table(head, rows), *bullets([*notes, *_cap_lines(plan["cap"])])]
    return [*lines, *bullets(f"warning: {line}" for line in plan["warnings"])]


def _place(knob: str, found: Mapping[str, Any]) -> str:
    """Whether the best value is inside of what was searched."""
    searched = _span(knob, found["searched"])
    if found["edge"] is None:
        return f"inside {searched}"
    beyond = "there is none beyond" if found["natural"] else "a better one may lie beyond"
    return f"{found['edge']} end of {searched}: {beyond}"


def _cap_lines(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return []
    if found["share"] is None:
        return [f"cap of {found['cap']:g} on the rise of the D_pt loss: {found['reason']}"]
    at_most = f"at most {100 * found['share']:.3g} % of D_cpt text ({100 * (1 - found['share']):.3g} % replay)"
    gaps = "; some smaller shares do not keep it" if found["gaps"] else ""
    interval = ""
    if found["interval"]:
        interval = f"; {found['interval_reason']}: {' to '.join(f'{100 * v:.3g} %' for v in found['interval'])}"
    return [
        f"cap of {found['cap']:g} on the rise of the D_pt loss at the end of CPT, with this peak LR: {at_most};"
        f" {found['reason']}{gaps}{interval}"
    ]


def _shown(knob: str, value: float) -> str:
    if knob == "steps":
        return f"{value:,.0f}"
    return f"{value:.3g}" if knob == "peak_lr" else f"{100 * value:.3g} %"


def _span(knob: str, limits: Sequence[float]) -> str:
    low, high = (_shown(knob, limit) for limit in limits)
    return low if low == high else f"{low} to {high}"
