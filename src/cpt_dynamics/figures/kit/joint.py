"""One law fitted to all runs of a figure at once, and its errors on CPT rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config, Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.result import JointFit, RowCounts
from cpt_dynamics.figures.kit.selection import Rows
from cpt_dynamics.fitting import Fit, fit, fit_skill, measure
from cpt_dynamics.laws import Law, Shift, get

# The sign that the paper gives B: leaving the general corpus raises its loss and lowers the domain's.
SIGNS: dict[str, Shift] = {Role.GENERAL: "positive", Role.STRONG: "negative", Role.WEAK: "negative"}
SETS = {Role.GENERAL: "D_pt", Role.STRONG: "D_cpt"}
PAPER_LAMBDA = 0.999


class Choices(TypedDict):
    """The fields of a `FittedResult`."""

    figure: str
    title: str
    validations: dict[Role, str]
    lambda_: float
    carry_over: bool
    first_step: int


def choices(data: FigureData, roles: Iterable[Role] = SETS) -> Choices:
    """What the results of fits to the sets of some roles begin with."""
    law = data.config.law
    return {
        "figure": data.figure,
        "title": data.entry.title,
        "validations": {role: data.config.corpus_of(role) for role in roles},
        "lambda_": law.lambda_,
        "carry_over": law.carry_over,
        "first_step": law.first_step,
    }


@dataclass(frozen=True)
class Joint:
    """A fit and the rows it was made from."""

    fit: Fit
    rows: Rows
    role: str
    validation: str

    def result(self) -> JointFit:
        """What a figure, a table and a text need, together with the whole fit."""
        metrics, settings = self.fit.metrics, self.fit.settings
        everything, continual = metrics["all"], metrics["continual"]
        return JointFit(
            role=self.role,
            validation=self.validation,
            lambda_=settings["lambda"],
            carry_over=settings["carry_over"],
            parameters=self.fit.parameters,
            r2=everything.get("r2"),
            r2_continual=continual.get("r2"),
            huber_sum=everything["huber_sum"],
            huber_mean=everything["huber_mean"],
            mean_relative_error=everything["mean_relative_error"],
            mean_relative_error_continual=continual.get("mean_relative_error"),
            worst_relative_error_continual=continual.get("worst_relative_error"),
            rows=RowCounts(**self.rows.counts()),
            fit=self.fit,
        )


def joint(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    runs: list[str],
    role: str,
    lambda_: float | None = None,
    carry_over: bool | None = None,
    law: str = "cpt",
    shift: Shift | None = None,
) -> Joint:
    """Fit `law` to `runs` on the validation set of `role` ("general", "strong" or "weak").

    lambda_, carry_over: None takes the configuration's. shift: the sign of B; None takes the paper's.
    """
    chosen = selection.of_runs(curves, runs)
    features = selection.with_areas(chosen, schedules, config, lambda_, carry_over)
    return fitted(features, schedules, config, runs, role, get(law, shift or SIGNS[role]))


def fitted(
    features: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    runs: list[str],
    role: str,
    law: Law,
    several_sizes: bool = False,
) -> Joint:
    """Fit a law to `runs` on the validation set of `role`, from rows that already have all that it reads."""
    validation = config.corpus_of(role)
    first = config.law.first_step
    rows = selection.to_fit(features, schedules, runs, validation, first, several_sizes)
    return Joint(fit(law, rows.table, rows.table["loss"]), rows, role, validation)


def skill(found: Joint) -> float:
    """`fitting.fit_skill` on the rows of the fit."""
    return fit_skill(found.fit, found.rows.table, found.rows.table["loss"])


def errors(found: Fit, features: pd.DataFrame) -> dict[str, float]:
    """`fitting.measure` of a fit on given rows."""
    return measure(features["loss"].to_numpy(), found.predict(features), found.delta, found.law.residual)


def relative(found: Fit, features: pd.DataFrame) -> float:
    """Mean relative error of a fit on given rows; NaN if there is none."""
    observed = features["loss"].to_numpy()
    return float(np.mean(np.abs(found.predict(features) / observed - 1))) if len(observed) else float("nan")
