"""Laws that sum over changes of the LR: against plain loops, derivatives, limits."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpt_dynamics import areas, laws
from cpt_dynamics.laws import Array, drops

NAMES = ("multi_power", "cpt_multi_power", "fsl", "fsl_rewarm", "cpt_fsl")
RANGES = {
    "alpha": (0.1, 1.5),
    "s": (0.1, 1.5),
    "gamma": (0.0, 1.2),
    "C": (0.05, 20.0),
    "c": (0.05, 20.0),
    "c4": (0.5, 500.0),
    "b": (0.05, 2.0),
    "g": (0.05, 2.0),
    "beta": (0.05, 2.0),
    "E": (0.5, 500.0),
    "L0": (1.0, 3.0),
    "A": (0.1, 1.0),
    "c1": (0.1, 1.0),
}
LRS = st.sampled_from([0.0, 1e-4, 3e-4, 5e-4, 1e-3, 3e-3])
SCHEDULES = st.lists(LRS, min_size=2, max_size=14).map(lambda tail: [2e-3, *tail])


def features(lr: Any, switch: int, merge: int = 1) -> dict[str, Any]:
    """What the laws read at every step of one run."""
    past = areas.history(lr, switch, "true-in-both", merge=merge)
    found, n = areas.areas_of(past), len(past.forward)
    histories = np.empty(n, dtype=object)
    histories[:] = past
    return {"s1pt": found.s1pt, "s1cpt": found.s1cpt, "step": np.arange(1, n + 1), "history": histories}


def parameters(name: str, data: st.DataObject) -> dict[str, float]:
    law = laws.get(name)
    kept = {"B": (0.1, 50.0)} if name == "multi_power" else {"B": (-1.0, 1.0)}
    ranges = {**RANGES, **kept}
    return {p.name: data.draw(st.floats(*ranges.get(p.name, (0.1, 50.0))), p.name) for p in law.parameters}


def by_hand(name: str, p: dict[str, float], lr: list[float], switch: int) -> Array:
    """The law at every step in plain loops: changes k from step 2 on, LR spent from step k to t."""
    forward = (p["A"], p["alpha"]) if "A" in p else (p["c1"], p["s"])
    result = []
    for t in range(1, len(lr) + 1):
        loss = p["L0"] + forward[0] * sum(lr[:t]) ** -forward[1]
        for k in range(2, t + 1):
            before, after, spent = lr[k - 2], lr[k - 1], sum(lr[k - 1 : t])
            loss -= (before - after) * effect(name, p, k > switch, before - after, after, spent, sum(lr[:k]))
        if name.startswith("cpt"):
            loss += p["B"] * (1 - (1 + p["E"] * sum(lr[switch:t])) ** -p["beta"])
        result.append(loss)
    return np.array(result)


def effect(name: str, p: dict[str, float], continual: bool, drop: float, lr: float, spent: float, area: float) -> float:
    """By how much the loss falls per unit of fallen LR."""
    if name.endswith("multi_power"):
        size = p["C2" if continual else "C1"] if name.startswith("cpt") else p["B"]
        rate, exponent = (p["c"], p["b"]) if name.startswith("cpt") else (p["C"], p["beta"])
        return size * (1 - (1 + rate * max(lr, 1e-12) ** -p["gamma"] * spent) ** -exponent)
    grown = 1 - (1 + p["c4"] * spent) ** -p["g"]
    if drop > 0:
        return (p["c2"] * area ** -p["s"] + p["c2c3"]) * grown
    return p["c5"] * grown if continual and name != "fsl" else 0.0


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES), SCHEDULES, st.data())
def test_a_law_is_its_formula_in_plain_loops(name: str, lr: list[float], data: st.DataObject) -> None:
    switch = data.draw(st.integers(1, len(lr)), "switch")
    point = parameters(name, data)
    found = laws.get(name).predict(point, features(lr, switch))
    assert found == pytest.approx(by_hand(name, point, lr, switch), rel=1e-9, abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES), SCHEDULES, st.data())
def test_the_jacobian_is_the_derivative(name: str, lr: list[float], data: st.DataObject) -> None:
    law, x = laws.get(name), features(lr, data.draw(st.integers(1, len(lr)), "switch"))
    point = parameters(name, data)
    jacobian = law.jacobian(point, x)
    for i, p in enumerate(law.parameters):
        step = 1e-5 * max(abs(point[p.name]), 1e-2)
        up = law.predict({**point, p.name: point[p.name] + step}, x)
        down = law.predict({**point, p.name: point[p.name] - step}, x)
        rounding = float(np.abs(up).max()) / step * 1e-15
        assert np.abs((up - down) / (2 * step) - jacobian[:, i]).max() <= 10 * (
            rounding + 1e-6 * np.abs(jacobian[:, i]).max() + 1e-9
        )


def decaying() -> Array:
    """Warm-up, stable, cosine to a tenth; then CPT: re-warm-up and a linear decay."""
    stable = np.concatenate([np.linspace(1e-5, 1e-3, 100), np.full(900, 1e-3)])
    cosine = 1e-4 + 9e-4 * (1 + np.cos(np.pi * np.arange(1, 1001) / 1000)) / 2
    return np.concatenate([stable, cosine, np.linspace(1e-4, 8e-4, 50), np.linspace(8e-4, 1e-4, 950)])


USUAL = {
    "multi_power": {"L0": 2.5, "A": 0.5, "alpha": 0.5, "B": 300.0, "C": 2.0, "beta": 0.6, "gamma": 0.6},
    "cpt_multi_power": {
        **{"L0": 2.5, "A": 0.5, "alpha": 0.5, "C1": 300.0, "C2": 250.0, "c": 2.0, "b": 0.6, "gamma": 0.6},
        **{"B": 0.3, "E": 30.0, "beta": 0.2},
    },
    "fsl": {"L0": 2.5, "c1": 0.5, "s": 0.5, "c2": 50.0, "c4": 60.0, "g": 0.6, "c2c3": 300.0},
    "fsl_rewarm": {"L0": 2.5, "c1": 0.5, "s": 0.5, "c2": 50.0, "c4": 60.0, "g": 0.6, "c2c3": 300.0, "c5": 200.0},
    "cpt_fsl": {
        **{"L0": 2.5, "c1": 0.5, "s": 0.5, "c2": 50.0, "c4": 60.0, "g": 0.6, "c2c3": 300.0, "c5": 200.0},
        **{"B": 0.3, "E": 30.0, "beta": 0.2},
    },
}


@pytest.mark.parametrize("name", NAMES)
def test_merged_changes_are_close_to_all_of_them(name: str) -> None:
    law, lr = laws.get(name), decaying()
    exact, coarse = (law.predict(USUAL[name], features(lr, 2000, merge)) for merge in (1, 8))
    assert len(features(lr, 2000, 8)["history"][0].events[0].drop) < 300
    assert np.abs(coarse - exact).max() < 1e-3
    assert np.abs(coarse - exact).mean() < 1e-4
    assert np.abs(coarse - exact).max() > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chunk", [1, 50, 10_000])
def test_blocks_and_the_order_of_rows_change_nothing(name: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    law, lr = laws.get(name), decaying()[::20]
    one, two = features(lr, 100), features(lr[::-1].copy(), 60)
    x = {key: np.concatenate([one[key], two[key]]) for key in one}
    order = np.random.default_rng(0).permutation(len(x["step"]))
    shuffled = {key: values[order] for key, values in x.items()}
    whole, jacobian = law.predict(USUAL[name], x), law.jacobian(USUAL[name], x)
    monkeypatch.setattr(drops, "CHUNK", chunk)
    assert law.predict(USUAL[name], shuffled) == pytest.approx(whole[order], rel=1e-13)
    assert law.jacobian(USUAL[name], shuffled) == pytest.approx(jacobian[order], rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_an_lr_of_zero_at_the_end_changes_nothing_more(name: str) -> None:
    law = laws.get(name)
    lr = np.concatenate([np.full(20, 1e-3), np.linspace(9e-4, 0.0, 10), np.zeros(10)])
    x = features(lr, 25)
    predicted = law.predict(USUAL[name], x)
    assert np.isfinite(predicted).all()
    assert np.isfinite(law.jacobian(USUAL[name], x)).all()
    assert predicted[29:] == pytest.approx(predicted[29], abs=1e-12)


@pytest.mark.parametrize(("name", "size"), [("multi_power", "B"), ("cpt_multi_power", "C2"), ("fsl_rewarm", "c5")])
def test_a_rise_of_the_lr_in_cpt_raises_the_loss(name: str, size: str) -> None:
    law, x = laws.get(name), features([1e-3] * 10 + [2e-3] * 10, 10)
    more = law.predict(USUAL[name], x) - law.predict({**USUAL[name], size: 0.0}, x)
    assert more[:10] == pytest.approx(0.0, abs=1e-12)
    assert (more[10:] > 0).all()
    assert (np.diff(more[10:]) > 0).all()


def test_without_rises_both_forms_of_the_functional_law_are_one() -> None:
    falling = features(np.concatenate([np.full(50, 1e-3), np.linspace(1e-3, 1e-5, 100)]), 80)
    plain, rewarm = (laws.get(name).predict(USUAL[name], falling) for name in ("fsl", "fsl_rewarm"))
    assert plain == pytest.approx(rewarm, rel=1e-14)
    rising = features(decaying()[::10], 200)
    plain, rewarm = (laws.get(name).predict(USUAL[name], rising) for name in ("fsl", "fsl_rewarm"))
    assert (rewarm[201:] > plain[201:] + 1e-4).all()


def test_without_a_shift_the_laws_of_cpt_are_those_of_pretraining() -> None:
    x, base = features(decaying()[::10], 200), USUAL["multi_power"]
    point = {"L0": 2.5, "A": 0.5, "alpha": 0.5, "C1": base["B"], "C2": base["B"], "c": base["C"], "b": base["beta"]}
    point |= {"gamma": base["gamma"], "B": 0.0, "E": 1.0, "beta": 1.0}
    assert laws.get("cpt_multi_power").predict(point, x) == pytest.approx(laws.get("multi_power").predict(base, x))
    unshifted = {**USUAL["cpt_fsl"], "B": 0.0}
    rewarm = laws.get("fsl_rewarm").predict(USUAL["fsl_rewarm"], x)
    assert laws.get("cpt_fsl").predict(unshifted, x) == pytest.approx(rewarm)


def test_a_steep_fall_acts_at_once_and_a_slow_law_later() -> None:
    """The loss drop grows with the LR spent after a fall, towards B times the fall."""
    x = features([1e-3] * 5 + [1e-4] * 4000, 4005)
    gain = {
        rate: -laws.get("multi_power").predict({**USUAL["multi_power"], "A": 0.0, "L0": 0.0, "C": rate}, x)
        for rate in (0.1, 1e6)
    }
    assert (np.diff(gain[0.1][4:]) > 0).all()
    assert gain[1e6][-1] == pytest.approx(300.0 * 9e-4, rel=1e-2)
    assert gain[0.1][-1] < gain[1e6][-1]
