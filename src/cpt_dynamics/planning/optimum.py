"""The best value of a hyper-parameter of CPT for a weight between its two losses (arXiv 2505.07796, Eq. 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cpt_dynamics.errors import UserError
from cpt_dynamics.laws import Array
from cpt_dynamics.planning.scenario import KNOBS, ROLES, Pair, Scenario

Measure = Literal["change", "final"]
TOLERANCE = 1e-3  # nats/token: what `flat` counts as no worse than the best
LARGEST_GRID = 20_000
NO_ENSEMBLE = "no interval: it takes refitted laws (each curve left out in turn, or other seeds) as an ensemble"
NATURAL_LIMITS = {"potential": (0.0, 1.0), "replay": (0.0, 1.0)}


@dataclass(frozen=True)
class Optimum:
    """The value of a knob that minimises Eq. 5.

    weight: w1, the weight of the D_pt loss. objective: at `value`, nats/token. changes: of both losses from the
    end of PT to the end of CPT there, by role. interior: False where `value` is an end of the scanned range
    (`warning` says so). interval, reason: the range of optima over an ensemble, or None; what it is, or why
    there is none.
    """

    knob: str
    weight: float
    value: float
    objective: float
    changes: Mapping[str, float]
    interior: bool
    scanned: tuple[float, float]
    interval: tuple[float, float] | None
    reason: str

    @property
    def warning(self) -> str:
        """A plain statement where the optimum is an end of the scanned range, else "" ."""
        if self.interior:
            return ""
        side = "lower" if self.value == self.scanned[0] else "upper"
        start = f"the best {self.knob} is the {side} end of the scanned range ({self.value:g})"
        if self.value in NATURAL_LIMITS.get(self.knob, ()):
            return f"{start}, beyond which there is none"
        return f"{start}: a better one may lie outside"


@dataclass(frozen=True)
class Scan:
    """Losses predicted over the values of one knob.

    values: [k], ascending. before, after: by role ("general": D_pt, "domain": D_cpt) the predicted losses at the
    end of PT and of CPT, each [k] (nats/token).
    """

    knob: str
    values: Array
    before: Mapping[str, Array]
    after: Mapping[str, Array]

    def change(self, role: str) -> Array:
        """Predicted loss at the end of CPT minus that at the end of PT, [k] (nats/token)."""
        if role not in self.after:
            raise UserError(f"there is no loss {role!r}: choose one of {', '.join(self.after)}")
        return np.asarray(self.after[role] - self.before[role])

    def objective(self, weight: float, measure: Measure = "change") -> Array:
        """Eq. 5, `w1*change(general) + (1 - w1)*change(domain)`, [k] (nats/token).

        measure: "final" takes the losses at the end of CPT in place of their changes. The optimum is then the
        same for every knob but `potential`, which moves the losses at the end of PT, too: by their changes, a
        checkpoint is favoured for having been worse.
        """
        _check(weight, measure)
        general, domain = (self.change(role) if measure == "change" else self.after[role] for role in ROLES)
        return np.asarray(weight * general + (1 - weight) * domain)

    def best(self, weight: float, measure: Measure = "change") -> Optimum:
        """The best of the values, refined by the parabola through it and its neighbours where it has two."""
        objective = self.objective(weight, measure)
        i = int(np.argmin(objective))
        value, rows, shares = self.values[i], [i], np.ones(1)
        if 0 < i < len(self.values) - 1:
            rows = [i - 1, i, i + 1]
            value = _vertex(self.values[rows], objective[rows])
            shares = _quadratic(self.values[rows], value)
        return Optimum(
            self.knob,
            weight,
            float(value),
            float(shares @ objective[rows]),
            {role: float(shares @ self.change(role)[rows]) for role in ROLES},
            interior=len(rows) == 3,
            scanned=(float(self.values[0]), float(self.values[-1])),
            interval=None,
            reason=NO_ENSEMBLE,
        )

    def flat(self, weight: float, tolerance: float = TOLERANCE, measure: Measure = "change") -> tuple[float, float]:
        """Smallest and largest value, without a gap around the best, with an objective within `tolerance` of it."""
        return _flat(self.values, self.objective(weight, measure), tolerance)


@dataclass(frozen=True)
class BestCombination:
    """The best combination of several knobs.

    scenario: with the best values set. before, after, changes: losses there by role (nats/token). flat: for each
    knob, the range of its values around the best one, the others held, within which the objective stays within
    `tolerance` of the best. table: a row for each combination tried (the knobs, `general` and `domain` at the end
    of CPT, `objective`). edges: knobs whose best value is an end of its range. skipped: combinations left out
    because their schedules do not fit together, `skipped_reason` the first of the reasons.
    """

    weight: float
    measure: Measure
    scenario: Scenario
    values: Mapping[str, float]
    objective: float
    before: Mapping[str, float]
    after: Mapping[str, float]
    flat: Mapping[str, tuple[float, float]]
    tolerance: float
    edges: tuple[str, ...]
    table: pd.DataFrame = field(repr=False, compare=False)
    skipped: int = 0
    skipped_reason: str = ""

    @property
    def changes(self) -> dict[str, float]:
        """Change of both losses from the end of PT to the end of CPT (nats/token)."""
        return {role: self.after[role] - self.before[role] for role in ROLES}


def scan(pair: Pair, scenario: Scenario, knob: str, values: ArrayLike | None = None) -> Scan:
    """Predict both losses for every value of one of `KNOBS`, the rest of the scenario unchanged.

    values: [k]; None takes `default_values`. `UserError` where a law does not see the knob.
    """
    _check_knob(pair, scenario, knob)
    chosen = default_values(scenario, knob) if values is None else _values(knob, values)
    outcomes = [scenario.with_knob(knob, value).outcome(pair.roles()) for value in chosen]
    before, after = ({role: np.array([o[role][end] for o in outcomes]) for role in ROLES} for end in (0, 1))
    return Scan(knob, chosen, before, after)


def optimum(
    pair: Pair,
    scenario: Scenario,
    knob: str,
    weight: float,
    values: ArrayLike | None = None,
    ensemble: Sequence[Pair] = (),
    measure: Measure = "change",
) -> Optimum:
    """The best value of one knob (Eq. 5): the best of `values`, refined between its neighbours.

    ensemble: refitted pairs of laws (each curve left out in turn, or other seeds); the interval is the range of
    their optima over the same values, which is no confidence interval. measure: see `Scan.objective`.
    """
    found = scan(pair, scenario, knob, values)
    best = _refined(pair, scenario, found, weight, measure)
    if not ensemble:
        return best
    members = [
        _refined(member, scenario, scan(member, scenario, knob, found.values), weight, measure) for member in ensemble
    ]
    ends = sum(not member.interior for member in members)
    interval = (min(m.value for m in members), max(m.value for m in members))
    note = f"; {ends} of them at an end of the scanned range" if ends else ""
    reason = f"range of the optima of {len(members)} refitted pairs of laws, not a confidence interval{note}"
    return replace(best, interval=interval, reason=reason)


def grid(
    pair: Pair,
    scenario: Scenario,
    knobs: Mapping[str, ArrayLike | None],
    weight: float,
    tolerance: float = TOLERANCE,
    measure: Measure = "change",
) -> BestCombination:
    """The best combination of several knobs (Eq. 5), all combinations of their values tried.

    knobs: values by knob; None takes `default_values`. tolerance: nats/token, see `BestCombination`. measure: see
    `Scan.objective`. `UserError` where no combination has a schedule, and above `LARGEST_GRID` combinations.
    """
    _check(weight, measure)
    if not knobs:
        raise UserError(f"there is no knob to vary: name at least one of {', '.join(KNOBS)}")
    for knob in knobs:
        _check_knob(pair, scenario, knob)
    axes = {k: default_values(scenario, k) if v is None else _values(k, v) for k, v in knobs.items()}
    size = int(np.prod([len(axis) for axis in axes.values()]))
    if size > LARGEST_GRID:
        raise UserError(f"{size} combinations of knobs are too many: give at most {LARGEST_GRID}")
    rows, reason = _combinations(pair, scenario, axes)
    if not rows:
        raise UserError(f"no combination of the given values has a schedule: {reason}")
    table = pd.DataFrame(rows)
    ends = [table[role] - (table[f"{role}_before"] if measure == "change" else 0.0) for role in ROLES]
    table["objective"] = weight * ends[0] + (1 - weight) * ends[1]
    best = table.iloc[int(np.argmin(table["objective"]))]
    values = {knob: float(best[knob]) for knob in axes}
    chosen = scenario
    for knob, value in values.items():
        chosen = chosen.with_knob(knob, value)
    return BestCombination(
        weight,
        measure,
        chosen,
        values,
        float(best["objective"]),
        {role: float(best[f"{role}_before"]) for role in ROLES},
        {role: float(best[role]) for role in ROLES},
        {knob: _flat_in(table, values, knob, tolerance) for knob in axes},
        tolerance,
        tuple(k for k, axis in axes.items() if len(axis) > 1 and values[k] in (axis[0], axis[-1])),
        table,
        size - len(rows),
        reason,
    )


def default_values(scenario: Scenario, knob: str) -> Array:
    """Values of a knob that are scanned if none are given, [k] ascending; those without a schedule left out.

    potential: 0 to 1. peak_lr: 0.05 to 2 times the peak of PT, in units of LR. replay: 0 to 0.95. steps: an
    eighth of the scenario's to four times as many.
    """
    candidates: dict[str, Array] = {
        "potential": np.linspace(0, 1, 41),
        "peak_lr": np.linspace(0.05, 2, 40) * scenario.peak_lr,
        "replay": np.linspace(0, 0.95, 39),
        "steps": np.unique(np.geomspace(scenario.continual_steps / 8, 4 * scenario.continual_steps, 31).round()),
    }
    if knob not in candidates:
        raise UserError(f"there is no knob {knob!r}: choose one of {', '.join(KNOBS)}")
    kept = [value for value in candidates[knob] if not scenario.with_knob(knob, value).misfit]
    if not kept:
        first = scenario.with_knob(knob, candidates[knob][-1]).misfit
        raise UserError(f"no default value of {knob} has a schedule: {first}")
    return np.array(kept, dtype=np.float64)


def _values(knob: str, values: ArrayLike) -> Array:
    chosen = np.unique(np.asarray(values, dtype=np.float64))
    if not len(chosen) or not np.all(np.isfinite(chosen)):
        raise UserError(f"the values of {knob} must be numbers, at least one of them")
    if knob == "potential" and (chosen[0] < 0 or chosen[-1] > 1):
        raise UserError("the values of potential are shares of the peak of PT: give them between 0 and 1")
    return chosen


def _check(weight: float, measure: str) -> None:
    if not 0 <= weight <= 1:
        raise UserError(f"weight is {weight:g}: the weight of the D_pt loss lies between 0 and 1")
    if measure not in get_args(Measure):
        raise UserError(f"measure is {measure!r}: choose one of {', '.join(get_args(Measure))}")


def _check_knob(pair: Pair, scenario: Scenario, knob: str) -> None:
    """`UserError` where turning the knob would change nothing, so that its optimum would mean nothing."""
    if knob not in KNOBS:
        raise UserError(f"there is no knob {knob!r}: choose one of {', '.join(KNOBS)}")
    if knob == "potential" and scenario.pretraining.shape == "constant":
        raise UserError("pretraining.shape is constant, so its last LR is its peak: choose wsd to vary the potential")
    if knob == "replay":
        for law in pair.roles().values():
            if "replay" not in law.law.inputs:
                raise UserError(f"law {law.law.name!r} does not read `replay`: fit cpt_replay_general and _domain")


def _refined(pair: Pair, scenario: Scenario, found: Scan, weight: float, measure: Measure) -> Optimum:
    """The best value of a scan, refined by a bounded search between its neighbours."""
    from scipy.optimize import minimize_scalar  # takes a second to import, so only where it is used

    values, objective = found.values, found.objective(weight, measure)
    i = int(np.argmin(objective))
    low, high = values[max(i - 1, 0)], values[min(i + 1, len(values) - 1)]

    def at(value: float) -> Scan:
        return scan(pair, scenario, found.knob, [round(value) if found.knob == "steps" else value])

    value = float(values[i])
    if high > low:
        result = minimize_scalar(
            lambda value: at(value).objective(weight, measure)[0],
            bounds=(low, high),
            method="bounded",
            options={"xatol": 1e-4 * (high - low)},
        )
        value = float(result.x) if result.fun < objective[i] else value
    best = at(value)
    ends = (float(values[0]), float(values[-1]))
    return Optimum(
        found.knob,
        weight,
        float(best.values[0]),
        float(best.objective(weight, measure)[0]),
        {role: float(best.change(role)[0]) for role in ROLES},
        interior=best.values[0] not in ends,
        scanned=ends,
        interval=None,
        reason=NO_ENSEMBLE,
    )


def _combinations(pair: Pair, scenario: Scenario, axes: Mapping[str, Array]) -> tuple[list[dict[str, Any]], str]:
    """A row for each combination that has a schedule, and why the first other one has none."""
    rows, reason = [], ""
    for values in product(*axes.values()):
        chosen = scenario
        for knob, value in zip(axes, values, strict=True):
            chosen = chosen.with_knob(knob, value)
        if chosen.misfit:
            reason = reason or chosen.misfit
            continue
        outcome = chosen.outcome(pair.roles())
        rows.append(
            {
                **dict(zip(axes, map(float, values), strict=True)),
                **{f"{role}_before": outcome[role][0] for role in ROLES},
                **{role: outcome[role][1] for role in ROLES},
            }
        )
    return rows, reason


def _flat_in(table: pd.DataFrame, values: Mapping[str, float], knob: str, tolerance: float) -> tuple[float, float]:
    """`_flat` of one knob with the others at `values`."""
    others = [name for name in values if name != knob]
    line = table[np.all([table[name] == values[name] for name in others], axis=0)] if others else table
    return _flat(line[knob].to_numpy(), line["objective"].to_numpy(), tolerance)


def _flat(values: Array, objective: Array, tolerance: float) -> tuple[float, float]:
    i = int(np.argmin(objective))
    worse = np.flatnonzero(objective > objective[i] + tolerance)
    first = int(np.max(worse[worse < i], initial=-1)) + 1
    last = int(np.min(worse[worse > i], initial=len(values))) - 1
    return float(values[first]), float(values[last])


def _vertex(x: Array, y: Array) -> float:
    """Where the parabola through three points, the middle one the lowest, is lowest; between the outer two."""
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    if right <= left:  # all three the same
        return float(x[1])
    return float(np.clip((x[0] + x[1]) / 2 - left * (x[2] - x[0]) / (2 * (right - left)), x[0], x[2]))


def _quadratic(x: Array, at: float) -> Array:
    """Weights of three points' values in their parabola's value `at`, [3]."""
    return np.array(
        [np.prod([(at - x[j]) / (x[i] - x[j]) for j in range(3) if j != i]) for i in range(3)], dtype=np.float64
    )
