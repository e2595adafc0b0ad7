"""Curves left out, intervals, profiles, and what fits and predictions warn of."""

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds.curves import areas_at, losses

from cpt_dynamics import fitting, laws
from cpt_dynamics.areas import history
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting import Fit
from cpt_dynamics.fitting.profile import autocorrelation_time, effective_rows
from cpt_dynamics.fitting.uncertainty import band, measurements

PEAK, STEPS, MORE, NOISE = 2e-4, 20_000, 10_000, 0.002
# arXiv 2505.07796, Fig. 3: FineWeb losses of the 106M model
TRUTH = {"L0": 3.057, "A": 0.490, "alpha": 0.497, "B": 0.366, "E": 28, "beta": 0.189, "C1": 0.299, "C2": 0.298}
# arXiv 2505.07796, Fig. 16, 594M: only the product of B and beta means something
SMALL_BETA = {"L0": 2.688, "A": 0.526, "alpha": 0.483, "B": 29.121, "E": 100, "beta": 0.001, "C1": 0.437, "C2": 0.395}
PRETRAINING = ("constant", "wsd", "cosine")
CONTINUAL = ("constant", "linear", "rewarmed")
NINE = [(before, after) for before in PRETRAINING for after in CONTINUAL]
QUICK: dict[str, Any] = {"n_starts": 2, "n_screen": 48}


def first_lr(kind: str, peak: float) -> np.ndarray:
    share = np.arange(1, STEPS + 1) / STEPS
    shapes = {
        "constant": np.ones(STEPS),
        "wsd": np.interp(share, [0.8, 1.0], [1.0, 0.1]),
        "cosine": 0.55 + 0.45 * np.cos(np.pi * share),
    }
    return peak * shapes[kind]


def second_lr(kind: str, start: float, peak: float, idle: int) -> np.ndarray:
    share = np.arange(1, MORE + 1) / MORE
    if kind == "constant":
        return np.full(MORE, start)
    if kind == "linear":
        return np.concatenate([start * (1 - share), np.zeros(idle)])
    lr = peak * (0.55 + 0.45 * np.cos(np.pi * share))
    lr[:300] = np.linspace(start, lr[299], 300)
    return np.asarray(lr)


def run(before: str, after: str, every: int = 300, peak: float = PEAK, idle: int = 0) -> pd.DataFrame:
    """What laws read of one run, dense after the transfer; `idle` steps at an LR of 0 follow a linear decay."""
    start = first_lr(before, peak)
    lr = np.concatenate([start, second_lr(after, start[-1], peak, idle)])
    steps = np.union1d(np.arange(1000, len(lr) + 1, every), [*(STEPS + 2 ** np.arange(0, 7)), len(lr)])
    columns = areas_at(lr, STEPS, steps)
    table = pd.DataFrame({"run": f"{before}-{after}", "seed": 0, "step": steps, "lr": lr[steps - 1], **columns})
    return table.assign(history=np.full(len(steps), history(lr, STEPS), dtype=object))


@cache
def runs(pairs: tuple[tuple[str, str], ...] = tuple(NINE), every: int = 300) -> pd.DataFrame:
    return pd.concat([run(*pair, every) for pair in pairs], ignore_index=True)


def noisy(features: pd.DataFrame, seed: int, truth: dict[str, float] = TRUTH, noise: float = NOISE) -> np.ndarray:
    """Losses with noise of its own for every row."""
    return losses("cpt", truth, features, noise, seed)


def branching(features: pd.DataFrame, seed: int) -> np.ndarray:
    """Losses of runs that leave three pre-trainings: rows before the transfer are the same in three runs."""
    loss = pd.Series(noisy(features, seed))
    before = features["run"].str.split("-").str[0]
    key = before.where(features["s1cpt"] == 0, features["run"]) + features["step"].astype(str)
    return loss.groupby(key.to_numpy()).transform("first").to_numpy()


@cache
def left_out() -> fitting.LeftOut:
    return fitting.leave_one_curve_out("cpt", runs(), noisy(runs(), 1), **QUICK)


def test_unseen_curves_are_predicted_and_a_wrong_law_is_told_from_the_right_one() -> None:
    right = left_out()
    wrong = fitting.leave_one_curve_out("s1_only", runs(), noisy(runs(), 1), **QUICK)
    assert [curve.group for curve in right.curves] == [f"{a}-{b}" for a, b in NINE]
    assert all(curve.mean_error < 1.5 * NOISE and abs(curve.bias) < NOISE / 2 for curve in right.curves)
    assert right.pooled["mean_error"] == pytest.approx(NOISE * np.sqrt(2 / np.pi), rel=0.1)
    assert wrong.pooled["mean_error"] > 2 * right.pooled["mean_error"]
    assert right.pooled["n"] == len(runs()) == sum(curve.n_heldout for curve in right.curves)
    assert not right.not_testable
    table = right.table()
    assert len(table) == 9
    assert table["C2"].std() > 0


def test_errors_of_a_curve_by_hand() -> None:
    features = runs().sample(frac=1, random_state=3)  # rows of runs may be in any order
    loss = noisy(runs(), 1)[features.index]
    name = "wsd-linear"
    found = fitting.leave_one_curve_out("cpt", features, loss, groups=features["run"] == name, **QUICK).curves
    curve = next(curve for curve in found if curve.group == "True")
    inside = (features["run"] == name).to_numpy()
    refit = fitting.fit("cpt", features[~inside], loss[~inside])
    error = refit.predict(features[inside]) / loss[inside] - 1
    assert curve.mean_error == pytest.approx(np.abs(error).mean(), rel=1e-3)
    assert curve.worst_error == pytest.approx(np.abs(error).max(), rel=1e-3)
    assert curve.bias == pytest.approx(error.mean(), rel=1e-2)
    assert curve.end_error == pytest.approx(error[features[inside]["step"].argmax()], rel=1e-2)


def test_rows_that_runs_share_are_not_held_out() -> None:
    features = pd.concat([runs(), run("wsd", "constant")[:60].assign(run="pretraining")], ignore_index=True)
    loss = branching(features.assign(run=features["run"].replace("pretraining", "wsd-constant")), 2)
    found = fitting.leave_one_curve_out("cpt", features, loss, **QUICK)
    assert found.not_testable == ["pretraining"]
    after = features[features["s1cpt"] > 0].groupby("run").size()
    assert {curve.group: curve.n_heldout for curve in found.curves} == after.to_dict()
    assert found.found.n_points == len(np.unique(loss))  # each measurement is fitted once
    assert any("share rows" in note for note in fitting.intervals(found).notes)
    groups = fitting.independent(features, loss)
    assert set(groups) == {"constant-constant", "wsd-constant", "cosine-constant"}
    apart = fitting.leave_one_curve_out("cpt", features, loss, groups=groups, **QUICK)
    assert all(curve.n_heldout == len(np.unique(loss[groups == curve.group])) for curve in apart.curves)


def test_rows_that_agree_by_chance_are_not_shared() -> None:
    features = pd.DataFrame({"run": list("aaaabbbbcccc"), "step": [1, 2, 3, 4] * 3})
    loss = np.array([5.0, 4.0, 3.0, 2.0, 5.0, 4.0, 3.5, 2.0, 5.1, 4.0, 3.0, 2.0])
    keys = measurements(features, loss)
    assert keys.tolist() == [0, 1, 2, 3, 0, 1, 6, 7, 8, 9, 10, 11]
    assert fitting.independent(features, loss).tolist() == list("aaaaaaaacccc")
    backwards = measurements(features[::-1], loss[::-1])
    assert backwards.nunique() == keys.nunique()
    apart = measurements(features.assign(seed=[0] * 4 + [1] * 8), loss)
    assert apart.nunique() == 12


def test_a_curve_that_alone_determines_a_parameter_is_reported() -> None:
    features = runs((("constant", "constant"), ("constant", "linear"), ("wsd", "linear")))
    found = fitting.leave_one_curve_out("cpt", features, noisy(features, 3), **QUICK)
    curve = next(curve for curve in found.curves if curve.group == "wsd-linear")
    assert curve.undetermined == ["C1"]
    assert any(line.startswith("C1 has no effect") for line in curve.warnings)
    known = fitting.intervals(found)
    assert known.parameters["C1"].reason == "not determined without wsd-linear"
    assert np.isnan(known.parameters["C1"].lower)
    assert not known.parameters["C2"].reason
    assert not known.combinations["B*beta"].reason
    before = features["s1cpt"] == 0
    one = features[before | (features["run"] == "wsd-linear")]
    alone = fitting.intervals(fitting.leave_one_curve_out("cpt", one, noisy(one, 3), **QUICK))
    for found_interval in (alone.parameters["beta"], alone.combinations["B*beta"]):
        assert found_interval.reason == "not determined without wsd-linear"


def test_mistakes_are_explained() -> None:
    features, loss = runs(), noisy(runs(), 1)
    one = features["run"] == "wsd-linear"
    with pytest.raises(UserError, match="at least two"):
        fitting.leave_one_curve_out("cpt", features[one], loss[one])
    with pytest.raises(UserError, match="'step'"):
        fitting.leave_one_curve_out("cpt", features.drop(columns="step"), loss)
    with pytest.raises(UserError, match="'run'"):
        fitting.leave_one_curve_out("cpt", features.drop(columns="run"), loss)
    with pytest.raises(UserError, match="3 labels"):
        fitting.leave_one_curve_out("cpt", features, loss, groups=[1, 2, 3])
    with pytest.raises(UserError, match="level"):
        fitting.intervals(left_out(), level=1.0)
    with pytest.raises(UserError, match="gamma"):
        fitting.profile("cpt", features, loss, "gamma", found=left_out().found)
    with pytest.raises(UserError, match="bounds"):
        fitting.profile("cpt", features, loss, "C2", grid=[-1.0], found=left_out().found)


def test_half_widths_are_ranks_of_held_out_errors() -> None:
    found = left_out()
    means = sorted(curve.mean_error for curve in found.curves)
    nine = fitting.intervals(found, level=0.9)  # rank ceil(10 * 0.9) of 9
    assert (nine.mean.half_width, nine.mean.level, nine.mean.attainable) == (means[8], 0.9, True)
    assert nine.end.half_width == max(abs(curve.end_error) for curve in found.curves)
    assert fitting.intervals(found, level=0.8).mean.half_width == means[7]
    more = fitting.intervals(found, level=0.95)
    assert (more.mean.level, more.mean.attainable) == (0.95, False)
    assert any("9 curves left out are too few for a 95% band" in note for note in more.notes)


def test_few_curves_take_errors_as_normal() -> None:
    """Bands from three curves hold for the wanted share of fourth ones; the largest error holds for 75 %."""
    assert band(np.array([0.01, 0.01]), 0.9).half_width == pytest.approx(0.01 * 2.919986)  # t, 95 %, 2 degrees: tables
    one_is_far = band(np.array([0.0] * 7 + [1.0]), 0.9)
    assert (one_is_far.half_width, one_is_far.attainable) == (1.0, False)
    errors = np.abs(np.random.default_rng(4).normal(size=(4000, 4)))
    for level in (0.8, 0.9):
        inside = [row[3] <= band(row[:3], level).half_width for row in errors]
        assert np.mean(inside) == pytest.approx(level, abs=0.02)
    assert np.mean(errors[:, 3] <= errors[:, :3].max(axis=1)) == pytest.approx(0.75, abs=0.02)


def test_the_jackknife_by_hand() -> None:
    found = left_out()
    values = np.array([curve.parameters["L0"] for curve in found.curves])
    sd = np.sqrt(8 / 9 * np.sum((values - values.mean()) ** 2))
    known = fitting.intervals(found, level=0.9).parameters
    assert known["L0"].sd == pytest.approx(sd)
    assert known["L0"].upper - known["L0"].estimate == pytest.approx(1.859548 * sd)  # t, 8 degrees, 95 %
    assert known["E"].lower > 0
    assert known["E"].upper / known["E"].estimate == pytest.approx(known["E"].estimate / known["E"].lower)


def test_the_jackknife_mostly_holds_the_truth() -> None:
    """Curves with independent noise; 99 % intervals, so that the number of hits is stable."""
    features, hits = runs(every=900), []
    for seed in range(4):
        leftout = fitting.leave_one_curve_out("cpt", features, noisy(features, 10 + seed), n_starts=1, n_screen=24)
        known = fitting.intervals(leftout, level=0.99).parameters
        hits += [known[name].lower < value < known[name].upper for name, value in TRUTH.items()]
    assert np.mean(hits) > 0.85


def test_seeds_give_intervals_where_there_are_three() -> None:
    pairs = (("constant", "linear"), ("wsd", "constant"), ("cosine", "rewarmed"))
    parts = [runs(pairs).assign(seed=seed) for seed in range(4)]
    parts = [part.assign(run=part["run"] + ("" if seed == 0 else f".seed{seed}")) for seed, part in enumerate(parts)]
    features = pd.concat([*parts, run("wsd", "linear")], ignore_index=True)  # one run has one seed only
    loss = noisy(features, 5)
    found = fitting.seed_intervals("cpt", features, loss, **QUICK)
    assert found.seeds == [0, 1, 2, 3]
    assert found.groups == ["constant-linear", "cosine-rewarmed", "wsd-constant"]
    assert not found.reason
    c2 = [fitting.fit("cpt", f, loss[f.index]).parameters["C2"] for f in parts_of(features, found.groups)]
    assert found.parameters["C2"].estimate == pytest.approx(np.mean(c2), rel=1e-3)
    assert found.parameters["C2"].sd == pytest.approx(np.std(c2, ddof=1) / 2, rel=1e-2)
    two = features["seed"] < 2
    assert "at least 3" in fitting.seed_intervals("cpt", features[two], loss[two]).reason
    assert "no column 'seed'" in fitting.seed_intervals("cpt", features.drop(columns="seed"), loss).reason
    apart = features.assign(run=features["run"].str.split(".").str[0] + features["seed"].astype(str))
    assert "no run was trained with all" in fitting.seed_intervals("cpt", apart, loss).reason


def parts_of(features: pd.DataFrame, groups: Iterable[str]) -> list[pd.DataFrame]:
    chosen = features[features["run"].str.split(".").str[0].isin(list(groups))]
    return [part for _, part in chosen.groupby("seed")]


def test_a_profile_holds_the_truth_and_its_lowest_point_is_the_fit() -> None:
    features, loss, found = runs(), noisy(runs(), 1), left_out().found
    for name in ("C2", "E"):
        known = fitting.profile("cpt", features, loss, name, found=found, n=9)
        assert known.lower < TRUTH[name] < known.upper
        assert known.best == found.objective == min(point.objective for point in known.points)
        assert not known.lower_open
        assert not known.upper_open
        assert any("approximate" in note for note in known.notes)
        for end in (known.lower, known.upper):
            there = fitting.fit(laws.get("cpt").fixed(**{name: end}), features, loss)
            assert there.objective - known.best == pytest.approx(known.threshold - known.best, rel=0.05)


def test_a_given_grid_is_profiled_and_its_ends_are_no_limits() -> None:
    features, loss, found = runs(), noisy(runs(), 1), left_out().found
    grid = [0.29, 0.295, 0.35]
    known = fitting.profile("cpt", features, loss, "C2", grid=grid, found=found)
    assert [point.value for point in known.points] == sorted([*grid, found.parameters["C2"]])
    assert known.lower_open
    assert known.lower == 0.0
    assert any("last value tried" in note for note in known.notes)
    assert known.upper == 0.35  # too far from the last value inside to interpolate
    finer = fitting.profile("cpt", features, loss, "C2", grid=[0.305, 0.31, 0.315, 0.32], found=found)
    assert 0.315 < finer.upper < 0.32
    assert not finer.upper_open


def test_beta_has_no_lower_limit_where_only_its_product_with_b_is_determined() -> None:
    features = runs()
    loss = noisy(features, 6, SMALL_BETA)
    found = fitting.fit("cpt", features, loss)
    known = fitting.profile("cpt", features, loss, "beta", found=found, n=11)
    assert known.lower_open
    assert known.lower == 1e-4
    assert not known.upper_open
    assert known.points[0].value == pytest.approx(1e-4)
    assert any("its bound" in note for note in known.notes)
    size = fitting.profile("cpt", features, loss, "B", found=found)
    assert any("its upper limit rests on the bounds of others (beta=lower)" in note for note in size.notes)
    assert size.lower < 0.42  # B*beta over the largest beta that is not excluded
    products = [point.parameters["B"] * point.parameters["beta"] for point in known.points if point.value < 0.01]
    assert products == pytest.approx([0.029121] * len(products), rel=0.1)


def test_a_better_minimum_than_the_given_fit_is_pointed_out() -> None:
    features, loss = runs(), noisy(runs(), 1)
    stuck = fitting.fit(laws.get("cpt").bounded(beta=(1.0, 50.0)), features, loss)
    known = fitting.profile("cpt", features, loss, "beta", grid=[0.2], found=stuck)
    assert known.best < stuck.objective
    assert any("more starts" in note for note in known.notes)


def test_autocorrelation_times_of_known_series() -> None:
    rng = np.random.default_rng(0)
    white = rng.normal(size=(20, 5_000))
    slow = white.copy()  # AR(1) with coefficient 0.8: (1 + 0.8) / (1 - 0.8)
    for i in range(1, slow.shape[1]):
        slow[:, i] += 0.8 * slow[:, i - 1]
    assert np.mean([autocorrelation_time(series) for series in white]) == pytest.approx(1.0, abs=0.1)
    assert np.mean([autocorrelation_time(series) for series in slow]) == pytest.approx(9.0, rel=0.1)
    assert autocorrelation_time(np.full(101, 0.3)) == pytest.approx(101, rel=0.02)
    assert autocorrelation_time(np.zeros(5)) == 1.0
    assert autocorrelation_time(np.resize([1.0, -1.0], 50)) == 1.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_autocorrelation_time_lies_between_one_row_and_all(values: list[float]) -> None:
    assert 1.0 <= autocorrelation_time(np.array(values)) <= len(values) + 1e-9


def test_misfit_leaves_fewer_independent_rows_than_noise() -> None:
    features, loss = runs(), noisy(runs(), 1)
    right, wrong = left_out().found, fitting.fit("s1_only", features, loss)
    assert effective_rows(right, features, loss) > 0.6 * len(loss)
    assert effective_rows(wrong, features, loss) < 0.3 * len(loss)
    twice = pd.concat([features, features.assign(run="again " + features["run"])])
    repeated = np.concatenate([loss, loss])
    assert effective_rows(right, twice, repeated) == effective_rows(right, features, loss)


def test_the_report_names_what_is_and_what_is_not_determined() -> None:
    features = runs()
    assert "every parameter is determined" in fitting.report(left_out().found, features)[-1]
    small = fitting.fit("cpt", features, noisy(features, 6, SMALL_BETA, noise=2e-4))
    lines = fitting.report(small, features)
    assert any(line.startswith("not told apart: B, beta (only B*beta)") for line in lines)
    assert any(line.startswith("determined instead: B*beta = 0.029") for line in lines)


def test_the_report_names_sums_of_terms() -> None:
    features = runs((("wsd", "constant"), ("wsd", "linear"), ("wsd", "rewarmed")))
    features = features[features["s1cpt"] > 0]
    lines = fitting.report(fitting.fit("cpt", features, noisy(features, 7)), features, tolerance=1e-9)
    s2pt = features["s2pt"].iloc[0]
    assert f"not told apart: L0, C1 (only L0 - {s2pt:.3g}*C1)" in lines
    unseen = runs((("constant", "linear"), ("constant", "rewarmed")))
    lines = fitting.report(fitting.fit("cpt", unseen, noisy(unseen, 7)), unseen)
    assert "condition number of the fit of 'cpt': infinite (8 parameters)" in lines
    assert "not determined, as it has no effect on any row: C1" in lines


def warned(features: pd.DataFrame, law: str = "cpt", loss: Any = None) -> str:
    found = fitting.fit(law, features, noisy(features, 8) if loss is None else loss, **QUICK)
    return "\n".join(found.warnings)


def test_fits_warn_of_what_the_curves_lack() -> None:
    assert not left_out().found.warnings
    assert "the LR of CPT never changes, so C2" in warned(run("constant", "constant"))
    assert "all rows are of the run wsd-linear" in warned(run("wsd", "linear"))
    late = runs()[(runs()["s1cpt"] == 0) | (runs()["s1cpt"] > 0.2)]
    assert "so E is hardly determined" in warned(late)
    short = runs()[runs()["s1pt"] + runs()["s1cpt"] > 2.5]
    assert "so A and alpha are hardly determined" in warned(short)


def test_replay_and_size_laws_warn_of_one_ratio_and_one_size() -> None:
    features = runs(every=600).assign(replay=0.25, params=1e8)
    names = {p.name for p in laws.get("cpt_replay_general").parameters}
    truth = {**TRUTH, "a1": 0.055, "a2": 3.238}  # arXiv 2505.07796, appendix H
    assert names == set(truth)
    features.loc[features["s1cpt"] == 0, "replay"] = 1.0  # rows of PT do not count
    loss = laws.get("cpt_replay_general").predict(truth, features)
    assert "one replay ratio" in warned(features, "cpt_replay_general", loss)
    assert "one model size" in warned(features, "cpt_size", loss)
    features.loc[features["run"].str.startswith("wsd") & (features["s1cpt"] > 0), "replay"] = 0.5
    loss = laws.get("cpt_replay_general").predict(truth, features)
    assert "one replay ratio" not in warned(features, "cpt_replay_general", loss)


@pytest.mark.parametrize("name", sorted(name for name, law in laws.LAWS.items() if "s1cpt" in law.inputs))
def test_warnings_work_for_every_law_of_whole_curves(name: str) -> None:
    from cpt_dynamics.fitting import warnings

    features = runs(every=3000).assign(replay=0.5, params=1e8, s2pt_lr=runs(every=3000)["s2pt"])
    features = features.assign(s2cpt_lr=features["s2cpt"])
    law = laws.get(name)
    parameters = {p.name: 0.5 if p.linear else float(np.clip(0.5, p.lower, p.upper)) for p in law.parameters}
    known = fitting.identifiability(law, parameters, features)
    lines = warnings.fit_warnings(law, law.arrays(features), features, known)
    assert any("replay ratio" in line for line in lines) == ("replay" in law.inputs)
    assert any("model size" in line for line in lines) == ("params" in law.inputs)
    assert not any("anneal" in line for line in lines)


def test_steps_at_zero_lr_are_warned_of_before_the_end_only() -> None:
    found = left_out().found
    for every in (1, 300):
        assert not fitting.prediction_warnings(found, run("wsd", "linear", every))  # the last step has LR 0
    features = run("wsd", "linear", 1, idle=3000)
    (line,) = fitting.prediction_warnings(found, features)
    curve = found.predict(features)
    step, after = features["step"].to_numpy(), features["s1cpt"].to_numpy() > 0
    fall = curve[step == STEPS + MORE - 1][0] - curve[-1]  # S1 stands still from the last step with an LR on
    assert f"the LR is 0 for 3001 steps, in which S2 keeps growing and the prediction falls by {fall:.2g} nats" in line
    assert f"({fall / (curve[after].max() - curve[-1]):.0%} of its fall" in line
    assert fall > 0
    without = fitting.fit("s1_only", runs(), noisy(runs(), 1))
    assert not fitting.prediction_warnings(without, features)


def test_predictions_outside_the_fitted_range_are_warned_of() -> None:
    features = runs().assign(replay=0.2, params=1e8)
    found = fitting.fit("cpt", features, noisy(features, 1), **QUICK)
    assert found.ranges["peak_lr_pt"] == pytest.approx([PEAK, PEAK])
    assert found.ranges["peak_lr_cpt"] == pytest.approx([0.1 * PEAK, PEAK], rel=0.01)
    assert found.ranges["s1cpt"] == [0.0, features["s1cpt"].max()]
    near = features[features["run"] == "wsd-rewarmed"]
    assert not fitting.prediction_warnings(found, near)
    high = run("wsd", "rewarmed", peak=2 * PEAK).assign(replay=0.4, params=3e8)
    lines = "\n".join(fitting.prediction_warnings(found, high))
    for name in ("peak_lr_pt", "peak_lr_cpt", "s1pt", "s2pt", "replay", "params"):
        assert f"{name} is " in lines
    assert "params is 3e+08 in the prediction and was 1e+08 in the fit" in lines
    nearly_all = near.assign(replay=0.29)
    assert not fitting.prediction_warnings(found, nearly_all)
    never = runs((("constant", "linear"), ("wsd", "linear"), ("cosine", "constant")))
    falling = fitting.fit("cpt", never, noisy(never, 1), **QUICK)
    assert any("s2cpt" in line for line in fitting.prediction_warnings(falling, near))  # no re-warm-up was fitted
    without = near.drop(columns=["history", "lr", "params"]).assign(params=np.nan)
    assert not fitting.prediction_warnings(found, without)


def test_ranges_survive_json() -> None:
    found = left_out().found
    again = Fit.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert again == found
    assert again.ranges["s1pt"] == [runs()["s1pt"].min(), runs()["s1pt"].max()]
    far = run("wsd", "linear", idle=3000)
    assert fitting.prediction_warnings(again, far) == fitting.prediction_warnings(found, far)


def test_a_curve_whose_others_determine_less_counts_for_no_band() -> None:
    """The only run that anneals: without it nothing tells C, nor how the loss follows a fast fall."""
    peaks = {"full": PEAK, "half": PEAK / 2}
    parts = [run("constant", "constant", peak=peak).assign(run=name) for name, peak in peaks.items()]
    table = pd.concat([*parts, run("wsd", "constant").assign(run="annealed")], ignore_index=True)
    table = table[table["s1cpt"] == 0].reset_index(drop=True)
    found = fitting.leave_one_curve_out("annealing", table, noisy(table, 5), **QUICK)
    lost = {curve.group: curve.lost for curve in found.curves}
    assert lost == {"full": [], "half": [], "annealed": ["C", "a fast fall of the LR"]}
    known = fitting.intervals(found)
    counted = [curve for curve in found.curves if not curve.lost]
    assert known.mean == band(np.array([curve.mean_error for curve in counted]), 0.9)
    assert known.end == band(np.array([abs(curve.end_error) for curve in counted]), 0.9)
    left_out_end = next(abs(curve.end_error) for curve in found.curves if curve.lost)
    assert left_out_end > 3 * max(abs(curve.end_error) for curve in counted)  # it tells of the missing run alone
    note = "the bands do not count what the other curves cannot tell: annealed (C, a fast fall of the LR)"
    assert note in known.notes


def test_without_a_curve_that_counts_there_is_no_band() -> None:
    table = pd.concat([run("constant", "constant"), run("wsd", "constant")], ignore_index=True)
    table = table[table["s1cpt"] == 0].reset_index(drop=True)
    found = fitting.leave_one_curve_out("annealing", table, noisy(table, 5), **QUICK)
    lone = fitting.intervals(replace(found, curves=[curve for curve in found.curves if curve.lost]))
    assert all(np.isnan(one.half_width) and not one.attainable for one in (lone.mean, lone.end, lone.rows))


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_bands_of_rows_hold_for_rows_of_new_curves(level: float) -> None:
    """Nine curves with noise of their own, and new ones of the same schedules: real coverage is near the nominal."""
    known = fitting.intervals(left_out(), level).rows
    assert (known.level, known.attainable) == (level, True)
    found = left_out().found
    inside = []
    for seed in range(20, 30):
        loss = noisy(runs(), seed)
        inside.append(np.abs(found.predict(runs()) / loss - 1) <= known.half_width)
    assert np.mean(inside) == pytest.approx(level, abs=0.04)


def test_every_curve_has_the_same_weight_in_the_band_of_rows() -> None:
    curve = left_out().curves[0]
    small, large = (replace(curve, spread=[size] * 20, n_heldout=n) for size, n in ((0.01, 1000), (0.05, 10)))
    four = replace(left_out(), curves=[small, small, small, large])
    assert fitting.intervals(four, 0.75).rows.half_width == 0.01
    assert fitting.intervals(four, 0.8).rows.half_width == 0.05
