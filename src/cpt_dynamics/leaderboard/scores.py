"""Laws, and what needs no law, on one split: fitted to some runs, measured on others."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cpt_dynamics.curves import features as features_of
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting import choice
from cpt_dynamics.fitting.comparison import seen
from cpt_dynamics.fitting.logged import from_step, of_runs
from cpt_dynamics.fitting.uncertainty import bands_of
from cpt_dynamics.laws import Array, get
from cpt_dynamics.laws.base import HISTORY
from cpt_dynamics.leaderboard.splits import Split

LEVEL = 0.9
MIN_CURVES = 5  # fitted curves from which on bands are tested
AUTO, MEAN, NEAREST, BETWEEN = "auto", "mean of candidates", "nearest run", "between runs"

Predict = Callable[[pd.DataFrame], Array]


@dataclass(frozen=True)
class Entry:
    """One entry of the leaderboard on one split: how it predicts, and what is known of its fit."""

    name: str
    predict: Predict
    parameters: int | None = None
    lambda_: float | None = None
    objective: float | None = None
    mean_band: float | None = None  # half-widths at `LEVEL`, relative
    end_band: float | None = None
    row_band: float | None = None
    chose: str = ""


@dataclass(frozen=True)
class Score:
    """One entry on one predicted run.

    mean, worst: relative errors over the rows that no fitted run has; end: of the last one, above 0 where the
    prediction is too high. *_inside: whether mean and end are within the bands of the curves left out, and the share of
    rows within that of single rows; None where there is no band.
    """

    set: str
    split: str
    kind: str
    entry: str
    run: str
    rows: int
    mean: float
    worst: float
    end: float
    mean_inside: bool | None
    end_inside: bool | None
    rows_inside: float | None
    parameters: int | None
    lambda_: float | None
    objective: float | None
    chose: str


@dataclass(frozen=True)
class Rows:
    """The features of a split by the lambda of their annealing areas."""

    split: Split
    curves: pd.DataFrame
    schedules: pd.DataFrame

    def fitted(self, lambda_: float) -> pd.DataFrame:
        return self._of(self.split.fit, lambda_)

    def tested(self, run: str, lambda_: float) -> pd.DataFrame:
        """The rows of a run that no fitted one has, by step."""
        rows = self._of([run], lambda_)
        rows = rows[~seen(rows, self.fitted(lambda_))]
        return rows[rows["phase"] == self.split.phase] if self.split.phase else rows

    def _of(self, runs: Sequence[str], lambda_: float) -> pd.DataFrame:
        curves = of_runs(self.curves, runs)
        if absent := [run for run in runs if run not in set(curves["run"])]:
            raise UserError(f"the curves have no run {absent[0]!r}, which the split names: fetch them again")
        made = features_of(curves, self.schedules, lambda_=lambda_, warmup=self.split.warmup)
        return from_step(made, self.split.first_step)[0].sort_values(["run", "step"], kind="stable")


def scores(name: str, rows: Rows, laws: Sequence[str] = ()) -> list[Score]:
    """Every entry on every run of a split that has rows of its own; `laws`: of one's own, beside the kit's."""
    found = list(entries(rows, laws))
    return [
        score for run in rows.split.test for entry in found if (score := _score(name, rows, entry, run)) is not None
    ]


def entries(rows: Rows, laws: Sequence[str] = ()) -> Iterator[Entry]:
    """The kit's laws for such runs, further ones, the rule's choice, an average, and what needs no law."""
    runs = choice.Runs.of(rows.fitted(0.0))
    own = choice.candidates(runs)
    tried = {one: _attempt(one, rows, runs) for one in dict.fromkeys([*own, *also(runs), *laws])}
    for one in tried.values():
        yield _entry(one, rows)
    chosen = choice.ranked([tried[one] for one in own], runs).chosen
    yield replace(_entry(chosen, rows), name=AUTO, chose=chosen.law.name)
    yield _mean([tried[one] for one in own], rows)
    yield Entry(NEAREST, lambda table: nearest(rows.fitted(0.0), table))
    if rows.split.kind == "peak LR" and not choice.Runs.of(rows.fitted(0.0)).known:
        yield Entry(BETWEEN, lambda table: between(rows.fitted(0.0), table))


def also(runs: choice.Runs) -> list[str]:
    """Laws that are not candidates of the rule and are measured all the same: baselines and published rivals."""
    if not runs.continual:
        return ["annealing_s1_only", "fsl", "floor"]
    if not runs.known:
        return ["shift_only", "cpt_unknown_noise_shift", "cpt_unknown_growing"]
    return ["s1_only", "cpt_log", "cpt_hill", "cpt_two_scale", "cpt_floor", "cpt_multi_power"]


def _attempt(law: str, rows: Rows, runs: choice.Runs) -> choice.Candidate:
    return choice.attempt(get(law, rows.split.shift), rows.fitted, runs)


def _entry(one: choice.Candidate, rows: Rows) -> Entry:
    lambda_ = 0.0 if one.lambda_ is None else one.lambda_
    bands: dict[str, float] = {}
    if len(rows.split.fit) >= MIN_CURVES and any(not curve.lost for curve in one.curves):
        bands = {kind: found.half_width for kind, found in bands_of(one.curves, LEVEL).items()}
    return Entry(
        one.law.name,
        lambda table: one.law.predict(one.found.parameters, _remade(table, rows, lambda_)),
        len(one.law.parameters),
        one.lambda_,
        one.found.objective,
        bands.get("mean"),
        bands.get("end"),
        bands.get("rows"),
    )


def _remade(table: pd.DataFrame, rows: Rows, lambda_: float) -> pd.DataFrame:
    """The same rows with the annealing areas of another lambda."""
    return features_of(table, rows.schedules, lambda_=lambda_, warmup=rows.split.warmup)


def _mean(tried: Sequence[choice.Candidate], rows: Rows) -> Entry:
    """The plain mean of what all candidates of the rule predict."""
    parts = [_entry(one, rows) for one in tried]
    return Entry(MEAN, lambda table: np.mean([part.predict(table) for part in parts], axis=0))


def nearest(fitted: pd.DataFrame, table: pd.DataFrame) -> Array:
    """At each step the loss of the fitted run whose LR is nearest; beyond its end its last one, [n].

    For a run of CPT it is one of CPT.
    """
    history = table[HISTORY].iloc[0]
    if history.pretraining_steps < len(history.forward):
        fitted = fitted[fitted["run"].isin(fitted.loc[fitted["phase"] == "continual", "run"])]
    distances = {run: _distance(part[HISTORY].iloc[0].forward, history.forward) for run, part in fitted.groupby("run")}
    part = fitted[fitted["run"] == min(distances, key=lambda run: distances[run])]
    return np.asarray(np.interp(table["step"], part["step"], part["loss"]))


def _distance(one: Array, other: Array) -> float:
    """Mean distance of two LRs over the steps of both, plus that of what one of them has no step for."""
    common, longest = min(len(one), len(other)), max(len(one), len(other))
    rest = (one if len(one) > common else other)[common:]
    return float((np.abs(one[:common] - other[:common]).sum() + np.abs(rest).sum()) / longest)


def between(fitted: pd.DataFrame, table: pd.DataFrame) -> Array:
    """At each step a line in the logarithm of the peak LR through the two fitted runs whose peaks are nearest, [n]."""
    peak = np.log(table[HISTORY].iloc[0].forward.max())
    parts = {np.log(part[HISTORY].iloc[0].forward.max()): part for _, part in fitted.groupby("run")}
    low, high = sorted(sorted(parts, key=lambda one: abs(one - peak))[:2])
    losses = [np.interp(table["step"], parts[one]["step"], parts[one]["loss"]) for one in (low, high)]
    return np.asarray(losses[0] + (losses[1] - losses[0]) * (peak - low) / (high - low))


def _score(name: str, rows: Rows, entry: Entry, run: str) -> Score | None:
    table = rows.tested(run, 0.0)
    if table.empty:
        return None
    relative = entry.predict(table) / table["loss"].to_numpy() - 1
    mean, end = float(np.abs(relative).mean()), float(relative[-1])
    return Score(
        rows.split.set,
        name,
        rows.split.kind,
        entry.name,
        run,
        len(table),
        mean,
        float(np.abs(relative).max()),
        end,
        None if entry.mean_band is None else mean <= entry.mean_band,
        None if entry.end_band is None else abs(end) <= entry.end_band,
        None if entry.row_band is None else float(np.mean(np.abs(relative) <= entry.row_band)),
        entry.parameters,
        entry.lambda_,
        entry.objective,
        entry.chose,
    )
