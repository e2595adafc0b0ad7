"""Eq. 7, the law with model size, fitted to all sizes at once (arXiv 2505.07796, Figure 15)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig15.result import AtSize, ErrorsAtSize, FitOfSet, LeftOut, Result
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, SIGNS, Joint, choices, errors, fitted
from cpt_dynamics.laws import get
from cpt_dynamics.laws.size import MILLION

Models = Mapping[str, list[str]]  # model -> its runs


def analyse(data: FigureData) -> Result:
    """One fit of Eq. 7 to all runs for each validation set and, from three sizes on, its errors on sizes left out."""
    runs = data.entry.runs
    models = selection.by_model(data.experiments, runs)
    if len(models) < 2:
        raise UserError(f"{data.config.stated_in}: fig15 fits several model sizes together: list runs of at least two")
    features = selection.with_areas(selection.of_runs(data.curves, runs), data.schedules, data.config)
    params = selection.params(features, models)
    moved = {run.name for run in selection.transfers(data.experiments, runs)}
    return Result(
        **choices(data),
        runs=runs,
        models={model: [run for run in names if run in moved] for model, names in models.items()},
        params=params,
        fits={role: _at_sizes(_fitted(data, features, runs, role), params) for role in SETS},
        left_out={role: _left_out(data, features, models, role) if len(models) > 2 else {} for role in SETS},
    )


def _fitted(data: FigureData, features: pd.DataFrame, runs: list[str], role: Role) -> Joint:
    return fitted(features, data.schedules, data.config, runs, role, get("cpt_size", SIGNS[role]), True)


def _at_sizes(found: Joint, params: Mapping[str, int]) -> FitOfSet:
    sizes, rows = {}, found.rows.table
    for model, count in params.items():
        part = rows[(rows["model"] == model) & (rows["phase"] == "continual")]
        sizes[model] = AtSize(
            params=count,
            parameters=at_size(found.fit.parameters, count),
            errors=ErrorsAtSize.of(errors(found.fit, part)),
        )
    return FitOfSet(**dict(found.result()), at_size=sizes)


def at_size(p: Mapping[str, float], params: float) -> dict[str, float]:
    """Coefficients of Eq. 4 to which those of Eq. 7 amount for `params` non-embedding parameters."""
    n = params / MILLION
    return {
        "L0": p["L0"] + p["F"] * n ** -p["g3"],
        "C1": p["C1"] * n ** p["g1"],
        "C2": p["C2"] * n ** p["g2"],
        **{name: p[name] for name in ("A", "alpha", "B", "E", "beta")},
    }


def _left_out(data: FigureData, features: pd.DataFrame, models: Models, role: Role) -> dict[str, LeftOut]:
    """By model: errors on its CPT rows of the law fitted to the other sizes."""
    result = {}
    first, validation = data.config.law.first_step, data.config.corpus_of(role)
    for model, runs in models.items():
        others = [run for other in models if other != model for run in models[other]]
        law = _fitted(data, features, others, role).fit
        rows = selection.to_fit(features, data.schedules, runs, validation, first).table
        difference = rows["loss"].to_numpy() - law.predict(rows)
        continual = (rows["phase"] == "continual").to_numpy()
        level = float(difference[~continual].mean())
        observed = rows.loc[continual, "loss"].to_numpy()
        result[model] = LeftOut(
            prediction=float(np.mean(np.abs(difference[continual]) / observed)),
            levelled=float(np.mean(np.abs(difference[continual] - level) / observed)),
            level=level,
        )
    return result
