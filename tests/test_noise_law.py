"""The square-root noise law: against plain loops, derivatives, and the laws that are its limits."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpt_dynamics import areas, laws
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit, fit
from cpt_dynamics.laws import Array
from cpt_dynamics.laws.noise import Noise

NAMES = [name for name in laws.LAWS if "noise" in name]
RANGES = {
    "L0": (1.0, 3.0),
    "A": (0.1, 1.0),
    "alpha": (0.1, 1.5),
    "K": (0.1, 20.0),
    "M": (0.1, 20.0),
    "dK": (-0.1, 5.0),
    "c": (1.0, 500.0),
    "q": (0.1, 3.0),
    "p": (0.4, 1.5),
    "B": (-1.0, 1.0),
    "E": (0.5, 500.0),
    "beta": (0.05, 2.0),
    "nu": (0.1, 2.0),
    "mu": (0.1, 2.0),
}
REPLAY = 0.3
LRS = st.sampled_from([1e-4, 3e-4, 5e-4, 1e-3, 3e-3])
SCHEDULES = st.lists(LRS, min_size=2, max_size=14).map(lambda tail: [2e-3, *tail])


def features(lr: Any, switch: int, start: float | None = None) -> dict[str, Any]:
    """What the laws read at every step of one run; start: the LR before it."""
    past = areas.history(lr, switch, "true-in-both", initial_lr=start)
    found, n = areas.areas_of(past), len(past.forward)
    histories = np.empty(n, dtype=object)
    histories[:] = past
    s2 = {"s2pt": found.s2pt, "s2cpt": found.s2cpt}
    columns = {"s1pt": found.s1pt, "s1cpt": found.s1cpt, **s2, "replay": np.full(n, REPLAY)}
    return {**columns, "step": np.arange(1, n + 1), "history": histories}


def free(name: str) -> laws.Law:
    """The law with q free."""
    law = laws.get(name)
    return laws.Law(law.name, law.source, law.terms)


def point(law: laws.Law, data: st.DataObject) -> dict[str, float]:
    return {p.name: data.draw(st.floats(*RANGES[p.name]), p.name) for p in law.parameters}


def variance(lr: list[float], c: float, q: float, start: float) -> list[float]:
    """V in plain loops: the LR before step 1 minus what every change so far has brought."""
    result = []
    for t in range(1, len(lr) + 1):
        value = start
        for k in range(1, t + 1):
            before = lr[k - 2] if k > 1 else start
            value -= (before - lr[k - 1]) * (1 - (1 + c * sum(lr[k - 1 : t])) ** -q)
        result.append(max(value, 1e-12))
    return result


def by_hand(name: str, p: dict[str, float], lr: list[float], switch: int, start: float) -> Array:
    result = []
    for t, v in enumerate(variance(lr, p["c"], p["q"], start), 1):
        left = 0.0
        if "A" in p:
            area = sum((x / 1e-3) ** p["p"] for x in lr[:t]) / 1000 if "p" in p else sum(lr[:t])
            left = area ** -p["alpha"]
        speed, size = ((1 - REPLAY) ** p.get(name, 0.0) for name in ("nu", "mu"))
        shift = size * (1 - (1 + p["E"] * speed * sum(lr[switch:t])) ** -p["beta"]) if "B" in p else 0.0
        size = p["K"] + p.get("M", 0.0) * left + p.get("dK", 0.0) * shift
        result.append(p["L0"] + p.get("A", 0.0) * left + size * v**0.5 + p.get("B", 0.0) * shift)
    return np.array(result)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(NAMES), SCHEDULES, st.booleans(), st.data())
def test_a_law_is_its_formula_in_plain_loops(name: str, lr: list[float], known: bool, data: st.DataObject) -> None:
    switch = data.draw(st.integers(0, len(lr)), "switch")
    law = free(name)
    parameters = point(law, data)
    start = lr[0] if known else 0.0
    found = law.predict(parameters, features(lr, switch, start))
    np.testing.assert_allclose(found, by_hand(name, parameters, lr, switch, start), rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), SCHEDULES, st.data())
def test_derivatives_are_those_of_differences(name: str, lr: list[float], data: st.DataObject) -> None:
    law, x = free(name), features(lr, len(lr) // 2)
    parameters = point(law, data)
    found = law.jacobian(parameters, x)
    for j, one in enumerate(law.parameters):
        step = 1e-6 * max(abs(parameters[one.name]), 1e-3)
        up, down = ({**parameters, one.name: parameters[one.name] + sign * step} for sign in (1, -1))
        numeric = (law.predict(up, x) - law.predict(down, x)) / (2 * step)
        rounded = 1e-14 * np.abs(law.predict(parameters, x)).max() / step
        np.testing.assert_allclose(found[:, j], numeric, rtol=1e-5, atol=rounded)


def of_noise(lr: list[float], c: float, q: float) -> Array:
    """V as the law computes it."""
    law = free("noise")
    term = next(term for term in law.terms if isinstance(term, Noise))
    return term.variance({"c": c, "q": q}, features(lr, len(lr)))


DECAY = [2e-3] * 20 + list(np.linspace(2e-3, 1e-4, 15)) + [1e-4] * 25


def test_at_a_constant_lr_the_variance_is_the_lr() -> None:
    np.testing.assert_allclose(of_noise([3e-4] * 30, 100.0, 0.5), 3e-4, rtol=1e-12)


def test_with_one_rate_the_variance_relaxes_exponentially_in_area() -> None:
    """q to infinity at q*c = k: dV = k*lr*(lr - V), exact over steps of constant LR."""
    k, v, expected = 40.0, DECAY[0], []
    for lr in DECAY:
        v = lr + (v - lr) * np.exp(-k * lr)
        expected.append(v)
    np.testing.assert_allclose(of_noise(DECAY, k / 1e5, 1e5), expected, rtol=1e-4)


def test_without_the_root_it_is_the_multi_power_law_with_gamma_zero() -> None:
    x = features(DECAY, len(DECAY))
    law = laws.get("multi_power")
    multi = law.predict({"L0": 2.0, "A": 0.4, "alpha": 0.5, "B": 50.0, "C": 30.0, "beta": 0.5, "gamma": 0.0}, x)
    left = 2.0 + 0.4 * x["s1pt"] ** -0.5
    np.testing.assert_allclose(left + 50.0 * (of_noise(DECAY, 30.0, 0.5) - DECAY[0]), multi, rtol=1e-12)


def test_with_one_rate_in_steps_and_without_the_root_it_is_eq_1() -> None:
    """V that follows in steps is lr_1 - (1 - lambda)*S2 to the order of 1 - lambda."""
    lambda_, v, found = 0.99, DECAY[0], []
    for lr in DECAY:  # the recursion of V with a step as its clock
        v = lambda_ * v + (1 - lambda_) * lr
        found.append(v)
    s2 = areas.areas(DECAY, len(DECAY), lambda_, "true-in-both").s2pt
    np.testing.assert_allclose(DECAY[0] - np.array(found), (1 - lambda_) * s2, rtol=1e-9, atol=1e-15)


def test_an_lr_of_zero_changes_nothing() -> None:
    """No area passes, so neither the loss that is left nor the noise moves; S2 of Eq. 1 goes on growing there."""
    x = features([*DECAY, *[0.0] * 30], len(DECAY) + 30)
    loss = laws.get("noise").predict({"L0": 2.0, "A": 0.4, "alpha": 0.5, "K": 3.0, "c": 200.0}, x)
    assert np.ptp(loss[len(DECAY) :]) == pytest.approx(0.0, abs=1e-12)
    annealed = areas.areas([*DECAY, *[0.0] * 30], len(DECAY) + 30, 0.99, "true-in-both").s2pt
    assert annealed[-1] > 1.2 * annealed[len(DECAY)]


def test_two_checkpoints_of_one_area_end_equal_after_a_common_anneal() -> None:
    """Loss potential: what an anneal would still give is all that tells them apart."""
    cpt = list(np.linspace(1e-3, 0.0, 4000))
    constant, annealed = [1e-3] * 3000, [1.5e-3] * 1000 + list(np.linspace(1.5e-3, 0.0, 2000))
    assert sum(constant) == pytest.approx(sum(annealed))
    parameters = {"L0": 2.0, "A": 0.4, "alpha": 0.5, "K": 3.0, "c": 500.0}
    before, after = (
        [laws.get("noise").predict(parameters, features([*pt, *more], 3000))[-1] for pt in (constant, annealed)]
        for more in ([1e-9], cpt)
    )
    assert before[0] - before[1] > 0.03
    assert abs(after[0] - after[1]) < 0.1 * (before[0] - before[1])


def test_one_c_is_eq_4_with_equal_coefficients() -> None:
    x = features(DECAY, 30)
    parameters = {"L0": 2.0, "A": 0.4, "alpha": 0.5, "B": 0.3, "E": 50.0, "beta": 0.4}
    one = laws.get("cpt_one_c").predict({**parameters, "C": 7.0}, x)
    np.testing.assert_allclose(one, laws.get("cpt").predict({**parameters, "C1": 7.0, "C2": 7.0}, x), rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "free_parameters"),
    [
        ("noise", 5),
        ("noise_excess", 6),
        ("noise_peaks", 7),
        ("cpt_noise", 8),
        ("cpt_noise_shift", 9),
        ("cpt_unknown_noise", 6),
        ("cpt_unknown_noise_shift", 7),
        ("cpt_noise_replay", 10),
        ("cpt_unknown_noise_replay", 8),
    ],
)
def test_the_exponent_of_the_kernel_is_no_parameter(name: str, free_parameters: int) -> None:
    law = laws.get(name)
    assert law.held == {"q": 0.5}
    assert len(law.parameters) == free_parameters


@pytest.mark.parametrize("more", [{}, {"c": 200.0}])
def test_a_fit_returns_from_its_file(more: dict[str, float]) -> None:
    """The file states q, which the law itself holds."""
    x = features(DECAY, len(DECAY))
    law = laws.get("noise").fixed(**more)
    loss = law.predict({"L0": 2.0, "A": 0.4, "alpha": 0.5, "K": 3.0, "c": 200.0}, x)
    stored = plain(fit(law, x, loss, n_starts=1, n_screen=8).to_json())
    assert stored["held"] == {"q": 0.5, **more}
    again = Fit.from_json(stored)
    assert again.law == law
    np.testing.assert_allclose(again.predict(x), loss, rtol=1e-3)
    with pytest.raises(UserError, match="has no parameter 'q'"):
        Fit.from_json({**stored, "held": {**stored["held"], "q": 1.0}})
