"""The shift of several transfer points overlaps and is a power form (arXiv 2505.07796, Figure 2)."""

import numpy as np
import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig02.result import FormErrors, Forms, Gain, Predicted, Result, Set, Trend
from cpt_dynamics.figures.kit import selection, shifts
from cpt_dynamics.figures.kit.shifts import MeasuredForm, MeasuredShifts, fit_form
from cpt_dynamics.figures.kit.statistics import mean_test, slope_test
from cpt_dynamics.fitting import Fit
from cpt_dynamics.laws.shift import FORMS


def analyse(data: FigureData) -> Result:
    """Shifts and forms on both validation sets; `UserError` for fewer than two transfer points."""
    config, experiments, entry = data.config, data.experiments, data.entry
    runs = [run.name for run in selection.transfers(experiments, entry.runs)]
    if len(runs) < 2:
        raise UserError(f"{config.stated_in}: fig02 compares transfer points and has {len(runs)}: list more")
    among = list(dict.fromkeys([*entry.runs, *entry.heldout]))
    hidden = shifts.hidden_curves(experiments, among)
    features = selection.with_areas(selection.of_runs(data.curves, among), data.schedules, config)
    total = config.lengths.pretraining + config.lengths.continual
    sets = {}
    for role, validation in selection.roles(config).items():
        table = shifts.measured(features, hidden, validation)
        sets[role] = _set(table, runs, role, validation, total)
    return Result(
        figure="fig02",
        title=entry.title,
        runs=runs,
        heldout_runs=[run for run in hidden if run not in runs],
        transfers={run: experiments.runs[run].transfer_step for run in hidden},
        hidden=hidden,
        total_steps=total,
        validations=selection.roles(config),
        sets=sets,
    )


def _set(table: pd.DataFrame, runs: list[str], role: Role, validation: str, total: int) -> Set:
    fitted, left = table[table["run"].isin(runs)], table[~table["run"].isin(runs)]
    forms = Forms(phase_step=_forms(fitted, role, "_t"), s1cpt=_forms(fitted, role, ""))
    power, exponential = forms.phase_step["power"], forms.phase_step["exponential"]
    return Set(
        validation=validation,
        rows=len(fitted),
        interpolated=int(fitted["interpolated"].sum()),
        spread=shifts.spread(fitted),
        forms=forms,
        r2_gain=None if power.r2 is None or exponential.r2 is None else power.r2 - exponential.r2,
        shifts=MeasuredShifts.of(fitted),
        heldout=_predicted(power.fit, left) if len(left) else None,
        transfer=_trend(table, total),
        power_gain=_gain(table, role),
    )


def _forms(table: pd.DataFrame, role: Role, suffix: str) -> dict[str, MeasuredForm]:
    return {form: MeasuredForm.of(fit_form(table, role, f"shift_{form}{suffix}")) for form in FORMS}


def _predicted(power: Fit, rows: pd.DataFrame) -> Predicted:
    error = float(np.mean(np.abs(power.predict(rows) - rows["shift"])))
    size = float(np.mean(np.abs(rows["shift"])))
    return Predicted(
        rows=len(rows),
        mean_absolute_error=error,
        size=size,
        relative_error=error / size if size else None,
        shifts=MeasuredShifts.of(rows),
    )


def _trend(table: pd.DataFrame, total: int) -> Trend:
    """Least squares over runs; the mean of a run is over the steps of `shifts.on_common_steps`."""
    means = {run: float(np.mean(values)) for run, values in shifts.on_common_steps(table).items()}
    places = (table.groupby("run", sort=False)["transfer"].first() / total).to_dict()
    whole = float(np.mean(list(means.values())))
    slope = slope_test([places[run] for run in means], [mean / whole for mean in means.values()], "run")
    return Trend(**dict(slope), means=means, places=places)


def _gain(table: pd.DataFrame, role: Role) -> Gain:
    """Whether the power form over the CPT step predicts a left-out run better than the exponential one."""
    errors = {}
    for run in table["run"].unique():
        out = table["run"] == run
        errors[run] = FormErrors(
            power=_left_out(table[~out], table[out], role, "shift_power_t"),
            exponential=_left_out(table[~out], table[out], role, "shift_exponential_t"),
        )
    test = mean_test([error.power - error.exponential for error in errors.values()], "run")
    return Gain(**dict(test), mean_squared_errors=errors)


def _left_out(rest: pd.DataFrame, out: pd.DataFrame, role: Role, form: str) -> float:
    """Mean squared error (nats^2) on `out` of a form fitted to `rest`."""
    return float(np.mean((fit_form(rest, role, form).predict(out) - out["shift"]) ** 2))
