"""The distribution-shift term as measured: CPT loss minus the hidden pre-training curve."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection


def measured(features: pd.DataFrame, experiments: Experiments, runs: list[str], validation: str) -> pd.DataFrame:
    """The shift at every CPT row of the transfers among `runs` (arXiv 2505.07796, Section 3).

    Columns run, transfer (steps of pre-training), phase_step, s1cpt, shift (nats/token), interpolated. Where
    the hidden curve was not evaluated at the very step, it is interpolated linearly in log(step).
    """
    parts = []
    for run in selection.transfers(experiments, runs):
        hidden = _curve(features, selection.twins(run, experiments, runs).hidden, validation)
        rows = selection.continual(features, [run.name], validation).sort_values("step")
        step = rows["step"].to_numpy()
        inside = (step >= hidden.index[0]) & (step <= hidden.index[-1])
        rows, step = rows[inside], step[inside]
        base = np.interp(np.log(step), np.log(hidden.index), hidden)
        parts.append(
            pd.DataFrame(
                {
                    "run": run.name,
                    "transfer": selection.transfer_step(run),
                    "phase_step": rows["phase_step"].to_numpy(),
                    "s1cpt": rows["s1cpt"].to_numpy(),
                    "shift": rows["loss"].to_numpy() - base,
                    "interpolated": ~np.isin(step, hidden.index),
                }
            )
        )
    if not parts or not any(len(part) for part in parts):
        raise UserError("no run of the figure has losses after a transfer: list runs with a continual phase")
    table = pd.concat(parts, ignore_index=True)
    table.attrs = features.attrs
    return table


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


def spread(shifts: pd.DataFrame) -> dict[str, float]:
    """How far the shifts of the transfer points lie apart, against their size (nats/token).

    At the steps of `on_common_steps`: `range` is the mean distance of the largest from the smallest, `worst_range`
    the largest one, `size` the largest mean shift, `relative` is `range` over `size`.
    """
    values = np.array(list(on_common_steps(shifts).values()))
    ranges = np.ptp(values, axis=0)
    size = float(np.max(np.abs(values.mean(axis=0))))
    return {
        "range": float(ranges.mean()),
        "worst_range": float(ranges.max()),
        "size": size,
        "relative": float(ranges.mean()) / size if size else float("nan"),
        "worst_relative": float(ranges.max()) / size if size else float("nan"),
    }
