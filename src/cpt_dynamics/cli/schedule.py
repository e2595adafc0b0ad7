"""schedule: the LR schedule of CPT that two fitted laws think best, beside the usual ones."""

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cpt_dynamics import files
from cpt_dynamics.cli import log_options as logs
from cpt_dynamics.cli import plan_options as options_of
from cpt_dynamics.cli.text import bullets, table
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import plain
from cpt_dynamics.fitting.predictions import NEAR
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import ROLES, BestSchedule, Scenario, optimise
from cpt_dynamics.planning.fits import SETS, FittedPair, Outside
from cpt_dynamics.planning.schedule import compared_curves, usual

FLOOR = 0.1  # of the peak of PT, the lowest LR if none is given
LINES = 7  # steps that are printed
GOAL = (
    "goal: w1*(change of the D_pt loss) + (1 - w1)*(change of the D_cpt loss) over CPT with w1 = {:g} (Eq. 5 of arXiv"
    " 2505.07796), as low as possible; losses in nats/token"
)
FAULT = (
    "the annealing area S2 is concave in the time of a fall of the LR, so a law with S2 prefers one abrupt fall to a"
    " gradual one by its form, whatever the data: what the optimum gains over the usual schedules may not be real"
)


def run_schedule(options: argparse.Namespace) -> None:
    logs.check_results(options, [options.general, options.domain])
    fits = FittedPair.read(options.general, options.domain)
    if not 0 <= options.weight <= 1:
        raise UserError(f"--weight {options.weight:g}: the weight of the D_pt loss lies between 0 and 1")
    base = options_of.scenario_of(options, fits, options.steps)
    floor = FLOOR * base.peak_lr if options.floor is None else options.floor
    limits = None if options.beyond else fits.fitted("peak_lr")
    cap = _cap(options, base, limits)
    if not 0 <= floor < cap:
        raise UserError(f"--floor {floor:g}: give an LR from 0 and below --peak-cap, {cap:g}")
    options_of.check_peaks("--peak-cap" if options.peak_cap else "the peak of PT", [cap], limits)
    least = 0.0 if limits is None else limits[0]
    found = optimise(fits, base, options.weight, floor=floor, peak_cap=cap, least_peak=least, knots=options.knots)
    result: dict[str, Any] = plain(_result(fits, base, found, options))
    figure = None
    if options.plot:
        from cpt_dynamics.figures.kit import (
            recommendation_plot as recommendations,  # takes half a second, so only where it is used
        )

        figure = recommendations.draw_schedule(compared_curves(fits, base, found), found.compared)
    if options.out:
        with logs.writing(options.out), files.atomic(options.out) as temporary:
            rows = "".join(f"{step},{lr:.8g}\n" for step, lr in enumerate(found.lr, start=1))
            temporary.write_text("step,lr\n" + rows, encoding="utf-8")
    logs.give(options, result, [*fits.described(), *_text(result), *logs.written(options, "schedule")], figure)


def _cap(options: argparse.Namespace, base: Scenario, fitted: tuple[float, float] | None) -> float:
    """The highest LR: what is given, or the peak of PT, or the highest fitted one below it."""
    if options.peak_cap is not None:
        return float(options.peak_cap)
    return base.peak_lr if fitted is None or base.peak_lr <= NEAR * fitted[1] else fitted[1]


def _result(fits: FittedPair, base: Scenario, found: BestSchedule, options: argparse.Namespace) -> dict[str, Any]:
    lr = np.concatenate([base.lr[: base.pretraining_steps], found.lr])
    away = fits.outside(base, lr)
    rows = found.compared.to_dict("records")
    usual_ones = [usual(base, row["schedule"], found.peak, found.floor) for row in rows[1:]]
    after = [fits.outside(base, np.append(lr[: base.pretraining_steps], one))["after"] for one in usual_ones]
    reads_s2 = any("s2cpt" in law.law.inputs for law in fits.roles().values())
    before = {role: base.ends(law)[0] for role, law in fits.roles().items()}
    replay = f", {100 * base.replay:.3g} % replay" if fits.reading("replay") else ""
    return {
        "fits": fits.to_json(),
        "goal": GOAL.format(options.weight),
        "weight": options.weight,
        "training": [
            f"pre-training (PT): {base.pretraining_steps:,} steps, peak LR {base.peak_lr:g}, last LR"
            f" {lr[base.pretraining_steps - 1]:g}",
            f"CPT: {len(found.lr):,} steps, the first {base.rewarmup:,} a re-warm-up, from LR {found.floor:g} to"
            f" {found.peak_cap:g}{replay}",
        ],
        "peak": found.peak,
        "floor": found.floor,
        "peak_cap": found.peak_cap,
        "before": before,
        "after": found.after,
        "compared": [{**row, "outside": names} for row, names in zip(rows, [away["after"], *after], strict=True)],
        "outside": away,
        "bands": fits.half_widths(options.weight, before, found.after),
        "starts": found.starts,
        "agreeing": found.agreeing,
        "warnings": [
            *found.warnings,
            *([FAULT] if reads_s2 else []),
            *fits.warnings_of(base, lr),
        ],
        "fit_warnings": fits.warnings(),
        "lr": found.lr,
    }


def _telling(lr: Array) -> list[int]:
    """Steps (from 1) at which the LR is printed: `LINES` evenly spaced in time, as many in what the LR moves by."""
    at, moved = np.arange(1, len(lr) + 1), np.append(0.0, np.cumsum(np.abs(np.diff(lr))))
    in_moves = np.searchsorted(moved, np.linspace(0, moved[-1], LINES)) + 1
    return sorted({*np.linspace(1, len(lr), LINES).round().astype(int).tolist(), *at[in_moves - 1].tolist()})


def _compared(result: Mapping[str, Any]) -> list[str]:
    """The table of schedules. What is outside of what was fitted has a mark, and is named in a last column."""
    before = result["outside"]["before"]
    rows = [
        [
            row["schedule"],
            f"{row['objective']:.4f}{_mark([*row['outside'].values(), *before.values()])}",
            *_losses(row, row["outside"]),
        ]
        for row in result["compared"]
    ]
    rows.append(["end of PT", "", *_losses(result["before"], before)])
    head = ["schedule", "goal", *(f"{SETS[role]} loss" for role in ROLES)]
    said = ["; ".join(_left(names)) for names in (*(row["outside"] for row in result["compared"]), before)]
    if any(said):
        head.append(f"{options_of.MARK} {options_of.OUTSIDE} ")
        rows = [[*row, one] for row, one in zip(rows, said, strict=True)]
    return table(head, rows)


def _losses(losses: Mapping[str, float], outside: Mapping[str, Outside]) -> list[str]:
    return [f"{losses[role]:.4f}{_mark([outside[role]])}" for role in ROLES]


def _mark(outside: Iterable[Outside]) -> str:
    return options_of.MARK if any(outside) else ""


def _left(outside: Mapping[str, Outside]) -> list[str]:
    """What either loss leaves, each once."""
    return list(dict.fromkeys(line for names in outside.values() for line in options_of.left(names)))


def _text(result: Mapping[str, Any]) -> list[str]:
    lr = result["lr"]
    steps = _telling(np.array(lr))
    return [
        *bullets([*result["training"], result["goal"]]),
        "",
        *_compared(result),
        *bullets(options_of.band_lines(result["bands"])),
        f"{result['agreeing']} of {result['starts']} searches came to the best one",
        "",
        *table(["step of CPT", "LR"], [[f"{step:,}", f"{lr[step - 1]:.4g}"] for step in steps], left=0),
        "",
        "warnings:",
        *bullets(result["warnings"]),
        *(["warnings of the fits themselves:", *bullets(result["fit_warnings"])] if result["fit_warnings"] else []),
    ]
