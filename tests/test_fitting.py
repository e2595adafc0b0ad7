"""Fits: published points, recovery of known curves, the two methods, and what a fit says of itself."""

import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds.curves import areas_at, losses

from cpt_dynamics import fitting, laws
from cpt_dynamics.areas import AreaSettings, areas
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting import Fit
from cpt_dynamics.fitting.problem import Problem

PEAK = 2e-4
# arXiv 2505.07796, Fig. 3: FineWeb and Knowledge-Pile losses of the 106M model
PUBLISHED: dict[str, dict[str, float]] = {
    "positive": {
        "L0": 3.057,
        "A": 0.490,
        "alpha": 0.497,
        "B": 0.366,
        "E": 28,
        "beta": 0.189,
        "C1": 0.299,
        "C2": 0.298,
    },
    "negative": {
        "L0": 3.024,
        "A": 0.412,
        "alpha": 0.677,
        "B": -0.666,
        "E": 5662,
        "beta": 0.146,
        "C1": 0.278,
        "C2": 0.324,
    },
}
PRETRAINING = ("constant", "wsd", "cosine")
CONTINUAL = ("constant", "linear", "rewarmed cosine")


def pretraining(kind: str, steps: int = 20_000) -> np.ndarray:
    share = np.arange(1, steps + 1) / steps
    shapes = {
        "constant": np.ones(steps),
        "wsd": np.interp(share, [0.8, 1.0], [1.0, 0.1]),
        "cosine": 0.55 + 0.45 * np.cos(np.pi * share),
        "linear": np.interp(share, [0.3, 1.0], [1.0, 0.3]),
    }
    lr = PEAK * shapes[kind]
    lr[:500] = lr[499] * np.arange(1, 501) / 500
    return lr


def continual(kind: str, start: float, steps: int = 10_000) -> np.ndarray:
    share = np.arange(1, steps + 1) / steps
    if kind == "constant":
        return np.full(steps, start)
    if kind == "linear":
        return np.linspace(start, 0, steps)
    if kind == "square root":
        return np.asarray(start * (1 - np.sqrt(share)))
    lr: np.ndarray = PEAK * (0.55 + 0.45 * np.cos(np.pi * share))
    lr[:300] = np.linspace(start, lr[299], 300)
    return lr


def curves(pairs: Iterable[tuple[str, str]], every: int = 100) -> pd.DataFrame:
    """Areas of PT + CPT runs from step 1000 on, dense after the transfer, where the shift is steepest."""
    runs = []
    for before, after in pairs:
        first = pretraining(before)
        lr = np.concatenate([first, continual(after, first[-1])])
        steps = np.union1d(np.arange(1000, len(lr) + 1, every), len(first) + 2 ** np.arange(0, 7))
        runs.append(pd.DataFrame(areas_at(lr, len(first), steps)))
    return pd.concat(runs, ignore_index=True)


@cache
def noisy(sign: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Nine curves from published coefficients with a relative noise of 0.002."""
    features = curves((a, b) for a in PRETRAINING for b in CONTINUAL)
    return features, losses("cpt", PUBLISHED[sign], features, 0.002, seed=7)


@pytest.mark.parametrize("sign", ["positive", "negative"])
def test_known_curves_are_recovered_on_unseen_schedules(sign: Any) -> None:
    features, loss = noisy(sign)
    found = fitting.fit(laws.get("cpt", sign), features, loss)
    unseen = curves([("linear", "rewarmed cosine"), ("linear", "constant"), ("wsd", "square root")])
    expected = laws.get("cpt").predict(PUBLISHED[sign], unseen)
    assert np.abs(found.predict(unseen) / expected - 1).max() < 1e-3
    assert found.converged
    assert found.n_agree >= found.n_starts / 2
    assert not found.at_bounds
    assert not found.warnings
    assert found.metrics["all"]["mean_relative_error"] == pytest.approx(0.002 * np.sqrt(2 / np.pi), rel=0.05)
    problem = Problem(laws.get("cpt"), features, loss, 1e-3)
    assert found.objective < problem.value(problem.point(PUBLISHED[sign]))


@pytest.mark.parametrize("gradient", ["numerical", "analytic"])
def test_both_methods_find_one_minimum(gradient: Any) -> None:
    features = curves((kind, "constant") for kind in PRETRAINING)[::8]
    truth = {"L0": 3.0, "A": 0.5, "alpha": 0.5, "C": 0.3}
    loss = losses("annealing", truth, features, 0.002, seed=11)
    fast = fitting.fit("annealing", features, loss)
    slow = fitting.fit("annealing", features, loss, method="paper", n_starts=3, gradient=gradient)
    assert slow.objective == pytest.approx(fast.objective, rel=1e-5)
    assert fast.objective <= slow.objective * (1 + 1e-9)
    assert fast.data_hash == slow.data_hash


def test_both_methods_agree_on_the_cpt_law() -> None:
    features, loss = noisy("negative")
    features, loss = features[::16], loss[::16]
    law = laws.get("cpt", "negative")
    fast = fitting.fit(law, features, loss)
    slow = fitting.fit(law, features, loss, method="paper", n_starts=4, gradient="analytic")
    assert slow.objective == pytest.approx(fast.objective, rel=1e-4)
    assert fast.objective <= slow.objective * (1 + 1e-9)


@pytest.mark.parametrize("form", ["power", "exponential", "log"])
def test_the_shift_alone_is_recovered(form: str) -> None:
    law = laws.get(f"shift_{form}_t")
    truth = {name: {"B": -0.7, "E": 0.3, "beta": 0.13}[name] for name in (p.name for p in law.parameters)}
    features = {"phase_step": np.unique(np.geomspace(1, 1e4, 200).round())}
    found = fitting.fit(law, features, law.predict(truth, features))
    assert found.predict(features) == pytest.approx(law.predict(truth, features), abs=1e-6)


def test_units_of_the_learning_rate_do_not_matter() -> None:
    features, loss = noisy("positive")
    found = fitting.fit("cpt", features, loss)
    scaled = fitting.fit("cpt", features * 1e4, loss)
    assert scaled.objective == pytest.approx(found.objective, rel=1e-8)
    assert scaled.parameters["E"] * 1e4 == pytest.approx(found.parameters["E"], rel=1e-3)
    assert scaled.parameters["C1"] * 1e4 == pytest.approx(found.parameters["C1"], rel=1e-3)


def test_the_scaled_jacobian_is_the_derivative() -> None:
    features, loss = noisy("positive")
    problem = Problem(laws.get("cpt"), features[::40], loss[::40], 1e-3)
    v = problem.point({**PUBLISHED["positive"], "L0": 2.9})
    residual, jacobian = problem.evaluate(v)
    for i in range(len(v)):
        step = np.zeros_like(v)
        step[i] = 1e-6
        numerical = (problem.evaluate(v + step)[0] - problem.evaluate(v - step)[0]) / 2e-6
        assert -numerical == pytest.approx(jacobian[:, i], rel=1e-5, abs=1e-8)
    assert problem.objective(residual) == pytest.approx(problem.value(v), rel=1e-12)
    assert problem.parameters(v) == pytest.approx({**PUBLISHED["positive"], "L0": 2.9}, rel=1e-10)


def test_optimality_does_not_take_a_wrong_point_for_a_minimum() -> None:
    features, loss = noisy("positive")
    problem = Problem(laws.get("cpt"), features, loss, 1e-3)
    assert problem.optimality(problem.point({**PUBLISHED["positive"], "C2": 0.25})) > 0.01


def test_huber_by_hand() -> None:
    found = fitting.measure(np.array([1.0, 1.0]), np.exp([5e-4, -3e-3]), delta=1e-3)
    assert found["huber_sum"] == pytest.approx(5e-4**2 / 2 + 1e-3 * (3e-3 - 5e-4), rel=1e-9)
    assert found["huber_mean"] == pytest.approx(found["huber_sum"] / 2)
    assert "r2" not in found  # the observed values are all equal


def test_metrics_by_hand() -> None:
    found = fitting.measure(np.array([1.0, 2.0, 4.0]), np.array([1.1, 2.0, 3.8]))
    assert found["mae"] == pytest.approx(0.1)
    assert found["rmse"] == pytest.approx(np.sqrt(0.05 / 3))
    assert found["r2"] == pytest.approx(1 - 0.05 / (14 / 3))
    assert found["worst_relative_error"] == pytest.approx(0.1)
    assert found["mean_relative_error"] == pytest.approx(0.05)


def test_skill_is_what_annealing_explains() -> None:
    features, loss = noisy("positive")
    assert fitting.fit_skill(fitting.fit("cpt", features, loss), features, loss) > 0.5
    flat = {**PUBLISHED["positive"], "C1": 0.0, "C2": 0.0}  # curves that annealing does not touch
    noise = np.random.default_rng(3).normal(0, 0.002, len(features))
    untouched = laws.get("cpt").predict(flat, features) * np.exp(noise)
    assert abs(fitting.fit_skill(fitting.fit("cpt", features, untouched), features, untouched)) < 0.05
    assert fitting.skill(np.ones(2), np.array([1.1, 0.9]), np.array([1.2, 0.8])) == pytest.approx(0.5)


def test_one_annealed_checkpoint_leaves_c1_undetermined() -> None:
    features = curves([("wsd", b) for b in CONTINUAL])
    features = features[features["s1cpt"] > 0]
    found = fitting.fit("cpt", features, laws.get("cpt").predict(PUBLISHED["positive"], features))
    assert any("S2pt is the same" in line for line in found.warnings)
    known = fitting.identifiability(found.law, found.parameters, features)
    assert known.condition > 1e6
    weights = known.directions[-1]
    assert {name for name, w in weights.items() if abs(w) > 0.1} >= {"L0", "C1"}


def test_constant_pretraining_says_that_c1_has_no_effect() -> None:
    features = curves([("constant", b) for b in CONTINUAL])
    found = fitting.fit("cpt", features, laws.get("cpt").predict(PUBLISHED["positive"], features))
    assert found.condition is None
    assert any(line.startswith("C1 has no effect") for line in found.warnings)
    assert not found.at_bounds


def test_one_transfer_point_is_warned_of() -> None:
    features = curves([("wsd", b) for b in CONTINUAL])
    found = fitting.fit("cpt", features, laws.get("cpt").predict(PUBLISHED["positive"], features))
    assert any("all transfers start at one S2pt" in line for line in found.warnings)


def test_nine_varied_curves_determine_every_parameter() -> None:
    features, loss = noisy("positive")
    found = fitting.fit("cpt", features, loss)
    known = fitting.identifiability(found.law, found.parameters, features)
    assert known.condition == found.condition
    assert known.condition < 1e4
    assert not known.directions


def test_small_beta_keeps_the_product() -> None:
    """arXiv 2505.07796, Fig. 16, 594M: B = 29.1 and beta = 0.001, where only the product means something."""
    truth = {
        "L0": 2.688,
        "A": 0.526,
        "alpha": 0.483,
        "B": 29.121,
        "E": 100,
        "beta": 0.001,
        "C1": 0.437,
        "C2": 0.395,
    }
    features, _ = noisy("positive")
    noise = np.random.default_rng(5).normal(0, 0.0005, len(features))
    found = fitting.fit("cpt", features, laws.get("cpt").predict(truth, features) * np.exp(noise))
    assert found.combinations["B*beta"] == pytest.approx(0.029121, rel=0.1)
    assert found.combinations["B*beta"] == found.parameters["B"] * found.parameters["beta"]


def test_relaxed_bounds_admit_a_negative_beta() -> None:
    """arXiv 2505.07796, Fig. 18: fits whose B and beta are both below 0."""
    truth = {
        "L0": 2.742,
        "A": 0.887,
        "alpha": 0.414,
        "B": -3.112,
        "E": 100,
        "beta": -0.072,
        "C1": 0.1,
        "C2": 0.279,
    }
    features, _ = noisy("positive")
    loss = laws.get("cpt").predict(truth, features)
    found = fitting.fit(laws.get("cpt").bounded(beta=(-1, 20)), features, loss)
    assert found.parameters == pytest.approx(truth, rel=1e-3)


def test_outliers_do_not_move_a_fit() -> None:
    features, loss = noisy("negative")
    wild = np.where(np.random.default_rng(2).random(len(loss)) < 0.02, 1.2, 1.0)
    clean, found = (fitting.fit("cpt", features, values) for values in (loss, loss * wild))
    assert np.abs(found.predict(features) / clean.predict(features) - 1).max() < 1e-3


def test_a_fit_survives_json() -> None:
    features, loss = noisy("negative")
    features = features.assign(settings=np.full(len(features), AreaSettings(lambda_=0.999), dtype=object))
    found = fitting.fit(laws.get("cpt", "negative"), features, loss)
    again = Fit.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert again == found
    assert np.array_equal(again.predict(features), found.predict(features))
    assert found.settings["lambda"] == 0.999
    assert set(found.versions) >= {"cpt_dynamics", "numpy", "scipy"}
    other = features.assign(settings=np.full(len(features), AreaSettings(lambda_=0.99), dtype=object))
    part = other.query("s1cpt > 0").reset_index(drop=True).merge(other[["s1cpt"]].drop_duplicates(), on="s1cpt")
    for rows in (other, part, pd.concat([part, part], ignore_index=True)):
        with pytest.raises(UserError, match=r"lambda = 0\.999"):
            found.predict(rows)
    with pytest.raises(UserError, match="made in 2 ways"):
        found.predict(pd.concat([features, other]))
    with pytest.raises(UserError, match="not a fit"):
        Fit.from_json({"law": "cpt"})


def test_skill_of_a_law_with_a_fixed_parameter() -> None:
    features, loss = noisy("positive")
    found = fitting.fit(laws.get("cpt").fixed(alpha=0.5), features, loss, n_starts=2)
    assert 0 < fitting.fit_skill(found, features, loss) < 1


def test_mistakes_are_explained() -> None:
    features, loss = noisy("positive")
    with pytest.raises(UserError, match="different numbers of rows"):
        fitting.fit("cpt", features, loss[:-1])
    with pytest.raises(UserError, match="row 3"):
        fitting.fit("cpt", features, np.where(np.arange(len(loss)) == 3, -1, loss))
    with pytest.raises(UserError, match="add curves"):
        fitting.fit("cpt", features[:5], loss[:5])
    still = features.assign(s1pt=np.arange(len(features)), s1cpt=0.0)
    with pytest.raises(UserError, match="infinite on row 0"):
        fitting.fit("cpt", still, loss)
    with pytest.raises(UserError, match="choose varpro or paper"):
        fitting.fit("cpt", features, loss, method="guess")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="delta"):
        fitting.fit("cpt", features, loss, delta=0)
    with pytest.raises(UserError, match="no baseline"):
        fitting.fit_skill(fitting.fit("annealing_s1_only", features, loss), features, loss)


@pytest.mark.parametrize("method", ["varpro", "paper"])
def test_the_published_forty_points(method: Any) -> None:
    """Cosine and constant curves published with arXiv 2408.11029, and a multi-start L-BFGS-B fit of them."""
    folder = os.environ.get("CPT_DYNAMICS_PUBLIC_CURVES")
    if not folder:
        pytest.skip("CPT_DYNAMICS_PUBLIC_CURVES does not name a folder with tissue/curves.csv")
    table = pd.read_csv(Path(folder) / "tissue" / "curves.csv")
    step = np.arange(20_001)  # the published script counts steps from 0
    cosine = np.where(step < 500, PEAK, PEAK / 2 * (1 + np.cos(np.pi * (step - 500) / 19_500)))
    parts = []
    for name, lr in {"cosine": cosine, "constant": np.full(20_001, PEAK)}.items():
        rows = table[table["schedule"] == name]
        found = areas(lr, len(lr))
        columns = {k: getattr(found, k)[rows["step"]] for k in ("s1pt", "s2pt", "s1cpt", "s2cpt")}
        parts.append(pd.DataFrame({**columns, "loss": rows["loss"].to_numpy()}))
    features = pd.concat(parts)
    fit = fitting.fit("annealing", features, features["loss"], method=method, n_starts=12, gradient="analytic")
    assert fit.n_points == 40
    reference = {"L0": 2.62780, "A": 0.42966, "C": 0.41077, "alpha": 0.54985}
    assert fit.parameters == pytest.approx(reference, abs=2e-5)
    assert fit.objective == pytest.approx(1.6292e-5, abs=1e-9)
    assert fit.metrics["all"]["r2"] == pytest.approx(0.99963, abs=1e-5)
    assert fit.converged
