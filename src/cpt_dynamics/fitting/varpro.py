"""Variable projection (Golub and Pereyra, 1973): search the shape parameters only, solve for the rest.

Given its shape parameters a law is linear, so every trial shape has one best set of coefficients. Many shapes
are screened, the best distinct ones are improved by Gauss-Newton steps that solve the coefficients anew each
time, and the winner is polished in all parameters on all rows.
"""

from collections.abc import Sequence

import numpy as np

from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting.problem import Columns, Problem, spread
from cpt_dynamics.laws import Array, Parameters

TOLERANCE = 1e-10  # relative fall of the objective at which steps stop


def search(
    problem: Problem,
    n_starts: int = 12,
    n_screen: int = 256,
    max_rows: int = 1000,
    given: Sequence[Parameters] = (),
) -> tuple[Array, int, int]:
    """The best point found, the number of starts, and how many reached the best objective.

    Starts are the `given` parameters and the best `n_starts` of `n_screen` shapes (0: the given ones alone). They
    run on at most `max_rows` evenly spaced rows; the result is always polished on all of them.
    """
    stride = -(-len(problem.loss) // max_rows)
    small = problem.subset(slice(None, None, stride))
    if len(small.loss) < 10 * len(problem.names):
        small = problem
    starts = _given(small, given) + (_screened(small, n_starts, n_screen) if n_screen else [])
    if not starts:
        raise UserError("a fit needs a start: screen at least one shape or give parameters to start from")
    ends = sorted((_descend(small, v) for v in starts), key=lambda end: end[0])
    best = ends[0][0]
    n_agree = small.agreeing([value for value, _ in ends])
    # starts that ended elsewhere on some of the rows may still win on all of them
    finalists = [v for value, v in ends if value <= best * 1.1][: 1 + 2 * (small is not problem)]
    _, point = min((_descend(problem, v, steps=200) for v in finalists), key=lambda end: end[0])
    return point, len(starts), n_agree


def solve(problem: Problem, columns: Columns, start: Array | None = None, steps: int = 30) -> tuple[float, Array]:
    """Objective and coefficients [q] that minimise it for fixed columns, within the bounds.

    Newton steps on the Huber objective where they lower it, reweighted least squares where they do not.
    """
    q, basis = problem.n_linear, columns.basis
    lower, upper = problem.lower[:q], problem.upper[:q]
    if start is None:
        weight = 1 / problem.loss if problem.law.residual == "log" else np.ones_like(problem.loss)
        scaled = basis * weight[:, None]
        start = _quadratic(scaled.T @ scaled, scaled.T @ (weight * (problem.loss - columns.offset)), lower, upper)
    c = start
    residual, factor = problem.residuals(columns.predict(c))
    value = problem.objective(residual)
    for _ in range(steps):
        jacobian = basis * factor[:, None]
        fall = problem.influence(residual) @ jacobian
        for step_matrix in _matrices(problem, residual, jacobian):
            trial = c + _quadratic(step_matrix, fall, lower - c, upper - c)
            trial_residual, trial_factor = problem.residuals(columns.predict(trial))
            trial_value = problem.objective(trial_residual)
            if trial_value < value:
                break
        else:
            break
        done = value - trial_value <= TOLERANCE * value
        c, value, residual, factor = trial, trial_value, trial_residual, trial_factor
        if done:
            break
    return value, c


def _descend(problem: Problem, v: Array, steps: int = 60) -> tuple[float, Array]:
    """Levenberg-Marquardt on the Huber objective, with the coefficients solved anew after each step."""
    q = problem.n_linear
    value, damping = problem.value(v), 1e-3
    for _ in range(steps):
        residual, jacobian = problem.evaluate(v)
        fall = problem.influence(residual) @ jacobian
        newton, reweighted = _matrices(problem, residual, jacobian)
        scale = np.diag(np.maximum(np.diag(reweighted), 1e-12 * np.max(np.diag(reweighted), initial=1e-300)))
        gained = False
        for _ in range(12):
            step = _quadratic(newton + damping * scale, fall, problem.lower - v, problem.upper - v)
            step[q:] = np.clip(step[q:], -2.0, 2.0)
            trial = np.clip(v + step, problem.lower, problem.upper)
            trial_value, trial[:q] = solve(problem, problem.columns(trial[q:]), trial[:q], steps=5)
            if trial_value < value:
                gained = True
                break
            damping *= 8
        if not gained:
            break
        done = value - trial_value <= TOLERANCE * value
        v, value, damping = trial, trial_value, max(damping / 8, 1e-12)
        if done:
            break
    return value, v


def _matrices(problem: Problem, residual: Array, jacobian: Array) -> tuple[Array, Array]:
    """Curvature for a Newton step (rows within delta only) and for a reweighted least-squares step."""
    size = np.abs(residual)
    weight = np.minimum(1.0, problem.delta / np.maximum(size, 1e-300))
    reweighted = (jacobian * weight[:, None]).T @ jacobian
    inside = jacobian[size <= problem.delta]
    return inside.T @ inside + 1e-3 * reweighted, reweighted


def _quadratic(matrix: Array, vector: Array, lower: Array, upper: Array) -> Array:
    """Minimiser of x'Mx/2 - v'x with lower <= x <= upper, [p]."""
    size = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    scaled = matrix / np.outer(size, size) + 1e-13 * np.eye(len(size))
    try:
        factor = np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(scaled)
        mended = vectors @ np.diag(np.maximum(values, 1e-12)) @ vectors.T
        factor = np.linalg.cholesky(mended + 1e-12 * np.eye(len(size)))
    target = np.linalg.solve(factor, vector / size)
    x: Array = np.linalg.solve(factor.T, target) / size
    if np.all(x >= lower) and np.all(x <= upper):
        return x
    from scipy.optimize import lsq_linear

    low, high = np.minimum(lower * size, 0.0), np.maximum(upper * size, 0.0)
    found = lsq_linear(factor.T, target, (low, high + 1e-300), method="bvls")
    return np.clip(np.asarray(found.x) / size, np.minimum(lower, 0.0), np.maximum(upper, 0.0))


def _given(problem: Problem, parameters: Sequence[Parameters]) -> list[Array]:
    """Given parameters as points within the bounds."""
    for start in parameters:
        missing = [name for name in problem.names if name not in start]
        if missing:
            raise UserError(f"a start for law {problem.law.name!r} lacks {', '.join(missing)}: give every parameter")
    return [np.clip(problem.point(start), problem.lower, problem.upper) for start in parameters]


def _screened(problem: Problem, n_starts: int, n_screen: int) -> list[Array]:
    """The best of many evenly spread shapes, at some distance from each other, as points."""
    q, d = problem.n_linear, len(problem.law.nonlinear)
    low, high = problem.lower[q:], problem.upper[q:]
    if d == 0:
        n_screen = 1
    unit = spread(n_screen, d)
    points = []
    for place in unit:
        u = low + place * (high - low)
        value, c = solve(problem, problem.columns(u), steps=4)
        points.append((value, np.concatenate([c, u]), place))
    points.sort(key=lambda p: p[0])
    kept: list[tuple[Array, Array]] = []
    for _, v, place in points:
        if all(np.max(np.abs(place - other), initial=1.0 if d == 0 else 0.0) > 0.08 for _, other in kept):
            kept.append((v, place))
        if len(kept) == n_starts:
            break
    return [v for v, _ in kept]
