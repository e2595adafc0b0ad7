"""The distribution-shift term as measured: CPT loss minus the hidden pre-training curve."""

from collections.abc import Mapping
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SIGNS
from cpt_dynamics.figures.kit.result import Parameters, Part, StoredFit
from cpt_dynamics.fitting import Fit, fit
from cpt_dynamics.laws import get


class Columns(Part):
    """A table as columns of one length."""

    @classmethod
    def of(cls, table: pd.DataFrame) -> Self:
        """The columns of a table that have a field."""
        return cls.model_validate(table[list(cls.model_fields)].to_dict("list"))

    @property
    def table(self) -> pd.DataFrame:
        return pd.DataFrame(dict(self))


class Shifts(Columns):
    """Shifts at CPT rows."""

    run: list[str]
    phase_step: list[int] = Field(description="steps of CPT")
    s1cpt: list[float] = Field(description="forward area of CPT (LR times steps)")
    shift: list[float] = Field(description="nats/token")


class MeasuredShifts(Shifts):
    """Shifts against the hidden pre-training curve."""

    transfer: list[int] = Field(description="steps of pre-training")
    interpolated: list[bool] = Field(description="whether the hidden curve was not evaluated at the very step")


class Spread(Part):
    """How far shifts lie apart, against their size (nats/token)."""

    range: float = Field(description="mean distance of the largest from the smallest")
    worst_range: float = Field(description="the largest one")
    size: float = Field(description="the largest mean shift")
    relative: float | None = Field(description="`range` over `size`")
    worst_relative: float | None = Field(description="`worst_range` over `size`")


class ShiftForm(Part):
    """A form of the shift, fitted to measured ones."""

    parameters: Parameters
    combinations: Parameters = Field(description="products that stay determined where single parameters do not")
    r2: float | None
    mae: float = Field(description="nats/token")
    fit: StoredFit

    @classmethod
    def of(cls, found: Fit) -> Self:
        """What is kept of a fit."""
        known: dict[str, object] = {"r2": None, **found.metrics["all"], "fit": found}
        known |= {"parameters": found.parameters, "combinations": found.combinations}
        return cls.model_validate({key: known[key] for key in cls.model_fields})


class MeasuredForm(ShiftForm):
    """The same with more of its errors (nats/token)."""

    rmse: float
    huber_sum: float


def fit_form(table: pd.DataFrame, role: Role, form: str = "shift_power") -> Fit:
    """A form of the shift (Eq. 3) fitted to the rows of `measured`, with the paper's sign of B."""
    return fit(get(form, SIGNS[role]), table, table["shift"])


def hidden_curves(experiments: Experiments, runs: list[str]) -> dict[str, str]:
    """CPT run -> its hidden pre-training curve, both among `runs` (see `Experiments.twins`)."""
    moved = selection.transfers(experiments, runs)
    return {run.name: experiments.twins(run.name, runs).hidden for run in moved}


def measured(features: pd.DataFrame, hidden: Mapping[str, str], validation: str) -> pd.DataFrame:
    """The shift of CPT runs at every CPT row (arXiv 2505.07796, Section 3): columns of `MeasuredShifts`.

    hidden: as of `hidden_curves`. Where such a curve was not evaluated at the very step, it is interpolated linearly in
    log(step).
    """
    parts = []
    for run, other in hidden.items():
        curve = _curve(features, other, validation)
        rows = selection.continual(features, [run], validation).sort_values("step")
        rows = rows[rows["step"].between(curve.index[0], curve.index[-1])]
        base = np.interp(np.log(rows["step"]), np.log(curve.index), curve)
        new = {
            "transfer": rows["step"] - rows["phase_step"],
            "shift": rows["loss"] - base,
            "interpolated": ~rows["step"].isin(curve.index),
        }
        parts.append(rows[["run", "phase_step", "s1cpt", "settings"]].assign(**new))
    if not any(len(part) for part in parts):
        raise UserError("no run of the figure has losses after a transfer: list runs with a continual phase")
    return pd.concat(parts, ignore_index=True)


def _curve(features: pd.DataFrame, run: str, validation: str) -> pd.Series:
    """Loss by step of one run."""
    rows = selection.of_runs(features, [run])
    rows = rows[rows["validation"] == validation].sort_values("step")
    if not len(rows):
        raise UserError(f"run {run!r} has no losses on the validation set {validation!r}: evaluate it")
    return rows.set_index("step")["loss"]


def on_common_steps(shifts: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Run -> its shift (nats/token) at CPT steps that are the same for all runs, [steps].

    The steps are those at which the run with the fewest evaluations was evaluated and that lie inside all curves;
    the others are interpolated linearly in log(step).
    """
    curves = {str(run): part.set_index("phase_step")["shift"] for run, part in shifts.groupby("run", sort=False)}
    first = max(curve.index.min() for curve in curves.values())
    last = min(curve.index.max() for curve in curves.values())
    steps = np.array([step for step in min(curves.values(), key=len).index if first <= step <= last])
    return {run: np.interp(np.log(steps), np.log(curve.index), curve) for run, curve in curves.items()}


def spread(shifts: pd.DataFrame) -> Spread:
    """How far the shifts of several runs lie apart at the steps of `on_common_steps`."""
    values = np.array(list(on_common_steps(shifts).values()))
    ranges = np.ptp(values, axis=0)
    size = float(np.max(np.abs(values.mean(axis=0))))
    mean, worst = float(ranges.mean()), float(ranges.max())
    return Spread(
        range=mean,
        worst_range=worst,
        size=size,
        relative=mean / size if size else None,
        worst_relative=worst / size if size else None,
    )
