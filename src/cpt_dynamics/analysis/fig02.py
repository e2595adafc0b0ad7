"""Figure 2: the shift term of three transfer points overlaps and is a power form (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection, shifts
from cpt_dynamics.figures.kit.joint import SETS, SIGNS
from cpt_dynamics.figures.kit.statistics import mean_test, slope_test
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit, fit
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
    `spread` compares the transfer points with each other (see `shifts.spread`). These are of the fitted runs.
    `heldout` says how well the power form over the CPT step predicts the held-out runs (see `_predicted`, null
    without any). `transfer` and `power_gain` are tests over all transfers, held-out ones too (see `_trend`, `_gain`).
    """
    entry = selection.entry(experiments, "fig02")
    runs = [run.name for run in selection.transfers(experiments, entry.runs)]
    if len(runs) < 2:
        raise UserError(f"{config.stated_in}: fig02 compares transfer points and has {len(runs)}: list more")
    among = list(dict.fromkeys([*entry.runs, *entry.heldout]))
    heldout = [run.name for run in selection.transfers(experiments, among) if run.name not in runs]
    features = selection.with_areas(selection.of_runs(curves, among), schedules, config)
    total = config.lengths.pretraining + config.lengths.continual
    sets = {}
    for role, validation in selection.roles(config).items():
        table = shifts.measured(features, experiments, among, validation)
        fitted, left = table[table["run"].isin(runs)], table[table["run"].isin(heldout)]
        forms = {over: _forms(fitted, role, suffix) for over, suffix in ARGUMENTS.items()}
        sets[role] = {
            "validation": validation,
            "rows": len(fitted),
            "interpolated": int(fitted["interpolated"].sum()),
            "spread": shifts.spread(fitted),
            "forms": forms,
            "shifts": fitted.to_dict("list"),
            "heldout": _predicted(Fit.from_json(forms["phase_step"]["power"]["fit"]), left) if len(left) else None,
            "transfer": _trend(table, total),
            "power_gain": _gain(table, role),
        }
    return plain(
        {
            "figure": "fig02",
            "title": entry.title,
            "runs": runs,
            "heldout_runs": heldout,
            "transfers": {name: selection.transfer_step(experiments.runs[name]) for name in [*runs, *heldout]},
            "hidden": {
                name: selection.twins(experiments.runs[name], experiments, among).hidden for name in [*runs, *heldout]
            },
            "total_steps": total,
            "validations": selection.roles(config),
            "sets": {role: sets[role] for role in SETS},
        }
    )


def _predicted(power: Fit, rows: pd.DataFrame) -> dict[str, Any]:
    """Errors (nats) of the power form on the shifts of runs that it was not fitted to.

    `size` is the mean absolute measured shift of these rows, `relative_error` the mean absolute error over it.
    """
    error = float(np.mean(np.abs(power.predict(rows) - rows["shift"])))
    size = float(np.mean(np.abs(rows["shift"])))
    return {
        "rows": len(rows),
        "mean_absolute_error": error,
        "size": size,
        "relative_error": error / size if size else float("nan"),
        "shifts": rows.to_dict("list"),
    }


def _trend(table: pd.DataFrame, total: int) -> dict[str, Any]:
    """Least squares of the runs' mean shifts, over the mean of all, against transfer step / `total` steps.

    The mean of a run is over the steps of `shifts.on_common_steps`.
    """
    means = {run: np.mean(values) for run, values in shifts.on_common_steps(table).items()}
    place = table.groupby("run", sort=False)["transfer"].first() / total
    whole = np.mean(list(means.values()))
    result = slope_test([place[run] for run in means], [mean / whole for mean in means.values()], "run").model_dump()
    return {**result, "means": means, "places": place.to_dict()}


def _gain(table: pd.DataFrame, role: str) -> dict[str, Any]:
    """Whether the power form predicts a left-out run better than the exponential one.

    Each run in turn is predicted by both forms over the CPT step, fitted to the shifts of the other runs. The
    values of the test are the mean squared error of the power form minus that of the exponential (nats^2, negative
    where the power form is better), one a run.
    """
    errors: dict[str, dict[str, float]] = {}
    for run in table["run"].unique():
        out = table["run"] == run
        errors[str(run)] = {form: _left_out(table[~out], table[out], role, form) for form in ("power", "exponential")}
    result = mean_test([error["power"] - error["exponential"] for error in errors.values()], "run").model_dump()
    return {**result, "mean_squared_errors": errors}


def _left_out(rest: pd.DataFrame, out: pd.DataFrame, role: str, form: str) -> float:
    """Mean squared error (nats^2) on `out` of a form over the CPT step fitted to `rest`."""
    found = fit(get(f"shift_{form}_t", SIGNS[role]), rest, rest["shift"])
    return float(np.mean((found.predict(out) - out["shift"]) ** 2))


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
