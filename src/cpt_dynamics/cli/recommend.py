"""recommend: the learning rate, replay ratio, checkpoint and length of CPT that two fitted laws think best."""

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cpt_dynamics.cli import log_options as logs
from cpt_dynamics.cli import plan_options as options_of
from cpt_dynamics.cli.plan_options import MARK
from cpt_dynamics.cli.text import bullets, table
from cpt_dynamics.errors import UserError, printable, short
from cpt_dynamics.files import plain
from cpt_dynamics.planning import ROLES
from cpt_dynamics.planning.fits import SEEN, FittedPair
from cpt_dynamics.planning.optimum import NATURAL_LIMITS, Measure
from cpt_dynamics.planning.search import Search, best_plan
from cpt_dynamics.schedules import LEAST_LR, MOST_LR, MOST_STEPS

NAMES = {"potential": "loss potential", "peak_lr": "peak LR", "replay": "replay ratio", "steps": "steps"}
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


def run_recommend(options: argparse.Namespace) -> None:
    logs.check_results(options, [options.general, options.domain])
    fits = FittedPair.read(options.general, options.domain)
    _check(options, fits)
    knobs = _knobs(options, fits)
    lengths = [min(options.steps)] if "steps" in knobs else list(dict.fromkeys(options.steps))
    searches = [_search(options, fits, knobs, steps) for steps in lengths]
    plans = [best_plan(fits, search, weight, options.cap) for search in searches for weight in options.weights]
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


def _check(options: argparse.Namespace, fits: FittedPair) -> None:
    for weight in options.weights:
        if not 0 <= weight <= 1:
            raise UserError(f"--weight {weight:g}: the weight of the D_pt loss lies between 0 and 1")
    if not 0 < options.decay_share <= 1:
        raise UserError(f"--decay-share {options.decay_share:g}: give a share above 0, up to 1")
    if options.cap is not None and len(fits.reading("replay")) < len(ROLES):
        raise UserError("--cap needs laws of the replay ratio: fit cpt_replay_* to runs with several ratios")


def _knobs(options: argparse.Namespace, fits: FittedPair) -> list[str]:
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


def _search(options: argparse.Namespace, fits: FittedPair, knobs: Sequence[str], steps: int) -> Search:
    base = options_of.scenario_of(
        options, fits, steps, options.shape, _peak(options.peak), options.end, options.decay_share
    )
    measure: Measure = options.measure or ("final" if "potential" in knobs else "change")
    ranges, within = _ranges(options, knobs), {}
    if not options.beyond:
        within = {knob: limits for knob in SEEN if (limits := fits.fitted(knob)) is not None}
        options_of.check_peaks("--range", ranges.get("peak_lr"), within.get("peak_lr"))
    return Search.of(base, knobs, ranges, options.steps, measure, options.tolerance, within)


def _peak(text: str | None) -> float | Literal["last"] | None:
    if text is None or text == "last":
        return "last" if text else None
    lr = logs.to_number(text)
    if not 0 < lr <= MOST_LR:
        raise UserError(f"--peak {printable(text, 60)}: give an LR above 0, or last")
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
            raise UserError(f"--range {printable(text, 60)}: {short(knob)} is not chosen here, only {', '.join(knobs)}")
        least, most = {**NATURAL_LIMITS, "steps": (1.0, MOST_STEPS), "peak_lr": (LEAST_LR, MOST_LR)}[knob]
        if not least <= low < high <= most:
            raise UserError(f"--range {printable(text, 60)}: write {knob}=LOW:HIGH with possible values of it")
        found[knob] = (low, high)
    return found


# --- what is said -------------------------------------------------------------------------------------------


def _training(searches: Sequence[Search], fits: FittedPair) -> list[str]:
    """What all plans have in common besides the laws."""
    first = searches[0]
    held = "replay" not in first.axes and fits.reading("replay")
    replay = [f"replay ratio: {_shown('replay', first.scenario.replay)}"] if held else []
    checkpoints = [OF_CHECKPOINTS[first.measure]] if "potential" in first.axes else []
    return [*options_of.described([search.scenario for search in searches], set(first.axes)), *replay, *checkpoints]


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
            *(_marked(knob, plan["knobs"][knob], plan["knobs"][knob]["value"]) for knob in knobs),
            *(" -> ".join(_loss(plan, end, role) for end in ("before", "after")) for role in ROLES),
            f"{plan['goal']:.3f}" + (MARK if plan["outside"]["goal"] else ""),
        ]
        for plan in plans
    ]
    return table(["w1", "steps", *(NAMES[knob] for knob in knobs), "D_pt loss", "D_cpt loss", "goal"], rows, left=0)


def _of_plan(plan: Mapping[str, Any], name: str, tolerance: float) -> list[str]:
    """The details of one plan."""
    rows = []
    for knob, found in plan["knobs"].items():
        value, interval = _marked(knob, found, found["value"]), found["interval"]
        spans = [_span(knob, found, ends) for ends in (found["flat"], *([interval] if interval else []))]
        rows.append([NAMES[knob], value, *spans, _place(knob, found)])
    refits = ["in refits"] if any(found["interval"] for found in plan["knobs"].values()) else []
    head = [name, "best", f"within {tolerance:g} of it", *refits, "where the best one lies "]
    turning = plan["turning"]["reason"] + (MARK if plan["turning"]["outside"] else "")
    notes = [turning, plan["critical_point"]["reason"], plan["interval_reason"], *options_of.band_lines(plan["bands"])]
    cap = _cap_lines(plan["cap"])
    marked = any(MARK in cell for cell in [turning, *cap, *(cell for row in rows for cell in row)])
    warnings = [f"warning: {line}" for line in plan["warnings"]]
    return [*table(head, rows), *bullets([*notes, *cap, *options_of.legend(plan["outside"], marked), *warnings])]


def _loss(plan: Mapping[str, Any], end: str, role: str) -> str:
    return f"{plan[end][role]:.3f}" + (MARK if plan["outside"][end][role] else "")


def _place(knob: str, found: Mapping[str, Any]) -> str:
    """Whether the best value is inside of what was searched."""
    searched = _span(knob, found, found["searched"])
    if found["searched"][0] == found["searched"][1]:
        return "the only one that was fitted"
    if found["edge"] is None:
        return f"inside {searched}"
    beyond = "there is none beyond" if found["natural"] else "a better one may lie beyond"
    return f"{found['edge']} end of {searched}: {beyond}"


def _cap_lines(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return []
    if found["share"] is None:
        return [f"cap of {found['cap']:g} on the rise of the D_pt loss: {found['reason']}"]
    mark = MARK if found["outside"] else ""
    at_most = f"at most {100 * found['share']:.3g} %{mark} of D_cpt text ({100 * (1 - found['share']):.3g} % replay)"
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


def _marked(knob: str, found: Mapping[str, Any], value: float) -> str:
    """A value of a knob, with a mark outside of what was fitted."""
    return _shown(knob, value) + (MARK if value in found["outside"] else "")


def _span(knob: str, found: Mapping[str, Any], limits: Sequence[float]) -> str:
    low, high = (_marked(knob, found, limit) for limit in limits)
    return low if low == high else f"{low} to {high}"
