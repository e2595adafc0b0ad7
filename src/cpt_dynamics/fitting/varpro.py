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
ROUNDS = 10  # of holding and letting go variables at their bounds
TRIALS = 12  # dampings tried before a descent ends
BATCH = 20_000  # rows of the shapes that are screened at once: their columns stay in the processor's cache


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
    ends = sorted(_descend(small, starts), key=lambda end: end[0])
    best = ends[0][0]
    n_agree = small.agreeing([value for value, _ in ends])
    # starts that ended elsewhere on some of the rows may still win on all of them
    finalists = [v for value, v in ends if value <= best * 1.1][: 1 + 2 * (small is not problem)]
    _, point = min(_descend(problem, finalists, steps=200), key=lambda end: end[0])
    return point, len(starts), n_agree


def solve(
    problem: Problem, basis: Array, offset: Array | float, start: Array | None = None, steps: int = 30
) -> tuple[Array, Array]:
    """Objectives [k] and coefficients [k, q] that minimise them within the bounds, for k fixed sets of columns.

    basis: [k, n, q]; offset: [k, n] or 0; start: [k, q]. Newton steps on the Huber objective where they lower it,
    reweighted least squares where they do not.
    """
    q = problem.n_linear
    lower, upper = problem.lower[:q], problem.upper[:q]
    if start is None:
        weight = 1 / problem.loss if problem.law.residual == "log" else np.ones_like(problem.loss)
        scaled = basis * weight[:, None]
        target = np.broadcast_to(weight * (problem.loss - offset), basis.shape[:2])
        start = _quadratic(scaled.swapaxes(1, 2) @ scaled, _products(target, scaled), lower, upper)
    c = start
    residual, factor = problem.residuals(_products(c, basis.swapaxes(1, 2)) + offset)
    value = problem.objectives(residual)
    going = np.ones(len(basis), dtype=bool)
    for _ in range(steps):
        jacobian = basis * factor[..., None]
        fall = _products(problem.influence(residual), jacobian)
        trials = c + _quadratic(np.stack(_matrices(problem, residual, jacobian)), fall, lower - c, upper - c)
        residuals, factors = problem.residuals(_products(trials, basis.swapaxes(1, 2)) + offset)
        values = problem.objectives(residuals)
        newton = values[0] < value
        trial_value = np.where(newton, *values)
        going &= trial_value < value
        if not going.any():
            break
        c = np.where(going[:, None], np.where(newton[:, None], *trials), c)
        residual = np.where(going[:, None], np.where(newton[:, None], *residuals), residual)
        factor = np.where(going[:, None], np.where(newton[:, None], *factors), factor)
        last, value = value, np.where(going, trial_value, value)
        going &= last - value > TOLERANCE * last
        if not going.any():
            break
    return value, c


def _products(rows: Array, matrices: Array) -> Array:
    """Each row [..., n] times its matrix [..., n, q]."""
    return np.asarray((rows[..., None, :] @ matrices)[..., 0, :])


def _descend(problem: Problem, points: Sequence[Array], steps: int = 60) -> list[tuple[float, Array]]:
    """Levenberg-Marquardt on the Huber objective from each point, with the coefficients solved anew after each step.

    All points are improved side by side, so that small matrices are worked on many at a time.
    """
    q, v = problem.n_linear, np.array(points)
    columns = [problem.columns(u) for u in v[:, q:]]
    residuals = [problem.residuals(there.predict(c))[0] for there, c in zip(columns, v[:, :q], strict=True)]
    value = problem.objectives(np.array(residuals))
    newton, scale, fall = _curvatures(problem, v, columns)
    damping, taken, failed = np.full(len(v), 1e-3), np.zeros(len(v), dtype=int), np.zeros(len(v), dtype=int)
    left = np.arange(len(v))
    while len(left):
        damped = newton[left] + damping[left, None, None] * scale[left]
        step = _quadratic(damped, fall[left], problem.lower - v[left], problem.upper - v[left])
        step[:, q:] = np.clip(step[:, q:], -2.0, 2.0)
        trial = np.clip(v[left] + step, problem.lower, problem.upper)
        columns = [problem.columns(u) for u in trial[:, q:]]
        trial_value, trial[:, :q] = solve(problem, *_stacked(problem, columns), trial[:, :q], steps=5)
        better = trial_value < value[left]
        done = better & (value[left] - trial_value <= TOLERANCE * value[left])
        gained, missed = left[better], left[~better]
        v[gained], value[gained] = trial[better], trial_value[better]
        damping[gained], damping[missed] = np.maximum(damping[gained] / 8, 1e-12), damping[missed] * 8
        taken[gained], failed[gained], failed[missed] = taken[gained] + 1, 0, failed[missed] + 1
        going = ~done & (taken[left] < steps) & (failed[left] < TRIALS)
        again = np.flatnonzero(going & better)
        found = _curvatures(problem, trial[again], [columns[i] for i in again])
        newton[left[again]], scale[left[again]], fall[left[again]] = found
        left = left[going]
    return list(zip(value.tolist(), v, strict=True))


def _curvatures(problem: Problem, points: Array, columns: Sequence[Columns]) -> tuple[Array, Array, Array]:
    """At each point [k, p]: the Newton matrix, the diagonal matrix that damps it, and the direction of descent.

    columns: of the law at each point, which are slow to compute for some laws.
    """
    k, p = points.shape
    newton, scale, fall = np.empty((k, p, p)), np.zeros((k, p, p)), np.empty((k, p))
    for i, (point, there) in enumerate(zip(points, columns, strict=True)):
        residual, jacobian = problem.evaluate(point, there)
        fall[i] = problem.influence(residual) @ jacobian
        newton[i], reweighted = _matrices(problem, residual, jacobian)
        sizes = np.diag(reweighted)
        np.fill_diagonal(scale[i], np.maximum(sizes, 1e-12 * np.max(sizes, initial=1e-300)))
    return newton, scale, fall


def _stacked(problem: Problem, columns: Sequence[Columns]) -> tuple[Array, Array]:
    """Basis [k, n, q] and offset [k, n] of the law at several shapes."""
    offsets = [np.broadcast_to(there.offset, problem.loss.shape) for there in columns]
    return np.stack([there.basis for there in columns]), np.stack(offsets)


def _matrices(problem: Problem, residual: Array, jacobian: Array) -> tuple[Array, Array]:
    """Curvature for a Newton step (rows within delta only) and for a reweighted least-squares step, [..., p, p]."""
    size = np.abs(residual)
    weight = np.minimum(1.0, problem.delta / np.maximum(size, 1e-300))
    turned = jacobian.swapaxes(-1, -2)
    reweighted = (turned * weight[..., None, :]) @ jacobian
    inside = (turned * (size <= problem.delta)[..., None, :]) @ jacobian
    return inside + 1e-3 * reweighted, reweighted


def _quadratic(matrix: Array, vector: Array, lower: Array, upper: Array) -> Array:
    """Minimiser of x'Mx/2 - v'x with lower <= x <= upper, [..., p]."""
    size = np.sqrt(np.maximum(np.diagonal(matrix, axis1=-2, axis2=-1), 1e-300))
    scaled = _definite(matrix / (size[..., :, None] * size[..., None, :]))
    target, low, high = np.broadcast_arrays(vector / size, np.minimum(lower * size, 0.0), np.maximum(upper * size, 0.0))
    x = np.linalg.solve(scaled, target[..., None])[..., 0]
    outside = np.any((x < low) | (x > high), axis=-1)
    if outside.any():
        x[outside] = _bounded(scaled[outside], target[outside], low[outside], high[outside], x[outside])
    return np.asarray(np.clip(x / size, np.minimum(lower, 0.0), np.maximum(upper, 0.0)))


def _definite(matrix: Array) -> Array:
    """Matrices with a diagonal of 1, [..., p, p], made positive definite where rounding leaves them singular."""
    identity = np.eye(matrix.shape[-1])
    mended = matrix + 1e-13 * identity
    try:
        np.linalg.cholesky(mended)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(mended)
        mended = (vectors * np.maximum(values, 1e-12)[..., None, :]) @ vectors.swapaxes(-1, -2) + 1e-12 * identity
    return mended


def _bounded(matrix: Array, vector: Array, low: Array, high: Array, x: Array) -> Array:
    """Minimisers [k, p] within the bounds, from the unbounded ones, x.

    Variables outside their bounds are held there, and held ones whose slope points inwards are let go, all at once,
    until nothing changes (Hintermueller, Ito and Kunisch, SIAM J. Optim. 13(3), 2002). Where that goes in circles,
    SciPy's active-set method takes over.
    """
    identity = np.eye(matrix.shape[-1])
    at_low, at_high = x < low, x > high
    for _ in range(ROUNDS):
        held = at_low | at_high
        bound = np.where(at_low, low, np.where(at_high, high, 0.0))
        target = np.where(held, bound, vector - _products(bound, matrix))
        reduced = np.where(held[:, :, None] | held[:, None, :], identity, matrix)
        x = np.linalg.solve(reduced, target[..., None])[..., 0]
        slope = _products(x, matrix) - vector
        before = at_low, at_high
        at_low, at_high = np.where(at_low, slope > 0, x < low), np.where(at_high, slope < 0, x > high)
        changed = np.any((at_low != before[0]) | (at_high != before[1]), axis=1)
        if not changed.any():
            return x
    from scipy.optimize import lsq_linear

    for k in np.flatnonzero(changed):
        factor = np.linalg.cholesky(matrix[k])
        target = np.linalg.solve(factor, vector[k])
        x[k] = lsq_linear(factor.T, target, (low[k], high[k] + 1e-300), method="bvls").x
    return x


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
    points: list[tuple[float, Array, Array]] = []
    batch = max(1, BATCH // len(problem.loss))
    for first in range(0, n_screen, batch):
        places = unit[first : first + batch]
        shapes = low + places * (high - low)
        values, c = solve(problem, *_stacked(problem, [problem.columns(u) for u in shapes]), steps=4)
        points += zip(values.tolist(), np.hstack([c, shapes]), places, strict=True)
    points.sort(key=lambda p: p[0])
    kept: list[tuple[Array, Array]] = []
    for _, v, place in points:
        if all(np.max(np.abs(place - other), initial=1.0 if d == 0 else 0.0) > 0.08 for _, other in kept):
            kept.append((v, place))
        if len(kept) == n_starts:
            break
    return [v for v, _ in kept]
