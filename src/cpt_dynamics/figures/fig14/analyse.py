"""Figure 14: the shift term of several model sizes, at a constant LR (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection, shifts, statistics
from cpt_dynamics.figures.kit.joint import SETS, SIGNS
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import fit, measure
from cpt_dynamics.laws import get


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The shift of each size (CPT minus the hidden curve of that size) and one power form (Eq. 3) for all of them.

    By validation set: `spread` between the sizes (see `shifts.spread`), `size` the slope of a run's mean shift
    over the mean of all against the logarithm of its number of parameters (0 the smallest, 1 the largest size),
    `form` the fit over the forward area of CPT, and `runs` each run's part in them.
    """
    entry = selection.entry(experiments, "fig14")
    runs = [run.name for run in selection.transfers(experiments, entry.runs)]
    if len({experiments.runs[run].model for run in runs}) < 2:
        raise UserError(f"{config.stated_in}: fig14 compares model sizes: list CPT runs of at least two")
    features = selection.with_areas(selection.of_runs(curves, list(entry.runs)), schedules, config)
    params = {run: int(features.loc[features["run"] == run, "params"].iloc[0]) for run in runs}
    return plain(
        {
            "figure": "fig14",
            "title": entry.title,
            "runs": runs,
            "models": {run: experiments.runs[run].model for run in runs},
            "params": params,
            "hidden": {run: selection.twins(experiments.runs[run], experiments, entry.runs).hidden for run in runs},
            "validations": selection.roles(config),
            "sets": {
                role: _set(shifts.measured(features, experiments, list(entry.runs), validation), params, role)
                for role, validation in selection.roles(config).items()
                if role in SETS
            },
        }
    )


def _set(table: pd.DataFrame, params: Mapping[str, int], role: str) -> dict[str, Any]:
    """What the shifts of one validation set say; `table` as `shifts.measured` makes it."""
    found = fit(get("shift_power", SIGNS[role]), table, table["shift"])
    mean = _means(table)
    relative = mean / mean.mean()
    size = np.log([params[run] for run in mean.index])
    parts = {run: table[table["run"] == run] for run in mean.index}
    return {
        "rows": len(table),
        "spread": shifts.spread(table),
        "size": statistics.slope_test(
            (size - size.min()) / np.ptp(size), relative.to_list(), "run, one a model size"
        ).model_dump(),
        "form": {
            "parameters": found.parameters,
            "combinations": found.combinations,
            "r2": found.metrics["all"].get("r2"),
            "mae": found.metrics["all"]["mae"],
            "fit": found.to_json(),
        },
        "runs": {
            run: {
                "mean": mean[run],
                "relative": relative[run],
                "r2": measure(part["shift"].to_numpy(), found.predict(part), residual="linear").get("r2"),
            }
            for run, part in parts.items()
        },
        "shifts": table.to_dict("list"),
    }


def _means(table: pd.DataFrame) -> pd.Series:
    """Mean shift of each run over the CPT steps at which all were evaluated, nats/token."""
    wide = table.pivot(index="phase_step", columns="run", values="shift")[list(table["run"].unique())].dropna()
    if not len(wide):
        raise UserError("the model sizes were evaluated at no common step of CPT: evaluate them alike")
    return wide.mean()
