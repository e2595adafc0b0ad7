"""How much lambda, the memory of the annealing area, matters for the fit of Fig. 3 and its predictions."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.curves import unique_measurements
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import PAPER_LAMBDA, SETS, SIGNS, relative
from cpt_dynamics.figures.lambda_.result import ErrorsOfSet, Point, Result
from cpt_dynamics.fitting import Fit, fit
from cpt_dynamics.laws import get

MEMORIES = (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500)  # 1 / (1 - lambda), in steps
STARTS = 3  # of each of the many fits here


def analyse(data: FigureData) -> Result:
    """Errors over a grid of lambda: of the fit, of each fitted run predicted from the others, of held-out runs."""
    entry, chosen, lengths = data.entry, data.config.law.lambda_, data.config.lengths
    runs = data.experiments.without_prefixes(entry.runs)
    groups = list(dict.fromkeys(run.group for run in selection.transfers(data.experiments, runs)))
    if len(groups) < 2:
        raise UserError(f"{data.config.stated_in}: leaving one run out needs at least two fitted runs, has {groups}")
    points = [_point(data, runs, groups, lambda_) for lambda_ in grid(chosen)]
    best = min(points, key=lambda point: _known(point.left_out))
    left_out = {point.lambda_: point.left_out for point in points}
    return Result(
        figure=data.figure,
        title=entry.title,
        fitted_runs=runs,
        heldout_runs=entry.heldout,
        left_out_together=groups,
        validations=selection.roles(data.config),
        carry_over=data.config.law.carry_over,
        first_step=data.config.law.first_step,
        chosen=chosen,
        paper=PAPER_LAMBDA,
        best=best.lambda_,
        best_by_set={role: min(points, key=lambda point: _known(point.sets[role].left_out)).lambda_ for role in SETS},
        points=points,
        chosen_over_best=_ratio(left_out[chosen], best.left_out),
        chosen_over_paper=_ratio(left_out[chosen], left_out[PAPER_LAMBDA]),
        best_share=best.memory / (lengths.pretraining + lengths.continual),
    )


def grid(chosen: float) -> list[float]:
    """The values of lambda that are tried, ascending: of a grid of memories, the chosen one, the paper's."""
    values = {1 - 1 / memory for memory in MEMORIES} | {PAPER_LAMBDA}
    apart = {value for value in values if abs(value - chosen) > 1e-9}
    return sorted(apart | {chosen})


def _known(error: float | None) -> float:
    return math.inf if error is None else error


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def _point(data: FigureData, runs: list[str], groups: list[str], lambda_: float) -> Point:
    some = selection.of_runs(data.curves, list(dict.fromkeys([*data.entry.runs, *data.entry.heldout])))
    features = selection.with_areas(some, data.schedules, data.config, lambda_)
    sets = {role: _Fits(data, features, runs, role).errors(groups) for role in SETS}
    left_out = float(np.mean([errors.left_out for errors in sets.values()]))
    return Point(lambda_=lambda_, memory=1 / (1 - lambda_), left_out=left_out, sets=sets)


@dataclass(frozen=True)
class _Fits:
    """Fits with one lambda on one validation set."""

    data: FigureData
    features: pd.DataFrame
    runs: list[str]
    role: Role

    def errors(self, groups: list[str]) -> ErrorsOfSet:
        """Mean relative errors on CPT rows."""
        whole, heldout = self.fitted_to(self.runs), self.data.entry.heldout
        left_out = {}
        for name in groups:
            inside = [run for run in self.runs if self.data.experiments.runs[run].group == name]
            rest = [run for run in self.runs if run not in inside]
            left_out[name] = self.error(self.fitted_to(rest), inside)
        return ErrorsOfSet(
            objective=whole.objective,
            fit=self.error(whole, self.runs),
            left_out=float(np.mean(list(left_out.values()))),
            left_out_runs=dict(left_out),
            heldout=self.error(whole, heldout) if heldout else None,
        )

    @property
    def validation(self) -> str:
        return self.data.config.corpus_of(self.role)

    def fitted_to(self, runs: list[str]) -> Fit:
        first = self.data.config.law.first_step
        rows = selection.to_fit(self.features, self.data.schedules, runs, self.validation, first).table
        return fit(get("cpt", SIGNS[self.role]), rows, rows["loss"], n_starts=STARTS)

    def error(self, found: Fit, runs: list[str]) -> float:
        rows = selection.continual(self.features, runs, self.validation)
        return relative(found, unique_measurements(rows, self.data.schedules))
