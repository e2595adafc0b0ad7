"""Averages of fits: weights, what they predict, files, and their place in a comparison of laws."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds.curves import areas_at, losses

from cpt_dynamics import fitting, laws
from cpt_dynamics.areas import AreaSettings, history
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Average, average, stack
from cpt_dynamics.fitting.average import simplex
from cpt_dynamics.fitting.comparison import Averaged, compare
from cpt_dynamics.planning import Scenario
from cpt_dynamics.schedules import Schedule

STEPS, PEAK, NOISE = 600, 1e-2, 5e-4
TRUTH = {"L0": 2.5, "A": 0.9, "alpha": 0.5, "C": 0.15}
SHAPES = {
    "constant": [1.0, 1.0, 1.0],
    "late": [1.0, 1.0, 0.0],
    "early": [1.0, 0.2, 0.1],
    "slope": [1.0, 0.5, 0.0],
    "short": [1.0, 0.9, 0.1],
}


@cache
def features() -> pd.DataFrame:
    """Pre-training under five schedules."""
    parts = []
    for name, heights in SHAPES.items():
        lr = PEAK * np.interp(np.arange(STEPS), [0, STEPS / 2, STEPS - 1], heights)
        step = np.arange(50, STEPS + 1, 25)
        columns: dict[str, Any] = {**areas_at(lr, STEPS, step, 0.97), "history": history(lr, STEPS, warmup_steps=0)}
        parts.append(pd.DataFrame({"run": name, "step": step, "phase": "pretraining", "validation": "law", **columns}))
    return pd.concat(parts, ignore_index=True)


def loss() -> np.ndarray:
    return losses("annealing", TRUTH, features(), NOISE, 1)


@cache
def fits() -> tuple[fitting.Fit, ...]:
    return tuple(
        fitting.fit(name, features(), loss()) for name in ("annealing_s1_only", "annealing", "floor_two_rates")
    )


def test_equal_weights_are_the_mean() -> None:
    found = average(fits())
    expected = np.mean([one.predict(features()) for one in fits()], axis=0)
    np.testing.assert_allclose(found.predict(features()), expected, rtol=1e-14)
    assert found.weights == pytest.approx([1 / 3] * 3)
    assert found.name == "annealing_s1_only+annealing+floor_two_rates"
    assert {"s1pt", "s2pt", "history"} <= set(found.law.inputs)


def test_an_average_is_one_law() -> None:
    third = fitting.fit(laws.get("annealing").fixed(alpha=0.4, L0=2.4), features(), loss(), n_starts=1, n_screen=8)
    found = Average((*fits(), third), (0.1, 0.2, 0.3, 0.4), "stacked")
    law, point = found.law, found.parameters
    assert {p.name for p in law.parameters} == set(point)
    assert law.held == {"L0_4": pytest.approx(0.96), "alpha_4": 0.4}
    np.testing.assert_allclose(law.predict(point, features()), found.predict(features()), rtol=1e-12)
    assert law.formula().startswith("L0_1 + A_1*(s1pt + s1cpt)^-alpha_1 + L0_2".replace("s1", "S1"))
    jacobian = law.jacobian(point, features())
    for i, p in enumerate(law.parameters):
        step = 1e-6 * abs(point[p.name])
        up, down = (law.predict({**point, p.name: point[p.name] + sign * step}, features()) for sign in (1, -1))
        np.testing.assert_allclose(jacobian[:, i], (up - down) / (2 * step), rtol=1e-4, atol=1e-6)


def test_an_average_plans() -> None:
    """It goes where a fit goes: here the losses that a schedule leads to."""
    scenario = Scenario(Schedule(shape="constant"), 400, Schedule(shape="cosine"), 200, PEAK)
    ends = np.array([scenario.ends(found) for found in fits()])
    assert scenario.ends(average(fits())) == pytest.approx(ends.mean(axis=0), rel=1e-12)


def test_stacked_weights_leave_out_the_law_that_is_wrong() -> None:
    found = stack(fits()[:2], features(), loss())
    assert found.name == "stacked:annealing_s1_only+annealing"
    assert sum(found.weights) == pytest.approx(1.0)
    assert found.weights[1] > 0.97
    part = found.weights[0] * fits()[0].predict(features()) + found.weights[1] * fits()[1].predict(features())
    np.testing.assert_allclose(found.predict(features()), part, rtol=1e-14)


def test_stacked_weights_come_from_curves_that_were_left_out() -> None:
    steep = laws.get("annealing").fixed(C=0.3)  # twice the true one, so that both laws miss, to either side
    pair = fits()[0], fitting.fit(steep, features(), loss())
    found = stack(pair, features(), loss())
    errors = []
    for one in pair:
        parts = []
        for run in SHAPES:
            inside = (features()["run"] == run).to_numpy()
            refit = fitting.fit(one.law, features()[~inside], loss()[~inside])
            error = refit.predict(features()[inside]) / loss()[inside] - 1
            parts.append(error / np.sqrt(len(error)))
        errors.append(np.concatenate(parts))
    shares = np.linspace(0, 1, 2001)
    squares = [np.sum((share * errors[0] + (1 - share) * errors[1]) ** 2) for share in shares]
    assert 0.2 < found.weights[0] < 0.8
    assert found.weights[0] == pytest.approx(shares[int(np.argmin(squares))], abs=0.002)


@pytest.mark.parametrize("seed", range(5))
def test_weights_of_a_simplex_are_the_best(seed: int) -> None:
    random = np.random.default_rng(seed)
    errors = random.normal(size=(40, 3)) * [1.0, 0.7, 2.0] * 1e-3 + 5e-4 * random.normal(size=(40, 1))
    weights = simplex(errors)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0)
    best = np.sum((errors @ weights) ** 2)
    others = random.dirichlet(np.ones(3), size=4000)
    assert best <= np.sum((others @ errors.T) ** 2, axis=1).min() * (1 + 1e-9)
    assert simplex(np.zeros((4, 3))).sum() == pytest.approx(1.0)


def test_an_average_returns_from_its_file() -> None:
    found = stack(fits()[:2], features(), loss())
    again = Average.from_json(plain(found.to_json()))
    assert again.weights == found.weights
    np.testing.assert_array_equal(again.predict(features()), found.predict(features()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": [0.5, 0.6]}, "a sum of 1"),
        ({"weights": [1.0]}, "weights"),
        ({"weights": [0.2, 0.3, 0.5]}, "one weight a fit"),
        ({"weights": [-0.5, 1.5]}, "weights"),
        ({"weighting": "best"}, "weighting"),
        ({"fits": [{}, {}]}, "this is not a fit"),
    ],
)
def test_a_file_that_is_no_average_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Average.from_json({**plain(average(fits()[:2]).to_json()), **change})


def test_fits_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(UserError, match="at least two fits, has 1"):
        average(fits()[:1])
    shift = fitting.fit("shift_log", {"s1cpt": [0.1, 0.2, 0.4]}, [0.1, 0.2, 0.3])
    with pytest.raises(UserError, match="of a difference of losses"):
        average([fits()[0], shift])
    settings = [np.full(len(features()), AreaSettings(lambda_), dtype=object) for lambda_ in (0.9, 0.99)]
    made = [features().assign(settings=one) for one in settings]
    with pytest.raises(UserError, match="areas made in several ways"):
        average([fitting.fit("annealing_s1_only", table, loss()) for table in made])


def test_averages_are_compared_with_laws() -> None:
    table = features().assign(loss=loss())
    names = ("annealing", "annealing_s1_only")
    parts = tuple(laws.get(name) for name in names)
    entries: dict[str, Any] = dict(zip(names, parts, strict=True))
    entries |= {"mean": Averaged(parts), "stacked": Averaged(parts, stacked=True)}
    found = compare(entries, table, ["constant", "late", "early", "short"], ["slope"])["laws"]
    errors = {name: one["mean"]["all"]["mean_relative_error"] for name, one in found.items()}
    assert errors["annealing"] < errors["mean"] < errors["annealing_s1_only"]
    assert errors["stacked"] < 0.2 * errors["mean"]
    assert found["mean"]["parameters"] == {f"weight of {name}": 0.5 for name in names}
    assert found["stacked"]["law"] == "stacked:annealing+annealing_s1_only"
    again = Average.from_json(found["stacked"]["average"])
    rows = table[table["run"] == "slope"]
    relative = np.abs(again.predict(rows) / rows["loss"] - 1).mean()
    assert relative == pytest.approx(errors["stacked"])
