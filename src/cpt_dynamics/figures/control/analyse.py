"""The same-data control: CPT schedules on D_pt itself follow Eq. 2, so that what CPT adds is the shift of the data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.figures.kit import selection, shifts
from cpt_dynamics.figures.kit.joint import SETS, Joint, errors
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit, fit
from cpt_dynamics.fitting.comparison import seen

LAW = "annealing"  # Eq. 2: one C for the annealing areas of PT and CPT


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Eq. 2 from pre-training alone against CPT on the same data, and the shift against those controls.

    Controls: runs whose CPT is on D_pt alone. Each run whose CPT is on D_cpt alone is paired with the control that has
    its LR at every step; its shift is its loss minus the control's at the same steps, for any schedule. Eq. 2 (momentum
    carried over) is fitted to the runs without CPT; `residual` is its mean absolute error (nats/token) on CPT rows of
    the controls that are not among the fitted measurements (under a constant LR a control is the hidden curve).

    `residual_share`: the mean residual over the mean absolute shift of the pairs whose control has such rows.
    `refitted`: the same with the rows of the controls in the fit, so that nothing is extrapolated. `overlap` compares
    the shifts of the LR schedules at the same forward area (`s1cpt`) and at the same step (`phase_step`), see
    `shifts.spread`; None for fewer than two pairs.
    """
    entry = selection.entry(experiments, "control")
    runs = [experiments.runs[name] for name in entry.runs]
    controls, pairs = _controls(runs, config), _pairs(runs, config)
    if not controls or not pairs:
        raise UserError(
            f"{config.stated_in}: control needs a run with CPT on {config.roles.general} alone and one with CPT on"
            f" {config.roles.strong} under the same LR: list them"
        )
    pretraining = [run.name for run in runs if _corpora(run, "continual") == set()]
    pretraining = [name for name in pretraining if _corpora(experiments.runs[name], None) == {config.roles.general}]
    features = selection.with_areas(selection.of_runs(curves, list(entry.runs)), schedules, config, carry_over=True)
    sets = {
        role: _set(features, schedules, config, pretraining, [run.name for run in controls], pairs, role)
        for role in SETS
    }
    return plain(
        {
            "figure": "control",
            "title": entry.title,
            "pretraining_runs": pretraining,
            "controls": [run.name for run in controls],
            "pairs": pairs,
            "validations": selection.roles(config),
            "lambda": config.law.lambda_,
            "carry_over": True,
            "first_step": config.law.first_step,
            "sets": sets,
        }
    )


def _corpora(run: Run, phase: str | None) -> set[str]:
    """Corpora that a run trains on in the phases of one kind, or in all."""
    return {name for part in run.phases if phase in (None, part.phase) for name, _ in part.mixture}


def _controls(runs: list[Run], config: Config) -> list[Run]:
    """Runs whose CPT is on D_pt alone."""
    return [run for run in runs if _corpora(run, "continual") == {config.roles.general}]


def _pairs(runs: list[Run], config: Config) -> dict[str, str]:
    """CPT run -> its control."""
    found = {}
    for run in (run for run in runs if _corpora(run, "continual") == {config.roles.strong}):
        for control in _controls(runs, config):
            same = (run.model, run.seed) == (control.model, control.seed)
            if same and np.array_equal(run.lr, control.lr):
                found[run.name] = control.name
    return found


def _set(
    features: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    pretraining: list[str],
    controls: list[str],
    pairs: Mapping[str, str],
    role: str,
) -> dict[str, Any]:
    """Everything on one validation set."""
    validation, first = config.corpus_of(role), config.law.first_step
    before = selection.to_fit(features, schedules, pretraining, validation, first)
    every = selection.to_fit(features, schedules, [*pretraining, *controls], validation, first)
    law, refitted = (
        Joint(fit(LAW, rows.table, rows.table["loss"]), rows, role, validation) for rows in (before, every)
    )
    after = selection.continual(features, controls, validation)
    fresh = after[~seen(after, before.table)]
    table = shifted(features, pairs, validation)
    residuals, again = (_residuals(found.fit, fresh) for found in (law, refitted))
    sizes = {str(run): float(part["shift"].abs().mean()) for run, part in table.groupby("run", sort=False)}
    compared = {run: sizes[run] for run, control in pairs.items() if control in residuals}
    size, residual = _mean(compared), _mean(residuals)
    return {
        **law.summary(),
        "residual": residual,
        "residuals": residuals,
        "shift_size": size,
        "shift_sizes": sizes,
        "residual_share": _over(residual, size),
        "refitted": {
            "parameters": refitted.fit.parameters,
            "r2": refitted.fit.metrics["all"].get("r2"),
            "r2_continual": refitted.fit.metrics["continual"].get("r2"),
            "residual": _mean(again),
            "residual_share": _over(_mean(again), size),
            "fit": refitted.fit.to_json(),
        },
        "control_errors": errors(law.fit, fresh),
        "overlap": _overlap(table),
        "shifts": table.to_dict("list"),
    }


def shifted(features: pd.DataFrame, pairs: Mapping[str, str], validation: str) -> pd.DataFrame:
    """CPT loss minus that of the control at the same step: columns run, phase_step, s1cpt, shift (nats/token)."""
    parts = []
    for run, control in pairs.items():
        rows = selection.continual(features, [run], validation).sort_values("step")
        base = selection.continual(features, [control], validation)[["step", "loss"]]
        both = rows.merge(base, on="step", suffixes=("", "_control"))
        if not len(both):
            raise UserError(f"runs {run!r} and {control!r} have no CPT step in common: evaluate them at the same steps")
        both = both.assign(shift=both["loss"] - both["loss_control"])
        parts.append(both[["run", "phase_step", "s1cpt", "shift"]])
    return pd.concat(parts, ignore_index=True)


def _residuals(found: Fit, rows: pd.DataFrame) -> dict[str, float]:
    """Mean absolute error of a fit on the rows of each run (nats/token)."""
    error = np.abs(found.predict(rows) - rows["loss"].to_numpy())
    return {str(run): float(error[at].mean()) for run, at in rows.groupby("run", sort=False).indices.items()}


def _overlap(table: pd.DataFrame) -> dict[str, Any] | None:
    """How far the shifts of the schedules lie apart at the same forward area, and at the same step."""
    if table["run"].nunique() < 2:
        return None
    over_area = table.assign(phase_step=table["s1cpt"])
    return {"s1cpt": shifts.spread(over_area), "phase_step": shifts.spread(table)}


def _mean(values: Mapping[str, float]) -> float | None:
    return float(np.mean(list(values.values()))) if values else None


def _over(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None
