"""Steps at which the curve of a law is drawn, where one at every step would be too many."""

import pandas as pd

from cpt_dynamics.figures.kit import selection

DENSE = 64  # first steps of each phase, where losses change fast
POINTS = 400  # of the rest of a run, about


def law_steps(schedules: pd.DataFrame, run: str) -> pd.DataFrame:
    """Some rows of `selection.every_step`: the first steps of each phase, then evenly, and its last one."""
    steps = selection.every_step(schedules, run)
    stride = max(1, len(steps) // POINTS)
    last = steps.groupby("phase", sort=False)["step"].transform("max")
    kept = (steps["phase_step"] <= DENSE) | (steps["step"] % stride == 0) | (steps["step"] == last)
    return steps[kept].reset_index(drop=True)
