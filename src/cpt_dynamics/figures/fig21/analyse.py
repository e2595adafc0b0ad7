"""Losses on out-of-domain sets as linear combinations of the D_pt and the D_cpt loss (arXiv 2505.07796, Figure 21)."""

import math
from typing import get_args

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, FigureEntry
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig21.result import (
    Change,
    Combination,
    HeldoutErrors,
    MeanErrors,
    OutOfDomain,
    Result,
    Rows,
    RunErrors,
    Single,
    SingleLoss,
    WithIntercept,
)
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.out_of_domain import losses, mean_or_none, moved
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import OodFit, fit_ood


def analyse(data: FigureData) -> Result:
    """Eq. 6 on every out-of-domain set: weights from the CPT losses of `runs`, errors on those of `heldout`."""
    config, experiments, entry = data.config, data.experiments, data.entry
    if not entry.heldout:
        raise UserError(f"{config.stated_in}: fig21 has no held-out runs: list them under `heldout`")
    curves = selection.of_runs(data.curves, experiments.runs_of("fig21"))
    found = {}
    for name in sets(config, experiments, entry):
        fitted, heldout = losses(curves, config, entry, experiments, name)
        found[name] = _set(fitted, heldout, _change(curves, experiments, entry, name))
    return Result(
        figure="fig21",
        title=entry.title,
        fitted_runs=moved(experiments, entry.runs),
        heldout_runs=moved(experiments, entry.heldout),
        validations=selection.roles(config),
        sets=found,
    )


def sets(config: Config, experiments: Experiments, entry: FigureEntry) -> list[str]:
    """Validation sets that no run of the figure trains on: the out-of-domain ones and that of weak shift."""
    runs = [experiments.runs[run] for run in (*entry.runs, *entry.heldout)]
    trained = {corpus for run in runs for phase in run.phases for corpus, _ in phase.mixture}
    names = dict.fromkeys([*config.roles.out_of_domain, config.roles.weak])
    return [name for name in names if name not in {*trained, *selection.roles(config).values()}]


def _change(curves: pd.DataFrame, experiments: Experiments, entry: FigureEntry, name: str) -> Change:
    """Last loss of CPT minus the last one before it."""
    runs = {}
    for run in moved(experiments, list(dict.fromkeys([*entry.runs, *entry.heldout]))):
        rows = selection.of_runs(curves, [run])
        rows = rows[rows["validation"] == name].sort_values("step")
        after = rows["phase"] == "continual"
        before = rows.loc[~after, "loss"] if (~after).any() else rows.loc[after, "loss"].head(1)
        runs[run] = float(rows.loc[after, "loss"].iloc[-1] - before.iloc[-1])
    mean = float(np.mean(list(runs.values())))
    return Change(mean=mean, rises=mean > 0, runs=runs)


def _set(fitted: pd.DataFrame, heldout: pd.DataFrame, change: Change) -> OutOfDomain:
    found, with_intercept = fit_ood(fitted), fit_ood(fitted, intercept=True)
    errors = _errors(heldout, found.predict(heldout["general"], heldout["domain"]))
    other = _errors(heldout, with_intercept.predict(heldout["general"], heldout["domain"]))
    single = {name: _single(fitted, heldout, name) for name in get_args(Single)}
    better = min(single, key=lambda name: _or_infinite(single[name].mean_absolute_error))
    return OutOfDomain(
        **dict(_combination(found)),
        heldout=errors,
        single=single,
        better_single=better,
        gain=_over(errors, single[better]),
        intercept=WithIntercept(**dict(_combination(with_intercept)), heldout=_means(other), gain=_over(other, errors)),
        rows=Rows(fitted=len(fitted), heldout=len(heldout)),
        change=change,
    )


def _combination(found: OodFit) -> Combination:
    weights = {"general": found.w_general, "domain": found.w_domain}
    if found.intercept:
        weights["intercept"] = found.intercept
    return Combination(
        weights=weights,
        parameters=weights,
        intervals=None if found.intervals is None else dict(found.intervals),
        interval_reason=found.interval_reason,
        level=found.level,
        r2=found.r2,
        r2_continual=found.r2,
        mean_absolute_error=found.mean_absolute_error,
        worst_absolute_error=found.worst_absolute_error,
        left_out_mean_absolute_error=found.held_out_mean_absolute_error,
        n_runs=found.n_runs,
    )


def _single(fitted: pd.DataFrame, heldout: pd.DataFrame, name: str) -> SingleLoss:
    """The model w*L with one of the two losses, w by least squares."""
    x, y = fitted[name].to_numpy(dtype=np.float64), fitted["ood"].to_numpy(dtype=np.float64)
    weight = float(x @ y / (x @ x))
    return SingleLoss(
        weight=weight, **dict(_means(_errors(heldout, weight * heldout[name].to_numpy(dtype=np.float64))))
    )


def _errors(rows: pd.DataFrame, values: Array) -> HeldoutErrors:
    """Absolute errors of a prediction, [n]."""
    observed = rows["ood"].to_numpy(dtype=np.float64)
    error = np.abs(values - observed)
    runs = {
        str(run): RunErrors(
            mean=float(error[at].mean()),
            worst=float(error[at].max()),
            steps=rows["phase_step"].to_numpy()[at],
            absolute_errors=error[at],
        )
        for run, at in rows.groupby("run", sort=False).indices.items()
    }
    spread = float(np.sum((observed - observed.mean()) ** 2)) if len(observed) else 0.0
    return HeldoutErrors(
        mean_absolute_error=mean_or_none([run.mean for run in runs.values()]),
        worst_absolute_error=float(error.max()) if len(error) else None,
        r2=1 - float(np.sum(error**2)) / spread if spread else None,
        runs=runs,
    )


def _means(errors: HeldoutErrors) -> MeanErrors:
    return MeanErrors(**errors.model_dump(exclude={"runs"}))


def _or_infinite(error: float | None) -> float:
    return math.inf if error is None else error


def _over(one: MeanErrors, other: MeanErrors) -> float | None:
    above, below = one.mean_absolute_error, other.mean_absolute_error
    return above / below if above is not None and below else None
