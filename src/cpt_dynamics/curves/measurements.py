"""Each measurement once, where the curves of several runs repeat the losses of a common start."""

import hashlib

import numpy as np
import pandas as pd

from cpt_dynamics.curves.table import BRANCH
from cpt_dynamics.errors import UserError


def unique_measurements(rows: pd.DataFrame, schedules: pd.DataFrame) -> pd.DataFrame:
    """`rows` with each measurement once: the first of those that are the same.

    Every run's curve starts at step 1, so runs that leave one pre-training repeat its losses. Two rows are the same
    measurement if model, seed, validation set and step agree, if the runs did the same up to there, and if the losses
    are equal: steps trained once have one loss, while two separate trainings differ in some digit. Whether the runs did
    the same says the column `branch`; of tables without it, the LR and the phase of every step so far.
    """
    same = ["model", "seed", "validation", "step", "loss"]
    if BRANCH in rows and rows[BRANCH].notna().all():
        return rows[~rows.duplicated([*same, "phase", "phase_step", BRANCH]).to_numpy()]
    return rows[~rows[same].assign(history=_histories(rows, schedules)).duplicated().to_numpy()]


def _histories(rows: pd.DataFrame, schedules: pd.DataFrame) -> pd.Series:
    """A digest of the LRs and phases of all steps up to that of each row."""
    result = pd.Series("", index=rows.index, dtype=object)
    plans = dict(iter(schedules.groupby("run", sort=False)))
    for run, here in rows.groupby("run", sort=False):
        if run not in plans:
            raise UserError(f"schedules have no rows of the run {run!r}: add the LR of its steps")
        lr = plans[run]["lr"].to_numpy(dtype="<f8")
        continual = (plans[run]["phase"] == "continual").to_numpy(dtype=np.uint8)
        digests: dict[int, str] = {}
        found, done = hashlib.sha256(), 0
        for step in sorted(set(here["step"])):
            found.update(lr[done:step].tobytes() + continual[done:step].tobytes())
            digests[step], done = found.copy().hexdigest(), step
        result[here.index] = here["step"].map(digests)
    return result
