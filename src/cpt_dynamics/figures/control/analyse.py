"""The same-data control: CPT schedules on D_pt itself follow Eq. 2, so that what CPT adds is the shift of the data."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Run
from cpt_dynamics.figures.control.result import ControlErrors, Overlap, Refitted, Result, Set
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import selection, shifts
from cpt_dynamics.figures.kit.joint import SETS, errors, fitted
from cpt_dynamics.figures.kit.shifts import Shifts
from cpt_dynamics.fitting import Fit
from cpt_dynamics.fitting.comparison import seen
from cpt_dynamics.laws import get

LAW = get("annealing")  # Eq. 2: one C for the annealing areas of PT and CPT


def analyse(data: FigureData) -> Result:
    """Eq. 2 and the shifts on both validation sets; `UserError` without a control and a run under the same LR."""
    config, entry = data.config, data.entry
    runs = [data.experiments.runs[name] for name in entry.runs]
    general, strong = {config.roles.general}, {config.roles.strong}
    controls = [run for run in runs if _corpora(run, "continual") == general]
    pairs = _pairs([run for run in runs if _corpora(run, "continual") == strong], controls)
    if not controls or not pairs:
        raise UserError(
            f"{config.stated_in}: control needs a run with CPT on {config.roles.general} alone and one with CPT on"
            f" {config.roles.strong} under the same LR: list them"
        )
    before = [run.name for run in runs if not _corpora(run, "continual") and _corpora(run, "pretraining") == general]
    names = [run.name for run in controls]
    features = selection.with_areas(selection.of_runs(data.curves, entry.runs), data.schedules, config, carry_over=True)
    return Result(
        figure="control",
        title=entry.title,
        pretraining_runs=before,
        controls=names,
        pairs=pairs,
        validations=selection.roles(config),
        lambda_=config.law.lambda_,
        carry_over=True,
        first_step=config.law.first_step,
        sets={role: _set(data, features, before, names, pairs, role) for role in SETS},
    )


def _corpora(run: Run, phase: str) -> set[str]:
    """Corpora that a run trains on in the phases of one kind."""
    return {name for part in run.phases if part.phase == phase for name, _ in part.mixture}


def _pairs(runs: list[Run], controls: list[Run]) -> dict[str, str]:
    """CPT run -> its control."""
    return {
        run.name: control.name
        for run in runs
        for control in controls
        if (run.model, run.seed, run.steps) == (control.model, control.seed, control.steps) and run.has_lr_of(control)
    }


def _set(
    data: FigureData,
    features: pd.DataFrame,
    pretraining: list[str],
    controls: list[str],
    pairs: Mapping[str, str],
    role: Role,
) -> Set:
    """Everything on one validation set."""
    law = fitted(features, data.schedules, data.config, pretraining, role, LAW)
    again = fitted(features, data.schedules, data.config, [*pretraining, *controls], role, LAW).fit
    after = selection.continual(features, controls, law.validation)
    fresh = after[~seen(after, law.rows.table)]
    table = _shifts(features, pairs, law.validation)
    residuals = _residuals(law.fit, fresh)
    sizes = {str(run): float(part["shift"].abs().mean()) for run, part in table.groupby("run", sort=False)}
    size = _mean(sizes[run] for run, control in pairs.items() if control in residuals)
    residual, residual_again = _mean(residuals.values()), _mean(_residuals(again, fresh).values())
    return Set(
        **dict(law.result()),
        residual=residual,
        residuals=residuals,
        shift_size=size,
        shift_sizes=sizes,
        residual_share=_over(residual, size),
        refitted=Refitted(
            parameters=again.parameters,
            r2=again.metrics["all"].get("r2"),
            r2_continual=again.metrics["continual"].get("r2"),
            residual=residual_again,
            residual_share=_over(residual_again, size),
            fit=again,
        ),
        control_errors=ControlErrors(**errors(law.fit, fresh)),
        overlap=_overlap(table),
        shifts=Shifts.of(table),
    )


def _shifts(features: pd.DataFrame, pairs: Mapping[str, str], validation: str) -> pd.DataFrame:
    """CPT loss minus that of the control at the same step: columns run, phase_step, s1cpt, shift (nats/token)."""
    parts = []
    for run, control in pairs.items():
        rows = selection.continual(features, [run], validation).sort_values("step")
        base = selection.continual(features, [control], validation)[["step", "loss"]]
        both = rows.merge(base, on="step", suffixes=("", "_control"))
        if not len(both):
            raise UserError(f"runs {run!r} and {control!r} have no CPT step in common: evaluate them at the same steps")
        parts.append(both.assign(shift=both["loss"] - both["loss_control"]))
    return pd.concat(parts, ignore_index=True)


def _residuals(found: Fit, rows: pd.DataFrame) -> dict[str, float]:
    """Mean absolute error of a fit on the rows of each run (nats/token)."""
    error = np.abs(found.predict(rows) - rows["loss"].to_numpy())
    return {str(run): float(error[at].mean()) for run, at in rows.groupby("run", sort=False).indices.items()}


def _overlap(table: pd.DataFrame) -> Overlap | None:
    if table["run"].nunique() < 2:
        return None
    over_area = table.assign(phase_step=table["s1cpt"])
    return Overlap(s1cpt=shifts.spread(over_area), phase_step=shifts.spread(table))


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return float(np.mean(found)) if found else None


def _over(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None
