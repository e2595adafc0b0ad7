"""Figure 2: the shift term of three transfer points overlaps and is a power form (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cpt_dynamics.analysis import selection, shifts
from cpt_dynamics.analysis.joint import SETS, SIGNS
from cpt_dynamics.analysis.results import plain
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.fitting import fit
from cpt_dynamics.laws import get
from cpt_dynamics.laws.shift import FORMS

ARGUMENTS = {"phase_step": "_t", "s1cpt": ""}  # column -> suffix of the law's name


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Shifts of all transfers of the figure, and one fit of each form to all of them together.

    `forms` holds a fit of the power (Eq. 3), exponential and logarithmic form over the CPT step
    (`phase_step`) and over the forward area (`s1cpt`); under a constant LR they differ in the unit of E only.
    `spread` compares the transfer points with each other (see `shifts.spread`).
    """
    entry = selection.entry(experiments, "fig02")
    runs = [run.name for run in selection.transfers(experiments, entry.runs)]
    if len(runs) < 2:
        raise UserError(f"{config.experiments}: fig02 compares transfer points and has {len(runs)}: list more")
    features = selection.with_areas(selection.of_runs(curves, list(entry.runs)), schedules, config)
    sets = {}
    for role, validation in selection.roles(config).items():
        table = shifts.measured(features, experiments, list(entry.runs), validation)
        sets[role] = {
            "validation": validation,
            "rows": len(table),
            "interpolated": int(table["interpolated"].sum()),
            "spread": shifts.spread(table),
            "forms": {over: _forms(table, role, suffix) for over, suffix in ARGUMENTS.items()},
            "shifts": table.to_dict("list"),
        }
    return plain(
        {
            "figure": "fig02",
            "title": entry.title,
            "runs": runs,
            "transfers": {name: selection.transfer_step(experiments.runs[name]) for name in runs},
            "hidden": {name: selection.twins(experiments.runs[name], experiments, entry.runs).hidden for name in runs},
            "validations": selection.roles(config),
            "sets": {role: sets[role] for role in SETS},
        }
    )


def _forms(table: pd.DataFrame, role: str, suffix: str) -> dict[str, Any]:
    """Parameters and errors of every form, fitted to the pooled shifts."""
    result = {}
    for form in FORMS:
        law = get(f"shift_{form}{suffix}", SIGNS[role])
        found = fit(law, table, table["shift"])
        result[form] = {
            "parameters": found.parameters,
            "combinations": found.combinations,
            "r2": found.metrics["all"].get("r2"),
            "mae": found.metrics["all"]["mae"],
            "rmse": found.metrics["all"]["rmse"],
            "huber_sum": found.metrics["all"]["huber_sum"],
            "fit": found.to_json(),
        }
    return result
