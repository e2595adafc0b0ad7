"""The coefficients of Fig. 3 predict CPT under unseen LR schedules (arXiv 2505.07796, Figure 10)."""

import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig10.result import Compared, Predictions, Result
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.eq4 import check_heldout, eq4
from cpt_dynamics.figures.kit.joint import SETS, choices, errors, joint
from cpt_dynamics.figures.kit.result import Errors
from cpt_dynamics.fitting import Fit


def analyse(data: FigureData) -> Result:
    """Errors on the CPT rows of the held-out runs of Eq. 4 and of the law without annealing areas."""
    check_heldout(data)
    rows = selection.of_runs(data.curves, data.entry.heldout)
    features = selection.with_areas(rows, data.schedules, data.config)
    return Result(
        **choices(data),
        fitted_runs=data.entry.runs,
        heldout_runs=data.entry.heldout,
        predictions={role: _predictions(data, features, role) for role in SETS},
    )


def _predictions(data: FigureData, features: pd.DataFrame, role: Role) -> Predictions:
    entry, validation = data.entry, data.config.corpus_of(role)
    law = eq4(data, role, data.config.law.carry_over).fit
    s1_only = joint(data.curves, data.schedules, data.config, entry.runs, role, law=law.law.baseline).fit

    def compared(runs: list[str]) -> Compared:
        return _compared(law, s1_only, selection.continual(features, runs, validation))

    return Predictions(
        validation=validation,
        runs={run: compared([run]) for run in entry.heldout},
        pooled=compared(entry.heldout),
        fit=law,
        s1_only_fit=s1_only,
    )


def _compared(law: Fit, s1_only: Fit, rows: pd.DataFrame) -> Compared:
    one, two = (Errors.of(errors(fit, rows)) for fit in (law, s1_only))
    error, reference = one.mean_relative_error, two.mean_relative_error
    return Compared(law=one, s1_only=two, ratio=error / reference if error is not None and reference else None)
