"""Profiles: how the objective rises as one parameter is held at other values and the rest is fitted anew."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting.fit import Fit, fit
from cpt_dynamics.fitting.uncertainty import measurements, relative_jacobian
from cpt_dynamics.fitting.warnings import column, runs
from cpt_dynamics.laws import Array, Features, Law, get

SEARCH = {"n_starts": 2, "n_screen": 32}  # of every refit, beside the neighbouring one's parameters
CLOSE = 0.02  # relative distance to the threshold that is near enough for the rest to be interpolated
FLAT, STEEP = 0.25, 4.0  # rises, as multiples of the threshold's, between which interpolation is not to be trusted
BETTER = 1e-3  # relative fall of the objective below the fit's that is pointed out


@dataclass(frozen=True)
class Point:
    """A refit with the profiled parameter held at `value`; `parameters` holds all of them, `at_bounds`: see `Fit`."""

    value: float
    objective: float
    parameters: dict[str, float]
    at_bounds: list[str]


@dataclass(frozen=True)
class Profile:
    """The objective over values of one parameter.

    points: in ascending order of the value, the fit itself among them. best: the smallest objective. threshold:
    see `profile`. lower, upper: ends of the values whose objective is below it. Where the profile does not
    cross it (`lower_open`, `upper_open`), they are the parameter's bounds. notes: one line each.
    """

    parameter: str
    level: float
    estimate: float
    points: list[Point]
    best: float
    threshold: float
    n_effective: float
    lower: float
    upper: float
    lower_open: bool
    upper_open: bool
    notes: list[str]


@dataclass(frozen=True)
class _Axis:
    """The coordinate of a profile: the logarithm where the parameter's lower bound is positive."""

    log: bool
    low: float
    high: float

    def to(self, value: float) -> float:
        return float(np.log(value)) if self.log else value

    def back(self, u: float) -> float:
        """The value at u, never outside the bounds."""
        return float(np.clip(np.exp(u) if self.log else u, self.low, self.high))

    def ends(self) -> tuple[float, float]:
        return self.to(self.low), self.to(self.high)


def profile(
    law: Law | str,
    features: Features,
    loss: Any,
    parameter: str,
    grid: Iterable[float] | None = None,
    found: Fit | None = None,
    n: int = 15,
    level: float = 0.9,
    **options: Any,
) -> Profile:
    """Profile the objective of `law` over `parameter`, and the values that the data do not exclude.

    grid: values to hold the parameter at; None takes up to n of them, farther and farther from the fit until the
    objective crosses the threshold or the bound is reached. found: the fit to these rows, if there is one.
    options: of `fitting.fit`, for the refits.

    The threshold is `best * (1 + q / (n_effective - p))`: q is the quantile of the chi-squared distribution with
    one degree of freedom at `level`, p the number of parameters, n_effective the number of independent rows (see
    `effective_rows`). It would be that of a likelihood ratio if residuals were Gaussian and the Huber function a
    square. They are neither: residuals are mostly misfit. So the interval is approximate, and `notes` says so.
    """
    from scipy.stats import chi2

    law = get(law) if isinstance(law, str) else law
    if not 0 < level < 1:
        raise UserError(f"level is {level}: it lies between 0 and 1")
    known = {p.name: p for p in law.parameters}
    if parameter not in known:
        raise UserError(f"law {law.name!r} has no free parameter {parameter!r}: it has {', '.join(known)}")
    axis = _Axis(known[parameter].lower > 0, *law.bounds(features)[parameter])
    if found is None:
        found = fit(law, features, loss, **options)
    options = {**SEARCH, "delta": found.delta, **options}
    start = Point(found.parameters[parameter], found.objective, dict(found.parameters), found.at_bounds)
    done = [start]

    def refit(u: float) -> Point:
        value = axis.back(u)
        near = min(done, key=lambda point: abs(axis.to(point.value) - u)).parameters
        again = fit(law.fixed(**{parameter: value}), features, loss, **{"starts": [near], **options})
        done.append(Point(value, again.objective, {**again.parameters, parameter: value}, again.at_bounds))
        return done[-1]

    n_effective = effective_rows(found, features, loss)
    freedom = n_effective - len(known)
    room = float(chi2.ppf(level, 1)) / freedom if freedom > 0 else np.inf
    if grid is None:
        step = _first_step(found, features, parameter, axis, room)
        for bound in axis.ends():
            _walk(refit, start, axis, bound, step, _rise(found, found.objective, room), (n - 1) // 2)
    else:
        outwards = sorted(_checked(grid, axis, parameter), key=lambda value: abs(axis.to(value) - axis.to(start.value)))
        for value in outwards:
            if value != start.value:
                refit(axis.to(value))
    points = sorted(done, key=lambda point: point.value)
    best = min(point.objective for point in points)
    rise = _rise(found, best, room)
    down, up = (_crossing(side, best, rise, axis) for side in _sides(points, start))
    notes = ["approximate: the threshold takes residuals for noise, while they are mostly misfit"]
    if freedom <= 0:
        notes.append(f"{n_effective:.1f} independent rows do not determine the law's parameters: nothing is excluded")
    notes += _open_notes(parameter, points, axis, down is None, up is None)
    notes += _bound_notes(parameter, points, {"lower": down, "upper": up})
    lower, upper = axis.low if down is None else down, axis.high if up is None else up
    if any(point.objective - best > rise for point in points if lower < point.value < upper):
        notes.append(f"{parameter}: some values between the ends are excluded, too")
    if best < found.objective - _rise(found, found.objective, BETTER):
        notes.append(f"{parameter}: a refit is better than the fit ({best:.6g}): fit again with more starts")
    return Profile(
        parameter=parameter,
        level=level,
        estimate=start.value,
        points=points,
        best=best,
        threshold=best + rise,
        n_effective=n_effective,
        lower=lower,
        upper=upper,
        lower_open=down is None,
        upper_open=up is None,
        notes=notes,
    )


def effective_rows(found: Fit, features: Features, loss: Any) -> float:
    """The number of independent rows: the sum over runs of rows / autocorrelation time of the run's residuals.

    Rows of a run are taken in the order of their steps, and rows that runs share are counted once.
    """
    observed = np.asarray(loss, dtype=np.float64)
    predicted = found.predict(features)
    residual = np.log(observed / predicted) if found.law.residual == "log" else observed - predicted
    steps = column(features, "step")
    once = np.ones(len(observed), dtype=bool)
    if isinstance(features, pd.DataFrame) and {"run", "step"} <= set(features):
        once = ~measurements(features, observed).duplicated().to_numpy()
    total = 0.0
    for rows in runs(features, len(observed)):
        rows = rows if steps is None else rows[np.argsort(steps[rows], kind="stable")]
        kept = residual[rows[once[rows]]]
        total += len(kept) / autocorrelation_time(kept)
    return total


def autocorrelation_time(residuals: Array) -> float:
    """Integrated autocorrelation time of residuals in order, [n], in rows: 1 for white noise, about n for a bias.

    `1 + 2*(r_1 + r_2 + ...)` with `r_k = sum_i(e_i*e_(i+k)) / sum_i(e_i^2)`. The mean is not taken off, since it is
    misfit, too. The sum ends before the first pair r_2m + r_2m+1 that is not above 0 (the initial positive
    sequence of Geyer, Practical Markov chain Monte Carlo, Statistical Science 7(4), 1992). Never below 1.
    """
    size = float(residuals @ residuals)
    if not size > 0:
        return 1.0
    n = len(residuals)
    length = 2 ** int(np.ceil(np.log2(2 * n)))  # zeros keep the ends from meeting
    spectrum = np.abs(np.fft.rfft(residuals, length)) ** 2
    r = np.fft.irfft(spectrum, length)[: n + n % 2] / size
    pairs = r[0::2] + r[1::2]
    ends = np.flatnonzero(pairs <= 0)
    return max(1.0, float(2 * pairs[: ends[0] if len(ends) else None].sum() - 1))


def _walk(
    refit: Callable[[float], Point], start: Point, axis: _Axis, bound: float, step: float, rise: float, budget: int
) -> None:
    """At most `budget` refits on the side of `bound`: outwards by doubled steps, then towards the crossing."""
    first, threshold = axis.to(start.value), start.objective + rise
    side, inner = (1 if bound > first else -1), start
    for k in range(0 if np.isclose(first, bound) else budget):
        u = first + side * step * 2**k
        if side * (u - bound) > 0 or (k == budget - 1 and np.isfinite(bound)):
            u = bound
        point = refit(u)
        if point.objective > threshold:
            _narrow(refit, inner, point, axis, start.objective, rise, budget - 1 - k)
            return
        if u == bound:
            return
        inner = point


def _narrow(
    refit: Callable[[float], Point], inner: Point, outer: Point, axis: _Axis, best: float, rise: float, budget: int
) -> None:
    """Refits between a point below the threshold and one above it, where the crossing is expected.

    Interpolation falls short where the profile is flat for long and then steep; far steps follow a flat one.
    """
    share = float(np.clip(_between(inner, outer, best, rise), 0.1, 0.9))
    for _ in range(budget):
        near, far = axis.to(inner.value), axis.to(outer.value)
        point = refit(near + share * (far - near))
        if abs(point.objective - best - rise) < CLOSE * rise:
            return
        if point.objective - best > rise:
            outer = point
        else:
            inner = point
        flat = inner is point and point.objective - best < FLAT * rise
        share = 0.9 if flat else float(np.clip(_between(inner, outer, best, rise), 0.1, 0.9))


def _first_step(found: Fit, features: Features, parameter: str, axis: _Axis, room: float) -> float:
    """Half of how far the linearised law would cross the threshold; at most e-fold or half of the value."""
    names = [p.name for p in found.law.parameters]
    jacobian = relative_jacobian(found.law, found.parameters, features)
    lengths = np.linalg.norm(jacobian, axis=0)
    lengths[lengths == 0] = 1.0
    _, values, rows = np.linalg.svd(jacobian / lengths, full_matrices=False)
    spread = rows / np.maximum(values, 1e-10 * values[0])[:, None]
    j, value = names.index(parameter), abs(found.parameters[parameter])
    width = float(np.sqrt(np.sum(spread[:, j] ** 2) * 2 * found.objective * min(room, 1.0))) / lengths[j]
    size = 1.0 if axis.log else value / 2 or 1.0
    return float(np.clip(0.5 * width / (value if axis.log else 1.0), 1e-6 * size, size))


def _between(inner: Point, outer: Point, best: float, rise: float) -> float:
    """Where, as a share of the way from one point to the next, the objective crosses.

    The square root of the rise is close to linear in the parameter (Bates and Watts, Nonlinear Regression Analysis
    and Its Applications, 1988, on profile t plots).
    """
    near, far = (np.sqrt(max(point.objective - best, 0.0)) for point in (inner, outer))
    return float((np.sqrt(rise) - near) / (far - near))


def _sides(points: list[Point], start: Point) -> tuple[list[Point], list[Point]]:
    """The points below and above the fit, each from the fit outwards."""
    below = [point for point in points if point.value <= start.value]
    return below[::-1], [point for point in points if point.value >= start.value]


def _crossing(side: list[Point], best: float, rise: float, axis: _Axis) -> float | None:
    """The outermost value where the profile crosses its threshold; None if its last point is below it.

    Interpolated, unless the points around it are too far apart: then the one that is excluded.
    """
    inside = max((i for i, point in enumerate(side) if point.objective - best <= rise), default=0)
    if inside == len(side) - 1:
        return None
    inner, outer = side[inside], side[inside + 1]
    if inner.objective - best < FLAT * rise and outer.objective - best > STEEP * rise:
        return outer.value
    u, v = axis.to(inner.value), axis.to(outer.value)
    return axis.back(u + _between(inner, outer, best, rise) * (v - u))


def _open_notes(parameter: str, points: list[Point], axis: _Axis, down: bool, up: bool) -> list[str]:
    """One line for every side on which the objective stays below its threshold."""
    notes = []
    for is_open, point, bound, way in ((down, points[0], axis.low, "down"), (up, points[-1], axis.high, "up")):
        if is_open:
            end = (
                "its bound"
                if np.isclose(point.value, bound, atol=0)
                else "the last value tried; values beyond are not excluded"
            )
            notes.append(f"{parameter} has no limit on this side: not excluded {way} to {point.value:.4g}, {end}")
    return notes


def _bound_notes(parameter: str, points: list[Point], limits: dict[str, float | None]) -> list[str]:
    """One line for every limit that is one only because another parameter has reached a bound."""
    notes = []
    for name, limit in limits.items():
        if limit is not None:
            beyond = [p for p in points if (p.value >= limit if name == "upper" else p.value <= limit)]
            nearest = min(beyond, key=lambda point: abs(point.value - limit))
            ends = [end for end in nearest.at_bounds if not end.startswith(f"{parameter}=")]
            if ends:
                notes.append(f"{parameter}: its {name} limit rests on the bounds of others ({', '.join(ends)})")
    return notes


def _checked(grid: Iterable[float], axis: _Axis, parameter: str) -> list[float]:
    values = sorted({float(value) for value in grid})
    if not values:
        raise UserError(f"the grid of {parameter!r} is empty: give some values")
    for value in (values[0], values[-1]):
        if not axis.low <= value <= axis.high:
            raise UserError(f"the grid of {parameter!r} holds {value:g}: its bounds are {axis.low:g} and {axis.high:g}")
    return values


def _rise(found: Fit, objective: float, share: float) -> float:
    """A share of the objective, and never less than rounding."""
    return max(objective * share, found.n_points * 1e-16) if np.isfinite(share) else np.inf
