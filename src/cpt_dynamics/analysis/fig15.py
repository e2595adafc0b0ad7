"""Figure 15: Eq. 7, the law with model size, fitted to all sizes at once (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, SIGNS, errors, fitted
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit
from cpt_dynamics.laws import get
from cpt_dynamics.laws.size import MILLION


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One fit of Eq. 7 to all runs for each validation set; coefficients are for N in millions of parameters.

    `at_size` is Eq. 7 at each size, as the coefficients of Eq. 4 that it amounts to, and its errors on the CPT
    rows of that size. `left_out`, from three sizes on: errors on the CPT rows of a size that was not fitted, as
    predicted (`prediction`) and with the level of the predicted curve taken from that size's pre-training rows
    (`levelled`). N takes few values and L0, F and g3 together set one level for each, so the levels are fitted
    exactly by three sizes and left open by two: only the levelled error tests the rest of the law.
    """
    entry = selection.entry(experiments, "fig15")
    models = _models(experiments, list(entry.runs))
    if len(models) < 2:
        raise UserError(f"{config.stated_in}: fig15 fits several model sizes together: list runs of at least two")
    features = selection.with_areas(selection.of_runs(curves, list(entry.runs)), schedules, config)
    params = {model: int(features.loc[features["model"] == model, "params"].iloc[0]) for model in models}
    result, left_out = {}, {}
    for role in SETS:
        found = fitted(features, schedules, config, list(entry.runs), role, get("cpt_size", SIGNS[role]), True)
        result[role] = {**found.summary(), "at_size": _sizes(found.fit, found.rows.table, params)}
        left_out[role] = _left_out(features, schedules, config, models, role) if len(models) > 2 else {}
    moved = {run.name for run in selection.transfers(experiments, entry.runs)}
    return plain(
        {
            "figure": "fig15",
            "title": entry.title,
            "runs": list(entry.runs),
            "models": {model: [run for run in runs if run in moved] for model, runs in models.items()},
            "params": params,
            "validations": selection.roles(config),
            "lambda": config.law.lambda_,
            "carry_over": config.law.carry_over,
            "first_step": config.law.first_step,
            "fits": result,
            "left_out": left_out,
        }
    )


def _models(experiments: Experiments, runs: list[str]) -> dict[str, list[str]]:
    """Model -> its runs, in the order of `runs`."""
    result: dict[str, list[str]] = {}
    for run in runs:
        result.setdefault(experiments.runs[run].model, []).append(run)
    return result


def at_size(p: Mapping[str, float], params: float) -> dict[str, float]:
    """Coefficients of Eq. 4 to which those of Eq. 7 amount for `params` non-embedding parameters."""
    n = params / MILLION
    return {
        "L0": p["L0"] + p["F"] * n ** -p["g3"],
        "C1": p["C1"] * n ** p["g1"],
        "C2": p["C2"] * n ** p["g2"],
        **{name: p[name] for name in ("A", "alpha", "B", "E", "beta")},
    }


def _sizes(found: Fit, rows: pd.DataFrame, params: Mapping[str, int]) -> dict[str, Any]:
    result = {}
    for model, count in params.items():
        part = rows[(rows["model"] == model) & (rows["phase"] == "continual")]
        result[model] = {"params": count, "parameters": at_size(found.parameters, count), "errors": errors(found, part)}
    return result


def _left_out(
    features: pd.DataFrame, schedules: pd.DataFrame, config: Config, models: Mapping[str, list[str]], role: str
) -> dict[str, Any]:
    """By model: errors on its CPT rows of the law fitted to the other sizes."""
    result = {}
    for model, runs in models.items():
        others = [run for other in models if other != model for run in models[other]]
        law = fitted(features, schedules, config, others, role, get("cpt_size", SIGNS[role]), True).fit
        rows = selection.to_fit(features, schedules, runs, config.corpus_of(role), config.law.first_step).table
        difference = rows["loss"].to_numpy() - law.predict(rows)
        continual = (rows["phase"] == "continual").to_numpy()
        level = float(difference[~continual].mean())
        observed = rows.loc[continual, "loss"].to_numpy()
        result[model] = {
            "prediction": float(np.mean(np.abs(difference[continual]) / observed)),
            "levelled": float(np.mean(np.abs(difference[continual] - level) / observed)),
            "level": level,
        }
    return result
