"""S1 and S2: the recurrence against the double sum, the conventions, and the speed."""

import time
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpt_dynamics.areas import Warmup, areas, warmup_length
from cpt_dynamics.errors import UserError

RATES = st.lists(st.floats(0, 1e-2), min_size=1, max_size=40)
NAMES = ("s1pt", "s2pt", "s1cpt", "s2cpt")


def double_sum(lr: np.ndarray, lambda_: float) -> np.ndarray:
    """S2 after every step as arXiv 2505.07796 prints it, the LR before step 1 being that of step 1."""
    drops = np.concatenate([[0.0], lr[:-1] - lr[1:]])
    return np.array(
        [sum(drops[k] * lambda_ ** (i - k) for i in range(t + 1) for k in range(i + 1)) for t in range(len(lr))]
    )


@settings(max_examples=60, deadline=None)
@given(RATES, st.floats(0, 1), st.sampled_from([0.0, 0.9, 0.999]))
def test_the_recurrence_is_the_double_sum(rates: list[float], share: float, lambda_: float) -> None:
    lr = np.array(rates)
    switch = int(share * len(lr))
    found = areas(lr, switch, lambda_, warmup="true-in-both")
    assert found.s2pt + found.s2cpt == pytest.approx(double_sum(lr, lambda_), rel=1e-9, abs=1e-12)
    assert found.s1pt + found.s1cpt == pytest.approx(np.cumsum(lr), rel=1e-12, abs=1e-15)


@settings(max_examples=60, deadline=None)
@given(RATES, RATES)
def test_without_carry_over_the_phases_are_two_runs(before: list[float], after: list[float]) -> None:
    found = areas(before + after, len(before), 0.99, "true-in-both", carry_over=False)
    restarted = areas(before[-1:] + after, 1, 0.99, "true-in-both")
    assert found.s2cpt[len(before) :] == pytest.approx(restarted.s2cpt[1:], rel=1e-9, abs=1e-12)
    assert found.s2pt[: len(before)] == pytest.approx(double_sum(np.array(before), 0.99), rel=1e-9, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(RATES, st.floats(0, 1), st.floats(1e-3, 1e3), st.sampled_from(get_args(Warmup)), st.booleans())
def test_areas_grow_with_the_unit_of_the_lr(
    rates: list[float], share: float, unit: float, warmup: Warmup, carry_over: bool
) -> None:
    lr, switch = np.array(rates), int(share * len(rates))
    once = areas(lr, switch, 0.99, warmup, carry_over=carry_over)
    scaled = areas(unit * lr, switch, 0.99, warmup, warmup_length(lr[:switch]), carry_over)
    for name in NAMES:
        assert getattr(scaled, name) == pytest.approx(unit * getattr(once, name), rel=1e-9, abs=1e-12 * unit)


@settings(max_examples=60, deadline=None)
@given(RATES, st.floats(0.1, 10), st.floats(0.05, 1))
def test_areas_weighted_by_the_lr_grow_with_a_power_of_its_unit(
    rates: list[float], unit: float, lr_power: float
) -> None:
    lr = np.array(rates)
    once, scaled = (areas(k * lr, 0, 0.99, lr_power=lr_power).s2cpt for k in (1.0, unit))
    assert scaled == pytest.approx(unit ** (1 + lr_power) * once, rel=1e-9, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(RATES, st.floats(0, 1), st.floats(0, 1), st.sampled_from(get_args(Warmup)))
def test_with_carry_over_the_phases_add_up_to_the_whole_run(
    rates: list[float], share: float, rise: float, warmup: Warmup
) -> None:
    switch = int(share * len(rates))
    peak = int(rise * switch)
    parts, whole = (areas(rates, n, 0.99, warmup, peak) for n in (switch, len(rates)))
    assert parts.s1pt + parts.s1cpt == pytest.approx(whole.s1pt, rel=1e-12, abs=1e-15)
    assert parts.s2pt + parts.s2cpt == pytest.approx(whole.s2pt, rel=1e-9, abs=1e-15)


@settings(max_examples=60, deadline=None)
@given(RATES, st.floats(0, 1), st.booleans())
def test_warmup_conventions_agree_where_there_is_no_warmup(rates: list[float], share: float, carry_over: bool) -> None:
    lr = np.array([max(rates), *rates])  # it starts at its peak
    found = [areas(lr, int(share * len(lr)), 0.99, warmup, carry_over=carry_over) for warmup in get_args(Warmup)]
    for other in found[1:]:
        assert all(np.array_equal(getattr(found[0], name), getattr(other, name)) for name in NAMES)


def test_pretraining_areas_stay_after_the_switch() -> None:
    lr = np.concatenate([np.linspace(1e-3, 1e-4, 50), np.full(30, 5e-4)])
    found = areas(lr, 50)
    assert np.all(found.s1pt[50:] == found.s1pt[49])
    assert np.all(found.s2pt[50:] == found.s2pt[49])
    assert np.all(found.s1cpt[:50] == 0)
    assert np.all(found.s2cpt[:50] == 0)
    assert found.s2pt[49] > 0


def test_warmup_conventions() -> None:
    lr = np.concatenate([np.arange(1, 11) * 1e-4, np.full(20, 1e-3)])
    peak, forward, both = (areas(lr, 30, warmup=w) for w in ("peak", "true-in-S1", "true-in-both"))
    assert peak.s1pt[-1] == pytest.approx(30e-3)
    assert forward.s1pt[-1] == both.s1pt[-1] == pytest.approx(lr.sum())
    assert np.all(peak.s2pt == 0)
    assert np.all(forward.s2pt == 0)
    assert both.s2pt[-1] < 0


def test_rewarmup_of_cpt_is_negative_annealing() -> None:
    lr = np.concatenate([np.linspace(1e-3, 1e-4, 100), np.linspace(1e-4, 1e-3, 50)])
    found = areas(lr, 100, 0.99, carry_over=False)
    assert np.all(np.diff(found.s2cpt[101:]) < 0)


def test_an_unknown_pretraining_starts_from_the_stated_lr() -> None:
    risen = areas(np.full(10, 1e-3), 0, 0.9, initial_lr=0.0)
    assert risen.s2cpt[0] == pytest.approx(-1e-3)
    assert areas(np.full(10, 1e-3), 0, 0.9).s2cpt[-1] == 0


@pytest.mark.parametrize(
    ("lr", "expected"),
    [([], 0), ([1.0], 1), ([1, 1, 1], 1), ([0, 1, 2, 2, 1, 5], 3), ([3, 2, 9], 1), ([1, 2, 3], 3)],
)
def test_warmup_length(lr: list[float], expected: int) -> None:
    assert warmup_length(lr) == expected


def test_a_million_steps_take_milliseconds() -> None:
    lr = np.random.default_rng(0).random(1_000_000) * 1e-3
    areas(lr[:10], 5)  # import scipy.signal
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        areas(lr, 600_000)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1  # 0.04 s on a laptop core; a Python loop takes a second


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lr": [1.0, -1.0], "pretraining_steps": 1}, "non-negative"),
        ({"lr": [1.0, float("nan")], "pretraining_steps": 1}, "finite"),
        ({"lr": [1.0], "pretraining_steps": 2}, "pretraining_steps"),
        ({"lr": [1.0], "pretraining_steps": 1, "lambda_": 1.0}, "lambda"),
        ({"lr": [1.0], "pretraining_steps": 1, "warmup": "none"}, "warmup"),
        ({"lr": [1.0], "pretraining_steps": 1, "warmup_steps": 5}, "warmup_steps"),
    ],
)
def test_bad_input_is_explained(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        areas(**arguments)  # type: ignore[arg-type]
