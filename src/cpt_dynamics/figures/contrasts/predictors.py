"""Predictions of a run's CPT losses that need no law."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.figures.contrasts.known import Known, Predict
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.laws import Array

OTHER = {Role.GENERAL: Role.STRONG, Role.STRONG: Role.GENERAL}


@dataclass(frozen=True)
class Lawless:
    """Predictors from the CPT runs among the fitted ones, on the set of a role."""

    known: Known
    fitted: Sequence[str]
    role: Role

    def all(self) -> dict[str, Predict]:
        """By the names of rivals."""
        return {
            "nearest fitted run at the same step": self.nearest,
            "interpolation between fitted runs in the LR": self.interpolated,
            "affine in the other loss": self.affine,
        }

    @property
    def runs(self) -> list[str]:
        """The fitted CPT runs."""
        return [run.name for run in selection.transfers(self.known.data.experiments, list(self.fitted))]

    def nearest(self, rows: pd.DataFrame) -> Array:
        """The loss, at the same step of CPT, of the fitted run with the nearest LR (root mean square over steps)."""
        lr = self._run(rows)
        apart = {run: np.sqrt(np.mean((self.known.run(run).lr[: len(lr)] - lr) ** 2)) for run in self.runs}
        return self._losses(min(apart, key=lambda run: apart[run]), rows)

    def interpolated(self, rows: pd.DataFrame) -> Array:
        """Linear between the losses of the fitted runs at the same step of CPT, over the mean LR of CPT up to there.

        Runs of one mean LR count as their mean; beyond the lowest and the highest the nearest counts.
        """
        at = rows["phase_step"].to_numpy()
        mean_lr = np.array([self._mean_lr(run)[at - 1] for run in self.runs])
        losses = np.array([self._losses(run, rows) for run in self.runs])
        wanted = self._mean_lr(str(rows["run"].iloc[0]))[at - 1]
        return np.array([_between(wanted[i], mean_lr[:, i], losses[:, i]) for i in range(len(rows))])

    def affine(self, rows: pd.DataFrame) -> Array:
        """`a + b*(the other loss as measured in the same run at the same step)`, a and b by least squares on the
        fitted CPT rows."""
        mine = pd.concat([self.known.continual(run, self.role) for run in self.runs])
        x, y = self._other(mine), mine["loss"].to_numpy()
        b, a = np.polyfit(x, y, 1)
        return np.asarray(a + b * self._other(rows))

    def _run(self, rows: pd.DataFrame) -> Array:
        """The LR of every step of the run of some rows."""
        return self.known.run(str(rows["run"].iloc[0])).lr

    def _mean_lr(self, run: str) -> Array:
        """The mean LR of CPT up to each of its steps."""
        found = self.known.run(run)
        lr = found.lr[found.transfer_step :]
        return np.asarray(np.cumsum(lr) / np.arange(1, len(lr) + 1))

    def _losses(self, run: str, rows: pd.DataFrame) -> Array:
        """The losses of a run at the steps of CPT of some rows, linear in log(step) between evaluations."""
        curve = self.known.continual(run, self.role)
        return np.interp(np.log(rows["phase_step"]), np.log(curve["phase_step"]), curve["loss"])

    def _other(self, rows: pd.DataFrame) -> Array:
        """The other loss at the run and step of each row."""
        runs = dict.fromkeys(rows["run"])
        other = pd.concat([self.known.continual(run, OTHER[self.role]) for run in runs])
        known = other.set_index(["run", "step"])["loss"]
        return known.loc[list(zip(rows["run"], rows["step"], strict=True))].to_numpy()


def _between(x: float, known: Array, losses: Array) -> float:
    places, which = np.unique(np.round(known, 12), return_inverse=True)
    means = [losses[which == i].mean() for i in range(len(places))]
    return float(np.interp(x, places, means))
