"""How much lambda, the memory of the annealing area, matters for the fit of Fig. 3 and its predictions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import PAPER_LAMBDA, SETS, SIGNS, relative
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import fit
from cpt_dynamics.laws import get

MEMORIES = (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500)  # 1 / (1 - lambda), in steps
STARTS = 3  # of each of the many fits here


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Errors over a grid of lambda that holds the configured one and the paper's.

    All are mean relative errors on CPT rows: of the fit to all fitted runs (`fit`); of each fitted run with
    CPT predicted from the others, averaged over runs (`left_out`; the seeds of a run are left out together, and
    its pre-training too unless another run shares it); and of the held-out runs (`heldout`, null without any).
    `best` minimises the mean of `left_out` over both validation sets, so it does not look at held-out runs.
    """
    entry = selection.entry(experiments, "lambda")
    names = list(dict.fromkeys([*entry.runs, *entry.heldout]))
    runs = selection.without_prefixes(experiments, entry.runs)
    groups = list(dict.fromkeys(selection.group(run.name) for run in selection.transfers(experiments, runs)))
    if len(groups) < 2:
        raise UserError(f"{config.stated_in}: leaving one run out needs at least two fitted runs, has {groups}")
    some = selection.of_runs(curves, names)
    points: list[dict[str, Any]] = []
    for lambda_ in grid(config.law.lambda_):
        features = selection.with_areas(some, schedules, config, lambda_)
        sets = {role: _errors(features, schedules, config, runs, entry.heldout, role, groups) for role in SETS}
        left_out = float(np.mean([errors["left_out"] for errors in sets.values()]))
        points.append({"lambda": lambda_, "memory": 1 / (1 - lambda_), "left_out": left_out, "sets": sets})
    best = min(points, key=lambda point: point["left_out"])
    best_of = {role: min(points, key=lambda point: point["sets"][role]["left_out"])["lambda"] for role in SETS}
    return plain(
        {
            "figure": "lambda",
            "title": entry.title if "lambda" in experiments.figures else "Sensitivity to lambda",
            "fitted_runs": runs,
            "heldout_runs": list(entry.heldout),
            "left_out_together": groups,
            "validations": selection.roles(config),
            "carry_over": config.law.carry_over,
            "first_step": config.law.first_step,
            "chosen": config.law.lambda_,
            "paper": PAPER_LAMBDA,
            "best": best["lambda"],
            "best_by_set": best_of,
            "points": points,
        }
    )


def grid(chosen: float) -> list[float]:
    """The values of lambda that are tried, ascending: of a grid of memories, the chosen one, the paper's."""
    values = {1 - 1 / memory for memory in MEMORIES} | {PAPER_LAMBDA}
    apart = {value for value in values if abs(value - chosen) > 1e-9}
    return sorted(apart | {chosen})


def _errors(
    features: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    runs: list[str],
    heldout: list[str],
    role: str,
    groups: list[str],
) -> dict[str, Any]:
    """Mean relative errors on CPT rows for one lambda and one validation set."""
    law, validation = get("cpt", SIGNS[role]), selection.roles(config)[role]

    def fitted_to(names: list[str]) -> Any:
        rows = selection.to_fit(features, schedules, names, validation, config.law.first_step).table
        return fit(law, rows, rows["loss"], n_starts=STARTS)

    def error(found: Any, names: list[str]) -> float:
        rows = selection.without_repeats(selection.continual(features, names, validation), schedules)
        rows.attrs = features.attrs
        return relative(found, rows)

    whole = fitted_to(runs)
    left_out = {}
    for name in groups:
        inside = [run for run in runs if selection.group(run) == name]
        rest = [run for run in runs if run not in inside]
        left_out[name] = error(fitted_to(rest), inside)
    return {
        "objective": whole.objective,
        "fit": error(whole, runs),
        "left_out": float(np.mean(list(left_out.values()))),
        "left_out_runs": left_out,
        "heldout": error(whole, heldout) if heldout else None,
    }
