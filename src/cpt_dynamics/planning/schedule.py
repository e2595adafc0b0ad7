"""The LR schedule of CPT that a law thinks best."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from cpt_dynamics.areas import AreaSettings
from cpt_dynamics.errors import UserError
from cpt_dynamics.laws import Array
from cpt_dynamics.planning.scenario import Pair, Predictor, Scenario, features_of
from cpt_dynamics.schedules import Schedule

READ = {"s1pt", "s2pt", "s1cpt", "s2cpt", "s2pt_lr", "s2cpt_lr", "replay", "params"}
LOWEST_PEAK = 1e-3  # of the cap: a peak of zero is no schedule
PEAKS = (1.0, 0.5, 0.1, 0.0)  # starts: from the lowest peak (0) to the cap (1)
DROPS = (0.3, 0.6, 0.8, 0.95)  # starts: share of the steps after which the LR falls
STARTS = 2  # for each peak
LEAST = 1e-9  # share of the fall at a knot, so that their sum stays above 0
SAME = 1e-6  # nats/token: starts that end this close to the best one agree with it
NEAR = 1e-6  # of the peak: an LR so close to the floor, where a search ends, is the floor
POINTS = 200  # of a drawn curve
LARGEST = 100_000_000  # steps times knots, whose weights the search holds
ABRUPT = 0.5  # of the whole fall between two neighbouring knots
Shape = Literal["constant", "cosine", "linear", "wsd"]


@dataclass(frozen=True)
class BestSchedule:
    """The CPT schedule with the lowest predicted objective.

    lr: [steps of CPT], in units of LR. objective: Eq. 5 for a pair of laws, the change of the one loss otherwise.
    after, changes: losses at the end of CPT and their changes from the end of PT, by role (nats/token). compared:
    the same for the usual schedules with the same peak, lowest LR and number of steps, as far as they fit (`wsd`:
    linear, over the scenario's share), a row each (`schedule`, `objective` and the losses by role), the optimised
    one first. agreeing: how many of `starts` searches came within `SAME` of the best. warnings: what a user of the
    schedule should know, one line each.
    """

    lr: Array = field(repr=False, compare=False)
    peak: float
    floor: float
    peak_cap: float
    objective: float
    after: Mapping[str, float]
    changes: Mapping[str, float]
    compared: pd.DataFrame = field(repr=False, compare=False)
    starts: int
    agreeing: int
    warnings: tuple[str, ...]


def optimise(
    laws: Pair | Predictor,
    scenario: Scenario,
    weight: float | None = None,
    *,
    floor: float,
    peak_cap: float | None = None,
    least_peak: float = 0.0,
    knots: int = 64,
) -> BestSchedule:
    """The CPT schedule that minimises Eq. 5 (arXiv 2505.07796), or the loss of one law, at the end of CPT.

    After the scenario's re-warm-up the LR never rises: it is a peak of at most `peak_cap` (None: the peak of PT), and
    at least `least_peak`, minus `knots` non-negative decrements (as in arXiv 2503.12811), linear between evenly spaced
    knots, and never below `floor`; all are in units of LR. The method is L-BFGS-B from several starts with the exact
    gradients of the areas. laws: over the areas S1 and S2 (`cpt`, `cpt_replay_*`, `cpt_power`, `cpt_lr_weighted`,
    `cpt_size` ...).

    The result says what the law prefers, and S2 has known faults that an optimiser finds: after the LR has reached
    zero S2 still grows by the momentum that is left, so steps that change no weight lower the predicted loss; and with
    a larger LR all over both areas are larger, so it looks better wherever the shift does not raise the loss. Hence
    the floor and the cap, and a warning where the optimum sits on them. Moreover, S2 at the end is a concave function
    of the time of a fall, while S1 is linear in it, so Eq. 4 prefers one single fall at some time over any gradual one
    with the same ends and the same S1: the optimum is as abrupt as the knots allow. In S2 weighted by a power of the
    LR (Eq. 9), steps at an LR of zero count nothing.
    """
    cap = scenario.peak_lr if peak_cap is None else peak_cap
    _check(laws, scenario, weight, floor, cap, knots)
    problem = _Problem(_Objective.of(laws, scenario, weight), _Curve.of(scenario, floor, cap, knots, least_peak))
    points = [problem.search(start) for start in problem.chosen_starts()]
    values = np.array([problem.value(point)[0] for point in points])
    lr = problem.curve.lr(points[int(np.argmin(values))])
    peak = float(lr.max())
    before = scenario.outcome(problem.objective.laws)
    compared = _compared(problem.objective, scenario, lr, peak, floor)
    after = {role: float(compared.iloc[0][role]) for role in before}
    return BestSchedule(
        np.where(lr - floor <= NEAR * peak, floor, lr),
        peak,
        floor,
        cap,
        float(compared.iloc[0]["objective"]),
        after,
        {role: after[role] - before[role][0] for role in before},
        compared,
        len(points),
        int(np.sum(values <= values.min() + SAME)),
        tuple(_warnings(lr, peak, floor, cap, problem)),
    )


def compared_curves(pair: Pair, scenario: Scenario, found: BestSchedule) -> dict[str, dict[str, Array]]:
    """Step of CPT, LR, and predicted losses by role for the optimised schedule and the usual ones, each [points]."""
    before, steps = scenario.pretraining_steps, np.unique(np.linspace(1, len(found.lr), POINTS).round().astype(int))
    result = {}
    for name in found.compared["schedule"]:
        lr = found.lr if name == "optimised" else usual(scenario, name, found.peak, found.floor)
        result[str(name)] = {"step": steps, "lr": lr[steps - 1]}
        whole = np.concatenate([scenario.lr[:before], lr])
        for role, law in pair.roles().items():
            table = features_of(whole, before, law.settings, before + steps, scenario.replay, scenario.params)
            result[str(name)][role] = law.predict(table)
    return result


def area_gradients(
    lr: Array, last: float, momentum: float = 0.0, lambda_: float = 0.999, lr_power: float = 0.0
) -> tuple[float, Array]:
    """S2 of the given steps and its derivatives with respect to their LR, [steps].

    `S2 = sum_i m_i*lr_i^p` with `m_i = lambda*m_{i-1} + lr_{i-1} - lr_i`. last: the LR before the first of the
    steps; momentum: m there, 0 where it does not carry over. (S1 is a plain sum: its derivatives are 1.)
    """
    from scipy.signal import lfilter  # takes a second to import, so only where it is used

    drops = -np.diff(lr, prepend=last)
    momenta = lfilter([1.0], [1.0, -lambda_], drops, zi=[lambda_ * momentum])[0]
    sizes = lr**lr_power
    felt = lfilter([1.0], [1.0, -lambda_], sizes[::-1])[::-1]  # dS2/d(drop): all later momenta hold the drop
    slopes = np.append(felt[1:], 0.0) - felt  # step j's LR lowers its own drop and raises the next one
    if lr_power:
        slopes = slopes + lr_power * momenta * lr ** (lr_power - 1)
    return float(momenta @ sizes), np.asarray(slopes, dtype=np.float64)


@dataclass(frozen=True)
class _Objective:
    """The weighted change of the losses at the end of CPT, as a function of the LR of CPT."""

    laws: Mapping[str, Predictor]
    weights: dict[str, float]
    scenario: Scenario
    start: float
    fixed: dict[str, dict[str, float]]  # by role: areas of PT and the momentum at its end

    @classmethod
    def of(cls, laws: Pair | Predictor, scenario: Scenario, weight: float | None) -> "_Objective":
        roles = laws.roles() if isinstance(laws, Pair) else {"loss": laws}
        weights = {"loss": 1.0} if weight is None else {"general": weight, "domain": 1 - weight}
        outcome = scenario.outcome(roles)
        start = sum(weights[role] * outcome[role][0] for role in roles)
        return cls(roles, weights, scenario, start, {role: _pretraining(scenario, law) for role, law in roles.items()})

    def value(self, lr: Array) -> tuple[float, Array]:
        """The objective and its derivatives with respect to the LR of CPT, [steps of CPT]."""
        total, gradient = -self.start, np.zeros(len(lr))
        for role, law in self.laws.items():
            if self.weights[role]:
                loss, slopes = self._loss(law, self.fixed[role], lr)
                total += self.weights[role] * loss
                gradient += self.weights[role] * slopes
        return total, gradient

    def _loss(self, law: Predictor, fixed: Mapping[str, float], lr: Array) -> tuple[float, Array]:
        settings, last = AreaSettings.of(law.settings), float(self.scenario.lr[self.scenario.pretraining_steps - 1])
        areas: dict[str, tuple[float, Array]] = {"s1cpt": (float(lr.sum()), np.ones(len(lr)))}
        for name, power in (("s2cpt", 0.0), ("s2cpt_lr", settings.lr_power)):
            if name in law.law.inputs:
                areas[name] = area_gradients(lr, last, fixed["momentum"], settings.lambda_, power)
        point = {**fixed, **{name: area for name, (area, _) in areas.items()}}
        gradient = np.zeros(len(lr))
        for name, (_, slopes) in areas.items():
            gradient += _slope(law, point, name) * slopes
        return float(_at(law, [point])[0]), gradient


@dataclass(frozen=True)
class _Curve:
    """The LR of CPT from one number for the peak and `knots` + 1 shares of the whole fall.

    The point: [peak from `lowest` (0) to `cap` (1), what is left at the end, the decrements]; the latter count only
    relative to their sum, so that no schedule of non-negative ones goes below the floor.
    """

    rise: int
    last: float
    floor: float
    cap: float
    shape: Array = field(repr=False)  # [steps after the rise, 1 + knots]: weights of the knots
    least: float = 0.0

    @classmethod
    def of(cls, scenario: Scenario, floor: float, cap: float, knots: int, least: float = 0.0) -> "_Curve":
        rise = _rise(scenario)
        left = scenario.continual_steps - rise
        at = np.arange(1, left + 1) * knots / left
        low = np.minimum(at.astype(int), knots - 1)
        shape = np.zeros((left, knots + 1))
        shape[np.arange(left), low] = 1 - (at - low)
        shape[np.arange(left), low + 1] = at - low
        last = float(scenario.lr[scenario.pretraining_steps - 1])
        return cls(rise, last, floor, cap, shape, least)

    @property
    def lowest(self) -> float:
        """The lowest peak."""
        return min(max(self.floor, LOWEST_PEAK * self.cap, self.least), self.cap)

    def lr(self, point: Array) -> Array:
        """The LR of CPT, [steps]; where the peak is not above the last LR, the re-warm-up stays at the peak."""
        peak = self.lowest + (self.cap - self.lowest) * point[0]
        start = min(self.last, peak)
        ramp = start + (peak - start) * np.arange(1, self.rise + 1) / max(self.rise, 1)
        return np.concatenate([ramp, self.floor + (peak - self.floor) * (self.shape @ _heights(point[1:]))])

    def pull(self, point: Array, gradient: Array) -> Array:
        """Derivatives with respect to the point from those with respect to the LR, [steps]."""
        peak = self.lowest + (self.cap - self.lowest) * point[0]
        heights, shares = _heights(point[1:]), point[1:]
        share = np.arange(1, self.rise + 1) / max(self.rise, 1) if peak > self.last else np.ones(self.rise)
        by_knot = self.shape.T @ gradient[self.rise :]
        by_peak = gradient[: self.rise] @ share + by_knot @ heights
        by_height = (peak - self.floor) * by_knot
        total = shares.sum()
        common = by_height @ (1 - heights) / total
        later = np.cumsum(by_height[:0:-1])[::-1]  # of the knots from each on, without the first
        by_share = np.concatenate([[common], common - later / total])
        return np.concatenate([[by_peak * (self.cap - self.lowest)], by_share])


@dataclass(frozen=True)
class _Problem:
    objective: _Objective
    curve: _Curve

    def value(self, point: Array) -> tuple[float, Array]:
        value, gradient = self.objective.value(self.curve.lr(point))
        return value, self.curve.pull(point, gradient)

    def chosen_starts(self) -> list[Array]:
        """For each of several peaks, the best `STARTS` of: an even fall, a fall at one of several times, none."""
        knots = self.curve.shape.shape[1] - 1
        even = np.append(1e-3, np.full(knots, 1 / knots))
        late = [np.append(1e-3, _around(round(share * knots), knots)) for share in DROPS]
        none = np.append(1.0, np.full(knots, 1e-3))
        chosen: list[Array] = []
        for peak in PEAKS:
            points = [np.append(peak, shares) for shares in (even, *late, none)]
            chosen += sorted(points, key=lambda point: self.value(point)[0])[:STARTS]
        return chosen

    def search(self, start: Array) -> Array:
        from scipy.optimize import minimize  # takes a second to import, so only where it is used

        bounds = [(0.0, 1.0)] + [(LEAST, 1.0)] * (len(start) - 1)
        options = {"maxiter": 400, "maxfun": 2000, "ftol": 1e-13, "gtol": 1e-9, "maxcor": 20}
        return np.asarray(minimize(self.value, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x)


def _rise(scenario: Scenario) -> int:
    return scenario.rewarmup if scenario.continual.warmup else 0


def _heights(shares: Array) -> Array:
    """What is left of the fall at every knot, from 1, [1 + knots]; `shares` as in the point, without the peak."""
    return 1 - np.append(0.0, np.cumsum(shares[1:])) / shares.sum()


def _around(knot: int, knots: int) -> Array:
    """A fall at one knot, with a little at the others so that the search sees them, [knots]."""
    shares = np.full(knots, 1e-3)
    shares[min(max(knot, 1), knots) - 1] = 1.0
    return shares


def _pretraining(scenario: Scenario, law: Predictor) -> dict[str, float]:
    """Features of a row that the CPT schedule does not change, and the momentum that it starts with."""
    before = scenario.pretraining_steps
    table = scenario.features(law.settings, [max(before - 1, 1), before])
    fixed = {name: float(table[name].iloc[1]) for name in ("s1pt", "s2pt", "s2pt_lr", "replay", "params")}
    carried = float(table["s2pt"].iloc[1] - table["s2pt"].iloc[0])
    return {**fixed, "momentum": carried if AreaSettings.of(law.settings).carry_over else 0.0}


def _at(law: Predictor, points: list[dict[str, float]]) -> Array:
    return law.predict({name: np.array([point[name] for point in points]) for name in law.law.inputs})


def _slope(law: Predictor, point: dict[str, float], name: str) -> float:
    """Derivative of the law with respect to one of its features, by fourth-order central differences."""
    step = 1e-3 * abs(point[name]) or 1e-9
    values = _at(law, [{**point, name: point[name] + k * step} for k in (-2, -1, 1, 2)])
    return float(np.array([1, -8, 8, -1]) @ values / (12 * step))


def _compared(objective: _Objective, scenario: Scenario, lr: Array, peak: float, floor: float) -> pd.DataFrame:
    """Predicted losses and objective of the optimised schedule and of the usual ones."""
    rows = [{"schedule": "optimised", **_losses(objective, scenario, lr)}]
    for shape in get_args(Shape):
        try:
            used = usual(scenario, shape, peak, floor)
        except UserError:  # a decay that overlaps with the re-warm-up
            continue
        rows.append({"schedule": shape, **_losses(objective, scenario, used)})
    return pd.DataFrame(rows)


def usual(scenario: Scenario, shape: str, peak: float, floor: float) -> Array:
    """The LR of CPT under one of the usual schedules, [steps of CPT]."""
    changed = {"shape": shape, "peak": peak / scenario.peak_lr, "end": floor / scenario.peak_lr, "decay": "linear"}
    usual = Schedule.model_validate({**scenario.continual.model_dump(), **changed})
    return replace(scenario, continual=usual).lr[scenario.pretraining_steps :]


def _losses(objective: _Objective, scenario: Scenario, lr: Array) -> dict[str, Any]:
    """Objective and losses at the end of CPT for an LR sequence, computed as for any run."""
    whole = np.concatenate([scenario.lr[: scenario.pretraining_steps], lr])
    after = {}
    for role, law in objective.laws.items():
        table = features_of(
            whole, scenario.pretraining_steps, law.settings, [len(whole)], scenario.replay, scenario.params
        )
        after[role] = float(law.predict(table)[0])
    value = sum(objective.weights[role] * after[role] for role in after) - objective.start
    return {"objective": value, **after}


def _warnings(lr: Array, peak: float, floor: float, cap: float, problem: _Problem) -> list[str]:
    found, curve = [], problem.curve
    plain = any("s2cpt" in law.law.inputs for law in problem.objective.laws.values())
    if math.isclose(peak, cap, rel_tol=1e-3):
        found.append(
            f"the peak is its cap ({cap:g}): the law would take a larger one, so this is no optimum of the peak"
        )
    elif math.isclose(peak, curve.lowest, rel_tol=1e-3):
        found.append(
            f"the peak is the lowest one allowed ({curve.lowest:g}): by this objective, the smaller the LR the better"
        )
    low = int(np.sum(lr <= floor + 1e-3 * (peak - floor)))
    if low > 1:
        fault = ": by S2, even steps at an LR of 0 help" if plain else ""
        found.append(f"the LR is at its floor for {low} of {len(lr)} steps{fault}")
    width = max(round(len(lr) / (curve.shape.shape[1] - 1)), 1)
    falls = lr[curve.rise : -width or None] - lr[curve.rise + width :]
    if len(falls) and falls.max(initial=0.0) > ABRUPT * (peak - lr[-1]) > 0:
        found.append("most of the fall is abrupt: plain S2 prefers that by its form (see `optimise`), data need not")
    return found


def _check(
    laws: Pair | Predictor, scenario: Scenario, weight: float | None, floor: float, cap: float, knots: int
) -> None:
    pair = isinstance(laws, Pair)
    if pair != (weight is not None):
        raise UserError("a weight is between two losses: give one with a pair of laws, and none with one law")
    if weight is not None and not 0 <= weight <= 1:
        raise UserError(f"weight is {weight:g}: the weight of the D_pt loss lies between 0 and 1")
    if not 0 <= floor < cap:
        raise UserError(f"floor is {floor:g}: it must be at least 0 and below the peak's cap, {cap:g}")
    if floor > scenario.peak_lr:
        raise UserError(f"floor is {floor:g}: it must not be above the peak of PT, {scenario.peak_lr:g}")
    after = scenario.continual_steps - _rise(scenario)
    if not 2 <= knots <= after:
        raise UserError(f"knots is {knots}: give at least 2 and at most {after}, the steps after the re-warm-up")
    if knots * after > LARGEST:
        most = f"at most {LARGEST // after:,} knots, or {LARGEST // knots:,} steps"
        raise UserError(f"{knots:,} knots over {after:,} steps are more than the search can hold: give {most}")
    for law in laws.roles().values() if isinstance(laws, Pair) else (laws,):
        other = [name for name in law.law.inputs if name not in READ]
        if other:
            raise UserError(f"law {law.law.name!r} reads {other[0]!r}: optimise with a law over S1 and S2, such as cpt")
        if "s2cpt_lr" in law.law.inputs and floor == 0:
            raise UserError(f"law {law.law.name!r} weights S2 by a power of the LR: give a floor above 0")
