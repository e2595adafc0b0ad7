"""Panels of a law beside the losses, shared by Figs. 3 and 10."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from cpt_dynamics.figures.kit import selection, style
from cpt_dynamics.fitting import Fit


def law_curve(found: Fit, schedules: pd.DataFrame, run: str, first: int = 1) -> pd.DataFrame:
    """Prediction of a fit at every step of a run from `first` on: columns of `every_step` and `loss`."""
    steps = selection.every_step(schedules, run)
    features = selection.with_areas_of(steps[steps["step"] >= first], schedules, found.settings)
    return features.assign(loss=found.predict(features))


def measured(curves: pd.DataFrame, run: str, validation: str, first: int = 1) -> pd.DataFrame:
    """The losses of a run on a validation set from step `first` on."""
    rows = selection.of_runs(curves, [run])
    return rows[(rows["validation"] == validation) & (rows["step"] >= first)].sort_values("step")


def dots(ax: Axes, rows: pd.DataFrame, colour: str, **options: Any) -> Any:
    """Measured losses as dots."""
    (handle,) = ax.plot(rows["step"], rows["loss"], **{**style.DOTS, "color": colour, **options})
    return handle
