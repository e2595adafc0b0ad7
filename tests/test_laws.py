"""Laws: derivatives against finite differences, limits, registry, published values."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpt_dynamics import laws
from cpt_dynamics.errors import UserError
from cpt_dynamics.laws import LAWS

FEATURES = {
    "s1pt": np.array([0.5, 2.0, 4.0, 4.0, 4.0, 4.0]),
    "s2pt": np.array([0.0, 0.1, 0.15, 0.15, 0.15, 0.15]),
    "s1cpt": np.array([0.0, 0.0, 0.0, 1e-3, 0.4, 2.5]),
    "s2cpt": np.array([0.0, 0.0, 0.0, -0.02, 0.05, 0.1]),
    "phase_step": np.array([10.0, 100.0, 500.0, 1.0, 30.0, 900.0]),
}


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-2, 1e4), st.floats(-2, 2))
def test_the_log_form_is_the_power_form_of_small_beta(rate: float, product: float) -> None:
    beta = 1e-9
    power = laws.get("shift_power").predict({"B": product / beta, "E": rate, "beta": beta}, FEATURES)
    log = laws.get("shift_log").predict({"B": product, "E": rate}, FEATURES)
    assert power == pytest.approx(log, rel=1e-6, abs=1e-12)


def test_eq_4_by_hand() -> None:
    published = {
        "L0": 3.057,
        "A": 0.490,
        "alpha": 0.497,
        "B": 0.366,
        "E": 28,
        "beta": 0.189,
        "C1": 0.299,
        "C2": 0.298,
    }
    found = laws.get("cpt").predict(published, FEATURES)[5]
    shift = 0.366 * (1 - (1 + 28 * 2.5) ** -0.189)
    assert found == pytest.approx(3.057 + 0.490 * 6.5**-0.497 - 0.299 * 0.15 - 0.298 * 0.1 + shift, rel=1e-12)


def test_with_equal_coefficients_and_no_shift_eq_4_is_eq_2() -> None:
    point = {
        "L0": 3.0,
        "A": 0.5,
        "alpha": 0.5,
        "C": 0.3,
        "C1": 0.3,
        "C2": 0.3,
        "B": 0.0,
        "E": 1.0,
        "beta": 1.0,
    }
    whole, annealing = (laws.get(name).predict(point, FEATURES) for name in ("cpt", "annealing"))
    assert whole == pytest.approx(annealing, rel=1e-14)


def test_every_law_is_complete() -> None:
    for name, law in LAWS.items():
        assert law.name == name
        assert law.source
        assert all(p.description for p in law.parameters)
        assert not law.baseline or law.baseline in LAWS
        assert pickle.loads(pickle.dumps(law)) == law


def test_the_sign_of_the_shift_is_a_bound() -> None:
    signs = {s: laws.get("cpt", s).bounds(FEATURES)["B"] for s in ("positive", "negative", "free")}
    assert signs == {"positive": (0, np.inf), "negative": (-np.inf, 0), "free": (-np.inf, np.inf)}
    assert laws.get("annealing", "positive") == LAWS["annealing"]


def test_bounds_follow_the_unit_of_the_area() -> None:
    scaled = {**FEATURES, "s1cpt": FEATURES["s1cpt"] * 1000}
    low, high = laws.get("cpt").bounds(FEATURES)["E"]
    assert laws.get("cpt").bounds(scaled)["E"] == pytest.approx((low / 1000, high / 1000))


def test_mistakes_are_explained() -> None:
    with pytest.raises(UserError, match="there is no law 'cpp'"):
        laws.get("cpp")
    with pytest.raises(UserError, match="choose positive"):
        laws.get("cpt", "up")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no parameter 'Z'"):
        laws.get("cpt").bounded(Z=(0, 1))
    with pytest.raises(UserError, match="cannot be used"):
        laws.get("cpt").bounded(A=(1, 2))
    with pytest.raises(UserError, match="needs the feature 's2cpt'"):
        laws.get("cpt").basis({"alpha": 1, "E": 1, "beta": 1}, {k: FEATURES[k] for k in ("s1pt", "s1cpt", "s2pt")})
