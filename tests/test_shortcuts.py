"""Ways that save time give what the long ways give."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from scipy.optimize import lsq_linear
from scipy.signal import lfilter

from cpt_dynamics import areas
from cpt_dynamics.areas import area_columns, areas_of, history
from cpt_dynamics.figures.kit import style
from cpt_dynamics.fitting import varpro
from cpt_dynamics.fitting.problem import Problem
from cpt_dynamics.laws import get

STEPS = 3_000
LR = np.concatenate([np.linspace(1e-5, 1e-3, 100), np.full(1_900, 1e-3), np.linspace(1e-3, 0, 1_000)])


@pytest.mark.parametrize("carry_over", [True, False])
def test_momentum_is_the_same_by_loop_and_by_filter(carry_over: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    past = history(LR, 2_500)
    looped = areas_of(past, 0.99, carry_over).s2cpt
    monkeypatch.setattr(areas, "SHORT", 0)
    assert areas_of(past, 0.99, carry_over).s2cpt.tobytes() == looped.tobytes()
    drops = past.drops
    assert areas._momentum(drops, 0.99).tobytes() == lfilter([1.0], [1.0, -0.99], drops).tobytes()


@pytest.mark.parametrize("switch", [0, 1, 2_500, STEPS])
def test_areas_at_chosen_steps_are_those_of_every_step(switch: int) -> None:
    past, at = history(LR, switch), np.array([1, 2, 99, 2_500, 2_501, STEPS])
    plain, weighted = areas_of(past, 0.99), areas_of(past, 0.99, lr_power=0.1)
    found = area_columns(past, at, 0.99)
    for name in ("s1pt", "s2pt", "s1cpt", "s2cpt"):
        assert found[name].tobytes() == getattr(plain, name)[at - 1].tobytes()
    for name in ("s2pt", "s2cpt"):
        assert found[f"{name}_lr"].tobytes() == getattr(weighted, name)[at - 1].tobytes()


def bounded_problems(p: int, n: int = 300) -> tuple[np.ndarray, ...]:
    """Well-conditioned quadratics with bounds of every kind: none, one-sided, two-sided, and on the minimum."""
    rng = np.random.default_rng(p)
    rows = rng.normal(size=(n, p + 6, p))
    matrix, vector = rows.swapaxes(1, 2) @ rows, 5 * rng.normal(size=(n, p))
    lower = np.where(rng.random((n, p)) < 0.6, -rng.exponential(0.2, (n, p)), -np.inf)
    upper = np.where(rng.random((n, p)) < 0.6, rng.exponential(0.2, (n, p)), np.inf)
    lower[rng.random((n, p)) < 0.1] = 0.0
    return matrix, vector, lower, upper


@pytest.mark.parametrize("p", [1, 2, 5, 8])
@pytest.mark.parametrize("rounds", [1, varpro.ROUNDS])
def test_bounded_minima_are_those_of_scipy(p: int, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, vector, lower, upper = bounded_problems(p)
    monkeypatch.setattr(varpro, "ROUNDS", rounds)  # fewer leave some to the method that takes over
    found = varpro._quadratic(matrix, vector, lower, upper)
    assert np.all((found >= lower) & (found <= upper))
    assert np.mean((found == lower) | (found == upper)) > 0.1
    for k in range(len(found)):
        factor = np.linalg.cholesky(matrix[k])
        target = np.linalg.solve(factor, vector[k])
        expected = lsq_linear(factor.T, target, (lower[k] - 1e-300, upper[k] + 1e-300), method="bvls", tol=1e-14).x
        assert found[k] == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_shapes_solved_together_are_those_solved_alone() -> None:
    rng = np.random.default_rng(3)
    s1 = np.linspace(0.2, 4, 200)
    features = {"s1pt": np.minimum(s1, 3), "s1cpt": np.maximum(s1 - 3, 0), "s2pt": s1 / 50, "s2cpt": s1 / 90}
    loss = 3 + 0.4 * s1**-0.5 + 0.01 * rng.normal(size=len(s1))
    problem = Problem(get("cpt", "positive"), features, loss, 1e-3)
    low, high = problem.lower[problem.n_linear :], problem.upper[problem.n_linear :]
    shapes = low + rng.random((7, len(low))) * (high - low)
    columns = [problem.columns(u) for u in shapes]
    values, coefficients = varpro.solve(problem, *varpro._stacked(problem, columns))
    for k, there in enumerate(columns):
        value, c = varpro.solve(problem, *varpro._stacked(problem, [there]))
        assert value[0] == pytest.approx(values[k], rel=1e-9)
        assert there.predict(c[0]) == pytest.approx(there.predict(coefficients[k]), rel=1e-6)
    points = [np.concatenate([c, u]) for c, u in zip(coefficients, shapes, strict=True)]
    together = varpro._descend(problem, points)
    alone = [varpro._descend(problem, [point])[0][0] for point in points]
    assert [value for value, _ in together] == pytest.approx(alone, rel=1e-6)


def test_figures_have_the_style_that_seaborn_calls_ticks() -> None:
    seaborn = pytest.importorskip("seaborn")
    with seaborn.axes_style("ticks", style.RC), matplotlib.rc_context(style.RC):
        wanted = dict(matplotlib.rcParams)
    with style.context():
        mine = dict(matplotlib.rcParams)
    other = {key for key, value in wanted.items() if mine[key] != value}
    assert other == {"image.cmap"}  # no figure has a colour map by default


def test_reports_and_fits_start_without_drawing_or_training() -> None:
    modules = ("analyse", "curves", "findings", "trial_runs", "report", "summary")
    heavy = ("torch", "matplotlib", "seaborn", "statsmodels", "scipy")
    imports = "; ".join(f"import cpt_dynamics.cli.{module}" for module in modules)
    code = f"{imports}; import sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
