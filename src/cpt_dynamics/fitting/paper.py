"""The paper's own procedure: L-BFGS on all parameters from many starting points, the best one kept.

Only the scale of the coordinates and of the objective differs (see `problem`), since in the units of LR
sums the optimizer's stopping rules end long before the minimum.
"""

from typing import Literal

import numpy as np

from cpt_dynamics.fitting.problem import Problem, spread
from cpt_dynamics.laws import Array

Gradient = Literal["numerical", "analytic"]


def search(problem: Problem, n_starts: int = 54, gradient: Gradient = "numerical") -> tuple[Array, int, int]:
    """The best point found, the number of starts, and how many reached the best objective."""
    from scipy.optimize import minimize

    scale = problem.delta**-2

    def value(v: Array) -> float:
        return problem.value(v) * scale

    def value_and_slope(v: Array) -> tuple[float, Array]:
        objective, slope = problem.gradient(v)
        return objective * scale, slope * scale

    exact = gradient == "analytic"
    bounds = list(zip(problem.lower, problem.upper, strict=True))
    options = {"maxiter": 100_000, "maxfun": 1_000_000, "ftol": 1e-9, "gtol": 1e-6}
    ends = []
    for v in starts(problem, n_starts):
        function = value_and_slope if exact else value
        found = minimize(function, v, jac=exact, method="L-BFGS-B", bounds=bounds, options=options)
        ends.append((float(found.fun), np.clip(np.asarray(found.x), problem.lower, problem.upper)))
    _, point = min(ends, key=lambda end: end[0])
    return point, n_starts, problem.agreeing([objective / scale for objective, _ in ends])


def starts(problem: Problem, n: int) -> list[Array]:
    """n starting points: every contribution up to the range of the losses, every shape within its bounds."""
    q = problem.n_linear
    observed = np.ptp(problem.loss)
    size = np.full(q, observed)
    size[[name == "L0" for name in problem.law.linear]] = problem.loss.min()
    low, high = problem.lower.copy(), problem.upper.copy()
    low[:q] = np.where(np.isinf(low[:q]), -size, low[:q])
    high[:q] = np.where(np.isinf(high[:q]), size, high[:q])
    points = []
    for place in spread(n, len(problem.lower)):
        points.append(low + place * (high - low))
    return points
