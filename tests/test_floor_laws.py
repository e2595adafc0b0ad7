"""The floor law and the law with two memories: against plain loops, derivatives, and the laws that are their limits."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpt_dynamics import areas, curves, laws
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting import fit, prediction_warnings
from cpt_dynamics.fitting.comparison import merged
from cpt_dynamics.laws import Array
from cpt_dynamics.laws.floor import decayed, floor
from cpt_dynamics.laws.memories import two_memories

RANGES = {
    "L0": (1.0, 3.0),
    "A": (0.1, 1.0),
    "alpha": (0.1, 1.5),
    "K": (0.1, 1.0),
    "K1": (0.1, 1.0),
    "K2": (0.1, 1.0),
    "k": (0.2, 5000.0),
    "k1": (0.2, 5000.0),
    "k2": (0.2, 5000.0),
    "p": (0.4, 1.5),
    "q": (0.1, 2.0),
    "B": (-1.0, 1.0),
    "E": (0.5, 500.0),
    "beta": (0.05, 2.0),
}
NAMES = ("floor", "floor_two_rates", "cpt_floor")
LRS = st.sampled_from([0.0, 1e-4, 3e-4, 5e-4, 1e-3, 3e-3, 0.5])  # the last one ends blocks of the sum at once
SCHEDULES = st.lists(LRS, min_size=2, max_size=14).map(lambda tail: [2e-3, *tail])
DECAY = [1e-3] * 300 + list(np.linspace(1e-3, 1e-5, 200))


def features(lr: Any, switch: int, start: float | None = None) -> dict[str, Any]:
    """What the laws read at every step of one run; start: the LR before it."""
    past = areas.history(lr, switch, "true-in-both", initial_lr=start)
    found, n = areas.areas_of(past, 0.9), len(past.forward)
    columns = {name: getattr(found, name) for name in ("s1pt", "s2pt", "s1cpt", "s2cpt")}
    return {**columns, "step": np.arange(1, n + 1), "history": np.full(n, past, dtype=object)}


def followed(lr: list[float], rate: float, power: float, start: float) -> list[float]:
    """N in a plain loop."""
    found, result = (start / 1e-3) ** power, []
    for one in lr:
        found += (1 - np.exp(-rate * one)) * ((one / 1e-3) ** power - found)
        result.append(found)
    return result


def by_hand(p: dict[str, float], lr: list[float], switch: int, start: float) -> Array:
    result = []
    numbers = [n for n in ("", "1", "2") if f"K{n}" in p]
    floors = {n: followed(lr, p[f"k{n}"], p.get("q", 1.0), start) for n in numbers}
    for t in range(1, len(lr) + 1):
        area = sum((x / 1e-3) ** p["p"] for x in lr[:t]) / 1000 if "p" in p else sum(lr[:t])
        shift = p["B"] * (1 - (1 + p["E"] * sum(lr[switch:t])) ** -p["beta"]) if "B" in p else 0.0
        heights = sum(p[f"K{n}"] * floors[n][t - 1] for n in numbers)
        result.append(p["L0"] + p["A"] * area ** -p["alpha"] + heights + shift)
    return np.array(result)


def point(law: laws.Law, data: st.DataObject) -> dict[str, float]:
    return {p.name: data.draw(st.floats(*RANGES[p.name]), p.name) for p in law.parameters}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES), SCHEDULES, st.booleans(), st.data())
def test_a_law_is_its_formula_in_plain_loops(name: str, lr: list[float], known: bool, data: st.DataObject) -> None:
    switch = data.draw(st.integers(0, len(lr)), "switch")
    law = laws.get(name)
    parameters, start = point(law, data), lr[0] if known else 0.0
    found = law.predict(parameters, features(lr, switch, start))
    np.testing.assert_allclose(found, by_hand(parameters, lr, switch, start), rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), SCHEDULES, st.data())
def test_derivatives_are_those_of_differences(name: str, lr: list[float], data: st.DataObject) -> None:
    law, x = laws.get(name), features(lr, len(lr) // 2)
    parameters = point(law, data)
    found = law.jacobian(parameters, x)
    for j, one in enumerate(law.parameters):
        step = 1e-6 * max(abs(parameters[one.name]), 1e-3)
        up, down = ({**parameters, one.name: parameters[one.name] + sign * step} for sign in (1, -1))
        numeric = (law.predict(up, x) - law.predict(down, x)) / (2 * step)
        rounded = 1e-14 * np.abs(law.predict(parameters, x)).max() / step
        np.testing.assert_allclose(found[:, j], numeric, rtol=1e-4, atol=rounded + 1e-6 * np.abs(found[:, j]).max())


def test_sums_over_far_more_than_an_exponential_can_hold() -> None:
    spent, falls = np.linspace(0.0, 20_000.0, 4001), np.random.default_rng(1).normal(size=4001)
    expected, last = [], 0.0
    for j, fall in enumerate(falls):
        last = last * np.exp(spent[max(j - 1, 0)] - spent[j]) + fall
        expected.append(last)
    np.testing.assert_allclose(decayed(spent, falls), expected, rtol=1e-10)


def test_relaxing_in_steps_it_is_eq_1() -> None:
    """A floor linear in the LR that follows it in steps is lr_1 - (1 - lambda)*S2, in units of 0.001."""
    lambda_, found, result = 0.99, DECAY[0], []
    for lr in DECAY:
        found = lambda_ * found + (1 - lambda_) * lr
        result.append(found / 1e-3)
    s2 = areas.areas(DECAY, len(DECAY), lambda_, "true-in-both").s2pt
    np.testing.assert_allclose(result, (DECAY[0] - (1 - lambda_) * s2) / 1e-3, rtol=1e-9, atol=1e-13)
    # while the LR changes little within a memory, steps at that LR and area are one clock
    x = features([1e-3] * 300 + [9.5e-4] * 200, 500)
    s2 = areas.areas_of(x["history"][0], lambda_).s2pt
    area = floor(linear=True).value({"k": -np.log(lambda_) / 1e-3}, x)
    np.testing.assert_allclose(area, 1 - (1 - lambda_) * s2 / 1e-3, atol=2e-3)


def test_two_equal_rates_are_one() -> None:
    x = features(DECAY, 400)
    left = {"L0": 2.0, "A": 0.4, "alpha": 0.5}
    two = laws.get("floor_two_rates").predict({**left, "K1": 0.1, "k1": 9.0, "K2": 0.2, "k2": 9.0}, x)
    shift = {"B": 0.0, "E": 1.0, "beta": 1.0}
    one = laws.get("cpt_floor").predict({**left, **shift, "K": 0.3, "k": 9.0, "q": 1.0}, x)
    np.testing.assert_allclose(two, one, rtol=1e-12)


def test_an_lr_of_zero_changes_nothing() -> None:
    x = features([*DECAY, *[0.0] * 30], len(DECAY) + 30)
    loss = laws.get("floor").predict({"L0": 2, "A": 0.4, "alpha": 0.5, "p": 0.7, "K": 0.3, "k": 8.0, "q": 0.5}, x)
    assert np.ptp(loss[len(DECAY) :]) == pytest.approx(0.0, abs=1e-12)


def test_merged_falls_are_close() -> None:
    table = pd.DataFrame(features(DECAY, len(DECAY)))
    parameters = {"k": 8.0, "q": 0.5}
    law = laws.get("floor")
    exact, close = (floor().value(parameters, law.arrays(one)) for one in (table, merged(table, 8)))
    assert 0 < np.abs(exact - close).max() < 0.02


# --- two memories


def test_two_memories_by_hand() -> None:
    x = features(DECAY, 200)
    point = {"L0": 2.0, "A": 0.4, "alpha": 0.5, "B": 0.3, "E": 50.0, "beta": 0.4, "Cf": 3.0, "Cs": 7.0}
    found = laws.get("cpt_two_memories").predict(point, x)
    s2 = {m: areas.areas(DECAY, len(DECAY), m, "true-in-both").s2pt for m in (0.95, 0.995)}
    base = laws.get("s1_only").predict({k: v for k, v in point.items() if k not in ("Cf", "Cs")}, x)
    np.testing.assert_allclose(found, base - 3.0 * s2[0.95] - 7.0 * s2[0.995], rtol=1e-12)


def test_two_equal_memories_are_eq_4_with_one_c() -> None:
    x = features(DECAY, 200)  # its areas have a memory of .9
    point = {"L0": 2.0, "A": 0.4, "alpha": 0.5, "B": 0.3, "E": 50.0, "beta": 0.4}
    found = two_memories(0.9, 0.9).predict({**point, "Cf": 3.0, "Cs": 4.0}, x)
    np.testing.assert_allclose(found, laws.get("cpt_one_c").predict({**point, "C": 7.0}, x), rtol=1e-12)


# --- the LR of a checkpoint whose pre-training is unknown


def continued(**initial: float) -> pd.DataFrame:
    lr = np.concatenate([np.full(50, 5e-4), np.linspace(5e-4, 0, 51)[1:]])
    plan = pd.DataFrame({"run": "a", "step": np.arange(1, 101), "phase": "continual", "lr": lr})
    rows = plan.assign(phase_step=plan["step"])
    return curves.features(rows, plan, 0.9, initial_lr=initial or None)


def test_the_noise_of_a_checkpoint_starts_at_its_lr() -> None:
    law, point = laws.get("cpt_unknown_noise"), {"L0": 2.0, "K": 3.0, "c": 40.0, "B": 0.0, "E": 1.0, "beta": 1.0}
    annealed, stable, same = (law.predict(point, continued(**x)) for x in ({}, {"a": 1e-3}, {"a": 5e-4}))
    assert annealed[0] < same[0] < stable[0]
    assert same[:50] == pytest.approx(2.0 + 3.0 * np.sqrt(5e-4))  # nothing changes before the decay
    assert continued(a=5e-4)["s2cpt"].iloc[49] == 0.0
    assert continued()["s2cpt"].iloc[49] < 0.0 < continued(a=1e-3)["s2cpt"].iloc[49]


def test_an_initial_lr_that_cannot_be_is_refused() -> None:
    for wrong in (-1e-4, float("nan"), float("inf")):
        with pytest.raises(UserError, match="the LR of run 'a' before its first step"):
            continued(a=wrong)
    plan = pd.DataFrame({"run": "a", "step": [1, 2], "phase": ["pretraining", "continual"], "lr": 1e-3})
    with pytest.raises(UserError, match="has 1 steps of pre-training, which tell its LR"):
        curves.features(plan, plan, initial_lr={"a": 1e-3})


def test_steps_at_zero_lr_are_warned_of_where_memories_go_on() -> None:
    table = pd.DataFrame(features([*DECAY[:-1], *[0.0] * 60], 300))
    point = {"L0": 2.0, "A": 0.4, "alpha": 0.5, "B": 0.3, "E": 50.0, "beta": 0.4, "Cf": 3.0, "Cs": 7.0}
    for name, n in (("cpt_two_memories", 1), ("cpt_floor", 0)):
        law = laws.get(name)
        loss = law.predict({**point, "K": 0.2, "k": 9.0, "q": 0.5}, table)
        found = fit(law, table, loss, n_starts=1, n_screen=8)
        lines = [line for line in prediction_warnings(found, table) if "the LR is 0 for" in line]
        assert len(lines) == n
