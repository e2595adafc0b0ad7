"""The shift term of several model sizes, at a constant LR (arXiv 2505.07796, Figure 14)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig14.result import OfRun, Result, Set
from cpt_dynamics.figures.kit import selection, shifts
from cpt_dynamics.figures.kit.shifts import MeasuredShifts, ShiftForm, fit_form
from cpt_dynamics.figures.kit.statistics import slope_test
from cpt_dynamics.fitting import measure


def analyse(data: FigureData) -> Result:
    """Shifts and their form on both validation sets; `UserError` for fewer than two sizes."""
    experiments, among = data.experiments, data.entry.runs
    models = {run.name: run.model for run in selection.transfers(experiments, among)}
    if len(set(models.values())) < 2:
        raise UserError(f"{data.config.stated_in}: fig14 compares model sizes: list CPT runs of at least two")
    features = selection.with_areas(selection.of_runs(data.curves, among), data.schedules, data.config)
    params = {run: int(features.loc[features["run"] == run, "params"].iloc[0]) for run in models}
    hidden = shifts.hidden_curves(experiments, among)
    validations = selection.roles(data.config)
    return Result(
        figure="fig14",
        title=data.entry.title,
        runs=list(models),
        models=models,
        params=params,
        hidden=hidden,
        validations=validations,
        sets={
            role: _set(shifts.measured(features, hidden, validation), params, role)
            for role, validation in validations.items()
        },
    )


def _set(table: pd.DataFrame, params: Mapping[str, int], role: Role) -> Set:
    """What the shifts of one validation set say; `table` as `shifts.measured` makes it."""
    found = fit_form(table, role)
    mean = _means(table)
    relative = mean / mean.mean()
    size = np.log([params[run] for run in mean.index])
    runs = {}
    for run in mean.index:
        part = table[table["run"] == run]
        r2 = measure(part["shift"].to_numpy(), found.predict(part), residual="linear").get("r2")
        runs[run] = OfRun(mean=mean[run], relative=relative[run], r2=r2)
    return Set(
        rows=len(table),
        spread=shifts.spread(table),
        size=slope_test((size - size.min()) / np.ptp(size), relative.to_list(), "run, one a model size"),
        form=ShiftForm.of(found),
        runs=runs,
        shifts=MeasuredShifts.of(table),
    )


def _means(table: pd.DataFrame) -> pd.Series:
    """Mean shift of each run over the CPT steps at which all were evaluated, nats/token."""
    wide = table.pivot(index="phase_step", columns="run", values="shift")[list(table["run"].unique())].dropna()
    if not len(wide):
        raise UserError("the model sizes were evaluated at no common step of CPT: evaluate them alike")
    return wide.mean()
