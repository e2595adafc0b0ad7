"""The loss on a third corpus as a linear combination of the D_pt and the D_cpt loss (arXiv 2505.07796, Eq. 6)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cpt_dynamics.errors import UserError
from cpt_dynamics.laws import Array

FEWEST_RUNS = 3  # for intervals
COLLINEAR = 1e-8  # smallest singular value, relative to the largest one, of losses that are told apart


@dataclass(frozen=True)
class OodFit:
    """`ood = w_general*general + w_domain*domain (+ intercept)`.

    intervals: by weight ("general", "domain", "intercept"), at `level`, from standard errors clustered by run; None
    where there are none; interval_reason says what they are or why there are none. r2: 1 - (sum of squared errors)/
    (sum of squares about the mean), also without an intercept. Errors are absolute, nats/token. held_out_*: each run
    predicted by the fit to the others; None, with held_out_reason, where that is not possible.
    """

    w_general: float
    w_domain: float
    intercept: float
    intervals: Mapping[str, tuple[float, float]] | None
    interval_reason: str
    level: float
    r2: float
    mean_absolute_error: float
    worst_absolute_error: float
    held_out_mean_absolute_error: float | None
    held_out_worst_absolute_error: float | None
    held_out_reason: str
    n_rows: int
    n_runs: int

    def predict(self, general: ArrayLike, domain: ArrayLike) -> Array:
        """The loss on the third corpus, [n], from the two others at the same steps, [n] each (nats/token)."""
        general, domain = np.asarray(general, dtype=np.float64), np.asarray(domain, dtype=np.float64)
        return np.asarray(self.w_general * general + self.w_domain * domain + self.intercept)


def fit_ood(losses: pd.DataFrame, intercept: bool = False, level: float = 0.95) -> OodFit:
    """Fit Eq. 6 by least squares to losses at the same steps of one or more runs.

    losses: columns `run`, `general`, `domain` and `ood`, a row a step (nats/token). intercept: the paper's form has
    none. Rows of a run are not independent, so standard errors are clustered by run; intervals take Student's t with
    one degree of freedom less than there are runs, as clusters are few, and none is given below `FEWEST_RUNS` runs.
    """
    table = _checked(losses, level)
    x, y = _columns(table, intercept), table["ood"].to_numpy(dtype=np.float64)
    runs = table["run"].to_numpy()
    if not _determined(x):
        raise UserError("the D_pt and D_cpt losses move together on these rows: add runs of other lengths or replay")
    weights, intervals = _fit(x, y, runs, level)
    residuals = y - x @ weights
    held_out = _held_out(x, y, runs)
    n_runs, spread = len(np.unique(runs)), float(np.sum((y - y.mean()) ** 2))
    return OodFit(
        float(weights[0]),
        float(weights[1]),
        float(weights[2]) if intercept else 0.0,
        intervals,
        _interval_reason(n_runs, level, intervals is not None),
        level,
        float(1 - residuals @ residuals / spread) if spread > 0 else float("nan"),
        float(np.abs(residuals).mean()),
        float(np.abs(residuals).max()),
        None if held_out is None else float(held_out.mean()),
        None if held_out is None else float(held_out.max()),
        "each run predicted by the fit to the others" if held_out is not None else _not_held_out(n_runs),
        len(y),
        n_runs,
    )


def _fit(x: Array, y: Array, runs: Array, level: float) -> tuple[Array, dict[str, tuple[float, float]] | None]:
    """Weights, and intervals where there are enough runs."""
    import statsmodels.api as sm  # takes a second to import, so only where it is used

    codes = np.unique(runs, return_inverse=True)[1]
    if codes.max() + 1 < FEWEST_RUNS:
        return np.asarray(sm.OLS(y, x).fit().params), None
    found = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": codes, "df_correction": True}, use_t=True)
    ends = np.asarray(found.conf_int(1 - level))
    names = ("general", "domain", "intercept")[: x.shape[1]]
    return np.asarray(found.params), {name: (float(a), float(b)) for name, (a, b) in zip(names, ends, strict=True)}


def _held_out(x: Array, y: Array, runs: Array) -> Array | None:
    """Absolute error on every row of the fit to the other runs, [n]; None where one of those is not determined."""
    errors = np.zeros(len(y))
    for run in np.unique(runs):
        out = runs == run
        if not _determined(x[~out]):
            return None
        errors[out] = np.abs(y[out] - x[out] @ np.linalg.lstsq(x[~out], y[~out], rcond=None)[0])
    return errors


def _determined(x: Array) -> bool:
    if len(x) < x.shape[1]:
        return False
    sizes = np.linalg.svd(x, compute_uv=False)
    return bool(sizes[-1] > COLLINEAR * sizes[0])


def _interval_reason(n_runs: int, level: float, known: bool) -> str:
    if not known:
        return f"no intervals: they take at least {FEWEST_RUNS} runs, as rows of one run are not independent"
    few = "; few clusters make them rough" if n_runs < 10 else ""
    return (
        f"{level:.0%} intervals from standard errors clustered by run, Student's t with {n_runs - 1}"
        f" degrees of freedom ({n_runs} runs){few}"
    )


def _not_held_out(n_runs: int) -> str:
    if n_runs < 2:
        return "no held-out error: it takes at least 2 runs"
    return "no held-out error: without one of the runs the others do not determine the weights"


def _columns(table: pd.DataFrame, intercept: bool) -> Array:
    columns = [table["general"], table["domain"], *([pd.Series(1.0, table.index)] if intercept else [])]
    return np.column_stack([column.to_numpy(dtype=np.float64) for column in columns])


def _checked(losses: pd.DataFrame, level: float) -> pd.DataFrame:
    for name in ("run", "general", "domain", "ood"):
        if name not in losses:
            raise UserError(f"the losses lack the column {name!r}: they need run, general, domain and ood")
    if not len(losses):
        raise UserError("the losses have no rows: add steps at which all three were measured")
    values = losses[["general", "domain", "ood"]].to_numpy(dtype=np.float64)
    if not np.all(np.isfinite(values)):
        run = losses["run"].iloc[int(np.argmin(np.isfinite(values).all(axis=1)))]
        raise UserError(f"run {run!r} has a missing loss: keep only steps at which all three were measured")
    if not 0 < level < 1:
        raise UserError(f"level is {level:g}: it lies between 0 and 1, such as 0.95")
    return losses
