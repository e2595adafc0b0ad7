"""Figure 10: the coefficients of Fig. 3 predict CPT under unseen LR schedules (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, errors, joint
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit

KEPT = ("n", "r2", "mean_relative_error", "worst_relative_error", "mae", "rmse", "huber_mean")


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Errors on the CPT rows of the held-out runs; their pre-training rows are not counted.

    The law is the one fitted for Fig. 3 (taken from `fits["fig03"]` if given). `s1_only` is the law without
    annealing areas and with the same shift term, fitted to the same rows; `ratio` is the mean relative error
    of the law over that of `s1_only` (below 1: annealing helps to predict).
    """
    entry = selection.entry(experiments, "fig10")
    if not entry.heldout:
        raise UserError(f"{config.stated_in}: fig10 has no held-out runs: list them under `heldout`")
    known = (fits or {}).get("fig03")
    if known is not None and set(known["runs"]) != set(entry.runs):
        raise UserError(f"{config.stated_in}: fig10 must be fitted to the runs of fig03, whose fit it uses")
    features = selection.with_areas(selection.of_runs(curves, list(entry.heldout)), schedules, config)
    result: dict[str, Any] = {}
    for role in SETS:
        if known is None:
            law = joint(curves, schedules, config, entry.runs, role).fit
        else:
            law = Fit.from_json(known["fits"][role]["chosen"]["fit"])
        s1_only = joint(curves, schedules, config, entry.runs, role, law=law.law.baseline).fit
        validation = selection.roles(config)[role]
        rows = {run: selection.continual(features, [run], validation) for run in entry.heldout}
        pooled = selection.continual(features, list(entry.heldout), validation)
        result[role] = {
            "validation": validation,
            "runs": {run: _compared(law, s1_only, part) for run, part in rows.items()},
            "pooled": _compared(law, s1_only, pooled),
            "fit": law.to_json(),
            "s1_only_fit": s1_only.to_json(),
        }
    return plain(
        {
            "figure": "fig10",
            "title": entry.title,
            "fitted_runs": list(entry.runs),
            "heldout_runs": list(entry.heldout),
            "validations": selection.roles(config),
            "lambda": config.law.lambda_,
            "carry_over": config.law.carry_over,
            "first_step": config.law.first_step,
            "predictions": result,
        }
    )


def _compared(law: Fit, s1_only: Fit, rows: pd.DataFrame) -> dict[str, Any]:
    """Errors of both laws on some rows and the ratio of their mean relative errors."""
    one, two = errors(law, rows), errors(s1_only, rows)
    reference = two.get("mean_relative_error", 0.0)
    return {
        "law": {key: one.get(key) for key in KEPT},
        "s1_only": {key: two.get(key) for key in KEPT},
        "ratio": one["mean_relative_error"] / reference if reference else None,
    }
