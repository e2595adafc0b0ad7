"""Absolute errors of the linear combinations on the out-of-domain sets (arXiv 2505.07796, Figure 22)."""

import numpy as np

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig21.result import OutOfDomain
from cpt_dynamics.figures.fig21.result import Result as Fig21
from cpt_dynamics.figures.fig22.result import Result, SetErrors
from cpt_dynamics.figures.kit import published

LIMIT = 0.02  # nats: mean absolute error up to which a set counts as predicted
QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]


def analyse(data: FigureData) -> Result:
    """Errors of each set on the held-out runs, all from Fig. 21."""
    known = data.result(Fig21)
    sets = {name: _set(found) for name, found in known.sets.items()}
    means = [one.mean_absolute_error for one in sets.values() if one.mean_absolute_error is not None]
    gains = [one.gain for one in sets.values() if one.gain is not None]
    worst = [one.worst_absolute_error for one in sets.values() if one.worst_absolute_error is not None]
    return Result(
        figure="fig22",
        title=data.entry.title,
        validations=known.validations,
        heldout_runs=known.heldout_runs,
        limit=LIMIT,
        printed_limit=published.read()["out_of_domain"]["worst_absolute_error"],
        share_within=float(np.mean(np.array(means) <= LIMIT)) if means else None,
        gain=float(np.median(gains)) if gains else None,
        largest=max(worst, default=None),
        quantile_levels=QUANTILES,
        sets=sets,
    )


def _set(found: OutOfDomain) -> SetErrors:
    errors = [error for run in found.heldout.runs.values() for error in run.absolute_errors]
    return SetErrors(
        mean_absolute_error=found.heldout.mean_absolute_error,
        worst_absolute_error=found.heldout.worst_absolute_error,
        single_mean_absolute_error=found.single[found.better_single].mean_absolute_error,
        better_single=found.better_single,
        gain=found.gain,
        intercept_mean_absolute_error=found.intercept.heldout.mean_absolute_error,
        quantiles=np.quantile(errors, QUANTILES).tolist() if errors else None,
        absolute_errors=errors,
    )
